"""How well copies keep the rates that policy sets, and what that costs."""
