"""edgesdk export"""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import click

from edgesdk.bundle import open_bundle
from edgesdk.exports import FORMS, Export, export_target, trtexec_arguments, write_export


@click.command()
@click.argument("bundle", type=click.Path(path_type=Path))
@click.option("--to", "form", type=click.Choice(list(FORMS)), required=True, help="What to write.")
@click.option("--out", type=click.Path(path_type=Path), required=True, help="A folder for it.")
@click.option("--jetpack", default="", help="Whose TensorRT reads it; default: the bundle's.")
@click.option("--dla-core", type=int, help="For this DLA core: INT8 without Q/DQ, with a cache.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object on stdout.")
def command(
    bundle: Path, form: str, out: Path, jetpack: str, dla_core: int | None, as_json: bool
) -> None:
    """Write files for DeepStream, trtexec or old scripts from BUNDLE, which stays as it is.

    calibration-cache: ranges in TensorRT's format, and the graph without Q/DQ that they are for.
    deepstream: config and labels of nvinfer, and a script that builds its engine.  trtexec: that
    script alone.  What the tool does otherwise than the bundle is said, here and in the files.
    """
    target = export_target(open_bundle(bundle), jetpack, dla_core)
    made = write_export(form, target, out)
    arguments = trtexec_arguments(target) if form == "trtexec" else ()
    if as_json:
        found = {
            "export": form,
            "out": str(out),
            "files": sorted(made.files),
            "tensorrt": str(target.tensorrt),
            "warnings": list(made.warnings),
            "arguments": list(arguments),
        }
        click.echo(json.dumps(found, indent=1))
    else:
        _show(made, out, arguments)


def _show(made: Export, out: Path, arguments: tuple[str, ...]) -> None:
    for name in sorted(made.files):
        click.echo(out / name)
    if arguments:
        click.echo(shlex.join(["trtexec", *arguments]))
    for warning in made.warnings:
        click.secho("! ", fg="yellow", nl=False, err=True)
        click.echo(warning, err=True)
