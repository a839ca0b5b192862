"""Pictures that are preprocessed where the model runs: the same answers as by way of the CPU.

TensorRT is its double, the CUDA driver a stand-in, kernels are their twins: this shows that our
parts fit together. It does NOT show that TensorRT or CUDA works.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper

from edgesdk.backends import load_backend
from edgesdk.backends.pictures import pictures_of
from edgesdk.backends.tensorrt.cuda import Cuda
from edgesdk.backends.tensorrt.kernels import compile as kernel_compile
from edgesdk.backends.tensorrt.runtime.session import TensorRTSession
from edgesdk.errors import BackendError
from edgesdk.model import Model
from edgesdk.preprocess import Preprocess
from tests import kernel_twin
from tests.cuda.engines import built
from tests.cuda.stand_in import StandIn

RULE = Preprocess(40, 24, "letterbox", "rgb", 1 / 255, (0.5, 0.4, 0.3), (0.2, 0.3, 0.4))


def net(shape: tuple[int, ...] = (1, 3, 24, 40), dtype: int = TensorProto.FLOAT) -> Model:
    """Its output is its input, so that what went in is seen."""
    graph = helper.make_graph(
        [helper.make_node("Identity", ["images"], ["y"])],
        "copy",
        [helper.make_tensor_value_info("images", dtype, shape)],
        [helper.make_tensor_value_info("y", dtype, shape)],
    )
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(proto)
    return Model.of(proto, "copy")


@pytest.fixture(scope="session")
def kernels(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = kernel_twin.build(tmp_path_factory.mktemp("kernels") / "kernels.so")
    return b"STAND-IN TWIN %s\n" % str(path).encode()


@pytest.fixture
def open_session(either: Cuda) -> Iterator[Callable[[Model], TensorRTSession]]:
    opened: list[TensorRTSession] = []

    def open_one(model: Model) -> TensorRTSession:
        trt, data = built("10.3.0", model)
        opened.append(TensorRTSession(trt, either, data))
        return opened[-1]

    yield open_one
    for session in opened:
        session.close()


def picture(width: int, height: int, seed: int = 0) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


def test_a_picture_gives_what_it_gives_by_way_of_the_cpu(
    open_session: Callable[[Model], TensorRTSession], kernels: bytes
) -> None:
    session = open_session(net())
    with closing(session.for_pictures(RULE, kernels)) as pictures:
        for seed, size in enumerate([(121, 83), (30, 90), (121, 83), (40, 24)]):
            image = picture(*size, seed)
            tensor, expected = RULE(image)
            outputs, placement = pictures.run_picture(image)
            assert placement == expected
            np.testing.assert_array_equal(outputs["y"], tensor)
        assert session.uses_graph


def test_picture_after_picture_asks_for_no_memory(
    driver: StandIn, open_session: Callable[[Model], TensorRTSession], kernels: bytes
) -> None:
    session = open_session(net())
    with closing(session.for_pictures(RULE, kernels)) as pictures:
        for seed in range(3):
            pictures.run_picture(picture(121, 83, seed))
        held = driver.bytes()
        asked = driver.calls("cuMemHostAlloc"), driver.calls("cuMemAlloc")
        for seed in range(30):
            pictures.run_picture(picture(121, 83, seed))
        assert driver.bytes() == held
        assert (driver.calls("cuMemHostAlloc"), driver.calls("cuMemAlloc")) == asked


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (net((1, 3, 20, 40)), "1x3x24x40, found images: float32.1x3x20x40"),
        (net((2, 3, 24, 40)), "1x3x24x40, found images: float32.2x3x24x40"),
        (net(dtype=TensorProto.INT32), "makes float32 or float16, found int32"),
    ],
    ids=["another size", "another batch", "another type"],
)
def test_a_model_that_takes_no_such_picture_is_named_and_the_session_lives_on(
    open_session: Callable[[Model], TensorRTSession], kernels: bytes, model: Model, message: str
) -> None:
    session = open_session(model)
    with pytest.raises(BackendError, match=message):
        session.for_pictures(RULE, kernels)
    spec = session.inputs[0]
    feeds = {"images": np.zeros([int(size) for size in spec.shape], spec.dtype)}
    assert not session.run(feeds)["y"].any()


def test_without_a_cuda_compiler_the_cpu_preprocesses_and_the_user_is_told(
    open_session: Callable[[Model], TensorRTSession], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kernel_compile, "find_nvrtc", lambda driver: None)
    monkeypatch.setattr(kernel_compile, "find_nvcc", lambda: None)
    with closing(pictures_of(open_session(net()), RULE)) as pictures:
        assert pictures.runner is None
        (warning,) = pictures.warnings
    assert "preprocessed on the CPU" in warning
    assert "nvidia-jetpack" in warning


def test_a_session_of_the_cpu_has_nothing_to_say() -> None:
    backend = load_backend("onnxruntime")
    with closing(backend.open(backend.compile(net()))) as session:
        found = pictures_of(session, RULE)
    assert (found.runner, found.warnings) == (None, ())
