"""A detector beside the run's own model, as a stage of the frames' own thread."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from edgesdk.detections import Detections
from edgesdk.errors import UsageError
from edgesdk.pipeline.packet import Packet

Detects = Callable[[NDArray[np.uint8]], Detections]


class FindObjects:
    """Fills in `packet.detections`, ahead of the model that judges what was found.

    It works in the thread that prepares frames, one at a time; where it is slower than the camera,
    frames are dropped before it (policy "newest").
    """

    name = "detection"

    def __init__(self, detect: Detects | None = None) -> None:
        """The detector may be given later, by `load`."""
        self._detect = detect

    def load(self, detect: Detects) -> None:
        """The detector, before the run begins. One thread calls it."""
        self._detect = detect

    def __call__(self, packet: Packet) -> Packet:
        """The packet with what is in its picture."""
        if self._detect is None:
            raise UsageError("the stage 'detection' was given no detector")
        return replace(packet, detections=self._detect(packet.frame.image))
