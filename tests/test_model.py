"""Reading models: what is taken, what is refused, and in which words."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from edgesdk.errors import ModelError
from edgesdk.model import Model, read_model
from edgesdk.model.edit import with_outputs
from edgesdk.model.prepare import prepare
from tests.onnx_graphs import make_model, small_detector


def saved(proto: onnx.ModelProto, path: Path) -> Path:
    path.write_bytes(proto.SerializeToString())
    return path


def test_a_model_is_named_by_the_digest_of_its_file(tmp_path: Path) -> None:
    path = saved(small_detector(), tmp_path / "net.onnx")
    model = read_model(path)
    assert model.digest == hashlib.sha256(path.read_bytes()).hexdigest()
    assert (model.name, model.opset) == ("net", 17)
    assert [str(spec) for spec in model.inputs] == ["images: float32[1x3x32x32]"]


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no such file"):
        read_model(tmp_path / "absent.onnx")


def test_an_empty_file_is_said_to_be_empty(tmp_path: Path) -> None:
    path = tmp_path / "empty.onnx"
    path.touch()
    with pytest.raises(ModelError, match="empty"):
        read_model(path)


@pytest.mark.parametrize(
    "content", [b"hello, this is text\n" * 50, b"\x89PNG\r\n\x1a\n" + b"\0" * 999]
)
def test_a_file_of_another_kind_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "other.onnx"
    path.write_bytes(content)
    with pytest.raises(ModelError, match="ONNX"):
        read_model(path)


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 0.999])
def test_a_truncated_file_is_refused(tmp_path: Path, share: float) -> None:
    data = small_detector().SerializeToString()
    path = tmp_path / "cut.onnx"
    path.write_bytes(data[: int(len(data) * share)])
    with pytest.raises(ModelError):
        read_model(path)


def test_an_operator_outside_the_standard_is_named(tmp_path: Path) -> None:
    proto = small_detector()
    proto.graph.node[1].domain = "my.company"
    proto.opset_import.append(helper.make_opsetid("my.company", 1))
    with pytest.raises(ModelError, match=r"my\.company\.Relu"):
        read_model(saved(proto, tmp_path / "custom.onnx"))


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_weights_that_are_not_finite_are_named(tmp_path: Path, value: float) -> None:
    proto = small_detector()
    broken = numpy_helper.to_array(proto.graph.initializer[2]).copy()
    broken[0, 0, 0, 0] = value
    proto.graph.initializer[2].CopyFrom(numpy_helper.from_array(broken, "w2"))
    with pytest.raises(ModelError, match="w2"):
        read_model(saved(proto, tmp_path / "nan.onnx"))


def test_sizes_that_are_not_fixed_are_asked_for(tmp_path: Path) -> None:
    proto = small_detector()
    proto.graph.input[0].type.tensor_type.shape.dim[0].dim_param = "batch"
    model = read_model(saved(proto, tmp_path / "dynamic.onnx"))
    with pytest.raises(ModelError, match="not fixed") as caught:
        prepare(model, 17, {})
    assert "--shape images=1x3x640x640" in caught.value.hint
    assert prepare(model, 17, {"images": (1, 3, 32, 32)}).inputs[0].shape == (1, 3, 32, 32)


@pytest.mark.parametrize("shape", [(1, 3, 32), (1, 4, 32, 32), (1, 3, 0, 32)])
def test_sizes_that_contradict_the_model_are_refused(shape: tuple[int, ...]) -> None:
    model = Model.of(small_detector())
    with pytest.raises(ModelError, match="images"):
        prepare(model, 17, {"images": shape})


def test_a_shape_for_an_unknown_input_lists_the_known_ones() -> None:
    with pytest.raises(ModelError, match="inputs are images"):
        prepare(Model.of(small_detector()), 17, {"image": (1, 3, 32, 32)})


def test_an_opset_that_cannot_be_converted_says_which() -> None:
    # Slice took its bounds as attributes before operator set 10: onnx has no way back there.
    bounds = {k: np.array([v], np.int64) for k, v in {"s": 0, "e": 1, "a": 1}.items()}
    nodes = [helper.make_node("Slice", ["x", "s", "e", "a"], ["y"], "cut")]
    model = Model.of(make_model(nodes, bounds, {"x": [1, 3, 4, 4]}, ["y"], opset=11))
    with pytest.raises(ModelError, match="operator set 11 cannot be converted"):
        prepare(model, 7, {})


@pytest.mark.parametrize("opset", [17, 19])
def test_preparing_does_not_change_the_answers(opset: int) -> None:
    proto = small_detector()
    proto.graph.node[0].name = proto.graph.node[2].name  # a name given twice
    model = Model.of(proto)
    before = model.to_bytes()
    ready = prepare(model, opset, {})
    x = np.random.default_rng(1).normal(size=(1, 3, 32, 32)).astype(np.float32)
    expected = ReferenceEvaluator(proto).run(None, {"images": x})[0]
    found = ReferenceEvaluator(ready.proto).run(None, {"images": x})[0]
    np.testing.assert_array_equal(found, expected)
    assert ready.opset == opset
    assert len({node.name for node in ready.proto.graph.node}) == len(ready.proto.graph.node)
    assert model.to_bytes() == before, "a model is never changed"


def test_constants_become_weights() -> None:
    two = numpy_helper.from_array(np.array(2, np.float32))
    nodes = [
        helper.make_node("Constant", [], ["two"], value=two),
        helper.make_node("Mul", ["x", "two"], ["y"]),
    ]
    ready = prepare(Model.of(make_model(nodes, {}, {"x": [2]}, ["y"])), 17, {})
    assert [node.op_type for node in ready.proto.graph.node] == ["Mul"]
    assert [tensor.name for tensor in ready.proto.graph.initializer] == ["two"]


def test_inner_tensors_can_be_seen() -> None:
    seen = with_outputs(Model.of(small_detector()), ["r1", "output"])
    assert [spec.name for spec in seen.outputs] == ["output", "r1"]


def test_weights_that_are_listed_as_inputs_too_are_inputs_no_more() -> None:
    proto = small_detector()
    for tensor in proto.graph.initializer:
        value = helper.make_tensor_value_info(tensor.name, tensor.data_type, tensor.dims)
        proto.graph.input.append(value)
    ready = prepare(Model.of(proto), 17, {})
    assert [value.name for value in ready.proto.graph.input] == ["images"]


def test_nan_in_a_constant_node_is_named() -> None:
    nan = numpy_helper.from_array(np.array(np.nan, np.float32))
    nodes = [
        helper.make_node("Constant", [], ["broken"], value=nan),
        helper.make_node("Mul", ["x", "broken"], ["y"]),
    ]
    with pytest.raises(ModelError, match="'broken' holds NaN"):
        prepare(Model.of(make_model(nodes, {}, {"x": [2]}, ["y"])), 17, {})
