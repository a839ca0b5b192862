"""Small copies of the few pictures that set ranges by themselves, so that a page can show them."""

from __future__ import annotations

from base64 import b64encode
from collections import Counter
from collections.abc import Collection, Iterable, Mapping

import numpy as np
from numpy.typing import NDArray

from edgesdk._optional import require
from edgesdk.bundle import Range
from edgesdk.pictures import Picture

MOST = 4
SIDE_PX = 160
MAX_BYTES = 10_000
DOMINANT = 1.5
"""A picture whose peak is so many times that of the next one sets a range by itself."""


def is_dominated(found: Range) -> bool:
    """Whether one picture alone set the range, and an observer did not cut it off anyway."""
    evidence = found.evidence
    if evidence is None or evidence.peak_ratio is None or evidence.peak_ratio < DOMINANT:
        return False
    return found.amax > found.largest / evidence.peak_ratio


def dominant_pictures(ranges: Mapping[str, Range]) -> tuple[str, ...]:
    """Pictures that set the ranges of tensors by themselves, those of the most tensors first."""
    counts = Counter(
        found.evidence.peak_picture
        for found in ranges.values()
        if found.evidence and is_dominated(found)
    )
    return tuple(name for name, _ in sorted(counts.items(), key=lambda item: (-item[1], item[0])))


def thumbnails(pictures: Iterable[Picture], names: Collection[str]) -> dict[str, str]:
    """JPEGs in base64 of those of the first MOST names that `pictures` has."""
    wanted = set(list(names)[:MOST])
    found: dict[str, str] = {}
    if not wanted:
        return found
    for picture in pictures:
        if picture.name in wanted:
            found[picture.name] = _jpeg(picture.image)
        if len(found) == len(wanted):
            break
    return {name: data for name, data in found.items() if data}


def _jpeg(image: NDArray[np.uint8]) -> str:
    """At most MAX_BYTES of JPEG; empty where even the coarsest is larger."""
    cv2 = require("cv2", "make thumbnails")
    ratio = min(SIDE_PX / max(image.shape[:2]), 1.0)
    size = max(round(image.shape[1] * ratio), 1), max(round(image.shape[0] * ratio), 1)
    small = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    for quality in (75, 50, 25):
        done, data = cv2.imencode(".jpg", small, [cv2.IMWRITE_JPEG_QUALITY, quality])
        if done and len(data) <= MAX_BYTES:
            return b64encode(data.tobytes()).decode()
    return ""
