"""The list of a run's pictures in the order of their urgency, as a sink that writes it at the end.

A folder of its own with

    worklist.csv     one line a picture, the most urgent first
    worklist.html    the same as a page, with the pictures
    pictures/        each picture with its heat map, 00000.jpg and so on by frame
"""

from __future__ import annotations

import csv
import dataclasses
import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from jinja2 import Environment, PackageLoader, StrictUndefined

from edgesdk._files import write_atomic
from edgesdk._optional import require
from edgesdk.errors import UsageError
from edgesdk.pipeline import Packet
from edgesdk.pipeline.packet import field_value
from edgesdk.triage.rank import Ranker
from edgesdk.triage.triaged import Triaged, unread
from edgesdk.triage.view import NOTICE, percent
from edgesdk.vision.pen import Picture

_COLUMNS = [f.name for f in dataclasses.fields(Triaged) if f.name not in ("time_ms", "stream")]


@dataclass(frozen=True)
class Entry:
    """A line of the list."""

    place: int
    """1 is the most urgent."""
    event: Triaged
    card: str
    """Path of its picture within the folder; empty: there is none."""


class Worklist:
    """A sink for `Triaged` events. Memory holds each picture's event, not the picture.

    Pictures that the source passed over are on the list as "unread". The list is written however
    the run ends; a page that lacks pictures says so.
    """

    name = "worklist"

    def __init__(
        self,
        folder: Path,
        ranker: Ranker,
        draw: Callable[[Packet], Picture],
        passed_over: Callable[[], Mapping[str, str]],
        count: int | None,
    ) -> None:
        """`draw` makes a picture's card, `passed_over` gives name -> reason of what the source
        could not read, `count` is how many pictures there are, None where that is not known.

        Raises UsageError for a folder that has something in it: a list and its pictures are from
        one run.
        """
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise UsageError(
                f"{folder}: there is something already, and a worklist needs a folder of its own",
                "move it away, or name another one: --set folder=NAME",
            )
        self._cv2: ModuleType = require("cv2", "write pictures")
        self._folder, self._ranker, self._draw = folder, ranker, draw
        self._passed_over, self._count = passed_over, count
        self._events: list[Triaged] = []

    @property
    def page(self) -> Path:
        """worklist.html, where it will be."""
        return self._folder / "worklist.html"

    def accept(self, packet: Packet) -> None:
        """Keep the event and write the picture."""
        found = [event for event in packet.events if isinstance(event, Triaged)]
        if found:
            packed = self._cv2.imencode(".jpg", self._draw(packet))[1]
            write_atomic(self._folder / _card(packet.frame.index), packed.tobytes())
            self._events += found

    def close(self) -> None:
        """Write the list, unless there is nothing on it."""
        missing = [unread(name, reason) for name, reason in self._passed_over().items()]
        ordered = self._ranker.ordered([*self._events, *missing])
        if not ordered:
            return
        entries = [
            Entry(place, event, _card(event.frame) if event.frame >= 0 else "")
            for place, event in enumerate(ordered, 1)
        ]
        write_atomic(self._folder / "worklist.csv", _csv(entries))
        write_atomic(self.page, _page(entries, self._lacking(len(entries))))

    def _lacking(self, listed: int) -> str:
        if self._count is None or listed >= self._count:
            return ""
        return f"This list is not complete: the run ended after {listed} of {self._count} pictures."


def _card(frame: int) -> str:
    return f"pictures/{frame:05d}.jpg"


def _csv(entries: list[Entry]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["place", *_COLUMNS, "card"])
    for each in entries:
        fields = [_cell(field_value(each.event, name)) for name in _COLUMNS]
        writer.writerow([each.place, *fields, each.card])
    return text.getvalue()


def _cell(value: object) -> object:
    """As it is, but for a text that a spreadsheet would take for a formula."""
    return f"'{value}" if isinstance(value, str) and value[:1] in ("=", "+", "-", "@") else value


def _page(entries: list[Entry], lacking: str) -> str:
    environment = Environment(
        loader=PackageLoader("edgesdk.triage", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    page: str = environment.get_template("worklist.html.j2").render(
        entries=entries, notice=NOTICE, lacking=lacking, percent=percent
    )
    return page
