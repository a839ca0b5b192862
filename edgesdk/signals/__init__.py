"""The wires of a machine: triggers that come in, rejects that go out."""

from edgesdk.signals.trigger import Trigger

__all__ = ["Trigger"]
