"""Small nets, quantized as a build does it, and run in onnxruntime."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx

from edgesdk._progress import silent
from edgesdk.backends import load_backend, opened
from edgesdk.build.draft import Draft
from edgesdk.build.quantization import Quantizer
from edgesdk.calibration.recipe import Recipe
from edgesdk.model import Model
from edgesdk.model.prepare import prepare
from edgesdk.quantize.placement import Wishes


@dataclass
class ListFeeds:
    """Pictures `x` from memory."""

    pictures: Sequence[np.ndarray]
    source: str = "memory"
    skipped: dict[str, str] = field(default_factory=dict)

    @property
    def count(self) -> int:
        return len(self.pictures)

    @property
    def samples(self) -> int:
        return len(self.pictures)

    def __iter__(self) -> Iterator[tuple[str, dict[str, np.ndarray]]]:
        for index, picture in enumerate(self.pictures):
            yield f"{index}", {"x": picture}

    def thinned(self, limit: int) -> ListFeeds:
        step = max(1.0, len(self.pictures) / limit)
        few = [self.pictures[int(i * step)] for i in range(min(limit, len(self.pictures)))]
        return ListFeeds(few)

    def digest(self) -> str:
        return str(hash(tuple(picture.tobytes() for picture in self.pictures)))


def drafted(
    proto: onnx.ModelProto, pictures: Sequence[np.ndarray], wishes: Wishes | None = None, **of: Any
) -> tuple[Model, Draft]:
    """The prepared float model, and what a recipe with these settings makes of it."""
    model = prepare(Model.of(proto), 19, {})
    recipe = Recipe(**{"title": "test", "observer": "minmax", **of})
    backend = load_backend("onnxruntime", threads=1, exact=True)
    quantizer = Quantizer(model, recipe, backend, silent, wishes or Wishes())
    draft, _ = quantizer.draft(ListFeeds(pictures))
    return model, draft


def answers(model: Model, pictures: Sequence[np.ndarray], output: str = "y") -> list[np.ndarray]:
    with opened(load_backend("onnxruntime", threads=1, exact=True), model) as session:
        return [session.run({"x": picture})[output] for picture in pictures]


def mean_error(
    float_model: Model, int8: Model, pictures: Sequence[np.ndarray], axis: int = 1
) -> np.ndarray:
    """By channel, over all places and pictures."""
    exact = np.stack(answers(float_model, pictures)).astype(np.float64)
    wrong = np.stack(answers(int8, pictures)) - exact
    return (
        np.moveaxis(wrong, axis % exact[0].ndim + 1, -1)
        .reshape(-1, wrong.shape[axis % exact[0].ndim + 1])
        .mean(axis=0)
    )
