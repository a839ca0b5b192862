"""ONNX Runtime on the CPU: what every machine can run."""

from __future__ import annotations

from collections.abc import Mapping
from types import ModuleType
from typing import Any, Literal

from onnx import TensorProto

from edgesdk._optional import available, require
from edgesdk.backends._feeds import check_feeds, specs_of
from edgesdk.backends.base import Engine, Probe
from edgesdk.errors import BackendError
from edgesdk.model import Model
from edgesdk.quantize.fp16 import simulate_fp16
from edgesdk.tensors import Array, TensorSpec

PAIR = ("QuantizeLinear", "DequantizeLinear")


class OnnxRuntimeBackend:
    """Runs on the CPU provider only, so that a GPU never changes the figures of a report."""

    name = "onnxruntime"

    def __init__(self, threads: int = 0, exact: bool = False, patient: bool = False) -> None:
        """`threads` 0: as many as there are cores.

        `exact` turns graph optimizations off, so that Q/DQ nodes are computed as written; it is
        what accuracy is measured with. Without it, they are fused into INT8 kernels.
        `patient` threads sleep while they wait, which leaves the cores to others and costs some
        latency: for work beside other work, not for figures.
        """
        self.threads = threads
        self.patient = patient
        self.exact = exact

    def probe(self) -> Probe:
        """Usable wherever the package `onnxruntime` loads."""
        if not available("onnxruntime"):
            reason = "the package onnxruntime is not installed, or does not load"
            return Probe(self.name, False, "", reason, "pip install 'edgesdk[cpu]'")
        version = str(_module().__version__)
        return Probe(self.name, True, version, "runs on this machine's CPU")

    def compile(self, model: Model) -> Engine:
        """The engine is an ONNX file; ONNX Runtime compiles when it opens.

        INT8 with a float16 rest is written in float32, with each rounding to float16 as a node of
        its own: those are the graph's answers, and it is faster. In float16, ONNX Runtime 1.23 cuts
        off where it should round to INT8, and its optimizer (1.23 and 1.32) quantizes a bias with
        the product of both scales, which float16 has no bits for.
        """
        taken = simulate_fp16(model) if _has_float16_pairs(model) else model
        return Engine(self.name, taken.to_bytes())

    def open(self, engine: Engine) -> OnnxRuntimeSession:
        """Open an ONNX file. Raises BackendError with ONNX Runtime's own reason."""
        if engine.backend != self.name:
            raise BackendError(
                f"this engine was made by {engine.backend!r}, not by {self.name!r}",
                f"open it with the backend {engine.backend!r}",
            )
        ort = _module()
        try:
            session = ort.InferenceSession(
                engine.data, self._options(ort), providers=["CPUExecutionProvider"]
            )
        except _refusals() as error:
            raise BackendError(f"ONNX Runtime refuses the model: {error}") from error
        return OnnxRuntimeSession(session)

    def _options(self, ort: ModuleType) -> Any:
        options = ort.SessionOptions()
        options.log_severity_level = 3
        options.intra_op_num_threads = self.threads
        if self.patient:
            options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        level = ort.GraphOptimizationLevel
        options.graph_optimization_level = (
            level.ORT_DISABLE_ALL if self.exact else level.ORT_ENABLE_ALL
        )
        return options


class OnnxRuntimeSession:
    """A loaded ONNX file. `run` may be called from several threads; outputs are the caller's."""

    gives_outputs: Literal[True] = True
    runs_at_once: Literal[True] = True

    def __init__(self, session: Any) -> None:
        self._session = session
        self._inputs = specs_of(session.get_inputs())
        self._outputs = specs_of(session.get_outputs())

    @property
    def inputs(self) -> tuple[TensorSpec, ...]:
        """What `run` wants."""
        return self._inputs

    @property
    def outputs(self) -> tuple[TensorSpec, ...]:
        """What `run` gives."""
        return self._outputs

    def run(self, feeds: Mapping[str, Array]) -> dict[str, Array]:
        """Outputs by name for inputs by name."""
        if self._session is None:
            raise BackendError("this session is closed", "open the engine again")
        check_feeds(self._inputs, feeds)
        names = [spec.name for spec in self._outputs]
        try:
            answers = self._session.run(names, dict(feeds))
        except _refusals() as error:
            raise BackendError(
                f"ONNX Runtime stopped while running the model: {error}",
                "the model itself asks for something impossible, such as an index out of range",
            ) from error
        return dict(zip(names, answers, strict=True))

    def close(self) -> None:
        """Let go of the model. Twice is harmless."""
        self._session = None


def _has_float16_pairs(model: Model) -> bool:
    graph = model.proto.graph
    halves = {t.name for t in graph.initializer if t.data_type == TensorProto.FLOAT16}
    scales = (node.input[1] for node in graph.node if node.op_type in PAIR)
    return any(scale in halves for scale in scales)


def _refusals() -> tuple[type[Exception], ...]:
    """What ONNX Runtime raises; its exceptions have no base class of their own."""
    names = ("Fail", "InvalidArgument", "InvalidGraph", "InvalidProtobuf", "NotImplemented")
    state = _module().capi.onnxruntime_pybind11_state
    return tuple(getattr(state, name) for name in (*names, "RuntimeException"))


def _module() -> ModuleType:
    ort = require("onnxruntime", "run models on the CPU")
    # On by default in 1.32 on Linux too: a board at a customer's tells nobody what it runs.
    ort.disable_telemetry_events()
    return ort
