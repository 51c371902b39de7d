"""One module per OpenStack kind, all with the same small interface: what is read, found, created, verified and removed."""

from decamp.resources.kind import Kind, Passage

__all__ = ["Kind", "Passage"]
