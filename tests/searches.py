"""Stand-ins for a draft and for the pictures that judge it, so that a search needs no model."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
from onnx import helper

from edgesdk.accuracy import Measured
from edgesdk.build.draft import Draft
from edgesdk.bundle import OutputAccuracy, TaskMetric
from edgesdk.model import Model
from edgesdk.quantize.fit import LayerFit
from edgesdk.quantize.layers import Layer
from edgesdk.quantize.qdq import Corrected
from tests.onnx_graphs import make_model

NONE = np.zeros(1, np.float32)
CORRECTED = Corrected(np.zeros(1, np.int8), NONE, NONE, NONE)


class HandMade(Draft):
    """Its graphs are an Identity; what is in float stands in the graph's description."""

    def graph(self, keep_float: Collection[str] = ()) -> Model:
        proto = onnx.ModelProto()
        proto.CopyFrom(self.model.proto)
        proto.graph.doc_string = " ".join(sorted(keep_float))
        return Model.of(proto)


def draft_of(macs: Mapping[str, int]) -> Draft:
    identity = helper.make_node("Identity", ["x"], ["y"], "identity")
    return HandMade(
        model=Model.of(make_model([identity], {}, {"x": [1, 1]}, ["y"])),
        layers=tuple(Layer(n, "Conv", "x", "w", 0, 1, 1, m) for n, m in macs.items()),
        branches=(),
        left={},
        amax={},
        fits={name: LayerFit(CORRECTED, 20.0, ()) for name in macs},
        carriers={},
        origins={},
    )


@dataclass
class Truth:
    """Stands for a Reference: each layer in INT8 costs so much of a figure that is 1 in float."""

    costs: Mapping[str, float]
    pictures: int = 10
    name: str = "mAP50-95"
    extra: float = 0.0
    """That these pictures show beside."""
    reach: float | None = None
    """Of the drop's interval to either side, where intervals are wanted; None: there is none."""
    asked: list[tuple[frozenset[str], Any, int]] = field(default_factory=list)
    """Layers in float, pictures, draws."""

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(f"{i}.jpg" for i in range(self.pictures))

    def measure(
        self, graph: Model, only: Sequence[int] | None = None, *, draws: int, progress: Any = None
    ) -> Measured:
        keep = frozenset(graph.proto.graph.doc_string.split())
        self.asked.append((keep, only, draws))
        cost = sum(cost for node, cost in self.costs.items() if node not in keep)
        cost += self.extra if cost else 0.0
        # Noise by the same measure: 0 dB for a cost of 1.
        sqnr = -10 * float(np.log10(cost)) if cost else None
        low = high = None
        if draws and self.reach is not None:
            low, high = cost - self.reach, cost + self.reach
        metric = TaskMetric(self.name, 1.0, 1.0 - cost, low, high)
        return Measured(self.pictures, {"y": OutputAccuracy(sqnr, 1.0)}, (metric,))

    @property
    def looks(self) -> list[frozenset[str]]:
        """What it was asked with intervals, which only a verification needs."""
        return [keep for keep, _, draws in self.asked if draws]


def layers(count: int, macs: int = 10) -> dict[str, int]:
    return {f"conv{i}": macs for i in range(count)}


def costs(count: int, bad: Mapping[int, float]) -> dict[str, float]:
    """A hair for each layer but the bad ones."""
    return {f"conv{i}": bad.get(i, 1e-6) for i in range(count)}
