"""A picture becomes the network's input on the GPU, and the network's answer: kernels and session.

The kernels are their twins, TensorRT is its double, the driver a stand-in: this shows that the two
fit together on one stream. It does not show that TensorRT or CUDA works.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from edgesdk.backends.tensorrt.cuda import Cuda
from edgesdk.backends.tensorrt.kernels import GpuPreprocess
from edgesdk.backends.tensorrt.session import TensorRTSession
from edgesdk.preprocess import Preprocess
from tests import kernel_twin
from tests.cuda.engines import built, expected, small_net
from tests.cuda.stand_in import StandIn

RULE = Preprocess(8, 8, "letterbox", "rgb", 1 / 255)


@pytest.fixture(scope="session")
def kernels(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path: Path = kernel_twin.build(tmp_path_factory.mktemp("kernels") / "kernels.so")
    return b"STAND-IN TWIN %s\n" % str(path).encode()


def picture_of(seed: int) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, (31, 47, 3), np.uint8)


@pytest.mark.parametrize("memory", ["mapped", "copied"])
def test_a_picture_is_answered_as_by_preprocessing_on_the_cpu(
    driver: StandIn, kernels: bytes, memory: str
) -> None:
    cuda = Cuda.open(memory=memory)  # type: ignore[arg-type]
    trt, data = built("10.3.0", small_net())
    with driver.lazy():
        session = TensorRTSession(trt, cuda, data)
        gpu = GpuPreprocess(RULE, cuda, np.float32, kernels)
        for seed in range(5):
            picture = picture_of(seed)
            answers = session.run_with(
                {"image": lambda address, stream, now=picture: gpu(now, address, stream)}
            )
            right = expected(small_net(), {"image": RULE(picture)[0]})
            np.testing.assert_allclose(answers["pooled"], right["pooled"], rtol=1e-5, atol=1e-6)
        assert session.uses_graph
        gpu.close()
        session.close()
    cuda.close()
