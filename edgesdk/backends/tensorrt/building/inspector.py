"""What an engine is made of.

TensorRT's inspector answers in JSON: {"Layers": [...]}. A layer is a name alone, or a table with
Name, LayerType, Inputs, Outputs, TacticName and, from 8.6 on, Metadata with the ONNX nodes. A
tensor's type stands in "Format/Datatype" as a sentence ("... row major Int8 format") or as a word,
in the newest in "Datatype". With inputs of varying size it is not stated; then the weights' type
and the kernel's name (i8i8, f16f16) have to do.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping

from edgesdk.backends.tensorrt.api.always import ILogger, TensorRT
from edgesdk.backends.tensorrt.api.always.running import ICudaEngine
from edgesdk.backends.tensorrt.building.built import EngineLayer, Ran
from edgesdk.backends.tensorrt.features import features_of
from edgesdk.backends.tensorrt.settings import DlaSettings

_ONNX = re.compile(r"\[ONNX Layer: (.*?)\](?=[\x1e\x1f,\s\[]|$)")
_WRAPPED = re.compile(r"^(?:PWN|fusedPointwise|ForeignNode)?[(\[{](.*)[)\]}]$")
_OWN = re.compile(r"^__my|^Reformatting CopyNode")
"""Names that TensorRT makes up; in those that end in the next, an ONNX name comes before it."""
_NUMBERED = re.compile(r"_myl\d+_\d+$")
_TYPES: tuple[tuple[Ran, re.Pattern[str]], ...] = (
    ("int8", re.compile(r"\bint8\b", re.IGNORECASE)),
    ("fp16", re.compile(r"\b(half|fp16|float16)\b", re.IGNORECASE)),
    ("fp32", re.compile(r"\b(float|fp32|float32)\b", re.IGNORECASE)),
)
_KERNELS: tuple[tuple[Ran, re.Pattern[str]], ...] = (
    ("int8", re.compile(r"(?:^|_)(?:i8i8|i8f32|i8f16|int8)|imma", re.IGNORECASE)),
    ("fp16", re.compile(r"(?:^|_)(?:f16f16|h1688|h16816|hmma)", re.IGNORECASE)),
    ("fp32", re.compile(r"(?:^|_)(?:f32f32|tf32f32|scudnn|sgemm)", re.IGNORECASE)),
)
FUSED = re.compile(r"^__myl_\w*?(?:Corr|Conv|Gemm|Fc)(?=[A-Z_])")
"""Kernels that TensorRT writes itself are named after their steps, four letters each."""

Table = Mapping[str, object]


def inspect_bytes(
    trt: TensorRT, data: bytes, logger: ILogger, dla: DlaSettings | None = None
) -> tuple[EngineLayer, ...]:
    """Load an engine that was just built and list its layers; () when it cannot be loaded here.

    Needs a GPU, and its memory for as long as it takes.
    """
    runtime = trt.Runtime(logger)
    if features_of(trt).version_compatible:
        # Such an engine carries code of its own. These bytes are the builder's, not a stranger's.
        runtime.engine_host_code_allowed = True
    if dla:
        runtime.DLA_core = dla.core
    engine = runtime.deserialize_cuda_engine(data)
    return () if engine is None else inspect_engine(trt, engine)


def inspect_engine(trt: TensorRT, engine: ICudaEngine) -> tuple[EngineLayer, ...]:
    """The layers of a loaded engine, in the order in which they run."""
    inspector = engine.create_engine_inspector()
    return read_layers(inspector.get_engine_information(trt.LayerInformationFormat.JSON))


def read_layers(text: str) -> tuple[EngineLayer, ...]:
    """Layers out of the inspector's JSON; () when it is none."""
    try:
        # Not strict: names and metadata may hold control characters as they are.
        answer = json.loads(text, strict=False)
    except (json.JSONDecodeError, RecursionError):
        return ()
    layers = answer.get("Layers") if isinstance(answer, dict) else None
    if not isinstance(layers, list):
        return ()
    return tuple(_layer(row) for row in layers if isinstance(row, (str, dict)))


def _layer(row: str | Table) -> EngineLayer:
    if isinstance(row, str):
        return EngineLayer(row, origin=onnx_nodes("", row))
    name, kind, kernel = (str(row.get(key, "")) for key in ("Name", "LayerType", "TacticName"))
    metadata = str(row.get("Metadata", ""))
    return EngineLayer(
        name=name,
        precision=_precision(row, kernel),
        device="dla" if "dla" in kind.lower() else "gpu",
        origin=onnx_nodes(metadata, name),
        kind=kind,
        kernel=kernel,
    )


def onnx_nodes(metadata: str, name: str) -> tuple[str, ...]:
    """ONNX nodes of a layer: as its metadata says, otherwise taken out of its name.

    Names join what was fused: "a + b", "PWN(a)", "PWN(PWN(a), b)", "{ForeignNode[a...b]}" (which
    tells the two ends and nothing between), "a || b" for layers that run as one.
    """
    stated = _ONNX.findall(metadata)
    return tuple(dict.fromkeys(stated or _names(name)))


def _names(text: str) -> Iterator[str]:
    text = text.strip()
    wrapped = _WRAPPED.match(text)
    if wrapped:
        for part in _split(wrapped[1]):
            yield from _names(part)
    elif len(parts := list(_split(text))) > 1:
        for part in parts:
            yield from _names(part)
    elif text and not _OWN.match(text):
        yield _NUMBERED.sub("", text)


def _split(text: str) -> Iterator[str]:
    """Parts between " + ", " || ", ", " and "...", where no bracket is open."""
    depth = start = index = 0
    while index < len(text):
        depth += (text[index] in "([{") - (text[index] in ")]}")
        joint = next((j for j in (" + ", " || ", ", ", "...") if text.startswith(j, index)), "")
        if joint and depth == 0:
            yield text[start:index]
            index = start = index + len(joint)
        else:
            index += 1
    yield text[start:]


def _precision(row: Table, kernel: str) -> Ran:
    """That of what a layer reads: an INT8 layer may write float, a quantizing one writes INT8.

    One that multiplies INT8 weights computes in INT8, though it may quantize its input itself.
    """
    read = [_type(tensor) for tensor in _tables(row.get("Inputs"))]
    constants = [_type(tensor) for tensor in _tables(row.get("Constants"))]
    if "int8" in constants and FUSED.search(kernel):
        return "int8"
    weights = row.get("Weights")
    stored = [_word(str(weights.get("Type", "")), _TYPES)] if isinstance(weights, dict) else []
    named = _word(kernel, _KERNELS)
    for wanted in ("int8", "fp16", "fp32"):
        if wanted in read:
            return wanted
    return next((found for found in (*stored, named) if found != "unknown"), _rest(read))


def _rest(read: list[Ran]) -> Ran:
    return "other" if read and "unknown" not in read else "unknown"


def _type(tensor: Table) -> Ran:
    text = str(tensor.get("Datatype") or tensor.get("Format/Datatype") or "N/A")
    found = _word(text, _TYPES)
    if found == "unknown" and not text.startswith("N/A"):
        return "other"
    return found


def _word(text: str, patterns: tuple[tuple[Ran, re.Pattern[str]], ...]) -> Ran:
    return next((kind for kind, pattern in patterns if pattern.search(text)), "unknown")


def _tables(value: object) -> list[Table]:
    return [v for v in value if isinstance(v, dict)] if isinstance(value, list) else []
