"""An app is a folder: app.toml says what it is made of, app.py is its code.

A site is a folder with app.toml alone: `from` names the shipped app that has all else.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from edgesdk import _config
from edgesdk._resources import data_folders
from edgesdk.apps.code import load_code
from edgesdk.apps.program import Boxes, NoSettings, Program, Scene
from edgesdk.errors import ConfigError, DataError, UnknownName
from edgesdk.spec import ModelSpec, read_spec, spec_from_table
from edgesdk.zoo import load_entry, pull

APP_FILE, CODE_FILE = "app.toml", "app.py"
FROM = "from"
"""The key of app.toml that makes a folder a site of a shipped app."""


@dataclass(frozen=True)
class ModelTable:
    """[model]: exactly one of file, zoo and bundle."""

    file: str = ""
    """An ONNX file, relative to the app's folder; it needs `spec` or `spec_file`."""
    zoo: str = ""
    """A model's name in the zoo; it brings its own spec."""
    bundle: str = ""
    """A bundle that is there already, relative to the app's folder."""
    spec: dict[str, Any] = field(default_factory=dict)
    """The tables of a SPEC.toml: preprocess, decoder, labels."""
    spec_file: str = ""
    """... or the path of one, relative to the app's folder."""

    def __post_init__(self) -> None:
        if sum(map(bool, (self.file, self.zoo, self.bundle))) != 1:
            raise ValueError("exactly one of the keys file, zoo and bundle is needed")
        if self.file and bool(self.spec) == bool(self.spec_file):
            raise ValueError("a file needs either spec or spec_file")
        if not self.file and (self.spec or self.spec_file):
            raise ValueError("spec belongs to a file: a zoo model or bundle brings its own")

    def located(self, folder: Path) -> ModelTable:
        """The same with paths that do not depend on where they stand."""

        def absolute(text: str) -> str:
            return str(folder / text) if text else ""

        return replace(
            self,
            file=absolute(self.file),
            bundle=absolute(self.bundle),
            spec_file=absolute(self.spec_file),
        )


@dataclass(frozen=True)
class CalibrationTable:
    """[calibration]: what to build with."""

    data: str = ""
    """Pictures: a folder, tar, npz or video, relative to the app's folder, or a sim:// URI."""


@dataclass(frozen=True)
class SourceTable:
    """[source]: what to run on when nothing else is named."""

    default: str = ""
    """A source's name; paths are relative to the app's folder."""
    trigger: str = ""
    """What fires for each part on a line, such as "modbus://host/input/1". Empty or "passage": the
    part's own passage through the picture."""


@dataclass(frozen=True)
class SinksTable:
    """[sinks]: what to write at each run; paths are relative to the current folder. Empty: none."""

    events: str = ""
    video: str = ""
    uris: tuple[str, ...] = ()
    """Any other sinks, such as "sqlite:crossings.db"; `--sink` adds to them."""


@dataclass(frozen=True)
class AppFile:
    """app.toml as written."""

    name: str
    """Small letters, digits and _; the bundle is called NAME.edge."""
    title: str
    """One line for people."""
    model: ModelTable
    calibration: CalibrationTable = field(default_factory=CalibrationTable)
    source: SourceTable = field(default_factory=SourceTable)
    settings: dict[str, Any] = field(default_factory=dict)
    """Handed to the `Settings` of app.py."""
    sinks: SinksTable = field(default_factory=SinksTable)

    def __post_init__(self) -> None:
        check_name(self.name)


@dataclass(frozen=True)
class SiteFile:
    """app.toml of a site, besides `from`: what it has of its own. All else is the app's."""

    name: str
    """As of an app; the bundle NAME.edge is the site's own."""
    title: str = ""
    model: ModelTable | None = None
    """Instead of the app's, as a whole."""
    calibration: CalibrationTable = field(default_factory=CalibrationTable)
    source: SourceTable = field(default_factory=SourceTable)
    settings: dict[str, Any] = field(default_factory=dict)
    """Over the app's, key by key."""
    sinks: dict[str, Any] = field(default_factory=dict)
    """The keys of `SinksTable`, over the app's."""

    def __post_init__(self) -> None:
        check_name(self.name)


def check_name(name: str) -> None:
    """Raises ValueError for what is no name of an app."""
    if not re.fullmatch(r"[a-z][a-z0-9_]*", name):
        raise ValueError(
            f"name should be small letters, digits and _ after a letter, found {name!r}"
        )


