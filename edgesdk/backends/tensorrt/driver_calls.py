"""Calls of the CUDA driver that pycuda has no door to, by ctypes: graphs, and one about contexts.

pycuda 2026.1 knows no graphs. Names and signatures are those of NVIDIA's driver API from CUDA 11.4
on, which is JetPack 5.
"""

from __future__ import annotations

import ctypes
from ctypes import POINTER, c_char_p, c_int, c_ulonglong, c_void_p

from edgesdk.backends.tensorrt.machine.driver import LIBRARY, SUCCESS
from edgesdk.errors import BackendError

THREAD_LOCAL = 1
"""CU_STREAM_CAPTURE_MODE_THREAD_LOCAL: other threads may allocate while this one captures."""
SIGNATURES: dict[str, tuple[type, ...]] = {
    "cuCtxPopCurrent_v2": (POINTER(c_void_p),),
    "cuCtxPushCurrent_v2": (c_void_p,),
    "cuStreamBeginCapture_v2": (c_void_p, c_int),
    "cuStreamEndCapture": (c_void_p, POINTER(c_void_p)),
    "cuGraphInstantiateWithFlags": (POINTER(c_void_p), c_void_p, c_ulonglong),
    "cuGraphLaunch": (c_void_p, c_void_p),
    "cuGraphDestroy": (c_void_p,),
    "cuGraphExecDestroy": (c_void_p,),
}


class DriverCalls:
    """The driver that this process has loaded already."""

    def __init__(self) -> None:
        """Raises BackendError when the driver is older than CUDA 11.4."""
        self._library = ctypes.CDLL(LIBRARY)
        for name, arguments in SIGNATURES.items():
            function = getattr(self._library, name, None)
            if function is None:
                raise BackendError(f"the CUDA driver has no {name}", "CUDA 11.4 or newer has it")
            function.argtypes, function.restype = arguments, c_int
        self._library.cuGetErrorString.argtypes = (c_int, POINTER(c_char_p))

    def drop_from_stack(self, context: int) -> None:
        """Take a context that has ended off this thread's stack, where pycuda leaves it.

        pycuda may have pushed another one, which was current before, on top of it: that one stays.
        """
        top = c_void_p()
        self._library.cuCtxPopCurrent_v2(ctypes.byref(top))
        if top.value is not None and top.value != context:
            below = c_void_p()
            self._library.cuCtxPopCurrent_v2(ctypes.byref(below))
            self._library.cuCtxPushCurrent_v2(top)

    def begin_capture(self, stream: int) -> None:
        """From here on, what this thread puts on the stream is noted and not done."""
        self._checked("cuStreamBeginCapture_v2", stream, THREAD_LOCAL)

    def end_capture(self, stream: int) -> int:
        """The graph of what was noted. Raises BackendError when something could not be noted."""
        graph = c_void_p()
        self._checked("cuStreamEndCapture", stream, ctypes.byref(graph))
        return graph.value or 0

    def abandon_capture(self, stream: int) -> None:
        """End a capture whose graph nobody wants."""
        graph = c_void_p()
        self._library.cuStreamEndCapture(stream, ctypes.byref(graph))
        if graph.value:
            self._library.cuGraphDestroy(graph)

    def instantiate(self, graph: int) -> int:
        """Make a graph ready to be launched, and let go of the graph itself."""
        ready = c_void_p()
        try:
            self._checked("cuGraphInstantiateWithFlags", ctypes.byref(ready), graph, 0)
        finally:
            self._library.cuGraphDestroy(graph)
        return ready.value or 0

    def launch(self, ready: int, stream: int) -> None:
        """Do what was noted, in the stream's order."""
        self._checked("cuGraphLaunch", ready, stream)

    def destroy(self, ready: int) -> None:
        """Let go of what `instantiate` gave."""
        self._library.cuGraphExecDestroy(ready)

    def _checked(self, name: str, *arguments: object) -> None:
        code = getattr(self._library, name)(*arguments)
        if code != SUCCESS:
            text = c_char_p()
            self._library.cuGetErrorString(code, ctypes.byref(text))
            reason = text.value.decode() if text.value else "unknown error"
            raise BackendError(f"CUDA: {name} failed: {reason}")
