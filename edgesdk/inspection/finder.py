"""The stage that says which parts are due in a frame, by their passage or by a trigger."""

from __future__ import annotations

import logging
import math
from dataclasses import replace
from typing import Literal

import numpy as np

from edgesdk.detections import Detections
from edgesdk.errors import UsageError
from edgesdk.frames import Frame
from edgesdk.inspection.belt import Belt, Sighting
from edgesdk.inspection.boxes import Boxes
from edgesdk.inspection.direction import DirectionWatch
from edgesdk.inspection.ears import Ears, Fired
from edgesdk.inspection.following import Following, Seen, Track
from edgesdk.inspection.gaps import Gaps, Way
from edgesdk.inspection.settings import PartSettings
from edgesdk.inspection.sizes import SizeWatch
from edgesdk.pipeline import Packet
from edgesdk.vision.parts import Box, Part, View, cut_out

CROWDED = "it touches another part, or is larger than a part may be"
CUT = "a part of it is outside the picture"
_SAME = 0.15
"""Share of the largest part's size by which a crowd may seem to move across the belt."""
_EDGE_PX = 3.0
"""What comes nearer to the edge of the picture than this may be cut by it."""

_log = logging.getLogger(__name__)


class PartFinder:
    """Fills in `packet.parts`: each part once, when it is due; and its boxes as detections.

    With the setting finder = "detector" parts are the boxes that `packet.detections` has already.
    Without a trigger a part is due in the first frame with its middle past the station. With one,
    in the first frame that was captured when the trigger had fired and the delay was over: then it
    is the part nearest to the station. A part that passes and of which the trigger does not tell is
    due as well, and marked. A part is never due twice, whatever comes.
    """

    name = "locate"
    remembers: Literal[True] = True

    def __init__(
        self, settings: PartSettings, width: int, height: int, fired: Fired | None = None
    ) -> None:
        """Pictures are `width` x `height` px. `fired` is a trigger's; None: the passage.

        Raises UsageError for pictures that are too short to follow a part in.
        """
        self._settings = settings
        self._size = (width, height)
        self._lengthwise = settings.moves in ("right", "left")
        self._length_px = float(width if self._lengthwise else height)
        if self._length_px < 2 * settings.size_px[1]:
            raise UsageError(
                f"the picture is {self._length_px:g} px long along the belt: too short to follow a"
                f" part of up to {settings.size_px[1]:g} px through it",
                "let the camera see at least two parts' lengths, or make parts.size_px smaller",
            )
        if settings.side_px > max(width, height):
            raise UsageError(
                f"parts.crop_px is {settings.side_px}, more than the picture's {width}x{height}: a"
                " part would be lost in it",
                f"about 4/3 of the largest part, such as {settings.size_px[1] * 4 / 3:.0f}",
            )
        self.station_px = settings.station * self._length_px
        """Where parts are judged, along the belt, from where they come in."""
        self._ears = Ears(fired, round(settings.delay_ms * 1e6)) if fired else None
        half_px = settings.size_px[1] / 2 + _EDGE_PX
        self._gaps = Gaps(
            Way(half_px, self.station_px, self._length_px - half_px, settings.sightings)
        )
        self._sees = Boxes(settings) if settings.finder == "detector" else Belt(settings)
        self._sizes = SizeWatch(settings)
        self._direction = DirectionWatch(settings.moves)
        self._following = Following(settings.size_px[1], settings.speed_px_s or None)
        self._next = 0
        self._begun = False
        self._crowds: list[Box] | None = None
        self._speed_px_s = 0.0
        """Of the belt before the frame at hand."""
        self._told: set[str] = set()

    def __call__(self, packet: Packet) -> Packet:
        """The packet with the parts that are due in it, and the boxes of all parts seen."""
        frame = packet.frame
        found = [each for each in self._sees.find(packet) if self._is_whole(each.box)]
        self._sizes.look(found, self._sees.left_out_px)
        seen = [self._seen(frame, each) for each in self._believed(found)]
        self._direction.look(seen)
        self._follow(seen, frame)
        self._recognize()
        parts = self._passing(frame) if self._ears is None else self._triggered(frame, self._ears)
        self._following.forget(self._length_px + self._settings.size_px[1])
        unseen_ns = self._unseen_ns(frame) if self._ears is None else self._ears.missed_ns
        shown = self._visible(frame)
        return replace(packet, parts=tuple(parts), detections=shown, unseen_ns=unseen_ns)

    def _follow(self, seen: list[Seen], frame: Frame) -> None:
        self._gaps.take(frame)
        self._speed_px_s = self._following.speed_px_s or 0.0
        again, fresh = self._following.update(seen, frame.time_ns / 1e9)
        for track in (*again, *fresh):
            track.keep(track.last, self.station_px, self._settings.views)
        if not self._begun:
            for track in fresh:  # Who lay beyond the station when the run began passed before it.
                track.passed = track.along_px >= self.station_px
        self._begun = True

    def _believed(self, found: list[Sighting]) -> list[Sighting]:
        """Without crowds that were not there a frame ago: a garbled picture has such, and would
        move the parts. Twice in a row at the same place across the belt one is believed."""
        before, self._crowds = self._crowds, [s.crowd for s in found if s.crowd is not None]
        return [
            each
            for each in found
            if each.crowd is None
            or before is None
            or any(self._is_beside(each.crowd, crowd) for crowd in before)
        ]

    def _is_beside(self, one: Box, other: Box) -> bool:
        """They lie at the same place across the belt."""
        edges = (1, 3) if self._lengthwise else (0, 2)
        near_px = _SAME * self._settings.size_px[1]
        return all(abs(one[edge] - other[edge]) <= near_px for edge in edges)

    def _unseen_ns(self, frame: Frame) -> tuple[int, int] | None:
        """When parts may have passed since the last frame without being seen, by the speed that the
        belt had then."""
        unseen_ns = self._gaps.unseen_ns(frame, self._speed_px_s)
        if unseen_ns is not None:
            self._tell(
                "gap",
                "no frame for %.1f s: parts may have passed unseen for %.1f s",
                *(self._gaps.step_s, (unseen_ns[1] - unseen_ns[0]) / 1e9),
            )
        return unseen_ns

    def _recognize(self) -> None:
        """What was lost and comes up again is the same part: beyond the station it keeps the number
        that it was judged by; elsewhere it lies where another should be, and two cannot."""
        tracks = self._following.tracks
        for track in tracks:
            if track.passed or not self._is_part(track):
                continue
            for other in tracks:
                if other.seen_s < track.seen_s and self._are_one(track, other):
                    track.passed, track.number = other.passed, other.number
                    other.passed, other.along_px = True, math.inf  # It is let go of.
                    break

    def _are_one(self, track: Track, lost: Track) -> bool:
        away_px = abs(lost.along_px - track.along_px)
        if lost.passed and track.first_px >= self.station_px:
            return away_px < self._settings.size_px[1] / 2
        aside_px = abs(lost.last.across_px - track.last.across_px)
        return max(away_px, aside_px) < self._settings.size_px[0]

    def _passing(self, frame: Frame) -> list[Part]:
        due = [track for track in self._following.tracks if self._has_passed(track)]
        due.sort(key=lambda track: -track.along_px)
        return [
            self._part(track, self._crossed_ns(track, frame, track.first_px < self.station_px))
            for track in due
        ]

    def _crossed_ns(self, track: Track, frame: Frame, fresh: bool) -> int:
        speed_px_s = self._following.speed_px_s or 0.0
        return self._gaps.crossed_ns(frame, track.along_px - self.station_px, speed_px_s, fresh)

    def _has_passed(self, track: Track) -> bool:
        reached = track.along_px >= self.station_px
        return reached and not track.passed and self._is_part(track)

    def _is_part(self, track: Track) -> bool:
        return track.sightings >= self._settings.sightings

    def _triggered(self, frame: Frame, ears: Ears) -> list[Part]:
        """The part at the station for each time the trigger fired, without one an empty part; and
        what passes without a firing."""
        due = (self._at_station(time_ns, frame) for time_ns in ears.due(frame.captured_ns))
        parts = [part for part in due if part is not None]
        for track in sorted(self._following.tracks, key=lambda track: -track.along_px):
            if self._is_untold(track, frame, ears):
                part = self._part(track, self._crossed_ns(track, frame, bool(ears.deaf)))
                parts.append(replace(part, untriggered=True))
                track.untold = True
        return parts

    def _is_untold(self, track: Track, frame: Frame, ears: Ears) -> bool:
        """It has passed the station, and the trigger cannot be read; or it can, and any firing that
        is for this part has come by now."""
        if not self._has_passed(track):
            return False
        beyond_px, reach_px = track.along_px - self.station_px, self._settings.size_px[1]
        if ears.deaf:
            px_ns = (self._following.speed_px_s or 0.0) / 1e9
            ways_px = (px_ns * (at_ns - frame.captured_ns) for at_ns in ears.coming)
            return not any(abs(beyond_px + way_px) <= reach_px for way_px in ways_px)
        if beyond_px <= reach_px or self._settings.untriggered == "ignore":
            return False
        self._tell("untold", "a part passed the station and no trigger fired for it: it fails")
        return True

    def _at_station(self, due_ns: int, frame: Frame) -> Part | None:
        """None: the firing is late, for a part that has failed without it."""
        moved_px = (self._following.speed_px_s or 0.0) * (frame.captured_ns - due_ns) / 1e9
        free = [t for t in self._following.tracks if t.untold or not t.passed]

        def away_px(track: Track) -> float:
            return abs(track.along_px - moved_px - self.station_px)

        nearest = min(free, key=away_px, default=None)
        if nearest is None or away_px(nearest) > self._settings.size_px[1]:
            return Part(self._number(), due_ns, ())
        if nearest.untold:
            nearest.untold = False
            return None
        return self._part(nearest, due_ns)

    def _part(self, track: Track, due_ns: int) -> Part:
        track.passed, track.number = True, self._number()
        trouble = track.views[0].trouble
        if trouble:
            self._tell(
                trouble,
                "part %d cannot be judged: %s (parts.size_px allows %g to %g px)",
                *(track.number, trouble, *self._settings.size_px),
            )
        alike = [seen.view for seen in track.views if bool(seen.trouble) == bool(trouble)]
        return Part(track.number, due_ns, tuple(alike), trouble)

    def _tell(self, what: str, message: str, *values: object) -> None:
        """Log it, once for each kind of trouble."""
        if what not in self._told:
            self._told.add(what)
            _log.warning(message, *values)

    def _number(self) -> int:
        self._next += 1
        return self._next - 1

    def _seen(self, frame: Frame, sighting: Sighting) -> Seen:
        left, top, right, bottom = sighting.box
        middle = ((left + right) / 2, (top + bottom) / 2)
        places = {
            "right": (middle[0], middle[1]),
            "left": (self._size[0] - middle[0], middle[1]),
            "down": (middle[1], middle[0]),
            "up": (self._size[1] - middle[1], middle[0]),
        }
        along, across = places[self._settings.moves]
        picture = cut_out(frame.image, middle, self._settings.side_px)
        view = View(picture, sighting.box, frame.index, round(frame.time_ns / 1e6, 3))
        return Seen(along, across, view, self._trouble(sighting))

    def _is_whole(self, box: Box) -> bool:
        """It has come in and not begun to leave."""
        first, last = (0, 2) if self._lengthwise else (1, 3)
        return box[first] >= _EDGE_PX and box[last] <= self._length_px - _EDGE_PX

    def _trouble(self, sighting: Sighting) -> str:
        if sighting.crowd is not None:
            return CROWDED
        first, last = (1, 3) if self._lengthwise else (0, 2)
        across_px = self._size[1] if self._lengthwise else self._size[0]
        inside = sighting.box[first] >= 1 and sighting.box[last] <= across_px - 1
        return "" if inside else CUT

    def _visible(self, frame: Frame) -> Detections:
        """Boxes of what is seen in this frame; the id is the part's number once it was due."""
        tracks = [t for t in self._following.tracks if t.last.view.frame == frame.index]
        if not tracks:
            return Detections.empty()
        return Detections(
            np.array([track.last.view.box for track in tracks], np.float32),
            np.ones(len(tracks), np.float32),
            np.zeros(len(tracks), np.int64),
            np.array([track.number for track in tracks], np.int64),
        )
