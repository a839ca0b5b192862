"""Graphs of many exporters become INT8 in TensorRT's documented form, and still answer the same.

The checker that says so is checked itself first, on graphs made by hand.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import helper

from edgesdk.backends.tensorrt.building.graph_facts import read_facts
from edgesdk.backends.tensorrt.building.honoured import not_honoured
from edgesdk.build import build
from edgesdk.build.job import BuildOrder, resolve
from edgesdk.model import Model
from edgesdk.model.prepare import prepare
from tests.graph_form import Form, check_form
from tests.onnx_graphs import make_model
from tests.tensorrt_parser import Parser

# --- the checker ------------------------------------------------------------------------------

RNG = np.random.default_rng(2)
C = 4


class Hand:
    """Nodes and constants of a graph that is written by hand."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: dict[str, np.ndarray] = {}

    def op(self, kind: str, *inputs: str, out: str, **attributes: object) -> str:
        self.nodes.append(helper.make_node(kind, inputs, [out], f"{kind}_{out}", **attributes))
        return out

    def pair(self, x: str, scale: object = 0.05, zero: int = 0, name: str = "") -> str:
        name = name or x
        scales = np.asarray(scale, np.float32)
        self.constants |= {f"{name}_s": scales, f"{name}_z": np.full(scales.shape, zero, np.int8)}
        given = [f"{name}_s", f"{name}_z"]
        self.op("QuantizeLinear", x, *given, out=f"{name}_q")
        return self.op("DequantizeLinear", f"{name}_q", *given, out=f"{name}_dq")

    def weight(self, name: str, *shape: int, axis: int = 0, scales: int = 0) -> str:
        count = scales or shape[axis]
        self.constants |= {
            f"{name}_i": RNG.integers(-127, 128, shape).astype(np.int8),
            f"{name}_s": np.full(count, 0.01, np.float32),
            f"{name}_z": np.zeros(count, np.int8),
        }
        given = [f"{name}_i", f"{name}_s", f"{name}_z"]
        return self.op("DequantizeLinear", *given, out=f"{name}_dq", axis=axis)

    def conv(self, x: str, out: str, **weight: int) -> str:
        return self.op("Conv", x, self.weight(f"w_{out}", C, C, 1, 1, **weight), out=out)

    def form(self, *outputs: str, opset: int = 17) -> Form:
        inputs = {"x": [1, C, 8, 8]}
        model = make_model(self.nodes, self.constants, inputs, outputs or ["out"], opset)
        plain = make_model([helper.make_node("Relu", ["x"], ["y"])], {}, inputs, ["y"])
        return check_form(plain, model, 17)


def chain() -> Hand:
    """Conv, Relu, Conv: as it should be."""
    g = Hand()
    g.op("Relu", g.conv(g.pair("x"), "a"), out="r")
    g.conv(g.pair("r"), "out")
    return g


def test_a_graph_in_the_documented_form_has_no_violations() -> None:
    form = chain().form()
    assert form.kinds() == {}
    assert [layer.int8 for layer in form.layers] == [True, True]
    assert form.layers[0].macs == C * C * 64
    assert form.int8_share == 1.0


def residual(skip: bool, branch: bool = False) -> Hand:
    g = Hand()
    x = g.pair("x")
    a = g.op("Relu", g.conv(x, "a"), out="r")
    b = g.conv(g.pair(a), "b")
    sides = (x if skip else "x", g.pair(b) if branch else b)
    g.op("Add", *sides, out="sum")
    g.op("Relu", "sum", out="joined")
    g.conv(g.pair("joined"), "out")
    return g


def test_a_pair_belongs_on_the_skip_branch_and_only_there() -> None:
    good = residual(True).form()
    assert (good.kinds(), good.residual_good, good.residual_adds) == ({}, 1, 1)
    assert residual(False).form().kinds() == {"residual-missing": 1}
    assert residual(True, True).form().kinds() == {"residual-both": 1}
    assert residual(False, True).form().kinds() == {"residual-wrong-branch": 1}


