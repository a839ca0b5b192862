"""From an INT8 draft to an accuracy target: as few layers back in float as the target needs.

The search looks at one set of pictures and the result is verified on another, since what was
chosen by a set of pictures looks better on it than it is.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from edgesdk._progress import Progress
from edgesdk.accuracy import Measured
from edgesdk.accuracy.bootstrap import DRAWS
from edgesdk.build.draft import Draft
from edgesdk.build.ranking import Jury, rank_layers
from edgesdk.bundle import Recovery, RecoveryStep, TaskMetric
from edgesdk.model import Model
from edgesdk.quantize.fp16 import simulate_fp16
from edgesdk.quantize.layers import Layer

MOST_FLOAT = 0.5
"""Of the multiply-accumulates; where more would have to be float, INT8 is not worth it."""
LOOKS = 3
"""How often the verifying pictures may be looked at: each look wears them out a little."""
SPRING = 4
"""After a look that turned a result down, twice its layers or so many may go back at most."""
FINE = 0.01
"""Of the multiply-accumulates; a bisection that could save no more is not worth its measurement."""

Finish = Callable[[Model], Model]


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
    plain: str = "nothing given back"
    """What the graph without a layer given back is called."""
    _order: tuple[Layer, ...] = ()
    _drops: dict[int, float] = field(default_factory=dict)
    """Of the search pictures, by how many layers of the order are float."""

    def run(self) -> Recovered:
        """Search and verify."""
        goal, count = self.max_drop, 0
        if self._drop(0) > goal:
            self._rank()
            count = self._fewest(goal, 0, len(self._order))
        for look in range(LOOKS):
            graph = self.finish(self.draft.graph(self._names(count)))
            measured = self.verify.measure(simulate_fp16(graph), DRAWS, self.progress)
            metric = judging(measured)
            held = self._note(f"{self._title(self._names(count))}, verified", count, metric)
            if held or look == LOOKS - 1:
                break
            self._rank()
            if count == len(self._order):
                break
            # What these pictures show too much is taken off what the others may show.
            goal = self._drop(count) - (metric.relative_drop - self.max_drop)
            count = self._fewest(goal, count, min(max(2 * count, SPRING), len(self._order)))
        return Recovered(self._names(count), graph, measured, self._evidence(metric, held))

    def holds(self) -> bool:
        """Whether the search pictures allow the graph without a layer given back."""
        return self._drop(0) <= self.max_drop

    def _fewest(self, goal: float, above: int, most: int) -> int:
        """The least number of layers above `above` that holds on the search pictures, or `most`.

        Up to as many more as hold FINE of the work.
        """
        low, high = above, above + 1
        while high < most and self._drop(high) > goal:
            low, high = high, min(2 * high, most)
        while high - low > 1 and self._share(low) - self._share(high) > FINE:
            middle = (low + high) // 2
            low, high = (low, middle) if self._drop(middle) <= goal else (middle, high)
        return min(high, most)

    def _rank(self) -> None:
        """Put the layers in order, leaving out those with which too much would be float."""
        if self._order:
            return
        for layer in rank_layers(self.draft, self.search, self.progress):
            names = [one.node for one in (*self._order, layer)]
            if self.draft.int8_share(names) >= 1 - MOST_FLOAT:
                self._order = (*self._order, layer)

    def _share(self, count: int) -> float:
        return self.draft.int8_share(self._names(count))

    def _names(self, count: int) -> tuple[str, ...]:
        return tuple(layer.node for layer in self._order[:count])

    def _drop(self, count: int) -> float:
        """What the search pictures show, as a share of the float model's figure."""
        if count not in self._drops:
            names = self._names(count)
            metric = judging(self.search.measure(self.draft.graph(names), 0, self.progress))
            self._note(self._title(names), count, metric)
            self._drops[count] = metric.relative_drop
        return self._drops[count]

    def _title(self, names: Sequence[str]) -> str:
        if len(names) > 2:
            return f"{len(names)} in float, the last {names[-2]}, {names[-1]}"
        return f"{', '.join(names)} in float" if names else self.plain

    def _note(self, action: str, count: int, metric: TaskMetric) -> bool:
        """Write the attempt down; whether it stays within the target, for all that is known."""
        held = not self._refuted(metric)
        share = self._share(count)
        low, high = metric.drop_low, metric.drop_high
        self.steps.append(RecoveryStep(action, share, metric.bundle, metric.drop, low, high, held))
        return held

    def _refuted(self, metric: TaskMetric) -> bool:
        """Whether the pictures show that the drop is larger than the target allows.

        Where there is an interval, its lower end decides: a few pictures cannot show that a target
        of 1 % holds, and what they cannot tell from it is no reason to give more layers back.
        """
        drop = metric.drop if metric.drop_low is None else metric.drop_low
        return drop > self.max_drop * metric.float_model

    def _evidence(self, verified: TaskMetric, held: bool) -> Recovery:
        return Recovery(
            metric=verified.name,
            max_drop=self.max_drop * verified.float_model,
            reached=held,
            float_value=verified.float_model,
            pictures=self.search.count,
            steps=tuple(self.steps),
        )


def judging(measured: Measured) -> TaskMetric:
    """The figure that the target is about: of the labels, where there are any."""
    return measured.metrics[0]
