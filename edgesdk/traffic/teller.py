"""From what a site's watch finds to the events of a run."""

from __future__ import annotations

import math
from collections.abc import Sequence

from edgesdk.frames import Frame
from edgesdk.pipeline import Event
from edgesdk.traffic.events import Count, Crossing, Visit, column
from edgesdk.vision import counting, zone
from edgesdk.vision.intervals import Interval, IntervalCounts, moment
from edgesdk.vision.site import News, Site

Key = tuple[str, str, str]
"""Line, class, direction."""


class Teller:
    """Makes events of news, and keeps the counts by interval.

    Intervals begin at multiples of their length: by the wall clock (UTC) of a live source, by
    media time of any other.
    """

    kinds = (Crossing, Visit, Count)

    def __init__(
        self, site: Site, labels: Sequence[str], fps: float, live: bool, interval_s: float
    ) -> None:
        """Raises ValueError when `interval_s` is not above 0."""
        self._fps = fps
        self._live = live
        ways = [(line.name, way) for line in site.lines for way in (line.forward, line.backward)]
        self.columns = tuple(
            column(*way)
            for way in (*ways, *((z.name, change) for z in site.zones for change in zone.CHANGES))
        )
        """Of the table of counts, also those that stay 0."""
        keys = [(line, label, way) for line, way in ways for label in labels]
        self._intervals: IntervalCounts[Key] = IntervalCounts(keys, interval_s)

    def events(self, frame: Frame, news: News) -> list[Event]:
        """What one frame brought, and the intervals that are over by now."""
        over = self._intervals.frame(self._clock_s(frame))
        return [*self._told(frame, news), *self._counts(frame, over)]

    def rest(self, last: Frame, news: News) -> list[Event]:
        """After the last frame: its news, and the intervals that are not full."""
        told = self._told(last, news)
        return [*told, *self._counts(last, self._intervals.finish())]

    def _told(self, frame: Frame, news: News) -> list[Event]:
        crossings = [self._crossing(frame, crossing) for crossing in news.crossings]
        return [*crossings, *(self._visit(frame, visit) for visit in news.visits)]

    def _crossing(self, frame: Frame, found: counting.Crossing) -> Crossing:
        late_s = (frame.index - found.frame_index) / self._fps
        key = found.line, found.label, found.direction
        self._intervals.add(key, self._clock_s(frame) - late_s)
        speed = found.speed
        return Crossing(
            frame=found.frame_index,
            time_ms=self._time_ms(frame, found.frame_index),
            label=found.label,
            direction=found.direction,
            track_id=found.track_id,
            x_px=round(found.x_px, 1),
            y_px=round(found.y_px, 1),
            line=found.line,
            speed_kmh=round(speed.kmh, 1) if speed else math.nan,
            speed_error_kmh=round(speed.error_kmh, 1) if speed else math.nan,
        )

    def _visit(self, frame: Frame, found: zone.Visit) -> Visit:
        return Visit(
            frame=found.frame_index,
            time_ms=self._time_ms(frame, found.frame_index),
            label=found.label,
            change=found.change,
            zone=found.zone,
            track_id=found.track_id,
            seconds=round(found.seconds, 2),
            occupancy=found.occupancy,
        )

    def _counts(self, frame: Frame, over: Sequence[Interval[Key]]) -> list[Event]:
        at_ms = self._time_ms(frame, frame.index)
        return [
            Count(
                frame=frame.index,
                time_ms=at_ms,
                start=moment(interval.start_s, self._live),
                end=moment(interval.end_s, self._live),
                watched_s=round(interval.watched_s, 1),
                line=line,
                label=label,
                direction=direction,
                count=count,
            )
            for interval in over
            for (line, label, direction), count in interval.counts.items()
        ]

    def _clock_s(self, frame: Frame) -> float:
        return frame.wall_s() if self._live else frame.time_ns / 1e9

    def _time_ms(self, frame: Frame, index: int) -> float:
        """Media time of the frame `index`, a little before `frame`, in which it happened."""
        return round(frame.time_ns / 1e6 - (frame.index - index) * 1000 / self._fps, 3)
