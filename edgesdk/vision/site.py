"""All that is counted, timed and measured in one camera's picture, from one set of paths."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from edgesdk.detections import Detections
from edgesdk.errors import UsageError
from edgesdk.vision.counting import Crossing, LineCounter
from edgesdk.vision.draw import Notes
from edgesdk.vision.ground import Ground, Speed, SpeedGauge, SpeedSettings
from edgesdk.vision.line import Line
from edgesdk.vision.paths import CountingSettings, Paths, Seen
from edgesdk.vision.tracker import Confirmed
from edgesdk.vision.zone import Visit, Zone, ZoneWatch


@dataclass(frozen=True)
class Site:
    """What is watched, in pixels of the picture."""

    size: tuple[int, int]
    """Width and height of the picture."""
    lines: tuple[Line, ...] = ()
    zones: tuple[Zone, ...] = ()
    ground: Ground | None = None
    """None: no speeds."""
    regions: tuple[Zone, ...] = ()
    """What is not in one of these is not looked at; none: all is."""

    def check(self) -> None:
        """Raises UsageError for two of the same name, and for what lies outside the picture."""
        width, height = self.size
        for kind, places in (("line", self.lines), ("zone", self.zones)):
            twice = [name for name, n in Counter(p.name for p in places).items() if n > 1]
            if twice:
                raise UsageError(
                    f"each {kind} needs a name of its own, found {twice[0]!r} twice",
                    f"such as name = {twice[0] + '_2'!r}",
                )
        for line in self.lines:
            hint = f"such as --line 0,{0.6 * height:.0f},{width},{0.6 * height:.0f}"
            what = "{:g},{:g},{:g},{:g}".format(*line.start, *line.end)
            _check_inside(f"the line {what}", (line.start, line.end), width, height, hint)
        for zone in self.zones:
            _check_inside(f"the zone {zone.name!r}", zone.points, width, height)
        for number, region in enumerate(self.regions):
            _check_inside(f"regions[{number}]", region.points, width, height)


@dataclass(frozen=True)
class News:
    """What one frame brought."""

    crossings: tuple[Crossing, ...] = ()
    visits: tuple[Visit, ...] = ()


class SiteWatch:
    """Counts at the lines, times in the zones and measures speeds, of one stream."""

    def __init__(
        self,
        site: Site,
        labels: tuple[str, ...] = (),
        settings: CountingSettings | None = None,
        speed: SpeedSettings | None = None,
    ) -> None:
        self._paths = Paths(settings)
        self.lines = tuple(LineCounter(line, labels, settings) for line in site.lines)
        self.zones = tuple(ZoneWatch(zone, labels, settings) for zone in site.zones)
        self._gauge = SpeedGauge(site.ground, site.size, speed) if site.ground else None
        self._seen: tuple[Seen, ...] = ()
        self._now_s = 0.0

    def update(
        self,
        detections: Detections,
        frame_index: int,
        time_s: float,
        confirmed: Sequence[Confirmed] = (),
    ) -> News:
        """What this frame, at `time_s` of media time, brings. Call it for every frame, in order.

        `confirmed` is the tracker's `confirmed_now`.
        """
        seen = self._paths.update(detections, frame_index, confirmed)
        gone = self._paths.gone
        # What was seen before a track was confirmed has no time here; it matters at lines only.
        present = tuple(each for each in seen if each.frame == frame_index)
        self._seen, self._now_s = present, time_s
        if self._gauge:
            self._gauge.take(present, time_s)
        news = News(
            tuple(self._with_speed(c) for line in self.lines for c in line.take(seen, gone)),
            tuple(v for zone in self.zones for v in zone.take(present, time_s, gone)),
        )
        if self._gauge:
            self._gauge.take((), time_s, gone)
        return news

    def finish(self) -> News:
        """After the last frame: what one more sighting would have made sure, and who leaves."""
        return News(
            tuple(self._with_speed(c) for line in self.lines for c in line.finish()),
            tuple(v for zone in self.zones for v in zone.finish()),
        )

    def speed(self, path: int) -> Speed | None:
        """Of an object just now; None where it is not sure or there is no ground."""
        return self._gauge.speed(path) if self._gauge else None

    def notes(self) -> Notes:
        """What to write into the picture of the last frame."""
        one = self.lines[0] if len(self.lines) == 1 else None
        return Notes(
            corner=one.totals if one else {},
            lines={} if one else {each.line.name: _counts(each) for each in self.lines},
            zones={z.zone.name: f"{z.zone.name}: {z.occupancy}" for z in self.zones},
            tracks=self._about_tracks(),
        )

    def _about_tracks(self) -> dict[int, str]:
        """Speeds, and seconds so far for those in a zone."""
        inside = {p: s for zone in self.zones for p, s in zone.seconds_inside(self._now_s).items()}
        texts = {}
        for seen in self._seen:
            speed = self.speed(seen.path)
            parts = [f"{speed.kmh:.0f} km/h"] if speed else []
            parts += [f"{inside[seen.path]:.0f} s"] if seen.path in inside else []
            texts[seen.track_id] = ", ".join(parts)
        return texts

    def _with_speed(self, crossing: Crossing) -> Crossing:
        return replace(crossing, speed=self.speed(crossing.path))


def _counts(counter: LineCounter) -> str:
    ways = "  ".join(f"{name} {count}" for name, count in counter.totals.items())
    return f"{counter.line.name}: {ways}"


def _check_inside(
    what: str,
    points: Sequence[tuple[float, float]],
    width: int,
    height: int,
    hint: str = "",
) -> None:
    low, high = np.min(points, axis=0), np.max(points, axis=0)
    if (
        not all(map(math.isfinite, (*low, *high)))
        or (high < 0).any()
        or (low > (width, height)).any()
    ):
        raise UsageError(f"{what} is not in the pictures, which are {width}x{height}", hint)
