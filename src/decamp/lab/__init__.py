"""The lab: three real OpenStack clouds on this machine, with simulated hardware and hypervisors. Decamp itself does not need it."""

from decamp.lab.lab import ServiceStatus, down, is_up, keep, status, up
from decamp.lab.layout import CloudName, Lab, MachineSize, Settings, default_folder, load

__all__ = [
    "CloudName",
    "Lab",
    "MachineSize",
    "ServiceStatus",
    "Settings",
    "default_folder",
    "down",
    "is_up",
    "keep",
    "load",
    "status",
    "up",
]
