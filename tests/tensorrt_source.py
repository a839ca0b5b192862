"""The list of TensorRT 8.5 (JetPack 5), for which no index has bindings: read from their source.

NVIDIA publishes the source of the bindings (github.com/NVIDIA/TensorRT, python/src, and the
headers in include/; Apache-2.0). Names, arguments and values are taken from there; types come
from the real bindings of 8.6.1 where class, method and arguments are the same, else they are "?".
Read the same way, the tag v8.6.1 gives what the real bindings of 8.6.1 say of their 160 classes,
but for eight lines that `compare` prints: none is about a name that edgesdk uses.

    python -m tests.tensorrt_source CHECKOUT 8.5.2.2 > tests/tensorrt_api/8.5.2.json
    python -m tests.tensorrt_source CHECKOUT_OF_8.6.1 compare
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path

from tests.tensorrt_dump import OPERATORS, Listing, as_text
from tests.tensorrt_list import SETTABLE, Api, api, overloads

LIKE = "8.6.1"
"""The oldest version with real bindings."""
DECLARED = re.compile(
    r"py::(class_|enum_)<([^;{]*?)>\s*(\w*)\s*[({]\s*(\w+),\s*\"(\w+)\"([^;]*?)(?=[;.]|$)",
    re.DOTALL,
)
VECTOR = re.compile(r'py::bind_vector<.*>\(m, "(\w+)"\)')
ALIAS = re.compile(r'm\.attr\("(\w+)"\) = m\.attr\("(\w+)"\)')
CALL = re.compile(r"\.(def\w*|value)\(")
ARGUMENT = re.compile(r"\"(\w+)\"_a(\s*=)?")
ENUM = re.compile(r"enum class (\w+)[^{;]*\{(.*?)\}", re.DOTALL)
COMMENT = re.compile(r"//[^\n]*|/\*.*?\*/", re.DOTALL)


def balanced(text: str, start: int) -> str:
    """What stands between the bracket at `start` and its partner."""
    depth = 0
    for i in range(start, len(text)):
        depth += (text[i] in "({") - (text[i] in ")}")
        if depth == 0:
            return text[start + 1 : i]
    return text[start + 1 :]


def statements(text: str) -> Iterator[str]:
    """At semicolons outside brackets of the statement."""
    depth, start = 0, 0
    for i, letter in enumerate(text):
        depth += (letter == "(") - (letter == ")")
        if letter == ";" and depth == 0:
            yield text[start : i + 1]
            start = i + 1


def enum_values(headers: str) -> dict[str, dict[str, int]]:
    """By C++ name of the enum, then of the member; aliases resolved."""
    found: dict[str, dict[str, int]] = {}
    for name, body in ENUM.findall(headers):
        values: dict[str, int] = {}
        following = 0
        for part in filter(None, (p.strip() for p in body.split(","))):
            member, _, text = (piece.strip() for piece in part.partition("="))
            member = member.split()[0]
            if text:
                following = values[text] if text in values else int(text.rstrip("U"), 0)
            values[member] = following
            following += 1
        found[name] = values
    return found


class Reader:
    """Collects classes from the source of the bindings."""

    def __init__(self, values: dict[str, dict[str, int]], like: Api) -> None:
        self.values, self.like = values, like
        self.classes: dict[str, Listing] = {}
        self.names: dict[str, str] = {}
        self.python_name: dict[str, str] = {"m": ""}
        """Of C++ types, and of variables that hold a class."""

    def read(self, statement: str) -> None:
        declared = DECLARED.search(statement)
        if declared:
            cpp, variable, owner, name = declared.group(2, 3, 4, 5)
            types = [part.strip() for part in cpp.split(",")]
            prefix = self.python_name.get(owner, "")
            full = f"{prefix}.{name}" if prefix else name
            self.python_name[types[0]] = self.python_name[variable or types[0]] = full
            bases = [self.python_name[t] for t in types[1:] if t in self.python_name]
            self.classes[full] = {"bases": bases, "members": {}, "attributes": {}}
            if "buffer_protocol" in declared[6]:
                self.classes[full]["attributes"]["__buffer__"] = "special"
            self.fill(full, types[0], statement[declared.end() :])
        elif vector := VECTOR.search(statement):
            self.classes[vector[1]] = self.like.classes[vector[1]]
        elif alias := ALIAS.search(statement):
            self.classes[alias[1]] = self.classes[alias[2]]
        else:
            variable = re.match(r"\s*(\w+)\s*\.", statement)
            if variable and variable[1] in self.python_name:
                self.fill(self.python_name[variable[1]], "", statement[variable.end() - 1 :])

    def fill(self, cls: str, cpp: str, text: str) -> None:
        """Take the chain of .def(...) and .value(...)."""
        for call in CALL.finditer(text):
            inside = balanced(text, call.end() - 1)
            name = re.match(r'\s*"(\w+)"', inside)
            if call[1] == "value" and name:
                self.classes[cls]["members"][name[1]] = self.value(cls, cpp, name[1], inside)
            elif call[1] == "def" and inside.lstrip().startswith("py::init"):
                self.method(cls, "__init__", inside)
            elif name and not cls:
                self.names[name[1]] = self.like.names.get(name[1], "(...)")
            elif name and call[1] in ("def", "def_static"):
                self.method(cls, name[1], inside)
            elif name:
                self.property(cls, name[1], call[1], inside)

    def value(self, cls: str, cpp: str, name: str, inside: str) -> int:
        member = re.search(r"::(k\w+)", inside)
        known = self.values.get(cpp.rpartition("::")[2], {})
        if member and member[1] in known:
            return known[member[1]]
        return self.like.members(cls).get(name, -1)

    def method(self, cls: str, name: str, inside: str) -> None:
        if name in OPERATORS:
            self.classes[cls]["attributes"][name] = "special"
        if name.startswith("__") and name != "__init__":
            return
        given = ARGUMENT.findall(inside)
        same = ""
        if cls in self.like.classes:
            ways = overloads(self.like.attributes(cls).get(name, ""))
            right = [w for w in ways if [p.name for p in w.parameters] == [n for n, _ in given]]
            same = str(right[0]) if right else ""
        shown = ", ".join(f"{n}: ?{' = ...' if default else ''}" for n, default in given)
        text = same or f"({shown}) -> ?"
        own = self.classes[cls]["attributes"]
        known = own.get(name, "").split(" | ")
        own[name] = " | ".join(filter(None, dict.fromkeys([*known, text])))

    def property(self, cls: str, name: str, how: str, inside: str) -> None:
        written = "readonly" not in how and how != "def_readonly"
        like = self.like.attributes(cls).get(name, "?") if cls in self.like.classes else "?"
        kind = "?" if like.startswith("(") else like.removesuffix(SETTABLE)
        self.classes[cls]["attributes"][name] = kind + (SETTABLE if written else "")


def read_source(checkout: Path, version: str) -> Listing:
    """The list of one version, from NVIDIA's checkout of it."""
    headers = "\n".join(p.read_text() for p in sorted((checkout / "include").glob("*.h")))
    reader = Reader(enum_values(COMMENT.sub("", headers)), api(LIKE))
    order = ("pyFoundationalTypes", "pyInt8", "pyPlugin", "pyAlgorithm", "pyCore", "pyGraph")
    files = [p for start in order for p in (checkout / "python/src/infer").glob(f"{start}*.cpp")]
    files += sorted((checkout / "python/src/parsers").glob("*.cpp"))
    for path in files:
        if path.parent.name == "parsers":  # their headers are elsewhere
            reader.values = {}
        body = COMMENT.sub("", path.read_text())
        for statement in statements(body):
            reader.read(statement[max(0, statement.rfind("py::class_<", 0, 1)) :])
    add_python(reader)
    return {"version": version, "names": reader.names, "classes": reader.classes}


