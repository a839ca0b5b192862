"""The last thread of a run: an app's stages after inference, and the sinks of every stream."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace

from edgesdk.pipeline.errors import StageError, blame
from edgesdk.pipeline.mailboxes import Mailboxes
from edgesdk.pipeline.protocols import Flushing, Sink
from edgesdk.pipeline.stream import Lane, Parcel
from edgesdk.pipeline.summary import Times
from edgesdk.pipeline.workers import Worker, advance

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
        packet = parcel.packet
        if lane.label and packet.events:
            events = tuple(replace(event, stream=lane.label) for event in packet.events)
            packet = replace(packet, events=events)
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
        return True

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


def _patience_s(sink: Sink) -> float:
    return sink.flush_s if isinstance(sink, Flushing) else 0.0


def _close(sink: Sink) -> None:
    with blame(sink.name):
        sink.close()
