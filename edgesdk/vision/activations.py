"""From logits to scores, where the graph leaves that to its reader."""

from __future__ import annotations

import numpy as np

from edgesdk.tensors import Floats


def sigmoid(logits: Floats) -> Floats:
    """1 / (1 + exp(-x)) of each, in a form that cannot overflow."""
    scores: Floats = np.float32(0.5) * (np.float32(1) + np.tanh(logits * np.float32(0.5)))
    return scores


def softmax(logits: Floats) -> Floats:
    """Scores that add up to 1 along the last axis."""
    # The largest is taken off so that exp cannot overflow; the ratio stays the same.
    powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
    scores: Floats = powers / powers.sum(axis=-1, keepdims=True)
    return scores
