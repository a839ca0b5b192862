"""edgesdk build"""

from __future__ import annotations

from pathlib import Path
from typing import cast

import click

from edgesdk._progress import silent
from edgesdk.build import build
from edgesdk.build.job import BuildOrder, resolve
from edgesdk.bundle import Precision
from edgesdk.cli._bundle_view import bundle_json, show_bundle
from edgesdk.cli._progress import shown
from edgesdk.errors import UsageError


@click.command()
@click.argument("model", required=False, default="")
@click.option("--device", required=True, help="Jetson module, e.g. orin (see edgesdk devices).")
@click.option("--data", default="", help="Pictures to calibrate with: folder, tar, npz, video.")
@click.option("--eval", "held_out", default="", help="Other pictures, to measure accuracy with.")
@click.option("--spec", type=click.Path(path_type=Path), help="Preprocessing, decoder and labels.")
@click.option("--out", type=click.Path(path_type=Path), help="The bundle; default NAME.edge.")
@click.option("--precision", type=click.Choice(["int8", "fp16", "fp32"]), default="int8")
@click.option("--recipe", default="balanced", help="Calibration recipe; default balanced.")
@click.option("--jetpack", default="", help="Of the device; default: see edgesdk devices NAME.")
@click.option("--shape", multiple=True, metavar="NAME=1x3xHxW", help="Size of a dynamic input.")
@click.option("--requantize", is_flag=True, help="Take a quantized model: undo its pairs first.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object on stdout.")
@click.option("--quiet", is_flag=True, help="No progress bar.")
def command(
    model: str,
    device: str,
    data: str,
    held_out: str,
    spec: Path | None,
    out: Path | None,
    precision: str,
    recipe: str,
    jetpack: str,
    shape: tuple[str, ...],
    requantize: bool,
    as_json: bool,
    quiet: bool,
) -> None:
    """Calibrate, quantize and bundle MODEL for a device.

    MODEL is an ONNX file, a model of the zoo or an app (its folder or name); left out, the app in
    the current folder is built.  PATH#NAME takes one split of a data set, e.g. coco.tar#train2017.
    """
    order = BuildOrder(
        device=device,
        model=model,
        jetpack=jetpack,
        spec=spec,
        data=data,
        held_out=held_out,
        precision=cast(Precision, precision),
        recipe=recipe,
        shapes=dict(map(_shape, shape)),
        out=out,
        requantize=requantize,
    )
    request, path = resolve(order)
    bundle = build(request, path, silent if quiet else shown)
    if as_json:
        click.echo(bundle_json(bundle))
    else:
        show_bundle(bundle)


def _shape(text: str) -> tuple[str, tuple[int, ...]]:
    name, _, sizes = text.rpartition("=")
    try:
        return name, tuple(int(size) for size in sizes.split("x"))
    except ValueError:
        raise UsageError(
            f"--shape should be NAME=1x3xHxW, found {text!r}", "e.g. --shape images=1x3x640x640"
        ) from None
