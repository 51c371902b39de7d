"""What a lab is at while tests wait for it."""

from __future__ import annotations

from decamp.lab.progress import StepEvent, StepState


def show(event: StepEvent) -> None:
    """Minutes without a word look like a test that hangs."""
    if event.state in {StepState.DONE, StepState.FAILED}:
        print(f"\nlab: {event.step}: {event.state} after {event.seconds:.1f} s", end="", flush=True)