def test_of_two_convolutions_one_has_the_pair() -> None:
    g = Hand()
    x = g.pair("x")
    g.op("Add", g.conv(x, "a"), g.pair(g.conv(x, "b")), out="sum")
    g.conv(g.pair("sum"), "out")
    form = g.form()
    assert (form.kinds(), form.residual_good) == ({}, 1)


@pytest.mark.parametrize(
    ("scale", "zero", "kind"),
    [(0.05, 1, "zero-point"), (0.0, 0, "scale"), (np.inf, 0, "scale"), (-1.0, 0, "scale")],
)
def test_numbers_of_a_pair(scale: float, zero: int, kind: str) -> None:
    g = Hand()
    g.conv(g.pair("x", scale, zero), "out")
    assert g.form().kinds() == {kind: 2}, "the Q and the DQ"


def test_uint8_and_one_scale_for_each_channel_of_an_activation() -> None:
    g = Hand()
    g.conv(g.pair("x", [0.1] * C), "out")
    assert g.form().kinds() == {"per-channel-activation": 2}
    g = Hand()
    dq = g.pair("x")
    for name in ("x_z",):
        g.constants[name] = g.constants[name].astype(np.uint8)
    g.conv(dq, "out")
    assert set(g.form().kinds()) == {"type"}


@pytest.mark.parametrize("weight", [{"axis": 1}, {"scales": 1}])
def test_scales_of_a_weight_lie_on_its_output_channels(weight: dict[str, int]) -> None:
    g = Hand()
    g.conv(g.pair("x"), "out", **weight)
    assert g.form().of("weight-axis") == ["Conv_out"]


def test_a_weight_is_stored_as_int8() -> None:
    g = Hand()
    g.constants["w"] = RNG.normal(size=(C, C, 1, 1)).astype(np.float32)
    g.op("Conv", g.pair("x"), g.pair("w"), out="out")
    assert g.form().of("weight-storage") == ["Conv_out"]


def test_a_layer_with_one_quantized_input_and_a_quantized_bias() -> None:
    g = Hand()
    g.op("Conv", "x", g.weight("w", C, C, 1, 1), out="out")
    assert g.form().of("half-quantized") == ["Conv_out"]
    g = Hand()
    inputs = [g.pair("x"), g.weight("w", C, C, 1, 1), g.weight("b", C)]
    g.op("Conv", *inputs, out="out")
    assert g.form().of("bias") == ["Conv_out"]


def test_a_pair_between_a_convolution_and_its_activation() -> None:
    g = Hand()
    g.op("Relu", g.pair(g.conv(g.pair("x"), "a")), out="r")
    g.conv(g.pair("r"), "out")
    assert g.form().kinds() == {"pair-inside-fusion": 1}


def test_a_pair_between_a_head_and_the_output_even_through_a_joined_one() -> None:
    g = Hand()
    g.pair(g.conv(g.pair("x"), "a"))
    assert g.form("a_dq").of("pair-on-output") == ["DequantizeLinear_a_dq"]
    g = Hand()
    x = g.pair("x")
    g.op("Concat", g.conv(x, "a"), g.conv(x, "b"), out="both", axis=1)
    g.op("Transpose", g.pair("both"), out="out")
    assert g.form().of("pair-on-output") == ["DequantizeLinear_both_dq"]


def test_a_pool_needs_no_pair_of_its_own() -> None:
    def pooled(own: bool) -> Form:
        g = Hand()
        g.op("Relu", g.conv(g.pair("x"), "a"), out="r")
        g.op("MaxPool", g.pair("r") if own else "r", out="p", kernel_shape=[2, 2])
        g.conv(g.pair("p"), "out")
        return g.form()

    assert pooled(False).kinds() == {}
    assert pooled(True).kinds() == {"pair-of-mover": 1}


@pytest.mark.parametrize(
    ("first", "second", "kinds"),
    [(0.05, 0.05, {}), (0.05, 0.06, {"concat-scales": 1}), (0.05, None, {"concat-mixed": 1})],
)
def test_inputs_of_a_concat_share_one_scale(
    first: float, second: float | None, kinds: dict[str, int]
) -> None:
    g = Hand()
    x = g.pair("x")
    for name in ("a", "b"):
        g.op("Relu", g.conv(x, name), out=f"r{name}")
    sides = [g.pair("ra", first), "rb" if second is None else g.pair("rb", second)]
    g.op("Concat", *sides, out="both", axis=1)
    w = g.weight("w", C, 2 * C, 1, 1)
    g.op("Conv", g.pair("both", 0.05), w, out="out")
    assert g.form().kinds() == kinds


