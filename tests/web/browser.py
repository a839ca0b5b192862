"""A real Chromium, driven through its debugging pipe: what a person would see and do."""

from __future__ import annotations

import base64
import itertools
import json
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

WAIT_S = 20.0


class Refused(AssertionError):
    """The browser would not do it, e.g. while it goes from one page to the next."""


class Tab:
    """One tab. Commands are those of the Chrome DevTools Protocol."""

    def __init__(self, to_browser: int, from_browser: int) -> None:
        self._to, self._from = to_browser, from_browser
        self._ids = itertools.count(1)
        self._rest = b""
        self._session = ""
        self.errors: list[str] = []
        """What the page's console was told, and what did not load."""
        target = self.command("Target.createTarget", url="about:blank")["targetId"]
        attached = self.command("Target.attachToTarget", targetId=target, flatten=True)
        self._session = attached["sessionId"]
        for domain in ("Page", "Log", "Runtime"):
            self.command(f"{domain}.enable")

    def command(self, method: str, **params: Any) -> dict[str, Any]:
        number = next(self._ids)
        message: dict[str, Any] = {"id": number, "method": method, "params": params}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._to, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._read()
            if answer.get("method") in ("Log.entryAdded", "Runtime.exceptionThrown"):
                self.errors.append(json.dumps(answer["params"]))
            if answer.get("id") == number:
                if "error" in answer:
                    raise Refused(f"{method}: {answer['error']}")
                return answer["result"]

    def open(self, address: str, width: int = 1280, height: int = 900, dark: bool = False) -> None:
        self.command(
            "Emulation.setDeviceMetricsOverride",
            width=width, height=height, deviceScaleFactor=1, mobile=width < 600,
        )  # fmt: skip
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.command("Emulation.setEmulatedMedia", features=[scheme])
        self.errors.clear()
        self.command("Page.navigate", url=address)
        self.wait("document.readyState !== 'loading' && location.protocol === 'http:'")

    def ask(self, expression: str) -> Any:
        """What the page makes of a JavaScript expression."""
        answer = self.command("Runtime.evaluate", expression=expression, returnByValue=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def wait(self, expression: str) -> Any:
        """The expression's value as soon as it is true."""
        until = time.monotonic() + WAIT_S
        while time.monotonic() < until:
            value = self.ask(f"(v => v instanceof Node || v)({expression})")
            if value:
                return value
            time.sleep(0.1)
        text = self.ask("document.body.innerText")
        raise AssertionError(f"never came true: {expression}; the page says:\n{text}")

    def text(self, selector: str) -> str:
        return str(self.ask(f"document.querySelector({selector!r})?.innerText ?? ''"))

    def screenshot(self) -> NDArray[np.uint8]:
        """BGR, as a person sees it."""
        until = time.monotonic() + WAIT_S
        while True:
            try:
                shot = self.command("Page.captureScreenshot", format="png")
                break
            except Refused:
                if time.monotonic() > until:
                    raise
                time.sleep(0.1)
        data = base64.b64decode(shot["data"])
        return cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)

    def _read(self) -> dict[str, Any]:
        while b"\0" not in self._rest:
            data = os.read(self._from, 1 << 16)
            assert data, "the browser has ended"
            self._rest += data
        message, _, self._rest = self._rest.partition(b"\0")
        return json.loads(message)


@contextmanager
def chromium() -> Iterator[Tab]:
    """A browser with one tab, gone at the end."""
    program = shutil.which("chromium") or shutil.which("google-chrome")
    if program is None:
        pytest.skip("needs chromium: apt install chromium")
    to_read, to_write = os.pipe()
    from_read, from_write = os.pipe()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        # It reads commands from 3 and answers on 4: bash puts our pipes there (sh takes one digit).
        flags = "--headless --no-sandbox --disable-gpu --hide-scrollbars --no-first-run"
        started = subprocess.Popen(
            ["bash", "-c", f'exec "$0" "$@" 3<&{to_read} 4>&{from_write}', program, *flags.split(),
             "--disable-dev-shm-usage", "--remote-debugging-pipe", f"--user-data-dir={profile}"],
            pass_fds=(to_read, from_write), stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
        )  # fmt: skip
        os.close(to_read)
        os.close(from_write)
        try:
            yield Tab(to_write, from_read)
        finally:
            os.close(to_write)
            os.close(from_read)
            started.kill()
            started.wait()
