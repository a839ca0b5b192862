"""From an INT8 draft to an accuracy target: as few layers back in float as the target needs.

The search looks at one set of pictures and the result is verified on another, since what was
chosen by a set of pictures looks better on it than it is.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from edgesdk._progress import Progress
from edgesdk.accuracy import Measured, Reference
from edgesdk.accuracy.bootstrap import DRAWS
from edgesdk.build.draft import Draft
from edgesdk.build.ranking import Ranked, rank_layers
from edgesdk.bundle import Recovery, RecoveryStep, TaskMetric
from edgesdk.model import Model
from edgesdk.quantize.fp16 import simulate_fp16
from edgesdk.quantize.layers import Layer

MOST_FLOAT = 0.5
"""Of the multiply-accumulates; where more would have to be float, INT8 is not worth it."""
LOOKS = 3
"""How often the verifying pictures may turn a result down: each look wears them out a little."""

Finish = Callable[[Model], Model]


@dataclass(frozen=True)
class Jury:
    """Some pictures of a reference."""

    reference: Reference
    only: Sequence[int] | None = None
    """Indices; None: all."""

    @property
    def count(self) -> int:
        """How many pictures."""
        return len(self.reference.names) if self.only is None else len(self.only)

    def measure(self, graph: Model, draws: int, progress: Progress) -> Measured:
        """What the graph costs on these pictures; without intervals where `draws` is 0."""
        return self.reference.measure(graph, self.only, draws=draws, progress=progress)


@dataclass(frozen=True)
class Recovered:
    """How a search ended."""

    keep_float: tuple[str, ...]
    """Layers given back."""
    graph: Model
    """As it is shipped."""
    measured: Measured
    """On the verifying pictures."""
    evidence: Recovery


@dataclass
class Search:
    """Finds which layers go back to float so that the drop stays within the target."""

    draft: Draft
    search: Jury
    """Pictures to choose by."""
    verify: Jury
    """Pictures that had no part in any choice."""
    max_drop: float
    """Largest drop allowed, as a share of the float model's figure, 0..1."""
    finish: Finish
    """Makes the graph that is shipped from one with Q/DQ and float32."""
    progress: Progress
    steps: list[RecoveryStep] = field(default_factory=list)
    _order: tuple[Layer, ...] = ()

    def run(self) -> Recovered:
        """Search and verify."""
        count = 0 if self._holds(0) else self._fewest(0)
        for look in range(LOOKS):
            graph = self.finish(self.draft.graph(self._names(count)))
            measured = self.verify.measure(simulate_fp16(graph), DRAWS, self.progress)
            metric = judging(measured)
            held = self._note(f"{_title(self._names(count))}, verified", count, metric)
            if held or count >= self._most() or look == LOOKS - 1:
                break
            count = self._fewest(count)
        return Recovered(self._names(count), graph, measured, self._evidence(metric, held))

    def _fewest(self, above: int) -> int:
        """The least number of layers above `above` that holds on the search pictures."""
        if not self._order:
            ranked = rank_layers(self.draft, self.search.reference, self.progress)
            self._order = _by_worth(self.draft, ranked)
        low, high = above, above + 1
        while high < self._most() and not self._holds(high):
            low, high = high, min(2 * high, self._most())
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (low, middle) if self._holds(middle) else (middle, high)
        return min(high, self._most())

    def _most(self) -> int:
        """How many layers of the order may be float at all."""
        count = len(self._order)
        while count > 1 and self.draft.int8_share(self._names(count)) < 1 - MOST_FLOAT:
            count -= 1
        return count

    def _names(self, count: int) -> tuple[str, ...]:
        return tuple(layer.node for layer in self._order[:count])

    def _holds(self, count: int) -> bool:
        names = self._names(count)
        measured = self.search.measure(self.draft.graph(names), 0, self.progress)
        return self._note(_title(names), count, judging(measured))

    def _note(self, action: str, count: int, metric: TaskMetric) -> bool:
        """Write the attempt down; whether it stays within the target."""
        held = metric.relative_drop <= self.max_drop
        share = self.draft.int8_share(self._names(count))
        low, high = metric.drop_low, metric.drop_high
        self.steps.append(RecoveryStep(action, share, metric.bundle, metric.drop, low, high, held))
        return held

    def _evidence(self, verified: TaskMetric, held: bool) -> Recovery:
        return Recovery(
            metric=verified.name,
            max_drop=self.max_drop * verified.float_model,
            reached=held,
            float_value=verified.float_model,
            pictures=self.search.count,
            steps=tuple(self.steps),
        )


def _by_worth(draft: Draft, ranked: Sequence[Ranked]) -> tuple[Layer, ...]:
    """What giving a layer back brings, against the root of its multiply-accumulates, best first.

    So of two layers that cost alike the smaller one goes first. Layers that were not ranked follow,
    the small ones first.
    """
    tried = sorted(ranked, key=lambda one: -one.noise / max(one.layer.macs, 1) ** 0.5)
    known = {one.layer.node for one in ranked}
    others = sorted((x for x in draft.layers if x.node not in known), key=lambda x: x.macs)
    return (*(one.layer for one in tried), *others)


def judging(measured: Measured) -> TaskMetric:
    """The figure that the target is about: of the labels, where there are any."""
    return measured.metrics[0]


def _title(names: Sequence[str]) -> str:
    if not names:
        return "all layers in INT8"
    shown = ", ".join(names[-2:])
    return f"{len(names)} in float, the last {shown}" if len(names) > 2 else f"{shown} in float"
