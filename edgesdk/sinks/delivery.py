"""Sinks that send events elsewhere: the pipeline never waits for a network or a disk.

accept ─→ memory ─→ [thread "...-outbox"] ─→ outbox on the disk ─→ [thread] courier ─→ receiver
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Mapping
from typing import Protocol

from edgesdk.errors import EdgeError
from edgesdk.pipeline.packet import Packet
from edgesdk.sinks.facts import SinkFacts
from edgesdk.sinks.messages import Numbering
from edgesdk.sinks.outbox import Outbox

COMMIT_S = 0.1
"""Pause between transactions of the outbox."""
WAITING = 10_000
"""Events that may wait in memory for the disk; then the oldest are dropped and counted."""
RETRY_S = 1.0
"""Pause after the disk refused a transaction."""
JOIN_S = 8.0
"""How long a thread may take to end: a connection that is being made cannot be interrupted."""

_log = logging.getLogger(__name__)


class Ending:
    """Tells a courier when to stop: the end was asked for and all is sent, or time is up."""

    def __init__(self) -> None:
        self._asked = threading.Event()
        self._deadline_s = float("inf")

    def ask(self, within_s: float) -> None:
        """The courier has so long for the rest."""
        self._deadline_s = time.monotonic() + within_s
        self._asked.set()

    @property
    def asked(self) -> bool:
        """True once the run is over."""
        return self._asked.is_set()

    def over(self, waiting: int) -> bool:
        """True when a courier with so many messages left should return."""
        return self.asked and (waiting == 0 or time.monotonic() >= self._deadline_s)

    def wait(self, seconds: float) -> None:
        """Sleep so long, less when the end is asked for, and never past the deadline."""
        if not self.asked:
            self._asked.wait(seconds)
        elif (rest_s := min(seconds, self._deadline_s - time.monotonic())) > 0:
            time.sleep(rest_s)


class Courier(Protocol):
    """Brings messages from the outbox to a receiver."""

    def run(self, outbox: Outbox, ending: Ending) -> None:
        """Deliver and remove messages until `ending.over`; in a thread of its own.

        Raises EdgeError only when the outbox fails.
        """
        ...

    def gauges(self) -> Mapping[str, float]:
        """Figures by name; for any thread."""
        ...


class Delivery:
    """The sink: numbers the events and owns both threads."""

    def __init__(
        self, name: str, facts: SinkFacts, outbox: Outbox, courier: Courier, flush_s: float
    ) -> None:
        """`flush_s`: how long the end of a run waits for what is not delivered yet."""
        self.name = name
        self._app = facts.app
        self._numbering = Numbering(facts)
        self._outbox = outbox
        self._courier = courier
        self.flush_s = flush_s
        self._fresh: deque[tuple[str, str]] = deque()
        self._changed = threading.Condition()
        self._closing = False
        self._lost = 0
        self._ending = Ending()
        self._storing = threading.Thread(target=self._store, name=f"edgesdk-{name}-outbox")
        self._sending = threading.Thread(target=self._send, name=f"edgesdk-{name}")
        for thread in (self._storing, self._sending):
            thread.daemon = True
            thread.start()

    def accept(self, packet: Packet) -> None:
        """Hand the events over; never waits."""
        fresh = [(m.id, m.as_json(self._app)) for m in self._numbering.messages(packet)]
        if not fresh:
            return
        with self._changed:
            self._fresh.extend(fresh)
            self._forget_oldest()
            self._changed.notify_all()

    def tell(self, packet: Packet) -> None:
        """The same for the rest."""
        self.accept(packet)

    def close(self) -> None:
        """Store all on the disk, send for at most `flush_s`, end the threads.

        What is not delivered then stays in the outbox for the next run, and is named in a warning.
        """
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        self._storing.join(JOIN_S)
        self._ending.ask(self.flush_s)
        self._sending.join(self.flush_s + JOIN_S)
        alive = [t.name for t in (self._storing, self._sending) if t.is_alive()]
        if alive:
            _log.warning("%s did not end in time; left behind", " and ".join(alive))
            return
        if self._outbox.size:
            _log.warning(
                "%s: %d events are not delivered yet; they wait in %s for the next run",
                self.name,
                self._outbox.size,
                self._outbox.path,
            )
        self._outbox.close()
        dropped = self._lost + self._outbox.dropped
        if dropped:
            _log.warning("%s: %d events were dropped for want of room", self.name, dropped)

    def gauges(self) -> Mapping[str, float]:
        """Messages waiting and dropped, and what the courier adds."""
        return {
            "waiting": len(self._fresh) + self._outbox.size,
            "dropped": self._lost + self._outbox.dropped,
            **self._courier.gauges(),
        }

    def _store(self) -> None:
        warned = False
        while batch := self._next():
            try:
                self._outbox.add(batch)
            except EdgeError as error:
                if not warned:
                    _log.warning("%s: %s; trying again", self.name, error.message)
                warned = True
                if not self._keep(batch):
                    return
            else:
                warned = False

    def _next(self) -> list[tuple[str, str]]:
        """What is fresh, once there is something; empty: the end."""
        with self._changed:
            self._changed.wait_for(lambda: self._fresh or self._closing)
            self._changed.wait_for(lambda: self._closing, COMMIT_S)
            batch = list(self._fresh)
            self._fresh.clear()
            return batch

    def _keep(self, batch: list[tuple[str, str]]) -> bool:
        """Put back what the disk refused; False when there is no time left to try again."""
        with self._changed:
            self._fresh.extendleft(reversed(batch))
            self._forget_oldest()
            if self._closing:
                self._lost += len(self._fresh)
                self._fresh.clear()
                return False
            self._changed.wait_for(lambda: self._closing, RETRY_S)
            return True

    def _forget_oldest(self) -> None:
        while len(self._fresh) > WAITING:
            self._fresh.popleft()
            self._lost += 1

    def _send(self) -> None:
        while not self._ending.over(self._outbox.size):
            try:
                self._courier.run(self._outbox, self._ending)
            except EdgeError as error:
                _log.warning("%s: %s; trying again", self.name, error.message)
                self._ending.wait(RETRY_S)
