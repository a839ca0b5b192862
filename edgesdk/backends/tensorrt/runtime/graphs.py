"""CUDA graphs: a piece of work that is put on a stream once, noted, and started again in one call.

It saves what the CPU spends on each kernel's start, which for small networks is more than the GPU
spends on the kernels.
"""

from __future__ import annotations

from collections.abc import Callable

from edgesdk.backends.tensorrt.cuda import Cuda, Primary, Resource, Stream
from edgesdk.backends.tensorrt.driver_calls import DriverCalls


class Graph(Resource):
    """Noted work. It has addresses in it: the memory must live as long as the graph is launched."""

    def __init__(self, primary: Primary, calls: DriverCalls, ready: int) -> None:
        """Use `capture`."""
        super().__init__(primary, [ready], calls.destroy)
        self._calls = calls

    def launch(self, stream: Stream) -> None:
        """Start it once more; returns before it is done."""
        with self.primary.active():
            self._calls.launch(self.raw, stream.handle)


def capture(cuda: Cuda, stream: Stream, work: Callable[[], None]) -> Graph:
    """Note what `work` puts on `stream`; nothing of it is done before the graph is launched.

    `work` must not wait for the stream nor allocate. Raises BackendError when it does, what `work`
    raises, and BackendError when the driver is too old for graphs.
    """
    calls = DriverCalls()
    with cuda.active():
        calls.begin_capture(stream.handle)
        noted = False
        try:
            work()
            noted = True
        finally:
            if not noted:
                calls.abandon_capture(stream.handle)
        ready = calls.instantiate(calls.end_capture(stream.handle))
        return cuda.own(Graph(cuda.primary, calls, ready))
