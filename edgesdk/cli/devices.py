"""`edgesdk devices`: the Jetson modules that are known, and where each fact comes from."""

from __future__ import annotations

import json

import click
from rich import box
from rich.table import Table

from edgesdk._config import plain
from edgesdk.cli._console import console as make_console
from edgesdk.devices import DeviceProfile, PowerTable, Source, device_names, load_device

_FACTS = {
    "compute_capability": "compute capability",
    "gpu_arch": "GPU",
    "sm_count": "SMs",
    "cuda_cores": "CUDA cores",
    "tensor_cores": "tensor cores",
    "gpu_max_mhz": "GPU clock, MHz",
    "int8_dense_tops": "INT8 dense, TOPS",
    "fp16_dense_tflops": "FP16 dense, TFLOPS",
    "memory_gb": "memory, GB",
    "memory_bus_bits": "memory bus, bits",
    "bandwidth_gbs": "memory bandwidth, GB/s",
    "cpu": "CPU",
    "dla_count": "DLA cores",
    "dla_version": "DLA version",
    "dla_int8_dense_tops": "DLA INT8 dense, TOPS",
}

_LIMITS = {
    "cpu_cores": "CPU cores",
    "sm_count": "SMs",
    "gpu_max_mhz": "GPU MHz",
    "emc_max_mhz": "memory MHz",
    "dla_max_mhz": "DLA MHz",
}


@click.command()
@click.argument("name", required=False)
@click.option("--json", "as_json", is_flag=True, help="One JSON object on stdout.")
def command(name: str | None, as_json: bool) -> None:
    """List the known Jetson modules, or show the facts of one with their sources.

    NAME is a device or an alias, e.g. agx-orin-64gb or orin.
    """
    if name:
        profile = load_device(name)
        click.echo(json.dumps(plain(profile), indent=2)) if as_json else _show(profile)
        return
    profiles = [load_device(known) for known in device_names()]
    if as_json:
        click.echo(json.dumps({"devices": [plain(p) for p in profiles]}, indent=2))
    else:
        _list(profiles)


def _list(profiles: list[DeviceProfile]) -> None:
    table = _table("device", "alias", "SMs", "MHz", "INT8 TOPS", "memory", "GB/s", "DLA")
    for p in profiles:
        numbers = (p.sm_count, p.gpu_max_mhz, p.int8_dense_tops)
        memory = (f"{p.memory_gb} GB", _number(p.bandwidth_gbs), str(p.dla_count))
        table.add_row(p.name, ", ".join(p.aliases), *map(_number, numbers), *memory)
    _print(table)
    click.echo("INT8 TOPS: GPU alone, dense. ?: not known. `edgesdk devices NAME` names sources.")


def _show(profile: DeviceProfile) -> None:
    click.secho(profile.title, bold=True)
    click.echo(f"name: {profile.name}   also: {', '.join(profile.aliases) or '-'}")
    click.echo(f"JetPack: {', '.join(profile.jetpacks)} (default {profile.default_jetpack})")
    numbers = {source: i for i, source in enumerate(profile.sources, 1)}
    parts = ", ".join(profile.recognised_by.module_parts)
    click.echo(f"recognised by: {parts} [{_refs(numbers, 'recognised_by')}]\n")
    facts = _table("fact", "value", "source")
    for field, label in _FACTS.items():
        if field.startswith("dla_") and field != "dla_count" and not profile.dla_count:
            continue
        facts.add_row(label, _number(getattr(profile, field)), _refs(numbers, field))
    _print(facts)
    for source, number in numbers.items():
        click.echo(f"[{number}] {source.text.strip()}")
    for power_table in profile.power_tables:
        _show_power(power_table)


def _stated(power: PowerTable, field: str) -> bool:
    return any(getattr(mode, field) is not None for mode in power.modes)


def _refs(numbers: dict[Source, int], field: str) -> str:
    return ", ".join(str(number) for source, number in numbers.items() if field in source.gives)


def _show_power(power: PowerTable) -> None:
    watts = f", {power.power_w[0]} to {power.power_w[1]} W" if power.power_w else ""
    flashed = "flashed as Super" if power.super else "standard"
    click.echo()
    click.secho(f"power modes, {flashed}{watts} ({power.conf})", bold=True)
    if power.headline:
        click.echo(f"vendor's headline: {power.headline}, sparse INT8")
    if power.modes:
        limits = {field: label for field, label in _LIMITS.items() if _stated(power, field)}
        table = _table("id", "mode", *limits.values())
        for m in power.modes:
            name = f"{m.name} (default)" if m.name == power.default else m.name
            table.add_row(str(m.id), name, *(_number(getattr(m, field)) for field in limits))
        _print(table)
    click.echo(f"source: {power.source.strip()}")


def _number(value: object) -> str:
    """As written in the file, without a trailing ".0"."""
    if value is None:
        return "?"
    return f"{value:g}" if isinstance(value, float) else str(value)


def _table(*columns: str) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    for column in columns:
        # A cut name could not be typed; everything else may be broken into lines.
        table.add_column(column, no_wrap=column == "device", overflow="fold")
    return table


def _print(table: Table) -> None:
    make_console().print(table)
