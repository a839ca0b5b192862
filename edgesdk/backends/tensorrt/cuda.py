"""CUDA by way of pycuda: memory, streams, events and kernels. No other file imports pycuda.

The device's primary context is used, the one that PyTorch and OpenCV use as well, so that they
work side by side. It is made current for the length of each call and then given back, so any
thread may call. `pycuda.autoinit`, which would make a context of its own, is never imported.
"""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from types import ModuleType
from typing import Any, Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

from edgesdk._optional import require
from edgesdk.backends.tensorrt.cuda_errors import closed, explained, out_of_memory
from edgesdk.backends.tensorrt.driver_calls import DriverCalls
from edgesdk.errors import BackendError, UsageError

Size = tuple[int, int, int]
"""Of a grid in blocks or of a block in threads: x, y, z."""
MemoryMode = Literal["auto", "mapped", "copied"]
"""Where a buffer's two sides are.

"mapped": one memory that both see, nothing is copied; the GPU of a Jetson reads it past its own
cache, which can cost more than the copy when it is read again and again. "copied": one memory
each. "auto": mapped on a GPU that shares the CPU's memory, as on every Jetson."""
Raw = Any
"""An object of pycuda, which has no types."""
NON_BLOCKING = 1
"""CU_STREAM_NON_BLOCKING: does not wait for what other libraries put on the default stream."""


class Primary:
    """The primary context of one device, retained until the last of its users lets go."""

    def __init__(self, driver: ModuleType, index: int) -> None:
        self.driver = driver
        self.device = driver.Device(index)
        self._context = self.device.retain_primary_context()
        self._handle = int(self._context.handle)
        self._users = 0
        self._ended = False
        self._lock = threading.Lock()
        self._entered = threading.local()

    @contextmanager
    def active(self) -> Iterator[None]:
        """Make the context current on this thread. May be nested; what was current comes back.

        Errors of pycuda become BackendError. Raises BackendError after the last user has let go.
        """
        if self._ended:
            raise closed("GPU")
        inside = getattr(self._entered, "depth", 0)
        try:
            if not inside:
                self._context.push()
            self._entered.depth = inside + 1
            try:
                yield
            finally:
                self._entered.depth = inside
                if not inside:
                    self.driver.Context.pop()
        except self.driver.Error as error:
            raise explained(error) from error

    def hold(self) -> None:
        """One user more."""
        with self._lock:
            self._users += 1

    def let_go(self) -> None:
        """One user less; the last one gives the context back."""
        with self._lock:
            self._users -= 1
            last = self._users == 0
        if last:
            self._ended = True
            self._context.push()
            self._context.detach()
            DriverCalls().drop_from_stack(self._handle)


def _release(primary: Primary, held: list[Raw], free: Callable[[Raw], None]) -> None:
    """Free what `held` holds, in its context. Runs once: at close, when collected, or at exit."""
    try:
        with primary.active():
            while held:
                free(held.pop())
    finally:
        primary.let_go()


def _free(allocation: Raw) -> None:
    allocation.free()


def forget(_: Raw) -> None:
    """pycuda destroys a stream, an event or a module when the last reference to it goes."""


class Resource:
    """Something of the driver's that is freed in its context, from whatever thread."""

    def __init__(self, primary: Primary, held: list[Raw], free: Callable[[Raw], None]) -> None:
        """`held` holds the only references to pycuda's objects; the last is the resource itself."""
        self.primary = primary
        self._held = held
        primary.hold()
        self._finalizer = weakref.finalize(self, _release, primary, held, free)

    @property
    def raw(self) -> Raw:
        """pycuda's object. Do not keep it. Raises BackendError after `close`."""
        if not self._held:
            raise closed(type(self).__name__.lower())
        return self._held[0]

    def close(self) -> None:
        """Free it. Twice is harmless."""
        self._finalizer()


class Stream(Resource):
    """Work that the GPU does in order, beside what other streams do."""

    def __init__(self, primary: Primary) -> None:
        super().__init__(primary, [primary.driver.Stream(NON_BLOCKING)], forget)

    @property
    def handle(self) -> int:
        """CUstream, as TensorRT's execute_async_v3 takes it."""
        return int(self.raw.handle)

    def synchronize(self) -> None:
        """Wait until all of it is done. Raises BackendError when a part of it failed."""
        with self.primary.active():
            self.raw.synchronize()


