"""A look at the calibration pictures themselves: for the doctor, before anything is quantized."""

from __future__ import annotations

from dataclasses import dataclass, replace

from edgesdk._progress import Progress
from edgesdk.backends import load_backend, opened
from edgesdk.bundle import Calibration, PreprocessCheck, Variety
from edgesdk.checkup.certainty import judging_decoder
from edgesdk.checkup.first_layer import first_norm
from edgesdk.checkup.preprocessing import compare_preprocessing
from edgesdk.checkup.sample import sample_images
from edgesdk.checkup.thumbnails import dominant_pictures, thumbnails
from edgesdk.checkup.variety import VarietyMeter
from edgesdk.model import Model
from edgesdk.model.edit import with_outputs
from edgesdk.pictures import PictureSet
from edgesdk.spec import ModelSpec

INSPECTED = 128
"""Pictures that are looked at, evenly spread."""


@dataclass(frozen=True)
class Inspection:
    """What the pictures say before the model is touched."""

    variety: Variety
    preprocessing: PreprocessCheck | None


def inspect(pictures: PictureSet, model: Model, spec: ModelSpec, progress: Progress) -> Inspection:
    """How different the pictures are, and whether the model would take them better otherwise."""
    meter = VarietyMeter()
    few = pictures.thinned(INSPECTED)
    for picture in progress(few, "inspect", few.count):
        meter.add(picture.image)
    return Inspection(meter.result(), _compared(pictures, model, spec))


def with_thumbnails(calibration: Calibration, pictures: PictureSet) -> Calibration:
    """The evidence with small copies of the pictures that set ranges by themselves."""
    shown = thumbnails(pictures, dominant_pictures(calibration.ranges))
    return replace(calibration, thumbnails=shown)


def _compared(pictures: PictureSet, model: Model, spec: ModelSpec) -> PreprocessCheck | None:
    if model.inputs[0].shape[0] != 1:
        return None
    norm = first_norm(model)
    watched = with_outputs(model, [norm.tensor]) if norm else model
    with opened(load_backend("onnxruntime", patient=True), watched) as session:
        return compare_preprocessing(
            session,
            model.inputs[0].name,
            spec.preprocess,
            sample_images(pictures, spec.preprocess),
            decoder=judging_decoder(spec.decoder, spec.preprocess),
            norm=norm,
        )
