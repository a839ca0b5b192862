"""Tensors that INT8 only moves between get one scale where that is cheap, and say so where not."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from onnx import helper, numpy_helper

from edgesdk._progress import silent
from edgesdk.backends import load_backend
from edgesdk.build.arrays import ArrayFeeds, open_arrays
from edgesdk.build.draft import Draft
from edgesdk.build.quantization import Quantizer
from edgesdk.calibration import Recipe
from edgesdk.model import Model
from edgesdk.model.prepare import prepare
from edgesdk.quantize.groups import moves_on_dla, scale_groups
from tests.onnx_graphs import make_model

RNG = np.random.default_rng(5)
C, SIZE = 4, 16
PLAIN = Recipe("Largest magnitudes", "minmax")


def conv(x: str, out: str) -> onnx.NodeProto:
    return helper.make_node("Conv", [x, f"w_{out}"], [out], f"conv_{out}")


def model_of(nodes: list[onnx.NodeProto], inputs: tuple[str, ...], outputs: list[str]) -> Model:
    """Convolutions of 1x1; one that reads a Concat of k inputs takes k x C channels."""
    width = dict.fromkeys(inputs, C)
    constants = {}
    for node in nodes:
        width[node.output[0]] = C
        if node.op_type == "Concat":
            width[node.output[0]] = sum(width[name] for name in node.input)
        elif node.op_type == "Conv":
            shape = (C, width[node.input[0]], 1, 1)
            constants[node.input[1]] = RNG.normal(size=shape).astype(np.float32)
        elif node.op_type != "Add":
            width[node.output[0]] = width[node.input[0]]
        if node.op_type == "Resize":
            constants["sizes"] = np.array([1, 1, 2, 2], np.float32)
    shapes = {name: [1, C, SIZE, SIZE] for name in inputs}
    return prepare(Model.of(make_model(nodes, constants, shapes, outputs)), 17, {})


def node(kind: str, *inputs: str, out: str, **attributes: object) -> onnx.NodeProto:
    return helper.make_node(kind, inputs, [out], f"{kind}_{out}", **attributes)


def pyramid() -> Model:
    """c = Concat(a, b), p = MaxPool(c); convolutions read x, a, c and p."""
    nodes = [
        conv("x", "a"),
        conv("x", "b"),
        node("Concat", "a", "b", out="c", axis=1),
        node("MaxPool", "c", out="p", kernel_shape=[2, 2]),
        conv("a", "y1"),
        conv("c", "y2"),
        conv("p", "y3"),
    ]
    return model_of(nodes, ("x",), ["y1", "y2", "y3"])


def test_a_scale_goes_back_through_concat_and_pooling_to_what_they_are_made_of() -> None:
    assert scale_groups(pyramid(), ["x", "a", "c", "p"]) == (("a", "c", "p"),)


def test_a_tensor_that_only_a_float_concat_reads_joins_nothing() -> None:
    """Nothing quantized is made of c here, so that no Q moves back to a and b."""
    assert scale_groups(pyramid(), ["x", "a", "b"]) == ()


def test_arithmetic_separates() -> None:
    nodes = [conv("x", "a"), node("Add", "a", "x", out="s"), conv("a", "y1"), conv("s", "y2")]
    assert scale_groups(model_of(nodes, ("x",), ["y1", "y2"]), ["x", "a", "s"]) == ()


@pytest.mark.parametrize(("mode", "joined"), [("nearest", True), ("linear", False)])
def test_a_resize_moves_values_only_when_it_takes_the_nearest(mode: str, joined: bool) -> None:
    resize = node("Resize", "a", "", "sizes", out="r", mode=mode)
    model = model_of([conv("x", "a"), resize, conv("a", "y"), conv("r", "z")], ("x",), ["y", "z"])
    assert scale_groups(model, ["a", "r"]) == ((("a", "r"),) if joined else ())


def test_only_on_dla_an_average_keeps_the_scale() -> None:
    pool = node("AveragePool", "a", out="p", kernel_shape=[2, 2])
    model = model_of([conv("x", "a"), pool, conv("a", "y"), conv("p", "z")], ("x",), ["y", "z"])
    assert scale_groups(model, ["a", "p"]) == ()
    assert scale_groups(model, ["a", "p"], moves_on_dla) == (("a", "p"),)


def uniform(largest: float, samples: int = 8) -> np.ndarray:
    """Even over -largest..largest, which the first sample reaches at both ends."""
    values = RNG.uniform(-largest, largest, (samples, C, SIZE, SIZE)).astype(np.float32)
    values[0, 0, 0, :2] = largest, -largest
    return values


def drafted(model: Model, feeds: dict[str, np.ndarray], folder: Path, recipe: Recipe) -> Draft:
    np.savez(folder / "feeds.npz", **feeds)
    exact = load_backend("onnxruntime", threads=1, exact=True)
    data = ArrayFeeds(open_arrays(folder / "feeds.npz"), model.inputs)
    return Quantizer(model, recipe, exact, silent).draft(data)[0]


def scales(graph: Model) -> dict[str, float]:
    """Tensor -> scale of its Q, as the graph has it."""
    constants = {t.name: numpy_helper.to_array(t) for t in graph.proto.graph.initializer}
    return {
        n.input[0]: float(constants[n.input[1]])
        for n in graph.proto.graph.node
        if n.op_type == "QuantizeLinear"
    }


def joined_inputs() -> Model:
    """One convolution reads a, another Concat(a, b)."""
    nodes = [node("Concat", "a", "b", out="c", axis=1), conv("a", "y"), conv("c", "z")]
    return model_of(nodes, ("a", "b"), ["y", "z"])


def test_a_range_a_little_wider_is_taken_by_all(tmp_path: Path) -> None:
    """a reaches 1.0 and c 1.1. With 1.1 the steps of a are 1.1 times wider: 20 log10 1.1 = .83 dB
    of noise; with 1.0 the values of c beyond it saturate, which costs far more."""
    feeds = {"a": uniform(1.0), "b": uniform(1.1)}
    draft = drafted(joined_inputs(), feeds, tmp_path, PLAIN)
    (group,) = draft.groups
    assert (set(group.tensors), group.reason) == ({"a", "c"}, "")
    assert group.amax == pytest.approx(1.1)
    assert 0.3 < group.loss_db < 1.0
    assert scales(draft.graph()) == pytest.approx({"a": 1.1 / 127, "c": 1.1 / 127})


def test_ranges_far_apart_stay_so_and_it_is_said_what_one_would_cost(tmp_path: Path) -> None:
    """Twice the range is 6 dB."""
    feeds = {"a": uniform(1.0), "b": uniform(2.0)}
    draft = drafted(joined_inputs(), feeds, tmp_path, PLAIN)
    (group,) = draft.groups
    assert group.amax is None
    assert 4 < group.loss_db < 7
    assert "dB" in group.reason
    assert scales(draft.graph()) == pytest.approx({"a": 1.0 / 127, "c": 2.0 / 127})


def test_the_rules_of_dla_take_one_whatever_it_costs(tmp_path: Path) -> None:
    feeds = {"a": uniform(1.0), "b": uniform(2.0)}
    recipe = replace(PLAIN, rules="dla", allow_mul=False)
    draft = drafted(joined_inputs(), feeds, tmp_path, recipe)
    assert scales(draft.graph()) == pytest.approx(dict.fromkeys("abc", 2.0 / 127))


def test_a_recipe_can_leave_each_its_own(tmp_path: Path) -> None:
    feeds = {"a": uniform(1.0), "b": uniform(1.1)}
    draft = drafted(joined_inputs(), feeds, tmp_path, replace(PLAIN, share_scales=False))
    assert draft.groups == ()
    assert scales(draft.graph()) == pytest.approx({"a": 1.0 / 127, "c": 1.1 / 127})


def test_a_branch_takes_the_scale_of_what_it_is_joined_into(tmp_path: Path) -> None:
    """a is only added to a convolution's output, with a pair of its own, and part of c."""
    nodes = [
        node("Relu", "x", out="a"),
        node("Concat", "a", "b", out="c", axis=1),
        conv("c", "d"),
        node("Add", "d", "a", out="z"),
    ]
    model = model_of(nodes, ("x", "b"), ["z"])
    draft = drafted(model, {"x": uniform(1.0), "b": uniform(1.05)}, tmp_path, PLAIN)
    assert [branch.tensor for branch in draft.branches] == ["a"]
    assert scales(draft.graph()) == pytest.approx({"a": 1.05 / 127, "c": 1.05 / 127})