class Event(Resource):
    """A mark in a stream, with the time at which the GPU passed it."""

    def __init__(self, primary: Primary) -> None:
        super().__init__(primary, [primary.driver.Event()], forget)

    def record(self, stream: Stream) -> None:
        """Set the mark behind all that was given to the stream."""
        with self.primary.active():
            self.raw.record(stream.raw)

    def synchronize(self) -> None:
        """Wait until the stream has passed it; at once when it was never set."""
        with self.primary.active():
            self.raw.synchronize()

    def ms_since(self, earlier: Event) -> float:
        """Milliseconds from `earlier` to this; both must have been passed. Steps of 0.5 us."""
        with self.primary.active():
            return float(self.raw.time_since(earlier.raw))


class Module(Resource):
    """Machine code on the device."""

    def __init__(self, primary: Primary, image: bytes) -> None:
        super().__init__(primary, [primary.driver.module_from_buffer(image)], forget)

    def launch(
        self,
        name: str,
        grid: Size,
        block: Size,
        arguments: Sequence[np.generic],
        stream: Stream,
    ) -> None:
        """Start the kernel called `name`; returns before it is done.

        Arguments are numpy scalars of the parameters' types: np.float32(2), np.uint64(address), or
        one element of a structured array for a struct. Their types are not checked by CUDA.
        Raises BackendError for an unknown name or a grid or block that the GPU cannot run.
        """
        with self.primary.active():
            kernel = self.raw.get_function(name)
            kernel.prepare([_packed_type(value) for value in arguments])
            values = [_packed_value(value) for value in arguments]
            kernel.prepared_async_call(grid, block, stream.raw, *values)


def _packed_type(value: np.generic) -> str:
    if isinstance(value, np.void):
        return f"{value.itemsize}s"
    if not isinstance(value, np.number):
        raise UsageError(
            f"an argument of a kernel should be a numpy scalar, found {type(value).__name__}",
            "such as np.float32(2) or np.uint64(address)",
        )
    return value.dtype.char


def _packed_value(value: np.generic) -> object:
    return value.tobytes() if isinstance(value, np.void) else value.item()


class DeviceMemory(Resource):
    """Memory on the device alone."""

    def __init__(self, primary: Primary, nbytes: int) -> None:
        super().__init__(primary, [primary.driver.mem_alloc(nbytes)], _free)
        self.address = int(self.raw)


class Buffer:
    """Pinned memory of the host and its other side on the device.

    Views of `host` stay valid after `close`: the host's memory is freed when the last one goes.
    """

    def __init__(self, primary: Primary, nbytes: int, mapped: bool) -> None:
        """`mapped`: both sides are one memory."""
        self.primary = primary
        self.nbytes = nbytes
        self.mapped = mapped
        driver = primary.driver
        flags = driver.host_alloc_flags.DEVICEMAP if mapped else 0
        array = driver.pagelocked_empty(max(nbytes, 1), np.uint8, mem_flags=flags)
        primary.hold()
        weakref.finalize(array, _release, primary, [array.base], _free)
        self._memory = None if mapped else DeviceMemory(primary, max(nbytes, 1))
        other_side = self._memory.address if self._memory else array.base.get_device_pointer()
        self._address = int(other_side)
        self._host: NDArray[np.uint8] | None = array[:nbytes]

    @property
    def host(self) -> NDArray[np.uint8]:
        """The CPU's side; shape (nbytes,). Raises BackendError after `close`."""
        if self._host is None:
            raise closed("buffer")
        return self._host

    @property
    def device(self) -> int:
        """The GPU's side: its address. Raises BackendError after `close`."""
        if self._host is None:
            raise closed("buffer")
        return self._address

    def upload(self, stream: Stream, nbytes: int | None = None) -> None:
        """Copy the first `nbytes` (None: all) to the device; nothing where both are one memory.

        Returns before it is done: `host` must not be changed until the stream has come so far.
        """
        part = self._part(nbytes)
        if not self.mapped:
            with self.primary.active():
                self.primary.driver.memcpy_htod_async(self._address, part, stream.raw)

    def download(self, stream: Stream, nbytes: int | None = None) -> None:
        """Copy the first `nbytes` (None: all) to the host. `host` has them once the stream has."""
        part = self._part(nbytes)
        if not self.mapped:
            with self.primary.active():
                self.primary.driver.memcpy_dtoh_async(part, self._address, stream.raw)

    def close(self) -> None:
        """Free it. Twice is harmless."""
        self._host = None
        if self._memory is not None:
            self._memory.close()

    def _part(self, nbytes: int | None) -> NDArray[np.uint8]:
        if nbytes is None:
            return self.host
        if nbytes > self.nbytes:
            raise UsageError(f"this buffer has {self.nbytes} bytes, {nbytes} were to be copied")
        return self.host[:nbytes]


