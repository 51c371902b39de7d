"""From surveys to plans, purely: nothing here reads a clock, a file or a cloud, so equal inputs give equal plans, byte for byte.

One goal, one file: `move`, `vacate`, `expand`, and `undo` and `confirm` for what a run has done. `replay` is the independent checker: it
knows no planner, and asks every rule in `constraints` about every step of a plan, whoever made it.
"""
