"""The last thread of a run: an app's stages after inference, and the sinks of every stream."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from edgesdk.frames import Frame
from edgesdk.pipeline.errors import StageError, blame
from edgesdk.pipeline.mailboxes import Mailboxes
from edgesdk.pipeline.packet import Event, Packet
from edgesdk.pipeline.protocols import Finishing, Flushing, Sink, TakesTheRest
from edgesdk.pipeline.stream import Lane, Parcel
from edgesdk.pipeline.summary import Times
from edgesdk.pipeline.workers import Worker, advance

NO_PIXELS = np.zeros((0, 0, 3), np.uint8)

_log = logging.getLogger(__name__)


class Delivering:
    """Runs the stages after inference, hands packets to the sinks, and closes them at the end."""

    def __init__(
        self,
        lanes: Sequence[Lane],
        take: Mailboxes[Parcel],
        stopping: Callable[[], bool],
        failed: Callable[[], bool],
    ) -> None:
        """`stopping`: no packet is to be begun; `failed`: the run has an error to raise."""
        self.times = Times()
        self._take = take
        self._stopping = stopping
        self._failed = failed
        self._lanes = tuple(lanes)
        self._finishing = {
            lane.index: stages
            for lane in lanes
            if (stages := [s for s in lane.split.after if isinstance(s, Finishing)])
        }
        self._last: dict[int, Frame] = {}
        """Of each stream whose stages have something to tell at its end."""
        self._sinks = tuple(
            {id(sink): sink for lane in lanes for sink in lane.stream.sinks}.values()
        )
        # Held while sinks are used: whoever closes them after a hang must not meet them at work.
        self._gate = threading.Lock()
        self._closed = False

    def __call__(self, worker: Worker) -> None:
        """Until all that comes is done, or the run is to stop."""
        try:
            while not self._stopping() and (parcel := self._take.take()) is not None:
                with worker.working():
                    done = self._deliver(parcel)
                if not done:
                    return
            self._take.close()
            with worker.working():
                self._tell_the_rest()
        except BaseException:
            self._take.close()
            self._close_sinks(quietly=True)
            raise
        self._close_sinks(quietly=self._failed())

    def close_left(self, timeout_s: float) -> bool:
        """Close the sinks from another thread, if that is not done; False: one of them hangs."""
        if not self._gate.acquire(timeout=timeout_s):
            return False
        try:
            self._close_held(quietly=True)
        finally:
            self._gate.release()
        return True

    def _deliver(self, parcel: Parcel) -> bool:
        lane = parcel.lane
        advance(parcel, lane.split.after)
        packet = _labelled(parcel.packet, lane)
        with self._gate:
            if self._closed:
                return False
            for sink in lane.stream.sinks:
                start_ns = time.perf_counter_ns()
                with blame(sink.name, lane.label):
                    sink.accept(packet)
                parcel.timings_ns[sink.name] = time.perf_counter_ns() - start_ns
        lane.finish(packet)
        self.times.add(parcel.timings_ns)
        if lane.index in self._finishing:
            self._last[lane.index] = replace(packet.frame, image=NO_PIXELS)
        return True

    def _tell_the_rest(self) -> None:
        """What stages still have to say at the end, to the sinks that are for events."""
        for lane in self._lanes:
            frame = self._last.get(lane.index)
            if frame is None:
                continue
            events: list[Event] = []
            for stage in self._finishing[lane.index]:
                with blame(stage.name, lane.label):
                    events += stage.finish(Packet(frame))
            if events:
                self._hand_over(lane, _labelled(Packet(frame, events=tuple(events)), lane))

    def _hand_over(self, lane: Lane, packet: Packet) -> None:
        with self._gate:
            if self._closed:
                return
            for sink in lane.stream.sinks:
                if isinstance(sink, TakesTheRest):
                    with blame(sink.name, lane.label):
                        sink.tell(packet)
        lane.tell(packet)

    def _close_sinks(self, quietly: bool) -> None:
        with self._gate:
            self._close_held(quietly)

    def _close_held(self, quietly: bool) -> None:
        """Each once, those that wait for others last, so that files are whole by then also when the
        run's patience ends; the first error of a run is the one that is raised, others are logged.
        """
        if self._closed:
            return
        self._closed = True
        first: BaseException | None = None
        for sink in sorted(self._sinks, key=_patience_s):
            try:
                _close(sink)
            except StageError as error:
                if quietly or first is not None:
                    _log.warning("%s", error)
                else:
                    first = error
        if first is not None:
            raise first


def _labelled(packet: Packet, lane: Lane) -> Packet:
    """In a run of several streams each event names its own."""
    if not lane.label or not packet.events:
        return packet
    events = tuple(replace(event, stream=lane.label) for event in packet.events)
    return replace(packet, events=events)


def _patience_s(sink: Sink) -> float:
    return sink.flush_s if isinstance(sink, Flushing) else 0.0


def _close(sink: Sink) -> None:
    with blame(sink.name):
        sink.close()
