"""Detectors that an app asks for beside its own model: they find what that one judges."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgesdk.apps.choosing import (
    RunModel,
    batch_of,
    class_ids,
    detection_decoder,
    make_detector,
    model_of_bundle,
)
from edgesdk.backends import load_backend_for
from edgesdk.backends.base import ShowProgress
from edgesdk.backends.pictures import pictures_of
from edgesdk.detections import Detections
from edgesdk.errors import ModelError
from edgesdk.pipeline import FindObjects
from edgesdk.vision.decoders import with_known
from edgesdk.vision.detector import Detector
from edgesdk.vision.suppression import nms

SAME_IOU = 0.45
SAME_INSIDE = 0.7
"""Boxes that overlap by more, or lie in each other by more, are one thing whatever their class."""


@dataclass(frozen=True)
class Found:
    """A detector that tells some classes only, and each thing once."""

    detector: Detector
    classes: tuple[int, ...]
    """Empty: all."""

    def __call__(self, image: NDArray[np.uint8]) -> Detections:
        """Boxes in pixels of the picture, BGR uint8 of shape (H, W, 3), the best first."""
        found = self.detector(image)
        if self.classes:
            found = found[np.isin(found.class_id, self.classes)]
        keep = nms(
            found.xyxy, found.score, None, SAME_IOU, len(found), inside_threshold=SAME_INSIDE
        )
        return found[keep]


@dataclass(frozen=True)
class _Asked:
    chosen: RunModel
    classes: tuple[int, ...]
    stage: FindObjects


class Finders:
    """What `Scene.detector` is in a run: each bundle is opened once, for all streams."""

    def __init__(self, folder: Path) -> None:
        """Bundles are named relative to `folder`, the app's; or to the current one."""
        self._folder = folder
        self._asked: dict[tuple[str, tuple[str, ...], float], _Asked] = {}

    def __call__(self, bundle: str, classes: Sequence[str], min_score: float) -> FindObjects:
        """The stage for a bundle; its detector is loaded by `opened`.

        Raises BundleError for a bundle that is none, ModelError for one that is no detector of
        single pictures, and UnknownName for a class that it does not know.
        """
        key = (bundle, tuple(classes), min_score)
        if key not in self._asked:
            self._asked[key] = self._ask(*key)
        return self._asked[key].stage

    @property
    def models(self) -> tuple[RunModel, ...]:
        """Those that were asked for."""
        return tuple(asked.chosen for asked in self._asked.values())

    def _ask(self, bundle: str, classes: tuple[str, ...], min_score: float) -> _Asked:
        chosen = model_of_bundle(self.place(bundle))
        if min_score and chosen.spec.decoder:
            decoder = with_known(chosen.spec.decoder, {"score_threshold": min_score})
            chosen = replace(chosen, spec=replace(chosen.spec, decoder=decoder))
        if (batch := batch_of(chosen.model)) != 1:
            raise ModelError(
                f"{chosen.where}: a detector that finds parts takes one picture at a time, and this"
                f" one {batch}",
                "build it from a model of batch 1",
            )
        detection_decoder(chosen)  # Its errors come before anything is begun.
        return _Asked(chosen, class_ids(classes, chosen), FindObjects())

    def place(self, bundle: str) -> Path:
        """Where it is, or should be."""
        own = self._folder / bundle
        return own if own.exists() or not Path(bundle).exists() else Path(bundle)

    @contextmanager
    def opened(
        self, backend: str, threads: int, compiling: ShowProgress
    ) -> Iterator[tuple[str, ...]]:
        """Load every detector for the time of a run; gives what should be known of the engines.

        Raises ModelError or BackendError.
        """
        warnings: list[str] = []
        with ExitStack() as stack:
            for asked in self._asked.values():
                chosen = asked.chosen
                runs = load_backend_for(chosen.bundle, backend, threads, compiling)
                engine = runs.compile(chosen.model)
                session = stack.enter_context(closing(runs.open(engine)))
                pictures = stack.enter_context(
                    closing(pictures_of(session, chosen.spec.preprocess))
                )
                detector = replace(make_detector(chosen, session), pictures=pictures.runner)
                asked.stage.load(Found(detector, asked.classes))
                warnings += (*engine.warnings, *pictures.warnings)
            yield tuple(warnings)
