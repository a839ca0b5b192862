"""What a file is that shall be an engine, read from its first bytes and nothing else.

A serialized engine begins with a tag of four letters, "ftrt" for TensorRT and "vtrt" for TensorRT
for RTX, then 0 as a 32-bit number, and has the version that built it in bytes 24 to 27 (NVIDIA's
trtexec reads it there since 8.6; in 8.5 those bytes hold something else). "ptrt" began engines of
older versions.

Ultralytics writes its own header before it: the length of a JSON text as a signed 32-bit
little-endian number, then that text. TensorRT itself refuses such a file ("magic tag does not
match").
"""

from __future__ import annotations

import json
import struct
from dataclasses import dataclass, field
from typing import Any

from edgesdk.backends.tensorrt.version import Version
from edgesdk.errors import BackendError

TAGS = {b"ftrt": "TensorRT", b"vtrt": "TensorRT for RTX", b"ptrt": "an old TensorRT"}
HEADER_BYTES = 28
VERSION_BYTES = slice(24, 28)
MOST_METADATA = 1 << 20
"""Bytes of JSON that an Ultralytics header may have; theirs have some thousand."""

OTHERS = (
    (b"PK\x03\x04", "a zip, such as TorchScript or what torch.save and torch2trt write"),
    (b"\x80\x02", "a Python pickle, such as an old torch.save"),
    (b"\x89HDF", "an HDF5 file, such as a Keras model"),
    (b"\x1f\x8b", "gzip: unpack it first"),
    (b"\xfd7zXZ", "xz: unpack it first"),
    (b"version https://git-lfs", "a pointer of Git LFS: git lfs pull brings the file itself"),
    (b"<!DOCTYPE", "an HTML page: the download gave a web page"),
    (b"<!doctype", "an HTML page: the download gave a web page"),
    (b"<html", "an HTML page: the download gave a web page"),
    (b"TRT-", "a calibration cache of TensorRT"),
    (b"{", "a JSON text"),
)
"""First bytes -> what such a file is."""


@dataclass(frozen=True)
class Plan:
    """A serialized engine without anything before it."""

    data: bytes
    family: str
    """Which library writes this tag, e.g. "TensorRT"."""
    version: Version | None
    """That built it, as its header says; None: the header does not say it in a known way."""
    metadata: dict[str, Any] = field(default_factory=dict)
    """Ultralytics' own, where the file had it: names, imgsz, task, dla..."""

    @property
    def words(self) -> str:
        """For people, e.g. "an engine of TensorRT 10.3.0"."""
        return f"an engine of {self.family}" + (f" {self.version}" if self.version else "")


def read_plan(data: bytes, name: str) -> Plan:
    """The engine in a file's content, without the header of Ultralytics if there is one.

    `name` is the file's, for messages. Raises BackendError that says what the file is instead.
    Nothing in it is executed or unpickled.
    """
    plan, metadata = _without_header(data, name)
    family = TAGS.get(plan[:4])
    if family is None:
        raise BackendError(
            f"{name} is no TensorRT engine: it is {_kind(plan)}",
            "an engine begins with the letters ftrt; make one with `edgesdk compile BUNDLE`",
        )
    if len(plan) < HEADER_BYTES:
        raise BackendError(
            f"{name} is cut off: {len(plan)} bytes, and the header of an engine alone has "
            f"{HEADER_BYTES}",
            "copy it again, or make it again with `edgesdk compile BUNDLE`",
        )
    return Plan(plan, family, _version(plan), metadata)


def _without_header(data: bytes, name: str) -> tuple[bytes, dict[str, Any]]:
    """The content after an Ultralytics header, and the header's table."""
    if data[:4] in TAGS or len(data) < 5 or data[4:5] != b"{":
        return data, {}
    (length,) = struct.unpack("<i", data[:4])
    if not 0 < length <= MOST_METADATA:
        raise BackendError(
            f"{name} begins like an engine of Ultralytics, but states {length} bytes of metadata",
            f"1 to {MOST_METADATA} are plausible: the file is damaged, export it again",
        )
    if 4 + length >= len(data):
        raise BackendError(
            f"{name} is cut off: its Ultralytics header has {length} bytes of metadata and "
            f"{len(data) - 4} bytes follow",
            "copy it again, or export it again",
        )
    return data[4 + length :], _table(data[4 : 4 + length], name)


def _table(text: bytes, name: str) -> dict[str, Any]:
    try:
        table = json.loads(text.decode("utf-8"))
    except (UnicodeDecodeError, json.JSONDecodeError, RecursionError) as error:
        raise BackendError(
            f"{name} begins like an engine of Ultralytics, but its metadata is no JSON: {error}",
            "the file is damaged: copy it again, or export it again",
        ) from error
    assert isinstance(table, dict)  # it begins with a brace
    return table


def _version(plan: bytes) -> Version | None:
    """That of the header, where its layout is the known one and the numbers are plausible."""
    (layout,) = struct.unpack("<I", plan[4:8])
    major, minor, patch, _ = plan[VERSION_BYTES]
    if layout != 0 or not 1 <= major <= 50:
        return None
    return Version(major, minor, patch)


def _kind(data: bytes) -> str:
    """What a file that begins like this is, for people."""
    if not data:
        return "empty"
    for start, words in OTHERS:
        if data.startswith(start):
            return words
    if not data.strip(b"\0"):
        return "nothing but zeros: it was not written to its end"
    if _is_onnx(data):
        return "an ONNX model, which has to be compiled first"
    return f"of an unknown kind, its first bytes are {data[:4].hex(' ')}"


def _is_onnx(data: bytes) -> bool:
    """A protobuf whose first field is ModelProto.ir_version, and whose second is one of its own.

    Serialized as onnx writes it: fields in the order of their numbers.
    """
    if len(data) < 3 or data[0] != 0x08 or not 1 <= data[1] <= 30:
        return False
    return data[2] in {0x12, 0x1A, 0x22, 0x28, 0x32, 0x3A, 0x42}
