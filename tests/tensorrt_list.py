"""Reads the committed lists of TensorRT's API, `tests/tensorrt_api/<version>.json`."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent / "tensorrt_api"
SETTABLE = ", settable"


@dataclass(frozen=True)
class Parameter:
    """One argument of a real method, without `self`."""

    name: str
    kind: str
    """Its type, as pybind11 writes it."""
    optional: bool


@dataclass(frozen=True)
class Overload:
    """One way to call a real method."""

    parameters: tuple[Parameter, ...]
    returns: str

    def __str__(self) -> str:
        shown = (f"{p.name}: {p.kind}{' = ...' if p.optional else ''}" for p in self.parameters)
        return f"({', '.join(shown)}) -> {self.returns}"


def split(text: str) -> list[str]:
    """At the commas that stand in no bracket."""
    parts, depth, start = [], 0, 0
    for i, letter in enumerate(text):
        depth += (letter in "[(<") - (letter in "])>")
        if letter == "," and depth == 0:
            parts.append(text[start:i])
            start = i + 1
    return [part.strip() for part in [*parts, text[start:]] if part.strip()]


def parameter(text: str) -> Parameter:
    left, has_default, _ = text.partition(" = ")
    name, _, kind = left.partition(": ")
    return Parameter(name, kind.rpartition("::")[2], bool(has_default))


def overloads(text: str) -> tuple[Overload, ...]:
    """Read "(a: int, b: str = '') -> bool | (a: int) -> bool"; empty for what is no method."""
    if not text.startswith("(") or text == "(...)":
        return ()
    found = []
    for one in re.split(r" \| (?=\()", text):
        arguments, _, returns = one.rpartition(" -> ")
        inside = arguments[1 : arguments.rindex(")")]
        found.append(Overload(tuple(map(parameter, split(inside))), returns))
    return tuple(found)


@dataclass(frozen=True)
class Api:
    """What one version of TensorRT offers."""

    version: str
    names: dict[str, str]
    """Public names of the module that are no classes: their types, or signatures."""
    classes: dict[str, dict[str, Any]]
    """By dotted name: bases, members, attributes; see tests.tensorrt_dump."""

    def has(self, name: str) -> bool:
        return name in self.classes or name in self.names

    def members(self, cls: str) -> dict[str, int]:
        """The values of an enum; empty for any other class."""
        found: dict[str, int] = self.classes[cls].get("members", {})
        return found

    def attributes(self, cls: str) -> dict[str, str]:
        """Its own and those of its bases, but for their constructors."""
        own: dict[str, str] = {}
        for base in self.classes[cls].get("bases", []):
            inherited = self.attributes(base) if base in self.classes else {}
            own |= {name: text for name, text in inherited.items() if name != "__init__"}
        nested = {n.rpartition(".")[2]: "class" for n in self.classes if n.startswith(f"{cls}.")}
        return own | nested | self.classes[cls].get("attributes", {})


@lru_cache
def api(version: str) -> Api:
    """The list of `version`, such as "10.3.0"."""
    found = json.loads((FOLDER / f"{version}.json").read_text())
    return Api(found["version"], found["names"], found["classes"])


def versions() -> list[str]:
    """Oldest first."""
    names = [path.stem for path in FOLDER.glob("*.json")]
    return sorted(names, key=lambda name: [int(part) for part in name.split(".")])
