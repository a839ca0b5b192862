"""Every False, None and -1 that TensorRT can answer becomes an error, seen on a double of it.

These tests do NOT show that TensorRT works, nor that it ever gives these answers.
"""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable
from typing import Any

import pytest

from edgesdk.backends.tensorrt.building.builder import BuildOrder
from edgesdk.backends.tensorrt.building.precision import hold
from edgesdk.backends.tensorrt.logging import Messages, make_log
from edgesdk.backends.tensorrt.runtime.refit import refit
from edgesdk.backends.tensorrt.settings import EngineSettings, ShapeRange
from edgesdk.errors import BackendError
from tests.tensorrt.nets import EIGHT, build, float_net, island_net, varying_net
from tests.tensorrt_double import control, make_tensorrt

RANGE = ShapeRange((1, 3, 32, 32), (2, 3, 32, 32), (4, 3, 32, 32))
STRIPPED = EngineSettings(strip_weights=True)


def says(trt: Any, text: str, answer: object) -> Callable[..., object]:
    """A method that logs an error and gives `answer`."""

    def method(self: Any, *arguments: object, **named: object) -> object:
        self._logger.log(trt.ILogger.ERROR, text)
        return answer

    return method


def test_a_refused_range_is_told_with_the_range_and_tensorrt_s_reason() -> None:
    trt = make_tensorrt("10.3.0")
    trt.IBuilderConfig.add_optimization_profile = says(trt, "profile->isValid() failed", -1)
    with pytest.raises(BackendError, match=r"1x3x32x32 : 2x3x32x32 .*isValid\(\) failed"):
        build(trt, varying_net(), EngineSettings(shapes={"images": RANGE}))


def test_false_from_the_parser_without_an_error_quotes_the_log() -> None:
    trt = make_tensorrt("10.3.0")
    trt.OnnxParser.parse = says(trt, "the parser has no words for it", False)
    with pytest.raises(BackendError, match="does not take the graph: the parser has no words"):
        build(trt, float_net())


def test_none_from_the_builder_without_a_word_says_that_there_was_none() -> None:
    trt = make_tensorrt("10.3.0")
    trt.Builder.build_serialized_network = lambda self, network, config: None
    with pytest.raises(BackendError, match="could not build the engine: and gave no reason"):
        build(trt, float_net())


def test_an_empty_engine_is_none() -> None:
    trt = make_tensorrt("10.3.0")

    class Nothing:
        nbytes = 0

    trt.Builder.build_serialized_network = lambda self, network, config: Nothing()
    with pytest.raises(BackendError, match="could not build the engine"):
        build(trt, float_net())


def test_a_network_without_layers_is_an_error() -> None:
    trt = make_tensorrt("10.3.0")
    trt.OnnxParser.parse = lambda self, model: True
    with pytest.raises(BackendError, match="made no layers of the graph"):
        build(trt, float_net())


def test_ranges_that_tensorrt_does_not_take_fail_the_build() -> None:
    """It asks for pictures instead, and would build with ranges of its own."""
    trt = make_tensorrt("10.3.0")
    unpatched = trt.Builder.build_serialized_network

    def ignores_the_cache(self: Any, network: Any, config: Any) -> Any:
        config._int8_calibrator.get_batch(["images"])
        return unpatched(self, network, config)

    trt.Builder.build_serialized_network = ignores_the_cache
    order = BuildOrder(ranges={"images": 1.0})
    with pytest.raises(BackendError, match="did not take the ranges of calibration"):
        build(trt, float_net(), EngineSettings(implicit_int8=True), order)


@pytest.mark.parametrize(
    ("refused", "said"),
    [
        ("OnnxParserRefitter.refit_from_bytes", "does not take the bundle's weights"),
        ("Refitter.refit_cuda_engine", "could not put the weights back"),
    ],
)
def test_weights_that_do_not_go_back_are_an_error(refused: str, said: str) -> None:
    trt = make_tensorrt("10.3.0")
    built = build(trt, float_net(), STRIPPED)
    if refused.startswith("OnnxParser"):
        trt.OnnxParserRefitter.refit_from_bytes = says(trt, "no", False)
    else:
        trt.Refitter.refit_cuda_engine = says(trt, "no", False)
    messages = Messages()
    log = make_log(trt, messages)
    engine = trt.Runtime(log).deserialize_cuda_engine(built.data)
    with pytest.raises(BackendError, match=f"{said}: no"):
        refit(trt, engine, float_net(), log, messages)


@pytest.mark.parametrize("version", EIGHT)
def test_only_the_island_s_layer_is_held_in_float32(version: str) -> None:
    trt = make_tensorrt(version)
    log = make_log(trt, Messages())
    flag = 1 << int(trt.NetworkDefinitionCreationFlag.EXPLICIT_BATCH)
    network = trt.Builder(log).create_network(flag)
    assert trt.OnnxParser(network, log).parse(island_net().to_bytes())
    assert hold(trt, network, {"depthwise": "fp32", "no_such_node": "fp32"}) == ("no_such_node",)
    layers = [network.get_layer(i) for i in range(network.num_layers)]
    held = [layer for layer in layers if layer.precision_is_set]
    assert [layer.name for layer in held] == ["depthwise"]
    assert held[0].precision == trt.DataType.FLOAT
    assert held[0].get_output_type(0) == trt.DataType.FLOAT


def test_the_error_quotes_the_last_lines_and_not_all() -> None:
    trt = make_tensorrt("10.3.0")

    def many(self: Any, network: Any, config: Any) -> None:
        for number in range(50):
            self._logger.log(trt.ILogger.ERROR, f"line {number}")

    trt.Builder.build_serialized_network = many
    with pytest.raises(BackendError, match=r"line 47 \| line 48 \| line 49\n") as caught:
        build(trt, float_net())
    assert "line 46" not in caught.value.message


def test_tensorrt_s_own_warnings_come_with_the_engine_each_once() -> None:
    trt = make_tensorrt("10.3.0")
    unpatched = trt.Builder.build_serialized_network

    def warns(self: Any, network: Any, config: Any) -> Any:
        for text in ("weights are subnormal", "weights are subnormal", "another"):
            self._logger.log(trt.ILogger.WARNING, text)
        return unpatched(self, network, config)

    trt.Builder.build_serialized_network = warns
    assert build(trt, float_net()).log == ("weights are subnormal", "another")


class Hearer:
    """Something that a user would not want to be kept for good, such as a window."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def hear(self, line: str) -> None:
        self.lines.append(line)


@pytest.mark.parametrize("error", ["no kernel", ""])
def test_the_logger_lives_on_and_what_it_told_does_not(error: str) -> None:
    """TensorRT keeps the first logger's address for the process, so loggers are never freed."""
    trt = make_tensorrt("10.3.0")
    control(trt).fail_build = error
    hearer = Hearer()
    alive = weakref.ref(hearer)
    try:
        build(trt, float_net(), order=BuildOrder(hear=hearer.hear))
    except BackendError:
        assert error in hearer.lines
    assert hearer.lines
    del hearer
    gc.collect()
    assert alive() is None
