"""The TensorRT backend: its probe is whole, its builder and runtime are not there yet."""

from __future__ import annotations

from collections.abc import Callable

from edgesdk.backends.base import Engine, Probe, Session
from edgesdk.backends.tensorrt.driver import Driver, probe_driver
from edgesdk.backends.tensorrt.probe import probe
from edgesdk.errors import BackendError
from edgesdk.model import Model

LATER = "engines come with the next release; run the bundle with --backend onnxruntime until then"


class TensorRTBackend:
    """Compiles bundles on the machine that has the GPU."""

    name = "tensorrt"

    def __init__(self, driver: Callable[[], Driver] = probe_driver) -> None:
        self._driver = driver

    def probe(self) -> Probe:
        """Asks the driver first, then looks for TensorRT and pycuda. Never usable yet."""
        found = probe(self._driver())
        if not found.usable:
            return found
        reason = f"{found.reason} are here, but this edgesdk cannot build engines yet"
        return Probe(self.name, False, found.version, reason, LATER)

    def compile(self, model: Model) -> Engine:
        """Raises BackendError with what the probe found."""
        raise self._absent()

    def open(self, engine: Engine) -> Session:
        """Raises BackendError with what the probe found."""
        raise self._absent()

    def _absent(self) -> BackendError:
        found = self.probe()
        return BackendError(f"TensorRT cannot be used: {found.reason}", found.fix)
