"""How good vacate plans are, and how fast: against bounds that are proved, and against what else there is. `python -m bench.vacate`."""
