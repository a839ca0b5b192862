"""Implicit INT8: the graph without Q/DQ, and ranges beside it that lose nothing against the pairs.

Numbers are worked out by hand or computed by ONNX Runtime. The whole net is parsed and built by
TensorRT-RTX without a GPU; that a DLA honours the ranges is not shown here.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from edgesdk.backends import load_backend
from edgesdk.build import build
from edgesdk.build.job import BuildOrder, resolve
from edgesdk.bundle import Bundle
from edgesdk.calibration.recipe import RulesName
from edgesdk.errors import ModelError
from edgesdk.model import Model
from edgesdk.model.edit import with_outputs
from edgesdk.model.prepare import prepare
from edgesdk.quantize.branch import Branch
from edgesdk.quantize.fp16 import write_fp16
from edgesdk.quantize.implicit import Implicit, implicit_form, make_implicit
from edgesdk.quantize.layers import INT8_OPERATORS, find_layers
from edgesdk.quantize.placement import place
from edgesdk.quantize.qdq import write_qdq
from tests.onnx_graphs import make_model, small_detector
from tests.tensorrt_parser import Parser

PAIR = ("QuantizeLinear", "DequantizeLinear")
CHANNELS = 4


def conv(name: str, source: str, target: str) -> onnx.NodeProto:
    return helper.make_node("Conv", [source, f"w_{name}"], [target], name, pads=[1] * 4)


def op(kind: str, inputs: Sequence[str], target: str, **settings: object) -> onnx.NodeProto:
    return helper.make_node(kind, list(inputs), [target], f"{kind}_{target}", **settings)


def explicit(
    nodes: Sequence[onnx.NodeProto],
    outputs: Sequence[str],
    amax: Mapping[str, float],
    keep_float: Collection[str] = (),
    branches: Sequence[Branch] = (),
    constants: Mapping[str, np.ndarray] | None = None,
) -> Model:
    """A net of 3x3 convolutions on `images`, with pairs where its layers read."""
    rng = np.random.default_rng(5)
    weights = {
        n.input[1]: rng.normal(0, 0.3, (CHANNELS, CHANNELS, 3, 3)).astype(np.float32)
        for n in nodes
        if n.op_type == "Conv"
    }
    proto = make_model(
        nodes, {**weights, **(constants or {})}, {"images": [1, CHANNELS, 8, 8]}, outputs
    )
    model = prepare(Model.of(proto), 17, {})
    layers = [r for r in find_layers(model, INT8_OPERATORS) if r.node not in keep_float]
    return write_qdq(model, amax, layers, branches=branches)


RESIDUAL = [
    conv("a", "images", "ca"),
    op("Relu", ["ca"], "ra"),
    conv("b", "ra", "cb"),
    op("Add", ["cb", "ra"], "sum"),
    op("Relu", ["sum"], "rb"),
    conv("c", "rb", "out"),
]
RESIDUAL_AMAX = {"images": 4.0, "ra": 2.0, "rb": 3.0}
SKIP = [Branch("Add_sum", 1, "ra", "b")]


def approximately(ranges: Mapping[str, float]) -> object:
    # A scale is a float32.
    return pytest.approx(dict(ranges), rel=1e-6)


def run(model: Model, images: np.ndarray) -> dict[str, np.ndarray]:
    backend = load_backend("onnxruntime", exact=True)
    return backend.open(backend.compile(model)).run({"images": images})


def test_the_outputs_of_layers_get_what_the_next_pair_needs() -> None:
    implicit = make_implicit(explicit(RESIDUAL, ["out"], RESIDUAL_AMAX, branches=SKIP))
    # Through the Relu as it is; the sum is cut at 3 and its skip at 2, so cb matters up to 5.
    assert implicit.ranges == approximately(
        {"images": 4, "ca": 2, "ra": 2, "cb": 5, "sum": 3, "rb": 3}
    )
    assert set(implicit.derived) == {"ca", "cb", "sum"}


def test_a_layer_at_the_end_has_no_range_for_its_output_and_is_listed() -> None:
    implicit = make_implicit(explicit(RESIDUAL, ["out"], RESIDUAL_AMAX, branches=SKIP))
    assert implicit.lost == {"c": "the range of 'out' is not known"}
    assert any("1 operator runs in FP16" in warning for warning in implicit.warnings)


def test_ranges_pass_through_pools_and_concatenations() -> None:
    nodes = [
        conv("a", "images", "ca"),
        op("Clip", ["ca", "zero", "six"], "ra"),
        op("MaxPool", ["ra"], "pool", kernel_shape=[2, 2], strides=[2, 2]),
        conv("b", "images", "cb"),
        op("MaxPool", ["cb"], "half", kernel_shape=[2, 2], strides=[2, 2]),
        op("Concat", ["pool", "half"], "both", axis=1),
        op("Slice", ["both", "first", "last", "axis"], "part"),
        conv("c", "part", "out"),
    ]
    constants = {
        "zero": np.float32(0),
        "six": np.float32(6),
        "first": np.array([2], np.int64),
        "last": np.array([6], np.int64),
        "axis": np.array([1], np.int64),
    }
    model = explicit(nodes, ["out"], {"images": 4.0, "part": 2.5}, constants=constants)
    found = make_implicit(model)
    expected = dict.fromkeys(["ca", "ra", "pool", "cb", "half", "both", "part"], 2.5)
    assert found.ranges == approximately({"images": 4.0, **expected})


def test_a_batch_normalization_is_undone_by_channel() -> None:
    nodes = [
        conv("a", "images", "ca"),
        op("BatchNormalization", ["ca", "scale", "bias", "mean", "var"], "na", epsilon=0.0),
        op("Relu", ["na"], "ra"),
        conv("b", "ra", "out"),
    ]
    constants = {
        "scale": np.array([1, 2, -1, 0], np.float32),
        "bias": np.array([1, 0, 0, 9], np.float32),
        "mean": np.array([0, 1, 0, 0], np.float32),
        "var": np.array([4, 4, 16, 1], np.float32),
    }
    model = explicit(nodes, ["out"], {"images": 4.0, "ra": 3.0}, constants=constants)
    # y = x/2 + 1, x - 1, -x/4 and 9: |x| up to 8, 4 and 12 for |y| up to 3.
    assert make_implicit(model).ranges["ca"] == pytest.approx(12.0, rel=1e-6)


def test_a_gate_leaves_the_range_unknown_unless_pairs_state_it() -> None:
    nodes = [
        conv("a", "images", "ca"),
        op("Sigmoid", ["ca"], "gate"),
        op("Mul", ["ca", "gate"], "silu"),
        conv("b", "silu", "out"),
    ]
    amax = {"images": 4.0, "silu": 2.0, "ca": 2.5, "gate": 1.0}
    for_gpu = make_implicit(explicit(nodes, ["out"], amax))
    assert set(for_gpu.lost) == {"a", "b"}
    pairs = [
        Branch("Sigmoid_gate", 0, "ca", "a"),
        Branch("Mul_silu", 0, "ca", "a"),
        Branch("Mul_silu", 1, "gate", "a"),
    ]
    for_dla = make_implicit(explicit(nodes, ["out"], amax, branches=pairs))
    assert set(for_dla.lost) == {"b"}
    assert for_dla.derived == {}


CHAIN = [
    conv("a", "images", "ca"),
    op("Relu", ["ca"], "ra"),
    conv("b", "ra", "cb"),
    conv("c", "cb", "cc"),
    op("Relu", ["cc"], "rc"),
    conv("d", "rc", "out"),
]
CHAIN_AMAX = {"images": 4.0, "ra": 2.0, "cb": 1.5, "rc": 3.0}


def test_a_layer_that_the_bundle_has_in_float_must_be_kept_so() -> None:
    nodes = [*CHAIN[:4], conv("e", "ra", "ce"), op("Add", ["ce", "cc"], "out")]
    implicit = make_implicit(explicit(nodes, ["out"], CHAIN_AMAX, keep_float=["b"]))
    assert implicit.ranges["ra"] == pytest.approx(2.0, rel=1e-6)
    assert implicit.ranges["cb"] == pytest.approx(1.5, rel=1e-6)
    assert implicit.pinned == {"b": "fp16"}
    assert any("kept in float" in warning for warning in implicit.warnings)


def test_what_a_float_layer_makes_gets_no_range_that_no_pair_states() -> None:
    implicit = make_implicit(explicit(CHAIN, ["out"], CHAIN_AMAX, keep_float=["c"]))
    assert "cc" not in implicit.ranges
    assert implicit.pinned == {}


def test_where_a_reader_wants_more_than_the_next_pair_nothing_is_derived() -> None:
    nodes = [*RESIDUAL, op("Sigmoid", ["ca"], "other")]
    implicit = make_implicit(explicit(nodes, ["out", "other"], RESIDUAL_AMAX, branches=SKIP))
    assert "ca" not in implicit.ranges
    assert implicit.lost["a"] == "the range of 'ca' is not known"


def test_what_calibration_saw_beside_the_pairs_is_used() -> None:
    model = explicit(CHAIN, ["out"], CHAIN_AMAX, keep_float=["b"])
    assert "a" in make_implicit(model).lost
    known = {"ra": 2.0, "cc": 9.0, "gone": 1.0}
    implicit = make_implicit(model, known)
    assert "a" not in implicit.lost
    assert implicit.ranges["ra"] == 2.0
    assert implicit.ranges["cc"] == 9.0
    assert "gone" not in implicit.ranges


def test_a_range_that_calibration_saw_of_a_float_layer_s_output_is_not_used() -> None:
    model = explicit(CHAIN, ["out"], CHAIN_AMAX, keep_float=["c"])
    assert "cc" not in make_implicit(model, {"cc": 9.0}).ranges


def test_an_output_of_the_graph_that_is_read_on_may_be_larger_than_its_reader_needs() -> None:
    implicit = make_implicit(explicit(RESIDUAL, ["out", "ca"], RESIDUAL_AMAX, branches=SKIP))
    assert "ca" not in implicit.ranges
    assert "a" in implicit.lost


def test_what_fp16_breaks_is_kept_in_float32() -> None:
    model = explicit(RESIDUAL, ["out"], RESIDUAL_AMAX, branches=SKIP)
    implicit = make_implicit(model, islands={"Relu_rb": "too large", "gone": "too large"})
    assert implicit.pinned == {"Relu_rb": "fp32"}


def test_a_model_without_int8_is_refused() -> None:
    with pytest.raises(ModelError, match="nothing in it is INT8") as caught:
        make_implicit(prepare(Model.of(small_detector()), 17, {}))
    assert "--precision int8" in caught.value.hint


def test_channels_whose_scale_tensorrt_finds_again_are_counted() -> None:
    model = explicit([conv("a", "images", "out")], ["out"], {"images": 4.0})
    assert make_implicit(model).same_grid == 1.0
    proto = onnx.ModelProto.FromString(model.to_bytes())
    stored = next(t for t in proto.graph.initializer if t.name == "w_a_quantized")
    steps = numpy_helper.to_array(stored).copy()
    steps[0] = np.clip(steps[0], -126, 126)
    stored.CopyFrom(numpy_helper.from_array(steps, stored.name))
    implicit = make_implicit(Model.of(proto))
    assert implicit.same_grid == 0.75
    assert any("75.0%" in warning for warning in implicit.warnings)


def without_activation_pairs(model: Model) -> Model:
    """Pairs on activations taken out by a few lines of their own; those on weights stay."""
    proto = onnx.ModelProto.FromString(model.to_bytes())
    made = {out for node in proto.graph.node for out in node.output}
    names: dict[str, str] = {}
    kept = []
    for node in proto.graph.node:
        for i, name in enumerate(node.input):
            node.input[i] = names.get(name, name)
        if node.op_type == "QuantizeLinear" or (
            node.op_type == "DequantizeLinear" and node.input[0] not in quantized_constants(proto)
        ):
            names[node.output[0]] = node.input[0]
        else:
            kept.append(onnx.NodeProto.FromString(node.SerializeToString()))
    assert made
    del proto.graph.node[:]
    proto.graph.node.extend(kept)
    return Model.of(proto)


def quantized_constants(proto: onnx.ModelProto) -> set[str]:
    return {t.name for t in proto.graph.initializer if t.data_type == TensorProto.INT8}


def images(seed: int, shape: Sequence[int] = (1, CHANNELS, 8, 8)) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, 2, shape).astype(np.float32)


def test_the_graph_computes_what_the_bundle_s_weights_give_bit_for_bit() -> None:
    model = explicit(RESIDUAL, ["out"], RESIDUAL_AMAX, branches=SKIP)
    stripped = make_implicit(model).model
    assert not {n.op_type for n in stripped.proto.graph.node} & {*PAIR}
    expected = run(without_activation_pairs(model), images(1))
    np.testing.assert_array_equal(run(stripped, images(1))["out"], expected["out"])


def test_a_bundle_with_fp16_tensors_becomes_float32_without_casts_and_keeps_its_weights() -> None:
    float_model = prepare(Model.of(small_detector()), 19, {})
    layers = find_layers(float_model, INT8_OPERATORS)
    amax = {layer.activation: 2.0 for layer in layers}
    model = write_qdq(float_model, amax, layers)
    half = write_fp16(model)
    assert "Cast" in {n.op_type for n in half.proto.graph.node}
    implicit = make_implicit(half)
    kinds = {n.op_type for n in implicit.model.proto.graph.node}
    assert kinds == {"Conv", "Relu", "Reshape", "Transpose"}
    assert {s.dtype for s in (*implicit.model.inputs, *implicit.model.outputs)} == {"float32"}
    assert [s.name for s in implicit.model.outputs] == ["output"]
    x = images(2, (1, 3, 32, 32))
    expected = run(make_implicit(model).model, x)["output"]
    found = run(implicit.model, x)["output"]
    assert sqnr_db(expected, found) > 50  # scales and biases are rounded to FP16's 11 bits
    assert implicit.ranges.keys() == make_implicit(model).ranges.keys()


def sqnr_db(reference: np.ndarray, other: np.ndarray) -> float:
    noise = np.square(reference.astype(np.float64) - other).sum()
    return float(10 * np.log10(np.square(reference.astype(np.float64)).sum() / noise))


def weights_rounded_again(model: Model) -> Model:
    """As TensorRT does: largest magnitude of each output channel over 127, nearest."""
    proto = onnx.ModelProto.FromString(model.to_bytes())
    weights = {n.input[1] for n in proto.graph.node if n.op_type == "Conv"}
    for tensor in proto.graph.initializer:
        if tensor.name in weights:
            values = numpy_helper.to_array(tensor)
            scale = np.abs(values).max(axis=(1, 2, 3), keepdims=True) / 127
            tensor.CopyFrom(numpy_helper.from_array(np.rint(values / scale) * scale, tensor.name))
    return Model.of(proto)


def with_each(model: Model, ranges: Mapping[str, float], kind: str) -> Model:
    """The model with every tensor of `ranges` cut off, or rounded to INT8, after it is made."""
    proto = onnx.ModelProto.FromString(model.to_bytes())
    new: list[onnx.NodeProto] = []
    names: dict[str, str] = {}

    def add(tensor: str) -> None:
        amax = ranges.get(tensor)
        if amax is None:
            return
        proto.graph.initializer.extend(
            numpy_helper.from_array(np.array(v, d), f"{tensor}_{n}")
            for n, v, d in (
                ("low", -amax, np.float32),
                ("high", amax, np.float32),
                ("scale", amax / 127, np.float32),
                ("zero", 0, np.int8),
            )
        )
        names[tensor] = f"{tensor}_{kind}"
        if kind == "cut":
            inputs = [tensor, f"{tensor}_low", f"{tensor}_high"]
            new.append(helper.make_node("Clip", inputs, [names[tensor]]))
            return
        scale = [f"{tensor}_scale", f"{tensor}_zero"]
        new.append(helper.make_node("QuantizeLinear", [tensor, *scale], [f"{tensor}_q"]))
        new.append(helper.make_node("DequantizeLinear", [f"{tensor}_q", *scale], [names[tensor]]))

    for value in proto.graph.input:
        add(value.name)
    for node in proto.graph.node:
        copy = onnx.NodeProto.FromString(node.SerializeToString())
        for i, name in enumerate(copy.input):
            copy.input[i] = names.get(name, name)
        new.append(copy)
        for out in node.output:
            add(out)
    del proto.graph.node[:], proto.graph.value_info[:]
    proto.graph.node.extend(new)
    return Model.of(proto)


@pytest.mark.parametrize("seed", range(4))
def test_derived_ranges_cut_nothing_off_that_the_pairs_would_not(seed: int) -> None:
    implicit = make_implicit(explicit(RESIDUAL, ["out"], RESIDUAL_AMAX, branches=SKIP))
    stated = {t: a for t, a in implicit.ranges.items() if t not in implicit.derived}
    x = 3 * images(seed)
    by_pairs = run(with_each(implicit.model, stated, "cut"), x)["out"]
    by_all = run(with_each(implicit.model, implicit.ranges, "cut"), x)["out"]
    plain = run(implicit.model, x)["out"]
    np.testing.assert_allclose(by_all, by_pairs, rtol=1e-5, atol=1e-5)
    assert np.abs(plain - by_pairs).max() > 0.1, "the pairs cut nothing off: no test"


GRAPHS = sorted((Path(__file__).parent / "graphs").glob("*.onnx"))
RULES: tuple[RulesName, ...] = ("gpu", "dla")
SLOPES = {"LeakyRelu", "PRelu"}


def whole_net(path: Path, rules: RulesName) -> tuple[Model, dict[str, np.ndarray]] | None:
    """A net of an exporter with pairs at half of what one input shows; None: nothing is INT8."""
    given = Model.of(onnx.load(path))
    shapes = {
        spec.name: tuple(
            size if isinstance(size, int) and size > 0 else (64 if axis else 1)
            for axis, size in enumerate(spec.shape)
        )
        for spec in given.inputs
    }
    model = prepare(given, 17, shapes)
    placement = place(model, INT8_OPERATORS, None, rules)
    rng = np.random.default_rng(0)
    feeds = {s.name: rng.normal(0, 1, s.shape).astype(s.dtype) for s in model.inputs}
    backend = load_backend("onnxruntime", exact=True)
    watched = with_outputs(model, placement.watch)
    seen = {**feeds, **backend.open(backend.compile(watched)).run(feeds)}
    amax = {t: max(float(np.abs(seen[t]).max()) / 2, 1e-3) for t in placement.watch}
    if not placement.layers:
        return None
    return write_qdq(model, amax, placement.layers, branches=placement.branches), feeds


@pytest.mark.parametrize("rules", RULES)
@pytest.mark.parametrize("path", GRAPHS, ids=lambda path: path.stem)
def test_nets_of_exporters_lose_nothing_by_derived_ranges(path: Path, rules: RulesName) -> None:
    found = whole_net(path, rules)
    if found is None:
        assert rules == "dla", "a net for the GPU without INT8"
        return
    model, feeds = found
    implicit = make_implicit(model)
    kinds = {node.op_type for node in implicit.model.proto.graph.node}
    assert not kinds & {*PAIR}
    assert [s.name for s in implicit.model.outputs] == [s.name for s in model.outputs]
    assert set(implicit.ranges) <= set(implicit.derived) | pair_tensors(model)

    def answers(net: Model) -> dict[str, np.ndarray]:
        backend = load_backend("onnxruntime", exact=True)
        return backend.open(backend.compile(net)).run(feeds)

    plain, expected = answers(implicit.model), answers(without_activation_pairs(model))
    stated = {t: a for t, a in implicit.ranges.items() if t not in implicit.derived}
    by_pairs = answers(with_each(implicit.model, stated, "cut"))
    by_all = answers(with_each(implicit.model, implicit.ranges, "cut"))
    for name in plain:
        np.testing.assert_allclose(plain[name], expected[name], rtol=1e-4, atol=1e-4)
        # A leaky slope passes on what lies below -A; the docstring says so.
        share = 0.05 if kinds & SLOPES else 1e-6
        most = share * float(np.abs(by_pairs[name]).max(initial=0)) + 1e-9
        np.testing.assert_allclose(by_all[name], by_pairs[name], atol=most, rtol=0)


def pair_tensors(model: Model) -> set[str]:
    return {n.input[0] for n in model.proto.graph.node if n.op_type == "QuantizeLinear"}


@pytest.mark.parametrize("path", GRAPHS, ids=lambda path: path.stem)
def test_nets_of_exporters_are_parsed_without_q_dq(path: Path) -> None:
    found = whole_net(path, "gpu")
    assert found is not None
    assert Parser().takes(make_implicit(found[0]).model.to_bytes())


def built(tmp_path: Path, recipe: str, jetpack: str) -> Bundle:
    order = BuildOrder(
        device="orin",
        model="traffic_counting",
        precision="int8",
        data="sim://traffic?frames=8&fps=1",
        jetpack=jetpack,
        recipe=recipe,
        out=tmp_path / "net.edge",
    )
    request, path = resolve(order)
    return build(request, path)


@pytest.fixture(scope="module")
def traffic(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """The traffic app's net for DLA on JetPack 6.2, with FP16 tensors in its rest."""
    return built(tmp_path_factory.mktemp("traffic"), "dla", "6.2")