def test_a_decoder_stays_float() -> None:
    g = Hand()
    g.op("Softmax", g.conv(g.pair("x"), "a"), out="soft", axis=1)
    ramp = np.arange(C, dtype=np.float32).reshape(1, C, 1, 1)
    scale = np.float32(3 / 127)
    g.constants |= {
        "ramp_i": np.rint(ramp / scale).astype(np.int8),
        "ramp_s": scale.reshape(1),
        "ramp_z": np.zeros(1, np.int8),
    }
    g.op("DequantizeLinear", "ramp_i", "ramp_s", "ramp_z", out="ramp", axis=0)
    g.op("Conv", g.pair("soft"), "ramp", out="out")
    assert g.form().kinds() == {"decoder-quantized": 1}


def test_dead_parts_a_late_operator_set_and_added_nodes() -> None:
    g = chain()
    g.constants["left"] = np.zeros(3, np.float32)
    g.op("Relu", "x", out="unread")
    form = g.form(opset=19)
    assert form.kinds() == {"dead-node": 1, "dead-constant": 1, "opset": 1}
    assert form.extra["Conv"] == ["Conv_a", "Conv_out"]


def test_two_scales_for_one_tensor() -> None:
    g = Hand()
    g.conv(g.pair("x", 0.05, name="one"), "a")
    g.conv(g.pair("x", 0.07, name="two"), "out")
    assert g.form("a", "out").kinds() == {"two-scales": 1}


# --- the fixtures -----------------------------------------------------------------------------

GRAPHS = Path(__file__).parent / "graphs"
FIXTURES = sorted(path.stem for path in GRAPHS.glob("*.onnx"))
TARGETS = {"6.0": 17, "6.2": 19}
SHAPES = {"torchscript_dynamic_batch": {"images": (1, 3, 32, 32)}}
DEFAULT_DB = 15.0


def tensors(model: Model, seed: int, runs: int) -> dict[str, np.ndarray]:
    """Smooth noise, or whole numbers, for all inputs; the first axis counts the samples."""
    rng = np.random.default_rng(seed)
    made = {}
    for spec in model.inputs:
        sizes = [size if isinstance(size, int) else 1 for size in spec.shape]
        shape = (runs * sizes[0], *sizes[1:])
        if spec.dtype.startswith("int"):
            made[spec.name] = rng.integers(0, 20, shape).astype(spec.dtype)
        else:
            values = rng.normal(size=shape) + rng.normal(size=(*shape[:2], *[1] * (len(shape) - 2)))
            made[spec.name] = values.astype(spec.dtype)
    return made


