"""What every backend's sessions do. A test module that imports these gives a fixture `backend`."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from edgesdk.backends import Backend, Engine, Session
from edgesdk.errors import BackendError
from edgesdk.model import Model


def affine() -> Model:
    """y = 2 x + [1, 0, -1], so that its answers are known without running anything."""
    graph = helper.make_graph(
        [
            helper.make_node("Mul", ["x", "two"], ["doubled"], name="double"),
            helper.make_node("Add", ["doubled", "shift"], ["y"], name="shift_it"),
        ],
        "affine",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [2, 3])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [2, 3])],
        [
            numpy_helper.from_array(np.array(2, np.float32), "two"),
            numpy_helper.from_array(np.array([1, 0, -1], np.float32), "shift"),
        ],
    )
    opsets = [helper.make_opsetid("", 17)]
    return Model.of(helper.make_model(graph, opset_imports=opsets, ir_version=8), "affine")


@pytest.fixture
def session(backend: Backend) -> Iterator[Session]:
    opened = backend.open(backend.compile(affine()))
    yield opened
    opened.close()


def test_a_session_says_what_it_takes_and_gives(session: Session) -> None:
    assert [str(spec) for spec in session.inputs] == ["x: float32[2x3]"]
    assert [str(spec) for spec in session.outputs] == ["y: float32[2x3]"]


def test_a_session_gives_the_model_s_answer(session: Session) -> None:
    x = np.array([[1, 2, 3], [4, 5, 6]], np.float32)
    answer = session.run({"x": x})
    np.testing.assert_array_equal(answer["y"], [[3, 4, 5], [9, 10, 11]])


def test_running_twice_gives_each_input_its_own_answer(session: Session) -> None:
    first = session.run({"x": np.zeros((2, 3), np.float32)})["y"].copy()
    second = session.run({"x": np.ones((2, 3), np.float32)})["y"]
    np.testing.assert_array_equal(second - first, np.full((2, 3), 2))


@pytest.mark.parametrize(
    "feeds",
    [
        {},
        {"z": np.zeros((2, 3), np.float32)},
        {"x": np.zeros((2, 3), np.float32), "z": np.zeros(1, np.float32)},
        {"x": np.zeros((2, 3), np.float64)},
        {"x": np.zeros((3, 2), np.float32)},
        {"x": np.zeros(6, np.float32)},
    ],
    ids=["missing", "unknown", "one too many", "wrong dtype", "wrong shape", "wrong rank"],
)
def test_wrong_inputs_are_refused_and_the_session_lives_on(
    session: Session, feeds: dict[str, np.ndarray]
) -> None:
    with pytest.raises(BackendError, match="x"):
        session.run(feeds)
    assert session.run({"x": np.zeros((2, 3), np.float32)})["y"].shape == (2, 3)


def test_closing_twice_is_harmless_and_running_after_it_is_refused(session: Session) -> None:
    session.close()
    session.close()
    with pytest.raises(BackendError, match="closed"):
        session.run({"x": np.zeros((2, 3), np.float32)})


def test_a_foreign_engine_is_refused_by_name(backend: Backend) -> None:
    with pytest.raises(BackendError, match="someone-else"):
        backend.open(Engine("someone-else", b""))


def test_large_values_go_through_a_sigmoid_without_a_warning(backend: Backend) -> None:
    graph = helper.make_graph(
        [helper.make_node("Sigmoid", ["x"], ["y"], name="sigmoid")],
        "sigmoid",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [4])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [4])],
    )
    opsets = [helper.make_opsetid("", 17)]
    model = Model.of(helper.make_model(graph, opset_imports=opsets, ir_version=8))
    session = backend.open(backend.compile(model))
    answer = session.run({"x": np.array([-1e3, 0, 100, 1e3], np.float32)})["y"]
    np.testing.assert_allclose(answer, [0, 0.5, 1, 1], atol=1e-7)
    session.close()
