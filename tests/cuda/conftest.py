"""Every test of this stage begins and ends with nothing alive on the stand-in."""

from __future__ import annotations

import ctypes
import gc
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from edgesdk.backends.tensorrt.cuda import Cuda
from edgesdk.backends.tensorrt.runtime.session import TensorRTSession
from tests.cuda.engines import built, small_net
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


@pytest.fixture
def net(cuda: Cuda) -> tuple[Any, TensorRTSession]:
    """The double, and a session of the small net on it."""
    trt, data = built("10.3.0", small_net())
    return trt, TensorRTSession(trt, cuda, data)


@pytest.fixture
def session(net: tuple[Any, TensorRTSession]) -> TensorRTSession:
    return net[1]


@pytest.fixture
def closed_afterwards(monkeypatch: pytest.MonkeyPatch, driver: StandIn) -> Iterator[None]:
    """Sessions that a test leaves open are closed, so that each test need not say it."""
    opened: list[TensorRTSession] = []
    original = TensorRTSession.__init__

    def remembered(self: TensorRTSession, *args: Any, **settings: Any) -> None:
        original(self, *args, **settings)
        opened.append(self)

    monkeypatch.setattr(TensorRTSession, "__init__", remembered)
    yield
    for session in opened:
        session.close()


@pytest.fixture(scope="session")
def image(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    library = tmp_path_factory.mktemp("twin") / "twin.so"
    headers = f"-I{HERE.parent / 'stand_in_driver'}"
    command = ["g++", "-std=c++17", "-fPIC", "-shared", headers, "-o", str(library)]
    subprocess.run([*command, str(HERE / "twin.cpp")], check=True)
    return b"STAND-IN TWIN %s\n" % str(library).encode()