Made = TypeVar("Made", bound=Resource | Buffer)


class Cuda:
    """One GPU: what it is, and memory, streams, events and kernels on it. Any thread may call.

    What it hands out it also frees, at `close` or when the process ends.
    """

    def __init__(self, primary: Primary, memory: MemoryMode) -> None:
        """Use `Cuda.open`."""
        self.primary = primary
        self._resources: weakref.WeakSet[Resource | Buffer] = weakref.WeakSet()
        primary.hold()
        self._finalizer = weakref.finalize(self, primary.let_go)
        device, attribute = primary.device, primary.driver.device_attribute
        self.name: str = device.name()
        """As the driver calls it, e.g. "Orin"."""
        self.compute_capability = "{}.{}".format(*device.compute_capability())
        """E.g. "8.7"."""
        self.integrated = bool(device.get_attribute(attribute.INTEGRATED))
        """True where GPU and CPU share one memory, as on every Jetson."""
        self.memory_bytes = int(device.total_memory())
        self.mapped = self.integrated if memory == "auto" else memory == "mapped"
        """Whether the two sides of a buffer are one memory."""

    @classmethod
    def open(cls, index: int = 0, memory: MemoryMode = "auto") -> Cuda:
        """The GPU number `index`.

        Raises MissingExtra without pycuda or a driver, BackendError without such a GPU.
        """
        driver = require("pycuda.driver", "run TensorRT engines")
        try:
            driver.init()
            count = driver.Device.count()
            if not 0 <= index < count:
                raise BackendError(f"there is no GPU number {index}, there are {count}")
            return cls(Primary(driver, index), memory)
        except driver.Error as error:
            raise explained(error) from error

    def active(self) -> AbstractContextManager[None]:
        """Make the primary context current on this thread for the block; nesting is harmless.

        What was current before comes back. Errors of pycuda become BackendError.
        """
        if not self._finalizer.alive:
            raise closed("GPU")
        return self.primary.active()

    def free_bytes(self) -> int:
        """Memory that nobody uses now."""
        with self.active():
            return int(self.primary.driver.mem_get_info()[0])

    def buffer(self, nbytes: int) -> Buffer:
        """New memory on both sides, not set to anything. Raises BackendError when it is full."""
        with self.active():
            driver = self.primary.driver
            try:
                return self.own(Buffer(self.primary, nbytes, self.mapped))
            except driver.MemoryError as error:
                raise out_of_memory(nbytes, *driver.mem_get_info()) from error

    def stream(self) -> Stream:
        """A new one."""
        with self.active():
            return self.own(Stream(self.primary))

    def event(self) -> Event:
        """A new mark, with time."""
        with self.active():
            return self.own(Event(self.primary))

    def module(self, image: bytes) -> Module:
        """Load a cubin, fatbin or PTX. Raises BackendError when it is of another GPU."""
        with self.active():
            return self.own(Module(self.primary, image))

    def close(self) -> None:
        """Free all that was handed out, and give the context back. Twice is harmless."""
        for resource in list(self._resources):
            resource.close()
        self._finalizer()

    def own(self, made: Made) -> Made:
        """Free it at `close`, unless its holder does before."""
        self._resources.add(made)
        return made
