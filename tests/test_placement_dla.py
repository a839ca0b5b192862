"""The rules for DLA: what it has in INT8 gets pairs, with the scales that it can keep."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from edgesdk.build import build
from edgesdk.build.job import BuildOrder, resolve
from edgesdk.bundle import Bundle
from edgesdk.calibration import Recipe, load_recipe
from edgesdk.errors import ModelError
from edgesdk.lint import check_for_dla, check_for_tensorrt
from edgesdk.model import Model
from edgesdk.model.prepare import prepare
from edgesdk.quantize.placement import Placement, Wishes, place
from tests.onnx_graphs import make_model, small_detector
from tests.tensorrt_parser import Parser
from tests.test_graph_form import GRAPHS, answers, sqnr_db, tensors

OPERATORS = ("Conv", "ConvTranspose", "Gemm", "MatMul")
RNG = np.random.default_rng(3)
C = 4


class Net:
    """A graph written by hand, of C channels everywhere."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: dict[str, np.ndarray] = {}

    def op(self, kind: str, *inputs: str, out: str, **attributes: object) -> str:
        """A node called as its output."""
        self.nodes.append(helper.make_node(kind, inputs, [out], out, **attributes))
        return out

    def conv(self, x: str, out: str, kernel: int = 1, inputs: int = C, **attributes: object) -> str:
        shape = (C, inputs, kernel, kernel)
        self.constants[f"w_{out}"] = RNG.normal(size=shape).astype(np.float32)
        return self.op("Conv", x, f"w_{out}", out=out, **attributes)

    def model(self, *outputs: str, size: int = 40, opset: int = 17) -> Model:
        proto = make_model(self.nodes, self.constants, {"x": [1, C, size, size]}, outputs, opset)
        return prepare(Model.of(proto), opset, {})


def placed(net: Net, *outputs: str, wishes: Wishes | None = None) -> Placement:
    return place(net.model(*outputs), OPERATORS, wishes, "dla")


def pairs(placement: Placement) -> set[tuple[str, str]]:
    """(node, tensor) of all inputs beside the layers' that get a pair."""
    return {(branch.node, branch.tensor) for branch in placement.branches}


def residual() -> Net:
    net = Net()
    net.op("Relu", net.conv("x", "a"), out="r")
    net.op("Add", net.conv("r", "b"), "r", out="s")
    net.op("Relu", "s", out="t")
    net.conv("t", "y")
    return net


def test_both_inputs_of_an_addition_have_pairs_and_the_activation_behind_has_none() -> None:
    assert pairs(placed(residual(), "y")) == {("s", "b"), ("s", "r")}
    gpu = place(residual().model("y"), OPERATORS)
    assert pairs(gpu) == {("s", "r")}, "the GPU's kernel adds in float"


def test_silu_is_two_operators_that_read_int8() -> None:
    net = Net()
    net.op("Sigmoid", net.conv("x", "a"), out="g")
    net.op("Mul", "a", "g", out="m")
    net.conv("m", "y")
    placement = placed(net, "y")
    assert pairs(placement) == {("g", "a"), ("m", "a"), ("m", "g")}
    assert placement.left == {}
    owners = {branch.layer for branch in placement.branches}
    assert owners == {"a"}, "in float, the convolution takes its activation with it"


def test_concat_and_pooling_read_int8_and_movers_need_no_pair() -> None:
    net = Net()
    net.conv("x", "a")
    net.op("MaxPool", net.conv("x", "b"), out="p", kernel_shape=[3, 3], pads=[1] * 4)
    net.op("Concat", "a", "p", out="c", axis=1)
    net.op("Transpose", "c", out="t", perm=[0, 1, 3, 2])
    net.conv("t", "y", inputs=2 * C)
    assert pairs(placed(net, "y")) == {("p", "b"), ("c", "a"), ("c", "p")}


def test_an_average_reads_int8_though_only_a_float_layer_follows() -> None:
    net = Net()
    net.op("GlobalAveragePool", net.conv("x", "a"), out="p")
    net.op("Flatten", "p", out="f")
    net.constants["w_y"] = RNG.normal(size=(C, 10)).astype(np.float32)
    net.op("Gemm", "f", "w_y", out="y")
    placement = placed(net, "y")
    assert pairs(placement) == {("p", "a")}
    assert "no Gemm" in placement.left["y"]
    assert [layer.node for layer in placement.float_layers] == ["y"]


def test_what_lies_behind_the_last_layers_is_left_alone() -> None:
    net = Net()
    net.op("Sigmoid", net.conv("x", "a"), out="g")
    net.op("Mul", "g", "x", out="m")
    net.op("Concat", "m", "g", out="y", axis=1)
    placement = placed(net, "y")
    assert (pairs(placement), placement.left) == (set(), {})


