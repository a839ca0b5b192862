"""Reading an ONNX file, and refusing what cannot become a Jetson engine."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from google.protobuf.message import DecodeError

from edgesdk._digest import sha256_file
from edgesdk.errors import ModelError
from edgesdk.model.model import Model

STANDARD_DOMAINS = ("", "ai.onnx")
LIST_AT_MOST = 5


def read_model(path: Path) -> Model:
    """Read and check the ONNX file at `path`.

    Raises ModelError when it is absent, empty, truncated, not ONNX, has no nodes, has operators
    outside the standard set, or has NaN or infinite weights.
    """
    proto = _load(path)
    model = Model.of(proto, path.stem, sha256_file(path))
    check_graph(model, str(path))
    return model


def check_graph(model: Model, where: str) -> None:
    """Refuse a graph that no target could take. `where` begins the message."""
    graph = model.proto.graph
    if not graph.node:
        raise ModelError(
            f"{where}: this is not an ONNX model: it holds no operators",
            "export the model again; the file should be at least some kilobytes",
        )
    foreign = sorted(
        {f"{n.domain}.{n.op_type}" for n in graph.node if n.domain not in STANDARD_DOMAINS}
    )
    if foreign:
        raise ModelError(
            f"{where}: operators outside the ONNX standard: {_some(foreign)}",
            "export it without custom operators (decode and NMS belong to edgesdk's decoder), "
            "or cut the graph before them",
        )
    if not model.opset:
        raise ModelError(f"{where}: the model names no operator set", "export it again")
    _check_weights(graph, where)
    try:
        onnx.checker.check_model(model.proto)
    except onnx.checker.ValidationError as error:
        first = str(error).strip().splitlines()[0]
        raise ModelError(f"{where}: not a valid ONNX graph: {first}", "export it again") from error


def _load(path: Path) -> onnx.ModelProto:
    if not path.is_file():
        raise ModelError(
            f"{path}: no such file", "name an ONNX file, or a model of `edgesdk zoo list`"
        )
    if path.stat().st_size == 0:
        raise ModelError(f"{path}: the file is empty", "copy or export it again")
    try:
        return onnx.load(str(path))
    except DecodeError as error:
        raise ModelError(
            f"{path}: cannot be read as ONNX ({path.stat().st_size} bytes)",
            "it is truncated or of another kind: copy it again, or export the model to ONNX",
        ) from error
    except (OSError, ValueError, onnx.checker.ValidationError) as error:
        raise ModelError(
            f"{path}: its external data cannot be read: {error}",
            "keep the .onnx file and its data files together in one folder",
        ) from error


def _check_weights(graph: onnx.GraphProto, where: str) -> None:
    bad = [t.name for t in graph.initializer if not _is_finite(t)]
    if bad:
        raise ModelError(
            f"{where}: weights with NaN or infinity: {_some(bad)}",
            "the training diverged or the export overflowed: take an earlier checkpoint",
        )


def _is_finite(tensor: onnx.TensorProto) -> bool:
    kinds = (onnx.TensorProto.FLOAT, onnx.TensorProto.FLOAT16, onnx.TensorProto.DOUBLE)
    if tensor.data_type not in kinds:
        return True
    return bool(np.isfinite(onnx.numpy_helper.to_array(tensor)).all())


def _some(names: list[str]) -> str:
    shown = ", ".join(names[:LIST_AT_MOST])
    return shown if len(names) <= LIST_AT_MOST else f"{shown} and {len(names) - LIST_AT_MOST} more"
