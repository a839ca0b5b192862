"""The threads of one run and the boxes between them: started, watched, ended within a bound."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence

from edgesdk.pipeline.delivering import Delivering
from edgesdk.pipeline.errors import blame
from edgesdk.pipeline.mailboxes import Box, Mailboxes
from edgesdk.pipeline.protocols import BatchStage
from edgesdk.pipeline.stream import Lane, Parcel
from edgesdk.pipeline.summary import Ended, FrameAge, Policy, RunSummary, figures, summed
from edgesdk.pipeline.times import Durations
from edgesdk.pipeline.workers import Inferring, Preparing, Reading, Worker

FROM_SOURCE: dict[Policy, Box] = {"all": Box(4), "newest": Box(1, replace=True)}
"""A file is read ahead, because frames take unequal time to decode; of a camera only the newest
frame may wait."""
TO_INFERENCE: dict[Policy, Box] = {"all": Box(1), "newest": Box(1, replace=True)}
"""The next input is ready when the model is free."""
TO_BE_SEEN: dict[Policy, Box] = {"all": FROM_SOURCE["all"], "newest": Box(16, replace=True)}
"""Where a stage ahead of inference remembers, an older frame is still worth something: a part that
is seen late gets its verdict, one that is never seen gets none. 0.3 s at 50 fps."""
REMEMBERED = Box(4)
"""What that stage has seen is not lost: it waits for inference; a few, as parts come in bursts."""
CLOSE_S = 1.0
"""For sinks, when the thread that uses them was left behind."""

_log = logging.getLogger(__name__)


class Running:
    """One run of some lanes."""

    def __init__(
        self, lanes: Sequence[Lane], stopping: Callable[[], bool], max_frames: int | None
    ) -> None:
        self._lanes = tuple(lanes)
        self._stopping = stopping
        self._halted = False
        self._boxes: list[Mailboxes[Parcel]] = []
        self._workers: list[Worker] = []
        self._inferring: Inferring | None = None
        first = self._boxes_of(
            [(TO_BE_SEEN if lane.remembers else FROM_SOURCE)[lane.policy] for lane in lanes]
        )
        for lane in lanes:
            name = f"source-{lane.label}" if lane.label else "source"
            self._workers.append(
                Worker(name, ["source"], Reading(lane, first, max_frames, self._should_end))
            )
        shared = lanes[0].split.shared
        last = first if shared is None else self._with_inference(shared, first)
        self._delivering = Delivering(lanes, last, self._should_end, self._has_failed)
        after = [stage.name for stage in lanes[0].split.after]
        after += [sink.name for sink in lanes[0].stream.sinks]
        self._last = Worker("results", after, self._delivering)
        self._workers.append(self._last)

    def start(self) -> None:
        """Start the threads, consumers first."""
        for worker in reversed(self._workers):
            worker.thread.start()

    def wait(self, timeout_s: float) -> bool:
        """True when the last packet is delivered and the sinks are closed."""
        self._last.thread.join(timeout_s)
        return not self._last.thread.is_alive()

    def end(self, within_s: float) -> None:
        """Let every thread go and join it; close what is still open; complete the books."""
        give_up_s = time.monotonic() + within_s
        self._halted = True
        for boxes in self._boxes:
            boxes.close()
        if self._inferring is not None:
            self._inferring.stop()
        self._stop_sources(give_up_s)
        for worker in self._workers:
            if worker.thread.ident is not None:  # An interrupt may come before all are started.
                worker.thread.join(max(give_up_s - time.monotonic(), 0))
        self._leave_behind(within_s)
        for lane in self._lanes:
            lane.seal()

    def raise_failure(self) -> None:
        """Raise what ended the run; a source's failure only when no other stream is left."""
        errors = [worker.error for worker in self._workers if worker.error is not None]
        interrupts = [error for error in errors if not isinstance(error, Exception)]
        for error in (*interrupts, *errors):
            raise error
        failures = [lane.failure for lane in self._lanes if lane.failure is not None]
        if failures and len(failures) == len(self._lanes) and not self._stopping():
            raise failures[0]

    def summary(self, seconds: float) -> RunSummary:
        """The figures of the run."""
        streams = tuple(lane.summary(seconds) for lane in self._lanes)
        processed = sum(stream.frames_processed for stream in streams)
        age = Durations.merged([lane.age for lane in self._lanes])
        return RunSummary(
            source=", ".join(stream.name for stream in streams),
            ended=self._ended(),
            frames_captured=sum(stream.frames_captured for stream in streams),
            frames_processed=processed,
            frames_dropped=sum(stream.frames_dropped for stream in streams),
            seconds=round(seconds, 4),
            fps=round(processed / seconds, 3) if seconds > 0 else 0.0,
            stages=self._delivering.times.stages(),
            counts=summed(stream.counts for stream in streams),
            age=FrameAge(*figures(age)),
            streams=streams,
            threads=tuple(worker.load(seconds) for worker in self._measured()),
        )

    def _measured(self) -> list[Worker]:
        """All but the readers of live sources: their work and their waits look the same."""
        live = [w for w, lane in zip(self._workers, self._lanes, strict=False) if lane.live]
        return [worker for worker in self._workers if worker not in live]

    def _with_inference(self, shared: BatchStage, first: Mailboxes[Parcel]) -> Mailboxes[Parcel]:
        lanes, ready = self._lanes, first
        before = [stage.name for stage in lanes[0].split.before]
        if before:
            ready = self._boxes_of(
                [REMEMBERED if lane.remembers else TO_INFERENCE[lane.policy] for lane in lanes]
            )
            self._workers.append(Worker("prepare", before, Preparing(lanes, first, ready)))
        # One box for all: results keep their order, and few wait however many streams there are.
        last: Mailboxes[Parcel] = Mailboxes([Box(max(2, shared.batch))], _drop)
        self._boxes.append(last)
        names = [shared.name, *(stage.name for stage in lanes[0].split.joined)]
        self._inferring = Inferring(shared, lanes, ready, last)
        for number in range(1, shared.parallel + 1):
            name = f"inference-{number}" if shared.parallel > 1 else "inference"
            self._workers.append(Worker(name, names, self._inferring))
        return last

    def _boxes_of(self, rules: Sequence[Box]) -> Mailboxes[Parcel]:
        boxes: Mailboxes[Parcel] = Mailboxes(rules, _drop)
        self._boxes.append(boxes)
        return boxes

    def _stop_sources(self, give_up_s: float) -> None:
        """In a thread of its own: a driver may hang in this as well."""
        readers = zip(self._lanes, self._workers, strict=False)
        lanes = [lane for lane, worker in readers if worker.thread.is_alive()]
        if lanes:
            stopper = Worker("stop", [], lambda worker: _stop(lanes))
            stopper.thread.start()
            stopper.thread.join(max(give_up_s - time.monotonic(), 0) / 2)
            if stopper.error is not None:
                _log.warning("%s", stopper.error)

    def _leave_behind(self, within_s: float) -> None:
        for lane, worker in zip(self._lanes, self._workers, strict=False):
            if worker.thread.is_alive():
                _log.warning(
                    "the source %s did not end within %g s; its thread %s is left behind",
                    lane.stream.title,
                    within_s,
                    worker.thread.name,
                )
        for worker in self._workers[len(self._lanes) :]:
            if worker.thread.is_alive():
                _log.warning(
                    "the thread %s (%s) did not end within %g s and is left behind",
                    worker.thread.name,
                    ", ".join(worker.stages),
                    within_s,
                )
        if not self._delivering.close_left(CLOSE_S):
            _log.warning("a sink hangs, so the sinks are left as they are")

    def _should_end(self) -> bool:
        return self._halted or self._stopping()

    def _has_failed(self) -> bool:
        failed = [lane.failure is not None for lane in self._lanes]
        return all(failed) or any(worker.error is not None for worker in self._workers)

    def _ended(self) -> Ended:
        if self._stopping():
            return "stopped"
        endings = {lane.ended for lane in self._lanes if lane.ended is not None}
        return endings.pop() if len(endings) == 1 else "source ended"


def _drop(parcel: Parcel) -> None:
    parcel.lane.drop()


def _stop(lanes: Sequence[Lane]) -> None:
    for lane in lanes:
        with blame("source", lane.label):
            lane.stream.source.stop()
