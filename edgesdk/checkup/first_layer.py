"""What the first layer was trained to see: the statistics in its BatchNormalization.

Running mean and variance are those of the first convolution's output on the training pictures.
Where the graph still has them, the same figures on the calibration pictures should be close. Most
exports have the BatchNormalization folded away; then there is nothing to compare with.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import onnx
from numpy.typing import NDArray

from edgesdk.model import Model
from edgesdk.model.edit import initializers
from edgesdk.tensors import Array

Reals = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class FirstNorm:
    """The BatchNormalization after the first convolution."""

    node: str
    tensor: str
    """Its input, of shape (N, C, ...)."""
    mean: Reals
    """Running mean, shape (C,)."""
    std: Reals
    """Root of the running variance, shape (C,)."""


def first_norm(model: Model) -> FirstNorm | None:
    """The BatchNormalization that reads a convolution that reads the model's input."""
    weights = initializers(model)
    near = _from_input(model)
    convolved = {
        node.output[0]
        for node in model.proto.graph.node
        if node.op_type == "Conv" and node.input[0] in near
    }
    for node in model.proto.graph.node:
        if node.op_type == "BatchNormalization" and node.input[0] in convolved:
            if not {node.input[3], node.input[4]} <= weights.keys():
                return None
            mean, variance = (
                onnx.numpy_helper.to_array(weights[name]).astype(np.float64)
                for name in node.input[3:5]
            )
            return FirstNorm(node.name, node.input[0], mean, np.sqrt(variance.clip(1e-12)))
    return None


def _from_input(model: Model) -> set[str]:
    """The input, and what is the input in another order or on another scale."""
    passing = {"Slice", "Concat", "Pad", "Transpose", "Sub", "Mul", "Div", "Add", "Cast"}
    passing |= {"SpaceToDepth", "Reshape", "Identity"}
    near = {spec.name for spec in model.inputs}
    constants = set(initializers(model))
    for node in model.proto.graph.node:
        read = {name for name in node.input if name}
        if node.op_type in passing and read <= near | constants and read & near:
            near.update(node.output)
    return near


class NormObserver:
    """Mean and variance of the first convolution's output, by channel, over many pictures."""

    def __init__(self, norm: FirstNorm) -> None:
        self._norm = norm
        self._count = 0
        self._sum = np.zeros_like(norm.mean)
        self._squares = np.zeros_like(norm.mean)

    def add(self, values: Array) -> None:
        """The tensor of one run, shape (N, C, ...)."""
        rows = np.moveaxis(values, 1, 0).reshape(values.shape[1], -1).astype(np.float64)
        self._count += rows.shape[1]
        self._sum += rows.sum(axis=1)
        self._squares += np.square(rows).sum(axis=1)

    @property
    def deviation(self) -> float:
        """Mean over channels of |mean - running mean| + |std - running std|, in running stds."""
        count = max(self._count, 1)
        mean = self._sum / count
        std = np.sqrt(np.maximum(self._squares / count - mean * mean, 0))
        apart = np.abs(mean - self._norm.mean) + np.abs(std - self._norm.std)
        # A channel that hardly moved in training has no scale to measure in: the median's, then.
        scale = np.maximum(self._norm.std, 0.01 * np.median(self._norm.std))
        return float(np.mean(apart / np.maximum(scale, 1e-12)))