@pytest.fixture(scope="module")
def implicit(traffic: Bundle) -> Implicit:
    return implicit_form(traffic)


def test_a_whole_net_is_built_by_a_real_builder_without_q_dq(implicit: Implicit) -> None:
    kinds = {node.op_type for node in implicit.model.proto.graph.node}
    assert not kinds & {*PAIR, "Cast", "Identity"}
    assert Parser().builds(implicit.model.to_bytes())


def test_of_a_whole_net_for_dla_only_heads_are_lost(traffic: Bundle, implicit: Implicit) -> None:
    layers = [layer.node for layer in traffic.manifest.layers if layer.precision == "int8"]
    assert len(layers) == 26
    lost = set(layers) & set(implicit.lost)
    assert lost < {"/net/out/Conv", "/net/out_1/Conv", "/net/out_2/Conv"}


def test_a_whole_net_answers_as_the_bundle_does_when_every_range_rounds(
    traffic: Bundle, implicit: Implicit
) -> None:
    spec = implicit.model.inputs[0]
    x = np.random.default_rng(0).random([int(s) for s in spec.shape]).astype(np.float32)
    backend = load_backend("onnxruntime", exact=True)

    def answer(model: Model) -> np.ndarray:
        return next(iter(backend.open(backend.compile(model)).run({spec.name: x}).values()))

    exact = answer(implicit.model)
    in_bundle = sqnr_db(exact, answer(traffic.model()))
    as_tensorrt = with_each(weights_rounded_again(implicit.model), implicit.ranges, "rounded")
    rounded = sqnr_db(exact, answer(as_tensorrt))
    # A bit is 6 dB; a wrong range or a wrong weight costs far more than half of one.
    assert rounded > in_bundle - 3
