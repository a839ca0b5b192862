"""What layers read, at some places of some pictures: the right values, few of them, kept apart."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np
import onnx
import pytest
from onnx import helper

from edgesdk.backends import Session, load_backend, opened
from edgesdk.model import Model
from edgesdk.model.prepare import prepare
from edgesdk.quantize import samples as module
from edgesdk.quantize.layers import Layer, find_layers
from edgesdk.quantize.samples import FEWEST, PLACES, Samples, sample
from tests.fitted import ListFeeds, answers
from tests.onnx_graphs import make_model

OPERATORS = ("Conv", "ConvTranspose", "Gemm", "MatMul")
RNG = np.random.default_rng(9)


def normal(*shape: int) -> np.ndarray:
    return RNG.normal(size=shape).astype(np.float32)


def net(channels: int = 3, size: int = 6) -> onnx.ModelProto:
    """x is read by two 1x1 layers; their sum, through a Relu, by a third."""
    nodes = [
        helper.make_node("Conv", ["x", "w1"], ["a"], "one"),
        helper.make_node("Conv", ["x", "w2"], ["b"], "two"),
        helper.make_node("Add", ["a", "b"], ["s"], "add"),
        helper.make_node("Relu", ["s"], ["r"], "relu"),
        helper.make_node("Conv", ["r", "w3"], ["y"], "three"),
    ]
    constants = {name: normal(channels, channels, 1, 1) for name in ("w1", "w2", "w3")}
    return make_model(nodes, constants, {"x": [1, channels, size, size]}, ["y"])


@dataclass
class Counting:
    """Counts how often feeds were iterated and sessions were open."""

    feeds: ListFeeds
    passes: int = 0
    sessions: list[str] = field(default_factory=list)

    def __iter__(self) -> Iterator[tuple[str, dict[str, np.ndarray]]]:
        self.passes += 1
        yield from self.feeds

    @contextmanager
    def open(self, model: Model) -> Iterator[Session]:
        self.sessions.append(" ".join(output.name for output in model.outputs))
        with opened(load_backend("onnxruntime", threads=1), model) as session:
            yield session


def taken(
    proto: onnx.ModelProto, pictures: Sequence[np.ndarray]
) -> tuple[Model, dict[str, Samples], Counting]:
    model = prepare(Model.of(proto), 17, {})
    units: dict[str, tuple[Layer, ...]] = {}
    for layer in find_layers(model, OPERATORS):
        units[layer.activation] = (*units.get(layer.activation, ()), layer)
    source = Counting(ListFeeds(pictures))
    found = {}
    order = []
    for unit, parts in sample(model, units.values(), source, len(pictures), source.open):
        order.append(unit)
        found |= {layer.node: part for layer, part in zip(unit, parts, strict=True)}
    assert order == list(units.values()), "in the order given"
    return model, found, source


def pixels(values: np.ndarray) -> np.ndarray:
    return np.moveaxis(values[0], 0, -1).reshape(-1, values.shape[1])


def test_every_fourth_picture_judges_and_no_other() -> None:
    pictures = [normal(1, 3, 6, 6) for _ in range(9)]
    _, found, _ = taken(net(), pictures)
    for node in ("one", "two"):
        fit = np.concatenate([pixels(p) for i, p in enumerate(pictures) if i % 4 != 3])
        judge = np.concatenate([pixels(pictures[3]), pixels(pictures[7])])
        np.testing.assert_array_equal(found[node].fit[0], fit)
        np.testing.assert_array_equal(found[node].judge[0], judge)


def test_a_tensor_inside_the_net_is_what_onnxruntime_makes_it() -> None:
    pictures = [normal(1, 3, 6, 6) for _ in range(4)]
    model, found, _ = taken(net(), pictures)
    proto = onnx.ModelProto()
    proto.CopyFrom(model.proto)
    proto.graph.output.append(helper.make_tensor_value_info("r", 1, None))
    inner = answers(Model.of(proto), pictures, "r")
    np.testing.assert_allclose(
        found["three"].fit[0], np.concatenate([pixels(v) for v in inner[:3]]), atol=1e-6
    )
    np.testing.assert_allclose(found["three"].judge[0], pixels(inner[3]), atol=1e-6)


@pytest.mark.parametrize("count", [1, 2, 3])
def test_with_fewer_than_four_pictures_all_of_them_judge(count: int) -> None:
    pictures = [normal(1, 3, 6, 6) for _ in range(count)]
    _, found, _ = taken(net(), pictures)
    np.testing.assert_array_equal(found["one"].judge, found["one"].fit)


def test_the_places_are_shared_out_over_the_pictures() -> None:
    pictures = [normal(1, 3, 40, 40) for _ in range(8)]
    _, found, _ = taken(net(size=40), pictures)
    assert found["one"].fit.shape == (1, PLACES * 6 // 8, 3)
    assert found["one"].judge.shape == (1, PLACES * 2 // 8, 3)


def test_a_wide_layer_gives_fewer_places(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LAYER_VALUES", 4096)
    pictures = [normal(1, 16, 40, 40) for _ in range(2)]
    _, found, _ = taken(net(16, 40), pictures)
    assert found["one"].fit.shape == (1, FEWEST, 16)


def test_layers_are_taken_in_groups_so_that_memory_does_not_grow(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pictures = [normal(1, 3, 6, 6) for _ in range(4)]
    _, at_once, source = taken(net(), pictures)
    assert (source.passes, source.sessions) == (1, ["r"])
    monkeypatch.setattr(module, "GROUP_VALUES", 3 * PLACES)
    _, apart, source = taken(net(), pictures)
    # The unit of x has two layers and is not taken apart; its values need no run.
    assert (source.passes, source.sessions) == (2, ["r"])
    assert {node: part.fit.shape for node, part in apart.items()} == {
        node: part.fit.shape for node, part in at_once.items()
    }


def test_a_net_of_which_every_layer_reads_an_input_needs_no_run() -> None:
    node = helper.make_node("MatMul", ["x", "w"], ["y"], "only")
    proto = make_model([node], {"w": normal(4, 2)}, {"x": [3, 4]}, ["y"])
    pictures = [normal(3, 4) for _ in range(2)]
    _, found, source = taken(proto, pictures)
    assert source.sessions == []
    np.testing.assert_array_equal(found["only"].fit[0], np.concatenate(pictures))
