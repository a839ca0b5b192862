"""The stand-in driver's ledger, and what a test can make the driver do.

It is not CUDA: see tests/stand_in_driver/state.h.
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from contextlib import contextmanager

OUT_OF_MEMORY = 2
ILLEGAL_ADDRESS = 700
LAUNCH_FAILED = 719
NOT_SUPPORTED = 801
ALLOCATIONS = (
    "cuMemAlloc",
    "cuMemHostAlloc",
    "cuStreamCreate",
    "cuEventCreate",
    "cuModuleLoadData",
)


class StandIn:
    """The driver of this process, if it is the stand-in."""

    def __init__(self) -> None:
        self.library = ctypes.CDLL("libcuda.so.1")
        self.library.stand_in_bytes.restype = ctypes.c_long
        self.library.stand_in_live.restype = ctypes.c_long
        self.library.stand_in_calls.restype = ctypes.c_long
        self.library.stand_in_set_memory.argtypes = (ctypes.c_long,)

    def reset(self) -> None:
        """Forget calls, injected failures and errors."""
        self.library.stand_in_reset()

    def live(self, kind: str) -> int:
        """How many there are: device, pinned, stream, event, module, graph, primary; leaked."""
        return int(self.library.stand_in_live(kind.encode()))

    def alive(self) -> dict[str, int]:
        """All kinds of which there is one."""
        kinds = ("device", "pinned", "stream", "event", "module", "graph", "primary", "leaked")
        return {kind: self.live(kind) for kind in kinds if self.live(kind)}

    def bytes(self) -> int:
        """Memory of both kinds."""
        return int(self.library.stand_in_bytes())

    def calls(self, name: str = "") -> int:
        """How often a call was made, e.g. "cuMemAlloc"; without a name: all calls."""
        return int(self.library.stand_in_calls(name.encode()))

    def allocations(self) -> int:
        """How often something was asked for that a run must not ask for."""
        return sum(self.calls(name) for name in ALLOCATIONS)

    def fail_next(self, name: str, code: int, times: int = 1) -> None:
        """The next calls of that name do nothing but return `code`."""
        for _ in range(times):
            self.library.stand_in_fail_next(name.encode(), code)

    def context_depth(self) -> int:
        """Contexts on this thread's stack."""
        return int(self.library.stand_in_context_depth())

    def waiting(self) -> int:
        """Operations that were put off; there are none but in the lazy mode."""
        return int(self.library.stand_in_waiting())

    @contextmanager
    def lazy(self) -> Iterator[None]:
        """Work on streams is put off until something waits for it."""
        self.library.stand_in_set_lazy(1)
        try:
            yield
        finally:
            self.library.stand_in_set_lazy(0)

    @contextmanager
    def discrete(self) -> Iterator[None]:
        """The GPU has a memory of its own, unlike a Jetson's."""
        self.library.stand_in_set_integrated(0)
        try:
            yield
        finally:
            self.library.stand_in_set_integrated(1)

    @contextmanager
    def memory(self, nbytes: int) -> Iterator[None]:
        """The GPU has so much memory."""
        self.library.stand_in_set_memory(nbytes)
        try:
            yield
        finally:
            self.library.stand_in_set_memory(8 << 30)
