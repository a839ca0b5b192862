"""Which constants survive rounding to float16, and which nodes must stay float32 if they do not.

float16 has 11 bits, ends at 65504, and below 2**-14 (6.1e-5) it has fixed steps of 2**-24.
"""

from __future__ import annotations

import numpy as np
import onnx
from numpy.typing import NDArray

from edgesdk.quantize.fp16.graph import MOVES, PAIR, View, largest_of
from edgesdk.quantize.fp16.normalisation import protected_by
from edgesdk.quantize.fp16.ports import Ports
from edgesdk.tensors import Floats

LIMIT = float(np.finfo(np.float16).max)
MASK = -LIMIT / 2
"""What "minus infinity" of an attention mask becomes: scores of up to as much can be added to it
without overflow, and its exponential is still 0."""
FIRST_OPSET = 19
"""Before it, QuantizeLinear and DequantizeLinear know only float32."""
LEVELS = 127
HALF_STEP = 2.0**-11
"""Largest relative error of rounding to a normal float16 number."""
DEAD = 2.0**-20
"""A channel whose weights are that much smaller than those of the largest one gives nothing."""
LOST_POWER = 1e-6
"""A factor may lose this share of its power, -60 dB; rounding normal numbers costs -73 dB."""

COMPARISONS = ("Greater", "GreaterOrEqual", "Less", "LessOrEqual", "Equal")
BOUNDS: dict[str, tuple[int, ...]] = {
    "Clip": (1, 2),
    "Pad": (2,),
    "Max": (0, 1),
    "Min": (0, 1),
    **dict.fromkeys(COMPARISONS, (0, 1)),
}
"""Inputs that are limits: FLT_MAX stands for "none", and no float16 number lies beyond."""
SUMMANDS: dict[str, tuple[int, ...]] = {
    "Add": (0, 1),
    "Sub": (0, 1),
    "Where": (1, 2),
    "Conv": (2,),
    "ConvTranspose": (2,),
    "Gemm": (2,),
    "BatchNormalization": (2, 3),
    "InstanceNormalization": (2,),
    "LayerNormalization": (2,),
    "GroupNormalization": (2,),
}
"""Inputs whose small values may become 0, because they are added to larger ones."""
EPSILON_INSIDE = ("BatchNormalization", "InstanceNormalization", "GroupNormalization")
"""LayerNormalization adds its epsilon in float32, by ONNX's definition."""
MASK_PATH = MOVES | {"Add", "Sub", "Mul", "Div", "Where", "Cast"}


def representable_scale(scale: Floats) -> Floats:
    """The nearest float16 numbers that are not smaller, as float32.

    Rounded up, so that the range still holds its largest value: by 2**-10 at most, or for scales
    below 2**-14, by 1/8 at most. A quantizer that rounds its scales so before it rounds weights
    writes a graph whose scales become float16 without any change. A dead channel, a millionth of
    the tensor's largest, gets the smallest float16: its weights then round to 0. What does not
    fit comes back as it was, and keeps its layer in float32.
    """
    with np.errstate(over="ignore", under="ignore"):
        half = scale.astype(np.float16)
    up = np.where(half < scale, np.nextafter(half, np.float16(np.inf)), half).astype(np.float32)
    dead = scale < largest_of(scale) * DEAD
    fits = np.isfinite(up) & ((up <= scale * 1.125) | dead)
    chosen: Floats = np.where(fits, up, scale).astype(np.float32)
    return chosen


def scale_survives(scale: Floats) -> bool:
    """Whether float16 keeps a scale to its 11 bits and 127 steps of it below 65504."""
    if not scale.size or largest_of(scale) * LEVELS > LIMIT:
        return False
    half = scale.astype(np.float16).astype(np.float64)
    return bool((np.abs(half - scale) <= HALF_STEP * scale).all())


def to_half(values: Floats, mask: bool) -> NDArray[np.float16]:
    """Rounded; what lies beyond is a limit and becomes the largest number, or the mask's."""
    low = MASK if mask and values.min(initial=0) < -LIMIT else -LIMIT
    return np.clip(values, low, LIMIT).astype(np.float16)


def is_mask(view: View, node: onnx.NodeProto, values: Floats) -> bool:
    """Whether huge negative constants here only take entries out of a Softmax."""
    beyond = values[np.abs(values) > LIMIT]
    return beyond.size > 0 and bool((beyond < 0).all()) and bool(mask_cone(view, node))


