"""The contract of all backends (tests/backend_contract.py) for what makes and runs engines.

TensorRT is its double, the CUDA driver a stand-in: this shows that our session keeps the contract.
It does NOT show that TensorRT or CUDA works.
"""

from __future__ import annotations

from typing import Any

import pytest

from edgesdk.backends import Backend, Engine, Probe, Session
from edgesdk.backends.tensorrt.cuda import Cuda
from edgesdk.backends.tensorrt.runtime.session import TensorRTSession
from edgesdk.errors import BackendError
from edgesdk.model import Model
from tests.backend_contract import *  # noqa: F403
from tests.cuda.engines import VERSIONS, built


class OnTheDouble:
    """The builder and the session, as the backend puts them together."""

    name = "tensorrt"

    def __init__(self, version: str, cuda: Cuda) -> None:
        self.version = version
        self.cuda = cuda
        self.trt: Any = None

    def probe(self) -> Probe:
        return Probe(self.name, True, self.version, "a double")

    def compile(self, model: Model) -> Engine:
        self.trt, data = built(self.version, model)
        return Engine(self.name, data)

    def open(self, engine: Engine) -> Session:
        if engine.backend != self.name:
            raise BackendError(f"this engine was made by {engine.backend!r}")
        return TensorRTSession(self.trt, self.cuda, engine.data)


@pytest.fixture(params=VERSIONS)
def backend(request: pytest.FixtureRequest, cuda: Cuda) -> Backend:
    return OnTheDouble(request.param, cuda)
