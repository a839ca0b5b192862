"""What has to be known beside the ONNX file: how its input is made and how its outputs are read."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from edgesdk import _config
from edgesdk.errors import ConfigError
from edgesdk.preprocess import Preprocess


@dataclass(frozen=True)
class ModelSpec:
    """Preprocessing, decoder and labels of one model."""

    preprocess: Preprocess
    decoder: dict[str, Any] = field(default_factory=dict)
    """`type` names a module of edgesdk/vision/decoders; the other keys are its settings.
    Empty: the outputs are not decoded, and accuracy evidence is numeric only."""
    labels: tuple[str, ...] = ()
    """Class names in the order of the class index."""


@dataclass(frozen=True)
class _SpecFile:
    """SPEC.toml as written; labels may stand in a text file beside it, one on each line."""

    preprocess: Preprocess
    decoder: dict[str, Any] = field(default_factory=dict)
    labels: tuple[str, ...] = ()
    labels_file: str = ""


def read_spec(path: Path) -> ModelSpec:
    """Read SPEC.toml. Raises ConfigError that names the file and the key."""
    return spec_from_table(_config.read_toml(path), path)


def spec_from_table(table: object, path: Path) -> ModelSpec:
    """Make a spec from the tables of the file at `path`."""
    file = _config.parse(_SpecFile, table, str(path))
    if file.decoder and not isinstance(file.decoder.get("type"), str):
        raise ConfigError(f"{path}: [decoder] needs a key 'type', e.g. type = \"yolox\"")
    labels = file.labels or (
        read_labels(path.parent / file.labels_file) if file.labels_file else ()
    )
    return ModelSpec(file.preprocess, file.decoder, labels)


def read_labels(path: Path) -> tuple[str, ...]:
    """Class names from a text file, one on each line."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: labels cannot be read: {error}") from error
    return tuple(line.strip() for line in lines if line.strip())
