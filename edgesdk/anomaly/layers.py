"""Which tensors of a backbone describe places of a picture."""

from __future__ import annotations

from collections.abc import Sequence

from edgesdk.errors import ModelError, UnknownName
from edgesdk.model import Model
from edgesdk.model.edit import value_shapes

STRIDES = (8, 16)
"""Pixels for each place: finer layers know edges only, coarser ones lose a small defect."""
COARSE = 32
"""Stride of the second layer on large pictures; the first has 16 then."""
MOST_PLACES = 32
"""To a side, at stride 8. On larger pictures coarser layers see the same share of the picture,
and know more (decision 34)."""

ACTIVATIONS = ("Relu", "Clip", "LeakyRelu", "HardSwish", "Sigmoid", "PRelu")

Maps = dict[str, tuple[int, ...]]
"""Tensor -> its shape (N, C, h, w)."""


def choose_layers(model: Model, wanted: Sequence[str], height: int) -> Maps:
    """The tensors in `wanted`, or what describes places of pictures of this `height` well.

    That is what enters the next coarser layers after strides 8 and 16, before it was widened for
    them; on large pictures after stride 16, and the last residual addition at stride 32. `model`
    is prepared, at a size of its own. Raises UnknownName for a tensor that is not there,
    ModelError for one that is no map and for a backbone without any.
    """
    maps = _maps(model)
    if not wanted:
        found = _before_strides(model, maps)
        coarse = _last_addition(model, maps)
        if coarse and height > MOST_PLACES * STRIDES[0]:
            del found[next(iter(found))]
            found |= coarse
        if not found:
            raise ModelError(
                "the backbone has no convolutional layers at strides 8 or 16 of its picture",
                "name tensors of shape (N, C, h, w) with --layers",
            )
        return found
    for name in wanted:
        if name not in maps:
            raise UnknownName("map (N, C, h, w) in the backbone", name, maps)
    return {name: maps[name] for name in wanted}


def _maps(model: Model) -> Maps:
    """Inner tensors that have places."""
    shapes = value_shapes(model)
    made = [name for node in model.proto.graph.node for name in node.output]
    return {n: shapes[n] for n in made if len(shapes.get(n, ())) == 4 and shapes[n][2] > 1}


def _before_strides(model: Model, maps: Maps) -> Maps:
    """The last tensor at each stride before the net goes on to the next coarser one.

    It is the richest at its stride, and in a detector it comes before the necks and heads, which
    know only what they were trained for.
    """
    height = int(model.inputs[0].shape[2])
    found: Maps = {}
    for stride in STRIDES:
        for node in model.proto.graph.node:
            source, target = maps.get(node.input[0]), maps.get(node.output[0])
            if source and target and _is_step(height, stride, source[2], target[2]):
                name = _narrowest(model, maps, node.input[0])
                found[name] = maps[name]
                break
    return found


def _last_addition(model: Model, maps: Maps) -> Maps:
    """The last residual addition at the coarse stride: what comes after it is for one task only."""
    places = -(-int(model.inputs[0].shape[2]) // COARSE)
    sums = [node.output[0] for node in model.proto.graph.node if node.op_type == "Add"]
    coarse = [name for name in sums if name in maps and maps[name][2] == places]
    return {name: maps[name] for name in coarse[-1:]}


def _narrowest(model: Model, maps: Maps, name: str) -> str:
    """What a layer that only widens was made of: it says the same in fewer channels.

    Inverted bottlenecks (MobileNetV2, EfficientNet) widen right before they stride.
    """
    producers = {out: node for node in model.proto.graph.node for out in node.output}
    found = name
    while name in producers and producers[name].input[0] in maps:
        node = producers[name]
        name = node.input[0]
        same_grid = maps[name][2:] == maps[found][2:]
        if not same_grid or node.op_type not in (*ACTIVATIONS, "Conv"):
            break
        if maps[name][1] < maps[found][1]:
            found = name
        elif node.op_type == "Conv":
            break
    return found


def _is_step(height: int, stride: int, source: int, target: int) -> bool:
    return source == -(-height // stride) and target == -(-height // (2 * stride))
