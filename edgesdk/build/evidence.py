"""Measures what the bundle's graph answers against what the float model answers."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field

from edgesdk._progress import Progress
from edgesdk.accuracy import DetectionMetric, OutputError, TopOne
from edgesdk.backends import Backend, Session, opened
from edgesdk.build.feeds import FeedSource
from edgesdk.bundle import Accuracy, OutputAccuracy, TaskMetric
from edgesdk.errors import DataError, MissingExtra, ModelError
from edgesdk.geometry import Placement
from edgesdk.model import Model
from edgesdk.pictures import Picture, PictureSet
from edgesdk.spec import ModelSpec
from edgesdk.tensors import Array
from edgesdk.vision.decoders import Decoder, make_decoder, with_known

NO_DECODER = "no task metric: the spec names no decoder"
NO_LABELS = "no task metric: the pictures have no labels"
NOT_ONE_PICTURE = "no task metric: the model does not take one picture at a time"
MEASURING = {"score_threshold": 0.01, "max_detections": 100}
"""Settings of a detector's decoder while mAP is measured: it wants the faint boxes too."""


@dataclass(frozen=True)
class AccuracyMeter:
    """Compares two models on the same pictures, one picture at a time."""

    float_model: Model
    built: Model
    spec: ModelSpec | None
    """None: outputs are compared as numbers only."""
    backend: Backend
    progress: Progress

    def measure(self, pictures: PictureSet, held_out: bool) -> Accuracy:
        """Run both on all pictures. Raises ModelError when `built` gives NaN or infinity."""
        comparison = _Comparison(self._decoder(), len(self.spec.labels) if self.spec else 0)
        with opened(self.backend, self.float_model) as one, opened(self.backend, self.built) as two:
            for picture in self.progress(pictures, "measure", pictures.count):
                comparison.add(picture, *self._run(picture, one, two))
        metrics, note = comparison.metrics(pictures.labelled)
        return Accuracy(
            pictures.source,
            comparison.pictures,
            held_out,
            comparison.outputs(),
            metrics,
            note,
            dict(pictures.skipped),
        )

    def measure_feeds(self, feeds: FeedSource, held_out: bool) -> Accuracy:
        """Numeric evidence alone, for tensors and for groups of pictures."""
        comparison = _Comparison(None)
        with opened(self.backend, self.float_model) as one, opened(self.backend, self.built) as two:
            for name, feed in self.progress(feeds, "measure", feeds.count):
                comparison.add_outputs(name, one.run(feed), two.run(feed))
        return Accuracy(
            feeds.source,
            feeds.samples,
            held_out,
            comparison.outputs(),
            note=NOT_ONE_PICTURE,
            skipped=dict(feeds.skipped),
        )

    def _run(
        self, picture: Picture, one: Session, two: Session
    ) -> tuple[dict[str, Array], dict[str, Array], Placement]:
        assert self.spec is not None
        tensor, placement = self.spec.preprocess(picture.image)
        feed = {self.float_model.inputs[0].name: tensor}
        return one.run(feed), two.run(feed), placement

    def _decoder(self) -> Decoder | None:
        if not self.spec or not self.spec.decoder:
            return None
        table, where = self.spec.decoder, "the spec"
        decoder = make_decoder(table, where, self.spec.preprocess)
        if decoder.task == "detect":
            decoder = make_decoder(with_known(table, MEASURING), where, self.spec.preprocess)
        return decoder


@dataclass
class _Comparison:
    decoder: Decoder | None
    class_count: int = 0
    """As many as the spec names; 0: it names none."""
    pictures: int = 0
    errors: dict[str, OutputError] = field(default_factory=lambda: defaultdict(OutputError))
    boxes: tuple[DetectionMetric, DetectionMetric] = field(
        default_factory=lambda: (DetectionMetric(), DetectionMetric())
    )
    classes: tuple[TopOne, TopOne] = field(default_factory=lambda: (TopOne(), TopOne()))

    def add(
        self,
        picture: Picture,
        reference: Mapping[str, Array],
        other: Mapping[str, Array],
        placement: Placement,
    ) -> None:
        """Both models' outputs for one picture."""
        self.add_outputs(picture.name, reference, other)
        self._add_task(picture, (reference, other), placement)

    def add_outputs(
        self, feed: str, reference: Mapping[str, Array], other: Mapping[str, Array]
    ) -> None:
        """Only the numbers."""
        self.pictures += 1
        groups = self.decoder.groups if self.decoder else dict
        pairs = zip(groups(reference).items(), groups(other).values(), strict=True)
        for (name, expected), found in pairs:
            self.errors[name].add(expected, found)
        broken = [name for name, error in self.errors.items() if not error.finite]
        if broken:
            raise ModelError(
                f"the built graph gives NaN or infinity in {broken[0]!r} for {feed}",
                "FP16 overflows where values pass 65504: build it with --precision int8 or fp32",
            )

    def _add_task(
        self,
        picture: Picture,
        answers: tuple[Mapping[str, Array], Mapping[str, Array]],
        placement: Placement,
    ) -> None:
        if self.decoder is None:
            return
        self._check_classes(picture)
        if self.decoder.task == "detect" and picture.truth is not None:
            for metric, outputs in zip(self.boxes, answers, strict=True):
                metric.add(self.decoder.decode(outputs, placement), picture.truth)
        if self.decoder.task == "classify" and picture.class_id is not None:
            for top, outputs in zip(self.classes, answers, strict=True):
                top.add(self.decoder.decode(outputs, placement).scores, picture.class_id)

    def _check_classes(self, picture: Picture) -> None:
        given = [] if picture.truth is None else picture.truth.class_id.tolist()
        given += [] if picture.class_id is None else [picture.class_id]
        wrong = [c for c in given if not 0 <= c < self.class_count] if self.class_count else []
        if wrong:
            raise DataError(
                f"{picture.name} is labelled with class {wrong[0]}; "
                f"the spec names {self.class_count} classes, 0 to {self.class_count - 1}",
                "check that labels and spec belong to the same set of classes",
            )

    def outputs(self) -> dict[str, OutputAccuracy]:
        """Numeric errors by output group."""
        return {n: OutputAccuracy(e.sqnr_db, e.cosine) for n, e in self.errors.items()}

    def metrics(self, labelled: bool) -> tuple[tuple[TaskMetric, ...], str]:
        """Task metrics, or why there are none."""
        if self.decoder is None:
            return (), NO_DECODER
        if not labelled:
            return (), NO_LABELS
        pair = self.boxes if self.decoder.task == "detect" else self.classes
        try:
            before, after = (metric.result() for metric in pair)
        except MissingExtra as error:
            return (), f"no task metric: {error.message}; {error.hint}"
        return tuple(TaskMetric(n, v, after[n]) for n, v in before.items()), ""
