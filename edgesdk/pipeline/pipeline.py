"""Runs frames from a source through stages into sinks."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import replace
from itertools import islice
from types import TracebackType
from typing import Literal, TypeAlias

from edgesdk.errors import EdgeError, UsageError
from edgesdk.frames import Frame
from edgesdk.pipeline.channel import Channel
from edgesdk.pipeline.errors import StageError, blame
from edgesdk.pipeline.packet import Packet
from edgesdk.pipeline.protocols import Sink, Source, Stage
from edgesdk.pipeline.summary import Ended, RunSummary, Tally

Policy = Literal["lossless", "newest"]
Kind: TypeAlias = type[BaseException] | None

QUEUE = {"lossless": 4, "newest": 1}
"""Frames that may wait: enough to keep both threads busy; for a camera none but the newest."""
POLL_S = 0.05
"""How soon `stop` is noticed while the source is silent."""
JOIN_S = 1.0
"""How long a source may take to end after its last frame was asked for."""
RETURN_PACKET = "end it with: return packet, or replace(packet, events=...) with what it adds"

_log = logging.getLogger(__name__)


class Pipeline:
    """One source, stages in their order, and any number of sinks. It runs once.

    The source is read in a thread of its own; stages and sinks run in the thread that calls
    `run`, so they need no locks. Memory does not depend on the number of frames.
    """

    def __init__(
        self,
        source: Source,
        stages: Sequence[Stage],
        sinks: Sequence[Sink] = (),
        policy: Policy | None = None,
    ) -> None:
        """`policy` "lossless": the source waits and every frame is processed; "newest": it never
        waits, and a frame that is not taken in time makes room for the next and is counted as
        dropped. None: "newest" for a live source, "lossless" for any other.

        Raises UsageError when two stages or sinks have the same name.
        """
        names = [stage.name for stage in stages] + [sink.name for sink in sinks]
        if len(names) != len(set(names)):
            raise UsageError(f"each stage and sink needs a name of its own, found {names}")
        self.source = source
        self.policy: Policy = policy or ("newest" if source.live else "lossless")
        self._stages = tuple(stages)
        self._sinks = tuple(sinks)
        # A plain flag, because a signal handler may set it at any point of the main thread.
        self._stopping = False

    def stop(self) -> None:
        """End the run after the packet in hand; for any thread, and for signal handlers."""
        self._stopping = True

    def run(self, max_frames: int | None = None) -> RunSummary:
        """Run until the source ends, `max_frames` are read, or `stop` is called.

        However it ends, the source's thread is joined and every sink is closed, so what the sinks
        wrote is complete. Raises StageError, which names the source, stage or sink that failed;
        frames read before a failure of the source are processed first.
        """
        channel = Channel(QUEUE[self.policy], drop_oldest=self.policy == "newest")
        tally = Tally()
        reader = threading.Thread(
            target=self._read, args=(channel, max_frames), name="edgesdk-source", daemon=True
        )
        start_ns = time.monotonic_ns()
        with ExitStack() as ending:
            for sink in reversed(self._sinks):
                ending.push(_closing(sink))
            reader.start()
            ending.callback(self._end, channel, reader)
            ended = self._work(channel, tally, max_frames)
            seconds = (time.monotonic_ns() - start_ns) / 1e9
        return RunSummary(
            source=self.source.name,
            ended=ended,
            frames_read=channel.accepted,
            frames_processed=tally.frames,
            frames_dropped=channel.accepted - tally.frames,
            seconds=round(seconds, 4),
            fps=round(tally.frames / seconds, 3) if seconds > 0 else 0.0,
            stages=tally.stages(),
            counts=tally.counts(),
        )

    def _read(self, channel: Channel, max_frames: int | None) -> None:
        with channel, blame("source"):
            try:
                for frame in islice(self.source, max_frames):
                    if not channel.put(frame):
                        return
            finally:
                self.source.close()

    def _work(self, channel: Channel, tally: Tally, max_frames: int | None) -> Ended:
        while not self._stopping:
            frame = channel.get(POLL_S)
            if frame is not None:
                packet, timings_ns = self._process(frame)
                tally.add(packet, timings_ns)
            elif channel.exhausted:
                return "frame limit" if channel.accepted == max_frames else "source ended"
        return "stopped"

    def _process(self, frame: Frame) -> tuple[Packet, dict[str, int]]:
        packet = Packet(frame)
        timings_ns: dict[str, int] = {}
        for stage in self._stages:
            start = time.perf_counter_ns()
            packet = _worked(stage, packet)
            timings_ns[stage.name] = time.perf_counter_ns() - start
            packet = replace(packet, timings_ns=dict(timings_ns))
        for sink in self._sinks:
            start = time.perf_counter_ns()
            with blame(sink.name):
                sink.accept(packet)
            timings_ns[sink.name] = time.perf_counter_ns() - start
        return packet, timings_ns

    def _end(self, channel: Channel, reader: threading.Thread) -> None:
        channel.close()
        reader.join(JOIN_S)
        if reader.is_alive():
            _log.warning(
                "the source %s did not end within %g s; its thread is left behind",
                self.source.name,
                JOIN_S,
            )


def _worked(stage: Stage, packet: Packet) -> Packet:
    """What the stage makes of the packet; an app's code may return something else."""
    with blame(stage.name):
        returned: object = stage(packet)
    if not isinstance(returned, Packet):
        what = None if returned is None else type(returned).__name__
        raise StageError(
            stage.name, EdgeError(f"returned {what}; a stage returns the packet", RETURN_PACKET)
        )
    return returned


def _closing(sink: Sink) -> Callable[[Kind, BaseException | None, TracebackType | None], bool]:
    """Close `sink` at the end. The first error of a run is the one that is raised."""

    def close(kind: Kind, error: BaseException | None, trace: TracebackType | None) -> bool:
        try:
            with blame(sink.name):
                sink.close()
        except StageError as second:
            if error is None:
                raise
            _log.warning("%s", second)
        return False

    return close