def test_an_operator_that_dla_lacks_stays_in_float_and_is_named() -> None:
    net = Net()
    net.op("HardSwish", net.conv("x", "a"), out="h")
    net.conv("h", "y")
    placement = placed(net, "y")
    assert pairs(placement) == set()
    assert placement.left == {"h": "DLA has no HardSwish in INT8"}
    assert [layer.node for layer in placement.layers] == ["a", "y"]


@pytest.mark.parametrize(
    ("attributes", "reason"),
    [
        ({"kernel": 32}, ""),
        ({"kernel": 33}, "a window of 1 to 32 here, found 33"),
        ({"strides": [8, 8]}, ""),
        ({"strides": [9, 1]}, "strides of 1 to 8 here, found 9"),
        ({"kernel": 2, "dilations": [32, 32]}, ""),
        ({"kernel": 2, "dilations": [33, 1]}, "dilations of 1 to 32 here, found 33"),
        ({"kernel": 32, "pads": [31] * 4}, ""),
        ({"kernel": 32, "pads": [0, 0, 0, 32]}, "padding of 0 to 31 here, found 32"),
    ],
)
def test_limits_of_convolutions(attributes: dict[str, object], reason: str) -> None:
    """NVIDIA: kernel 1 to 32, padding 0 to 31, stride 1 to 8, dilation 1 to 32."""
    net = Net()
    net.conv(net.conv("x", "first"), "y", **attributes)  # type: ignore[arg-type]
    assert reason in placed(net, "y").left.get("y", "")
    assert ("y" in placed(net, "y").left) == bool(reason)
    forced = placed(net, "y", wishes=Wishes(force_int8=("y",)))
    assert "y" in [layer.node for layer in forced.layers], "asked for: it runs on the GPU"


@pytest.mark.parametrize(
    ("attributes", "fits"),
    [({}, True), ({"pads": [1] * 4}, False), ({"group": 2}, False), ({"dilations": [2, 2]}, False)],
)
def test_limits_of_transposed_convolutions(attributes: dict[str, object], fits: bool) -> None:
    """NVIDIA: padding 0, one group, dilation 1."""
    net = Net()
    net.conv("x", "first")
    outputs = C // int(attributes.get("group", 1))  # type: ignore[call-overload]
    net.constants["w_y"] = RNG.normal(size=(C, outputs, 4, 4)).astype(np.float32)
    net.op("ConvTranspose", "first", "w_y", out="y", strides=[2, 2], **attributes)
    assert ("y" not in placed(net, "y").left) == fits


@pytest.mark.parametrize(("window", "fits"), [(8, True), (9, False)])
def test_limits_of_pooling(window: int, fits: bool) -> None:
    net = Net()
    net.op("AveragePool", net.conv("x", "a"), out="p", kernel_shape=[window, window])
    net.conv("p", "y")
    placement = placed(net, "y")
    assert pairs(placement) == ({("p", "a")} if fits else set())
    assert ("p" not in placement.left) == fits


def test_only_channels_are_joined() -> None:
    net = Net()
    net.op("Concat", net.conv("x", "a"), net.conv("x", "b"), out="c", axis=2)
    net.conv("c", "y")
    placement = placed(net, "y")
    assert pairs(placement) == set()
    assert "channels only" in placement.left["c"]


def test_a_recipe_for_dla_adds_no_mul() -> None:
    assert load_recipe("dla").allow_mul is False
    with pytest.raises(ValueError, match="allow_mul = false"):
        Recipe("mine", "mse", rules="dla")


def linted(scales: dict[str, float], *joined: str) -> set[str]:
    """Rules that a graph breaks whose Concat reads `joined` and whose tensors have these scales."""
    net = Net()
    net.conv("x", "a")
    net.conv("x", "b")
    for tensor in ("a", "b", "c"):
        if tensor == "c":
            net.op("Concat", *joined, out="c", axis=1)
        given = [f"{tensor}_s", f"{tensor}_z"]
        net.constants[given[0]] = np.array(scales[tensor], np.float32)
        net.constants[given[1]] = np.array(0, np.int8)
        net.op("QuantizeLinear", tensor, *given, out=f"{tensor}_q")
        net.op("DequantizeLinear", f"{tensor}_q", *given, out=f"{tensor}_dq")
    return {finding.rule for finding in check_for_dla(net.model("c_dq"))}


def test_the_lint_finds_what_dla_cannot_keep() -> None:
    same = dict.fromkeys("abc", 0.5)
    assert linted(same, "a_dq", "b_dq") == set()
    assert linted({**same, "b": 0.25}, "a_dq", "b_dq") == {"dla-scales"}
    assert linted({**same, "c": 0.25}, "a_dq", "b_dq") == {"dla-scales"}
    assert linted(same, "a_dq", "b") == {"dla-precision"}
    assert linted({**same, "c": 0.25}, "a", "b") == set(), "a Concat in float may be rounded after"


