"""Names of the streams of a run, and of the files that each of them writes."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from edgesdk.capture import without_secrets
from edgesdk.errors import UsageError

NAMED = re.compile(r"([A-Za-z][A-Za-z0-9_-]*)=(.+)", re.DOTALL)


def named_sources(texts: Sequence[str]) -> tuple[tuple[str, str], ...]:
    """(name, source) of each, in order.

    "gate=rtsp://..." is named by whoever wrote it; a file by its name without extension; any other
    by its scheme and its place, e.g. "rtsp2". Raises UsageError for two of the same name.
    """
    pairs = [_named(text, place) for place, text in enumerate(texts, 1)]
    times = Counter(name for name, _ in pairs)
    twice = [name for name, count in times.items() if count > 1]
    if twice:
        first = next(text for name, text in pairs if name == twice[0])
        raise UsageError(
            f"each stream needs a name of its own, found {twice[0]!r} twice",
            f"name them: --source {twice[0]}_1={without_secrets(first)}",
        )
    return tuple(pairs)


def of_stream(path: Path, stream: str) -> Path:
    """The file of one stream: events.csv becomes events-gate.csv; no stream: it stays."""
    return path.with_name(f"{path.stem}-{stream}{path.suffix}") if stream else path


def _named(text: str, place: int) -> tuple[str, str]:
    match = NAMED.fullmatch(text)
    if match and not Path(text).exists():
        return match[1], match[2]
    if text.startswith("gst:"):  # Nothing of a pipeline: a password may stand anywhere in it.
        return f"gst{place}", text
    scheme, colons, _ = text.partition("://")
    if colons or text.startswith("/dev/"):
        return f"{_plain(scheme) if colons else 'camera'}{place}", text
    return _plain(Path(text.rstrip("/")).stem) or f"stream{place}", text


def _plain(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9_-]+", "_", text).strip("_")
