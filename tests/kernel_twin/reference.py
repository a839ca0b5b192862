"""What a model should get, in plain numpy: written from the rules, not from edgesdk's code.

Sizes and offsets come from the words of Preprocess's docstrings. The weights are whole numbers of
2048 as in OpenCV's resize.cpp, colours whole numbers of 2^20 as in its color_yuv.simd.hpp;
test_kernels.py holds both against cv2 itself. Normalising is in float64.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Picture = NDArray[np.uint8]


def tensor(
    picture: Picture,
    width: int,
    height: int,
    rule: str,
    rgb: bool,
    scale: float,
    mean: tuple[float, ...],
    std: tuple[float, ...],
    short_side: int = 0,
) -> NDArray[np.float64]:
    """Shape (3, height, width)."""
    pixels = framed(picture, width, height, rule, short_side).astype(np.float64)
    if rgb:
        pixels = pixels[:, :, ::-1]
    return ((pixels * scale - np.array(mean)) / np.array(std)).transpose(2, 0, 1)


def framed(picture: Picture, width: int, height: int, rule: str, short_side: int = 0) -> Picture:
    """Resized, then padded with 114 or cut; shape (height, width, 3)."""
    rows, columns = picture.shape[:2]
    if rule == "stretch":
        return bilinear(picture, width, height)
    if rule == "center-crop":
        ratio = max(width / columns, height / rows, short_side / min(columns, rows))
        wide, high = max(round(columns * ratio), width), max(round(rows * ratio), height)
        left, top = -((width - wide) // 2), -((height - high) // 2)
        return bilinear(picture, wide, high)[top : top + height, left : left + width]
    ratio = min(width / columns, height / rows)
    wide, high = max(int(columns * ratio), 1), max(int(rows * ratio), 1)
    left, top = ((width - wide) // 2, (height - high) // 2) if rule == "letterbox" else (0, 0)
    canvas = np.full((height, width, 3), 114, np.uint8)
    canvas[top : top + high, left : left + wide] = bilinear(picture, wide, high)
    return canvas


def bilinear(picture: Picture, width: int, height: int) -> Picture:
    """OpenCV's INTER_LINEAR for 8 bits: whole numbers, rounded where it rounds."""
    rows, columns = picture.shape[:2]
    x, right, at_right = _positions(columns, width)
    beyond = (x < 0) | (x >= columns - 1)
    right, at_right = np.where(beyond, 0, right), np.where(beyond, 2048, at_right)
    y, below, at_below = _positions(rows, height)
    wide = picture.astype(np.int64)
    across = (
        wide[:, x.clip(0, columns - 1)] * at_right[None, :, None]
        + wide[:, (x + 1).clip(0, columns - 1)] * right[None, :, None]
    ) >> 4
    upper = (across[y.clip(0, rows - 1)] * at_below[:, None, None]) >> 16
    lower = (across[(y + 1).clip(0, rows - 1)] * below[:, None, None]) >> 16
    return ((upper + lower + 2) >> 2).astype(np.uint8)


def _positions(
    size: int, resized: int
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Neighbour before, weight of the one behind it, weight of the one before it."""
    place = np.float32((np.arange(resized) + 0.5) * (1 / (resized / size)) - 0.5)
    before = np.floor(place)
    part = place - before
    behind, front = np.round(part * 2048), np.round((1 - part) * 2048)
    return before.astype(np.int64), behind.astype(np.int64), front.astype(np.int64)


def exact_bilinear(picture: Picture, width: int, height: int) -> NDArray[np.float64]:
    """The same with half-pixel centres in float64 and nothing rounded."""
    rows, columns = picture.shape[:2]
    x = ((np.arange(width) + 0.5) * columns / width - 0.5).clip(0, columns - 1)
    y = ((np.arange(height) + 0.5) * rows / height - 0.5).clip(0, rows - 1)
    left, top = np.floor(x).astype(int), np.floor(y).astype(int)
    right, bottom = (left + 1).clip(0, columns - 1), (top + 1).clip(0, rows - 1)
    u, v = (x - left)[None, :, None], (y - top)[:, None, None]
    upper = picture[top][:, left] * (1 - u) + picture[top][:, right] * u
    lower = picture[bottom][:, left] * (1 - u) + picture[bottom][:, right] * u
    blended: NDArray[np.float64] = upper * (1 - v) + lower * v
    return blended


def bgr_of_nv12(luma: Picture, chroma: Picture) -> Picture:
    """BT.601, limited range, as OpenCV's COLOR_YUV2BGR_NV12: (H, W) and (H/2, W/2, 2) to BGR."""
    rows, columns = luma.shape
    u, v = (_doubled(chroma[..., i])[:rows, :columns] - 128 for i in (0, 1))
    light = np.maximum(luma.astype(np.int64) - 16, 0) * 1220542 + (1 << 19)
    blue = (light + 2116026 * u) >> 20
    green = (light - 409993 * u - 852492 * v) >> 20
    red = (light + 1673527 * v) >> 20
    return np.stack([blue, green, red], -1).clip(0, 255).astype(np.uint8)


def bgr_by_itu(luma: Picture, chroma: Picture, red: float, blue: float, full: bool) -> Picture:
    """The definition in ITU-R BT.601 and BT.709, in float64: E'R - E'Y and so on, then rounded."""
    rows, columns = luma.shape
    u, v = (_doubled(chroma[..., i])[:rows, :columns] - 128.0 for i in (0, 1))
    light = luma / 255.0 if full else (luma - 16.0).clip(0) / 219.0
    tint = 255.0 if full else 224.0
    r = light + 2 * (1 - red) * v / tint
    b = light + 2 * (1 - blue) * u / tint
    g = (light - red * r - blue * b) / (1 - red - blue)
    levels = np.rint(np.stack([b, g, r], -1) * 255.0)
    return levels.clip(0, 255).astype(np.uint8)


def _doubled(plane: Picture) -> NDArray[np.int64]:
    return plane.astype(np.int64).repeat(2, 0).repeat(2, 1)
