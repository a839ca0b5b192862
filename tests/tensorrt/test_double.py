"""The double of TensorRT is as strict as the real bindings are.

These tests are about the double. They do not show that TensorRT works.
"""

from __future__ import annotations

import gc
import json
from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from tests.partners.bindings import run
from tests.tensorrt.answers import TOPICS, Answers, Asker
from tests.tensorrt_double import control, make_tensorrt
from tests.tensorrt_list import api, versions

SEVERAL = pytest.mark.parametrize("version", versions())


class Said:
    """A logger of the double, and what was said to it."""

    def __init__(self, trt: Any) -> None:
        self.lines: list[str] = []
        lines = self.lines

        class Log(trt.ILogger):  # type: ignore[misc]
            def __init__(self) -> None:
                trt.ILogger.__init__(self)

            def log(self, severity: Any, msg: str) -> None:
                lines.append(f"{severity.name} {msg}")

        self.logger = Log()


def small_net(batch: int | str = 1) -> bytes:
    """x (batch, 2) -> relu(x @ w) with w = [[1, -1], [2, 0]]."""
    weight = onnx.numpy_helper.from_array(np.array([[1, -1], [2, 0]], np.float32), "w")
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["y"], name="product"),
        helper.make_node("Relu", ["y"], ["z"], name="relu"),
    ]
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, [batch, 2])
    z = helper.make_tensor_value_info("z", TensorProto.FLOAT, [batch, 2])
    graph = helper.make_graph(nodes, "net", [x], [z], [weight])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    return bytes(model.SerializeToString())


def network_of(trt: Any, builder: Any, said: Said, data: bytes) -> Any:
    flag = trt.NetworkDefinitionCreationFlag
    explicit = 1 << int(flag.EXPLICIT_BATCH) if hasattr(flag, "EXPLICIT_BATCH") else 0
    network = builder.create_network(explicit)
    assert trt.OnnxParser(network, said.logger).parse(data), said.lines
    return network


def engine_of(trt: Any, said: Said, data: bytes, *, ranges: tuple[Any, ...] = ()) -> Any:
    builder = trt.Builder(said.logger)
    network = network_of(trt, builder, said, data)
    config = builder.create_builder_config()
    if ranges:
        profile = builder.create_optimization_profile()
        profile.set_shape("x", *ranges)
        assert config.add_optimization_profile(profile) == 0
    config.profiling_verbosity = trt.ProfilingVerbosity.DETAILED
    built = builder.build_serialized_network(network, config)
    return None if built is None else trt.Runtime(said.logger).deserialize_cuda_engine(built)


@SEVERAL
def test_it_has_the_names_of_its_version_and_no_others(version: str) -> None:
    trt = make_tensorrt(version)
    listing = api(version)
    top = {name for name in listing.classes if "." not in name}
    assert {n for n in vars(trt) if not n.startswith("_")} == top | set(listing.names)
    for name in listing.classes:
        owner, _, last = name.rpartition(".")
        cls = getattr(getattr(trt, owner) if owner else trt, last)
        has = {n for n in dir(cls) if not n.startswith("_")}
        wanted = set(listing.attributes(name)) | set(listing.members(name))
        assert has == {n for n in wanted if not n.startswith("_")}, name


@SEVERAL
def test_members_of_enums_have_the_real_values(version: str) -> None:
    trt = make_tensorrt(version)
    real = api(version).members("BuilderFlag")
    assert {name: int(m) for name, m in trt.BuilderFlag.__members__.items()} == real


@pytest.mark.parametrize(
    ("version", "cls", "name"),
    [
        ("11.0.0", "BuilderFlag", "FP16"),
        ("8.6.1", "NetworkDefinitionCreationFlag", "STRONGLY_TYPED"),
        ("10.3.0", "ICudaEngine", "num_bindings"),
        ("11.4.0", "ITensor", "dynamic_range"),
    ],
)
def test_names_of_other_versions_are_refused(version: str, cls: str, name: str) -> None:
    with pytest.raises(AttributeError, match=name):
        getattr(getattr(make_tensorrt(version), cls), name)


def test_attributes_that_do_not_exist_cannot_be_set() -> None:
    trt = make_tensorrt("10.3.0")
    config = trt.Builder(Said(trt).logger).create_builder_config()
    with pytest.raises(AttributeError):
        config.max_workspace_size = 1
    with pytest.raises(AttributeError):
        config.num_optimization_profiles = 1


