"""Frames from a source through stages into sinks, timed, bounded and stoppable."""

from edgesdk.pipeline.classify import ClassifyPictures
from edgesdk.pipeline.detect import Inference, Step, detect_stages
from edgesdk.pipeline.errors import StageError, blame
from edgesdk.pipeline.event_files import event_file, event_files
from edgesdk.pipeline.find import FindObjects
from edgesdk.pipeline.inspect import InspectParts
from edgesdk.pipeline.paced import Paced
from edgesdk.pipeline.packet import Event, Packet
from edgesdk.pipeline.pipeline import Pipeline
from edgesdk.pipeline.protocols import (
    BatchStage,
    Finishing,
    Flushing,
    Remembers,
    Sink,
    Source,
    SourceStats,
    Stage,
    StateChange,
    TakesTheRest,
    Unread,
    Watched,
)
from edgesdk.pipeline.sinks import Collect, VideoFile
from edgesdk.pipeline.sources import open_source
from edgesdk.pipeline.stream import Stream
from edgesdk.pipeline.summary import (
    FrameAge,
    Policy,
    RunSummary,
    StageTiming,
    StreamSummary,
    ThreadLoad,
)

__all__ = [
    "BatchStage",
    "ClassifyPictures",
    "Collect",
    "Event",
    "FindObjects",
    "Finishing",
    "Flushing",
    "FrameAge",
    "Inference",
    "InspectParts",
    "Paced",
    "Packet",
    "Pipeline",
    "Policy",
    "Remembers",
    "RunSummary",
    "Sink",
    "Source",
    "SourceStats",
    "Stage",
    "StageError",
    "StageTiming",
    "StateChange",
    "Step",
    "Stream",
    "StreamSummary",
    "TakesTheRest",
    "ThreadLoad",
    "Unread",
    "VideoFile",
    "Watched",
    "blame",
    "detect_stages",
    "event_file",
    "event_files",
    "open_source",
]
