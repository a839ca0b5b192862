"""Tells when what passes is not as large as parts were said to be, which is a setting to mend."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from statistics import median

from edgesdk.inspection.belt import Sighting
from edgesdk.inspection.settings import PartSettings
from edgesdk.vision.parts import Box

WATCHED = 100
"""Frames with something in them, before anything is said."""
SPECK_PX = 12.0
"""What is smaller than this is dirt for everybody."""
LEAST, LARGEST, CROP = 0.55, 1.2, 4 / 3
"""Of a part's length: bounds that let it vary, and the square around it."""

_log = logging.getLogger(__name__)


class SizeWatch:
    """Looks on until a single part of the right size was seen, or says once what was instead."""

    def __init__(self, settings: PartSettings) -> None:
        self._allowed = settings.size_px
        self._large_px: list[float] = []
        self._small_px: list[float] = []
        self._over = False

    def look(self, found: Sequence[Sighting], left_out_px: float) -> None:
        """At one frame: what may be parts, and the largest of what was taken for dirt, in pixels
        (0: nothing was)."""
        if self._over:
            return
        crowds = [each.crowd for each in found if each.crowd]
        if len(crowds) < len(found):
            self._over = True
        elif crowds:
            self._large_px.append(max(_longest_px(box) for box in crowds))
        elif left_out_px >= SPECK_PX:
            self._small_px.append(left_out_px)
        if len(self._large_px) + len(self._small_px) >= WATCHED and not self._over:
            self._over = True
            more_large = len(self._large_px) >= len(self._small_px)
            self._tell(median(self._large_px if more_large else self._small_px))

    def _tell(self, seen_px: float) -> None:
        least, largest = (round(seen_px * share) for share in (LEAST, LARGEST))
        _log.warning(
            "in %d frames nothing was as large as a part (parts.size_px is %g to %g px), but things"
            " of %.0f px were: if these are single parts, run with"
            " --set 'parts.size_px=[%d,%d]' --set parts.crop_px=%d",
            *(WATCHED, *self._allowed, seen_px, least, largest, round(seen_px * CROP)),
        )


def _longest_px(box: Box) -> float:
    return max(box[2] - box[0], box[3] - box[1])
