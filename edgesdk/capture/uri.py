"""Sources are named by URI: what kind of thing it is, where it is, how it shall capture.

    csi://0                            a Jetson's camera connector
    v4l2:///dev/video0, /dev/video0, usb://0
    rtsp://user:password@host/path     also rtsps://
    http://host/stream.mjpg            also https://
    gst:PIPELINE                       handed to GStreamer as it is; ends in an appsink, after
                                       which settings may stand: gst:... ! appsink?watchdog_ms=9000
    clip.mp4, file:///data/clip.mp4    a video file
    pictures/, "shots/*.png", set.tar  pictures
    sim://traffic?seed=3               a simulation

Settings follow as ?width=1280&height=720. In rtsp:// and http:// what is not a setting of ours
belongs to the camera and stays in its address.
"""

from __future__ import annotations

import contextlib
import difflib
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import parse_qsl, unquote, urlsplit, urlunsplit

from edgesdk._config import parse
from edgesdk.capture.settings import NAMES, SPEAKING, TAKEN, CaptureSettings, Kind
from edgesdk.errors import ConfigError, UnknownName
from edgesdk.video import VIDEO_SUFFIXES

_SCHEMES: dict[str, Kind] = {
    "csi": "csi",
    "v4l2": "v4l2",
    "usb": "v4l2",
    "rtsp": "rtsp",
    "rtsps": "rtsp",
    "http": "http",
    "https": "http",
    "sim": "sim",
}
LIVE: frozenset[Kind] = frozenset(("csi", "v4l2", "rtsp", "http", "gst"))
"""Kinds that give frames when they come, whether or not anyone is ready."""

_HIDDEN = "***"
_SECRET = re.compile(
    r"(?i)([?&;](?:[a-z_]*(?:password|passwd|pwd|token|secret|api_?key|auth))=)[^&;#\s]*"
)
_QUERY = re.compile(r"^[A-Za-z_]\w*=")
_AFTER_SINK = re.compile(r"((?:.*!)?\s*appsink\b[^!?]*)\?([^!?\s]*)", re.DOTALL)
"""A pipeline whose last element is an appsink, and what follows after it; a ? elsewhere belongs to
an address within the pipeline."""


@dataclass(frozen=True)
class SourceUri:
    """A source's name, taken apart. Neither its repr nor `shown` holds a password."""

    text: str = field(repr=False)
    """As it was given, passwords and all: for opening only."""
    shown: str
    """For logs, messages and reports: without passwords."""
    kind: Kind
    location: str = field(repr=False)
    """What is opened: sensor number, device, address without our settings, pipeline, path, or the
    simulation's whole URI. May hold a password."""
    settings: CaptureSettings
    """All checked; what the kind does not take has its default."""

    @property
    def live(self) -> bool:
        """Whether frames come when they come; a simulation says that itself."""
        return self.kind in LIVE


def parse_source(text: str) -> SourceUri:
    """Take a source's name apart. Nothing is opened.

    Raises UnknownName for a kind that does not exist, ConfigError for a setting that is unknown,
    out of range or not for this kind; both name the source without its password.
    """
    shown = without_secrets(text)
    if any(ord(character) < 32 for character in text):
        raise ConfigError(f"{shown!r}: a source's name holds no line breaks or control characters")
    if text.startswith("gst:"):
        return _raw(text, shown)
    scheme, colons, _ = text.partition("://")
    if not colons:
        return _path(text, text, shown)
    if scheme.lower() == "file":
        return _path(text, unquote(text.partition("://")[2]), shown)
    if scheme.lower() not in _SCHEMES:
        raise UnknownName("kind of source", scheme, [*_SCHEMES, "file", "gst"])
    kind = _SCHEMES[scheme.lower()]
    if kind == "sim":
        return SourceUri(text, shown, kind, text, CaptureSettings())
    if kind in ("csi", "v4l2"):
        return _camera(text, shown, kind)
    return _stream(text, shown, kind)


def without_secrets(text: str) -> str:
    """A source's name or a pipeline with passwords and tokens as ***."""
    text = re.sub(r"(user-pw=)(?:\\.|[^\s\\])+", rf"\g<1>{_HIDDEN}", text)
    parts = [_masked(part) for part in text.split(" ")]
    return _SECRET.sub(rf"\g<1>{_HIDDEN}", " ".join(parts))


def _masked(word: str) -> str:
    """All up to the last @ is taken for the credentials: better too much than a password."""
    head, colons, rest = word.partition("://")
    if not colons or "@" not in rest:
        return word
    credentials, _, place = rest.rpartition("@")
    user, colon, _ = credentials.partition(":")
    if not colon or re.search(r"[/?#]", user):
        return f"{head}://{_HIDDEN}@{place}"
    return f"{head}://{user}:{_HIDDEN}@{place}"


