"""Largest magnitudes of tensors: what must be observed, and what follows from that."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from edgesdk.model import Model
from edgesdk.model.edit import fresh, names_in, value_shapes
from edgesdk.quantize.fp16.graph import MOVES, PAIR, View, largest_of
from edgesdk.tensors import Array, Runner

WITHIN_ONE = frozenset({"Sigmoid", "HardSigmoid", "Softmax", "Tanh", "Erf", "Sin", "Cos"})
NOT_ABOVE_INPUT = frozenset(
    {
        *(MOVES - {"Concat"}),
        "Abs",
        "AveragePool",
        "Clip",
        "GlobalMaxPool",
        "HardSwish",
        "MaxPool",
        "Neg",
        "ReduceMax",
        "ReduceMin",
        "Relu",
        "Softsign",
    }
)
"""|f(x)| <= max|x|."""
NOT_ABOVE_LARGEST_INPUT = frozenset({"Concat", "Max", "Min", "Where"})


@dataclass(frozen=True)
class Peaks:
    """A graph that gives the largest magnitude of each tensor as one number.

    It is NaN for a tensor that holds NaN or infinity.
    """

    model: Model
    outputs: Mapping[str, str]
    """Tensor -> the output that holds its largest magnitude, a scalar."""

    def observe(self, runner: Runner, feeds: Iterable[Mapping[str, Array]]) -> dict[str, float]:
        """Tensor -> largest magnitude over all feeds. `runner` runs `model`."""
        largest = dict.fromkeys(self.outputs, 0.0)
        for feed in feeds:
            answers = runner.run(feed)
            for tensor, output in self.outputs.items():
                largest[tensor] = float(np.maximum(largest[tensor], answers[output]))  # NaN stays
        return largest


def tensors_to_watch(model: Model) -> dict[str, int]:
    """Tensor -> axis of its channels: the ranges that `find_islands` needs from calibration.

    Those that follow from others are left out: what only moves or clips values, what is
    bounded by 1, a product with such a factor. Inputs of the model are among them.
    """
    view = View(model)
    shapes = value_shapes(model)
    known = {value.name: 1.0 for value in model.proto.graph.input if value.name in view.floats}
    watched = list(known)
    for node in view.nodes:
        for name in view.float_outputs(node):
            if node.op_type in PAIR or name in view.independent:
                continue
            if _derived(view, node, known) is None:
                watched.append(name)
                known[name] = float("inf")
            else:
                known[name] = 1.0 if _is_within_one(view, node, known) else float("inf")
    return {name: _channels(shapes.get(name, ())) for name in watched}


def peaks(model: Model, tensors: Collection[str]) -> Peaks:
    """The same model with one number more for each tensor: cheap, nothing large leaves the graph.

    The smallest and largest value are taken inside the graph, so no tensor is copied out. On a
    graph of `simulate_fp16` it finds where FP16 overflows.
    """
    proto = onnx.ModelProto()
    proto.CopyFrom(model.proto)
    taken = names_in(proto.graph)
    zero = fresh("peaks_zero", taken)
    proto.graph.initializer.append(numpy_helper.from_array(np.zeros((), np.float32), zero))
    outputs = {}
    for tensor in tensors:
        outputs[tensor] = fresh(f"{tensor}_peak", taken)
        proto.graph.node.extend(_peak(tensor, outputs[tensor], zero, taken))
        value = helper.make_tensor_value_info(outputs[tensor], TensorProto.FLOAT, [])
        proto.graph.output.append(value)
    return Peaks(Model.of(proto, model.name), outputs)


def _peak(tensor: str, peak: str, zero: str, taken: set[str]) -> list[onnx.NodeProto]:
    """max(largest, -smallest) + 0 * sum: the last is NaN where a maximum would pass over NaN."""
    kinds = ("least", "most", "under", "largest", "sum", "nothing")
    least, most, under, largest, total, nothing = (fresh(f"{tensor}_{k}", taken) for k in kinds)
    steps: list[tuple[str, list[str], str]] = [
        ("ReduceMin", [tensor], least),
        ("ReduceMax", [tensor], most),
        ("ReduceSum", [tensor], total),
        ("Neg", [least], under),
        ("Max", [most, under], largest),
        ("Mul", [total, zero], nothing),
        ("Add", [largest, nothing], peak),
    ]
    return [
        helper.make_node(kind, read, [made], name=made)
        if not kind.startswith("Reduce")
        else helper.make_node(kind, read, [made], name=made, keepdims=0)
        for kind, read, made in steps
    ]


def upper_bounds(view: View, largest: Mapping[str, float]) -> dict[str, float]:
    """Largest magnitudes of all tensors for which one was observed or follows."""
    known = {name: largest_of(values) for name, values in view.constants.items()}
    known |= largest
    for node in view.nodes:
        bound = _derived(view, node, known)
        for name in view.float_outputs(node):
            if name not in known and bound is not None:
                known[name] = bound
    return known


def _derived(view: View, node: onnx.NodeProto, known: Mapping[str, float]) -> float | None:
    """A bound on what a node gives, from those of what it reads; None where none follows."""
    if node.op_type in WITHIN_ONE:
        return 1.0
    values = [_value(view, known, name) for _, name in view.float_inputs(node)]
    if node.op_type in NOT_ABOVE_INPUT:
        return values[0] if values else None
    if node.op_type == "LeakyRelu":
        slope = next((abs(a.f) for a in node.attribute if a.name == "alpha"), 0.01)
        return None if values[0] is None else values[0] * max(1.0, slope)
    present = [value for value in values if value is not None]
    if len(present) < len(values) or not present:
        return None
    if node.op_type in NOT_ABOVE_LARGEST_INPUT:
        return max(present)
    if node.op_type == "Resize" and _mode(node) != "cubic":
        return present[0]
    if node.op_type == "Mul" and min(present) <= 1:
        return present[0] * present[1]
    return None


def _value(view: View, known: Mapping[str, float], name: str) -> float | None:
    if name in known:
        return known[name]
    return largest_of(view.constants[name]) if name in view.constants else None


def _is_within_one(view: View, node: onnx.NodeProto, known: Mapping[str, float]) -> bool:
    bound = _derived(view, node, known)
    return bound is not None and bound <= 1


def _mode(node: onnx.NodeProto) -> str:
    return next((a.s.decode() for a in node.attribute if a.name == "mode"), "nearest")


def _channels(shape: tuple[int, ...]) -> int:
    """Pictures have their channels on axis 1, sequences of tokens on the last."""
    return 1 if len(shape) >= 4 else max(len(shape) - 1, 0)
