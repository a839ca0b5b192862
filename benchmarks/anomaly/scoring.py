"""Scores of a graph on pictures, and what they are worth."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from benchmarks.anomaly.tiles import Tiles, kind
from edgesdk.accuracy.ranking_quality import auroc
from edgesdk.backends import load_backend, opened
from edgesdk.model import Model
from edgesdk.spec import ModelSpec
from edgesdk.tensors import Array
from edgesdk.vision.decoders import make_decoder
from edgesdk.vision.inspected import Inspected

PIXELS = 112
"""Masks and heat are compared at this width and height."""


@dataclass(frozen=True)
class Scored:
    scores: dict[str, float]
    """By picture."""
    heat: Array
    """Pictures x PIXELS x PIXELS."""
    masks: Array


def score(model: Model, spec: ModelSpec, tiles: Tiles, names: list[str], exact: bool) -> Scored:
    decoder = make_decoder(spec.decoder, "benchmark", spec.preprocess)
    scores, heat, masks = {}, [], []
    backend = load_backend("onnxruntime", exact=exact, patient=True)
    with opened(backend, model) as session:
        for name in names:
            picture = tiles.picture(name)
            tensor, placement = spec.preprocess(picture.image)
            found = decoder.decode(session.run({model.inputs[0].name: tensor}), placement)
            assert isinstance(found, Inspected)
            assert found.heat is not None
            assert picture.mask is not None
            scores[name] = found.score
            heat.append(cv2.resize(found.heat, (PIXELS, PIXELS)).astype(np.float16))
            size = (PIXELS, PIXELS)
            masks.append(cv2.resize(picture.mask.astype(np.uint8), size, interpolation=0) > 0)
    return Scored(scores, np.stack(heat), np.stack(masks))


def figures(scores: dict[str, float]) -> dict[str, float]:
    """AUROC of all pictures, and of each kind of defect against the good ones."""
    bad = {name: kind(name) != "Free" for name in scores}
    found = {"image_auroc": auroc(list(scores.values()), list(bad.values()))}
    for one in sorted({kind(name) for name in scores} - {"Free"}):
        some = [name for name in scores if kind(name) in ("Free", one)]
        found[one] = auroc([scores[n] for n in some], [bad[n] for n in some])
    return {name: round(value, 4) for name, value in found.items()}


def pixel_auroc(scored: Scored) -> float:
    return round(auroc(scored.heat.ravel(), scored.masks.ravel()), 4)
