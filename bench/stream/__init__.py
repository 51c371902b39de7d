"""How fast bytes go through Decamp's copy, and what it costs in memory."""
