"""`edgesdk doctor --report`: shows what goes into the file, writes it, shows what is in it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import click

from edgesdk._files import write_atomic
from edgesdk.cli._bundle_doctor import check_page
from edgesdk.errors import UsageError
from edgesdk.fieldreport import Part, ReportRequest, collect, pack

DEFAULT = "edgesdk-report.zip"


def write_report(path: Path, request: ReportRequest, as_json: bool) -> None:
    """Collect, pack and write; the lists go to stderr, with `as_json` one object to stdout."""
    _check(path, request)
    _announce(request)
    parts = collect(request)
    data = pack(parts)
    write_atomic(path, data)
    if as_json:
        click.echo(json.dumps(_table(path, parts, data), indent=2))
        return
    click.echo(f"wrote {path}, {_size(len(data))}, {len(parts) + 1} files:")
    click.echo("  README.txt  what is in it and what is not")
    for part in parts:
        click.echo(f"  {part.name}  {_size(part.size_bytes)}  {part.what}")
    click.echo("nothing was sent anywhere: look through it, then pass it on yourself")


def _check(path: Path, request: ReportRequest) -> None:
    if path.suffix != ".zip":
        raise UsageError(f"--report {path}: the report is a zip file", f"such as {DEFAULT}")
    for bundle in request.bundles:
        check_page(path, bundle)


def _announce(request: ReportRequest) -> None:
    wanted = [
        "what `edgesdk doctor` finds, the board's strings, clocks, temperatures and power modes",
        "versions of the driver, CUDA, TensorRT, NVIDIA's packages and the Python packages",
        *(f"layers of the engines of {bundle}" for bundle in request.bundles),
        *([f"the tests of {request.gpu_tests}"] if request.gpu_tests else []),
        *(f"the latency report {path}" for path in request.bench),
    ]
    click.echo("this will be read:", err=True)
    for line in wanted:
        click.echo(f"  {line}", err=True)
    click.echo(
        "no weights, engines or pictures; names of host and users, serial numbers, MACs and "
        "secrets are taken out",
        err=True,
    )


def _table(path: Path, parts: Sequence[Part], data: bytes) -> dict[str, object]:
    listed = [{"name": p.name, "what": p.what, "size_bytes": p.size_bytes} for p in parts]
    return {"report": str(path), "size_bytes": len(data), "parts": listed}


def _size(size: int) -> str:
    return f"{size} bytes" if size < 2000 else f"{size / 1000:.0f} kB"
