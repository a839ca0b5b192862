"""`modbus://host:502/coil/1`: a coil, an input or a counter of a PLC that says a part is there.

A level is read every `poll`; pulses that are shorter get lost between two readings, so a PLC had
better count parts in a register, `modbus://host/counter/5`: no pulse is too short for it.
"""

from __future__ import annotations

import logging
import threading
import time
from dataclasses import dataclass

from edgesdk.errors import EdgeError
from edgesdk.signals.firings import Count, Edges, Firings, TriggerLost
from edgesdk.signals.modbus import ModbusLink, ModbusPlace, check_connection, modbus_place
from edgesdk.signals.wires import WireLost
from edgesdk.sinks.backoff import BackOff
from edgesdk.sinks.uri import SinkUri

RECONNECT_S = 2.0

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class ModbusTriggerOptions:
    """What may stand after the "?"."""

    unit: int = 1
    """Unit id of the PLC, 0 to 255; many that speak TCP themselves do not look at it."""
    timeout_s: float = 0.3
    """An answer that takes longer counts as a lost connection."""
    poll_s: float = 0.005
    """From one reading to the next; a firing is stamped half of it off at most."""
    edge: str = "rising"
    """"rising" or "falling"; a counter has none."""
    debounce_s: float = 0.0
    """Within this time after one edge others are bounces."""

    def __post_init__(self) -> None:
        check_connection(self.unit, self.timeout_s)
        check_edge(self.edge)
        if self.poll_s <= 0:
            raise ValueError("poll should be above 0")


def check_edge(edge: str) -> None:
    """Raises ValueError for one that is not known."""
    if edge not in ("rising", "falling"):
        raise ValueError(f"edge should be rising or falling, found {edge!r}")


def make_trigger(uri: SinkUri) -> ModbusTrigger:
    """Whether the PLC is there is not asked: `fired` says so as long as it is not."""
    options = uri.options(ModbusTriggerOptions)
    place = modbus_place(uri, options.unit, options.timeout_s, ("coil", "input", "counter"))
    return ModbusTrigger(place, options)


class ModbusTrigger:
    """Reads in a thread of its own."""

    def __init__(self, place: ModbusPlace, options: ModbusTriggerOptions) -> None:
        self.name = place.shown
        self._place = place
        self._poll_s = options.poll_s
        self._link = ModbusLink(place)
        self._edges = (
            Count()
            if place.table == "counter"
            else Edges(options.edge == "rising", round(options.debounce_s * 1e9))
        )
        self._firings = Firings(self.name)
        self._down_said = False
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="edgesdk-trigger", daemon=True)
        self._thread.start()

    def fired(self) -> tuple[int, ...]:
        """As in `Trigger`."""
        return self._firings.take()

    def close(self) -> None:
        """End the thread and the connection."""
        self._closing.set()
        self._thread.join(3 * self._place.timeout_s + 1.0)

    def _run(self) -> None:
        back_off = BackOff(0.1, RECONNECT_S)
        try:
            while not self._closing.is_set():
                try:
                    self._link.connect()
                    self._read(back_off)
                except WireLost as error:
                    self._lose(error)
                    self._closing.wait(back_off.next_s())
        except Exception as error:  # noqa: BLE001 - raised again in fired
            self._firings.lose(TriggerLost(f"{self.name}: {type(error).__name__}: {error}"))
            _log.exception("%s: a defect ended its thread", self.name)
        finally:
            self._link.close()

    def _read(self, back_off: BackOff) -> None:
        """Until the end, or until the connection is lost."""
        self._edges.forget()
        while not self._closing.is_set():
            start_ns = time.monotonic_ns()
            value = self._link.read(self._place.table, self._place.address)
            now_ns = (start_ns + time.monotonic_ns()) // 2
            try:
                self._firings.add(*self._edges.read(value, now_ns))
            except EdgeError as error:
                raise WireLost(error.message) from error
            self._found()
            back_off.reset()
            self._closing.wait(max(self._poll_s - (time.monotonic_ns() - start_ns) / 1e9, 0))

    def _found(self) -> None:
        self._firings.find()
        if self._down_said:
            _log.warning("%s: it can be read again", self.name)
        self._down_said = False

    def _lose(self, error: WireLost) -> None:
        self._firings.lose(TriggerLost(f"{self.name}: {error.message}", error.hint))
        if not self._down_said:
            _log.warning("%s: %s; trying again", self.name, error.message)
        self._down_said = True
