"""A plugin for pytest: the tests for a GPU, rehearsed without one.

The driver is the stand-in, pycuda is real, TensorRT is the double and computes with ONNX Runtime.
It shows that the code of these tests can run. It does not show that TensorRT or CUDA works: here
nothing is compiled for a GPU, and answers are right because the reference gives them.
"""

from __future__ import annotations

import os
import sys

import pytest

from tests.tensorrt_double import make_tensorrt

VERSION = "EDGESDK_TEST_TENSORRT"


def pytest_configure(config: pytest.Config) -> None:
    sys.modules["tensorrt"] = make_tensorrt(os.environ[VERSION])
