"""A picture becomes a model's input, one thread: BGR bytes to planar RGB floats 0..1, letterboxed.

All cases get the same picture and make the same tensor; how far each one's numbers are from the
reference (OpenCV's bilinear resize, then numpy) stands beside its time. Peers are called as their
documentation does, with what they need made once beforehand.
"""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from typing import Any

import albumentations
import cv2
import numpy as np
import supervision
import torch
from albumentations.pytorch import ToTensorV2
from numpy.typing import NDArray
from torchvision.transforms.v2 import functional as vision
from ultralytics.data.augment import LetterBox

from benchmarks.pipeline.rounds import as_object, interleaved, one_thread, versions
from edgesdk.preprocess import Preparer, Preprocess

SIZES = {"1080p to 640": (1920, 1080, 640), "640x352 to 416": (640, 352, 416)}
ROUNDS, CALLS = 60, 10
GREY = (114, 114, 114)
Picture = NDArray[np.uint8]
Make = Callable[[Picture], Any]


def with_numpy(side: int) -> Make:
    def make(picture: Picture) -> Any:
        height, width = picture.shape[:2]
        ratio = min(side / width, side / height)
        across, down = int(width * ratio), int(height * ratio)
        canvas = np.full((side, side, 3), 114, np.uint8)
        left, top = (side - across) // 2, (side - down) // 2
        canvas[top : top + down, left : left + across] = cv2.resize(picture, (across, down))
        tensor = np.ascontiguousarray(canvas[:, :, ::-1].transpose(2, 0, 1)[None], np.float32)
        tensor /= 255
        return tensor

    return make


def with_opencv(side: int) -> Make:
    def make(picture: Picture) -> Any:
        height, width = picture.shape[:2]
        ratio = min(side / width, side / height)
        across, down = int(width * ratio), int(height * ratio)
        left, top = (side - across) // 2, (side - down) // 2
        small = cv2.resize(picture, (across, down))
        border = top, side - down - top, left, side - across - left
        whole = cv2.copyMakeBorder(small, *border, cv2.BORDER_CONSTANT, value=GREY)
        return cv2.dnn.blobFromImage(whole, 1 / 255, swapRB=True)

    return make


def with_ultralytics(side: int) -> Make:
    """LetterBox, and BasePredictor.preprocess for one picture on the CPU."""
    box = LetterBox((side, side), auto=False, stride=32)

    def make(picture: Picture) -> Any:
        tensor = torch.from_numpy(box(image=picture)).unsqueeze(0)
        return tensor.permute(0, 3, 1, 2).contiguous().flip(1).float().div_(255)

    return make


def with_supervision(side: int) -> Make:
    grey = supervision.Color(*GREY)

    def make(picture: Picture) -> Any:
        whole = supervision.letterbox_image(picture, (side, side), grey)
        tensor = np.ascontiguousarray(whole[:, :, ::-1].transpose(2, 0, 1)[None], np.float32)
        tensor /= 255
        return tensor

    return make


def with_albumentations(side: int) -> Make:
    chain = albumentations.Compose(
        [
            albumentations.LongestMaxSize(side, interpolation=cv2.INTER_LINEAR),
            albumentations.PadIfNeeded(side, side, fill=114),
            albumentations.ToFloat(255),
            ToTensorV2(),
        ]
    )
    return lambda picture: chain(image=cv2.cvtColor(picture, cv2.COLOR_BGR2RGB))["image"][None]


def with_torchvision(side: int) -> Make:
    def make(picture: Picture) -> Any:
        height, width = picture.shape[:2]
        ratio = min(side / width, side / height)
        across, down = int(width * ratio), int(height * ratio)
        left, top = (side - across) // 2, (side - down) // 2
        planes = torch.from_numpy(picture).permute(2, 0, 1)
        small = vision.resize(planes, [down, across], antialias=False)
        border = [left, top, side - across - left, side - down - top]
        return vision.pad(small, border, fill=114).flip(0)[None].float().div_(255)

    return make


PEERS = {
    "numpy": with_numpy,
    "cv2.dnn.blobFromImage": with_opencv,
    "ultralytics": with_ultralytics,
    "supervision": with_supervision,
    "albumentations": with_albumentations,
    "torchvision": with_torchvision,
}


def measured(width: int, height: int, side: int) -> dict[str, Any]:
    picture = scene(width, height)
    preprocess = Preprocess(side, side, scale=1 / 255)
    preparer = Preparer(preprocess)
    makes: dict[str, Make] = {
        "edgesdk": lambda picture: preparer(picture)[0],
        "edgesdk, a new tensor each": lambda picture: preprocess(picture)[0],
        **{name: make(side) for name, make in PEERS.items()},
    }
    reference = with_numpy(side)(picture)
    cases = {name: (lambda make=make: make(picture)) for name, make in makes.items()}
    timed = interleaved(cases, ROUNDS, CALLS)
    for name, make in makes.items():
        tensor = np.asarray(make(picture))
        timed[name]["levels_off"] = round(float(np.abs(tensor - reference).max() * 255), 2)
    return {"cases": timed, "allocated_bytes_a_frame": allocated(preparer, picture)}


def scene(width: int, height: int) -> Picture:
    """A picture with edges and texture, the same every time."""
    coarse = np.random.default_rng(0).integers(0, 256, (height // 8, width // 8, 3), np.uint8)
    return cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)


def allocated(preparer: Preparer, picture: Picture) -> int:
    """Peak of what one frame allocates, once the memory is there."""
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    tracemalloc.reset_peak()
    preparer(picture)
    peak = tracemalloc.get_traced_memory()[1] - before
    tracemalloc.stop()
    return peak


def main() -> dict[str, Any]:
    """All sizes."""
    one_thread()
    packages = ("ultralytics", "supervision", "albumentations", "torch", "torchvision")
    return {
        "what": " ".join((__doc__ or "").split()),
        "goal": "2.5 x Ultralytics, 1.3 x the best of the others, 0.1 MB allocated a frame",
        "versions": versions("numpy", "opencv-python-headless", *packages),
        "sizes": {name: measured(*size) for name, size in SIZES.items()},
    }


if __name__ == "__main__":
    as_object(main)
