"""Memory, streams, events, kernels and contexts through the real pycuda.

On a stand-in for the driver: this shows that our calls obey the driver's rules. It shows nothing
of a GPU, and nothing of asynchrony but that what the lazy mode puts off is not used too early.
"""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest

from edgesdk.backends.tensorrt.cuda import Cuda, Event, Module
from edgesdk.errors import BackendError, UsageError
from tests.cuda.stand_in import ILLEGAL_ADDRESS, LAUNCH_FAILED, OUT_OF_MEMORY, StandIn

HERE = Path(__file__).parent


@pytest.fixture
def cuda(either: Cuda) -> Cuda:
    """Both kinds of GPU."""
    return either


@pytest.fixture
def module(cuda: Cuda, image: bytes) -> Module:
    return cuda.module(image)


def test_the_gpu_is_described(cuda: Cuda) -> None:
    assert (cuda.name, cuda.compute_capability) == ("stand-in for Orin", "8.7")
    assert cuda.memory_bytes == 8 << 30
    assert cuda.free_bytes() == 8 << 30


def test_on_a_jetson_both_sides_of_a_buffer_are_one_memory(driver: StandIn) -> None:
    cuda = Cuda.open()
    assert cuda.integrated
    buffer, stream = cuda.buffer(100), cuda.stream()
    buffer.upload(stream)
    buffer.download(stream)
    assert (driver.live("pinned"), driver.live("device")) == (1, 0)
    assert driver.calls("cuMemcpyHtoDAsync") == driver.calls("cuMemcpyDtoHAsync") == 0
    cuda.close()


def test_elsewhere_each_side_has_its_own(driver: StandIn) -> None:
    with driver.discrete():
        cuda = Cuda.open()
        assert not cuda.integrated
        buffer = cuda.buffer(100)
        assert (driver.live("pinned"), driver.live("device"), driver.bytes()) == (1, 1, 200)
        assert not buffer.mapped
        cuda.close()


@pytest.mark.parametrize(("memory", "mapped"), [("mapped", True), ("copied", False)])
def test_the_kind_of_memory_can_be_asked_for(driver: StandIn, memory: str, mapped: bool) -> None:
    cuda = Cuda.open(memory=memory)  # type: ignore[arg-type]
    assert cuda.buffer(8).mapped is mapped
    cuda.close()


def test_what_goes_up_comes_down(cuda: Cuda, module: Module) -> None:
    stream, source, target = cuda.stream(), cuda.buffer(16), cuda.buffer(16)
    source.host.view(np.float32)[:] = [1, 2, 3, 4]
    source.upload(stream)
    arguments = [np.uint64(source.device), np.uint64(target.device), np.int32(4)]
    module.launch(
        "scale", (1, 1, 1), (32, 1, 1), [*arguments, np.float32(10), np.float64(0.5)], stream
    )
    target.download(stream)
    stream.synchronize()
    assert target.host.view(np.float32).tolist() == [10.5, 20.5, 30.5, 40.5]


def test_a_struct_is_a_kernel_s_argument(cuda: Cuda, module: Module) -> None:
    stream, target = cuda.stream(), cuda.buffer(8)
    point = np.zeros(1, [("x", np.float32), ("y", np.float32), ("target", np.uint64)])[0]
    point["x"], point["y"], point["target"] = 3, 4, target.device
    module.launch("put", (1, 1, 1), (1, 1, 1), [point], stream)
    target.download(stream)
    stream.synchronize()
    assert target.host.view(np.float32).tolist() == [3, 4]


@pytest.mark.parametrize(
    ("name", "block", "arguments", "says"),
    [
        ("scale", (2048, 1, 1), 5, "invalid argument"),
        ("scale", (32, 1, 1), 4, "invalid argument"),
        ("scall", (32, 1, 1), 5, "named symbol not found"),
    ],
    ids=["block too large", "an argument too few", "unknown kernel"],
)
def test_a_wrong_launch_is_refused(
    cuda: Cuda, module: Module, name: str, block: tuple[int, int, int], arguments: int, says: str
) -> None:
    stream, buffer = cuda.stream(), cuda.buffer(4)
    address = np.uint64(buffer.device)
    given = [address, address, np.int32(1), np.float32(1), np.float64(0)][:arguments]
    with pytest.raises(BackendError, match=says):
        module.launch(name, (1, 1, 1), block, given, stream)


def test_an_argument_without_a_type_is_refused(cuda: Cuda, module: Module) -> None:
    with pytest.raises(UsageError, match="numpy scalar, found int"):
        module.launch("scale", (1, 1, 1), (1, 1, 1), [1], cuda.stream())  # type: ignore[list-item]


def test_code_of_another_gpu_is_refused_with_what_to_do(cuda: Cuda) -> None:
    with pytest.raises(BackendError, match="kernel image is invalid") as caught:
        cuda.module(b"\x7fELF, but not for this one")
    assert not caught.value.message.endswith("- ")
    assert "CUDA_HOME to the CUDA of this JetPack" in caught.value.hint


def test_a_copy_beyond_the_buffer_is_refused(cuda: Cuda) -> None:
    buffer, stream = cuda.buffer(16), cuda.stream()
    with pytest.raises(UsageError, match="16 bytes, 17"):
        buffer.upload(stream, 17)


