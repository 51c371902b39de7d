"""The only place that opens connections to clouds, and the only one that translates the SDK's errors."""

from decamp.clouds.cloud import Cloud, connect
from decamp.clouds.errors import translated

__all__ = ["Cloud", "connect", "translated"]
