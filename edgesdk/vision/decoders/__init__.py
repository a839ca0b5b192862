"""How a model's outputs are read: one file for each kind of head, its name is the `type`.

A new decoder is a new file here, with `Settings` (a frozen dataclass: the keys that a spec may
give beside `type`) and `Decoder(settings, preprocess)`, which obeys one of the protocols below.
"""

from __future__ import annotations

import dataclasses
import importlib
import pkgutil
from collections.abc import Mapping
from types import ModuleType
from typing import Any, Literal, Protocol, TypeAlias, cast

import numpy as np

from edgesdk import _config
from edgesdk.detections import Detections
from edgesdk.errors import ConfigError, EdgeError, ModelError, UnknownName
from edgesdk.geometry import Placement
from edgesdk.preprocess import Preprocess
from edgesdk.tensors import Array
from edgesdk.vision.classification import Classification
from edgesdk.vision.inspected import Inspected, LimitSettings


class DetectionDecoder(Protocol):
    """Finds boxes in the outputs for one picture."""

    task: Literal["detect"]

    def decode(self, outputs: Mapping[str, Array], placement: Placement) -> Detections:
        """Boxes in pixels of the original picture, best first; nothing of `outputs` is kept.

        Raises ModelError when the outputs are not this head's.
        """
        ...

    def groups(self, outputs: Mapping[str, Array]) -> dict[str, Array]:
        """The outputs cut into parts of one meaning each, to measure errors apart."""
        ...


class ClassDecoder(Protocol):
    """Reads the scores of the classes for one picture."""

    task: Literal["classify"]

    def decode(self, outputs: Mapping[str, Array], placement: Placement) -> Classification:
        """Scores of all classes; nothing of `outputs` is kept.

        Raises ModelError when the outputs are not this head's.
        """
        ...

    def groups(self, outputs: Mapping[str, Array]) -> dict[str, Array]:
        """The outputs cut into parts of one meaning each, to measure errors apart."""
        ...


class InspectionDecoder(Protocol):
    """Reads how far one picture is from good."""

    task: Literal["inspect"]

    limit: LimitSettings
    """From which score on a part is a reject."""

    def decode(self, outputs: Mapping[str, Array], placement: Placement) -> Inspected:
        """Score and, where the model has one, heat map; nothing of `outputs` is kept.

        Raises ModelError when the outputs are not this head's.
        """
        ...

    def groups(self, outputs: Mapping[str, Array]) -> dict[str, Array]:
        """The outputs cut into parts of one meaning each, to measure errors apart."""
        ...


Decoder: TypeAlias = DetectionDecoder | ClassDecoder | InspectionDecoder


def decoder_types() -> tuple[str, ...]:
    """Names that `type` may have."""
    return tuple(sorted(module.name for module in pkgutil.iter_modules(__path__)))


def with_known(table: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """The table with those changes that its decoder has settings for."""
    module = importlib.import_module(f"{__name__}.{table['type']}")
    known = {field.name for field in dataclasses.fields(module.Settings)}
    return {**table, **{key: value for key, value in changes.items() if key in known}}


def make_decoder(table: Mapping[str, Any], where: str, preprocess: Preprocess) -> Decoder:
    """Make the decoder that a spec's [decoder] table describes.

    `where` names the file for messages; `preprocess` gives the input's size, which the grids
    of a detector follow. Raises UnknownName for a `type` that no file has, ConfigError for a
    missing `type` or a key that is not among that decoder's settings.
    """
    settings = decoder_settings(table, where)
    decoder: Decoder = _module(table, where).Decoder(settings, preprocess)
    # The task is the same, and so is what `decode` gives.
    return cast("Decoder", _Guided(decoder, preprocess))


def decoder_settings(table: Mapping[str, Any], where: str) -> object:
    """The `Settings` that a spec's [decoder] table stands for. Raises as `make_decoder` does."""
    module = _module(table, where)
    given = {key: value for key, value in table.items() if key != "type"}
    settings: object = _config.parse(module.Settings, given, f"{where}: [decoder]")
    return settings


def _module(table: Mapping[str, Any], where: str) -> ModuleType:
    kind = table.get("type")
    if not isinstance(kind, str):
        raise ConfigError(f"{where}: [decoder] needs a key 'type', e.g. type = \"yolox\"")
    if kind not in decoder_types():
        raise UnknownName("decoder", kind, decoder_types())
    return importlib.import_module(f"{__name__}.{kind}")


def types_that_fit(outputs: Mapping[str, Array], preprocess: Preprocess) -> tuple[str, ...]:
    """Types whose decoder, with its default settings, takes outputs of these shapes."""
    blank = {name: np.zeros(value.shape, value.dtype) for name, value in outputs.items()}
    placement = preprocess.placement(preprocess.width, preprocess.height)
    fits = []
    for kind in decoder_types():
        module = _module({"type": kind}, "")
        try:
            module.Decoder(module.Settings(), preprocess).decode(blank, placement)
        except EdgeError:
            continue
        fits.append(kind)
    return tuple(fits)


class _Guided:
    """A decoder whose refusal of outputs names the types that would take them."""

    def __init__(self, decoder: Decoder, preprocess: Preprocess) -> None:
        self._decoder, self._preprocess = decoder, preprocess
        self.task = decoder.task

    def decode(
        self, outputs: Mapping[str, Array], placement: Placement
    ) -> Detections | Classification | Inspected:
        try:
            return self._decoder.decode(outputs, placement)
        except ModelError as error:
            raise self._with_types(error, outputs) from error

    def groups(self, outputs: Mapping[str, Array]) -> dict[str, Array]:
        try:
            return self._decoder.groups(outputs)
        except ModelError as error:
            raise self._with_types(error, outputs) from error

    def _with_types(self, error: ModelError, outputs: Mapping[str, Array]) -> ModelError:
        fits = types_that_fit(outputs, self._preprocess)
        if not fits:
            return error
        kinds = " or ".join(f'type = "{kind}"' for kind in fits)
        hint = f"outputs of these shapes are read by {kinds}; else {error.hint}"
        return ModelError(error.message, hint if error.hint else hint.removesuffix("; else "))
