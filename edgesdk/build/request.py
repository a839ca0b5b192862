"""What is asked of a build, checked as far as it can be before any work."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from edgesdk.build.arrays import ArrayFeeds, ArrayFile
from edgesdk.build.feeds import PictureFeeds
from edgesdk.bundle import Precision
from edgesdk.devices import DeviceProfile, JetPack
from edgesdk.errors import ModelError, UsageError
from edgesdk.model import Model
from edgesdk.model.quantized import quantized_operators, strip_quantization
from edgesdk.pictures import PictureSet
from edgesdk.preprocess import Preprocess
from edgesdk.quantize.placement import Wishes
from edgesdk.spec import ModelSpec
from edgesdk.tensors import FeedSource, TensorSpec

GUESS = "no spec was given: pictures go in letterboxed, as RGB, scaled to 0..1"

REQUANTIZED = (
    "the model was quantized already: its pairs were taken out, but the float model that accuracy "
    "is measured against keeps the rounding of its weights"
)
Data: TypeAlias = PictureSet | ArrayFile


@dataclass(frozen=True)
class BuildRequest:
    """A model, what is known of it, and what it shall become."""

    model: Model
    spec: ModelSpec | None
    device: DeviceProfile
    jetpack: JetPack
    precision: Precision = "int8"
    recipe: str = "balanced"
    """Name of a calibration recipe; only INT8 uses it."""
    data: Data | None = None
    """To calibrate with: pictures, or arrays named as the model's inputs."""
    held_out: Data | None = None
    """To measure the accuracy with; None: the calibration data."""
    shapes: dict[str, tuple[int, ...]] = field(default_factory=dict)
    """Sizes for inputs that lack them."""
    max_drop: float | None = None
    """Largest drop of the accuracy allowed, as a share 0..1 of the float model's; None: the
    recipe's target, where it has one."""
    wishes: Wishes = field(default_factory=Wishes)
    """Layers that shall stay in float, or be INT8 against the rules."""
    rest: Literal["fp16", "fp32"] = "fp16"
    """What an INT8 graph computes in outside its INT8 layers; FP16 where the target's operator
    set lets Q/DQ have it (19)."""
    requantize: bool = False
    """Take a model that is quantized already: its pairs are taken out first."""

    def __post_init__(self) -> None:
        if self.precision == "int8" and self.data is None:
            raise UsageError(
                "INT8 needs pictures to calibrate with, and none were named",
                "add --data FOLDER (a tar, npz or video does too), or build with --precision fp16",
            )
        if self.max_drop is not None and self.precision != "int8":
            raise UsageError(
                f"an accuracy target is for INT8, and {self.precision} was asked for: there is "
                "nothing to give back",
                "leave --max-drop out; the evidence states the drop all the same",
            )
        if self.max_drop is not None and not 0 <= self.max_drop < 1:
            raise UsageError(
                f"the largest drop should be a share from 0 to below 1, found {self.max_drop:g}",
                "--max-drop 1% allows one hundredth of the float model's figure",
            )


def no_dla(request: BuildRequest) -> list[str]:
    """What to say of a graph that is written for DLA, where the target has none."""
    remedy = "the graph runs on the GPU, where --recipe balanced is faster"
    if request.device.dla_count == 0:
        return [f"{request.device.title} has no DLA: {remedy}"]
    if request.jetpack.dla is False:
        return [f"TensorRT of JetPack {request.jetpack.name} has no DLA: {remedy}"]
    return []


def float_model(request: BuildRequest) -> Model:
    """The model that was given; where its pairs may be taken out, without them."""
    if request.requantize:
        return strip_quantization(request.model)
    refuse_quantized(request.model)
    return request.model


def refuse_quantized(model: Model) -> None:
    """Raise ModelError for a graph that holds quantized operators already."""
    found = quantized_operators(model)
    if found:
        counts = ", ".join(f"{count} {kind}" for kind, count in found.items())
        raise ModelError(
            f"the model is already quantized: it holds {counts}",
            "give edgesdk the float model: it calibrates and quantizes for the device itself; "
            "where only this one is left, add --requantize",
        )


def has_image_input(model: Model) -> bool:
    """True when its one input is float32 of shape (N, 3, H, W), all sizes fixed."""
    inputs = model.inputs
    if len(inputs) != 1 or inputs[0].dtype != "float32" or not inputs[0].is_static:
        return False
    return len(inputs[0].shape) == 4 and inputs[0].shape[1] == 3


def image_input(model: Model) -> TensorSpec:
    """The one input that pictures go into. Raises ModelError for any other model."""
    if not has_image_input(model):
        found = ", ".join(map(str, model.inputs)) or "none"
        raise ModelError(
            f"pictures go into one input float32[Nx3xHxW], and the model's are {found}",
            "give --data an .npz with arrays named as the inputs, the first axis counting the "
            "samples, and no --spec; a model of NxHxWx3 should be exported as Nx3xHxW "
            "(tf2onnx: --inputs-as-nchw)",
        )
    return model.inputs[0]


def make_feeds(data: Data, model: Model, spec: ModelSpec | None) -> FeedSource:
    """What the prepared model is fed with. Raises DataError for arrays that do not fit it."""
    if isinstance(data, ArrayFile):
        return ArrayFeeds(data, model.inputs)
    image_input(model)
    spec = fitting_spec(spec, model)
    return PictureFeeds(data, spec.preprocess, model.inputs)


def chosen_spec(request: BuildRequest, model: Model) -> ModelSpec | None:
    """What is known of the model's pictures; None where none go in."""
    data = (request.data, request.held_out)
    if any(isinstance(d, PictureSet) for d in data) or request.spec or has_image_input(model):
        if request.spec is None and any(isinstance(d, ArrayFile) for d in data):
            return None
        return fitting_spec(request.spec, model)
    return None


def complete_shapes(request: BuildRequest) -> dict[str, tuple[int, ...]]:
    """The given sizes; a picture input without its own takes 1 x 3 and the spec's size."""
    shapes = dict(request.shapes)
    first = request.model.inputs[0] if request.model.inputs else None
    if request.spec and first and first.name not in shapes and not first.is_static:
        preprocess = request.spec.preprocess
        if len(first.shape) == 4:
            shapes[first.name] = (1, 3, preprocess.height, preprocess.width)
    return shapes


def fitting_spec(spec: ModelSpec | None, model: Model) -> ModelSpec:
    """The spec, checked against the model's picture input; without one, the usual guess."""
    image = image_input(model)
    height, width = (int(size) for size in image.shape[2:])
    if spec is None:
        return ModelSpec(Preprocess(width, height, "letterbox", "rgb", scale=1 / 255))
    if (spec.preprocess.height, spec.preprocess.width) != (height, width):
        raise ModelError(
            f"the spec prepares pictures of {spec.preprocess.width}x{spec.preprocess.height}, "
            f"the model's input {image.name!r} is {width}x{height} (width x height)",
            "set width and height of [preprocess] to the model's",
        )
    return spec
