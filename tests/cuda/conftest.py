"""Every test of this stage begins and ends with nothing alive on the stand-in."""

from __future__ import annotations

import ctypes
import gc
from collections.abc import Iterator
from pathlib import Path

import pytest

from edgesdk.backends.tensorrt.cuda import Cuda
from tests.cuda.stand_in import StandIn

HERE = Path(__file__).parent


def on_the_stand_in() -> bool:
    try:
        return hasattr(ctypes.CDLL("libcuda.so.1"), "stand_in_reset")
    except OSError:
        return False


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if on_the_stand_in():
        return
    skip = pytest.mark.skip(reason="a stage of its own: run `python -m tests.cuda` (scripts/test)")
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(skip)


@pytest.fixture
def driver() -> Iterator[StandIn]:
    """Tests that ask for it must leave nothing behind."""
    stand_in = StandIn()
    stand_in.reset()
    before = stand_in.alive()  # not empty only when an earlier test has failed
    yield stand_in
    gc.collect()
    assert stand_in.alive() == before, "this test left this behind"
    assert stand_in.context_depth() == 0


@pytest.fixture
def cuda(driver: StandIn) -> Iterator[Cuda]:
    """A Jetson's GPU."""
    opened = Cuda.open()
    yield opened
    opened.close()


@pytest.fixture(params=["integrated", "discrete"])
def either(request: pytest.FixtureRequest, driver: StandIn) -> Iterator[Cuda]:
    """A Jetson's GPU, and one with a memory of its own."""
    driver.library.stand_in_set_integrated(int(request.param == "integrated"))
    opened = Cuda.open()
    yield opened
    opened.close()
    driver.library.stand_in_set_integrated(1)
