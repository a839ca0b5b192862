"""Where people open a sink: shown whole to a terminal, and without its token to a log."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import click

from edgesdk.pipeline import Sink
from edgesdk.sinks import Addressed


@contextmanager
def addresses_told(sinks: Sequence[Sink]) -> Iterator[None]:
    """Say on stderr where each sink is. Where that is no terminal but a log or a journal, which
    many can read, a token stands in a file of this user's own instead, as long as the body lasts.
    """
    with ExitStack() as ending:
        for sink in sinks:
            if isinstance(sink, Addressed):
                click.echo(f"  {sink.name}: {_told(sink.address, ending)}", err=True)
        yield


def _told(address: str, ending: ExitStack) -> str:
    plain, mark, _ = address.partition("?token=")
    if not mark or sys.stderr.isatty():
        return address
    path = _state_folder() / f"page-{urlsplit(address).port}.address"
    try:
        _write_private(path, address)
    except OSError as error:
        return f"{plain} (its token cannot be written to {path}: {error.strerror})"
    ending.callback(path.unlink, missing_ok=True)
    return f"{plain} (with its token: cat {shlex.quote(str(path))})"


def _state_folder() -> Path:
    base = os.environ.get("XDG_STATE_HOME") or str(Path.home() / ".local" / "state")
    return Path(base) / "edgesdk"


def _write_private(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)  # What is there may be open to others.
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w") as file:
        file.write(f"{text}\n")
