"""edgesdk build"""

from __future__ import annotations

from pathlib import Path
from typing import Literal, cast

import click

from edgesdk._progress import silent
from edgesdk.backends.tensorrt.backend import Machinery
from edgesdk.build import build
from edgesdk.build.job import BuildOrder, resolve
from edgesdk.bundle import Precision, Recovery
from edgesdk.checkup.examine import examine
from edgesdk.cli._bundle_doctor import check_page, write_page
from edgesdk.cli._bundle_view import bundle_json, show_bundle
from edgesdk.cli._compile_here import compile_here
from edgesdk.cli._findings_view import show_checkup
from edgesdk.cli._progress import shown
from edgesdk.errors import TargetMissed, UsageError
from edgesdk.quantize.placement import Wishes


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
@click.option("--max-drop", default="", metavar="0.5%", help="Accuracy target: see below.")
@click.option("--keep-float", multiple=True, metavar="REGEX", help="Layers that stay in float.")
@click.option("--force-int8", multiple=True, metavar="REGEX", help="Layers against the rules.")
@click.option("--rest", type=click.Choice(["fp16", "fp32"]), default="fp16", help="Beside INT8.")
@click.option("--requantize", is_flag=True, help="Take a quantized model: undo its pairs first.")
@click.option("--html", type=click.Path(path_type=Path), help="A report page of the build.")
@click.option("--no-compile", is_flag=True, help="On a board: leave its engine for later.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object on stdout.")
@click.option("--quiet", is_flag=True, help="No progress bar.")
@click.pass_obj
def command(
    machinery: Machinery | None,
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
    max_drop: str,
    keep_float: tuple[str, ...],
    force_int8: tuple[str, ...],
    rest: Literal["fp16", "fp32"],
    requantize: bool,
    html: Path | None,
    no_compile: bool,
    as_json: bool,
    quiet: bool,
) -> None:
    """Calibrate, quantize and bundle MODEL for a device.

    MODEL is an ONNX file, a model of the zoo or an app (its folder or name); left out, the app in
    the current folder is built.  PATH#NAME takes one split of a data set, e.g. coco.tar#train2017.

    With --max-drop, layers go back to float until the figure of the task (mAP, top-1, or agreement
    with the float model where there are no labels) is at most that share below the float model's.
    Ends with exit code 3 when it is not; the bundle is written all the same.

    On a Jetson that has TensorRT, the bundle's engine is compiled as well.
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
        max_drop=_share(max_drop) if max_drop else None,
        wishes=Wishes(keep_float, force_int8),
        rest=rest,
    )
    request, path = resolve(order)
    if html:
        check_page(html, path)
    bundle = build(request, path, silent if quiet else shown)
    checkup = examine(bundle.manifest)
    if html:
        write_page(html, bundle, checkup)
    if as_json:
        click.echo(bundle_json(bundle))
    else:
        show_bundle(bundle)
        click.echo(f"  doctor: {checkup.verdict}")
        show_checkup(checkup, brief=True)
        if checkup.findings:
            click.echo(f"  edgesdk doctor --bundle {path} says more")
    if not no_compile:
        compile_here(bundle, machinery or Machinery(), show=not as_json)
    _check_target(bundle.manifest.recovery)


def _check_target(recovery: Recovery | None) -> None:
    if recovery and not recovery.reached:
        last = recovery.steps[-1]
        raise TargetMissed(
            f"{recovery.metric} is {last.drop:.4f} below the float model's "
            f"{recovery.float_value:.4f}; the target allows {recovery.max_drop:.4f}",
            "give more or other pictures, --recipe accurate, or --precision fp16",
        )


def _share(text: str) -> float:
    """A share from "0.5%" or "0.005"."""
    number, percent = text.removesuffix("%"), text.endswith("%")
    try:
        return float(number) / (100 if percent else 1)
    except ValueError:
        raise UsageError(
            f"--max-drop should be a share such as 0.5% or 0.005, found {text!r}"
        ) from None


def _shape(text: str) -> tuple[str, tuple[int, ...]]:
    name, _, sizes = text.rpartition("=")
    try:
        return name, tuple(int(size) for size in sizes.split("x"))
    except ValueError:
        raise UsageError(
            f"--shape should be NAME=1x3xHxW, found {text!r}", "e.g. --shape images=1x3x640x640"
        ) from None
