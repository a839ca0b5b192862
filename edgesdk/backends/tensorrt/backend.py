"""The TensorRT backend: its probe is whole, its builder and runtime are not there yet."""

from __future__ import annotations

from collections.abc import Callable

from edgesdk._optional import available
from edgesdk.backends.base import Engine, Probe, Session
from edgesdk.backends.tensorrt.driver import Driver, probe_driver
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
        driver = self._driver()
        if driver.problem:
            fix = "on a Jetson, flash JetPack; elsewhere use the backend onnxruntime"
            return Probe(self.name, False, "", driver.problem, fix)
        found = f"CUDA {driver.version}, {driver.devices} GPU"
        if not available("tensorrt"):
            fix = "apt install tensorrt python3-libnvinfer; a venv needs --system-site-packages"
            return Probe(self.name, False, "", f"{found}, but Python finds no tensorrt", fix)
        if not available("pycuda"):
            fix = "pip install 'edgesdk[jetson]'"
            return Probe(self.name, False, "", f"{found}, but pycuda is not installed", fix)
        reason = f"{found} and TensorRT are here, but this edgesdk cannot build engines yet"
        return Probe(self.name, False, "", reason, LATER)

    def compile(self, model: Model) -> Engine:
        """Raises BackendError with what the probe found."""
        raise self._absent()

    def open(self, engine: Engine) -> Session:
        """Raises BackendError with what the probe found."""
        raise self._absent()

    def _absent(self) -> BackendError:
        probe = self.probe()
        return BackendError(f"TensorRT cannot be used: {probe.reason}", probe.fix)