@dataclass(frozen=True)
class App:
    """An app that was read and whose settings were checked; nothing is opened yet."""

    name: str
    title: str
    folder: Path
    model: ModelTable
    calibration: str
    """Picture source to build with, a path already joined to the folder; empty: none."""
    source: str
    """Default source of a run, likewise."""
    trigger: str
    """What fires for each part; empty: its passage."""
    sinks: SinksTable
    table: Mapping[str, Any]
    """The settings as written."""
    settings: Any
    """The same as app.py's own `Settings`."""
    program: Callable[[Any, Scene], Program]
    """Makes one run's code from the settings and the scene."""

    @property
    def bundle_path(self) -> Path:
        """Where `edgesdk build` puts this app's bundle, and where a run looks for it."""
        return self.folder / (self.model.bundle or f"{self.name}.edge")

    def model_path(self) -> Path | None:
        """The float ONNX file; a zoo model is fetched first. None: the app has only a bundle."""
        if self.model.zoo:
            return pull(load_entry(self.model.zoo))
        return self.folder / self.model.file if self.model.file else None

    def spec(self) -> ModelSpec | None:
        """What is known beside the model. None: it stands in the bundle."""
        if self.model.zoo:
            return load_entry(self.model.zoo).spec
        if self.model.spec_file:
            return read_spec(self.folder / self.model.spec_file)
        if self.model.spec:
            return spec_from_table(self.model.spec, self.folder / APP_FILE)
        return None

    def with_settings(self, changes: Mapping[str, Any]) -> App:
        """The app with some settings changed; tables are merged key by key.

        Raises ConfigError for an unknown key or a bad value.
        """
        table = _merge(self.table, changes)
        settings = _config.parse(type(self.settings), table, f"{self.name}: settings")
        return replace(self, table=table, settings=settings)


def load_app(place: str | Path) -> App:
    """Read an app: `place` is its folder or a site's, or the name of one that is shipped.

    Raises UnknownName or DataError when there is none, and ConfigError when app.toml or app.py
    is not as it should be; the message names file and key.
    """
    folder = find_app(place)
    table = _config.read_toml(folder / APP_FILE)
    return _site(folder, table) if FROM in table else _app(folder, table)


def _app(folder: Path, table: dict[str, Any]) -> App:
    path = folder / APP_FILE
    file = _config.parse(AppFile, table, str(path))
    code = load_code(folder / CODE_FILE)
    return App(
        name=file.name,
        title=file.title,
        folder=folder,
        model=file.model,
        calibration=_located(folder, file.calibration.data),
        source=_located(folder, file.source.default),
        trigger=file.source.trigger,
        sinks=file.sinks,
        table=file.settings,
        settings=_config.parse(code.settings, file.settings, f"{path}: [settings]"),
        program=code.program,
    )


def _site(folder: Path, table: dict[str, Any]) -> App:
    """The app that `from` names, with what the site has of its own laid over it."""
    path = folder / APP_FILE
    base = _base(table[FROM], path)
    own = _config.parse(SiteFile, {k: v for k, v in table.items() if k != FROM}, str(path))
    sinks = {**_config.plain(base.sinks), **own.sinks}
    settings = _merge(base.table, own.settings)
    return replace(
        base,
        name=own.name,
        title=own.title or base.title,
        folder=folder,
        model=own.model or base.model.located(base.folder),
        calibration=_located(folder, own.calibration.data) or base.calibration,
        source=_located(folder, own.source.default) or base.source,
        trigger=own.source.trigger or base.trigger,
        sinks=_config.parse(SinksTable, sinks, f"{path}: [sinks]"),
        table=settings,
        settings=_config.parse(type(base.settings), settings, f"{path}: [settings]"),
    )


def _base(name: object, path: Path) -> App:
    """The shipped app of a site; never the site itself, even where both have the same name."""
    if not isinstance(name, str):
        raise ConfigError(f"{path}: from should be the name of an app, found {name!r}")
    folder = shipped_app(name)
    table = _config.read_toml(folder / APP_FILE)
    if FROM in table:
        raise ConfigError(
            f"{path}: from names {name}, which is itself a site of {table[FROM]}",
            "a site is made from an app: name that one",
        )
    return _app(folder, table)


def bundle_app(path: Path) -> App:
    """The app that a bundle is by itself: every box it finds is an event."""
    model = ModelTable(bundle=str(path.resolve()))
    return App(
        name=path.stem,
        title=f"the boxes that {path.name} finds",
        folder=path.parent,
        model=model,
        calibration="",
        source="",
        trigger="",
        sinks=SinksTable(),
        table={},
        settings=NoSettings(),
        program=Boxes,
    )


def app_names() -> tuple[str, ...]:
    """The apps that are shipped, and those on EDGESDK_PATH."""
    found = (p for folder in data_folders("apps") for p in folder.glob(f"*/{APP_FILE}"))
    return tuple(sorted({path.parent.name for path in found}))


def find_app(place: str | Path) -> Path:
    """The folder of an app. Raises UnknownName or DataError when there is none."""
    folder = Path(place)
    if (folder / APP_FILE).is_file():
        return folder
    if folder.exists():
        raise DataError(
            f"{folder}: not an app: there is no {APP_FILE} in it",
            f"name an app's folder or one of: {', '.join(app_names())}",
        )
    return shipped_app(str(place))


def shipped_app(name: str) -> Path:
    """The folder of an app that is shipped or on EDGESDK_PATH. Raises UnknownName."""
    named = [f / name for f in data_folders("apps") if (f / name / APP_FILE).is_file()]
    if not named or not name:
        raise UnknownName("app", name, app_names())
    return named[-1]


def _located(folder: Path, text: str) -> str:
    return text if not text or "://" in text else str(folder / text)


def _merge(table: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(table)
    for key, value in changes.items():
        old = merged.get(key)
        if isinstance(old, Mapping) and isinstance(value, Mapping):
            merged[key] = _merge(old, value)
        else:
            merged[key] = value
    return merged
