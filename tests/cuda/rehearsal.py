"""A plugin for pytest: the tests for a GPU, rehearsed without one.

The driver is the stand-in, pycuda is real, TensorRT is the double and computes with ONNX Runtime.
It shows that the code of these tests can run, and that they fail where they should. It does not
show that TensorRT or CUDA works: here nothing is compiled for a GPU, and answers are right because
the reference gives them.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping

import numpy as np
import pytest

from edgesdk.backends.tensorrt.runtime.session import TensorRTSession
from edgesdk.tensors import Array
from tests.tensorrt_double import Control, make_tensorrt

VERSION = "EDGESDK_TEST_TENSORRT"
SPOILT = "EDGESDK_TEST_SPOILT"
"""What goes wrong in this rehearsal: "int8", "cache", "answers"; absent: nothing."""


def pytest_configure(config: pytest.Config) -> None:
    spoilt = os.environ.get(SPOILT, "")
    switches = Control(
        not_in_int8=("c2",) if spoilt == "int8" else (),
        refuse=("IBuilderConfig.set_timing_cache",) if spoilt == "cache" else (),
    )
    sys.modules["tensorrt"] = make_tensorrt(os.environ[VERSION], switches)
    if spoilt == "answers":
        TensorRTSession.run = noisy(TensorRTSession.run)  # type: ignore[method-assign]


def noisy(run: object) -> object:
    """Answers with noise of a twentieth of their rms: 26 dB."""
    rng = np.random.default_rng(0)

    def spoil(self: TensorRTSession, feeds: Mapping[str, Array]) -> dict[str, Array]:
        answers = run(self, feeds)  # type: ignore[operator]
        for value in answers.values():
            value[...] += (rng.normal(size=value.shape) * value.std() / 20).astype(value.dtype)
        return answers  # type: ignore[no-any-return]

    return spoil
