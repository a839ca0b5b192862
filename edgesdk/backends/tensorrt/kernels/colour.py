"""From Y, U, V to B, G, R in whole numbers, as OpenCV's cvtColor does it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Standard = Literal["bt601", "bt601-full", "bt709", "bt709-full"]
"""How a decoder's Y, U, V are meant. "bt601" and "bt709" have Y 16..235 (limited range), the others
0..255. On a Jetson, NvBufSurface says it in its colour format: NV12, NV12_ER, NV12_709,
NV12_709_ER, in this order."""
ONE = 1 << 20
"""Unit of the coefficients."""


@dataclass(frozen=True)
class Colour:
    """Coefficients in units of 2^-20: B = (Y - black) * luma + (U - 128) * blue_u, and so on."""

    black: int
    """Y of black."""
    luma: int
    blue_u: int
    green_u: int
    green_v: int
    red_v: int


def colour_of(standard: Standard) -> Colour:
    """The coefficients of `standard`.

    "bt601" has OpenCV's own (1.164, 2.018, -0.391, -0.813, 1.596: three digits), so that the result
    is that of COLOR_YUV2BGR_NV12. The others follow from the weights of red and blue in Y that
    ITU-R BT.601 and BT.709 give.
    """
    if standard == "bt601":
        return Colour(16, 1220542, 2116026, -409993, -852492, 1673527)
    red, blue = (0.299, 0.114) if standard.startswith("bt601") else (0.2126, 0.0722)
    full = standard.endswith("-full")
    return _from_weights(red, blue, full)


def _from_weights(red: float, blue: float, full: bool) -> Colour:
    light, tint = (1.0, 1.0) if full else (255 / 219, 255 / 224)
    green = 1 - red - blue
    return Colour(
        0 if full else 16,
        round(light * ONE),
        round(2 * (1 - blue) * tint * ONE),
        round(-2 * (1 - blue) * blue / green * tint * ONE),
        round(-2 * (1 - red) * red / green * tint * ONE),
        round(2 * (1 - red) * tint * ONE),
    )
