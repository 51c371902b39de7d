"""Decamp empties an old OpenStack cloud into a new one: its workloads first, its hardware after them."""
