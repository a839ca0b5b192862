"""Where INT8 begins and ends: which layers, and which inputs of other operators.

The rules are those of NVIDIA's guide to explicit quantization: pairs on the inputs of layers with a
constant weight, none on their outputs, so that a layer fuses with its activation; on a residual
addition only on the branch that skips. What lies behind the last layers (decoders, box arithmetic,
softmax, joined outputs) has no layers of its own, so it stays in float; two kinds of operators that
look like layers there are told apart by what they read and hold.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import onnx
from onnx import numpy_helper

from edgesdk.calibration.recipe import RulesName
from edgesdk.errors import UsageError
from edgesdk.model import Model
from edgesdk.model.edit import initializers
from edgesdk.quantize.branch import Branch, residual_branches
from edgesdk.quantize.dla import dla_inputs, unfit_layers
from edgesdk.quantize.groups import SHAPE_ONLY
from edgesdk.quantize.layers import Layer, find_layers

DECODER_VALUES = 1024
"""A constant of a decoder is small."""


@dataclass(frozen=True)
class Placement:
    """What shall be INT8."""

    layers: tuple[Layer, ...]
    left: dict[str, str]
    """Operators that could be INT8 and stay in float -> why."""
    branches: tuple[Branch, ...]
    """Skipping branches of residual additions; for DLA the inputs of all that is no layer."""
    float_layers: tuple[Layer, ...] = ()
    """Those of `left` that have a constant weight."""

    @property
    def watch(self) -> dict[str, int]:
        """Tensors whose range is needed -> axis of their channels."""
        tensors = {branch.tensor: 1 for branch in self.branches}
        return tensors | {layer.activation: layer.input_axis for layer in self.layers}


@dataclass(frozen=True)
class Wishes:
    """What the user says against the rules: regular expressions that match a node's whole name."""

    keep_float: tuple[str, ...] = ()
    force_int8: tuple[str, ...] = ()


def place(
    model: Model,
    operators: Sequence[str],
    wishes: Wishes | None = None,
    rules: RulesName = "gpu",
) -> Placement:
    """Decide for a prepared model. Raises UsageError for a wish that cannot be met."""
    wishes = wishes or Wishes()
    layers = find_layers(model, operators)
    left = _unfit(model, operators, layers)
    _check_wishes(wishes, [layer.node for layer in layers], left)
    decoding = _decoding(model, layers)
    decoding = {n: why for n, why in decoding.items() if not _matches(n, wishes.force_int8)}
    wished = {r.node: "asked for" for r in layers if _matches(r.node, wishes.keep_float)}
    stays = decoding | wished
    if rules == "dla":
        unfit = unfit_layers(model, layers)
        unfit = {n: why for n, why in unfit.items() if not _matches(n, wishes.force_int8)}
        stays = unfit | stays
    chosen = tuple(layer for layer in layers if layer.node not in stays)
    rest = tuple(layer for layer in layers if layer.node in stays)
    if rules == "gpu":
        return Placement(chosen, left | stays, residual_branches(model, chosen), rest)
    branches, without_pairs = dla_inputs(model, chosen)
    return Placement(chosen, without_pairs | left | stays, branches, rest)


def _matches(name: str, patterns: Iterable[str]) -> bool:
    return any(re.fullmatch(pattern, name) for pattern in patterns)


def _check_wishes(wishes: Wishes, names: Sequence[str], unfit: Mapping[str, str]) -> None:
    for pattern in (*wishes.keep_float, *wishes.force_int8):
        try:
            re.compile(pattern)
        except re.error as error:
            raise UsageError(
                f"{pattern!r} is not a regular expression: {error}",
                "in a name as it stands, put a backslash before . ( [ + * ? and |",
            ) from error
        if not any(re.fullmatch(pattern, name) for name in names):
            raise _no_match(pattern, names, unfit)
    for name in names:
        if _matches(name, wishes.keep_float) and _matches(name, wishes.force_int8):
            raise UsageError(
                f"{name!r} is wished both in float and in INT8",
                "take one of the two patterns back, or make it narrower",
            )


def _no_match(pattern: str, names: Sequence[str], unfit: Mapping[str, str]) -> UsageError:
    more = f" and {len(names) - 8} more" if len(names) > 8 else ""
    hint = f"the model's layers are {', '.join(names[:8])}{more}"
    other = next((name for name in unfit if re.fullmatch(pattern, name)), None)
    if other is not None:
        return UsageError(f"{other!r} cannot be INT8: {unfit[other]}", hint)
    return UsageError(f"no layer's name matches {pattern!r}", hint)


def _unfit(model: Model, operators: Sequence[str], layers: Sequence[Layer]) -> dict[str, str]:
    """Operators of the right kind that are no layers here."""
    found = {layer.node for layer in layers}
    weights = initializers(model)
    reasons = {}
    for node in model.proto.graph.node:
        if node.op_type in operators and node.name not in found:
            constant = node.input[1] in weights or node.input[0] in weights
            reasons[node.name] = (
                "its weight has a form that TensorRT's INT8 kernels do not take"
                if constant
                else "a product of two activations (attention), not of an activation and a weight"
            )
    return reasons


def _decoding(model: Model, layers: Sequence[Layer]) -> dict[str, str]:
    """Layers that are arithmetic of a decoder, not learned: no learned one follows them."""
    producers = {out: node for node in model.proto.graph.node for out in node.output}
    weights = initializers(model)
    by_node = {layer.node: layer for layer in layers}
    found: dict[str, str] = {}
    needed: set[str] = set()  # by the layers that are learned
    for node in reversed(model.proto.graph.node):
        if needed & set(node.output):
            needed |= set(node.input)
        elif node.name in by_node:
            why = _arithmetic(producers, weights, by_node[node.name])
            if why:
                found[node.name] = why
            else:
                needed |= set(node.input)
    return found


def _arithmetic(
    producers: Mapping[str, onnx.NodeProto], weights: Mapping[str, onnx.TensorProto], layer: Layer
) -> str:
    """Why a layer that nothing learned follows is a decoder's; empty: it is learned itself."""
    source = _origin(producers, layer.activation)
    if source is not None and source.op_type == "Softmax":
        return "reads a softmax: an expectation over bins, which a decoder takes"
    if _is_constant_of_a_decoder(numpy_helper.to_array(weights[layer.weight])):
        return "its weight holds whole and half numbers: arithmetic, not learned"
    return ""


def _origin(producers: Mapping[str, onnx.NodeProto], tensor: str) -> onnx.NodeProto | None:
    """The node that made the values of a tensor, past those that only move them."""
    node = producers.get(tensor)
    while node is not None and node.op_type in SHAPE_ONLY:
        node = producers.get(node.input[0])
    return node


def _is_constant_of_a_decoder(weight: np.ndarray) -> bool:
    doubled = 2 * weight.astype(np.float64)
    return bool(weight.size <= DECODER_VALUES and (doubled == np.rint(doubled)).all())
