"""Batches from pictures of several sources."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
import torch

from training.example import Example


class Pictures(Protocol):
    """A source of pictures to train on."""

    def draw(self) -> Example:
        """One in the size of the net's input, augmented."""


def batch(sources: Sequence[Pictures], size: int) -> tuple[torch.Tensor, list[Example]]:
    """Pictures from the sources in turn, as a tensor 0..1 (B, 3, H, W), and their truth."""
    shown = [sources[i % len(sources)].draw() for i in range(size)]
    images = np.stack([example.image for example in shown]).transpose(0, 3, 1, 2)
    return torch.from_numpy(np.ascontiguousarray(images)).float() / 255, shown
