"""Engines for the tests of the store: bytes that begin as TensorRT's do, and hold nothing."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
from onnx import helper, numpy_helper

from edgesdk.backends.tensorrt.building.built import EngineLayer
from edgesdk.backends.tensorrt.engines.key import EngineKey
from edgesdk.backends.tensorrt.engines.record import EngineRecord
from edgesdk.backends.tensorrt.engines.store import EngineStore
from edgesdk.backends.tensorrt.machine.host import Host
from edgesdk.backends.tensorrt.settings import EngineSettings
from edgesdk.bundle import Bundle, Manifest, Origin, Target, write_bundle
from edgesdk.model import Model

ORIN = Host(
    tensorrt="10.3.0",
    compute_capability="8.7",
    gpu="Orin",
    module="orin-nx-16gb",
    platform="linux-aarch64",
    sm_count=8,
    power_mode="0",
)
"""An Orin NX with JetPack 6.2, as far as an engine depends on it."""


def plan(*, version: tuple[int, int, int, int] = (10, 3, 0, 30), tag: bytes = b"ftrt") -> bytes:
    """Bytes with the header of a serialized engine, as NVIDIA's trtexec reads it."""
    return tag + bytes(20) + bytes(version) + b"kernels would follow" * 40


def double(factor: float = 2.0, dtype: type[np.floating] = np.float32) -> Model:
    """y = factor * x, in one layer "multiply"."""
    kind = helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
    graph = helper.make_graph(
        [helper.make_node("Mul", ["x", "factor"], ["y"], name="multiply")],
        "double",
        [helper.make_tensor_value_info("x", kind, [1, 3])],
        [helper.make_tensor_value_info("y", kind, [1, 3])],
        [numpy_helper.from_array(np.array(factor, dtype), "factor")],
    )
    opsets = [helper.make_opsetid("", 17)]
    return Model.of(helper.make_model(graph, opset_imports=opsets, ir_version=8), "double")


def bundle(path: Path, factor: float = 2.0, dtype: type[np.floating] = np.float32) -> Bundle:
    """A bundle of `double`, written for an Orin NX."""
    model = double(factor, dtype)
    manifest = Manifest(
        name="double",
        sdk_version="0",
        created="2026-01-01T00:00:00+00:00",
        precision="fp32",
        origin=Origin("double", model.digest, 17),
        target=Target("orin-nx-16gb", "6.2", "10.3.0", 17),
        spec=None,
    )
    return write_bundle(path, model, manifest)


def key(store: EngineStore, host: Host = ORIN, settings: EngineSettings | None = None) -> EngineKey:
    return EngineKey(store.graph, settings or EngineSettings(), host)


def record(of: EngineKey) -> EngineRecord:
    layers = (
        EngineLayer("multiply", "fp32", "gpu", ("multiply",)),
        EngineLayer("conv + relu", "int8", "gpu", ("conv", "relu"), "CaskConvolution", "i8i8_k"),
        EngineLayer("conv2", "int8", "dla", ("conv2",)),
    )
    blank = EngineRecord(of, "", 0, "", "", seconds=61.5)
    return replace(blank, layers=layers)
