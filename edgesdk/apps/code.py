"""Loading app.py: the code of an app, by its path."""

from __future__ import annotations

import dataclasses
import importlib.util
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from edgesdk._digest import sha256_bytes
from edgesdk.apps.program import Program, Scene
from edgesdk.errors import ConfigError
from edgesdk.pipeline import blame


@dataclass(frozen=True)
class Code:
    """The two names of an app.py."""

    settings: type[Any]
    """A frozen dataclass."""
    program: Callable[[Any, Scene], Program]


def load_code(path: Path) -> Code:
    """Run app.py and take its `Settings` and `Program`.

    Raises ConfigError when the file or one of the names is absent, and StageError (its cause is
    the original) when it fails while it is loaded.
    """
    if not path.is_file():
        raise ConfigError(f"{path}: no such file", "an app's code stands in app.py beside app.toml")
    module = _import(path)
    settings = getattr(module, "Settings", None)
    if not (isinstance(settings, type) and dataclasses.is_dataclass(settings)):
        raise ConfigError(f"{path}: needs a dataclass named Settings, found {settings!r}")
    program = getattr(module, "Program", None)
    if not callable(program):
        raise ConfigError(f"{path}: needs a class named Program, found {program!r}")
    return Code(settings, program)


def _import(path: Path) -> ModuleType:
    # A name of its own, so that apps do not meet; dataclasses look their module up by it.
    name = f"edgesdk_app_{sha256_bytes(str(path.resolve()).encode())[:16]}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ConfigError(f"{path}: cannot be loaded as Python")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    with blame(str(path)):
        spec.loader.exec_module(module)
    return module