def add_python(reader: Reader) -> None:
    """What the package's __init__.py adds to the compiled module."""
    severity = reader.classes["ILogger.Severity"]["members"]
    for cls in ("ILogger", "Logger"):
        reader.classes[cls]["attributes"] |= dict.fromkeys(severity, "Severity")
    reader.classes["Logger.Severity"] = reader.classes["ILogger.Severity"]
    for entry in reader.classes.values():
        if entry.get("members"):
            entry["attributes"] |= {"name": "str", "value": "int"}
    python = ("attr", "common_enter", "common_exit", "nptype", "value", "volume")
    reader.names |= {name: reader.like.names[name] for name in python}
    kinds = {name: "DataType" for name, kind in reader.like.names.items() if kind == "DataType"}
    reader.names |= {name: kind for name, kind in kinds.items() if name != "fp8"}


def differences(found: Listing, real: Api) -> Iterator[str]:
    """What the source says otherwise than the real bindings."""
    mine = Api(found["version"], found["names"], found["classes"])
    for name in sorted(set(mine.classes) ^ set(real.classes)):
        yield f"class {name} only in {'the source' if name in mine.classes else 'the bindings'}"
    for cls in sorted(set(mine.classes) & set(real.classes)):
        yield from differing(mine, real, cls)


def differing(mine: Api, real: Api, cls: str) -> Iterator[str]:
    if mine.members(cls) != real.members(cls):
        yield f"{cls}: values {set(mine.members(cls).items()) ^ set(real.members(cls).items())}"
    ours, theirs = mine.attributes(cls), real.attributes(cls)
    for name in sorted(set(ours) ^ set(theirs)):
        yield f"{cls}.{name} only in {'the source' if name in ours else 'the bindings'}"
    for name in sorted(set(ours) & set(theirs)):
        kinds = [("(" in text[:1], text.endswith(SETTABLE)) for text in (ours[name], theirs[name])]
        given = [
            [[p.name for p in way.parameters if not p.name.startswith("arg")] for way in way_list]
            for way_list in (overloads(ours[name]), overloads(theirs[name]))
        ]
        if kinds[0] != kinds[1] or given[0] != given[1]:
            yield f"{cls}.{name}: {ours[name]}  really {theirs[name]}"


if __name__ == "__main__":
    checkout, version = Path(sys.argv[1]), sys.argv[2]
    if version == "compare":
        sys.stdout.write("\n".join(differences(read_source(checkout, LIKE), api(LIKE))) + "\n")
    else:
        sys.stdout.write(as_text(read_source(checkout, version)))
