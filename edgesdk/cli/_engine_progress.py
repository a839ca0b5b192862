"""How far the build of an engine is: a bar on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import threading
import time
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

from edgesdk.cli._console import console as make_console

EVERY_S = 15.0
"""Between two lines where there is no terminal."""
NAME = 44
"""Characters of a phase's name that are shown."""


class EngineBar:
    """Shows what `ShowProgress` tells, on stderr. It appears with the first call."""

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or make_console(stderr=True)
        self._bar = Progress(
            TextColumn("compiling"),
            BarColumn(bar_width=24),
            TaskProgressColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.fields[left]}"),
            # As it is: TensorRT writes {ForeignNode[/a...b]}, which looks like markup.
            TextColumn("{task.description}", style="dim", markup=False),
            console=self._console,
            transient=True,
            disable=not self._console.is_terminal,
        )
        self._task = self._bar.add_task("", total=1.0, left="")
        self._lock = threading.Lock()
        self._started = False
        self._last = ("", 0.0)

    def __enter__(self) -> EngineBar:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._bar.stop()

    def __call__(self, name: str, done: float, left_s: float | None) -> None:
        """May come from any thread."""
        with self._lock:
            if not self._started:
                self._started = True
                self._bar.start()
            left = left_text(left_s)
            self._bar.update(self._task, description=name[:NAME], completed=done, left=left)
            if not self._console.is_terminal:
                self._line(name, done, left)
            if done >= 1.0:
                self._bar.stop()

    def _line(self, name: str, done: float, left: str) -> None:
        """Say it, unless a line was said a moment ago. The first and the last are always said."""
        said, when = self._last
        now = time.monotonic()
        if said and now - when < EVERY_S and (done < 1.0 or name == said):
            return
        self._last = (name, now)
        self._console.print(f"compiling: {done:.0%} {left} {name}".rstrip(), soft_wrap=True)


def left_text(left_s: float | None) -> str:
    """E.g. "about 3 min left"; empty where it cannot be told."""
    if left_s is None:
        return ""
    if left_s < 90:
        return f"about {left_s:.0f} s left"
    return f"about {left_s / 60:.0f} min left"
