"""What names an engine, and what it means when two names differ.

An engine holds compiled kernels that TensorRT chose by timing them on one GPU. So it is named by
what was compiled (the graph), by what was asked (the settings) and by where (the host).

Refused, because TensorRT would refuse it too, crash, or compute something else:

    graph               another model: its answers are not the bundle's
    settings            other shapes, another core or other options than were asked for
    tensorrt            engines are bound to the version that built them; see `loads_later`
    compute_capability  kernels are machine code of one architecture
    gpu, module         NVIDIA promises an engine for the model of GPU that built it, no other
    platform            serialized engines are not portable between systems

Warned about, because the answers stay right and only the speed may suffer:

    sm_count    kernels were timed with more or fewer multiprocessors than are on now
    power_mode  kernels were timed at other clocks of GPU and memory
    module      where one of the two is not known: a container hides the board's name

Clocks themselves are not in the key: they move by the second, and what they may reach follows from
the power mode. Nor is the memory: it follows from the module.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, fields
from typing import Any

from edgesdk import _config
from edgesdk._digest import sha256_bytes
from edgesdk.backends.tensorrt.machine.host import Host
from edgesdk.backends.tensorrt.settings import EngineSettings
from edgesdk.backends.tensorrt.version import Version
from edgesdk.errors import BackendError

SHORT = 12
"""Hexadecimal digits of a digest in names and messages."""
FIRST_COMPATIBLE = Version(8, 6)
"""Builder and runtime of a version-compatible engine are at least this."""
NEXT_MAJOR = {8: 10, 10: 11}
"""Major version that built a version-compatible engine -> other major that loads it."""

MEANING = {
    "graph": "it was compiled from another graph",
    "tensorrt": "an engine loads only in the TensorRT that built it",
    "compute_capability": "its kernels are machine code for another GPU architecture",
    "gpu": "an engine is for the model of GPU that built it",
    "module": "an engine is for the module that built it",
    "platform": "an engine does not move between systems",
    "sm_count": "its kernels were chosen for another number of multiprocessors: it may be slower",
    "power_mode": "its kernels were chosen in another power mode: it may be slower",
}
ONLY_SLOWER = {"sm_count", "power_mode"}
UNKNOWN_MODULE = "an engine is for the module that built it, and one of the two is not known"


@dataclass(frozen=True)
class Difference:
    """One field in which an engine is not what is wanted."""

    field: str
    found: str
    """The engine's."""
    expected: str
    """What is wanted."""
    meaning: str
    """One clause for people."""
    refuses: bool
    """False: the engine may be used, and people should be told."""

    def __str__(self) -> str:
        name = self.field.replace("_", " ")
        return f"{name} {self.found or 'unknown'}, expected {self.expected or 'unknown'}"


@dataclass(frozen=True)
class EngineKey:
    """Names one engine: equal keys mean an engine that may be used as it is."""

    graph: str
    """SHA-256 of the bundle's model.onnx."""
    settings: EngineSettings
    """What was asked, the DLA core among it."""
    host: Host

    @property
    def fingerprint(self) -> str:
        """12 hexadecimal digits of the SHA-256 over the whole key: the name of its files."""
        return sha256_bytes(_canonical(self).encode())[:SHORT]

    @property
    def settings_fingerprint(self) -> str:
        """The same over the settings alone."""
        return sha256_bytes(_canonical(self.settings).encode())[:SHORT]

    def differences(self, wanted: EngineKey) -> tuple[Difference, ...]:
        """Where this engine's key is not the wanted one; those that refuse come first."""
        found = [] if self.graph == wanted.graph else [graph_difference(self.graph, wanted.graph)]
        found += settings_differences(self.settings, wanted.settings)
        found += host_differences(self.host, wanted.host, self.settings.version_compatible)
        return tuple(sorted(found, key=lambda difference: not difference.refuses))

    def to_json(self) -> dict[str, Any]:
        """As a table for JSON."""
        table: dict[str, Any] = _config.plain(self)
        return table

    @classmethod
    def from_json(cls, table: object, where: str) -> EngineKey:
        """The inverse of `to_json`. Raises ConfigError or UsageError for anything else."""
        return _config.parse(cls, table, where)


def graph_difference(found: str, wanted: str) -> Difference:
    """Of two digests that are not the same."""
    return Difference("graph", found[:SHORT], wanted[:SHORT], MEANING["graph"], True)


def settings_differences(found: EngineSettings, wanted: EngineSettings) -> list[Difference]:
    """One for each setting that differs; all of them refuse."""
    differing = [
        field.name
        for field in fields(EngineSettings)
        if getattr(found, field.name) != getattr(wanted, field.name)
    ]
    meaning = "it was built with other settings"
    return [
        Difference(name, _words(getattr(found, name)), _words(getattr(wanted, name)), meaning, True)
        for name in differing
    ]


def host_differences(found: Host, wanted: Host, version_compatible: bool) -> list[Difference]:
    """One for each fact of the machine that differs."""
    differing: list[Difference] = []
    for field in fields(Host):
        one, other = str(getattr(found, field.name)), str(getattr(wanted, field.name))
        if field.name == "tensorrt" and version_compatible and loads_later(one, other):
            meaning = "it was built version-compatible by an older TensorRT: it may be slower"
            differing += _compared(field.name, one, other, meaning, refuses=False)
        elif field.name == "module" and not (one and other):
            differing += _compared(field.name, one, other, UNKNOWN_MODULE, refuses=False)
        else:
            differing += _compared(field.name, one, other)
    return differing


def _compared(
    field: str, found: str, expected: str, meaning: str = "", refuses: bool = True
) -> list[Difference]:
    if found == expected:
        return []
    refuses = refuses and field not in ONLY_SLOWER
    return [Difference(field, found, expected, meaning or MEANING[field], refuses)]


def loads_later(built: str, running: str) -> bool:
    """Whether a version-compatible engine of `built` loads in `running`.

    NVIDIA's support matrix of 11.4.1: in later versions of the same major, from 8.6 on; across
    majors only 8 in 10 and 10 in 11. Never in an older one.
    """
    try:
        older, newer = Version.parse(built), Version.parse(running)
    except BackendError:
        return False
    if older < FIRST_COMPATIBLE or newer < older:
        return False
    return older.major == newer.major or NEXT_MAJOR.get(older.major) == newer.major


def _words(value: object) -> str:
    """A setting for people."""
    if value is None:
        return "TensorRT's own"
    if isinstance(value, dict):
        return "; ".join(f"{name} {item}" for name, item in sorted(value.items())) or "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value)


def _canonical(value: object) -> str:
    """The same text for equal values, in every process and on every machine."""
    return json.dumps(_config.plain(value), sort_keys=True, separators=(",", ":"))
