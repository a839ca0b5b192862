"""What the figures are compared with, on the same pictures and the same backbone."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from benchmarks.anomaly.tiles import Tiles
from edgesdk.anomaly import Backbone
from edgesdk.anomaly.describing import describing
from edgesdk.anomaly.graph import DESCRIPTION
from edgesdk.backends import load_backend, opened
from edgesdk.model.edit import with_outputs
from edgesdk.model.prepare import prepare
from edgesdk.tensors import Array

MEMORY = 30_000
"""Places in the memory of the plain PatchCore, drawn at random: no coreset, no compression."""
STEPS, RATE, DECAY = 400, 0.5, 1e-3


def plain_patchcore(
    tiles: Tiles, backbone: Backbone, fit: list[str], test: list[str], layers: tuple[str, ...]
) -> dict[str, float]:
    """The largest distance to the nearest of many good places, in numpy."""
    rng = np.random.default_rng(1)
    described, _ = describing(backbone, layers)
    each = -(-MEMORY // len(fit))
    with opened(load_backend("onnxruntime", patient=True), described) as session:

        def look(name: str) -> Array:
            tensor, _ = backbone.preprocess(tiles.picture(name).image)
            found = session.run({described.inputs[0].name: tensor})[DESCRIPTION][0]
            return found.reshape(len(found), -1).T

        memory = np.concatenate([rng.permutation(look(name))[:each] for name in fit])
        energy = (memory * memory).sum(axis=1)
        scores = {}
        for name in test:
            places = look(name)
            cross = energy - 2 * (places @ memory.T)
            least = cross.min(axis=1) + (places * places).sum(axis=1)
            scores[name] = float(np.sqrt(max(least.max(), 0)))
    return scores


def pooled_features(tiles: Tiles, backbone: Backbone, names: list[str], tensor: str) -> Array:
    """The classifier's own features, at its own size, as a user without edgesdk would take them."""
    inputs, own = backbone.model.inputs[0].name, backbone.model.inputs[0].shape
    size = replace(backbone.preprocess, height=int(own[2]), width=int(own[3]))
    model = prepare(backbone.model, 17, {inputs: (1, 3, size.height, size.width)})
    with opened(load_backend("onnxruntime", patient=True), with_outputs(model, [tensor])) as s:
        rows = [
            s.run({inputs: size(tiles.picture(name).image)[0]})[tensor].ravel() for name in names
        ]
    return np.stack(rows)


def logistic(train: Array, bad: Array, test: Array) -> Array:
    """Log odds of logistic regression WITH labels, by gradient descent on standardized features."""
    mean, deviation = train.mean(axis=0), train.std(axis=0) + 1e-6
    x, weight, bias = (train - mean) / deviation, np.zeros(train.shape[1]), 0.0
    balance = np.where(bad, 0.5 / bad.mean(), 0.5 / (1 - bad.mean()))
    for _ in range(STEPS):
        error = balance * (1 / (1 + np.exp(-(x @ weight + bias).clip(-30, 30))) - bad)
        weight -= RATE / train.shape[1] ** 0.5 * (x.T @ error / len(x) + DECAY * weight)
        bias -= RATE * error.mean()
    return ((test - mean) / deviation) @ weight + bias
