"""Finds out what to build: from an app's folder, an ONNX file or a zoo name, and what is given."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from edgesdk.apps import App, app_names, load_app
from edgesdk.apps.folder import APP_FILE
from edgesdk.build.arrays import open_arrays
from edgesdk.build.request import BuildRequest, Data
from edgesdk.bundle import Precision
from edgesdk.devices import load_device, load_jetpack
from edgesdk.errors import UnknownName, UsageError
from edgesdk.model import Model, read_model
from edgesdk.pictures import open_pictures
from edgesdk.quantize.placement import Wishes
from edgesdk.sim import simulated_pictures
from edgesdk.spec import ModelSpec, read_spec
from edgesdk.zoo import find_by_digest, load_entry, pull, zoo_names


@dataclass(frozen=True)
class BuildOrder:
    """What a user said, before anything is opened."""

    device: str
    model: str = ""
    """An ONNX file, an app (its folder or a shipped one's name) or a zoo name; empty: the app in
    the current folder."""
    jetpack: str = ""
    """Empty: the device's default."""
    spec: Path | None = None
    data: str = ""
    held_out: str = ""
    precision: Precision = "int8"
    recipe: str = "balanced"
    shapes: dict[str, tuple[int, ...]] = field(default_factory=dict)
    out: Path | None = None
    requantize: bool = False
    max_drop: float | None = None
    wishes: Wishes = field(default_factory=Wishes)
    rest: Literal["fp16", "fp32"] = "fp16"


def resolve(order: BuildOrder) -> tuple[BuildRequest, Path]:
    """The request, and where the bundle shall be. Raises EdgeError for whatever is missing."""
    device = load_device(order.device)
    jetpack = load_jetpack(device, order.jetpack)
    app = _app(order.model)
    path = _app_model(app) if app else _model_path(order.model)
    model = read_model(path)
    data = order.data or (app.calibration if app else "")
    request = BuildRequest(
        model=model,
        spec=_spec(order, app, model.digest),
        device=device,
        jetpack=jetpack,
        precision=order.precision,
        recipe=order.recipe,
        data=open_data(data, model) if data else None,
        held_out=open_data(order.held_out, model) if order.held_out else None,
        shapes=order.shapes,
        requantize=order.requantize,
        max_drop=order.max_drop,
        wishes=order.wishes,
        rest=order.rest,
    )
    return request, order.out or (app.bundle_path if app else Path(f"{path.stem}.edge"))


def open_data(source: str, model: Model) -> Data:
    """Pictures from a folder, tar, npz or video, or from a simulation (sim://...).

    An npz without pictures (an array X), or with arrays for all inputs of `model`, is taken as
    tensors.
    """
    if "://" in source:
        return simulated_pictures(source)
    path = Path(source)
    if path.suffix.lower() == ".npz" and path.is_file():
        file = open_arrays(path)
        if file.holds(model.inputs) or "X" not in file.arrays:
            return file
    return open_pictures(source)


def _app(text: str) -> App | None:
    folder = Path(text or ".")
    if (folder / APP_FILE).is_file():
        return load_app(folder)
    if text in app_names() and not folder.exists():
        return load_app(text)
    if not text:
        raise UsageError(
            f"no model was named, and this folder has no {APP_FILE}",
            "edgesdk build MODEL.onnx --device orin --data PICTURES, or go to an app's folder",
        )
    return None


def _app_model(app: App) -> Path:
    path = app.model_path()
    if path is None:
        raise UsageError(
            f"{app.name} names a bundle, not a model to build from", "it needs [model] file or zoo"
        )
    return path


def _model_path(text: str) -> Path:
    path = Path(text)
    if path.suffix == ".onnx" or path.exists():
        return path
    if text in zoo_names():
        return pull(load_entry(text))
    raise UnknownName("model file, app or zoo model", text, [*app_names(), *zoo_names()])


def _spec(order: BuildOrder, app: App | None, digest: str) -> ModelSpec | None:
    if order.spec:
        return read_spec(order.spec)
    if app:
        return app.spec()
    entry = find_by_digest(digest)
    return entry.spec if entry else None
