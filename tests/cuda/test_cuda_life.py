"""Who frees what, when and from which thread, through the real pycuda.

On a stand-in for the driver: this shows that our calls obey the driver's rules. It shows nothing
of a GPU.
"""

from __future__ import annotations

import importlib
import subprocess
import sys
import threading
from collections.abc import Callable

import numpy as np
import pytest

from edgesdk.backends.tensorrt.cuda import Cuda
from edgesdk.errors import BackendError
from tests.cuda.stand_in import StandIn


@pytest.fixture
def cuda(either: Cuda) -> Cuda:
    """Both kinds of GPU."""
    return either


def in_a_thread(work: Callable[[], object]) -> None:
    """Run it elsewhere; its error is raised here."""
    errors: list[BackendError] = []

    def guarded() -> None:
        try:
            work()
        except BackendError as error:
            errors.append(error)

    thread = threading.Thread(target=guarded)
    thread.start()
    thread.join()
    if errors:
        raise errors[0]


def opened_by(cuda: Cuda, image: bytes) -> list[Callable[[], object]]:
    """A use of each kind of thing."""
    buffer, stream, event, module = cuda.buffer(8), cuda.stream(), cuda.event(), cuda.module(image)
    other = cuda.stream()
    return [
        lambda: buffer.host,
        lambda: buffer.device,
        lambda: buffer.upload(other),
        stream.synchronize,
        lambda: stream.handle,
        lambda: event.record(other),
        lambda: module.launch("put", (1, 1, 1), (1, 1, 1), [], other),
    ]


def test_closing_frees_everything_and_later_uses_are_refused(
    cuda: Cuda, driver: StandIn, image: bytes
) -> None:
    uses = opened_by(cuda, image)
    assert {"pinned", "stream", "event", "module", "primary"} <= driver.alive().keys()
    cuda.close()
    assert driver.alive() == {}
    cuda.close()
    for use in uses:
        with pytest.raises(BackendError, match="closed"):
            use()
    for make in (lambda: cuda.buffer(1), cuda.stream, cuda.event, cuda.free_bytes):
        with pytest.raises(BackendError, match="closed"):
            make()


def test_each_thing_is_freed_alone_and_twice_is_harmless(cuda: Cuda, driver: StandIn) -> None:
    things = [cuda.buffer(8), cuda.stream(), cuda.event()]
    for thing in [*things, *things]:
        thing.close()
    assert driver.alive() == {"primary": 1}


def test_what_nobody_holds_any_more_is_freed(driver: StandIn) -> None:
    cuda = Cuda.open(memory="copied")
    buffer, stream, event = cuda.buffer(8), cuda.stream(), cuda.event()
    assert driver.live("device") == 1
    del buffer, stream, event
    assert driver.alive() == {"primary": 1}
    del cuda
    assert driver.alive() == {}


def test_it_may_be_closed_by_another_thread(cuda: Cuda, driver: StandIn, image: bytes) -> None:
    opened_by(cuda, image)
    in_a_thread(cuda.close)
    assert driver.alive() == {}


def test_what_another_thread_opened_can_be_used_and_dropped_here(driver: StandIn) -> None:
    made: list[object] = []
    cuda = Cuda.open()
    in_a_thread(lambda: made.extend([cuda.buffer(4), cuda.stream(), cuda.event()]))
    made[1].synchronize()  # type: ignore[attr-defined]
    made.clear()
    assert driver.alive() == {"primary": 1}
    cuda.close()


def test_a_view_of_host_memory_outlives_its_buffer(cuda: Cuda, driver: StandIn) -> None:
    buffer = cuda.buffer(4)
    view = buffer.host.view(np.float32)
    view[:] = 1.5
    cuda.close()
    assert view.tolist() == [1.5]
    assert driver.alive() == {"pinned": 1, "primary": 1}
    del view
    assert driver.alive() == {}


def test_threads_work_side_by_side_on_streams_of_their_own(cuda: Cuda, image: bytes) -> None:
    module, wrong = cuda.module(image), []

    def work(number: int) -> None:
        stream, source, target = cuda.stream(), cuda.buffer(40), cuda.buffer(40)
        for round_ in range(200):
            source.host.view(np.float32)[:] = number + round_
            source.upload(stream)
            given = [np.uint64(source.device), np.uint64(target.device), np.int32(10)]
            numbers = [np.float32(2), np.float64(0)]
            module.launch("scale", (1, 1, 1), (10, 1, 1), [*given, *numbers], stream)
            target.download(stream)
            stream.synchronize()
            if target.host.view(np.float32).tolist() != [2.0 * (number + round_)] * 10:
                wrong.append((number, round_))

    threads = [threading.Thread(target=work, args=(1000 * n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_the_context_of_another_library_is_current_again_afterwards(driver: StandIn) -> None:
    pycuda = importlib.import_module("pycuda.driver")
    pycuda.init()
    theirs = pycuda.Device(0).retain_primary_context()
    theirs.push()
    cuda = Cuda.open()
    cuda.buffer(8).close()
    with cuda.active(), cuda.active():
        cuda.free_bytes()
    cuda.close()
    assert pycuda.Context.get_current().handle == theirs.handle
    assert driver.context_depth() == 1
    pycuda.mem_alloc(4).free()  # theirs still works
    theirs.pop()
    theirs.push()
    theirs.detach()
    driver.library.cuCtxPopCurrent_v2(None)


def test_the_primary_context_lives_as_long_as_someone_uses_it(driver: StandIn) -> None:
    first, second = Cuda.open(), Cuda.open()
    buffer = second.buffer(8)
    first.close()
    buffer.host[:] = 1
    assert driver.live("primary") == 1
    second.close()


EXITS = {
    "everything is open": "kept = [cuda.buffer(8), cuda.stream(), cuda.event()]",
    "a view is held": "view = cuda.buffer(8).host",
    "it is part of a cycle": "a = [cuda.stream()]; a.append(a)",
    "another thread made it": (
        "import threading; made = []\n"
        "t = threading.Thread(target=lambda: made.append(cuda.stream())); t.start(); t.join()"
    ),
    "it was closed": "cuda.buffer(8); cuda.close()",
    "an error ends it": "s = cuda.stream(); raise SystemExit(0)",
}


@pytest.mark.parametrize("left", EXITS.values(), ids=EXITS)
def test_a_program_that_ends_without_closing_ends_silently(left: str) -> None:
    code = f"from edgesdk.backends.tensorrt.cuda import Cuda\ncuda = Cuda.open()\n{left}\n"
    command = [sys.executable, "-W", "error", "-c", code]
    ended = subprocess.run(command, capture_output=True, check=False)
    assert (ended.returncode, ended.stderr) == (0, b"")
