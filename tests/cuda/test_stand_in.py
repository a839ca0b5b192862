"""The stand-in refuses what NVIDIA's driver refuses, with the real pycuda and by itself.

Rules and error names are those of the CUDA driver API's manual. These tests are about the stand-in:
they show nothing of CUDA.
"""

from __future__ import annotations

import ctypes
import importlib
import threading
from collections.abc import Iterator
from ctypes import byref, c_size_t, c_void_p
from typing import Any

import numpy as np
import pytest

from tests.cuda.stand_in import StandIn

INVALID_VALUE = 1
INVALID_CONTEXT, CONTEXT_IS_DESTROYED = 201, 709
INVALID_HANDLE, ILLEGAL_STATE, NOT_READY = 400, 401, 600
ILLEGAL_ADDRESS = 700
CAPTURE_UNSUPPORTED, CAPTURE_INVALIDATED, CAPTURE_IMPLICIT, WRONG_THREAD = 900, 901, 906, 908
GLOBAL, THREAD_LOCAL, RELAXED = 0, 1, 2


@pytest.fixture
def pycuda(driver: StandIn) -> Iterator[Any]:
    """pycuda.driver, with the primary context current."""
    module = importlib.import_module("pycuda.driver")
    module.init()
    context = module.Device(0).retain_primary_context()
    context.push()
    yield module
    context.detach()
    driver.library.cuCtxPopCurrent_v2(None)


@pytest.fixture
def cu(pycuda: Any, driver: StandIn) -> ctypes.CDLL:
    """The calls themselves, with the primary context current."""
    return driver.library


@pytest.fixture
def stream(cu: ctypes.CDLL) -> Iterator[c_void_p]:
    made = c_void_p()
    assert cu.cuStreamCreate(byref(made), 1) == 0
    yield made
    cu.cuStreamDestroy_v2(made)


def allocated(cu: ctypes.CDLL, nbytes: int = 8) -> c_void_p:
    address = c_void_p()
    assert cu.cuMemAlloc_v2(byref(address), c_size_t(nbytes)) == 0
    return address


def test_a_copy_that_overruns_is_an_error_of_pycuda_s(pycuda: Any) -> None:
    memory = pycuda.mem_alloc(8)
    with pytest.raises(pycuda.LogicError, match="cuMemcpyHtoD failed: invalid argument"):
        pycuda.memcpy_htod(memory, np.zeros(9, np.uint8))
    with pytest.raises(pycuda.LogicError, match="cuMemcpyDtoH failed: invalid argument"):
        pycuda.memcpy_dtoh(np.zeros(9, np.uint8), memory)
    memory.free()


def test_freeing_twice_is_an_error(pycuda: Any, cu: ctypes.CDLL) -> None:
    memory = pycuda.mem_alloc(8)
    memory.free()
    with pytest.raises(pycuda.LogicError):
        memory.free()
    address = allocated(cu)
    assert cu.cuMemFree_v2(address) == 0
    assert cu.cuMemFree_v2(address) == INVALID_VALUE


def test_without_a_current_context_calls_are_refused(driver: StandIn) -> None:
    cu = driver.library
    assert cu.cuInit(0) == 0
    assert cu.cuMemAlloc_v2(byref(c_void_p()), c_size_t(8)) == INVALID_CONTEXT
    assert cu.cuStreamCreate(byref(c_void_p()), 0) == INVALID_CONTEXT


def test_each_thread_has_a_stack_of_contexts_of_its_own(cu: ctypes.CDLL) -> None:
    codes: list[int] = []

    def elsewhere() -> None:
        codes.append(cu.cuMemAlloc_v2(byref(c_void_p()), c_size_t(8)))

    thread = threading.Thread(target=elsewhere)
    thread.start()
    thread.join()
    assert codes == [INVALID_CONTEXT]
    cu.cuMemFree_v2(allocated(cu))


def test_a_context_that_was_released_takes_all_along_and_is_dead(driver: StandIn) -> None:
    cu, context = driver.library, c_void_p()
    cu.cuInit(0)
    assert cu.cuDevicePrimaryCtxRetain(byref(context), 0) == 0
    assert cu.cuCtxPushCurrent_v2(context) == 0
    allocated(cu)
    assert cu.cuDevicePrimaryCtxRelease_v2(0) == 0
    assert cu.cuMemAlloc_v2(byref(c_void_p()), c_size_t(8)) == CONTEXT_IS_DESTROYED
    assert driver.alive() == {"leaked": 1}
    cu.cuCtxPopCurrent_v2(None)
    driver.reset()


def test_a_destroyed_stream_is_no_stream(cu: ctypes.CDLL) -> None:
    stream = c_void_p()
    cu.cuStreamCreate(byref(stream), 0)
    assert cu.cuStreamDestroy_v2(stream) == 0
    assert cu.cuStreamSynchronize(stream) == INVALID_HANDLE


