"""Pictures for people: parts with their verdicts, and where the last reject is bad."""

from __future__ import annotations

import math
from collections import Counter
from types import ModuleType

import numpy as np
from numpy.typing import NDArray

from edgesdk._optional import require
from edgesdk.inspection.settings import Moves
from edgesdk.inspection.verdict import Verdict
from edgesdk.pipeline import Packet
from edgesdk.vision.draw import LINE_COLOR
from edgesdk.vision.pen import LIGHT, Color, Pen, Picture

PASS: Color = (115, 158, 0)
REJECT: Color = (0, 94, 213)
DUE: Color = (170, 170, 170)
"""BGR of Okabe and Ito's colours, which colour-blind people can tell apart too."""
_COLD = 0.8
"""Below this share of the threshold nothing is drawn."""
_KEPT = 64
"""So many verdicts are remembered, for parts that are still in the picture."""


class InspectionView:
    """Draws onto copies of the frames. `note` it every packet; `draw` those that are shown."""

    def __init__(self, station_px: float, moves: Moves) -> None:
        """`station_px` as PartFinder has it."""
        self._cv2: ModuleType = require("cv2", "draw on pictures")
        self._station_px = station_px
        self._moves = moves
        self._verdicts: dict[int, Verdict] = {}
        self._totals: Counter[str] = Counter()
        self._last: tuple[Picture, Verdict] | None = None

    def note(self, packet: Packet) -> Packet:
        """Remember the verdicts of a packet, which is returned as it is."""
        verdicts = [event for event in packet.events if isinstance(event, Verdict)]
        for verdict in verdicts:
            self._totals[verdict.outcome] += 1
            self._verdicts[verdict.part] = verdict
            if len(self._verdicts) > _KEPT:
                del self._verdicts[next(iter(self._verdicts))]
        rejected = {v.part: v for v in verdicts if v.outcome == "reject"}
        for part in packet.parts:
            if part.number in rejected and part.views:
                view = part.views[0]
                heat = view.inspected.heat if view.inspected else None
                verdict = rejected[part.number]
                self._last = self._heated(view.picture, heat, verdict.threshold), verdict
        return packet

    def draw(self, packet: Packet) -> Picture:
        """A new picture: parts in their verdict's colour, the station, counts, the last reject."""
        pen = Pen(packet.frame.image.copy())
        pen.line(*self._station(*packet.frame.image.shape[:2]), LINE_COLOR)
        found = packet.detections
        for box, number in zip(found.xyxy, found.track_id.tolist(), strict=True):
            corners = np.rint(box).astype(int).tolist()
            verdict = self._verdicts.get(number)
            color = DUE if verdict is None else REJECT if verdict.outcome == "reject" else PASS
            pen.box(corners, color, thin=verdict is None)
            if verdict is not None:
                pen.label(_texts(verdict), corners, color, LIGHT)
        pen.panel([f"{outcome}  {self._totals[outcome]}" for outcome in ("pass", "reject")])
        if self._last is not None:
            self._inset(pen, *self._last)
        return pen.image

    def _heated(
        self, picture: Picture, heat: NDArray[np.float32] | None, threshold: float
    ) -> Picture:
        """The part with its heat map over it: nothing where it is good, glowing from the threshold
        on, white at its double."""
        if heat is None or not np.isfinite(heat).all() or not threshold > 0:
            return picture
        share = np.clip((heat / threshold - _COLD) / (2 - _COLD), 0, 1).astype(np.float32)
        share = self._cv2.resize(share, picture.shape[1::-1], interpolation=self._cv2.INTER_LINEAR)
        color = self._cv2.applyColorMap((share * 255).astype(np.uint8), self._cv2.COLORMAP_INFERNO)
        weight = np.clip(1.5 * share, 0, 0.8)[..., None]
        mixed: Picture = (picture * (1 - weight) + color * weight).astype(np.uint8)
        return mixed

    def _inset(self, pen: Pen, picture: Picture, verdict: Verdict) -> None:
        """The last reject in the upper right corner, with its reason and number."""
        side = max(min(pen.image.shape[:2]) // 5, 48)
        margin = max(side // 12, 4)
        small = self._cv2.resize(picture, (side, side), interpolation=self._cv2.INTER_AREA)
        left = pen.image.shape[1] - side - margin
        pen.image[margin : margin + side, left : left + side] = small
        frame = [left, margin, left + side, margin + side]
        pen.box(frame, REJECT, thin=False)
        pen.label([f"#{verdict.part} {_why(verdict)}", f"#{verdict.part}"], frame, REJECT, LIGHT)

    def _station(self, height: int, width: int) -> tuple[tuple[int, int], tuple[int, int]]:
        place = round(self._station_px)
        if self._moves in ("right", "left"):
            x = place if self._moves == "right" else width - place
            return (x, 0), (x, height)
        y = place if self._moves == "down" else height - place
        return (0, y), (width, y)


def _texts(verdict: Verdict) -> list[str]:
    number = f"#{verdict.part}"
    return [f"{number} {verdict.outcome} {_why(verdict)}", f"{number} {_why(verdict)}", number]


def _why(verdict: Verdict) -> str:
    """The score, or what stands in its place."""
    scored = verdict.reason == "score" and not math.isnan(verdict.score)
    return f"{verdict.score:.2f}" if scored else verdict.reason
