"""Turns what two models said of the same pictures into figures."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from edgesdk._optional import require
from edgesdk.accuracy.agreement import NAME as AGREEMENT
from edgesdk.accuracy.agreement import BoxAgreement, Itself, OutputAgreement, sure_boxes
from edgesdk.accuracy.answers import Answer
from edgesdk.accuracy.bootstrap import compare
from edgesdk.accuracy.classification import AnswerTable
from edgesdk.accuracy.detection import PURPOSE, Card, CardTable, match
from edgesdk.accuracy.output_error import OutputError, Row
from edgesdk.accuracy.ranking_quality import ScoreTable
from edgesdk.accuracy.samples import Sample
from edgesdk.bundle import OutputAccuracy, TaskMetric
from edgesdk.detections import Detections
from edgesdk.errors import MissingExtra
from edgesdk.pictures import GOOD
from edgesdk.tensors import Array
from edgesdk.vision.inspected import Inspected

NO_DECODER = "no task metric: the spec names no decoder"
NO_LABELS = "no task metric: the pictures have no labels"
NO_BOXES = "no task metric: no box is labelled in any of the pictures"
NO_BAD = "no task metric: good and bad parts are needed, and the pictures are of one kind"
OTHER_LABELS = "no task metric: the labels are not of the kind that the decoder gives"


@dataclass(frozen=True, eq=False)
class Known:
    """All that is kept of one picture: some boxes and numbers, outputs while memory allows."""

    sample: Sample
    """Without its content."""
    answer: Answer
    card: Card | None
    """The float model's boxes against the labels."""
    outputs: dict[str, Array] | None
    """The float model's, by output; None: to be computed again."""


@dataclass(frozen=True, eq=False)
class Found:
    """What a candidate gave for a picture."""

    known: Known
    answer: Answer
    rows: dict[str, Row]
    """By output group."""


@dataclass(frozen=True)
class Judge:
    """Figures for one kind of decoder."""

    task: str
    """ "detect", "classify", "inspect" or empty: nothing decodes the outputs."""
    labelled: bool
    missing: str = ""
    """Why boxes cannot be matched, where they cannot."""

    @classmethod
    def of(cls, task: str, labelled: bool) -> Judge:
        """Finds out whether boxes can be matched."""
        try:
            if task == "detect":
                require("pycocotools.cocoeval", PURPOSE)
        except MissingExtra as error:
            return cls(task, labelled, f"no task metric: {error.message}; {error.hint}")
        return cls(task, labelled)

    def card(self, answer: Answer, sample: Sample) -> Card | None:
        """The boxes of one picture against its labels, where there are both."""
        if self.missing or sample.truth is None or not isinstance(answer, Detections):
            return None
        return match(answer, sample.truth)

    def outputs(self, found: Sequence[Found]) -> dict[str, OutputAccuracy]:
        """Numeric errors by output group."""
        errors: dict[str, OutputError] = defaultdict(OutputError)
        for one in found:
            for name, row in one.rows.items():
                errors[name].add_row(row)
        return {
            name: OutputAccuracy(e.sqnr_db, e.cosine, e.reference_std, e.other_std, e.flat)
            for name, e in errors.items()
        }

    def against_labels(
        self, found: Sequence[Found], draws: int, exact: bool
    ) -> tuple[tuple[TaskMetric, ...], str]:
        """Figures of the task, or why there are none."""
        if not self.task:
            return (), NO_DECODER
        if self.missing or not self.labelled:
            return (), self.missing or NO_LABELS
        if self.task == "classify":
            return self._classes(found, draws, exact)
        if self.task == "inspect":
            return self._scores(found, draws, exact)
        cards = [(one.known.card, self.card(one.answer, one.known.sample)) for one in found]
        pairs = [(a, b) for a, b in cards if a is not None and b is not None]
        if len(pairs) < len(cards):
            return (), OTHER_LABELS
        tables = CardTable([a for a, _ in pairs]), CardTable([b for _, b in pairs])
        metrics = compare(*tables, len(pairs), draws, exact=exact)
        return metrics, "" if metrics else NO_BOXES

    def agreement(self, found: Sequence[Found], draws: int, exact: bool) -> tuple[TaskMetric, ...]:
        """With the float model: by boxes or classes; by outputs where there are neither."""
        count = len(found)
        answers = [(one.answer, one.known.answer) for one in found]
        if self.task == "classify":
            same = AnswerTable([own == float_ for own, float_ in answers], AGREEMENT)
            return compare(Itself(), same, count, draws, exact=exact)
        if self.task == "detect" and not self.missing:
            boxes = [
                match(own, sure_boxes(float_))
                for own, float_ in answers
                if isinstance(own, Detections) and isinstance(float_, Detections)
            ]
            metrics = compare(Itself(), BoxAgreement(boxes), count, draws, exact=exact)
            if metrics:  # there are none where the float model is sure of nothing
                return metrics
        rows = OutputAgreement([list(one.rows.values()) for one in found])
        return compare(Itself(), rows, count, draws, exact=exact)

    def _scores(
        self, found: Sequence[Found], draws: int, exact: bool
    ) -> tuple[tuple[TaskMetric, ...], str]:
        """How well good and bad parts are told apart; class 0 is good."""
        if any(one.known.sample.class_id is None for one in found):
            return (), OTHER_LABELS
        bad = [one.known.sample.class_id != GOOD for one in found]
        pairs = [(one.known.answer, one.answer) for one in found]
        before = [a.score for a, _ in pairs if isinstance(a, Inspected)]
        after = [b.score for _, b in pairs if isinstance(b, Inspected)]
        tables = ScoreTable(before, bad), ScoreTable(after, bad)
        metrics = compare(*tables, len(found), draws, exact=exact)
        return metrics, "" if metrics else NO_BAD

    def _classes(
        self, found: Sequence[Found], draws: int, exact: bool
    ) -> tuple[tuple[TaskMetric, ...], str]:
        truth = [one.known.sample.class_id for one in found]
        if any(class_id is None for class_id in truth):
            return (), OTHER_LABELS
        pairs = list(zip(found, truth, strict=True))
        one = AnswerTable([f.known.answer == class_id for f, class_id in pairs])
        two = AnswerTable([f.answer == class_id for f, class_id in pairs])
        return compare(one, two, len(found), draws, exact=exact), ""