def test_memory_that_is_gone_when_a_graph_needs_it_spoils_the_context(
    cu: ctypes.CDLL, stream: c_void_p, driver: StandIn
) -> None:
    source, target, graph, ready = allocated(cu), allocated(cu), c_void_p(), c_void_p()
    cu.cuStreamBeginCapture_v2(stream, THREAD_LOCAL)
    assert cu.cuMemcpyDtoDAsync_v2(target, source, c_size_t(8), stream) == 0
    assert cu.cuStreamEndCapture(stream, byref(graph)) == 0
    assert cu.cuGraphInstantiateWithFlags(byref(ready), graph, ctypes.c_ulonglong(0)) == 0
    cu.cuMemFree_v2(source)
    assert cu.cuGraphLaunch(ready, stream) == ILLEGAL_ADDRESS
    assert cu.cuStreamSynchronize(stream) == ILLEGAL_ADDRESS
    driver.reset()
    for free, what in ((cu.cuGraphExecDestroy, ready), (cu.cuGraphDestroy, graph)):
        assert free(what) == 0
    cu.cuMemFree_v2(target)


@pytest.mark.parametrize("forbidden", ["synchronize", "allocate"])
def test_what_is_forbidden_while_capturing_spoils_the_capture(
    cu: ctypes.CDLL, stream: c_void_p, forbidden: str
) -> None:
    cu.cuStreamBeginCapture_v2(stream, THREAD_LOCAL)
    if forbidden == "synchronize":
        assert cu.cuStreamSynchronize(stream) == CAPTURE_UNSUPPORTED
    else:
        assert cu.cuMemAlloc_v2(byref(c_void_p()), c_size_t(8)) == CAPTURE_UNSUPPORTED
    assert cu.cuStreamEndCapture(stream, byref(c_void_p())) == CAPTURE_INVALIDATED
    assert cu.cuStreamSynchronize(stream) == 0


def test_a_relaxed_capture_lets_its_thread_allocate(cu: ctypes.CDLL, stream: c_void_p) -> None:
    graph = c_void_p()
    cu.cuStreamBeginCapture_v2(stream, RELAXED)
    cu.cuMemFree_v2(allocated(cu))
    assert cu.cuStreamEndCapture(stream, byref(graph)) == 0
    cu.cuGraphDestroy(graph)


def test_a_capture_is_begun_and_ended_once_and_by_one_thread(
    cu: ctypes.CDLL, stream: c_void_p, pycuda: Any
) -> None:
    assert cu.cuStreamEndCapture(stream, byref(c_void_p())) == ILLEGAL_STATE
    cu.cuStreamBeginCapture_v2(stream, THREAD_LOCAL)
    assert cu.cuStreamBeginCapture_v2(stream, THREAD_LOCAL) == ILLEGAL_STATE
    context, codes = c_void_p(), []
    cu.cuCtxGetCurrent(byref(context))

    def elsewhere() -> None:
        cu.cuCtxPushCurrent_v2(context)
        codes.append(cu.cuStreamEndCapture(stream, byref(c_void_p())))
        cu.cuCtxPopCurrent_v2(None)

    thread = threading.Thread(target=elsewhere)
    thread.start()
    thread.join()
    assert codes == [WRONG_THREAD]
    graph = c_void_p()
    assert cu.cuStreamEndCapture(stream, byref(graph)) == 0
    cu.cuGraphDestroy(graph)


def test_the_default_stream_spoils_the_capture_of_a_blocking_one(cu: ctypes.CDLL) -> None:
    blocking, memory = c_void_p(), allocated(cu)
    cu.cuStreamCreate(byref(blocking), 0)
    cu.cuStreamBeginCapture_v2(blocking, RELAXED)
    assert cu.cuMemsetD8Async(memory, 0, c_size_t(8), None) == CAPTURE_IMPLICIT
    assert cu.cuStreamEndCapture(blocking, byref(c_void_p())) == CAPTURE_INVALIDATED
    cu.cuStreamDestroy_v2(blocking)
    cu.cuMemFree_v2(memory)


def test_put_off_work_is_not_ready_and_has_no_time(
    cu: ctypes.CDLL, stream: c_void_p, driver: StandIn
) -> None:
    events = [c_void_p(), c_void_p()]
    for event in events:
        cu.cuEventCreate(byref(event), 0)
    with driver.lazy():
        for event in events:
            cu.cuEventRecord(event, stream)
        assert driver.waiting() == 2
        assert cu.cuEventElapsedTime(byref(ctypes.c_float()), *events) == NOT_READY
        assert cu.cuStreamQuery(stream) == NOT_READY
        assert cu.cuStreamQuery(stream) == 0
    assert cu.cuEventElapsedTime(byref(ctypes.c_float()), *events) == 0
    for event in events:
        cu.cuEventDestroy_v2(event)


def test_the_two_addresses_of_pinned_memory_differ_and_show_the_same(pycuda: Any) -> None:
    """So that code which takes one for the other is caught here; on most machines it is not."""
    host = pycuda.pagelocked_empty(8, np.uint8, mem_flags=pycuda.host_alloc_flags.DEVICEMAP)
    device = int(host.base.get_device_pointer())
    assert device != host.ctypes.data
    host[:] = range(8)
    assert bytes((ctypes.c_ubyte * 8).from_address(device)) == bytes(range(8))
    host.base.free()


def test_memory_is_not_zero_at_first(pycuda: Any) -> None:
    memory, seen = pycuda.mem_alloc(4), np.zeros(4, np.uint8)
    pycuda.memcpy_dtoh(seen, memory)
    assert seen.tolist() == [0xCD] * 4
    memory.free()
