"""Everything edgesdk raises on purpose.

    EdgeError
    ├── UsageError            the command or call was wrong                  exit 2
    │   ├── ConfigError       a TOML or manifest has a bad key or value
    │   └── UnknownName       a name that is not known, with the nearest one
    ├── MissingExtra          an optional package is not installed           exit 1
    ├── ModelError            the model cannot be taken as it is
    ├── DataError             pictures, labels or a video cannot be used
    ├── BundleError           a bundle is damaged, foreign or unwritable
    ├── BackendError          a backend is absent or refused the work
    └── TargetMissed          a gate or an accuracy target was not met       exit 3

A message says what was found and what was expected; the hint says what to do.
Only the command line turns these into exit codes.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable

__all__ = [
    "BackendError",
    "BundleError",
    "ConfigError",
    "DataError",
    "EdgeError",
    "MissingExtra",
    "ModelError",
    "TargetMissed",
    "UnknownName",
    "UsageError",
]


class EdgeError(Exception):
    """An error with a sentence about what happened and a hint about what to do."""

    exit_code = 1

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}\nhint: {self.hint}" if self.hint else self.message


class UsageError(EdgeError):
    """The command line or the call was wrong."""

    exit_code = 2


class ConfigError(UsageError):
    """A configuration file has an unknown key, a missing key or a bad value."""


class UnknownName(UsageError):
    """A name was given that nothing has; the nearest known ones are suggested."""

    def __init__(self, kind: str, name: str, known: Iterable[str]) -> None:
        known = sorted(known)
        near = difflib.get_close_matches(name.lower(), known, n=3, cutoff=0.5)
        hint = f"did you mean {' or '.join(near)}?" if near else f"known: {', '.join(known)}"
        super().__init__(f"there is no {kind} named {name!r}", hint)
        self.name = name
        self.near = tuple(near)


class MissingExtra(EdgeError):
    """An optional package is not installed; the hint names the extra."""


class ModelError(EdgeError):
    """The model cannot be taken as it is."""


class DataError(EdgeError):
    """Pictures, labels or a video cannot be used."""


class BundleError(EdgeError):
    """A bundle is damaged, foreign, from a newer SDK, or cannot be written."""


class BackendError(EdgeError):
    """A backend is absent on this machine or refused the work."""


class TargetMissed(EdgeError):
    """The work was done, but a gate or an accuracy target was not met."""

    exit_code = 3
