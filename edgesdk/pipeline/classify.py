"""The classification of whole pictures as a stage."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from edgesdk.errors import UsageError
from edgesdk.pipeline.detect import WAIT_S
from edgesdk.pipeline.packet import Packet
from edgesdk.vision.classification import Classification

Classifies = Callable[[Sequence[NDArray[np.uint8]]], list[Classification]]


class ClassifyPictures:
    """A BatchStage that fills in `packet.classification` from the whole frame."""

    name = "classification"
    wait_s = WAIT_S
    joined = 0

    def __init__(self, classify: Classifies | None = None) -> None:
        """The model itself may be given later, by `load`."""
        self.batch = self.parallel = 1
        self._classify = classify

    def load(self, classify: Classifies, batch: int = 1, parallel: int = 1) -> None:
        """The model, before the run begins: it takes up to `batch` pictures at once, and `parallel`
        threads may call it at the same time."""
        self._classify = classify
        self.batch, self.parallel = batch, parallel

    def __call__(self, packet: Packet) -> Packet:
        """Classify one picture."""
        return self.run_batch((packet,))[0]

    def run_batch(self, packets: Sequence[Packet]) -> Sequence[Packet]:
        """The same for each. Raises ModelError when the outputs are not a classifier's, UsageError
        before a model was loaded."""
        if self._classify is None:
            raise UsageError("the stage 'classification' has no model yet: load one first")
        found = self._classify([packet.frame.image for packet in packets])
        return [replace(p, classification=c) for p, c in zip(packets, found, strict=True)]
