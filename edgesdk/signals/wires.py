"""What a reject output needs of its wires, and the settings that each of them takes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from edgesdk.errors import EdgeError
from edgesdk.signals.schedule import Levels, Rule


class WireLost(EdgeError):
    """The wire cannot be used just now; it is tried again."""


class WireRefused(WireLost):
    """The other side answers, and says no: as to an address that it does not have."""


class Wire(Protocol):
    """What levels are written to. Only one thread uses it."""

    @property
    def shown(self) -> str:
        """For messages, without secrets."""
        ...

    @property
    def slow_s(self) -> float:
        """How long one call may take when nobody answers."""
        ...

    def connect(self, levels: Levels) -> None:
        """Open it and say `levels`. Raises WireLost."""
        ...

    def write(self, levels: Levels, said: Levels | None) -> None:
        """Say what differs from `said`, and all when that is None. Raises WireLost."""
        ...

    def close(self) -> None:
        """Let go of it; twice is harmless."""
        ...


@dataclass(frozen=True)
class OutputOptions:
    """What each reject output takes after the "?"."""

    stream: str = ""
    """Whose verdicts; needed in a run of several streams."""
    delay_s: float = 0.0
    """From a part's trigger (`Verdict.triggered_ns`) until it is at the ejector. 0: each verdict is
    given as soon as it is there, for a PLC that follows the parts itself."""
    pulse_s: float = 0.05
    """How long a verdict stands: less than the time between two parts. 0: until the next."""
    tolerance_s: float = 0.02
    """A verdict that is later than this is not given: its part has gone by."""
    idle: str = "pass"
    """Between parts: "pass" is an ejector that pushes bad parts out; "reject" is a gate that opens
    for each good one, so that a part without a verdict does not get through."""
    safe: str = "reject"
    """What is said while nothing is known: before the first verdict, after any failure, at the
    end."""
    invert: bool = False
    """1: the wire is off for "reject" and on for "pass"."""
    heartbeat_s: float = 0.5
    """How often the heartbeat changes while the pipeline is alive, and all levels are said anew."""
    dead_after_s: float = 2.0
    """So long without a frame means that the pipeline is dead."""
    on_demand: bool = False
    """1: the camera takes a picture only when a part comes, so that no frame means no part. 0:
    where there is a `delay`, the safe state is taken as soon as the ejector comes to what no frame
    has shown."""

    def __post_init__(self) -> None:
        for name in ("idle", "safe"):
            if getattr(self, name) not in ("pass", "reject"):
                raise ValueError(f"{name} should be pass or reject, found {getattr(self, name)!r}")
        for name in ("tolerance_s", "heartbeat_s", "dead_after_s"):
            if getattr(self, name) <= 0:
                raise ValueError(f"{name.removesuffix('_s')} should be above 0")

    @property
    def rule(self) -> Rule:
        """The same for the schedule."""
        return Rule(
            round(self.pulse_s * 1e9),
            round(self.tolerance_s * 1e9),
            self.idle == "reject",
            self.safe == "reject",
        )
