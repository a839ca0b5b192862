"""Names of sinks: `kind:PLACE?options` for what is on the disk, `kind://host...` for the rest."""

from __future__ import annotations

import dataclasses
import difflib
import re
import typing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import parse_qsl, unquote, urlsplit

from edgesdk.capture import without_secrets
from edgesdk.errors import UsageError

T = TypeVar("T")

_UNIT_S = {"ms": 1e-3, "s": 1.0, "min": 60.0, "h": 3600.0, "": 1.0}


@dataclass(frozen=True)
class SinkUri:
    """The name of a sink, taken apart."""

    kind: str
    """What stands before the first colon, e.g. "mqtt"."""
    name: str
    """Of the sink within its pipeline: the kind, with a number from the second of a kind on."""
    shown: str
    """For messages and logs: of an address only what is no secret, host, port and path."""
    place: str
    """Of kind:PLACE, the path as written; of kind://host/..., the path without its first slash."""
    host: str = ""
    port: int | None = None
    user: str = ""
    password: str = field(default="", repr=False)
    query: str = field(default="", repr=False)
    """What stands after "?" as written."""
    fragment: str = field(default="", repr=False)
    """What stands after "#" as written."""

    @property
    def path(self) -> Path:
        """`place` as a path. Raises UsageError when nothing is named."""
        if not self.place:
            raise UsageError(f"{self.shown}: names no file", f"such as {self.kind}:out/NAME")
        return Path(self.place).expanduser()

    def options(self, kind: type[T]) -> T:
        """The query as a `kind`, a frozen dataclass. Raises UsageError that names the option."""
        return parse_options(kind, self.query, self.shown)


def parse_uri(text: str, name: str = "") -> SinkUri:
    """Take a sink's name apart. Raises UsageError when it is none."""
    kind, colon, rest = text.partition(":")
    if not colon or not re.fullmatch(r"[a-z][a-z0-9+]*", kind):
        raise UsageError(
            f"a sink is named by its kind and its place, found {hide_password(text)!r}",
            "such as sqlite:events.db, mqtt://broker/topic or prometheus://127.0.0.1:9464",
        )
    shown = hide_password(text)
    if not rest.startswith("//"):
        place, _, query = rest.partition("?")
        return SinkUri(kind, name or kind, shown, place, query=query)
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError as error:
        raise UsageError(
            f"{shown}: not readable as an address",
            "in a password write / ? # @ : as %2F %3F %23 %40 %3A; a port is a number, 0 to 65535",
        ) from error
    if "#" in text and kind not in ("http", "https"):
        raise UsageError(f"{shown}: there can be no # in it", "in a password write it as %23")
    shown = f"{kind}://{parts.hostname or ''}{f':{port}' if port else ''}{parts.path}"
    return SinkUri(
        kind,
        name or kind,
        shown,
        parts.path.removeprefix("/"),
        host=parts.hostname or "",
        port=port,
        user=unquote(parts.username or ""),
        password=unquote(parts.password or ""),
        query=parts.query,
        fragment=parts.fragment,
    )


def hide_password(text: str) -> str:
    """The same text with *** for each password and token of an address in it."""
    return without_secrets(text)


def parse_options(kind: type[T], query: str, shown: str) -> T:
    """`a=1&b=x` as a frozen dataclass whose fields are int, float, bool, str or Path.

    A float whose name ends in `_s` takes a unit (500ms, 10s, 5min, 2h), and the option is named
    without the ending. Raises UsageError for an unknown option, with the nearest, or a bad value.
    """
    hints = typing.get_type_hints(kind)
    known = {f.name.removesuffix("_s"): f.name for f in dataclasses.fields(kind)}  # type: ignore[arg-type]
    given: dict[str, Any] = {}
    for option, value in parse_qsl(query, keep_blank_values=True):
        if option not in known:
            near = difflib.get_close_matches(option, known, n=1)
            hint = f"did you mean {near[0]}?" if near else f"known: {', '.join(known) or 'none'}"
            raise UsageError(f"{shown}: there is no option named {option!r}", hint)
        name = known[option]
        try:
            given[name] = _value(hints[name], value, seconds=name.endswith("_s"))
        except ValueError as error:
            raise UsageError(f"{shown}: {option} should be {error}, found {value!r}") from error
    try:
        return kind(**given)
    except ValueError as error:
        raise UsageError(f"{shown}: {error}") from error


def _value(kind: object, text: str, *, seconds: bool) -> object:
    if kind is bool:
        if text not in ("0", "1"):
            raise ValueError("0 or 1")
        return text == "1"
    if kind is int:
        if not text.isdecimal():
            raise ValueError("a whole number")
        return int(text)
    if kind is float:
        found = re.fullmatch(r"(\d+(?:\.\d+)?)([a-z]*)", text)
        if not found or (found[2] and not seconds) or found[2] not in _UNIT_S:
            raise ValueError("a duration such as 500ms, 10s or 5min" if seconds else "a number")
        if seconds and not found[2] and float(found[1]):
            raise ValueError("a duration such as 500ms, 10s or 5min, with its unit")
        return float(found[1]) * _UNIT_S[found[2]]
    if kind is Path or Path in typing.get_args(kind):
        return Path(text).expanduser()
    return text
