"""From a backbone, whatever it was trained for, to a graph that describes places of a picture."""

from __future__ import annotations

from collections.abc import Sequence

import onnx

from edgesdk.anomaly.graph import describe
from edgesdk.anomaly.layers import choose_layers
from edgesdk.anomaly.settings import Backbone
from edgesdk.errors import ModelError
from edgesdk.model import Model
from edgesdk.model.edit import only_outputs
from edgesdk.model.prepare import prepare

OPSET = 17
"""Of the graph: `edgesdk build` takes it to the target's."""


def describing(backbone: Backbone, wanted: Sequence[str]) -> tuple[Model, tuple[str, ...]]:
    """The graph that describes places, and the backbone's tensors that it does so by.

    The size of the pictures is that of the backbone's preprocessing, which need not be the one
    that it was exported with: only layers that take any size are kept. Raises ModelError for a
    backbone that does not take one picture or not this size, UnknownName for a tensor of `wanted`
    that it has not.
    """
    whole = _prepared(backbone)
    layers = choose_layers(whole, wanted, backbone.preprocess.height)
    resized = _resized(only_outputs(whole, layers), backbone)
    return describe(
        resized, choose_layers(resized, tuple(layers), backbone.preprocess.height)
    ), tuple(layers)


def _prepared(backbone: Backbone) -> Model:
    """At the size that it was exported with; that of the preprocessing where it takes any."""
    inputs = backbone.model.inputs
    if len(inputs) != 1 or len(inputs[0].shape) != 4 or inputs[0].shape[1] not in (3, "axis1"):
        found = ", ".join(map(str, inputs)) or "none"
        raise ModelError(
            f"a backbone takes one picture, float32[Nx3xHxW], and this model's inputs are {found}",
            "name an ONNX classifier or detector of pictures",
        )
    wanted = (1, 3, backbone.preprocess.height, backbone.preprocess.width)
    own = inputs[0].shape
    shape = tuple(size if isinstance(size, int) else wanted[i] for i, size in enumerate(own))
    return prepare(backbone.model, OPSET, {inputs[0].name: shape})


def _resized(model: Model, backbone: Backbone) -> Model:
    """With the preprocessing's size for its input."""
    proto = onnx.ModelProto()
    proto.CopyFrom(model.proto)
    sizes = (1, 3, backbone.preprocess.height, backbone.preprocess.width)
    for dim, size in zip(proto.graph.input[0].type.tensor_type.shape.dim, sizes, strict=True):
        dim.Clear()
        dim.dim_value = size
    return prepare(Model.of(proto, model.name), OPSET, {})