def unfit_nodes(view: View, ports: Ports) -> dict[str, str]:
    """Node -> why its constants keep it in float32, in a sentence for people."""
    found: dict[str, str] = {}
    for node in view.nodes:
        if node.op_type in PAIR:
            found |= _unfit_pair(view, node)
            continue
        if node.op_type in EPSILON_INSIDE and (epsilon := _epsilon(node)):
            found[node.name] = f"its epsilon {epsilon:.2g} is 0 in FP16"
        for index, name in view.float_inputs(node):
            if name in view.constants and ports.half_input(node, index):
                reason = _unfit(view, node, index, name)
                names = [n.name for n in protected_by(view, node)] if "epsilon" in reason else []
                found |= {n: reason for n in (node.name, *names) if reason and n not in found}
    return found


def _unfit(view: View, node: onnx.NodeProto, index: int, name: str) -> str:
    values = view.constants[name]
    is_bound = index in BOUNDS.get(node.op_type, ())
    is_summand = is_bound or index in SUMMANDS.get(node.op_type, ())
    if not is_bound and largest_of(values) > LIMIT and not is_mask(view, node, values):
        return f"its constant {name!r} holds {largest_of(values):.4g}, beyond FP16's {LIMIT:.0f}"
    half = to_half(values, mask=False)
    if is_summand:
        vanishes = values.size == 1 and values.any() and not half.any()
        return f"the epsilon {float(values.max()):.2g} ({name!r}) is 0 in FP16" if vanishes else ""
    if _lost_power(values, half) > LOST_POWER:
        return f"its constant {name!r} is too small for FP16: at most {largest_of(values):.2g}"
    return ""


def _lost_power(values: Floats, half: NDArray[np.float16]) -> float:
    """The rounding's share of a constant's power; 0 for a constant of zeros."""
    finite = np.clip(values, -LIMIT, LIMIT)
    largest = largest_of(finite)
    if largest == 0:
        return 0.0
    scaled = (finite / largest).ravel()  # squares of 1e-30 would be 0
    lost = scaled - half.ravel().astype(np.float32) / largest
    return float(np.dot(lost, lost) / np.dot(scaled, scaled))


def _epsilon(node: onnx.NodeProto) -> float:
    """The epsilon in a node's attributes, if float16 has no such number; else 0."""
    value = next((float(a.f) for a in node.attribute if a.name == "epsilon"), 0.0)
    return 0.0 if np.float16(value) else value


def _unfit_pair(view: View, node: onnx.NodeProto) -> dict[str, str]:
    """A QuantizeLinear stays float32 by itself, a DequantizeLinear with the layers that read it."""
    scale = view.constants.get(node.input[1], np.ones(1, np.float32))
    if view.model.opset < FIRST_OPSET:
        reason = f"Q/DQ take only float32 in operator set {view.model.opset}"
    elif not scale_survives(scale):
        reason = f"the scale {node.input[1]!r} loses precision in FP16 (from {scale.min():.2g})"
    else:
        return {}
    if node.op_type == "QuantizeLinear":
        return {node.name: reason}
    return {reader.name: reason for reader in layers_of(view, node)}


def layers_of(view: View, node: onnx.NodeProto) -> list[onnx.NodeProto]:
    """The nodes that compute with a dequantized tensor, and those that move it there."""
    found: dict[str, onnx.NodeProto] = {}
    front = view.next_nodes(node)
    while front:
        reader = front.pop()
        if reader.op_type in MOVES and reader.name not in found:
            front += view.next_nodes(reader)
        found[reader.name] = reader
    return list(found.values())


def mask_cone(view: View, node: onnx.NodeProto) -> list[onnx.NodeProto]:
    """The nodes from one that reads a mask to the Softmax that it ends in; [] if it does not."""
    found: dict[str, onnx.NodeProto] = {}
    front = [node]
    while front:
        current = front.pop()
        if current.name in found:
            continue
        found[current.name] = current
        if current.op_type in ("Softmax", "ArgMax"):
            continue
        following = view.next_nodes(current)
        if current.op_type not in MASK_PATH or not following:
            return []
        front += following
    return list(found.values())
