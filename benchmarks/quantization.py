"""What INT8 leaves of a detector's accuracy: edgesdk and onnxruntime's quantizer, side by side.

Every graph is scored in the same way: ONNX Runtime on the CPU, graph optimizations off, mAP by
pycocotools on the 64 COCO val2017 pictures; calibration on the 128 train2017 pictures.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from pathlib import Path

import click
import numpy as np
import onnx
from onnxruntime.quantization import CalibrationMethod, QuantFormat, QuantType, quantize_static
from onnxruntime.quantization.calibrate import CalibrationDataReader

from edgesdk._progress import silent
from edgesdk._resources import assets_folder
from edgesdk.accuracy import DetectionMetric
from edgesdk.backends import load_backend, opened
from edgesdk.build.evidence import MEASURING
from edgesdk.build.quantization import Quantizer
from edgesdk.calibration import load_recipe
from edgesdk.devices import load_device, target_opset
from edgesdk.lint import check_for_tensorrt
from edgesdk.model import Model, read_model
from edgesdk.model.prepare import prepare
from edgesdk.pictures import PictureSet, open_pictures
from edgesdk.report import read_machine
from edgesdk.vision.decoders import make_decoder
from edgesdk.zoo import ZooEntry, load_entry, pull

REPORTS = Path(__file__).parent / "reports"
MODELS = ("yolox-nano", "nanodet-m")


@dataclass(frozen=True)
class Row:
    """One way to make INT8 of one model."""

    model: str
    method: str
    map50_95: float
    map50: float
    int8_share: float | None
    """Share of the multiply-accumulates in INT8; None: not counted for peers."""
    form: str
    """"documented", or the first rule of TensorRT's documented form that the graph breaks."""
    cpu_seconds: float
    """User and system time of calibrating and quantizing."""
    peak_growth_mb: float
    """By how much the process's peak memory grew while it did."""


class Feeds(CalibrationDataReader):
    """Pictures for onnxruntime's quantizer."""

    def __init__(self, entry: ZooEntry, name: str, pictures: PictureSet) -> None:
        self._feeds: Iterator[dict[str, np.ndarray]] = (
            {name: entry.spec.preprocess(p.image)[0]} for p in pictures
        )

    def get_next(self) -> dict[str, np.ndarray] | None:
        return next(self._feeds, None)


def edgesdk_int8(
    recipe: str,
) -> Callable[[Model, ZooEntry, PictureSet], tuple[Model, float | None]]:
    def quantize(model: Model, entry: ZooEntry, pictures: PictureSet) -> tuple[Model, float | None]:
        backend = load_backend("onnxruntime", exact=True)
        settings = load_recipe(recipe)
        made = Quantizer(model, entry.spec.preprocess, recipe, settings, backend, silent).run(
            pictures
        )
        total = sum(layer.macs for layer in made.layers)
        inside = sum(layer.macs for layer in made.layers if layer.precision == "int8")
        return made.model, inside / total

    return quantize


def onnxruntime_int8(
    method: CalibrationMethod,
) -> Callable[[Model, ZooEntry, PictureSet], tuple[Model, float | None]]:
    def quantize(model: Model, entry: ZooEntry, pictures: PictureSet) -> tuple[Model, float | None]:
        with tempfile.TemporaryDirectory() as folder:
            source, target = Path(folder, "float.onnx"), Path(folder, "int8.onnx")
            source.write_bytes(model.to_bytes())
            quantize_static(
                source,
                target,
                Feeds(entry, model.inputs[0].name, pictures),
                quant_format=QuantFormat.QDQ,
                op_types_to_quantize=["Conv"],
                per_channel=True,
                activation_type=QuantType.QInt8,
                weight_type=QuantType.QInt8,
                calibrate_method=method,
                extra_options={
                    "ActivationSymmetric": True,
                    "WeightSymmetric": True,
                    "QuantizeBias": False,
                },
            )
            return Model.of(onnx.load(target)), None

    return quantize


METHODS = {
    "onnxruntime min-max": onnxruntime_int8(CalibrationMethod.MinMax),
    "onnxruntime entropy": onnxruntime_int8(CalibrationMethod.Entropy),
    "onnxruntime percentile": onnxruntime_int8(CalibrationMethod.Percentile),
    "edgesdk fast": edgesdk_int8("fast"),
    "edgesdk balanced": edgesdk_int8("balanced"),
}


def score(model: Model, entry: ZooEntry, pictures: PictureSet) -> dict[str, float]:
    preprocess = entry.spec.preprocess
    decoder = make_decoder({**entry.spec.decoder, **MEASURING}, entry.name, preprocess)
    metric = DetectionMetric()
    with opened(load_backend("onnxruntime", exact=True), model) as session:
        for picture in pictures:
            tensor, placement = preprocess(picture.image)
            outputs = session.run({model.inputs[0].name: tensor})
            assert decoder.task == "detect"
            assert picture.truth is not None
            metric.add(decoder.decode(outputs, placement), picture.truth)
    return metric.result()


def spent() -> tuple[float, float]:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


def measure(model: str, method: str, data: Path) -> Row:
    entry = load_entry(model)
    opset = target_opset(load_device("orin"))
    ready = prepare(read_model(pull(entry)), opset, {})
    before, peak = spent()
    if method == "float":
        made, share = ready, None
    else:
        made, share = METHODS[method](ready, entry, open_pictures(f"{data}#train2017"))
    after, grown = spent()
    figures = score(made, entry, open_pictures(f"{data}#val2017"))
    findings = check_for_tensorrt(made, opset)
    return Row(
        model,
        method,
        round(figures["mAP50-95"], 4),
        round(figures["mAP50"], 4),
        share and round(share, 4),
        findings[0].rule if findings else "documented",
        round(after - before, 1),
        round(grown - peak, 0),
    )


@click.command()
@click.option("--one", nargs=2, help="MODEL METHOD: measure only this and print it as JSON.")
def main(one: tuple[str, str] | None) -> None:
    assets = assets_folder()
    if assets is None:
        raise click.ClickException("needs the assets: set EDGESDK_ASSETS")
    data = assets / "data" / "coco192.tar"
    if one:
        click.echo(json.dumps(asdict(measure(*one, data))))
        return
    rows = []
    began = time.monotonic()
    for model in MODELS:
        for method in ("float", *METHODS):
            # A process for each row, so that its peak memory is its own.
            command = [sys.executable, __file__, "--one", model, method]
            done = subprocess.run(command, capture_output=True, text=True, check=True)
            rows.append(json.loads(done.stdout.splitlines()[-1]))
            click.echo(f"{time.monotonic() - began:6.0f} s  {rows[-1]}", err=True)
    report = {
        "what": __doc__,
        "command": "scripts/bench quantization",
        "date": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "machine": asdict(read_machine(Path("/"))),
        "rows": rows,
    }
    REPORTS.mkdir(exist_ok=True)
    (REPORTS / "quantization.json").write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
