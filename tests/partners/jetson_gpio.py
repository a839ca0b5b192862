"""A double of Jetson.GPIO: its functions, its constants, and what it refuses.

Written after the package's own source; `test_gpio.py` holds both against each other where it is
installed. No board was there to record from.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from types import ModuleType

BOARD_TO_BCM = {7: 4, 11: 17, 12: 18, 13: 27, 15: 22, 16: 23, 18: 24, 22: 25}
"""Some pins of the 40-pin header, as on a Raspberry Pi."""


class JetsonGpio(ModuleType):
    """One board's pins. Its own methods are those of the module; `levels` and `edge` are ours."""

    BOARD, BCM = 10, 11
    HIGH, LOW = 1, 0
    OUT, IN = 0, 1
    RISING, FALLING, BOTH = 31, 32, 33

    def __init__(self) -> None:
        super().__init__("Jetson.GPIO")
        self.levels: list[tuple[int, int, int]] = []
        """(channel, value, monotonic ns) of each change of an output."""
        self.broken = False
        """True: the kernel refuses."""
        self._mode: int | None = None
        self._directions: dict[int, int] = {}
        self._edges: dict[int, tuple[int, Callable[[int], None] | None]] = {}

    def setmode(self, mode: int) -> None:
        if self._mode not in (None, mode):
            raise ValueError("A different mode has already been set!")
        if mode not in (self.BOARD, self.BCM):
            raise ValueError("An invalid mode was passed to setmode()!")
        self._mode = mode

    def getmode(self) -> int | None:
        return self._mode

    def setup(
        self,
        channels: int | Iterable[int],
        direction: int,
        pull_up_down: int = 20,
        initial: int | None = None,
        consumer: str = "Jetson-gpio",
    ) -> None:
        for channel in self._known(channels):
            self._directions[channel] = direction
            if direction == self.OUT and initial is not None:
                self._set(channel, initial)

    def output(self, channels: int | Iterable[int], values: int) -> None:
        for channel in self._known(channels):
            if self._directions.get(channel) != self.OUT:
                raise RuntimeError("The GPIO channel has not been set up as an OUTPUT")
            self._set(channel, values)

    def add_event_detect(
        self,
        channel: int,
        edge: int,
        callback: Callable[[int], None] | None = None,
        bouncetime: int | None = None,
        polltime: float = 0.2,
    ) -> None:
        if self._directions.get(channel) != self.IN:
            raise RuntimeError("You must setup() the GPIO channel as an input first")
        self._edges[channel] = (edge, callback)

    def remove_event_detect(self, channel: int, timeout: float = 0.5) -> None:
        self._edges.pop(channel, None)

    def cleanup(self, channel: int | Iterable[int] | None = None) -> None:
        wanted = list(self._directions) if channel is None else self._known(channel)
        for each in wanted:
            self._directions.pop(each, None)
            self._edges.pop(each, None)
        if channel is None:
            self._mode = None

    def edge(self, channel: int, edge: int) -> None:
        """The world changes an input; the callback comes from a thread of the package."""
        wanted, callback = self._edges.get(channel, (0, None))
        if callback is not None and wanted in (edge, self.BOTH):
            thread = threading.Thread(target=callback, args=(channel,))
            thread.start()
            thread.join()

    @property
    def set_up(self) -> dict[int, int]:
        """Channel -> direction, of those in use."""
        return dict(self._directions)

    def values(self, channel: int) -> list[int]:
        """What an output said, without repetitions."""
        told = [value for pin, value, _ in self.levels if pin == channel]
        return [v for v, before in zip(told, [None, *told], strict=False) if v != before]

    def _set(self, channel: int, value: int) -> None:
        if self.broken:
            raise OSError(5, "Input/output error")
        self.levels.append((channel, value, time.monotonic_ns()))

    def _known(self, channels: int | Iterable[int]) -> list[int]:
        if self._mode is None:
            raise RuntimeError("Please set pin numbering mode using GPIO.setmode(GPIO.BOARD)")
        pins = BOARD_TO_BCM if self._mode == self.BOARD else BOARD_TO_BCM.values()
        asked = [channels] if isinstance(channels, int) else list(channels)
        for channel in asked:
            if channel not in pins:
                raise ValueError(f"Channel {channel} is invalid")
        return asked
