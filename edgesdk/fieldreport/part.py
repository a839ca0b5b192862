"""One file of a field report."""

from __future__ import annotations

import json
from dataclasses import dataclass

from edgesdk._config import plain

MAX_PART_BYTES = 2_000_000
"""A longer part is cut, and says so."""


@dataclass(frozen=True)
class Part:
    """A file in the report, as text."""

    name: str
    """Its path inside, e.g. "bench/0.json"."""
    what: str
    """One line for the README."""
    text: str

    @property
    def size_bytes(self) -> int:
        """As UTF-8."""
        return len(self.text.encode())

    def bounded(self) -> Part:
        """The same, cut to `MAX_PART_BYTES`."""
        data = self.text.encode()
        if len(data) <= MAX_PART_BYTES:
            return self
        kept = data[:MAX_PART_BYTES].decode("utf-8", "ignore")
        note = f"\n... cut here: {len(data)} bytes, and a part has at most {MAX_PART_BYTES}\n"
        return Part(self.name, f"{self.what} (cut)", kept + note)


def json_part(name: str, what: str, value: object) -> Part:
    """A part of plain values or dataclasses."""
    # As UTF-8, not escaped: what must be taken out has to be found.
    return Part(name, what, json.dumps(plain(value), indent=1, ensure_ascii=False) + "\n")
