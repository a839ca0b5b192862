"""A real parser and builder of the TensorRT family, which work without a GPU.

What builds with it is edgesdk's own builder: the module is a parameter of it.
"""

from __future__ import annotations

import importlib
from dataclasses import replace

import onnx
import pytest

from edgesdk._optional import available
from edgesdk.backends.tensorrt.building.builder import BuildOrder, BuiltEngine, build_engine
from edgesdk.backends.tensorrt.building.inspector import read_layers
from edgesdk.backends.tensorrt.settings import EngineSettings
from edgesdk.model import Model
from tests.tensorrt.logged_layers import LoggedLayers

PLAIN = EngineSettings()
EMPTY = BuildOrder()


class Parser:
    """The parser and builder of TensorRT-RTX, which run without a GPU."""

    def __init__(self) -> None:
        if not available("tensorrt_rtx"):
            pytest.skip(
                "needs tensorrt-rtx: pip install --no-deps tensorrt-rtx-cu13==1.7.1.116 "
                "tensorrt-rtx-cu13-libs==1.7.1.116 tensorrt-rtx-cu13-bindings==1.7.1.116"
            )
        self.trt = importlib.import_module("tensorrt_rtx")
        self.logger = self.trt.Logger(self.trt.Logger.ERROR)
        self.builder = self.trt.Builder(self.logger)

    def takes(self, data: bytes) -> bool:
        """The verdict of TensorRT's parser alone, without our checks."""
        network = self.builder.create_network(0)  # kept: the parser crashes when it is collected
        return bool(self.trt.OnnxParser(network, self.logger).parse(data))

    def builds(self, data: bytes) -> bool:
        """True when edgesdk's builder makes an engine of it; otherwise it raises."""
        return len(self.engine(Model.of(onnx.load_from_string(data))).data) > 0

    def engine(
        self, model: Model, settings: EngineSettings = PLAIN, order: BuildOrder = EMPTY
    ) -> BuiltEngine:
        """What edgesdk's builder makes; its layers come from the log, as there is no GPU."""
        logged = LoggedLayers()
        order = replace(
            order, hear=logged.hear, inspect=lambda trt, data, log: read_layers(logged.json())
        )
        return build_engine(self.trt, model, settings, order)
