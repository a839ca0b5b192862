"""Where events, pictures and figures go: one module a kind, named by URI."""

from edgesdk.sinks.facts import SinkFacts, StreamFacts
from edgesdk.sinks.opening import Measured, Observer, open_sink, open_sinks
from edgesdk.sinks.uri import SinkUri

__all__ = [
    "Measured",
    "Observer",
    "SinkFacts",
    "SinkUri",
    "StreamFacts",
    "open_sink",
    "open_sinks",
]
