"""The three things a pipeline is made of."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Literal, Protocol, runtime_checkable

from edgesdk.capture.stats import SourceState, SourceStats, StateChange
from edgesdk.frames import Frame
from edgesdk.pipeline.packet import Event, Packet

__all__ = [
    "BatchStage",
    "Finishing",
    "Flushing",
    "Remembers",
    "Sink",
    "Source",
    "SourceState",
    "SourceStats",
    "Stage",
    "StateChange",
    "TakesTheRest",
    "Unread",
    "Watched",
]


class Source(Protocol):
    """Gives frames. It is iterated in a thread of its own, once."""

    @property
    def name(self) -> str:
        """For messages and reports, e.g. the file's path."""
        ...

    @property
    def fps(self) -> float:
        """Frames per second of media time."""
        ...

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of its frames in pixels."""
        ...

    @property
    def count(self) -> int | None:
        """How many frames it promises; None where that is not known."""
        ...

    @property
    def live(self) -> bool:
        """True for a camera: frames come when they come, whether or not anyone is ready."""
        ...

    def __iter__(self) -> Iterator[Frame]:
        """The frames in order. Raises DataError when they cannot be read (any more)."""
        ...

    def stop(self) -> None:
        """Make the iteration end soon, for any thread; it returns at once.

        A source whose next frame always comes soon may ignore it.
        """
        ...

    def close(self) -> None:
        """Free the device or file; called after the last frame, in the thread that iterated."""
        ...


@runtime_checkable
class Unread(Protocol):
    """A source that passes over what it cannot read, and can say what that was."""

    @property
    def unread(self) -> Mapping[str, str]:
        """Name -> reason of the pictures passed over so far; whole once the iteration is over."""
        ...


@runtime_checkable
class Watched(Protocol):
    """A source that can be interrupted and come back, and says how it stands."""

    def stats(self) -> SourceStats:
        """For any thread, at any time; it never waits."""
        ...


class Stage(Protocol):
    """One step of the work on a packet. It is called in the order of frames, by one thread."""

    @property
    def name(self) -> str:
        """Under which it is timed and named in errors; each stage of a pipeline has its own."""
        ...

    def __call__(self, packet: Packet) -> Packet:
        """The packet with what this stage adds."""
        ...


@runtime_checkable
class Finishing(Protocol):
    """A stage after inference that still has something to tell when its stream is over, such as an
    interval that is not full."""

    def finish(self, last: Packet) -> Sequence[Event]:
        """Called once, in its thread, after the last packet.

        `last` has that one's frame without its pixels, and nothing else.
        """
        ...


@runtime_checkable
class Remembers(Protocol):
    """A stage ahead of inference whose later work depends on what it saw before, such as one that
    says of each part once that it is due: no frame that it has seen is dropped. With the policy
    "newest" frames are dropped before it."""

    remembers: Literal[True]


@runtime_checkable
class BatchStage(Protocol):
    """A stage that has a thread of its own, that several streams may share, and that may work on
    several packets at once: inference."""

    @property
    def name(self) -> str:
        """Under which it is timed and named in errors."""
        ...

    @property
    def batch(self) -> int:
        """At most so many packets at once."""
        ...

    @property
    def wait_s(self) -> float:
        """How long to wait, from the first packet on, for so many."""
        ...

    @property
    def parallel(self) -> int:
        """So many calls of `run_batch` may be under way at once, each in a thread of its own; the
        packets keep their order all the same."""
        ...

    @property
    def joined(self) -> int:
        """So many of the stages that follow work in its thread, before the next `run_batch`."""
        ...

    def __call__(self, packet: Packet) -> Packet:
        """The same for one packet."""
        ...

    def run_batch(self, packets: Sequence[Packet]) -> Sequence[Packet]:
        """A packet for each of `packets` (1 to `batch`), in their order."""
        ...


@runtime_checkable
class TakesTheRest(Protocol):
    """A sink for events rather than for pictures."""

    def tell(self, packet: Packet) -> None:
        """Take what stages had left to tell when a stream ended.

        The packet has these events and the stream's last frame once more, without its pixels.
        Called before `close`, at most once for each stream.
        """
        ...


class Sink(Protocol):
    """Takes finished packets: writes a file, shows progress, collects."""

    @property
    def name(self) -> str:
        """Under which it is timed and named in errors."""
        ...

    def accept(self, packet: Packet) -> None:
        """Take one packet. It must not keep the frame longer than it needs."""
        ...

    def close(self) -> None:
        """Complete what was begun. Called once, however the run ends."""
        ...


@runtime_checkable
class Flushing(Protocol):
    """A sink whose end takes a while, because others may be slow. It is closed after the rest."""

    @property
    def flush_s(self) -> float:
        """How long `close` usually takes at most; 0: it waits for nobody."""
        ...
