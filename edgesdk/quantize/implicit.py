"""From explicit Q/DQ to implicit INT8: a float graph, and the ranges beside it.

DLA of JetPack 5 and 6 (TensorRT 8.5, 8.6 and 10.3) knows no Q/DQ. There the ranges come by a
calibration cache, and TensorRT decides by itself what it runs in INT8. What the change costs:

- A layer is INT8 only when the ranges of all its tensors are known, its output's too. Pairs state
  those of inputs; `implicit_ranges` derives the others. A bundle of the recipe `dla` also records
  those that nothing says, of its last layers. Layers whose output stays unknown run in FP16 and
  are listed, and so are those whose output must not be rounded, by what the build measured: the
  heads of a detector, as a rule.
- TensorRT picks the scales of weights: amax / 127 of each output channel. The weights are those of
  the bundle, rounded and corrected; where the largest of a channel is 127 steps its scale comes out
  the same, and so do all its weights (`same_grid` says for how many channels).
- Nothing in the graph says any more what stays in float. `pinned` has what must be said to TensorRT
  beside it.
- An INT8 output is rounded also where the bundle hands it on in float.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import onnx
from onnx import numpy_helper

from edgesdk.bundle import Bundle, ImplicitRange, Precision
from edgesdk.errors import ModelError
from edgesdk.model import Model
from edgesdk.model.quantized import strip_quantization
from edgesdk.model.widen import widen
from edgesdk.quantize.groups import moves_on_gpu
from edgesdk.quantize.implicit_ranges import (
    FUSED,
    derive_ranges,
    end_of_kernel,
    missing_ranges,
)
from edgesdk.quantize.int8 import LEVELS


@dataclass(frozen=True)
class Implicit:
    """A model for implicit INT8."""

    model: Model
    """Float32, without Q/DQ; its weights are what the bundle's integers stand for."""
    ranges: dict[str, float]
    """Tensor -> amax, in the order of the graph."""
    derived: dict[str, str]
    """Tensors of `ranges` that no pair stated -> the node that their range follows from."""
    lost: dict[str, str]
    """Nodes that are INT8 in the bundle and cannot be here -> why."""
    pinned: dict[str, Precision]
    """Nodes that are float in the bundle and that TensorRT must be told to keep so: "fp16" where
    all ranges are known, "fp32" where FP16 breaks them."""
    same_grid: float
    """Share of the weights' channels, 0..1, whose scale TensorRT finds as the bundle has it."""

    @property
    def warnings(self) -> tuple[str, ...]:
        """What it costs beside the bundle, in sentences."""
        return tuple(_warnings(self))


def implicit_form(bundle: Bundle) -> Implicit:
    """The implicit form of an INT8 bundle.

    Raises ModelError when the bundle has no INT8, or computes with integers in another form.
    """
    manifest = bundle.manifest
    calibration = manifest.calibration
    known: dict[str, float] = {}
    recorded: Mapping[str, ImplicitRange] = {}
    if calibration is not None:
        moved = {*calibration.balanced}  # their ranges are not those of the tensors in the graph
        known = {t: r.amax for t, r in calibration.ranges.items() if t not in moved and r.amax > 0}
        recorded = calibration.implicit_ranges
    return make_implicit(bundle.model(), known, manifest.islands, recorded)


def make_implicit(
    model: Model,
    known: Mapping[str, float] | None = None,
    islands: Mapping[str, str] | None = None,
    recorded: Mapping[str, ImplicitRange] | None = None,
) -> Implicit:
    """As `implicit_form`: `known` are ranges of tensors without a pair, `islands` nodes that FP16
    breaks -> why, `recorded` ranges for what neither pairs nor `known` say."""
    recorded = recorded or {}
    explicit = _float32(model)
    pairs = _pairs(explicit.proto.graph)
    if not pairs:
        raise ModelError(
            "the model has no QuantizeLinear: nothing in it is INT8",
            "build it with --precision int8",
        )
    int8_nodes = _int8_nodes(explicit.proto.graph)
    bare = strip_quantization(explicit)
    stripped = Model.of(onnx.shape_inference.infer_shapes(bare.proto), model.name)
    present = _tensors(stripped)
    given = {t: amax for t, amax in pairs.items() if t in present}
    allowed = {t: r.amax for t, r in recorded.items() if not r.reason}
    found = derive_ranges(stripped, given, int8_nodes, known or {}, allowed)
    lost = {
        node: _why_lost(stripped, tensor, recorded)
        for node, tensor in missing_ranges(stripped, int8_nodes, found.ranges)
    }
    names = {node.name for node in stripped.proto.graph.node}
    pinned: dict[str, Precision] = dict.fromkeys(
        _could_be_int8(stripped, int8_nodes, found.ranges), "fp16"
    )
    pinned |= dict.fromkeys([node for node in islands or () if node in names], "fp32")
    return Implicit(
        model=stripped,
        ranges={t: found.ranges[t] for t in present if t in found.ranges},
        derived=found.sources,
        lost=lost,
        pinned=pinned,
        same_grid=_same_grid(explicit.proto.graph),
    )


