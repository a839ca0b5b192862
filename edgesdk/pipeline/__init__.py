"""Frames from a source through stages into sinks, timed, bounded and stoppable."""

from edgesdk.pipeline.detect import Step, detect_stages
from edgesdk.pipeline.errors import StageError, blame
from edgesdk.pipeline.event_files import event_file
from edgesdk.pipeline.packet import Event, Packet
from edgesdk.pipeline.pipeline import Pipeline
from edgesdk.pipeline.protocols import Sink, Source, SourceStats, Stage, StateChange, Watched
from edgesdk.pipeline.sinks import Collect, VideoFile
from edgesdk.pipeline.sources import open_source
from edgesdk.pipeline.summary import RunSummary, StageTiming

__all__ = [
    "Collect",
    "Event",
    "Packet",
    "Pipeline",
    "RunSummary",
    "Sink",
    "Source",
    "SourceStats",
    "Stage",
    "StageError",
    "StageTiming",
    "StateChange",
    "Step",
    "VideoFile",
    "Watched",
    "blame",
    "detect_stages",
    "event_file",
    "open_source",
]