def test_arguments_are_refused_as_pybind11_refuses_them() -> None:
    trt = make_tensorrt("10.3.0")
    builder = trt.Builder(Said(trt).logger)
    config = builder.create_builder_config()
    for call in (
        lambda: config.set_flag(1),
        lambda: config.set_memory_pool_limit(trt.MemoryPoolType.WORKSPACE, 1.5),
        lambda: config.set_memory_pool_limit(trt.MemoryPoolType.WORKSPACE, size=4),
        lambda: builder.create_network(trt.Builder),
        lambda: trt.Builder("logger"),
        trt.INetworkDefinition,
    ):
        with pytest.raises(TypeError):
            call()


def test_a_subclass_must_call_its_base_s_constructor() -> None:
    trt = make_tensorrt("10.3.0")

    class Log(trt.ILogger):  # type: ignore[misc]
        def __init__(self) -> None:
            self.lines: list[str] = []

    with pytest.raises(TypeError, match="must be called"):
        Log()


@SEVERAL
def test_an_engine_runs_as_its_onnx_file_says(version: str) -> None:
    trt = make_tensorrt(version)
    engine = engine_of(trt, Said(trt), small_net())
    names = [engine.get_tensor_name(i) for i in range(engine.num_io_tensors)]
    assert names == ["x", "z"]
    assert engine.get_tensor_mode("z") == trt.TensorIOMode.OUTPUT
    assert tuple(engine.get_tensor_shape("x")) == (1, 2)
    x, z = np.array([[3, 1]], np.float32), np.zeros((1, 2), np.float32)
    context = engine.create_execution_context()
    assert context.set_tensor_address("x", x.ctypes.data)
    assert context.set_tensor_address("z", z.ctypes.data)
    assert context.execute_async_v3(0)
    assert z.tolist() == [[5, 0]]


def test_a_call_with_an_unset_address_gives_false_and_an_error() -> None:
    trt = make_tensorrt("10.3.0")
    said = Said(trt)
    context = engine_of(trt, said, small_net()).create_execution_context()
    assert context.execute_async_v3(0) is False
    assert said.lines[-1] == ("ERROR IExecutionContext: enqueueV3: Address is not set for tensor x")


def test_shapes_that_vary_must_be_in_the_range_and_set() -> None:
    trt = make_tensorrt("8.6.1")
    said = Said(trt)
    assert engine_of(trt, said, small_net("n")) is None
    assert "no optimization profile" in said.lines[-1]
    engine = engine_of(trt, said, small_net("n"), ranges=((1, 2), (2, 2), (4, 2)))
    context = engine.create_execution_context()
    assert tuple(context.get_tensor_shape("z")) == (-1, 2)
    assert context.infer_shapes() == ["x"]
    assert context.set_input_shape("x", (5, 2)) is False
    assert context.set_input_shape("x", (3, 2))
    assert tuple(context.get_tensor_shape("z")) == (3, 2)
    assert [tuple(s) for s in engine.get_tensor_profile_shape("x", 0)] == [(1, 2), (2, 2), (4, 2)]


@SEVERAL
def test_bytes_that_are_no_engine_of_this_version_and_gpu_give_none(version: str) -> None:
    trt = make_tensorrt(version)
    said = Said(trt)
    data = bytes(engine_of(trt, said, small_net()).serialize())
    runtime = trt.Runtime(said.logger)
    assert runtime.deserialize_cuda_engine(b"no engine at all") is None
    assert "Magic tag does not match" in said.lines[-1]
    control(trt).compute_capability = "7.2"
    assert runtime.deserialize_cuda_engine(data) is None
    assert "expecting compute 7.2 got compute 8.7" in said.lines[-1]
    other = make_tensorrt("11.4.0" if version != "11.4.0" else "8.6.1")
    said = Said(other)
    assert other.Runtime(said.logger).deserialize_cuda_engine(data) is None
    assert "not compatible with this version of TensorRT" in said.lines[-1]


def test_a_broken_file_gives_a_parser_error() -> None:
    trt = make_tensorrt("10.3.0")
    said = Said(trt)
    builder = trt.Builder(said.logger)
    network = builder.create_network(0)
    parser = trt.OnnxParser(network, said.logger)
    assert parser.parse(b"nothing") is False
    assert parser.num_errors == 1
    assert parser.get_error(0).code() == trt.ErrorCode.MODEL_DESERIALIZE_FAILED


def test_a_parser_whose_network_is_gone_is_found() -> None:
    trt = make_tensorrt("10.3.0")
    said = Said(trt)
    parser = trt.OnnxParser(trt.Builder(said.logger).create_network(0), said.logger)
    gc.collect()
    with pytest.raises(RuntimeError, match="collected"):
        parser.parse(small_net())


