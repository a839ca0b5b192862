"""What layers read, at some places of some pictures: enough to try a correction in numpy.

A correction is judged by what it does to a layer's own output. That needs the layer's inputs, but
not all of them: a thousand places tell a good range from a bad one. Layers are taken in groups, so
that memory does not grow with the net.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass

import numpy as np

from edgesdk.model import Model
from edgesdk.model.edit import initializers, only_outputs
from edgesdk.quantize.layers import Layer
from edgesdk.quantize.matrix import Places, as_matrix, places
from edgesdk.tensors import Array, Floats, Runner

PLACES = 1024
"""Of each layer, over all pictures, where memory allows."""
FEWEST = 256
LAYER_VALUES = 1 << 20
"""At most so many values are kept for a layer (4 MB)."""
GROUP_VALUES = 1 << 25
"""Layers are sampled in groups of at most this many values (128 MB)."""
JUDGES = 4
"""Every fourth picture judges what was fitted on the others."""

Unit = tuple[Layer, ...]
Shapes = Mapping[str, tuple[int, ...]]
Feeds = Iterable[tuple[str, Mapping[str, Array]]]
Open = Callable[[Model], AbstractContextManager[Runner]]


@dataclass(frozen=True, eq=False)
class Samples:
    """Inputs of one layer as the columns of its matrix product."""

    fit: Floats
    """(groups, places, columns): to choose with."""
    judge: Floats
    """The same from other pictures: to see whether the choice was good. Never empty."""


def sample(
    model: Model, units: Iterable[Unit], feeds: Feeds, pictures: int, open_session: Open
) -> Iterator[tuple[Unit, tuple[Samples, ...]]]:
    """Each unit (the layers that read one tensor) with their samples, in the order given.

    `feeds` is iterated once for each group of units and should give `pictures` pictures.
    """
    shapes = {t.name: tuple(t.dims) for t in initializers(model).values()}
    for group in _groups(units, shapes):
        layers = [layer for unit in group for layer in unit]
        found = _sampled(model, layers, feeds, max(pictures, 1), open_session)
        for unit in group:
            yield unit, tuple(_split(found.pop(layer.node)) for layer in unit)


def _sampled(
    model: Model,
    layers: Sequence[Layer],
    feeds: Feeds,
    pictures: int,
    open_session: Open,
) -> dict[str, list[Floats]]:
    """One part of the samples for each picture, by layer."""
    nodes = {node.name: node for node in model.proto.graph.node}
    shapes = {t.name: tuple(t.dims) for t in initializers(model).values()}
    found: dict[str, list[Floats]] = {layer.node: [] for layer in layers}
    part = only_outputs(model, [layer.activation for layer in layers])
    for index, values in enumerate(_values_of(part, feeds, open_session)):
        for layer in layers:
            shape = shapes[layer.weight]
            chosen = Places(-(-_places(layer, shape) // pictures), index)
            kernel = shape[2:] if layer.operator.startswith("Conv") else ()
            read = values[layer.activation]
            found[layer.node].append(places(read, nodes[layer.node], layer, kernel, chosen))
    return found


def _values_of(part: Model, feeds: Feeds, open_session: Open) -> Iterator[Mapping[str, Array]]:
    """Inputs and outputs of each run."""
    if not part.outputs:  # layers that read the model's inputs only: nothing has to run
        yield from (feed for _, feed in feeds)
        return
    with open_session(part) as session:
        for _, feed in feeds:
            yield {**feed, **session.run({i.name: feed[i.name] for i in part.inputs})}


def _split(parts: Sequence[Floats]) -> Samples:
    judges = [part for i, part in enumerate(parts) if i % JUDGES == JUDGES - 1] or list(parts)
    fits = [part for i, part in enumerate(parts) if i % JUDGES != JUDGES - 1]
    return Samples(np.concatenate(fits, axis=1), np.concatenate(judges, axis=1))


def _groups(units: Iterable[Unit], shapes: Shapes) -> Iterator[list[Unit]]:
    group: list[Unit] = []
    size = 0
    for unit in units:
        values = sum(
            _values(one, shapes[one.weight]) * _places(one, shapes[one.weight]) for one in unit
        )
        if group and size + values > GROUP_VALUES:
            yield group
            group, size = [], 0
        group.append(unit)
        size += values
    if group:
        yield group


def _places(layer: Layer, shape: tuple[int, ...]) -> int:
    return min(PLACES, max(FEWEST, LAYER_VALUES // _values(layer, shape)))


def _values(layer: Layer, shape: tuple[int, ...]) -> int:
    """Values that one place has: groups x columns."""
    groups, _, columns = as_matrix(np.broadcast_to(np.float32(0), shape), layer).shape
    return int(groups * columns)
