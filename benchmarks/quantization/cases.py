"""The models, and the pictures that calibrate and that measure each."""

from __future__ import annotations

import json
import tarfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Literal

import numpy as np

from benchmarks.quantization.scores import Cards, answers
from edgesdk._resources import assets_folder
from edgesdk.devices import load_device, target_opset
from edgesdk.model import read_model
from edgesdk.model.prepare import prepare
from edgesdk.pictures import Picture, open_pictures
from edgesdk.preprocess import Preprocess
from edgesdk.spec import ModelSpec
from edgesdk.zoo import load_entry, pull

DEVICE = "orin"
WORK = Path(__file__).parents[2] / ".cache" / "quantization"
"""Where graphs, tensors and scores are kept while the benchmark runs; made anew by each run."""


SPEC = f"[preprocess]\nwidth = 320\nheight = 320\nscale = {1 / 255!r}\n"
"""Of the YOLOv8-style head: what Ultralytics' models take, smaller."""


@dataclass(frozen=True)
class Case:
    """One model with its pictures."""

    name: str
    kind: Literal["detect", "classify", "boxes-and-scores"]
    calibration: Callable[[], str]
    """Source of the pictures to calibrate with, as `edgesdk build --data` takes it."""
    measured: Callable[[], str]
    """Source of the pictures to measure with."""
    limit: int = 0
    """Takes the first pictures of both only; 0: all."""
    parts: dict[str, Callable[[list[str]], list[int]]] = field(default_factory=dict)
    """Other selections of the measured pictures, by name: from the pictures' names."""
    zoo: bool = True

    @property
    def folder(self) -> Path:
        """Its files."""
        return WORK / self.name

    @property
    def float_path(self) -> Path:
        """The prepared float model."""
        return self.folder / "float.onnx"

    @property
    def feeds_path(self) -> Path:
        """Calibration tensors."""
        return self.folder / "feeds.npy"

    @property
    def reading_path(self) -> Path:
        """CPU seconds that reading and preparing the calibration pictures takes, JSON."""
        return self.folder / "reading.json"

    @property
    def spec_path(self) -> Path:
        """SPEC.toml, for the model that the zoo does not have."""
        return self.folder / "spec.toml"

    @property
    def cards_path(self) -> Path:
        """The float model's answers, pickled."""
        return self.folder / "float.cards"

    def spec(self) -> ModelSpec:
        """Preprocessing and decoder."""
        if self.zoo:
            return load_entry(self.name).spec
        return ModelSpec(Preprocess(320, 320, scale=1 / 255))

    def source(self) -> Path:
        """The model's file as its maker gives it."""
        return pull(load_entry(self.name)) if self.zoo else self.folder / "source.onnx"

    def calibration_pictures(self) -> Iterator[Picture]:
        """Pictures to calibrate with."""
        return islice(open_pictures(self.calibration()), self.limit or None)

    def measured_pictures(self) -> Iterator[Picture]:
        """Pictures to measure with."""
        return islice(open_pictures(self.measured()), self.limit or None)

    def prepare(self) -> None:
        """Write the float model and the calibration tensors that all peers are given."""
        self.folder.mkdir(parents=True, exist_ok=True)
        model = read_model(self.source())
        shapes = {s.name: (1, *s.shape[1:]) for s in model.inputs}
        ready = prepare(model, target_opset(load_device(DEVICE)), shapes)
        self.float_path.write_bytes(ready.to_bytes())
        rule = self.spec().preprocess
        began = time.process_time()
        tensors = [rule(picture.image)[0][0] for picture in self.calibration_pictures()]
        read = time.process_time() - began
        np.save(self.feeds_path, np.stack(tensors).astype(np.float32))
        self.reading_path.write_text(json.dumps(read))
        self.spec_path.write_text(SPEC)

    def score(self, model: bytes, pictures: Iterator[Picture]) -> Cards:
        """What the model answers on each picture."""
        return answers(model, self.kind, self.spec(), pictures)


def _coco(split: str) -> Callable[[], str]:
    return lambda: f"{_assets()}/data/coco192.tar#{split}"


def _imagenet() -> str:
    return f"{_assets()}/data/imagenet500.tar"


def _every_fifth() -> str:
    """100 of the 500 pictures, in a folder of their own."""
    folder = WORK / "imagenet100"
    if not folder.is_dir():
        with tarfile.open(_imagenet()) as archive:
            pictures = sorted(n for n in archive.getnames() if n.endswith(".jpg"))
            archive.extractall(folder, [archive.getmember(n) for n in pictures[::5]], filter="data")
    return str(folder)


def _unseen(names: list[str]) -> list[int]:
    """Those that `_every_fifth` did not take."""
    order = np.argsort(names)
    return sorted(int(i) for rank, i in enumerate(order) if rank % 5)


def _cifar(part: slice) -> Callable[[], str]:
    def source() -> str:
        path = WORK / f"cifar_{part.start or 0}_{part.stop or 5000}.npz"
        if not path.is_file():
            WORK.mkdir(parents=True, exist_ok=True)
            with np.load(_assets() / "data" / "cifar10_5000.npz") as arrays:
                np.savez(path, X=arrays["X"][part], Y=arrays["Y"][part])
        return str(path)

    return source


def _assets() -> Path:
    assets = assets_folder()
    if assets is None:
        raise FileNotFoundError("needs the assets: set EDGESDK_ASSETS")
    return assets


CASES = {
    case.name: case
    for case in (
        Case("yolox-nano", "detect", _coco("train2017"), _coco("val2017")),
        Case("nanodet-m", "detect", _coco("train2017"), _coco("val2017")),
        Case(
            "efficientnet-lite0",
            "classify",
            _every_fifth,
            _imagenet,
            parts={"unseen": _unseen},
        ),
        Case(
            "resnet20-cifar10",
            "classify",
            _cifar(slice(None, 1000)),
            _cifar(slice(1000, None)),
        ),
        Case(
            "yolov8-form",
            "boxes-and-scores",
            _coco("train2017"),
            _coco("val2017"),
            limit=64,
            zoo=False,
        ),
    )
}
QUICK = ("resnet20-cifar10", "yolov8-form")
