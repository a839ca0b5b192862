"""ONNX's own reference in numpy: slow, and what the operators mean by definition.

It is for goldens: it evaluates Q/DQ graphs from operator set 19 on.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import onnx
from onnx.reference import ReferenceEvaluator

from edgesdk.backends._feeds import check_feeds
from edgesdk.backends.base import Engine, Probe
from edgesdk.errors import BackendError
from edgesdk.model import Model
from edgesdk.tensors import Array, TensorSpec


class ReferenceBackend:
    """Evaluates the graph node by node."""

    name = "reference"

    def probe(self) -> Probe:
        """Always usable: onnx is a core dependency."""
        reason = "evaluates in numpy; for checking, not for speed"
        return Probe(self.name, True, str(onnx.__version__), reason)

    def compile(self, model: Model) -> Engine:
        """The engine is the ONNX file itself."""
        return Engine(self.name, model.to_bytes())

    def open(self, engine: Engine) -> ReferenceSession:
        """Open an ONNX file. Raises BackendError for another backend's engine."""
        if engine.backend != self.name:
            raise BackendError(
                f"this engine was made by {engine.backend!r}, not by {self.name!r}",
                f"open it with the backend {engine.backend!r}",
            )
        return ReferenceSession(Model.of(onnx.load_from_string(engine.data)))


class ReferenceSession:
    """A graph ready to be evaluated; outputs are the caller's."""

    def __init__(self, model: Model) -> None:
        self.inputs: tuple[TensorSpec, ...] = model.inputs
        self.outputs: tuple[TensorSpec, ...] = model.outputs
        self._evaluator: ReferenceEvaluator | None = ReferenceEvaluator(model.proto)

    def run(self, feeds: Mapping[str, Array]) -> dict[str, Array]:
        """Outputs by name for inputs by name."""
        if self._evaluator is None:
            raise BackendError("this session is closed", "open the engine again")
        check_feeds(self.inputs, feeds)
        names = [spec.name for spec in self.outputs]
        # onnx's sigmoid computes two forms of itself everywhere and keeps the one that holds: the
        # other overflows beyond |x| = 88, to infinity over infinity, and is never seen.
        with np.errstate(over="ignore", invalid="ignore"):
            outputs = self._evaluator.run(names, dict(feeds))
        return dict(zip(names, outputs, strict=True))

    def close(self) -> None:
        """Let go of the graph. Twice is harmless."""
        self._evaluator = None
