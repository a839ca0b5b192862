"""The process that reads a camera: it may hang or crash in a driver without harm to the app.

It is run as a file (`python child_main.py FD cv2`), by whichever interpreter has the OpenCV that is
wanted, and needs nothing of edgesdk and nothing else than OpenCV, NumPy and the standard library.

FD is one end of a Unix socket that keeps messages apart (SOCK_SEQPACKET). Each is a JSON object
with a "kind". To the child: "open" (once), "free" a slot, "stop". From it: "opened", "ring" (comes
with the memory's file descriptor), "frame", and as the last one
"ended", "lost" or "fatal".

Frames lie in slots of a memory that has no name (memfd), so nothing is left of it when both
processes are gone, however they went. A slot belongs to one of the two: the child fills it and
gives it away with "frame"; the other reads it and gives it back with "free". So no frame is torn.
"""

from __future__ import annotations

import importlib
import importlib.util
import json
import mmap
import os
import socket
import sys
import threading
import time
from collections import deque
from pathlib import Path
from typing import Any

LINGER_S = 1.0
"""How long the device may take to be released before the process ends itself."""
MESSAGE_BYTES = 65536


class Link:
    """The socket to the app, with a thread that hears what it says even while the device hangs."""

    def __init__(self, end: socket.socket) -> None:
        self._end = end
        self._free: deque[tuple[int, int]] = deque()
        self._changed = threading.Condition()
        self.stopping = False
        order = end.recv(MESSAGE_BYTES)
        if not order:
            os._exit(0)
        self.order: dict[str, Any] = json.loads(order)
        threading.Thread(target=self._listen, daemon=True).start()

    def say(self, kind: str, fds: tuple[int, ...] = (), **fields: Any) -> None:
        """Send one message. When the app is gone, so is the reason to live."""
        data = json.dumps({"kind": kind, **fields}).encode()
        try:
            socket.send_fds(self._end, [data], list(fds))
        except OSError:
            os._exit(0)

    def add_slots(self, ring: int, slots: int) -> None:
        """The slots of a new ring are free, those of older ones no longer count."""
        with self._changed:
            self._free = deque((ring, slot) for slot in range(slots))

    def slot(self, ring: int, wait: bool) -> int | None:
        """A free slot; None when there is none and `wait` is false, or at the end."""
        with self._changed:
            while True:
                while self._free and self._free[0][0] != ring:
                    self._free.popleft()
                if self._free:
                    return self._free.popleft()[1]
                if not wait or self.stopping:
                    return None
                self._changed.wait()

    def _listen(self) -> None:
        while True:
            data = self._end.recv(MESSAGE_BYTES)
            message: dict[str, Any] = json.loads(data) if data else {"kind": "stop"}
            with self._changed:
                if message["kind"] == "free":
                    self._free.append((int(message["ring"]), int(message["slot"])))
                else:
                    self.stopping = True
                self._changed.notify_all()
            if self.stopping:
                time.sleep(LINGER_S)
                os._exit(0)


class Slots:
    """The memory in which frames of one size go to the app."""

    def __init__(self, link: Link, number: int, shape: tuple[int, ...], slots: int) -> None:
        import numpy as np  # noqa: PLC0415 - only known to be there once a device is open

        self.shape, self.number = shape, number
        size = shape[0] * shape[1] * shape[2]
        handle = os.memfd_create("edgesdk-frames", os.MFD_CLOEXEC)
        try:
            os.ftruncate(handle, size * slots)
            memory = mmap.mmap(handle, size * slots)
            self.pictures = np.frombuffer(memory, np.uint8).reshape(slots, *shape)
            link.add_slots(number, slots)
            link.say("ring", (handle,), ring=number, slots=slots, height=shape[0], width=shape[1])
        finally:
            os.close(handle)