# --- built --------------------------------------------------------------------------------------


def built(folder: Path, path: Path, device: str = "orin", jetpack: str = "6.2") -> Bundle:
    np.savez(folder / "feeds.npz", **tensors(Model.of(onnx.load(str(path))), 0, 4))
    order = BuildOrder(
        device=device,
        model=str(path),
        jetpack=jetpack,
        data=str(folder / "feeds.npz"),
        recipe="dla",
        out=folder / "net.edge",
    )
    request, out = resolve(order)
    return build(request, out)


class Scales:
    """The pairs of a graph."""

    def __init__(self, proto: onnx.ModelProto) -> None:
        self.nodes = {n.name: n for n in proto.graph.node}
        self.maker = {out: n for n in proto.graph.node for out in n.output}
        self.constants = {t.name: numpy_helper.to_array(t) for t in proto.graph.initializer}
        self.of = {n.input[0]: self.scale(n) for n in self.quantizers()}

    def quantizers(self) -> list[onnx.NodeProto]:
        return [n for n in self.nodes.values() if n.op_type == "QuantizeLinear"]

    def scale(self, node: onnx.NodeProto) -> float:
        return float(self.constants[node.input[1]])

    def read(self, node: onnx.NodeProto) -> list[float | None]:
        """Scales of what a node reads; None: float."""
        makers = [self.maker.get(name) for name in node.input if name not in self.constants]
        return [
            self.scale(m) if m is not None and m.op_type == "DequantizeLinear" else None
            for m in makers
        ]


KEEPS = ("Concat", "MaxPool", "AveragePool", "GlobalAveragePool")
BUILT = (
    "torchscript_resnet",
    "torchscript_shufflenet",
    "torchscript_silu",
    "torchscript_unet",
    "torchscript_pool_pyramid",
    "paddle_picodet",
)


@pytest.mark.parametrize("name", BUILT)
def test_graphs_of_exporters_keep_the_rules_and_are_compiled(tmp_path: Path, name: str) -> None:
    """By TensorRT-RTX, which has no DLA: it shows that the graph is understood."""
    path = GRAPHS / f"{name}.onnx"
    graph = built(tmp_path, path).model()
    assert check_for_tensorrt(graph, 19) == ()
    scales = Scales(graph.proto)
    for node in scales.nodes.values():
        if node.op_type in KEEPS and any(scales.read(node)):
            after = scales.of.get(node.output[0])
            found = {*scales.read(node), *([after] if after else [])}
            assert len(found) == 1, f"{node.op_type} {node.name}: {found}"
        elif node.op_type == "Add":
            assert len({scale is None for scale in scales.read(node)}) == 1, "both or none"
    proto = onnx.load(str(path))
    feeds = tensors(Model.of(proto), 1, 2)
    pairs = zip(answers(proto, feeds, 2), answers(graph.proto, feeds, 2), strict=True)
    assert all(sqnr_db(one, other) > 15 for one, other in pairs)
    assert Parser().builds(graph.to_bytes())


def test_left_operators_are_told_with_the_reason(tmp_path: Path) -> None:
    rows = built(tmp_path, GRAPHS / "dynamo_mobilenet_v3.onnx").manifest.layers
    reasons = {row.operator: row.reason for row in rows if row.precision != "int8"}
    assert reasons["HardSwish"] == "DLA has no HardSwish in INT8"
    assert "1x1" in reasons["Gemm"]


def test_balancing_folds_away_or_is_not_done(tmp_path: Path) -> None:
    """The wild channels pass a ReLU into their convolution; behind a SiLU they cannot."""
    path = tmp_path / "wild.onnx"
    onnx.save(small_detector(wild=True), str(path))
    bundle = built(tmp_path, path)
    assert bundle.manifest.calibration is not None
    assert bundle.manifest.calibration.balanced
    assert "Mul" not in {n.op_type for n in bundle.model().proto.graph.node}


def test_a_model_with_nothing_for_dla_is_refused_with_the_reason(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="4 dimensions") as caught:
        built(tmp_path, GRAPHS / "torchscript_signal.onnx")
    assert "GPU" in caught.value.hint


@pytest.mark.parametrize(
    ("device", "jetpack", "words"),
    [
        ("orin-nano-8gb", "6.2", "Orin Nano 8GB has no DLA"),
        ("agx-orin-64gb", "7.2", "JetPack 7.2 has no DLA"),
        ("agx-orin-64gb", "6.2", ""),
    ],
)
def test_a_target_without_dla_is_said(
    tmp_path: Path, device: str, jetpack: str, words: str
) -> None:
    warnings = built(
        tmp_path, GRAPHS / "torchscript_resnet.onnx", device, jetpack
    ).manifest.warnings
    found = [text for text in warnings if "DLA" in text]
    assert len(found) == bool(words)
    assert all(words in text for text in found)
