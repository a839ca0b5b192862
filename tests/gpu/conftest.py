"""Skips all of this folder where there is no GPU, and says why."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from edgesdk.backends.tensorrt.api.always import TensorRT
from edgesdk.backends.tensorrt.backend import TensorRTBackend, load_tensorrt
from edgesdk.backends.tensorrt.cuda import Cuda
from edgesdk.backends.tensorrt.version import STRONGLY_TYPED, Version

HERE = Path(__file__).parent
DEPRECATED = "default::DeprecationWarning"
"""TensorRT 10 warns of what 11 leaves out; it has to be used for 8 and 10 all the same."""
Record = Callable[[str, object], None]
"""Keeps a figure: pytest writes it into its JUnit file, and the owner's report takes it along."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    ours = [item for item in items if HERE in item.path.parents]
    if not ours:
        return
    with warnings.catch_warnings():
        warnings.simplefilter("default")  # TensorRT's module may warn when it is imported
        probe = TensorRTBackend().probe()
    for item in ours:
        item.add_marker(pytest.mark.gpu)
        item.add_marker(pytest.mark.filterwarnings(DEPRECATED))
        item.add_marker(pytest.mark.timeout(1800))  # TensorRT times kernels for minutes
        if not probe.usable:
            item.add_marker(pytest.mark.skip(reason=f"needs a GPU: {probe.reason}"))


@pytest.fixture
def record(request: pytest.FixtureRequest) -> Record:
    """As pytest's record_property, which warns of the form of JUnit file that is pytest's own."""
    return lambda name, value: request.node.user_properties.append((name, str(value)))


@pytest.fixture(scope="session")
def trt() -> TensorRT:
    return load_tensorrt()


@pytest.fixture(scope="session")
def opset(trt: TensorRT) -> int:
    """8.5 and 8.6 take 17; FP16 scales need 19."""
    return 17 if Version.parse(trt.__version__) < STRONGLY_TYPED else 19


@pytest.fixture
def cuda() -> Iterator[Cuda]:
    opened = Cuda.open()
    yield opened
    opened.close()


@pytest.fixture(scope="session")
def real() -> bool:
    """False in the rehearsal on stand-ins, whose times are made up."""
    return "EDGESDK_TEST_TENSORRT" not in os.environ


@pytest.fixture(scope="session")
def kernels() -> bytes | None:
    """Machine code of the kernels; None: they are compiled for this GPU.

    Only the rehearsal on a stand-in (tests/cuda/rehearsal.py) names a file.
    """
    named = os.environ.get("EDGESDK_TEST_KERNELS")
    return Path(named).read_bytes() if named else None
