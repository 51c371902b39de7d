"""The rules that every plan keeps, one file each: what the rule says as a small function, and the checker that asks it of a plan.

The functions (`capacity.missing`, `traits.missing`, `zone.allows` ...) are what planners choose by. The checkers are asked by
`replay` alone, and see the plan and the surveys, never what a planner believed. `scene` is what they look at.
"""
