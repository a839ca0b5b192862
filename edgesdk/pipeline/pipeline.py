"""Runs frames from sources through stages into sinks, each part in a thread of its own."""

from __future__ import annotations

import time
from collections.abc import Sequence

from edgesdk.errors import UsageError
from edgesdk.pipeline.protocols import BatchStage, Sink, Source, Stage
from edgesdk.pipeline.running import Running
from edgesdk.pipeline.stream import Lane, Stream
from edgesdk.pipeline.summary import Policy, RunSummary, StreamSummary

POLL_S = 0.05
"""How soon `stop` is noticed."""
STOP_S = 2.0


class Pipeline:
    """Sources, stages in their order, and any number of sinks. It runs once.

    Each source is read in a thread of its own. What stands before a BatchStage (inference) runs in
    a second thread, inference in a third, and what comes after, sinks included, in a fourth;
    without a BatchStage all stages and sinks share one. So each stage and sink is called by one
    thread, in the order of its stream's frames, and needs no locks. Memory does not depend on the
    number of frames.
    """

    def __init__(
        self,
        source: Source,
        stages: Sequence[Stage],
        sinks: Sequence[Sink] = (),
        policy: Policy | None = None,
        stop_s: float = STOP_S,
    ) -> None:
        """`policy` "all": the source waits and every frame is processed; "newest": it never waits,
        and a frame that inference has not taken in time makes room for the next and is counted
        as dropped. None: "newest" for a live source, "all" for any other.
        `stop_s`: how long threads may take to end, once they should.

        Raises UsageError when two stages or sinks have the same name.
        """
        self._set([Stream(source, stages, sinks, policy)], stop_s)

    @classmethod
    def of(cls, streams: Sequence[Stream], stop_s: float = STOP_S) -> Pipeline:
        """Several streams that share one BatchStage, or have none.

        A source that fails ends its own stream; any other failure ends the run. Raises UsageError
        when two streams have the same name, or each has a BatchStage of its own.
        """
        pipeline = cls.__new__(cls)
        pipeline._set(streams, stop_s)
        return pipeline

    def _set(self, streams: Sequence[Stream], stop_s: float) -> None:
        _check(streams)
        self.streams = tuple(streams)
        self._stop_s = stop_s
        self._lanes = tuple(Lane(i, s, len(streams) > 1) for i, s in enumerate(streams))
        self._start_ns = 0
        # A plain flag, because a signal handler may set it at any point of the main thread.
        self._stopping = False

    def stop(self) -> None:
        """End the run after the packet that is at the last stages; for any thread, and for signal
        handlers. `run` returns within `stop_s`, even when a source hangs."""
        self._stopping = True

    @property
    def began(self) -> bool:
        """True from `run` on: the sources and sinks are closed by it."""
        return self._start_ns != 0

    def progress(self) -> tuple[StreamSummary, ...]:
        """The figures of each stream so far; for any thread, at any time."""
        seconds = (time.monotonic_ns() - self._start_ns) / 1e9 if self.began else 0.0
        return tuple(lane.summary(seconds) for lane in self._lanes)

    def run(self, max_frames: int | None = None) -> RunSummary:
        """Run until every source ends, `max_frames` of each are read, or `stop` is called.

        However it ends, the sources are stopped, the threads joined and every sink closed, so what
        the sinks wrote is complete. A thread that does not end in time is left behind and named in
        a warning. Raises StageError, which names the source, stage or sink that failed; frames that
        were read before a failure are processed first.
        """
        self._start_ns = time.monotonic_ns()
        running = Running(self._lanes, lambda: self._stopping, max_frames)
        try:
            running.start()
            while not running.wait(POLL_S) and not self._stopping:
                pass
            seconds = (time.monotonic_ns() - self._start_ns) / 1e9
        finally:
            running.end(self._stop_s)
        running.raise_failure()
        return running.summary(seconds)


def _check(streams: Sequence[Stream]) -> None:
    if not streams:
        raise UsageError("a pipeline needs a stream, found none")
    titles = [stream.title for stream in streams]
    if len(titles) != len(set(titles)):
        raise UsageError(
            f"each stream needs a name of its own, found {titles}", "give each Stream a `name`"
        )
    for stream in streams:
        names = [stage.name for stage in stream.stages] + [sink.name for sink in stream.sinks]
        if len(names) != len(set(names)):
            raise UsageError(f"each stage and sink needs a name of its own, found {names}")
    shared = [[s for s in stream.stages if isinstance(s, BatchStage)] for stream in streams]
    if any(len(own) > 1 or own != shared[0] for own in shared):
        raise UsageError(
            "all streams of a pipeline share one BatchStage, found more",
            "make one Inference and hand it to detect_stages(detector, inference) of each stream",
        )
