"""How nvinfer prepares its input, as near to a bundle's preprocessing as its keys reach.

nvinfer computes y = net-scale-factor * (x - offsets[c]) with one factor for all channels, offsets
in the order of the model's channels, and pads with black (Gst-nvinfer, DeepStream plugin manual).
Ours is y = (x * scale - mean) / std.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from edgesdk.preprocess import Preprocess

BILINEAR = 1
"""Of nvinfer's scaling-filter."""
COLORS = {"rgb": 0, "bgr": 1}


@dataclass(frozen=True)
class Normalization:
    """y = factor * (x - offset)."""

    factor: float
    offsets: tuple[float, ...]
    """In the order of the model's channels."""
    worst: float
    """Largest error of a channel's factor, as a share of what it should be; 0: exact."""


def normalization(preprocess: Preprocess) -> Normalization:
    """The bundle's scale, mean and std as one factor and offsets.

    Exact where all std are alike. Else the factor in the middle of the channels' own is taken, so
    that the worst of them errs least.
    """
    factors = [preprocess.scale / std for std in preprocess.std]
    offsets = tuple(mean / preprocess.scale for mean in preprocess.mean)
    low, high = min(factors, key=abs), max(factors, key=abs)
    if low == high:
        return Normalization(low, offsets, 0.0)
    # The same share too large for the one as too small for the other.
    factor = 2 * low * high / (low + high) if low * high > 0 else high
    worst = max(abs(factor / own - 1) for own in factors)
    return Normalization(factor, offsets, worst)


def input_keys(preprocess: Preprocess) -> dict[str, str]:
    """Keys of [property] for the preprocessing."""
    found = normalization(preprocess)
    keys = {"net-scale-factor": repr(found.factor)}
    if any(found.offsets):
        keys["offsets"] = ";".join(map(repr, found.offsets))
    keys["model-color-format"] = str(COLORS[preprocess.color])
    keys["infer-dims"] = f"3;{preprocess.height};{preprocess.width}"
    letterbox = preprocess.resize in ("letterbox", "letterbox-top-left")
    keys["maintain-aspect-ratio"] = str(int(letterbox))
    if letterbox:
        keys["symmetric-padding"] = str(int(preprocess.resize == "letterbox"))
    keys["scaling-filter"] = str(BILINEAR)
    return keys


def input_differences(preprocess: Preprocess) -> Iterator[str]:
    """What nvinfer does otherwise than the bundle, in sentences."""
    found = normalization(preprocess)
    if found.worst:
        wanted = ", ".join(f"{preprocess.scale / std:.6g}" for std in preprocess.std)
        yield (
            f"nvinfer has one net-scale-factor for all channels; the model wants {wanted}. "
            f"{found.factor:.6g} is written: input values are wrong by up to {found.worst:.1%}. "
            "To be exact, divide the weights of the first layer by std before the build"
        )
    letterbox = preprocess.resize in ("letterbox", "letterbox-top-left")
    if letterbox and preprocess.pad_value:
        yield (
            f"nvinfer pads with black and has no key for it; the model was calibrated and measured "
            f"with grey {preprocess.pad_value}. To be exact, build with pad_value = 0"
        )
    if preprocess.resize == "center-crop":
        yield (
            "nvinfer has no center crop: it stretches the whole frame. Crop the frames before it, "
            "for example with src-crop of nvvideoconvert"
        )
    yield (
        "nvinfer scales by the VIC or the GPU, not by OpenCV: with scaling-filter=1 (bilinear) "
        "pixels differ a little from those of the calibration"
    )
