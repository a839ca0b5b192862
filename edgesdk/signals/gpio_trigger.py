"""`gpio:23?edge=rising`: a light barrier at a pin of the board.

Written against the API of Jetson.GPIO and tried with a double of it, on no board yet.
"""

from __future__ import annotations

import contextlib
import threading
import time
from dataclasses import dataclass

from edgesdk.errors import UsageError
from edgesdk.signals.firings import Firings
from edgesdk.signals.gpio import check_numbering, load_gpio, pin_of, reported
from edgesdk.signals.modbus_trigger import check_edge
from edgesdk.signals.wires import WireLost
from edgesdk.sinks.uri import SinkUri


@dataclass(frozen=True)
class GpioTriggerOptions:
    """What may stand after the "?"."""

    numbering: str = "board"
    """How pins are counted: "board" by their place in the header, "bcm" as on a Raspberry Pi."""
    edge: str = "rising"
    """"rising" or "falling"."""
    debounce_s: float = 0.0
    """Within this time after one edge others are bounces."""

    def __post_init__(self) -> None:
        check_numbering(self.numbering)
        check_edge(self.edge)


def make_trigger(uri: SinkUri) -> GpioTrigger:
    """Raises UsageError for a pin that cannot be read."""
    return GpioTrigger(uri.shown, pin_of(uri), uri.options(GpioTriggerOptions))


class GpioTrigger:
    """Edges that Jetson.GPIO's thread finds."""

    def __init__(self, shown: str, pin: int, options: GpioTriggerOptions) -> None:
        self.name = shown
        self._pin = pin
        self._debounce_ns = round(options.debounce_s * 1e9)
        self._last_ns: int | None = None
        self._firings = Firings(shown)
        self._lock = threading.Lock()
        self._gpio = load_gpio(options.numbering)
        edge = self._gpio.RISING if options.edge == "rising" else self._gpio.FALLING
        try:
            with reported(shown):
                self._gpio.setup(pin, self._gpio.IN)
                self._gpio.add_event_detect(pin, edge, callback=self._edge)
        except WireLost as error:
            raise UsageError(error.message, "see which pins of the header are free") from error
        self._firings.find()

    def fired(self) -> tuple[int, ...]:
        """As in `Trigger`."""
        return self._firings.take()

    def close(self) -> None:
        """Give the pin back."""
        with contextlib.suppress(WireLost), reported(self.name):
            self._gpio.remove_event_detect(self._pin)
            self._gpio.cleanup(self._pin)

    def _edge(self, channel: int) -> None:
        now_ns = time.monotonic_ns()
        with self._lock:
            bounce = self._last_ns is not None and now_ns - self._last_ns < self._debounce_ns
            if not bounce:
                self._last_ns = now_ns
                self._firings.add(now_ns)