def answers(proto: onnx.ModelProto, feeds: dict[str, np.ndarray], runs: int) -> list[np.ndarray]:
    """All outputs, with graph optimizations off, over all runs."""
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    data = proto.SerializeToString()
    session = onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    found = []
    for run in range(runs):
        feed = {n: v[run * len(v) // runs : (run + 1) * len(v) // runs] for n, v in feeds.items()}
        found.append(session.run(None, feed))
    return [np.stack([run[i] for run in found]) for i in range(len(found[0]))]


def sqnr_db(expected: np.ndarray, found: np.ndarray) -> float:
    error = float(np.square(expected.astype(np.float64) - found).sum())
    signal = float(np.square(expected.astype(np.float64)).sum())
    return float("inf") if error == 0 else 10 * np.log10(signal / error)


def groups(name: str, output: np.ndarray) -> list[np.ndarray]:
    """Boxes apart from scores where one output holds both."""
    if "yolov8" in name:  # runs x 1 x (4 + C) x N
        return [output[:, :, :4], output[:, :, 4:]]
    if "yolox" in name or name.endswith("yolov5") or name == "tf2onnx_detector":
        return [output[..., :4], output[..., 4:]]
    return [output]


@pytest.fixture(scope="module")
def parser() -> Parser:
    return Parser()


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory):  # type: ignore[no-untyped-def]
    """Builds a fixture for a target, once for all tests."""
    known: dict[tuple[str, str], tuple[onnx.ModelProto, onnx.ModelProto]] = {}

    def make(name: str, jetpack: str) -> tuple[onnx.ModelProto, onnx.ModelProto]:
        if (name, jetpack) not in known:
            folder = tmp_path_factory.mktemp(name)
            proto = onnx.load(str(GRAPHS / f"{name}.onnx"))
            np.savez(folder / "feeds.npz", **tensors(Model.of(proto), 0, 8))
            order = BuildOrder(
                device="orin",
                model=str(GRAPHS / f"{name}.onnx"),
                jetpack=jetpack,
                data=str(folder / "feeds.npz"),
                shapes=SHAPES.get(name, {}),
                out=folder / "net.edge",
            )
            request, path = resolve(order)
            known[name, jetpack] = proto, build(request, path).model().proto
        return known[name, jetpack]

    return make


@pytest.mark.parametrize("jetpack", TARGETS)
@pytest.mark.parametrize("name", FIXTURES)
def test_each_graph_has_the_documented_form(made, name: str, jetpack: str) -> None:  # type: ignore[no-untyped-def]
    form = check_form(*made(name, jetpack), TARGETS[jetpack])
    assert form.violations == ()
    assert form.residual_good == form.residual_adds


@pytest.mark.parametrize("jetpack", TARGETS)
@pytest.mark.parametrize("name", FIXTURES)
def test_each_graph_still_answers_the_same(made, name: str, jetpack: str) -> None:  # type: ignore[no-untyped-def]
    proto, built = made(name, jetpack)
    feeds = tensors(Model.of(proto), 1, 4)
    pairs = zip(answers(proto, feeds, 4), answers(built, feeds, 4), strict=True)
    for expected, found in pairs:
        for one, other in zip(groups(name, expected), groups(name, found), strict=True):
            assert sqnr_db(one, other) > DEFAULT_DB
            assert other.std() > 0.5 * one.std(), "a group of outputs flatlines"


@pytest.mark.parametrize("jetpack", TARGETS)
@pytest.mark.parametrize("name", FIXTURES)
def test_each_graph_is_compiled(made, parser: Parser, name: str, jetpack: str) -> None:  # type: ignore[no-untyped-def]
    model = Model.of(made(name, jetpack)[1])
    if jetpack == "6.0":
        assert parser.takes(model.to_bytes())
        return
    built = parser.engine(model)
    operators = {node.name: node.op_type for node in model.proto.graph.node}
    left = not_honoured(built.layers, read_facts(model).int8_nodes)
    # This builder has no INT8 kernel for a transposed convolution; all else runs in INT8.
    assert {operators[one.node] for one in left} <= {"ConvTranspose"}


@pytest.mark.parametrize("opset", [17, 19])
@pytest.mark.parametrize("name", FIXTURES)
def test_preparing_changes_no_answer_and_leaves_no_size_open(name: str, opset: int) -> None:
    proto = onnx.load(str(GRAPHS / f"{name}.onnx"))
    model = Model.of(proto)
    ready = prepare(model, opset, SHAPES.get(name, {}))
    feeds = tensors(model, 3, 2)
    for one, other in zip(answers(proto, feeds, 2), answers(ready.proto, feeds, 2), strict=True):
        np.testing.assert_allclose(other, one, rtol=1e-4, atol=1e-5)
    inferred = {v.name: v for v in (*ready.proto.graph.value_info, *ready.proto.graph.output)}
    for node in ready.proto.graph.node:
        for tensor in node.output:
            dims = inferred[tensor].type.tensor_type.shape.dim
            assert all(dim.HasField("dim_value") for dim in dims), f"{node.op_type} {tensor}"
    outputs = {value.name for value in ready.proto.graph.output}
    kinds = {n.op_type for n in ready.proto.graph.node if n.output[0] not in outputs}
    assert not {"Shape", "Identity"} & kinds
    weights = {tensor.name for tensor in ready.proto.graph.initializer}
    read = {name for node in ready.proto.graph.node for name in node.input}
    assert weights <= read
