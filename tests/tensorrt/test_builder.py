"""The engine builder on a real builder of the TensorRT family, which works without a GPU.

What is built is for a desktop GPU and is never run: these tests show that our calls, our graphs
and our answers to refusals are right for TensorRT-RTX, whose interface is that of TensorRT 11.
They do not show that a Jetson's TensorRT builds or runs anything.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper

from edgesdk.backends.tensorrt.building.builder import BuildOrder, build_engine
from edgesdk.backends.tensorrt.building.honoured import not_honoured
from edgesdk.backends.tensorrt.settings import DlaSettings, EngineSettings, ShapeRange
from edgesdk.errors import BackendError, EdgeError, ModelError, UnknownName, UsageError
from edgesdk.model import Model
from edgesdk.model.prepare import prepare
from edgesdk.quantize.fp16 import write_fp16
from tests.onnx_graphs import make_model, small_detector
from tests.tensorrt_parser import Parser
from tests.test_lint import BAD, int8_proto

GIB = 1024**3
LOW, USUAL, HIGH = (1, 3, 32, 32), (2, 3, 32, 32), (4, 3, 32, 32)
BATCHES = EngineSettings(shapes={"images": ShapeRange(LOW, USUAL, HIGH)})
CALLED_OFF = "no more"


@pytest.fixture(scope="module")
def real() -> Parser:
    return Parser()


def float_net() -> Model:
    return prepare(Model.of(small_detector()), 19, {})


def varying_net() -> Model:
    """Convolutions only, whose batch is left open."""
    rng = np.random.default_rng(0)
    constants = {"w": rng.normal(size=(8, 3, 3, 3)).astype(np.float32)}
    nodes = [helper.make_node("Conv", ["images", "w"], ["c"], "conv", pads=[1] * 4)]
    nodes.append(helper.make_node("Relu", ["c"], ["out"], "relu"))
    return Model.of(make_model(nodes, constants, {"images": ["batch", 3, 32, 32]}, ["out"]))


# --- precision --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("model", "precision"),
    [
        (float_net(), "fp32"),
        (write_fp16(float_net()), "fp16"),
        (Model.of(int8_proto()), "int8"),
    ],
    ids=["fp32", "fp16", "int8"],
)
def test_each_convolution_runs_in_the_precision_that_the_graph_gives_it(
    real: Parser, model: Model, precision: str
) -> None:
    built = real.engine(model)
    found = {
        node: layer.precision
        for layer in built.layers
        if layer.kind == "correlation"
        for node in layer.origin
    }
    convolutions = {name: found[name] for name in ("first", "depthwise", "head")}
    assert set(convolutions.values()) == {precision}
    assert built.warnings == ()
    assert built.version == "1.7.1.116"
    assert built.seconds > 0


def test_an_int8_layer_that_does_not_run_in_int8_is_said_loudly(real: Parser) -> None:
    """TensorRT-RTX 1.7.1 has no INT8 kernel for transposed convolutions: it computes in float."""
    rng = np.random.default_rng(0)
    scale, zero = np.float32(0.05), np.int8(0)
    constants = {
        "w": rng.integers(-127, 128, (4, 4, 2, 2)).astype(np.int8),
        "ws": np.full(4, 0.01, np.float32),
        "wz": np.zeros(4, np.int8),
        "s": np.asarray(scale),
        "z": np.asarray(zero),
    }
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "s", "z"], ["q"], "quantize"),
        helper.make_node("DequantizeLinear", ["q", "s", "z"], ["d"], "dequantize"),
        helper.make_node("DequantizeLinear", ["w", "ws", "wz"], ["wd"], "weight", axis=1),
        helper.make_node("ConvTranspose", ["d", "wd"], ["up"], "upwards", strides=[2, 2]),
    ]
    built = real.engine(Model.of(make_model(nodes, constants, {"x": [1, 4, 8, 8]}, ["up"])))
    assert len(built.warnings) == 1
    assert built.warnings[0].startswith("INT8 NOT HONOURED: 1 of 1 layers asked for: upwards (fp32")


def test_an_engine_that_does_not_tell_its_layers_is_a_warning(real: Parser) -> None:
    order = BuildOrder(inspect=lambda trt, data, log: ())
    built = build_engine(real.trt, Model.of(int8_proto()), EngineSettings(), order)
    assert built.layers == ()
    assert "whether its 3 INT8 layers run in INT8 is not known" in built.warnings[0]


def test_layers_asked_for_by_the_manifest_are_matched_by_their_nodes(real: Parser) -> None:
    layers = real.engine(Model.of(int8_proto())).layers
    assert not_honoured(layers, ["first", "depthwise", "head"]) == ()
    (absent,) = not_honoured(layers, ["first", "no_such_node"])
    assert (absent.node, absent.precision) == ("no_such_node", "unknown")


# --- graphs that must be refused --------------------------------------------------------------


@pytest.mark.parametrize(("change", "rule", "parser_takes_it"), BAD.values(), ids=BAD.keys())
def test_a_graph_that_must_be_refused_is_refused_by_our_own_check_first(
    real: Parser,
    change: Callable[[onnx.ModelProto], None],
    rule: str,
    parser_takes_it: bool,
) -> None:
    proto = int8_proto()
    change(proto)
    with pytest.raises(EdgeError) as caught:
        real.engine(Model.of(proto))
    if rule == "dynamic-shape":
        assert "no shape range was given for it" in caught.value.message
    else:
        assert f"[{rule}]" in caught.value.message
    assert "TensorRT 1.7.1 does not take" not in caught.value.message, "ours comes first"
    assert caught.value.hint


def test_what_the_parser_alone_refuses_is_told_with_node_operator_and_reason(
    real: Parser,
) -> None:
    nodes = [helper.make_node("StringNormalizer", ["x"], ["y"], "tidy")]
    proto = make_model(nodes, {}, {"x": [3]}, ["y"])
    with pytest.raises(BackendError) as caught:
        real.engine(Model.of(proto))
    assert "tidy (StringNormalizer)" in caught.value.message
    assert "edgesdk" in caught.value.hint


def test_a_graph_whose_channels_do_not_fit_is_an_error_of_the_model(real: Parser) -> None:
    proto = small_detector()
    weight = next(t for t in proto.graph.initializer if t.name == "w3")
    weight.CopyFrom(onnx.numpy_helper.from_array(np.ones((7, 9, 1, 1), np.float32), "w3"))
    with pytest.raises((BackendError, ModelError), match=r"head|dimension"):
        real.engine(Model.of(proto))


# --- shapes -----------------------------------------------------------------------------------


def test_an_input_of_varying_size_is_built_with_its_range(real: Parser) -> None:
    assert len(real.engine(varying_net(), BATCHES).data) > 0


@pytest.mark.parametrize(
    ("shapes", "error", "said"),
    [
        ({}, UsageError, "no shape range was given"),
        ({"imagos": ShapeRange(LOW, USUAL, HIGH)}, UnknownName, "no input named 'imagos'"),
        ({"images": ShapeRange((1, 3), (2, 3), (4, 3))}, UsageError, "has 4 dimensions"),
        (
            {"images": ShapeRange(LOW, USUAL, (4, 3, 64, 32))},
            UsageError,
            "is 32 along axis 2",
        ),
    ],
    ids=["none", "name", "rank", "fixed size"],
)
def test_a_range_that_does_not_fit_is_refused_before_tensorrt_sees_it(
    real: Parser, shapes: dict[str, ShapeRange], error: type[EdgeError], said: str
) -> None:
    with pytest.raises(error, match=said) as caught:
        real.engine(varying_net(), EngineSettings(shapes=shapes))
    assert caught.value.hint


def test_a_range_for_an_input_of_fixed_size_is_refused(real: Parser) -> None:
    with pytest.raises(UsageError, match="has a fixed size"):
        real.engine(float_net(), BATCHES)


def test_min_above_opt_is_refused_when_it_is_written_down() -> None:
    with pytest.raises(UsageError, match="min <= opt <= max"):
        ShapeRange(HIGH, USUAL, LOW)


def test_inputs_that_share_a_named_size_share_its_range(real: Parser) -> None:
    nodes = [helper.make_node("Add", ["a", "b"], ["sum"], "add")]
    proto = make_model(nodes, {}, {"a": ["batch", 4], "b": ["batch", 4]}, ["sum"])
    alike = ShapeRange((1, 4), (2, 4), (4, 4))
    other = ShapeRange((1, 4), (2, 4), (8, 4))
    assert real.engine(Model.of(proto), EngineSettings(shapes={"a": alike, "b": alike})).data
    with pytest.raises(UsageError, match="'batch' is one size"):
        real.engine(Model.of(proto), EngineSettings(shapes={"a": alike, "b": other}))


# --- memory, levels, options ------------------------------------------------------------------


def test_a_workspace_beyond_the_device_s_memory_is_refused(real: Parser) -> None:
    order = BuildOrder(memory_bytes=8 * GIB)
    with pytest.raises(UsageError, match=r"the device has 8,589,934,592; found 9,663,676,416"):
        real.engine(float_net(), EngineSettings(workspace_bytes=9 * GIB), order)
    for size in (0, -1, 1 << 62, 1 << 64):
        with pytest.raises(UsageError, match="the workspace should be above 0"):
            real.engine(float_net(), EngineSettings(workspace_bytes=size))


@pytest.mark.parametrize("level", [0, 3, 5])
def test_each_optimization_level_builds(real: Parser, level: int) -> None:
    settings = EngineSettings(optimization_level=level, workspace_bytes=64 * 1024**2)
    assert real.engine(float_net(), settings, BuildOrder(memory_bytes=8 * GIB)).data


def test_a_build_that_tensorrt_gives_up_is_told_in_its_own_words(real: Parser) -> None:
    """Without a GPU, TensorRT-RTX can neither strip weights nor find its lean runtime."""
    with pytest.raises(BackendError, match=r"could not build the engine: .*Myelin"):
        real.engine(float_net(), EngineSettings(strip_weights=True))
    with pytest.raises(BackendError, match=r"could not build the engine: .*nvinfer_lean"):
        real.engine(float_net(), EngineSettings(version_compatible=True))


def test_dla_is_refused_where_tensorrt_counts_no_core(real: Parser) -> None:
    """The builder itself takes the wish and says nothing."""
    with pytest.raises(BackendError, match="TensorRT finds no DLA here"):
        real.engine(write_fp16(float_net()), EngineSettings(dla=DlaSettings()))


def test_implicit_int8_is_refused_where_ranges_stand_in_the_graph_only(real: Parser) -> None:
    order = BuildOrder(ranges={"images": 1.0})
    with pytest.raises(BackendError, match="takes ranges only inside the graph"):
        real.engine(float_net(), EngineSettings(implicit_int8=True), order)


def test_a_timing_cache_costs_nothing_where_tensorrt_keeps_none(
    real: Parser, tmp_path: Path
) -> None:
    """TensorRT-RTX has a cache in name only, and says so by a warning of Python."""
    path = tmp_path / "timing.cache"
    path.write_bytes(b"no cache at all")
    with pytest.warns(DeprecationWarning, match="Timing cache operations are no-ops"):
        built = real.engine(float_net(), order=BuildOrder(timing_cache=path))
    assert built.data
    assert any("Failed to deserialize timing cache" in line for line in built.log)
    assert path.read_bytes() != b"no cache at all"


# --- progress ---------------------------------------------------------------------------------


def test_progress_comes_from_tensorrt_and_never_falls(real: Parser) -> None:
    seen: list[tuple[str, float, float | None]] = []
    order = BuildOrder(progress=lambda name, share, left: seen.append((name, share, left)))
    real.engine(Model.of(int8_proto()), order=order)
    shares = [share for _, share, _ in seen]
    assert shares == sorted(shares)
    assert shares[-1] == 1.0
    assert sum(0.1 < share < 0.9 for share in shares) > 5, "it is not told at the end only"
    assert len({name for name, _, _ in seen}) > 5, "phases inside phases"


def test_a_build_stops_when_it_is_asked_to(real: Parser) -> None:
    steps = iter([False] * 10)
    order = BuildOrder(stop=lambda: next(steps, True))
    with pytest.raises(BackendError, match="the build was stopped"):
        real.engine(float_net(), order=order)
    assert real.engine(float_net()).data, "the next one goes through"


@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError])
def test_what_a_progress_function_raises_ends_the_build_and_arrives(
    real: Parser, error: type[BaseException]
) -> None:
    def show(name: str, share: float, left: float | None) -> None:
        raise error(CALLED_OFF)

    with pytest.raises(error, match=CALLED_OFF):
        real.engine(float_net(), order=BuildOrder(progress=show))
