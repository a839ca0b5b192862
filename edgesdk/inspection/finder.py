"""The stage that says which parts are due in a frame, by their passage or by a trigger."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable
from dataclasses import replace
from typing import Literal

import numpy as np

from edgesdk.detections import Detections
from edgesdk.errors import EdgeError, UsageError
from edgesdk.frames import Frame
from edgesdk.inspection.belt import Belt, Sighting
from edgesdk.inspection.boxes import Boxes
from edgesdk.inspection.direction import DirectionWatch
from edgesdk.inspection.following import Following, Seen, Track
from edgesdk.inspection.settings import PartSettings
from edgesdk.inspection.sizes import SizeWatch
from edgesdk.pipeline import Packet
from edgesdk.vision.parts import Box, Part, View, cut_out

Fired = Callable[[], tuple[int, ...]]
"""Monotonic times in ns at which a trigger fired since the last call: `Trigger.fired`."""

CROWDED = "it touches another part, or is larger than a part may be"
CUT = "a part of it is outside the picture"
_EDGE_PX = 3.0
"""What comes nearer to the edge of the picture than this may be cut by it."""

_log = logging.getLogger(__name__)


class PartFinder:
    """Fills in `packet.parts`: each part once, when it is due; and its boxes as detections.

    With the setting finder = "detector" parts are the boxes that `packet.detections` has already.
    Without a trigger a part is due in the first frame with its middle past the station. With one,
    in the first frame that was captured when the trigger had fired and the delay was over: then it
    is the part nearest to the station. A part is never due twice, whatever comes.
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
        self._fired = fired
        self._sees = Boxes(settings) if settings.finder == "detector" else Belt(settings)
        self._sizes = SizeWatch(settings)
        self._direction = DirectionWatch(settings.moves)
        self._following = Following(settings.size_px[1], settings.speed_px_s or None)
        self._pending: list[int] = []
        self._next = 0
        self._begun = False
        self._deaf = ""
        self._told = self._gap_told = False
        self._last_s = math.inf
        self._crowded = True
        self._troubles_told: set[str] = set()

    def __call__(self, packet: Packet) -> Packet:
        """The packet with the parts that are due in it, and the boxes of all parts seen."""
        frame = packet.frame
        found = [each for each in self._sees.find(packet) if self._is_whole(each.box)]
        self._sizes.look(found, self._sees.left_out_px)
        seen = [self._seen(frame, each) for each in self._believed(found)]
        self._direction.look(seen)
        self._follow(seen, frame)
        self._recognize()
        parts = self._passing(frame) if self._fired is None else self._triggered(frame)
        self._let_go()
        return replace(packet, parts=tuple(parts), detections=self._visible(frame))

    def _follow(self, seen: list[Seen], frame: Frame) -> None:
        time_s = frame.time_ns / 1e9
        self._tell_gap(time_s - self._last_s)
        self._last_s = time_s
        again, fresh = self._following.update(seen, time_s)
        for track in (*again, *fresh):
            track.keep(track.last, self.station_px, self._settings.views)
        if not self._begun:
            for track in fresh:  # Who lay beyond the station when the run began passed before it.
                track.passed = track.along_px >= self.station_px
        self._begun = True

    def _believed(self, found: list[Sighting]) -> list[Sighting]:
        """Nothing where all that is seen touches at once and did not a frame ago: a garbled picture
        looks like that, and would move the parts. Twice in a row it is believed."""
        before, self._crowded = self._crowded, bool(found) and all(s.crowded for s in found)
        return [] if self._crowded and not before else found

    def _tell_gap(self, gap_s: float) -> None:
        """Once, when a part may have come and gone between two frames, and no trigger tells."""
        moved_px = (self._following.speed_px_s or 0.0) * gap_s
        room_px = self._length_px - self._settings.size_px[1]
        if moved_px > room_px and self._fired is None and not self._gap_told:
            self._gap_told = True
            _log.warning(
                "no frame for %.1f s: parts may have passed unseen, as in any gap of more than"
                " %.1f s; dead_after of a reject output should be shorter",
                *(gap_s, room_px * gap_s / moved_px),
            )

    def _recognize(self) -> None:
        """What was judged, then lost, and comes up again beyond the station keeps its number."""
        tracks = self._following.tracks
        for track in tracks:
            if track.passed or track.first_px < self.station_px or not self._is_part(track):
                continue
            lost = (other for other in tracks if other.passed and other.seen_s < track.seen_s)
            for other in lost:
                if abs(other.along_px - track.along_px) < self._settings.size_px[1] / 2:
                    track.passed, track.number = True, other.number
                    other.along_px = math.inf  # It is let go of.
                    break

    def _passing(self, frame: Frame) -> list[Part]:
        due = [track for track in self._following.tracks if self._has_passed(track)]
        due.sort(key=lambda track: -track.along_px)
        return [self._part(track, frame.captured_ns) for track in due]

    def _has_passed(self, track: Track) -> bool:
        reached = track.along_px >= self.station_px
        return reached and not track.passed and self._is_part(track)

    def _is_part(self, track: Track) -> bool:
        return track.sightings >= self._settings.sightings

    def _triggered(self, frame: Frame) -> list[Part]:
        """The part at the station for each time the trigger fired; without one an empty part."""
        assert self._fired is not None
        try:
            fired = self._fired()
        except EdgeError as error:
            return self._without_ears(frame, error)
        if self._deaf:
            _log.warning("the trigger is read again")
            self._deaf = ""
        delay_ns = round(self._settings.delay_ms * 1e6)
        self._pending += [time_ns + delay_ns for time_ns in fired]
        due = [time_ns for time_ns in self._pending if time_ns <= frame.captured_ns]
        self._pending = [time_ns for time_ns in self._pending if time_ns > frame.captured_ns]
        return [self._at_station(time_ns, frame) for time_ns in due]

    def _without_ears(self, frame: Frame, error: EdgeError) -> list[Part]:
        """While the trigger cannot be read, parts are due as they pass, and none of them is good:
        nobody knows which of them the machine has counted."""
        if not self._deaf:
            _log.warning("the trigger cannot be read, so parts fail as they pass: %s", error)
        self._deaf = error.message
        return [
            replace(part, error=f"the trigger cannot be read: {error.message}")
            for part in self._passing(frame)
        ]

    def _at_station(self, due_ns: int, frame: Frame) -> Part:
        moved_px = (self._following.speed_px_s or 0.0) * (frame.captured_ns - due_ns) / 1e9
        free = [t for t in self._following.tracks if not t.passed]

        def away_px(track: Track) -> float:
            return abs(track.along_px - moved_px - self.station_px)

        nearest = min(free, key=away_px, default=None)
        if nearest is None or away_px(nearest) > self._settings.size_px[1]:
            return Part(self._number(), due_ns, ())
        return self._part(nearest, due_ns)

    def _part(self, track: Track, due_ns: int) -> Part:
        track.passed, track.number = True, self._number()
        trouble = track.views[0].trouble
        self._tell(track.number, trouble)
        alike = [seen.view for seen in track.views if bool(seen.trouble) == bool(trouble)]
        return Part(track.number, due_ns, tuple(alike), trouble)

    def _tell(self, number: int, trouble: str) -> None:
        """Why a part cannot be judged, once for each reason."""
        if trouble and trouble not in self._troubles_told:
            self._troubles_told.add(trouble)
            _log.warning(
                "part %d cannot be judged: %s (parts.size_px allows %g to %g px)",
                *(number, trouble, *self._settings.size_px),
            )

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
        if sighting.crowded:
            return CROWDED
        first, last = (1, 3) if self._lengthwise else (0, 2)
        across_px = self._size[1] if self._lengthwise else self._size[0]
        inside = sighting.box[first] >= 1 and sighting.box[last] <= across_px - 1
        return "" if inside else CUT

    def _let_go(self) -> None:
        """Of what has left the picture; a part that no trigger told of is said once."""
        for track in self._following.forget(self._length_px + self._settings.size_px[1]):
            if not track.passed and self._is_part(track) and not self._told:
                _log.warning("a part left the picture and was not judged: no trigger fired for it")
                self._told = True

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
