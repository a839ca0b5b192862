"""Parts by the boxes of a detector that knows them."""

from __future__ import annotations

from edgesdk.inspection.belt import Sighting
from edgesdk.inspection.settings import PartSettings
from edgesdk.pipeline import Packet


class Boxes:
    """Reads `packet.detections`: what is as large as a part is one."""

    def __init__(self, settings: PartSettings) -> None:
        self._settings = settings
        self.left_out_px = 0.0
        """The longest of what was too small to be a part in the last frame; 0: nothing was."""

    def find(self, packet: Packet) -> list[Sighting]:
        """What is in the picture, from the smallest part's size on."""
        height, width = packet.frame.image.shape[:2]
        lengthwise = self._settings.moves in ("right", "left")
        across_px, low = (height, 1) if lengthwise else (width, 0)
        first, last = (share * across_px for share in self._settings.between)
        least, largest = self._settings.size_px
        found = []
        self.left_out_px = 0.0
        for left, top, right, bottom in packet.detections.xyxy.tolist():
            box = (left, top, right, bottom)
            size = (right - left, bottom - top)
            middle = (box[low] + box[low + 2]) / 2
            if not first <= middle <= last:
                continue
            if max(size) >= least and min(size) >= least / 2:
                found.append(Sighting(box, box if max(size) > largest else None))
            else:
                self.left_out_px = max(self.left_out_px, *size)
        return found
