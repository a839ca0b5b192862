"""TensorRT's calibration cache: ranges by tensor in a text file, for what knows no Q/DQ.

    TRT-8502-EntropyCalibration2
    images: 3c010a14
    /conv1/Conv_output_0: 3f9db09c

The first line names the TensorRT and the kind of calibrator; TensorRT calibrates anew when either
is not its own. Each other line has a tensor and its scale, amax / 127, as the eight hexadecimal
digits of a float32, the most significant first. Names may hold colons and spaces, so the last colon
counts.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import inf
from pathlib import Path

from edgesdk.errors import ConfigError, ModelError

LEVELS = 127
ALGORITHM = "EntropyCalibration2"
"""Of IInt8EntropyCalibrator2, the one that DLA takes, and of trtexec and nvinfer."""
LEAST, MOST = 2.0**-149, (2 - 2.0**-23) * 2.0**127
"""Of the positive numbers that float32 holds."""
_HEADER = re.compile(r"TRT-(\w+)-(\w+)")
_DIGITS = re.compile(r"[0-9A-Fa-f]{1,8}")


@dataclass(frozen=True)
class CalibrationCache:
    """What a cache holds."""

    version: str
    """As the header has it: "8502"; tools that do not know it write "8XXX"."""
    algorithm: str
    """The kind of calibrator, e.g. "EntropyCalibration2" or "MinMaxCalibration"."""
    ranges: dict[str, float]
    """Tensor -> amax, the magnitude that INT8 127 stands for; 0 where a tensor was always zero."""


def version_number(major: int, minor: int, patch: int) -> int:
    """The number in the header: 8502 for TensorRT 8.5.2, 100300 for 10.3.0.

    Up to 9, NVIDIA counts the major version in thousands, from 10 on in ten thousands.
    """
    return major * (1000 if major < 10 else 10000) + minor * 100 + patch


def cache_text(ranges: Mapping[str, float], version: int) -> str:
    """The file for a TensorRT of this `version_number`; tensors in the order of `ranges`.

    Raises ModelError for a name or a range that the format cannot hold.
    """
    lines = [f"{tensor}: {_digits(tensor, amax)}" for tensor, amax in ranges.items()]
    return "\n".join([f"TRT-{version}-{ALGORITHM}", *lines, ""])


def read_cache(path: Path) -> CalibrationCache:
    """Read a cache of any TensorRT and calibrator. Raises ConfigError naming the file and line."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ConfigError(f"{path}: the calibration cache cannot be read: {error}") from error
    return parse_cache(data, str(path))


def parse_cache(data: bytes, where: str) -> CalibrationCache:
    """As `read_cache`, of the content of the file that `where` names."""
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise ConfigError(f"{where}:{line}: not a calibration cache: it is no text") from error
    lines = text.replace("\r\n", "\n").split("\n")
    header = _HEADER.fullmatch(lines[0].strip())
    if header is None:
        raise ConfigError(
            f"{where}:1: expected a header such as TRT-8502-{ALGORITHM}, found {lines[0][:60]!r}",
            "name a calibration cache as TensorRT writes it",
        )
    ranges: dict[str, float] = {}
    for tensor, amax, place in _entries(lines[1:], where):
        if ranges.setdefault(tensor, amax) != amax:
            raise ConfigError(f"{place}: {tensor!r} stands there twice, with two scales")
    return CalibrationCache(header[1], header[2], ranges)


def _digits(tensor: str, amax: float) -> str:
    if not tensor or tensor != tensor.strip() or not tensor.isprintable():
        raise ModelError(
            f"a calibration cache cannot hold the tensor name {tensor!r}",
            "rename the tensor in the model",
        )
    scale = amax / LEVELS
    if not LEAST <= scale <= MOST:
        raise ModelError(f"the range of {tensor!r} should be positive and finite, found {amax}")
    return struct.pack(">f", scale).hex()


def _entries(lines: list[str], where: str) -> Iterator[tuple[str, float, str]]:
    """Tensor, amax and place of each line that is not empty."""
    for number, line in enumerate(lines, 2):
        place = f"{where}:{number}"
        if not line.strip():
            continue
        tensor, colon, digits = line.rpartition(":")
        if not colon or not tensor.strip() or not _DIGITS.fullmatch(digits.strip()):
            raise ConfigError(
                f"{place}: expected 'tensor: 3c010a14', found {line[:60]!r}",
                "the digits are those of the scale as a float32; TensorRT may leave out zeros "
                "before them",
            )
        scale: float = struct.unpack(">f", bytes.fromhex(digits.strip().zfill(8)))[0]
        if not 0 <= scale < inf:
            raise ConfigError(f"{place}: the scale should be positive and finite, found {scale}")
        yield tensor.strip(), scale * LEVELS, place