def _raw(text: str, shown: str) -> SourceUri:
    pipeline, query = text.removeprefix("gst:").removeprefix("//").strip(), ""
    if found := _AFTER_SINK.fullmatch(pipeline):
        pipeline, query = found[1].strip(), found[2]
    if "appsink" not in pipeline:
        raise ConfigError(
            f"{shown}: a pipeline has to end in an appsink, from which frames are taken",
            "such as gst:videotestsrc ! videoconvert ! video/x-raw,format=BGR ! appsink",
        )
    settings = _settings("gst", _pairs(query, shown), shown)
    return SourceUri(text, shown, "gst", pipeline, settings)


def _path(text: str, path: str, shown: str) -> SourceUri:
    """Settings are told from a file's name, or a glob's ?, by their equals sign."""
    query = ""
    if not Path(path).exists():
        head, mark, tail = path.rpartition("?")
        if mark and _QUERY.match(tail):
            path, query = head, tail
    kind: Kind = "pictures"
    if path.startswith("/dev/"):
        kind = "v4l2"
    elif Path(path).suffix.lower() in VIDEO_SUFFIXES and not _many(path):
        kind = "video"
    return SourceUri(text, shown, kind, path, _settings(kind, _pairs(query, shown), shown))


def _many(path: str) -> bool:
    return Path(path).is_dir() or (bool(re.search(r"[*?\[]", path)) and not Path(path).exists())


def _camera(text: str, shown: str, kind: Kind) -> SourceUri:
    parts = urlsplit(text)
    place = (parts.netloc + parts.path).rstrip("/") or "0"
    if kind == "v4l2" and place.isdecimal():
        place = f"/dev/video{place}"
    wanted = r"\d{1,2}" if kind == "csi" else r"/dev/[\w./:-]+"
    if not re.fullmatch(wanted, place):
        example = "csi://0, the number of the sensor" if kind == "csi" else "v4l2:///dev/video0"
        raise ConfigError(f"{shown}: {place!r} names no camera", f"write it as {example}")
    return SourceUri(text, shown, kind, place, _settings(kind, _pairs(parts.query, shown), shown))


def _stream(text: str, shown: str, kind: Kind) -> SourceUri:
    try:
        parts = urlsplit(text)
        host, _ = parts.hostname, parts.port
    except ValueError as error:
        raise ConfigError(
            f"{shown}: not an address",
            "in a password write / ? # @ : as %2F %3F %23 %40 %3A; a port is a number, 0 to 65535",
        ) from error
    if not host:
        raise ConfigError(f"{shown}: no host is named", f"such as {kind}://192.168.1.20/stream")
    ours: list[str] = []
    theirs: list[str] = []
    for pair in filter(None, parts.query.split("&")):
        key = pair.partition("=")[0]
        _refuse_slips(key, kind, shown)
        (ours if key in TAKEN[kind] else theirs).append(pair)
    address = urlunsplit(parts._replace(query="&".join(theirs), fragment=""))
    return SourceUri(
        text, shown, kind, address, _settings(kind, _pairs("&".join(ours), shown), shown)
    )


def _refuse_slips(key: str, kind: Kind, shown: str) -> None:
    """A setting that is spelt nearly right, or is not for this kind, is not the camera's."""
    if key in TAKEN[kind]:
        return
    if key in SPEAKING:
        raise _not_taken(key, kind, shown)
    near = difflib.get_close_matches(key, sorted(TAKEN[kind] | SPEAKING), n=1, cutoff=0.8)
    if near:
        raise ConfigError(f"{shown}: unknown key {key!r}", f"did you mean {near[0]!r}?")


def _pairs(query: str, shown: str) -> dict[str, str]:
    try:
        pairs = parse_qsl(query, keep_blank_values=True, strict_parsing=bool(query))
    except ValueError as error:
        raise ConfigError(
            f"{shown}: settings are not written as key=value", "write ?width=1280&height=720"
        ) from error
    table = dict(pairs)
    if len(table) < len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise ConfigError(f"{shown}: the key {twice!r} is given twice")
    return table


def _settings(kind: Kind, table: dict[str, str], shown: str) -> CaptureSettings:
    for key in table:
        if key in NAMES and key not in TAKEN[kind]:
            raise _not_taken(key, kind, shown)
    return parse(CaptureSettings, {key: _value(text) for key, text in table.items()}, shown)


def _not_taken(key: str, kind: Kind, shown: str) -> ConfigError:
    takers: Sequence[str] = sorted(each for each, names in TAKEN.items() if key in names)
    mine = ", ".join(sorted(TAKEN[kind])) or "none"
    return ConfigError(
        f"{shown}: {key!r} is a setting of {', '.join(takers)}, not of {kind}",
        f"settings of {kind}: {mine}",
    )


def _value(text: str) -> int | float | str:
    for kind in (int, float):
        with contextlib.suppress(ValueError):
            return kind(text)
    return text