def _why_lost(model: Model, tensor: str, recorded: Mapping[str, ImplicitRange]) -> str:
    found = recorded.get(end_of_kernel(model, tensor), recorded.get(tensor))
    if found is None:
        return f"the range of {tensor!r} is not known"
    return f"{tensor!r}: {found.reason}"


def _float32(model: Model) -> Model:
    """FP16 tensors become float32 before pairs go, so that no weight is rounded to FP16."""
    proto = onnx.ModelProto()
    proto.CopyFrom(model.proto)
    widen(proto)
    _bypass_identities(proto.graph)
    return Model.of(proto, model.name)


def _bypass_identities(graph: onnx.GraphProto) -> None:
    """Casts to FP16 and back have become Identity: DLA has none."""
    outputs = {value.name for value in graph.output}
    made = {name for node in graph.node for name in node.output}
    names: dict[str, str] = {}
    kept = []
    for node in graph.node:
        source, target = (node.input[0], node.output[0]) if node.op_type == "Identity" else ("", "")
        source = names.get(source, source)
        if source and target not in outputs:
            names[target] = source
        elif source in made and source not in outputs and source not in names:
            names[source] = target
        else:
            kept.append(node)
    for node in kept:
        for part in (node.input, node.output):
            for index, name in enumerate(part):
                part[index] = _final(names, name)
    copies = [onnx.NodeProto.FromString(node.SerializeToString()) for node in kept]
    del graph.node[:], graph.value_info[:]
    graph.node.extend(copies)


def _final(names: Mapping[str, str], name: str) -> str:
    while name in names:
        name = names[name]
    return name


def _pairs(graph: onnx.GraphProto) -> dict[str, float]:
    """Quantized activation -> amax; of two pairs on one tensor the wider."""
    constants = {t.name: t for t in graph.initializer}
    found: dict[str, float] = {}
    for node in graph.node:
        if node.op_type == "QuantizeLinear" and node.input[1] in constants:
            scale = float(numpy_helper.to_array(constants[node.input[1]]).max())
            found[node.input[0]] = max(scale * LEVELS, found.get(node.input[0], 0.0))
    return found


def _int8_nodes(graph: onnx.GraphProto) -> set[str]:
    """Nodes that read a dequantized activation."""
    quantized = {n.output[0] for n in graph.node if n.op_type == "QuantizeLinear"}
    dequantized = {
        n.output[0]
        for n in graph.node
        if n.op_type == "DequantizeLinear" and n.input[0] in quantized
    }
    return {n.name for n in graph.node if dequantized & set(n.input)}


def _tensors(model: Model) -> list[str]:
    """Inputs and computed tensors, in the order of the graph."""
    graph = model.proto.graph
    return [v.name for v in graph.input] + [out for node in graph.node for out in node.output]


def _could_be_int8(
    model: Model, int8_nodes: set[str], ranges: Mapping[str, float]
) -> Iterator[str]:
    """Float operators whose ranges all happen to be known: TensorRT would take them for INT8."""
    others = {
        node.name
        for node in model.proto.graph.node
        if node.name not in int8_nodes and not moves_on_gpu(node) and node.op_type not in FUSED
    }
    unsure = {name for name, _ in missing_ranges(model, others, ranges)}
    return (n.name for n in model.proto.graph.node if n.name in others - unsure)


def _same_grid(graph: onnx.GraphProto) -> float:
    """Share of the channels of stored weights whose largest is 127 steps."""
    constants = {t.name: numpy_helper.to_array(t) for t in graph.initializer}
    full = channels = 0
    for node in graph.node:
        if node.op_type == "DequantizeLinear" and node.input[0] in constants:
            steps = np.abs(constants[node.input[0]].astype(np.int16))
            axis = next((a.i for a in node.attribute if a.name == "axis"), 1)
            one = constants[node.input[1]].size == 1
            rows = steps.reshape(1, -1) if one else np.moveaxis(steps, axis, 0)
            largest = rows.reshape(len(rows), -1).max(axis=1)
            full += int(((largest == LEVELS) | (largest == 0)).sum())
            channels += len(largest)
    return full / channels if channels else 1.0


def _warnings(implicit: Implicit) -> Iterator[str]:
    lost = implicit.lost
    if lost:
        node, why = next(iter(lost.items()))
        run = "operators run" if len(lost) > 1 else "operator runs"
        yield (
            f"{len(lost)} {run} in FP16 and not in INT8 as in the bundle: {node}: {why}"
            + (f", and {len(lost) - 1} more" if len(lost) > 1 else "")
        )
    if implicit.pinned:
        yield (
            f"{len(implicit.pinned)} operators must be kept in float by layer precisions: "
            f"{', '.join(list(implicit.pinned)[:4])}"
        )
    if implicit.same_grid < 1:
        yield (
            f"TensorRT finds the bundle's own scale for {implicit.same_grid:.1%} of the weights' "
            "channels; the others it rounds again"
        )