def run(link: Link) -> None:
    """Open what was ordered and hand over its frames until the end."""
    order = link.order
    device = open_device(order)
    if device is None or not device.isOpened():
        link.say("lost", reason="it cannot be opened")
        return
    try:
        link.say("opened", fps=_rate(device))
        kind, reason = read_frames(link, device, order)
        link.say(kind, reason=reason)
    finally:
        device.release()


def read_frames(link: Link, device: Any, order: dict[str, Any]) -> tuple[str, str]:
    """Hand over frames until there are none; "ended" or "lost", and why."""
    everything = order["keep"] == "all"
    slots: Slots | None = None
    rings, number, dropped = 0, 0, 0
    while not link.stopping:
        if not device.grab():
            return "ended", "it gave no further frame"
        captured_ns = time.monotonic_ns()
        slot = link.slot(slots.number, everything) if slots else None
        if slots and slot is None:
            number, dropped = number + 1, dropped + 1
            continue
        target = slots.pictures[slot] if slots and slot is not None else None
        found, image = device.retrieve(target)
        if not found:
            return "lost", "a frame of it could not be fetched"
        image = as_bgr(image, order["rotate"])
        if slots is None or image.shape != slots.shape:
            rings += 1
            slots = Slots(link, rings, image.shape, order["slots"])
            slot = link.slot(rings, False)
        assert slot is not None
        place = slots.pictures[slot]
        if image.ctypes.data != place.ctypes.data:  # OpenCV did not write it there itself
            place[...] = image
        # 0: CAP_PROP_POS_MSEC. Of a camera it is of no use, and GStreamer's reader warns of it.
        stated_ns = round(max(0.0, device.get(0)) * 1e6) if order["stated"] else 0
        link.say(
            "frame", ring=slots.number, slot=slot, number=number, dropped=dropped,
            captured_ns=captured_ns, stated_ns=stated_ns,
        )  # fmt: skip
        number += 1
    return "lost", "it was stopped"


def open_device(order: dict[str, Any]) -> Any:
    """An opened cv2.VideoCapture, or what the function `opener` of a file makes of the target."""
    if order["opener"]:
        path, _, name = order["opener"].rpartition(":")
        spec = importlib.util.spec_from_file_location("edgesdk_opener", path)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return getattr(module, name)(order["target"])
    import cv2  # noqa: PLC0415 - loaded by main already, while no camera was wanted yet

    wanted = [(getattr(cv2, name), round(value)) for name, value in order["properties"]]
    given = [number for pair in wanted for number in pair]
    return cv2.VideoCapture(order["target"], getattr(cv2, "CAP_" + order["api"].upper()), given)


def as_bgr(image: Any, rotate: int) -> Any:
    """Three channels, turned clockwise by `rotate` degrees."""
    if image.ndim == 2 or image.shape[2] != 3:
        import numpy as np  # noqa: PLC0415

        flat = image.reshape(*image.shape[:2], -1)
        image = flat[:, :, :3] if flat.shape[2] > 3 else np.repeat(flat[:, :, :1], 3, axis=2)
    if rotate:
        import numpy as np  # noqa: PLC0415

        image = np.ascontiguousarray(np.rot90(image, -rotate // 90))
    return image


def _rate(device: Any) -> float:
    fps = float(device.get(5))  # CAP_PROP_FPS
    return fps if 0 < fps <= 1000 else 0.0


def main() -> None:
    """Live until the order is done."""
    here = Path(__file__).parent
    sys.path[:] = [place for place in sys.path if Path(place or ".").resolve() != here]
    end = socket.socket(fileno=int(sys.argv[1]))
    missing = ""
    for name in sys.argv[2:]:
        try:
            importlib.import_module(name)
        except ImportError as error:
            missing = str(error)
    link = Link(end)
    if missing:
        link.say("fatal", reason=f"{sys.executable} has no usable OpenCV: {missing}")
        return
    try:
        run(link)
    except Exception as error:  # noqa: BLE001 - it is told, and this process ends with it
        link.say("lost", reason=f"{type(error).__name__}: {error}")


if __name__ == "__main__":
    main()
    os._exit(0)
