"""Devices that misbehave on order, opened in the capture process in the place of OpenCV."""

from __future__ import annotations

import json
import os
import signal
import time
from pathlib import Path

import numpy as np


class Device:
    """Pictures that are filled with their own number, and trouble after so many of them."""

    def __init__(self, target: str) -> None:
        asked = json.loads(target)
        self.fps, self.path = asked.get("fps", 100.0), asked.get("path")
        self.frames = asked.get("frames", 10**9)
        self.hangs, self.crashes = asked.get("hangs", -1), asked.get("crashes", -1)
        self.sizes = asked.get("sizes", [[64, 48]])
        self.stubborn = asked.get("stubborn", False)
        self.number = -1
        if asked.get("hangs_in_open"):
            time.sleep(1000)

    def isOpened(self) -> bool:
        return self.path is None or Path(self.path).exists()

    def grab(self) -> bool:
        if not self.isOpened():
            return False
        time.sleep(1 / self.fps)
        self.number += 1
        if self.number == self.hangs:
            time.sleep(1000)
        if self.number == self.crashes:
            os.kill(os.getpid(), signal.SIGSEGV)
        return self.number < self.frames

    def retrieve(self, place: np.ndarray | None) -> tuple[bool, np.ndarray]:
        width, height = self.sizes[self.number // 20 % len(self.sizes)]
        if place is not None and place.shape == (height, width, 3):
            place[...] = self.number % 256
            return True, place
        return True, np.full((height, width, 3), self.number % 256, np.uint8)

    def get(self, key: int) -> float:
        return self.fps if key == 5 else self.number * 1000 / self.fps

    def release(self) -> None:
        if self.stubborn:
            time.sleep(1000)


def device(target: str) -> Device:
    return Device(target)


def gray(target: str) -> Device:
    one = Device(target)
    one.retrieve = lambda place: (True, np.full((48, 64), 7, np.uint8))  # type: ignore[method-assign]
    return one
