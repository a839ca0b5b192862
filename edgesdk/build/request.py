"""What is asked of a build, checked as far as it can be before any work."""

from __future__ import annotations

from dataclasses import dataclass, field

from edgesdk.bundle import Precision
from edgesdk.devices import DeviceProfile, JetPack
from edgesdk.errors import ModelError, UsageError
from edgesdk.model import Model
from edgesdk.pictures import PictureSet
from edgesdk.preprocess import Preprocess
from edgesdk.spec import ModelSpec
from edgesdk.tensors import TensorSpec

GUESS = "no spec was given: pictures go in letterboxed, as RGB, scaled to 0..1"


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
    data: PictureSet | None = None
    """Pictures to calibrate with."""
    held_out: PictureSet | None = None
    """Pictures to measure the accuracy with; None: the calibration pictures."""
    shapes: dict[str, tuple[int, ...]] = field(default_factory=dict)
    """Sizes for inputs that lack them."""

    def __post_init__(self) -> None:
        if self.precision == "int8" and self.data is None:
            raise UsageError(
                "INT8 needs pictures to calibrate with, and none were named",
                "add --data FOLDER (a tar, npz or video does too), or build with --precision fp16",
            )


def refuse_quantized(model: Model) -> None:
    """Raise ModelError for a graph that holds quantized operators already."""
    found = [n.op_type for n in model.proto.graph.node if "Quantize" in n.op_type]
    found += [n.op_type for n in model.proto.graph.node if n.op_type.startswith("QLinear")]
    if found:
        raise ModelError(
            f"the model is already quantized: it holds {len(found)} operators such as {found[0]}",
            "give edgesdk the float model: it calibrates and quantizes for the device itself",
        )


def image_input(model: Model) -> TensorSpec:
    """The one input that pictures go into: float32, 1 x 3 x H x W."""
    inputs = model.inputs
    if len(inputs) != 1 or inputs[0].dtype != "float32" or inputs[0].shape[:2] != (1, 3):
        found = ", ".join(map(str, inputs)) or "none"
        raise ModelError(
            f"the model should have one input float32[1x3xHxW] for a picture, found {found}",
            "export it with one picture for each run; other inputs are not supported yet",
        )
    return inputs[0]


def complete_shapes(request: BuildRequest) -> dict[str, tuple[int, ...]]:
    """The given sizes; a picture input without its own takes 1 x 3 and the spec's size."""
    shapes = dict(request.shapes)
    first = request.model.inputs[0] if request.model.inputs else None
    if request.spec and first and first.name not in shapes and not first.is_static:
        preprocess = request.spec.preprocess
        if len(first.shape) == 4:
            shapes[first.name] = (1, 3, preprocess.height, preprocess.width)
    return shapes


def fitting_spec(spec: ModelSpec | None, image: TensorSpec) -> ModelSpec:
    """The spec, checked against the model's input; without one, the usual guess."""
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
