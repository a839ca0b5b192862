"""What one TensorRT can do, asked of the module once.

Most differences are read off the module itself, which cannot be wrong about them. Two cannot be
seen there and are rules by version: which operator sets the parser takes, and DLA, whose names
stay when its code is gone.
"""

from __future__ import annotations

from dataclasses import dataclass

from edgesdk.backends.tensorrt.api.always import TensorRT
from edgesdk.backends.tensorrt.version import OLDEST, Version
from edgesdk.errors import BackendError

OPSETS = (
    (Version(8, 5), 17),
    (Version(10), 20),
    (Version(10, 9), 22),
    (Version(10, 13), 24),
    (Version(11), 25),
)
"""From which version on the parser takes which operator set (NVIDIA's opset guide)."""
DLA_GONE, DLA_BACK = Version(10, 8), Version(11, 4, 1)
"""NVIDIA's release notes: 10.7 was the last 10.x with DLA, 11.4.1 has it again."""


@dataclass(frozen=True)
class Features:
    """What can be asked of this TensorRT."""

    text: str
    """Its version as it states it."""
    version: Version
    max_opset: int
    strong_typing: bool
    """The graph alone can decide precision: 10 and later."""
    weak_typing: bool
    """Precision can be asked for by flags, and ranges can stand beside the graph: below 11."""
    progress_monitor: bool
    """10 and later."""
    node_names: bool
    """The parser's errors name the ONNX node: 10 and later."""
    strip_plan: bool
    """10 and later."""
    optimization_level: bool
    """8.6 and later, as the next two."""
    version_compatible: bool
    metadata: bool
    """Layers say which ONNX nodes they come from."""
    no_dla: str = ""
    """Why this release has no DLA; empty: it may have, the builder counts the cores."""


def features_of(trt: TensorRT) -> Features:
    """Ask the module `trt`. Raises BackendError for a TensorRT older than 8.5."""
    version = Version.parse(trt.__version__)
    flags, config = trt.BuilderFlag, trt.IBuilderConfig
    if not hasattr(trt.ICudaEngine, "num_io_tensors"):
        raise BackendError(
            f"TensorRT {trt.__version__} is too old: it cannot address tensors by name",
            f"edgesdk needs {OLDEST} or later: JetPack 5.1 or later brings it",
        )
    return Features(
        text=trt.__version__,
        version=version,
        max_opset=_max_opset(version),
        strong_typing=hasattr(trt.NetworkDefinitionCreationFlag, "STRONGLY_TYPED"),
        weak_typing=hasattr(flags, "INT8"),
        progress_monitor=hasattr(config, "progress_monitor"),
        node_names=hasattr(trt.ParserError, "node_name"),
        strip_plan=hasattr(flags, "STRIP_PLAN"),
        optimization_level=hasattr(config, "builder_optimization_level"),
        version_compatible=hasattr(flags, "VERSION_COMPATIBLE"),
        metadata=hasattr(trt.ILayer, "metadata"),
        no_dla=_no_dla(version),
    )


def _max_opset(version: Version) -> int:
    """That of the last row that is not newer; the newest for a count of versions of its own."""
    rows = [opset for since, opset in OPSETS if since <= version]
    return rows[-1] if rows else OPSETS[-1][1]


def _no_dla(version: Version) -> str:
    if DLA_GONE <= version < DLA_BACK:
        return f"TensorRT {version} has no DLA: 10.7 was the last 10.x with it, {DLA_BACK} the next"
    return ""