def test_an_overrun_that_gets_to_the_driver_is_an_error_of_ours(driver: StandIn) -> None:
    cuda = Cuda.open(memory="copied")
    small, large, stream = cuda.buffer(8), cuda.buffer(16), cuda.stream()
    pycuda = cuda.primary.driver
    with pytest.raises(BackendError, match="invalid argument"), cuda.active():
        pycuda.memcpy_htod_async(small.device, large.host, stream.raw)
    cuda.close()


def test_part_of_a_buffer_can_be_copied(driver: StandIn) -> None:
    cuda = Cuda.open(memory="copied")
    buffer, stream = cuda.buffer(4), cuda.stream()
    buffer.host[:] = 1
    buffer.upload(stream)
    buffer.host[:] = 2
    buffer.upload(stream, 2)
    buffer.download(stream)
    stream.synchronize()
    assert buffer.host.tolist() == [2, 2, 1, 1]
    cuda.close()


def test_without_a_synchronize_the_answer_is_not_there_yet(driver: StandIn) -> None:
    cuda = Cuda.open(memory="copied")
    with driver.lazy():
        buffer, stream = cuda.buffer(4), cuda.stream()
        buffer.host[:] = 7
        buffer.upload(stream)
        stream.synchronize()
        buffer.host[:] = 0
        buffer.download(stream)
        assert buffer.host.tolist() == [0, 0, 0, 0]
        assert driver.waiting() == 1
        stream.synchronize()
        assert buffer.host.tolist() == [7, 7, 7, 7]
    cuda.close()


def test_an_event_is_passed_when_the_stream_has_come_so_far(driver: StandIn) -> None:
    cuda = Cuda.open(memory="copied")
    with driver.lazy():
        buffer, stream, event = cuda.buffer(4), cuda.stream(), cuda.event()
        event.synchronize()  # never set: nothing to wait for
        buffer.host[:] = 5
        buffer.upload(stream)
        buffer.download(stream)
        event.record(stream)
        buffer.host[:] = 0
        event.synchronize()
        assert driver.waiting() == 0
    cuda.close()


def test_events_measure_what_lies_between_them(cuda: Cuda) -> None:
    stream, events = cuda.stream(), [cuda.event(), cuda.event()]
    events[0].record(stream)
    time.sleep(0.02)
    events[1].record(stream)
    stream.synchronize()
    assert 20 <= events[1].ms_since(events[0]) < 2000


def test_the_time_of_events_that_were_never_set_is_refused(cuda: Cuda) -> None:
    with pytest.raises(BackendError, match="invalid resource handle"):
        cuda.event().ms_since(cuda.event())


def test_too_little_memory_is_said_in_bytes(driver: StandIn) -> None:
    cuda = Cuda.open()
    with driver.memory(4 << 20):
        kept = cuda.buffer(3 << 20)
        with pytest.raises(BackendError) as caught:
            cuda.buffer(2 << 20)
        assert "2.0 MiB were asked for, 1.0 MiB of 4.0 MiB are free" in caught.value.message
        assert "close other sessions" in caught.value.hint
        assert driver.live("pinned") == 1
        kept.close()
    cuda.close()


def test_when_the_device_side_fails_the_host_side_is_not_left_behind(driver: StandIn) -> None:
    cuda = Cuda.open(memory="copied")
    driver.fail_next("cuMemAlloc", OUT_OF_MEMORY, times=2)  # pycuda collects garbage, tries again
    with pytest.raises(BackendError, match="memory is full"):
        cuda.buffer(8)
    assert driver.alive() == {"primary": 1}
    cuda.close()


@pytest.mark.parametrize("code", [LAUNCH_FAILED, ILLEGAL_ADDRESS])
def test_a_kernel_that_crashes_says_that_the_process_must_start_again(
    cuda: Cuda, driver: StandIn, code: int
) -> None:
    stream = cuda.stream()
    driver.fail_next("cuStreamSynchronize", code)
    with pytest.raises(BackendError) as caught:
        stream.synchronize()
    assert "start it again" in caught.value.hint


def test_memory_that_was_freed_while_it_was_needed_is_an_error(driver: StandIn) -> None:
    """The driver waits before it frees: what it waits for has run, and nothing is left to fail."""
    cuda = Cuda.open(memory="copied")
    with driver.lazy():
        buffer, stream = cuda.buffer(4), cuda.stream()
        buffer.host[:] = 3
        buffer.upload(stream)
        buffer.close()
        assert driver.waiting() == 0
        stream.synchronize()
    cuda.close()


def test_there_is_no_second_gpu(driver: StandIn) -> None:
    with pytest.raises(BackendError, match="no GPU number 1, there are 1"):
        Cuda.open(1)


def test_a_driver_that_does_not_start_is_an_error_of_ours(driver: StandIn) -> None:
    driver.fail_next("cuInit", 100)
    with pytest.raises(BackendError, match="no CUDA-capable device"):
        Cuda.open()


def test_an_event_of_a_closed_stream_is_refused_by_name(cuda: Cuda) -> None:
    stream, event = cuda.stream(), cuda.event()
    stream.close()
    assert isinstance(event, Event)
    with pytest.raises(BackendError, match="this stream is closed"):
        event.record(stream)
