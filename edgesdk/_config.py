"""Strict reading of TOML and JSON into frozen dataclasses.

Every key must be a field and every value of the field's type; an error names the file, the
key, what came and, for an unknown key, the nearest one. Integers are taken for floats, lists
for tuples; nothing else is converted.
"""

from __future__ import annotations

import dataclasses
import difflib
import sys
import types
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from edgesdk.errors import ConfigError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

T = TypeVar("T")


def read_toml(path: Path) -> dict[str, Any]:
    """The tables of a TOML file. Raises ConfigError when it is absent or malformed."""
    try:
        tables: dict[str, Any] = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ConfigError(f"{path}: no such file") from error
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(f"{path}: not readable as TOML: {error}") from error
    return tables


def parse(cls: type[T], value: object, where: str) -> T:
    """Make a `cls` (a dataclass) from a table. `where` names the file for error messages."""
    return typing.cast(T, _convert(cls, value, where, ""))


def read(cls: type[T], path: Path) -> T:
    """Read the TOML file `path` into a `cls`."""
    return parse(cls, read_toml(path), str(path))


def plain(value: Any) -> Any:
    """The inverse of `parse`: dataclasses to dicts and tuples to lists, fit for JSON."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, (tuple, list)):
        return [plain(item) for item in value]
    return value


def _convert(kind: Any, value: object, where: str, key: str) -> object:
    origin = typing.get_origin(kind)
    if dataclasses.is_dataclass(kind):
        return _convert_dataclass(typing.cast(type[object], kind), value, where, key)
    if origin in (typing.Union, types.UnionType):
        return _convert_optional(kind, value, where, key)
    if origin is typing.Literal:
        choices = typing.get_args(kind)
        if value not in choices:
            raise _bad(where, key, f"one of {', '.join(map(repr, choices))}", value)
        return value
    if origin is tuple:
        return _convert_tuple(typing.get_args(kind), value, where, key)
    if origin in (dict, Mapping) and isinstance(value, Mapping):
        item_kind = typing.get_args(kind)[1]
        return {k: _convert(item_kind, v, where, _join(key, k)) for k, v in value.items()}
    if kind in (Any, object):
        return value
    return _convert_scalar(kind, value, where, key)


def _convert_dataclass(cls: type[object], value: object, where: str, key: str) -> object:
    if not isinstance(value, Mapping):
        raise _bad(where, key, "a table", value)
    fields = {f.name: f for f in dataclasses.fields(cls) if f.init}  # type: ignore[arg-type]
    for name in value:
        if name not in fields:
            near = difflib.get_close_matches(str(name), fields, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"known keys: {', '.join(fields)}"
            raise ConfigError(f"{where}: unknown key {_join(key, str(name))!r}", hint)
    kinds = typing.get_type_hints(cls)
    given: dict[str, object] = {}
    for name, field in fields.items():
        if name in value:
            given[name] = _convert(kinds[name], value[name], where, _join(key, name))
        elif field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING:
            raise ConfigError(f"{where}: the key {_join(key, name)!r} is missing")
    try:
        return cls(**given)
    except ValueError as error:
        place = f"{where}: [{key}]" if key else where
        raise ConfigError(f"{place}: {error}") from error


def _convert_optional(kind: Any, value: object, where: str, key: str) -> object:
    members = [k for k in typing.get_args(kind) if k is not type(None)]
    if value is None and len(members) < len(typing.get_args(kind)):
        return None
    if len(members) == 1:
        return _convert(members[0], value, where, key)
    for member in members:
        try:
            return _convert(member, value, where, key)
        except ConfigError:
            continue
    raise _bad(where, key, " or ".join(_name(m) for m in members), value)


def _convert_tuple(kinds: tuple[Any, ...], value: object, where: str, key: str) -> object:
    if not isinstance(value, (list, tuple)):
        raise _bad(where, key, "a list", value)
    if len(kinds) == 2 and kinds[1] is Ellipsis:
        kinds = (kinds[0],) * len(value)
    if len(kinds) != len(value):
        raise _bad(where, key, f"a list of {len(kinds)}", value)
    pairs = enumerate(zip(kinds, value, strict=True))
    return tuple(_convert(kind, item, where, f"{key}[{i}]") for i, (kind, item) in pairs)


def _convert_scalar(kind: Any, value: object, where: str, key: str) -> object:
    if kind is Path and isinstance(value, str):
        return Path(value)
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise _bad(where, key, _name(kind), value)
    return value


def _name(kind: Any) -> str:
    names = {int: "an integer", float: "a number", str: "a text", bool: "true or false"}
    return names.get(kind, str(getattr(kind, "__name__", kind)))


def _bad(where: str, key: str, expected: str, value: object) -> ConfigError:
    return ConfigError(f"{where}: {key or 'the file'} should be {expected}, found {value!r:.80}")


def _join(key: str, name: str) -> str:
    return f"{key}.{name}" if key else name
