"""Simulations are named by URI: sim://SCENE?setting=value&fault=value."""

from __future__ import annotations

import contextlib
import dataclasses
import difflib
import re
from dataclasses import dataclass
from urllib.parse import parse_qsl, urlsplit

from edgesdk._config import parse
from edgesdk.errors import ConfigError, UnknownName
from edgesdk.sim.faults import FaultSettings
from edgesdk.sim.line_settings import LineSettings
from edgesdk.sim.settings import TrafficSettings

_SCENES: dict[str, type[TrafficSettings] | type[LineSettings]] = {
    "traffic": TrafficSettings,
    "line": LineSettings,
}
_IN_SECONDS = {"ms": 1e-3, "s": 1.0, "min": 60.0, "h": 3600.0}
_DURATION = re.compile(r"([+-]?\d+(?:\.\d*)?)(ms|s|min|h)")
_FAULTS = {
    field.name.removesuffix("_s"): field.name
    for field in dataclasses.fields(FaultSettings)
    if field.name != "seed"
}
"""Key in a URI -> field; what ends in _s is a time, and is written with its unit."""


@dataclass(frozen=True)
class Simulation:
    """What a URI asks for."""

    scene: TrafficSettings | LineSettings
    faults: FaultSettings


def parse_simulation(uri: str) -> Simulation:
    """The scene and faults that a URI such as sim://traffic?seed=3&drop=0.01&freeze=5s names.

    Raises UnknownName for another scene and ConfigError for a key or value that is wrong.
    """
    parts = urlsplit(uri)
    if parts.scheme != "sim":
        raise ConfigError(f"{uri!r} is no simulation", "such as sim://traffic?seed=3&light=night")
    name = parts.netloc + parts.path.rstrip("/")
    if name not in _SCENES:
        raise UnknownName("simulated scene", parts.netloc + parts.path, _SCENES)
    table = _table(uri, parts.query)
    kind = _SCENES[name]
    fields = [field.name for field in dataclasses.fields(kind)]
    _check_keys(uri, table, [*fields, *_FAULTS])
    scene = parse(kind, {key: _value(table[key]) for key in fields if key in table}, uri)
    faults = {_FAULTS[key]: _fault(uri, key, table[key]) for key in _FAULTS if key in table}
    return Simulation(scene, parse(FaultSettings, {**faults, "seed": scene.seed}, uri))


def parse_uri(uri: str) -> TrafficSettings:
    """The settings of a simulated road without faults, e.g. sim://traffic?seed=3&light=night.

    Raises UnknownName for another scene and ConfigError for a key or value that is wrong.
    """
    scene = parse_scene(uri)
    if not isinstance(scene, TrafficSettings):
        raise ConfigError(f"{uri}: a simulated road is needed here", "such as sim://traffic?seed=3")
    return scene


def parse_scene(uri: str) -> TrafficSettings | LineSettings:
    """The settings of any simulated scene without faults. Raises as `parse_uri` does."""
    found = parse_simulation(uri)
    if found.faults.any:
        raise ConfigError(f"{uri}: there are no faults here: pictures are drawn, not captured")
    return found.scene


def _table(uri: str, query: str) -> dict[str, str]:
    try:
        pairs = parse_qsl(query, keep_blank_values=True, strict_parsing=bool(query))
    except ValueError as error:
        raise ConfigError(f"{uri}: {error}", "write it as seed=3&frames=600") from error
    if len(dict(pairs)) < len(pairs):
        raise ConfigError(f"{uri}: a key is given twice")
    return dict(pairs)


def _check_keys(uri: str, table: dict[str, str], known: list[str]) -> None:
    for key in table:
        if key not in known:
            near = difflib.get_close_matches(key, known, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"known keys: {', '.join(known)}"
            raise ConfigError(f"{uri}: unknown key {key!r}", hint)


def _fault(uri: str, key: str, text: str) -> int | float | str | bool:
    if key == "live":
        if text not in ("0", "1"):
            raise ConfigError(f"{uri}: live should be 0 or 1, found {text!r}")
        return text == "1"
    if not _FAULTS[key].endswith("_s"):
        return _value(text)
    found = _DURATION.fullmatch(text)
    if found is None:
        raise ConfigError(
            f"{uri}: {key} should be a time with its unit, found {text!r}",
            f"such as {key}=500ms, {key}=5s, {key}=2min or {key}=1h",
        )
    return float(found[1]) * _IN_SECONDS[found[2]]


def _value(text: str) -> int | float | str:
    for kind in (int, float):
        with contextlib.suppress(ValueError):
            return kind(text)
    return text
