"""Cameras and streams: named, opened where they can be killed, watched, and opened again."""

from edgesdk.capture.choice import Choice, choose
from edgesdk.capture.machine import Machine, this_machine
from edgesdk.capture.settings import CaptureSettings, Kind
from edgesdk.capture.uri import SourceUri, parse_source, without_secrets

__all__ = [
    "CaptureSettings",
    "Choice",
    "Kind",
    "Machine",
    "SourceUri",
    "choose",
    "parse_source",
    "this_machine",
    "without_secrets",
]