def test_a_build_tells_the_monitor_and_ends_when_it_says_so() -> None:
    trt = make_tensorrt("10.3.0")
    said = Said(trt)
    heard: list[str] = []

    class Monitor(trt.IProgressMonitor):  # type: ignore[misc]
        def __init__(self) -> None:
            trt.IProgressMonitor.__init__(self)

        def phase_start(self, phase_name: str, parent_phase: str, num_steps: int) -> None:
            heard.append(f"{phase_name} of {parent_phase}: {num_steps}")

        def step_complete(self, phase_name: str, step: int) -> bool:
            heard.append(f"{phase_name} {step}")
            return False

        def phase_finish(self, phase_name: str) -> None:
            heard.append(f"{phase_name} ends")

    builder = trt.Builder(said.logger)
    network = network_of(trt, builder, said, small_net())
    config = builder.create_builder_config()
    monitor = config.progress_monitor = Monitor()
    assert config.progress_monitor is monitor
    assert builder.build_serialized_network(network, config) is None
    assert heard == [
        "Building Engine of None: 2",
        "Timing Graph Nodes of Building Engine: 2",
        "Timing Graph Nodes 0",
        "Timing Graph Nodes ends",
        "Building Engine ends",
    ]


@SEVERAL
def test_layers_are_told_in_the_inspector_s_json(version: str) -> None:
    trt = make_tensorrt(version)
    inspector = engine_of(trt, Said(trt), small_net()).create_engine_inspector()
    found = json.loads(inspector.get_engine_information(trt.LayerInformationFormat.JSON))
    assert [layer["Name"] for layer in found["Layers"]] == ["product", "relu"]
    assert found["Layers"][0]["Inputs"][0]["Format/Datatype"] == "Row major linear FP32"
    assert found["Bindings"] == ["x", "z"]


def test_a_call_can_be_made_to_fail() -> None:
    trt = make_tensorrt("10.3.0")
    said = Said(trt)
    control(trt).fail_build = "Could not find any implementation for node product"
    assert engine_of(trt, said, small_net()) is None
    assert said.lines[-1] == "ERROR Could not find any implementation for node product"
    control(trt).no_driver = True
    with pytest.raises(TypeError, match="nullptr"):
        trt.Builder(said.logger)


def test_the_calls_are_kept_in_order() -> None:
    trt = make_tensorrt("10.3.0")
    engine_of(trt, Said(trt), small_net())
    titles = [call.partition("(")[0] for call in control(trt).calls]
    wanted = ["Builder.create_network", "OnnxParser.parse", "Builder.build_serialized_network"]
    assert [title for title in titles if title in wanted] == wanted


def test_weights_that_were_left_out_can_be_put_back() -> None:
    trt = make_tensorrt("10.3.0")
    said = Said(trt)
    builder = trt.Builder(said.logger)
    network = network_of(trt, builder, said, small_net())
    config = builder.create_builder_config()
    config.set_flag(trt.BuilderFlag.STRIP_PLAN)
    data = builder.build_serialized_network(network, config)
    engine = trt.Runtime(said.logger).deserialize_cuda_engine(data)
    x, z = np.array([[3, 1]], np.float32), np.ones((1, 2), np.float32)
    context = engine.create_execution_context()
    context.set_tensor_address("x", x.ctypes.data)
    context.set_tensor_address("z", z.ctypes.data)
    assert context.execute_async_v3(0)
    assert z.tolist() == [[0, 0]]
    refitter = trt.Refitter(engine, said.logger)
    assert refitter.refit_cuda_engine() is False
    assert trt.OnnxParserRefitter(refitter, said.logger).refit_from_bytes(small_net())
    assert refitter.refit_cuda_engine()
    assert context.execute_async_v3(0)
    assert z.tolist() == [[5, 0]]


@pytest.mark.parametrize(("version", "is_method"), [("8.6.1", True), ("10.16.1", False)])
def test_an_error_code_s_name_is_a_method_where_it_really_is(version: str, is_method: bool) -> None:
    code = make_tensorrt(version).ErrorCode.UNSUPPORTED_NODE
    assert callable(code.name) == is_method
    assert str(code) == "ErrorCode.UNSUPPORTED_NODE"


REAL = "11.4.0"


@pytest.fixture(scope="module")
def real() -> dict[str, Answers]:
    done = run(REAL, "-m", "tests.tensorrt.answers", library="rtx")
    assert done.returncode == 0, done.stderr[-2000:]
    found: dict[str, Answers] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize("topic", TOPICS, ids=lambda topic: topic.__name__)
def test_it_answers_as_the_real_one_does(
    real: dict[str, Answers], topic: Callable[[Asker], Answers]
) -> None:
    """The real module `tensorrt`, with TensorRT-RTX's library behind it (see test_builder_real)."""
    own = json.loads(json.dumps(topic(Asker(make_tensorrt(REAL)))))
    assert own == real[topic.__name__]
