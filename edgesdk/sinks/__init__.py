"""Where events, pictures and figures go: one module a kind, named by URI."""

from edgesdk.sinks.facts import ModelFacts, SinkFacts, StreamFacts
from edgesdk.sinks.opening import (
    Addressed,
    Measured,
    Observer,
    OpenedSinks,
    open_sink,
    open_sinks,
    opened_sinks,
)
from edgesdk.sinks.uri import SinkUri

__all__ = [
    "Addressed",
    "Measured",
    "ModelFacts",
    "Observer",
    "OpenedSinks",
    "SinkFacts",
    "SinkUri",
    "StreamFacts",
    "open_sink",
    "open_sinks",
    "opened_sinks",
]
