"""`gpio:18?delay=800ms`: verdicts as levels of a board's pins.

Written against the API of Jetson.GPIO and tried with a double of it, on no board yet.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass

from edgesdk.errors import UsageError
from edgesdk.pipeline import Sink
from edgesdk.signals.gpio import check_numbering, load_gpio, pin_of, reported
from edgesdk.signals.output import Output
from edgesdk.signals.schedule import Levels
from edgesdk.signals.wires import OutputOptions, WireLost, WireRefused
from edgesdk.sinks.facts import SinkFacts
from edgesdk.sinks.uri import SinkUri

NONE = -1


@dataclass(frozen=True)
class GpioOutputOptions(OutputOptions):
    """What may stand after the "?"."""

    numbering: str = "board"
    """How pins are counted: "board" by their place in the header, "bcm" as on a Raspberry Pi."""
    pass_pin: int = NONE
    """High while a good part is there."""
    ready_pin: int = NONE
    """High while the pair is a verdict."""
    heartbeat_pin: int = NONE
    """Changes each `heartbeat` while the pipeline is alive."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_numbering(self.numbering)


def make_sink(uri: SinkUri, facts: SinkFacts) -> Sink:
    """The safe state is taken at once."""
    options = uri.options(GpioOutputOptions)
    wire = GpioWire(uri.shown, pin_of(uri), options)
    return Output(uri.name, wire, options, facts)


class GpioWire:
    """Pins of this board. At the end they are given back: how the wire is then is up to its
    resistor, which should pull it to the safe state."""

    slow_s = 0.1

    def __init__(self, shown: str, pin: int, options: GpioOutputOptions) -> None:
        """Raises UsageError for a pin that is named twice, and what `load_gpio` raises."""
        self.shown = shown
        self._options = options
        named = {
            "reject": pin,
            "passed": options.pass_pin,
            "ready": options.ready_pin,
            "beat": options.heartbeat_pin,
        }
        self._pins = {level: number for level, number in named.items() if number != NONE}
        if len(set(self._pins.values())) < len(self._pins):
            raise UsageError(f"{shown}: each pin can be named once")
        self._gpio = load_gpio(options.numbering)

    def connect(self, levels: Levels) -> None:
        """Make the pins outputs that say `levels` from the beginning."""
        try:
            with reported(self.shown):
                for level, pin in self._pins.items():
                    value = self._value(level, levels)
                    self._gpio.setup(pin, self._gpio.OUT, initial=value)
        except WireLost as error:
            raise WireRefused(error.message, "see which pins of the header are free") from error

    def write(self, levels: Levels, said: Levels | None) -> None:
        """Say what differs."""
        with reported(self.shown):
            for level, pin in self._pins.items():
                value = self._value(level, levels)
                if said is None or value != self._value(level, said):
                    self._gpio.output(pin, value)

    def close(self) -> None:
        """Give the pins back."""
        with contextlib.suppress(WireLost), reported(self.shown):
            self._gpio.cleanup(list(self._pins.values()))

    def _value(self, level: str, levels: Levels) -> int:
        on = bool(getattr(levels, level)) != (level == "reject" and self._options.invert)
        return int(self._gpio.HIGH if on else self._gpio.LOW)
