"""Islands: the nodes whose values, as calibration saw them, do not fit float16."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod

import onnx

from edgesdk.model import Model
from edgesdk.model.edit import value_shapes
from edgesdk.quantize.fp16.bounds import upper_bounds
from edgesdk.quantize.fp16.constants import LIMIT, is_mask, mask_cone, unfit_nodes
from edgesdk.quantize.fp16.graph import PAIR, SHAPE_ONLY, View
from edgesdk.quantize.fp16.normalisation import is_square, normalisations
from edgesdk.quantize.fp16.ports import Ports

HEADROOM = 8
"""Twice for pictures that calibration did not see, four times for the sums inside a layer, which
may pass beyond the result before they come back to it."""
LARGEST = LIMIT / HEADROOM
SMALLEST = 2.0**-14
"""Smallest normal float16. A tensor that stays below has only 2**-24 as its step."""
GROWTH = 2
"""A picture that calibration did not see may have values twice as large."""
FACTORS = frozenset(
    {"Conv", "ConvTranspose", "Gemm", "MatMul", "Mul", "Div", "Reciprocal", "Log", "Sqrt", "Pow"}
)
"""Operators whose result depends on the relative error of what they read."""
AVERAGES = frozenset({"ReduceMean", "GlobalAveragePool"})
SQUARING = frozenset(
    {"InstanceNormalization", "GroupNormalization", "LpNormalization", "MeanVarianceNormalization"}
)
"""They sum squares inside. LayerNormalization does so in float32, by ONNX's definition."""


def find_islands(model: Model, largest: Mapping[str, float]) -> dict[str, str]:
    """Node -> why it has to stay float32, in a sentence for people.

    `model` is the prepared float32 model; `largest` holds the largest magnitude that calibration
    saw of each tensor of `tensors_to_watch`. A tensor without one says nothing. The nodes of
    one normalisation stay together. Hand the names to `write_fp16` as `keep`.
    """
    view = View(model)
    reasons = unfit_nodes(view, Ports(model.opset))
    judge = _Judge(view, upper_bounds(view, largest), value_shapes(model), _masked(view))
    for node in view.nodes:
        if node.name in reasons or node.op_type in (*PAIR, *SHAPE_ONLY):
            continue
        reason = "" if view.is_exact(node) else judge.reason(node)
        if reason:
            reasons[node.name] = reason
    for nodes in normalisations(view):
        first = next((reasons[n.name] for n in nodes if n.name in reasons), "")
        for node in nodes if first else ():
            reasons.setdefault(node.name, f"one normalisation with its neighbours: {first}")
    return reasons


def _masked(view: View) -> frozenset[str]:
    """Tensors that are huge only where a mask takes entries out; they may saturate."""
    found: set[str] = set()
    for node in view.nodes:
        for _, name in view.float_inputs(node):
            if name in view.constants and is_mask(view, node, view.constants[name]):
                found.add(name)
                found |= {out for reader in mask_cone(view, node) for out in reader.output}
    return frozenset(found)


@dataclass(frozen=True)
class _Judge:
    """Judges nodes by the magnitudes around them."""

    view: View
    bounds: Mapping[str, float]
    shapes: Mapping[str, tuple[int, ...]]
    masked: frozenset[str]

    def reason(self, node: onnx.NodeProto) -> str:
        """Why a node does not fit float16; empty if it does."""
        made = [n for n in self.view.float_outputs(node) if n not in self.masked]
        read = [n for _, n in self.view.float_inputs(node) if n not in self.view.constants]
        read = [n for n in read if n not in self.masked]
        return (
            next((r for n in made if (r := self._range(n, "gives"))), "")
            or next((r for n in read if (r := self._range(n, "reads", node))), "")
            or self._growth(node, read)
            or self._sum(node, read)
        )

    def _range(self, name: str, verb: str, node: onnx.NodeProto | None = None) -> str:
        value = self.bounds.get(name)
        if value is None:
            return ""
        if not value <= LARGEST:  # NaN too
            return (
                f"it {verb} values up to {value:.4g} ({name!r}); FP16 ends at {LIMIT:.0f}, "
                f"and 1/{HEADROOM} of that is safe"
            )
        needs_bits = node is None or node.op_type in FACTORS
        if 0 < value < SMALLEST and needs_bits:
            return (
                f"it {verb} values of {value:.2g} at most ({name!r}); "
                f"below {SMALLEST:.1g} FP16 has few bits"
            )
        return ""

    def _growth(self, node: onnx.NodeProto, read: list[str]) -> str:
        """Where a value twice as large gives far more than twice the result."""
        made = self.bounds.get(node.output[0])
        if made is None or not read:
            return ""
        if node.op_type == "Exp":
            grown = max(made, 1.0) ** GROWTH
        elif is_square(self.view, node):
            grown = made * GROWTH**2
        elif node.op_type == "Pow":
            exponent = self.bounds.get(node.input[1], 1.0)
            grown = made * float(GROWTH) ** min(exponent, LIMIT)
        else:
            return ""
        if grown <= LIMIT:
            return ""
        return (
            f"{node.op_type} gives {made:.4g}, and {grown:.2g} for values {GROWTH} times as large, "
            f"beyond FP16's {LIMIT:.0f}"
        )

    def _sum(self, node: onnx.NodeProto, read: list[str]) -> str:
        """Sums that are formed inside an operator and are not among its results."""
        if not read:
            return ""
        into = self.shapes.get(read[0], ())
        largest = self.bounds.get(read[0], 0.0)
        if node.op_type in AVERAGES:
            out = self.shapes.get(node.output[0], ())
            count = prod(into) // max(prod(out), 1) if into else 1
            total = count * self.bounds.get(node.output[0], 0.0)
            what = f"the sum of {count} values, before it is divided"
        elif node.op_type == "Softmax":
            axis = next((a.i for a in node.attribute if a.name == "axis"), -1)
            total = float(into[axis]) if into else 0.0
            what = f"the sum over {into[axis] if into else 0} exponentials"
        elif node.op_type == "ReduceL2":
            total = self.bounds.get(node.output[0], 0.0) ** 2
            what = "the sum of squares inside"
        elif node.op_type in SQUARING:
            total, what = largest**2, "a square inside"
        else:
            return ""
        if total <= LARGEST:
            return ""
        return f"{what} reaches {total:.2g}; FP16 ends at {LIMIT:.0f}"
