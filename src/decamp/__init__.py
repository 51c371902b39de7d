"""Decamp empties an old OpenStack cloud into a new one, machine by machine: its workloads first, its hardware after them."""

__version__ = "0.1.0"
