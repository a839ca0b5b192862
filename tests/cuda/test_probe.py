"""What the probe asks of a driver, on the stand-in: not a word of it is NVIDIA's.

It shows that the calls are made with the right arguments and make no context; pycuda is the real
one and is loaded for real.
"""

from __future__ import annotations

from types import ModuleType

import pytest

from edgesdk._optional import require
from edgesdk.backends.tensorrt.machine.driver import Gpu, probe_driver
from edgesdk.backends.tensorrt.machine.place import Place
from edgesdk.backends.tensorrt.machine.probe import Modules, probe
from tests.cuda.stand_in import StandIn
from tests.tensorrt_double import make_tensorrt

BOARD = Place(on_board=True, python="3.10.12")


def double_of_tensorrt(name: str) -> ModuleType:
    """A double of 10.3 in the place of TensorRT; all else is what is installed."""
    module: ModuleType = make_tensorrt("10.3.0") if name == "tensorrt" else require(name, "test")
    return module


def test_the_driver_is_described_without_a_context(driver: StandIn) -> None:
    found = probe_driver()
    assert found.problem == ""
    assert found.version == "13.0"
    assert found.gpus == (Gpu("stand-in for Orin", "8.7", True, 8 << 30, 16),)
    assert driver.calls("cuDevicePrimaryCtxRetain") == 0
    assert driver.calls("cuCtxCreate") == 0


def test_a_gpu_with_a_memory_of_its_own_is_told_apart(driver: StandIn) -> None:
    with driver.discrete(), driver.memory(24 << 30):
        found = probe_driver()
    assert not found.gpus[0].integrated
    assert str(found.gpus[0]) == "stand-in for Orin (8.7), 24 GiB"


@pytest.mark.parametrize(
    ("call", "code", "said"),
    [
        ("cuInit", 999, "cuInit gives error 999 (unknown; often a device file"),
        ("cuInit", 100, "cuInit gives error 100 (it finds no GPU)"),
        ("cuDeviceGetCount", 3, "cuDeviceGetCount gives error 3"),
        ("cuDeviceGet", 101, "cuDeviceGet gives error 101"),
        ("cuDeviceGetName", 2, "cuDeviceGetName gives error 2 (out of memory)"),
        ("cuDeviceTotalMem", 2, "gives error 2"),
        ("cuDeviceGetAttribute", 1, "cuDeviceGetAttribute gives error 1"),
    ],
)
def test_each_call_that_fails_is_named(driver: StandIn, call: str, code: int, said: str) -> None:
    driver.fail_next(call, code)
    found = probe_driver()
    assert said in found.problem
    assert (found.code, found.gpus) == (code, ())


def test_with_pycuda_and_tensorrt_in_place_the_backend_is_usable(driver: StandIn) -> None:
    found = probe(probe_driver(), BOARD, Modules(double_of_tensorrt))
    assert found.usable, found.reason
    assert found.reason == "TensorRT 10.3.0, CUDA 13.0, stand-in for Orin (8.7), 8 GiB"
