"""A session whose shapes vary, with the real pycuda.

On a double of TensorRT and a stand-in for the driver: this shows our own logic. It does NOT show
that TensorRT or CUDA works: tests/gpu is for that.
"""

from __future__ import annotations

import pytest

from edgesdk.backends.tensorrt.cuda import Cuda
from edgesdk.backends.tensorrt.runtime.session import TensorRTSession
from edgesdk.errors import BackendError
from tests.cuda.engines import (
    BATCHES,
    VERSIONS,
    assert_right,
    built,
    images,
    small_net,
)
from tests.cuda.stand_in import StandIn
from tests.tensorrt_double import control

EACH_VERSION = pytest.mark.parametrize("version", VERSIONS)
pytestmark = pytest.mark.usefixtures("closed_afterwards")


@EACH_VERSION
def test_each_shape_of_the_range_gets_its_answer(either: Cuda, version: str) -> None:
    model = small_net("N")
    trt, data = built(version, model, BATCHES)
    session = TensorRTSession(trt, either, data)
    assert [str(spec) for spec in session.inputs] == ["image: float32[1..8x3x8x8]"]
    for seed, batch in enumerate([1, 8, 3, 3, 8, 1]):
        answers = session.run(images(seed, batch))
        assert answers["features"].shape == (batch, 4, 8, 8)
        assert_right(answers, images(seed, batch))
    assert not session.uses_graph


def test_no_graph_is_tried_where_shapes_vary(cuda: Cuda, driver: StandIn) -> None:
    trt, data = built("10.3.0", small_net("N"), BATCHES)
    session = TensorRTSession(trt, cuda, data)
    for _ in range(3):
        session.run(images(0, 8))
    assert (session.uses_graph, driver.calls("cuStreamBeginCapture")) == (False, 0)


def test_shapes_change_without_new_memory(cuda: Cuda, driver: StandIn) -> None:
    trt, data = built("10.3.0", small_net("N"), BATCHES)
    session = TensorRTSession(trt, cuda, data)
    before = driver.allocations()
    for batch in (8, 1, 5, 8):
        session.run(images(0, batch))
    assert driver.allocations() == before


def test_the_same_shape_again_is_not_told_again(cuda: Cuda) -> None:
    trt, data = built("10.3.0", small_net("N"), BATCHES)
    session = TensorRTSession(trt, cuda, data)
    session.run(images(0, 3))
    told = len([c for c in control(trt).calls if "set_input_shape" in c])
    first = session.run(images(0, 3))["features"]
    assert session.run(images(1, 3))["features"] is first
    assert len([c for c in control(trt).calls if "set_input_shape" in c]) == told


@pytest.mark.parametrize("batch", [0, 9])
def test_a_shape_outside_the_range_is_refused_with_the_range(cuda: Cuda, batch: int) -> None:
    trt, data = built("10.3.0", small_net("N"), BATCHES)
    session = TensorRTSession(trt, cuda, data)
    with pytest.raises(BackendError, match=rf"image: float32\[1..8x3x8x8\], found {batch}x3x8x8"):
        session.run(images(0, batch))
    assert session.run(images(0, 2))["pooled"].shape == (2, 4, 1, 1)
