"""Which pictures are in a bank: written into the graph, so that none of them sets a threshold."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

import numpy as np
import onnx
from numpy.typing import NDArray

from edgesdk.model import Model

KEY = "edgesdk.anomaly.learned"
DIGITS = 16
"""Of a SHA-256, as hexadecimal: two of a million pictures share them once in 37 million times."""


def picture_key(image: NDArray[np.uint8]) -> str:
    """Names a picture's content, BGR of shape (H, W, 3), wherever it is stored."""
    pixels = np.ascontiguousarray(image)
    return hashlib.sha256(f"{pixels.shape}".encode() + pixels.tobytes()).hexdigest()[:DIGITS]


def with_record(model: Model, learned: Iterable[str]) -> Model:
    """The same graph with the keys of the pictures in its bank among its metadata."""
    proto = onnx.ModelProto()
    proto.CopyFrom(model.proto)
    onnx.helper.set_model_props(proto, {KEY: "".join(learned)})
    return Model.of(proto, model.name)


def learned_pictures(model: Model) -> frozenset[str]:
    """Keys of the pictures that a fitted graph has learned; empty where it does not say."""
    text = next((p.value for p in model.proto.metadata_props if p.key == KEY), "")
    return frozenset(text[i : i + DIGITS] for i in range(0, len(text), DIGITS))
