"""edgesdk fit"""

from __future__ import annotations

import json
import shlex
from dataclasses import replace
from pathlib import Path
from typing import cast

import click

from edgesdk import _config
from edgesdk._digest import sha256_file
from edgesdk._progress import silent
from edgesdk.anomaly import Backbone, FitSettings, Fitted, fit, write_fitted
from edgesdk.cli._console import console
from edgesdk.cli._progress import shown
from edgesdk.errors import UsageError
from edgesdk.model import read_model
from edgesdk.pictures import PictureSet, is_pattern, open_pattern, open_pictures
from edgesdk.preprocess import Preprocess, Resize
from edgesdk.sim import simulated_pictures
from edgesdk.spec import read_spec
from edgesdk.zoo import find_by_digest

DEFAULTS = FitSettings()


@click.command()
@click.argument("good")
@click.option("--backbone", type=click.Path(path_type=Path), required=True, help="An ONNX net.")
@click.option("--spec", type=click.Path(path_type=Path), help="Preprocessing of the backbone.")
@click.option("--layers", default="", metavar="A,B", help="Its tensors to describe places by.")
@click.option("--size", default=0, metavar="PX", help="Of the pictures; default: the spec's.")
@click.option(
    "--resize",
    type=click.Choice(["stretch", "letterbox", "letterbox-top-left", "center-crop"]),
    default="stretch",
    help="How pictures come to that size.",
)
@click.option("--bank", default=DEFAULTS.bank, help="Descriptions of good places to keep.")
@click.option("--false-rejects", default="0.5%", metavar="0.5%", help="Of good parts, allowed.")
@click.option("--held-out", default="30%", metavar="30%", help="Pictures that set the threshold.")
@click.option("-o", "--out", type=click.Path(path_type=Path), default=Path("part.onnx"))
@click.option("--json", "as_json", is_flag=True, help="One JSON object on stdout.")
@click.option("--quiet", is_flag=True, help="No progress bar.")
def command(
    good: str,
    backbone: Path,
    spec: Path | None,
    layers: str,
    size: int,
    resize: str,
    bank: int,
    false_rejects: str,
    held_out: str,
    out: Path,
    as_json: bool,
    quiet: bool,
) -> None:
    """Learn what GOOD parts look like, and write one model that scores a picture of a part.

    GOOD is a folder, tar, npz or video of good parts only.  The model is an ONNX file with the
    learned parts inside; a spec with its threshold is written beside it, for edgesdk build.
    """
    settings = FitSettings(
        layers=tuple(name for name in layers.split(",") if name),
        bank=bank,
        false_rejects=_share("--false-rejects", false_rejects),
        held_out=_share("--held-out", held_out),
    )
    model = Backbone(read_model(backbone), _preprocess(backbone, spec, size, cast(Resize, resize)))
    found = fit(_pictures(good), model, settings, silent if quiet else shown)
    written = write_fitted(found, out)
    if as_json:
        click.echo(json.dumps(_facts(found, out, written)))
    else:
        _show(found, good, out, written)


def _preprocess(backbone: Path, spec: Path | None, size: int, resize: Resize) -> Preprocess:
    """The backbone's own, with another size and resizing where a part wants them."""
    entry = find_by_digest(sha256_file(backbone)) if spec is None else None
    if spec is None and entry is None:
        raise UsageError(
            f"{backbone}: how its pictures are prepared is not known",
            "add --spec FILE with a table [preprocess]: width, height, color, scale, mean, std",
        )
    known = read_spec(spec) if spec else entry.spec if entry else None
    assert known is not None
    own = known.preprocess
    return replace(
        own, width=size or own.width, height=size or own.height, resize=resize, short_side=0
    )


def _pictures(source: str) -> PictureSet:
    if "://" in source:
        return simulated_pictures(source)
    return open_pattern(source) if is_pattern(source) else open_pictures(source)


def _facts(found: Fitted, out: Path, spec: Path) -> dict[str, object]:
    return {
        "model": str(out),
        "spec": str(spec),
        "layers": list(found.layers),
        "pictures": found.pictures,
        "bank": found.bank,
        "threshold": _config.plain(found.threshold),
        "note": found.threshold.note,
        "skipped": found.skipped,
    }


def _show(found: Fitted, good: str, out: Path, spec: Path) -> None:
    limit = found.threshold
    lines = [
        f"{out}: {found.bank} good places of {found.pictures} pictures, "
        f"described by {', '.join(found.layers)}",
        f"  threshold {limit.value:.4g}, set by {limit.pictures} other good pictures: "
        f"{limit.rejected} of them turned down",
        f"  good parts turned down, to be expected: {limit.rate:.2%} "
        f"(95 %: {limit.rate_low:.2%} to {limit.rate_high:.2%})",
    ]
    lines += [f"  {len(found.skipped)} pictures could not be read"] if found.skipped else []
    lines += [
        "  whether it catches bad parts is not known yet: LABELLED is a folder with good/ and one"
        " for each kind of defect",
        f"next: edgesdk build {out} --spec {spec} --device orin --data {shlex.quote(good)}"
        " --eval LABELLED",
    ]
    for line in lines:
        console().print(line, highlight=False, soft_wrap=True)
    if limit.note:
        click.secho("warning: ", fg="yellow", nl=False, err=True)
        click.echo(limit.note, err=True)


def _share(option: str, text: str) -> float:
    """A share from "0.5%" or "0.005"."""
    try:
        return float(text.removesuffix("%")) / (100 if text.endswith("%") else 1)
    except ValueError:
        raise UsageError(
            f"{option} should be a share such as 0.5% or 0.005, found {text!r}"
        ) from None
