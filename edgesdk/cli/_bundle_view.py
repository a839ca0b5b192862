"""A bundle for people and for machines."""

from __future__ import annotations

import json
from typing import Any

import click
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from edgesdk._config import plain
from edgesdk.build.int8 import HALF_SCALES
from edgesdk.bundle import Bundle
from edgesdk.cli._accuracy_view import show_accuracy
from edgesdk.cli._console import console as make_console
from edgesdk.cli._recovery_view import show_recovery


def bundle_json(bundle: Bundle) -> str:
    """The path, the digest and the manifest without its range of every tensor."""
    manifest: dict[str, Any] = plain(bundle.manifest)
    if manifest["calibration"]:
        manifest["calibration"]["ranges"] = len(manifest["calibration"]["ranges"])
    return json.dumps({"path": str(bundle.path), "digest": bundle.digest, **manifest}, indent=2)


def show_bundle(bundle: Bundle) -> None:
    """What was built, in a table on stdout; warnings on stderr."""
    manifest, target = bundle.manifest, bundle.manifest.target
    console = make_console()
    table = Table(box=box.SIMPLE, show_header=False)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    where = Text.assemble((str(bundle.path), "bold"), f"  sha256 {bundle.digest[:12]}")
    table.add_row("bundle", where)
    table.add_row("model", f"{manifest.origin.name}  sha256 {manifest.origin.digest[:12]}")
    tensorrt = target.tensorrt or "(version not known)"
    known = f"JetPack {target.jetpack}, TensorRT {tensorrt}, ONNX opset {target.opset}"
    table.add_row("for", f"{target.device} ({known})")
    table.add_row("precision", _precision(bundle))
    calibration = manifest.calibration
    if calibration:
        saturated = max((r.saturated for r in calibration.ranges.values()), default=0.0)
        table.add_row(
            "calibrated",
            f"{calibration.pictures} pictures of {calibration.source}, recipe "
            f"{calibration.recipe} ({calibration.observer}), "
            f"{len(calibration.ranges)} ranges, at most {saturated:.2%} of one saturated",
        )
        if calibration.balanced:
            table.add_row("balanced", _balanced(calibration.balanced))
    console.print(table)
    _show_layers(bundle, console)
    if manifest.recovery:
        show_recovery(manifest.recovery, console)
    if manifest.accuracy:
        show_accuracy(manifest.accuracy, manifest.precision, console)
    found = manifest.accuracy.warnings if manifest.accuracy else ()
    for warning in (*manifest.warnings, *found):
        click.secho("warning: ", fg="yellow", nl=False, err=True)
        click.echo(warning, err=True)
    skipped = dict(calibration.skipped if calibration else {})
    skipped |= manifest.accuracy.skipped if manifest.accuracy else {}
    for name, reason in skipped.items():
        click.echo(f"  skipped {name}: {reason}", err=True)


def _precision(bundle: Bundle) -> str:
    manifest = bundle.manifest
    if manifest.precision != "int8":
        return manifest.precision
    inside = sum(layer.precision == "int8" for layer in manifest.layers)
    share = f"{manifest.int8_share:.1%} of the multiply-accumulates"
    return (
        f"int8: {inside} of {len(manifest.layers)} layers, {share}; "
        f"other operators {manifest.other_nodes}{_why_fp32(bundle)}"
    )


def _why_fp32(bundle: Bundle) -> str:
    manifest = bundle.manifest
    if manifest.other_nodes != "fp32" or manifest.target.opset >= HALF_SCALES:
        return ""
    return f", which costs speed: fp16 beside int8 needs ONNX opset {HALF_SCALES}, TensorRT 10"


def _balanced(carriers: dict[str, str]) -> str:
    added = sum(node == f"{tensor}_balance" for tensor, node in carriers.items())
    folded = len(carriers) - added
    ways = []
    if folded:
        ways.append(f"{folded} folded into the layer before, at no cost")
    if added:
        ways.append(f"{added} by a Mul of {'its' if added == 1 else 'their'} own")
    return f"channels of {_counted(len(carriers), 'tensor')}, by powers of two: {', '.join(ways)}"


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _show_layers(bundle: Bundle, console: Console) -> None:
    kept = [layer for layer in bundle.manifest.layers if layer.reason]
    if not kept:
        return
    console.print("Layers left in float")
    table = Table(box=box.SIMPLE)
    for name in ("layer", "operator", "why"):
        table.add_column(name)
    for layer in kept:
        table.add_row(layer.node, layer.operator, layer.reason)
    console.print(table)