def test_weights_and_biases_are_fitted_for_the_range_that_is_written(tmp_path: Path) -> None:
    """With the common range known beforehand, the same weights come out."""
    recipe = replace(PLAIN, round_weights=True, correct_bias=True)
    feeds = {"a": uniform(1.0), "b": uniform(1.1)}
    model = joined_inputs()
    shared = drafted(model, feeds, tmp_path, recipe)
    feeds["a"][0, 0, 0, 0] = 1.1  # now a has that range by itself
    alone = drafted(model, feeds, tmp_path, recipe)
    assert alone.groups[0].loss_db == 0
    one, two = (d.fits["conv_y"].corrected.weight for d in (shared, alone))
    assert (one != two).mean() < 0.1, "one value of 8192 differs"


@settings(
    max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    st.lists(st.floats(0.5, 4), min_size=2, max_size=4),
    st.sampled_from(["gpu", "dla"]),
    st.booleans(),
)
def test_a_group_with_one_range_has_one_scale_in_the_graph(
    tmp_path: Path, sizes: list[float], rules: str, read_all: bool
) -> None:
    names = tuple(f"in{i}" for i in range(len(sizes)))
    nodes = [
        node("Concat", *names, out="c", axis=1),
        node("MaxPool", "c", out="p", kernel_shape=[2, 2]),
        conv("c", "y"),
        conv("p", "z"),
        *(conv(name, f"o{name}") for name in names[: None if read_all else 1]),
    ]
    outputs = ["y", "z", *(n.output[0] for n in nodes[4:])]
    feeds = {name: uniform(size, 4) for name, size in zip(names, sizes, strict=True)}
    recipe = replace(PLAIN, rules=rules, allow_mul=rules == "gpu", fit_pictures=4)  # type: ignore[arg-type]
    draft = drafted(model_of(nodes, names, outputs), feeds, tmp_path, recipe)
    written = scales(draft.graph())
    (group,) = draft.groups
    assert {"c", "p"} <= set(group.tensors)
    assert (group.amax is None) == bool(group.reason)
    if rules == "dla":
        assert group.amax is not None
        assert set(names) <= set(written), "all inputs of the Concat have pairs"
    if group.amax is not None:
        assert len({written[name] for name in group.tensors}) == 1
        assert written["c"] * 127 == pytest.approx(group.amax)
