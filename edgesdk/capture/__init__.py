"""Cameras and streams: named, opened where they can be killed, watched, and opened again."""

from edgesdk.capture.camera import Camera, open_camera
from edgesdk.capture.choice import Choice, choose
from edgesdk.capture.machine import Machine, this_machine
from edgesdk.capture.opening import Opening
from edgesdk.capture.recovery import Recovery
from edgesdk.capture.settings import CaptureSettings, Kind
from edgesdk.capture.stats import SourceState, SourceStats, StateChange
from edgesdk.capture.uri import SourceUri, parse_source, without_secrets

__all__ = [
    "Camera",
    "CaptureSettings",
    "Choice",
    "Kind",
    "Machine",
    "Opening",
    "Recovery",
    "SourceState",
    "SourceStats",
    "SourceUri",
    "StateChange",
    "choose",
    "open_camera",
    "parse_source",
    "this_machine",
    "without_secrets",
]
