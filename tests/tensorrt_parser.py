"""A real parser and builder of the TensorRT family, which work without a GPU."""

from __future__ import annotations

import importlib

import pytest

from edgesdk._optional import available


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
        network = self.builder.create_network(0)  # kept: the parser crashes when it is collected
        return bool(self.trt.OnnxParser(network, self.logger).parse(data))

    def builds(self, data: bytes) -> bool:
        network = self.builder.create_network(0)
        parser = self.trt.OnnxParser(network, self.logger)
        assert parser.parse(data), [str(parser.get_error(i)) for i in range(parser.num_errors)]
        config = self.builder.create_builder_config()
        return self.builder.build_serialized_network(network, config) is not None
