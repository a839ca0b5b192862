"""A reject output: verdicts become levels of wires, and whatever fails becomes the safe state.

accept ─→ memory ─→ [thread] schedule ─→ wire

The pipeline never waits for a wire. The thread gives each verdict when its part is due; a verdict
that cannot be given in time is not given at all: its part counts as failed safe.
"""

from __future__ import annotations

import statistics
import time
from collections import deque
from collections.abc import Mapping

from edgesdk.errors import UsageError
from edgesdk.inspection import Verdict
from edgesdk.pipeline import Packet
from edgesdk.signals.driver import Driver
from edgesdk.signals.schedule import Due
from edgesdk.signals.wires import OutputOptions, Wire
from edgesdk.sinks.facts import SinkFacts
from edgesdk.sinks.messages import stream_of

STEPS = 15
"""The median of so many steps between frames is the usual one."""


def check_facts(shown: str, facts: SinkFacts, stream: str) -> None:
    """Raises UsageError where no verdicts will come, or it is not said whose."""
    if not issubclass(facts.event, Verdict):
        raise UsageError(
            f"{shown}: {facts.app} tells {facts.event.__name__.lower()} events and no verdicts",
            "a reject output belongs to an app that inspects, such as line_inspection",
        )
    names = [each.name for each in facts.streams]
    if stream and stream not in names:
        raise UsageError(f"{shown}: no stream is called {stream!r}; found {', '.join(names)}")
    if not stream and len(names) > 1:
        raise UsageError(
            f"{shown}: a wire belongs to one line, and this run has {len(names)} streams",
            f"say whose verdicts it gives: stream={names[0]}",
        )


class Horizon:
    """Until when the frames so far say what is at the ejector."""

    def __init__(self, options: OutputOptions) -> None:
        self._delay_ns = round(options.delay_s * 1e9)
        self._tolerance_ns, self._pulse_ns = options.rule.tolerance_ns, options.rule.pulse_ns
        self._before_ns: int | None = None
        self._steps_ns: deque[int] = deque(maxlen=STEPS)

    def after(self, captured_ns: int) -> int:
        """The moment of the monotonic clock by which another frame has to have come: what passed
        the trigger after this one is at the ejector then. A frame may be as late as a verdict may,
        beyond the usual step between two of them."""
        if self._before_ns is not None:
            self._steps_ns.append(captured_ns - self._before_ns)
        self._before_ns = captured_ns
        step_ns = round(statistics.median(self._steps_ns)) if self._steps_ns else self._delay_ns
        return captured_ns + self._delay_ns + max(step_ns + self._tolerance_ns, self._pulse_ns)


class Output:
    """The sink; it owns the thread and, through it, the wire."""

    def __init__(self, name: str, wire: Wire, options: OutputOptions, facts: SinkFacts) -> None:
        """The safe state is taken at once. That nobody is there is only logged, and tried again.

        Raises UsageError when the other side refuses an address or the wire is no such thing.
        """
        check_facts(wire.shown, facts, options.stream)
        self.name = name
        self.flush_s = 3 * wire.slow_s
        self._stream = options.stream
        self._only = facts.streams[0].name if len(facts.streams) == 1 else ""
        self._delay_ns = round(options.delay_s * 1e9)
        self._horizon = None if options.on_demand or not self._delay_ns else Horizon(options)
        self._driver = Driver(wire, options)

    def accept(self, packet: Packet) -> None:
        """Hand over the verdicts; never waits. Raises what ended the thread, a defect."""
        if self._stream and stream_of(packet, self._only) != self._stream:
            return
        now_ns, unseen_ns = time.monotonic_ns(), packet.unseen_ns
        self._driver.hand_over(
            [
                Due(
                    event.triggered_ns + self._delay_ns if self._delay_ns else now_ns,
                    event.part,
                    event.outcome == "reject",
                    now_ns,
                )
                for event in packet.events
                if isinstance(event, Verdict)
            ],
            now_ns,
            self._horizon.after(packet.frame.captured_ns) if self._horizon else None,
            unseen_ns and (unseen_ns[0] + self._delay_ns, unseen_ns[1] + self._delay_ns),
        )

    def close(self) -> None:
        """Take the safe state and let go of the wire."""
        self._driver.close(self.flush_s)

    def gauges(self) -> Mapping[str, float]:
        """Connected, in the safe state, and what became of the parts."""
        return self._driver.gauges()
