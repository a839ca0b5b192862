"""Packs the parts into one zip file, the README first."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Sequence

from edgesdk._version import __version__
from edgesdk.errors import DataError
from edgesdk.fieldreport.part import Part

MAX_BYTES = 20_000_000
"""Of all parts together, before they are packed."""
_DATE = (1980, 1, 1, 0, 0, 0)
"""The same parts make the same bytes."""

_INTRODUCTION = """\
Field report of edgesdk {version}

Nothing was sent anywhere: `edgesdk doctor --report` wrote this file to disk, and does nothing else.
Look through it before you pass it on; all of it is plain text.

What is in it:

{list}

What is not in it: weights, engines, pictures, the environment, command lines of other programs.
Taken out wherever they stood, as far as they could be found: names of the host and of users, home
folders, serial numbers, MAC and private network addresses, URLs, e-mail addresses, values of
environment variables that look like secrets. Paths and names of your own files and Python packages
may still stand in it.
"""


def readme(parts: Sequence[Part]) -> str:
    """What is in the report, and what is not."""
    lines = "\n".join(f"  {part.name}\n      {part.what}" for part in parts)
    return _INTRODUCTION.format(version=__version__, list=lines)


def pack(parts: Sequence[Part], max_bytes: int = MAX_BYTES) -> bytes:
    """The zip file. Raises DataError when the parts are too large together."""
    whole = sum(part.size_bytes for part in parts)
    if whole > max_bytes:
        largest = max(parts, key=lambda part: part.size_bytes)
        raise DataError(
            f"the report would have {whole} bytes, more than {max_bytes}",
            f"leave some out: the largest is {largest.name} with {largest.size_bytes} bytes",
        )
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for part in (Part("README.txt", "this list", readme(parts)), *parts):
            info = zipfile.ZipInfo(f"edgesdk-report/{part.name}", _DATE)
            info.compress_type = zipfile.ZIP_DEFLATED
            info.external_attr = 0o644 << 16
            archive.writestr(info, part.text)
    return buffer.getvalue()
