"""The app's side of a capture process: start it, hear it, and end it whatever it does."""

from __future__ import annotations

import contextlib
import json
import logging
import mmap
import os
import signal
import socket
import subprocess
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from edgesdk.capture import child_main
from edgesdk.capture.complaints import Complaints
from edgesdk.capture.opening import Opening

POLITE_S = 0.5
"""How long a capture process may take to release its device before it is killed."""
KILLED_S = 2.0
"""How long the system may take to end a killed process."""
LAST_WORDS = ("ended", "lost", "fatal")
"""Kinds of news after which there is none."""
CHILD = Path(child_main.__file__)

_log = logging.getLogger("edgesdk.capture")


@dataclass(frozen=True)
class Ready:
    """A frame that lies in shared memory, until it is taken or given back."""

    child: Child
    ring: Ring
    slot: int
    number: int
    """0-based, counted by the capture process."""
    captured_ns: int
    stated_ns: int
    """Media time as the stream states it; 0 where it states none."""

    def take(self) -> NDArray[np.uint8]:
        """The picture, as a copy; the slot is free again."""
        image = np.array(self.ring.pictures[self.slot])
        self.drop()
        return image

    def drop(self) -> None:
        """Give the slot back."""
        self.child.free(self.ring.number, self.slot)


@dataclass(frozen=True)
class Ring:
    """Memory shared with a capture process: slots x height x width x 3, BGR."""

    number: int
    pictures: NDArray[np.uint8]


@dataclass(frozen=True)
class News:
    """What a capture process has said."""

    kind: Literal["opened", "resized", "frame", "ended", "lost", "fatal"]
    frame: Ready | None = None
    dropped: int = 0
    """Frames that found no free slot, since the process began."""
    reason: str = ""
    fps: float = 0.0


class Child:
    """One capture process. Only `free` may be called from another thread than the owner's."""

    def __init__(self, opening: Opening) -> None:
        """Start it: it loads OpenCV and waits. Raises OSError when the interpreter cannot run."""
        self._opening = opening
        self.link, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._lock = threading.Lock()
        self._ring: Ring | None = None
        preloaded = [] if opening.opener else ["cv2"]
        try:
            with theirs:
                self._process = subprocess.Popen(
                    [opening.python, str(CHILD), str(theirs.fileno()), *preloaded],
                    env=opening.variables(),
                    pass_fds=[theirs.fileno()],
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,  # Ctrl-C is for the app, which then ends its cameras
                )
            assert self._process.stdout is not None
            self.talk = self._process.stdout
            os.set_blocking(self.talk.fileno(), False)
            self.link.setblocking(False)
            self.complaints = Complaints()
        except BaseException:
            self.link.close()
            raise

    def begin(self, keep: Literal["newest", "all"]) -> None:
        """Let it open the camera."""
        with contextlib.suppress(OSError):  # it may have died already: seen when it is read
            self.link.send(json.dumps(self._opening.order(keep)).encode())

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    def news(self) -> list[News]:
        """What it has said since the last time; it does not wait."""
        told: list[News] = []
        self.hear_talk()
        while True:
            try:
                data, fds, _, _ = socket.recv_fds(self.link, child_main.MESSAGE_BYTES, 1)
            except BlockingIOError:
                return told
            except OSError:
                data, fds = b"", []
            if not data:
                return [*told, News("lost", reason=self._epitaph())]
            one = self._understand(json.loads(data), fds)
            told += [one] if one else []
            if one and one.kind in LAST_WORDS:
                return told

    def hear_talk(self) -> None:
        """Read what OpenCV and its libraries have written, without waiting."""
        with contextlib.suppress(BlockingIOError):
            while data := os.read(self.talk.fileno(), 65536):
                self.complaints.hear(data)

    def free(self, ring: int, slot: int) -> None:
        """Give a slot back; to a process that is gone it is nothing."""
        message = json.dumps({"kind": "free", "ring": ring, "slot": slot}).encode()
        with self._lock, contextlib.suppress(OSError):
            self.link.send(message)

    def end(self, polite_s: float = POLITE_S) -> None:
        """End it within `polite_s` + KILLED_S, and free everything that it held here."""
        try:
            if polite_s > 0:
                with self._lock, contextlib.suppress(OSError):
                    self.link.send(b'{"kind": "stop"}')
                self._gone(polite_s)
            if self._process.poll() is None:
                self._process.kill()
                if not self._gone(KILLED_S):
                    _log.error(
                        "capture process %d is stuck in the kernel and does not end", self.pid
                    )
        finally:
            with self._lock:
                self.link.close()
            self.talk.close()
            self._ring = None

    def _understand(self, message: dict[str, Any], fds: list[int]) -> News | None:
        kind = message["kind"]
        if kind == "frame":
            assert self._ring is not None
            frame = Ready(
                self,
                self._ring,
                message["slot"],
                message["number"],
                message["captured_ns"],
                message["stated_ns"],
            )
            return News("frame", frame, message["dropped"])
        if kind == "ring":
            self._ring = _map(message, fds[0])
            return News("resized")
        if kind == "opened":
            return News("opened", fps=message["fps"])
        self.hear_talk()
        said = self.complaints.last
        reason = message["reason"] + (f": {said}" if said else "")
        return News(kind, reason=reason)

    def _epitaph(self) -> str:
        """Why it ended without a word."""
        self._gone(POLITE_S)
        self.hear_talk()
        code = self._process.poll()
        how = f"exit code {code}"
        if code is not None and code < 0:
            with contextlib.suppress(ValueError):
                how = signal.Signals(-code).name
        said = self.complaints.last
        return f"the capture process ended by itself ({how})" + (f": {said}" if said else "")

    def _gone(self, within_s: float) -> bool:
        """True when it has ended in time. Popen.wait polls with pauses up to 50 ms; so does this,
        and it reads what is written meanwhile, or a full pipe would keep the process from ending.
        """
        until = time.monotonic() + within_s
        while self._process.poll() is None:
            if time.monotonic() >= until:
                return False
            time.sleep(0.005)
            self.hear_talk()
        return True


def _map(message: dict[str, Any], handle: int) -> Ring:
    """The memory lives as long as a view of it does."""
    try:
        memory = mmap.mmap(handle, 0, prot=mmap.PROT_READ)
    finally:
        os.close(handle)
    shape = (message["slots"], message["height"], message["width"], 3)
    return Ring(message["ring"], np.frombuffer(memory, np.uint8).reshape(shape))
