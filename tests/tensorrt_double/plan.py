"""What a built "engine" is in the double: a header, a record of what was asked, the ONNX file."""

from __future__ import annotations

import json
import struct
from dataclasses import asdict, dataclass, field
from typing import Any

import onnx

MAGIC = b"ftrt"


class Refused(Exception):
    """With TensorRT's sentence."""


@dataclass(frozen=True)
class Plan:
    """The content of the bytes that a build gives."""

    version: str
    compute_capability: str
    onnx: bytes
    flags: tuple[str, ...] = ()
    """BuilderFlags, by name."""
    network_flags: tuple[str, ...] = ()
    pools: dict[str, int] = field(default_factory=dict)
    """MemoryPoolType -> bytes, for those that were set."""
    profiles: tuple[dict[str, list[list[int]]], ...] = ()
    """For each optimization profile: input -> [min, opt, max]."""
    device: str = "GPU"
    dla_core: int = -1
    optimization_level: int = 3
    verbosity: str = "LAYER_NAMES_ONLY"
    ranges: dict[str, list[float]] = field(default_factory=dict)
    """Tensor -> its dynamic range, for implicit INT8."""
    calibration_cache: str = ""
    layers: tuple[dict[str, Any], ...] = ()
    """As the engine inspector shows them."""

    @property
    def model(self) -> onnx.ModelProto:
        return onnx.load_model_from_string(self.onnx)

    def to_bytes(self) -> bytes:
        record = asdict(self)
        del record["onnx"]
        text = json.dumps(record).encode()
        return MAGIC + struct.pack("<Q", len(text)) + text + self.onnx


def read_plan(data: bytes) -> Plan:
    """Raises Refused for what no build of the double has given."""
    if data[:4] != MAGIC:
        raise Refused(
            "Serialization assertion magicTagRead == kMAGIC_TAG failed. Magic tag does not match"
        )
    start = 4 + 8
    try:
        end = start + struct.unpack("<Q", data[4:start])[0]
        record = json.loads(data[start:end])
    except (struct.error, ValueError):
        raise Refused("Serialization (Serialization assertion plan->header.size failed.)") from None
    record["profiles"] = tuple(record["profiles"])
    record["layers"] = tuple(record["layers"])
    for name in ("flags", "network_flags"):
        record[name] = tuple(record[name])
    return Plan(onnx=data[end:], **record)


def check_fits(plan: Plan, version: str, compute: str, *, host_code: bool) -> None:
    """Raises Refused when this version on this GPU would not load it."""
    same_major = plan.version.partition(".")[0] == version.partition(".")[0]
    lean = "VERSION_COMPATIBLE" in plan.flags and same_major
    if plan.version != version and not (lean and host_code):
        raise Refused(
            "The engine plan file is not compatible with this version of TensorRT, expecting "
            f"library version {version} got {plan.version}, please rebuild."
        )
    if plan.compute_capability != compute:
        raise Refused(
            "The engine plan file is generated on an incompatible device, expecting compute "
            f"{compute} got compute {plan.compute_capability}, please rebuild."
        )
