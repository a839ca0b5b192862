"""Whether a place can be written, asked before the run starts."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable
from pathlib import Path
from urllib.parse import parse_qsl

from edgesdk.errors import UsageError
from edgesdk.sinks.uri import parse_uri

FILES = frozenset(("jsonl", "csv", "json", "video"))
"""Kinds of sinks that write one file from its beginning."""

WIRES = frozenset(("modbus", "gpio"))
"""Kinds of sinks that hold a wire."""


def check_file_place(path: Path) -> None:
    """Nothing is changed. Raises UsageError when no file can be written at `path`."""
    if path.is_dir():
        raise UsageError(f"{path} is a folder", f"name a file in it, such as {path}/events")
    check_folder_place(path.parent)


def check_folder_place(folder: Path) -> None:
    """Raises UsageError when `folder` can neither be written nor made."""
    there = folder.absolute()
    while not there.exists():
        there = there.parent
    try:
        with tempfile.TemporaryFile(dir=there):
            pass
    except OSError as error:
        raise UsageError(
            f"nothing can be written in {folder}: {there}: {error.strerror or error}",
            "name another place",
        ) from error


def check_no_source(path: Path, sources: Iterable[str]) -> None:
    """Raises UsageError when one of the sources, by their names, is the file at `path`."""
    for source in sources:
        if source and path.resolve() == Path(source).resolve():
            raise UsageError(
                f"{path} is a source of this run: it would be written over", "name another file"
            )


def check_written_once(uris: Iterable[str], written: Iterable[Path]) -> None:
    """Raises UsageError when two of the sinks, or one and the files `written`, are the same file,
    or two are the same wire: each would undo what the other says.

    A database may be shared, for it has a table for each.
    """
    seen = {path.resolve() for path in written}
    wires: set[tuple[str, ...]] = set()
    for sink in map(parse_uri, uris):
        if sink.kind in WIRES:
            unit = dict(parse_qsl(sink.query)).get("unit", "")
            wire = (sink.kind, sink.host, str(sink.port or ""), sink.place, unit)
            if wire in wires:
                raise UsageError(
                    f"{sink.shown} would be written by two sinks", "give each a wire of its own"
                )
            wires.add(wire)
        if sink.kind in FILES and sink.place:
            if sink.path.resolve() in seen:
                raise UsageError(f"{sink.path} would be written by two sinks", "name another file")
            seen.add(sink.path.resolve())
