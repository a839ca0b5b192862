"""Engines for people and for machines."""

from __future__ import annotations

import json
from collections.abc import Iterable

import click
from rich import box
from rich.table import Table
from rich.text import Text

from edgesdk._config import plain
from edgesdk.backends.tensorrt.engines.key import Difference, EngineKey
from edgesdk.backends.tensorrt.engines.record import EngineRecord
from edgesdk.backends.tensorrt.engines.store import EngineStore, StoredEngine
from edgesdk.backends.tensorrt.machine.host import Host
from edgesdk.backends.tensorrt.settings import EngineSettings
from edgesdk.bundle import Bundle
from edgesdk.cli._console import console as make_console

LOUD = "INT8 NOT HONOURED"
SAID = 5
"""Lines of TensorRT's own that are shown; --json has all."""


def engine_json(bundle: Bundle, stored: StoredEngine, *, built: bool) -> str:
    """One object: where the engine is, whether it was built just now, and its whole record."""
    head = {"bundle": str(bundle.path), "engine": str(stored.path), "built": built}
    return json.dumps(
        {**head, "precisions": stored.record.precisions, **plain(stored.record)}, indent=2
    )


def show_engine(bundle: Bundle, stored: StoredEngine, *, built: bool) -> None:
    """A table on stdout, warnings on stderr."""
    record = stored.record
    console = make_console()
    table = Table(box=box.SIMPLE, show_header=False)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    table.add_row("bundle", f"{bundle.path}  graph {record.key.graph[:12]}")
    table.add_row("engine", Text.assemble((str(stored.path), "bold"), f"  {_size(record)}"))
    table.add_row("for", host_words(record.key.host))
    table.add_row("asked", settings_words(record.key.settings))
    still = "" if built else "; it is still good, so it was not built again"
    table.add_row("built", f"{_history(record, built=built)}{still}")
    if record.layers:
        counts = ", ".join(f"{count} {name}" for name, count in record.precisions.items())
        table.add_row("layers", f"{len(record.layers)}: {counts}")
    if record.dla:
        table.add_row("DLA", str(record.dla))
    console.print(table)
    for line in record.log[:SAID]:
        click.echo(f"  TensorRT: {line}", err=True)
    if len(record.log) > SAID:
        click.echo(f"  TensorRT: {len(record.log) - SAID} more lines, see --json", err=True)
    for warning in record.warnings:
        loud = warning.startswith(LOUD)
        click.secho("warning: ", fg="red" if loud else "yellow", bold=loud, nl=False, err=True)
        click.echo(warning, err=True)


def list_json(store: EngineStore, host: Host | None, reason: str) -> str:
    """One object: this machine, and each engine with what differs; null: nothing to compare."""
    engines = [
        {
            "engine": str(each.path),
            "differences": None if host is None else plain(_differences(store, each, host)),
            **{k: v for k, v in plain(each.record).items() if k not in ("layers", "log")},
        }
        for each in store.stored()
    ]
    machine = {"host": plain(host), "no_gpu": reason, "unusable": store.unusable()}
    return json.dumps({"graph": store.graph, **machine, "engines": engines}, indent=2)


def show_list(store: EngineStore, host: Host | None, reason: str) -> None:
    """All engines, newest first, and whether this machine can use them."""
    console = make_console()
    engines = store.stored()
    for problem in store.unusable():
        click.secho("warning: ", fg="yellow", nl=False, err=True)
        click.echo(problem, err=True)
    if not engines:
        click.echo(f"no engines of {store.bundle}; edgesdk compile {store.bundle} makes one")
        return
    for each in engines:
        record = each.record
        here = Text("no GPU to compare with", "dim")
        if host is not None:
            here = _verdict(_differences(store, each, host))
        console.print(Text(str(each.path), "bold"), soft_wrap=True)
        for name, words in (
            ("for", Text(host_words(record.key.host))),
            ("asked", Text(settings_words(record.key.settings))),
            ("built", Text(f"{_history(record, built=False)}; {_size(record)}")),
            ("here", here),
        ):
            console.print(Text(f"  {name:<6}").append_text(words), soft_wrap=True)
    if reason:
        click.echo(f"no GPU: {reason}", err=True)


def host_words(host: Host) -> str:
    """E.g. "TensorRT 10.3.0, orin-nx-16gb (Orin 8.7), 8 SMs, power mode 0"."""
    gpu = f"{host.gpu} {host.compute_capability}"
    words = [f"TensorRT {host.tensorrt}", f"{host.module} ({gpu})" if host.module else gpu]
    if host.sm_count:
        words.append(f"{host.sm_count} SMs")
    if host.power_mode:
        words.append(f"power mode {host.power_mode}")
    return ", ".join(words)


def settings_words(settings: EngineSettings) -> str:
    """What was asked, as far as it is not what everybody gets."""
    words = [f"{name} {shapes}" for name, shapes in settings.shapes.items()]
    if settings.dla:
        only = "" if settings.dla.gpu_fallback else " alone"
        words.append(f"DLA core {settings.dla.core}{only}")
    if settings.workspace_bytes is not None:
        words.append(f"workspace {settings.workspace_bytes / 2**20:.0f} MiB")
    if settings.optimization_level is not None:
        words.append(f"level {settings.optimization_level}")
    flags = {
        "version compatible": settings.version_compatible,
        "without weights": settings.strip_weights,
        "ranges beside the graph": settings.implicit_int8,
    }
    words += [name for name, is_set in flags.items() if is_set]
    return ", ".join(words) or "nothing special"


def _differences(store: EngineStore, each: StoredEngine, host: Host) -> tuple[Difference, ...]:
    return each.record.key.differences(EngineKey(store.graph, each.record.key.settings, host))


def _verdict(differences: Iterable[Difference]) -> Text:
    found = tuple(differences)
    if not found:
        return Text("usable", "green")
    refused = any(difference.refuses for difference in found)
    text = Text("refused" if refused else "usable", "red" if refused else "yellow")
    return text.append(f": {'; '.join(map(str, found))}", "default")


def _history(record: EngineRecord, *, built: bool) -> str:
    if record.trusted:
        return f"elsewhere, and taken in on trust: {record.origin}"
    when = record.created[:16].replace("T", " ")
    if built:
        return f"now, in {record.seconds:.1f} s, by edgesdk {record.sdk_version}"
    return f"{when} UTC in {record.seconds:.1f} s, by edgesdk {record.sdk_version}"


def _size(record: EngineRecord) -> str:
    return f"{record.size_bytes / 1e6:.1f} MB"
