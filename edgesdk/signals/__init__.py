"""The wires of a machine: triggers that come in, rejects that go out."""

from edgesdk.signals.opening import open_trigger
from edgesdk.signals.trigger import Trigger

__all__ = ["Trigger", "open_trigger"]
