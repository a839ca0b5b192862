"""What calibration costs: CPU time over pure inference of the same pictures, and peak memory.

Pure inference is ONNX Runtime with all graph optimizations on one thread, and nothing else: opening
the session and running each prepared picture. Calibration is everything from the float model to the
table: the watching model, the session, the pass, the ranges by least squared error. CPU-seconds are
user and system time of the process; the two are measured by turns, and the median of the rounds'
ratios counts. A second row adds reading, decoding and preprocessing the pictures to both.

Peak memory is that of a process of its own, for each number of pictures; where there are not so
many, they are repeated under new names.
"""

from __future__ import annotations

import json
import resource
import statistics
import subprocess
import sys
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from pathlib import Path

import click
import numpy as np

from edgesdk._resources import assets_folder
from edgesdk.backends import load_backend, opened
from edgesdk.backends.base import Session
from edgesdk.calibration import collect, find_observer, make_table
from edgesdk.model import Model, read_model
from edgesdk.model.prepare import prepare
from edgesdk.pictures import PictureSet, open_pictures
from edgesdk.preprocess import Preprocess
from edgesdk.quantize.layers import find_layers
from edgesdk.report import read_machine
from edgesdk.zoo import load_entry, pull

REPORTS = Path(__file__).parent / "reports"
DATA = {
    "yolox-nano": "coco192.tar",
    "nanodet-m": "coco192.tar",
    "efficientnet-lite0": "imagenet500.tar",
}
OPERATORS = ("Conv", "ConvTranspose", "Gemm", "MatMul")
PICTURES = 100
Feed = tuple[str, dict[str, np.ndarray]]


@dataclass(frozen=True)
class Cost:
    """One model; medians of the rounds."""

    model: str
    pictures: int
    rounds: int
    watched_tensors: int
    inference_cpu_s: float
    calibration_cpu_s: float
    ratio: float
    with_reading: bool
    """True: reading, decoding and preprocessing count on both sides."""


@dataclass(frozen=True)
class Peak:
    """Peak resident memory of a process that calibrated."""

    model: str
    pictures: int
    workers: int
    peak_mb: float


def ready(name: str, assets: Path) -> tuple[Model, Preprocess, PictureSet]:
    entry = load_entry(name)
    preprocess = entry.spec.preprocess
    given = read_model(pull(entry))
    shape = (1, 3, preprocess.height, preprocess.width)
    model = prepare(given, 17, {given.inputs[0].name: shape})
    return model, preprocess, open_pictures(assets / "data" / DATA[name])


def feeds_of(model: Model, preprocess: Preprocess, pictures: PictureSet) -> Iterator[Feed]:
    for picture in pictures:
        yield picture.name, {model.inputs[0].name: preprocess(picture.image)[0]}


def infer(model: Model, feeds: Iterable[Feed]) -> None:
    with opened(load_backend("onnxruntime", threads=1), model) as session:
        for _, feed in feeds:
            session.run(feed)


def calibrate(model: Model, feeds: Iterable[Feed], pictures: int, workers: int = 1) -> int:
    """How many tensors got a range."""
    backend = load_backend("onnxruntime", threads=1)

    def open_session(watching: Model) -> Session:
        return backend.open(backend.compile(watching))

    watch = {layer.activation: layer.input_axis for layer in find_layers(model, OPERATORS)}
    found = collect(model, watch, feeds, open_session, pictures=pictures, workers=workers)
    counted = {name: tensor.whole() for name, tensor in found.tensors.items()}
    return len(make_table(counted, find_observer("mse"), found.pictures).ranges)


def cpu_s() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def cost(name: str, rounds: int, with_reading: bool, assets: Path) -> Cost:
    model, preprocess, pictures = ready(name, assets)
    thin = pictures.thinned(PICTURES)
    kept = None if with_reading else list(feeds_of(model, preprocess, thin))
    spent: list[tuple[float, float]] = []
    tensors = 0
    for _ in range(rounds + 1):
        began = cpu_s()
        infer(model, kept or feeds_of(model, preprocess, thin))
        between = cpu_s()
        tensors = calibrate(model, kept or feeds_of(model, preprocess, thin), PICTURES)
        spent.append((between - began, cpu_s() - between))
    spent = spent[1:]  # the first round also loads libraries
    plain, whole = (statistics.median(side) for side in zip(*spent, strict=True))
    ratio = statistics.median(b / a for a, b in spent)
    return Cost(
        name, PICTURES, rounds, tensors, round(plain, 3), round(whole, 3), round(ratio, 2),
        with_reading,
    )  # fmt: skip


def peak(name: str, count: int, workers: int, assets: Path) -> Peak:
    model, preprocess, pictures = ready(name, assets)

    def repeated() -> Iterator[Feed]:
        done = 0
        while done < count:
            for picture, feed in feeds_of(model, preprocess, pictures):
                if done == count:
                    return
                yield f"{picture} {done}", feed
                done += 1

    calibrate(model, repeated(), count, workers)
    largest = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return Peak(name, count, workers, round(largest, 0))


def in_process(*arguments: object) -> dict[str, object]:
    command = [sys.executable, __file__, *map(str, arguments)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    row: dict[str, object] = json.loads(done.stdout.splitlines()[-1])
    click.echo(str(row), err=True)
    return row


@click.command()
@click.option("--rounds", default=5, help="Rounds of inference and calibration by turns.")
@click.option("--cost", "one_cost", nargs=2, help="MODEL READING (0, 1): only this, as JSON.")
@click.option("--peak", "one_peak", nargs=3, help="MODEL PICTURES WORKERS: only this, as JSON.")
def main(
    rounds: int, one_cost: tuple[str, str] | None, one_peak: tuple[str, str, str] | None
) -> None:
    assets = assets_folder()
    if assets is None:
        raise click.ClickException("needs the assets: set EDGESDK_ASSETS")
    if one_cost:
        name, reading = one_cost
        click.echo(json.dumps(asdict(cost(name, rounds, reading == "1", assets))))
        return
    if one_peak:
        name, count, workers = one_peak
        click.echo(json.dumps(asdict(peak(name, int(count), int(workers), assets))))
        return
    wanted: list[tuple[object, ...]] = [
        ("--rounds", rounds, "--cost", name, reading) for reading in (0, 1) for name in DATA
    ]
    wanted += [("--peak", name, count, 1) for count in (50, 500, 5000) for name in DATA]
    wanted += [("--peak", name, 500, 2) for name in DATA]
    report: dict[str, object] = {
        "what": __doc__,
        "command": "scripts/bench calibration",
        "date": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "machine": asdict(read_machine(Path("/"))),
    }
    rows: dict[str, list[object]] = {"costs": [], "peaks": []}
    REPORTS.mkdir(exist_ok=True)
    for arguments in wanted:
        rows["peaks" if "--peak" in arguments else "costs"].append(in_process(*arguments))
        # After each row: the last ones take minutes.
        (REPORTS / "calibration.json").write_text(json.dumps(report | rows, indent=1) + "\n")


if __name__ == "__main__":
    main()
