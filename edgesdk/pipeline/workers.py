"""What the threads of a run do up to inference: read, prepare, infer."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from itertools import islice

from edgesdk.errors import EdgeError
from edgesdk.frames import Frame
from edgesdk.pipeline.errors import StageError, blame
from edgesdk.pipeline.mailboxes import Mailboxes
from edgesdk.pipeline.packet import Packet
from edgesdk.pipeline.protocols import BatchStage, Stage
from edgesdk.pipeline.stream import Lane, Parcel
from edgesdk.pipeline.summary import Ended, ThreadLoad
from edgesdk.pipeline.turns import Turns

_log = logging.getLogger(__name__)

RETURN_PACKET = "end it with: return packet, or replace(packet, events=...) with what it adds"


class Worker:
    """One thread: what it is called, what it does, how busy it was and what stopped it."""

    def __init__(self, name: str, stages: Sequence[str], body: Callable[[Worker], None]) -> None:
        self.name = name
        self.stages = tuple(stages)
        self.error: BaseException | None = None
        """Of any kind, an interrupt too; it belongs to whoever called `run`."""
        self.at_work_ns = 0
        self._body = body
        # A daemon, so that one that hangs in a driver does not keep the process alive.
        self.thread = threading.Thread(target=self._run, name=f"edgesdk-{name}", daemon=True)

    @contextmanager
    def working(self) -> Iterator[None]:
        """The body is work; all else is waiting for other threads."""
        start_ns = time.perf_counter_ns()
        try:
            yield
        finally:
            self.at_work_ns += time.perf_counter_ns() - start_ns

    def load(self, seconds: float) -> ThreadLoad:
        """How busy it was in so many seconds."""
        busy = self.at_work_ns / 1e9 / seconds if seconds > 0 else 0.0
        return ThreadLoad(self.name, round(min(busy, 1.0), 4), self.stages)

    def _run(self) -> None:
        try:
            self._body(self)
        except BaseException as error:  # noqa: BLE001 - raised again in the thread that called run
            self.error = error


class Reading:
    """Takes frames from one source and puts them into its box."""

    def __init__(
        self,
        lane: Lane,
        out: Mailboxes[Parcel],
        max_frames: int | None,
        stopping: Callable[[], bool],
    ) -> None:
        self._stopping = stopping
        self._lane = lane
        self._out = out
        self._max_frames = max_frames

    def __call__(self, worker: Worker) -> None:
        """Until the source ends or nobody wants more. A failure stays with the lane."""
        lane = self._lane
        try:
            with blame("source", lane.label):
                try:
                    read = self._read(worker)
                finally:
                    lane.stream.source.close()
            ended: Ended = "frame limit" if read == self._max_frames else "source ended"
            lane.ended = "stopped" if self._stopping() else ended
        except StageError as error:
            lane.failure = error
            lane.ended = "stopped" if self._stopping() else "failed"
            if lane.label:  # The run may go on for months, and tells of it at its end.
                _log.error("%s", error.message)
        finally:
            self._out.end(lane.index)

    def _read(self, worker: Worker) -> int:
        lane, read = self._lane, 0
        frames = iter(islice(lane.stream.source, self._max_frames))
        while True:
            with worker.working():
                frame = next(frames, None)
            if frame is None:
                return read
            read += 1
            lane.capture()
            if not self._out.put(lane.index, _parcel(lane, frame)):
                lane.drop()
                return read


class Preparing:
    """Runs the stages ahead of inference."""

    def __init__(self, lanes: Sequence[Lane], take: Mailboxes[Parcel], out: Mailboxes[Parcel]):
        self._lanes = lanes
        self._take = take
        self._out = out

    def __call__(self, worker: Worker) -> None:
        """Until all that comes is done."""
        try:
            while (parcel := self._take.take()) is not None:
                with worker.working():
                    advance(parcel, parcel.lane.split.before)
                if not self._out.put(parcel.lane.index, parcel):
                    parcel.lane.drop()
                    return
        finally:
            self._take.close()
            for lane in self._lanes:
                self._out.end(lane.index)


class Inferring:
    """Runs the shared stage for one packet or for a batch from several streams.

    As many threads as the stage works in call it: each takes what comes next, and hands it over
    when its turn is come, so the packets keep their order.
    """

    def __init__(
        self,
        stage: BatchStage,
        lanes: Sequence[Lane],
        take: Mailboxes[Parcel],
        out: Mailboxes[Parcel],
    ) -> None:
        self._stage = stage
        self._take = take
        self._out = out
        self._label = lanes[0].label if len(lanes) == 1 else ""
        self._newest = all(lane.policy == "newest" for lane in lanes)
        self._taking = threading.Lock()
        self._turns = Turns(stage.parallel)

    def __call__(self, worker: Worker) -> None:
        """Until all that comes is done."""
        try:
            while (given := self._given()) is not None:
                turn, parcels = given
                with worker.working():
                    self._run(parcels)
                if not self._turns.come(turn) or not self._hand_over(parcels):
                    self._turns.stop()
                    return
                self._turns.over()
        except BaseException:
            self._turns.stop()
            raise
        finally:
            self._take.close()
            if self._turns.leave():
                self._out.end(0)

    def stop(self) -> None:
        """Nobody waits for one that hangs."""
        self._turns.stop()

    def _given(self) -> tuple[int, list[Parcel]] | None:
        """What comes next, and its turn; None: nothing more."""
        with self._taking:
            parcel = self._take.take()
            return None if parcel is None else (self._turns.draw(), self._batch(parcel))

    def _hand_over(self, parcels: Sequence[Parcel]) -> bool:
        """False when nobody wants them any more."""
        wanted = [self._out.put(0, parcel) for parcel in parcels]
        for parcel in (p for p, taken in zip(parcels, wanted, strict=True) if not taken):
            parcel.lane.drop()
        return all(wanted)

    def _batch(self, first: Parcel) -> list[Parcel]:
        """What has come until the batch is full or it has been waited for long enough.

        Where only the newest frames count, nobody is waited for who has given one already.
        """
        parcels = [first]
        give_up_s = time.monotonic() + self._stage.wait_s
        while len(parcels) < self._stage.batch:
            given = {parcel.lane.index for parcel in parcels}
            complete = self._newest and len(given) >= self._take.writing
            left_s = 0.0 if complete else max(give_up_s - time.monotonic(), 0.0)
            parcel = self._take.take(left_s)
            if parcel is None:
                break
            parcels.append(parcel)
        return parcels

    def _run(self, parcels: Sequence[Parcel]) -> None:
        start_ns = time.perf_counter_ns()
        with blame(self._stage.name, self._label):
            packets = self._stage.run_batch([parcel.packet for parcel in parcels])
        took_ns = time.perf_counter_ns() - start_ns
        for parcel, packet in zip(parcels, packets, strict=True):
            parcel.take_back(packet)
            parcel.timings_ns[self._stage.name] = took_ns
            advance(parcel, parcel.lane.split.joined)


def _parcel(lane: Lane, frame: Frame) -> Parcel:
    if lane.label and frame.source != lane.label:
        frame = replace(frame, source=lane.label)
    timings_ns: dict[str, int] = {}
    return Parcel(lane, Packet(frame, timings_ns=timings_ns), timings_ns)


def advance(parcel: Parcel, stages: Sequence[Stage]) -> None:
    """Run and time the stages, one after another."""
    for stage in stages:
        start_ns = time.perf_counter_ns()
        parcel.take_back(_worked(stage, parcel.packet, parcel.lane.label))
        parcel.timings_ns[stage.name] = time.perf_counter_ns() - start_ns


def _worked(stage: Stage, packet: Packet, stream: str) -> Packet:
    """What the stage makes of the packet; an app's code may return something else."""
    with blame(stage.name, stream):
        returned: object = stage(packet)
    if not isinstance(returned, Packet):
        what = None if returned is None else type(returned).__name__
        wrong = EdgeError(f"returned {what}; a stage returns the packet", RETURN_PACKET)
        raise StageError(stage.name, wrong, stream)
    return returned
