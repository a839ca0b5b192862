"""The inspection of parts as a stage: what the model says of each part of a packet."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from edgesdk.errors import EdgeError
from edgesdk.pipeline.packet import Packet
from edgesdk.vision.inspected import Inspected
from edgesdk.vision.parts import Part

Inspects = Callable[[Sequence[NDArray[np.uint8]]], list[Inspected]]

_log = logging.getLogger(__name__)


class InspectParts:
    """A BatchStage that fills in `View.inspected` of every part in `packet.parts`.

    Whatever goes wrong with a part stays with it, as `Part.error`: the next one is inspected all
    the same, and the run goes on.
    """

    name = "inspection"
    batch = 1
    wait_s = 0.0
    joined = 0

    def __init__(self, threshold: float | None = None, inspect: Inspects | None = None) -> None:
        """`threshold` is the model's own; the model itself may be given later, by `load`."""
        self.threshold = threshold
        self.parallel = 1
        self.defects: tuple[str, ...] = ()
        """Where the model is a detector: its classes that make a part bad."""
        self._inspect = inspect

    def look_for(self, defects: Sequence[str]) -> None:
        """Say what is a defect, for a detector; by the app's code, once it is made."""
        self.defects = tuple(defects)

    def load(self, inspect: Inspects, parallel: int = 1) -> None:
        """The model, before the run begins; `parallel` threads may call it at once."""
        self._inspect = inspect
        self.parallel = parallel

    def __call__(self, packet: Packet) -> Packet:
        """Inspect the parts of one packet."""
        if not packet.parts:
            return packet
        return replace(packet, parts=tuple(self._inspected(part) for part in packet.parts))

    def run_batch(self, packets: Sequence[Packet]) -> Sequence[Packet]:
        """The same for each."""
        return [self(packet) for packet in packets]

    def _inspected(self, part: Part) -> Part:
        if part.error or not part.views or self._inspect is None:
            return part
        try:
            found = self._inspect([view.picture for view in part.views])
        except Exception as error:  # noqa: BLE001 - whatever it was: a part that was not judged fails
            _log.warning("part %d cannot be inspected: %s", part.number, error, exc_info=True)
            message = error.message if isinstance(error, EdgeError) else repr(error)
            return replace(part, error=message)
        views = zip(part.views, found, strict=True)
        return replace(part, views=tuple(replace(v, inspected=found) for v, found in views))
