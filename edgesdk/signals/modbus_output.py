"""`modbus://host:502/coil/3?delay=800ms`: verdicts as coils or registers of a PLC."""

from __future__ import annotations

from dataclasses import dataclass

from edgesdk.errors import UsageError
from edgesdk.pipeline import Sink
from edgesdk.signals.modbus import LAST, ModbusLink, ModbusPlace, check_connection, modbus_place
from edgesdk.signals.output import Output
from edgesdk.signals.schedule import Levels
from edgesdk.signals.wires import OutputOptions
from edgesdk.sinks.facts import SinkFacts
from edgesdk.sinks.uri import SinkUri

NONE = -1


@dataclass(frozen=True)
class ModbusOutputOptions(OutputOptions):
    """What may stand after the "?"; numbers of coils and registers are counted from 0."""

    unit: int = 1
    """Unit id of the PLC, 0 to 255; many that speak TCP themselves do not look at it."""
    timeout_s: float = 0.3
    """An answer that takes longer counts as a lost connection."""
    pass_coil: int = NONE
    """Set while a good part is there: with the coil of the URI a pair that is never both."""
    ready_coil: int = NONE
    """Set after the pair, and reset before it changes: a PLC takes verdicts at its rising edge."""
    heartbeat_coil: int = NONE
    """Changes each `heartbeat` while the pipeline is alive: a PLC sees when it is not."""
    part_register: int = NONE
    """Holding register with the number of the last part, 1 to 65535 and then from 1 again, so that
    a PLC sees when it has missed one; 0 in the safe state."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_connection(self.unit, self.timeout_s)
        numbers = (self.pass_coil, self.ready_coil, self.heartbeat_coil, self.part_register)
        if max(numbers) > LAST:
            raise ValueError(f"coils and registers go from 0 to {LAST}")


def make_sink(uri: SinkUri, facts: SinkFacts) -> Sink:
    """The safe state is taken at once; a PLC that is not there may come later."""
    options = uri.options(ModbusOutputOptions)
    place = modbus_place(uri, options.unit, options.timeout_s, ("coil", "register"))
    return Output(uri.name, ModbusWire(place, options), options, facts)


class ModbusWire:
    """Coils and registers of one PLC."""

    def __init__(self, place: ModbusPlace, options: ModbusOutputOptions) -> None:
        """Raises UsageError for an address that is named twice, MissingExtra without pymodbus."""
        named = [(place.table, place.address), ("register", options.part_register)]
        named += [
            ("coil", address)
            for address in (options.pass_coil, options.ready_coil, options.heartbeat_coil)
        ]
        used = [each for each in named if each[1] != NONE]
        if len(set(used)) < len(used):
            raise UsageError(f"{place.shown}: each coil and register can be named once")
        self.shown = place.shown
        self.slow_s = place.timeout_s
        self._place = place
        self._options = options
        self._link = ModbusLink(place)

    def connect(self, levels: Levels) -> None:
        """Open the connection and say all."""
        self._link.connect()
        self.write(levels, None)

    def write(self, levels: Levels, said: Levels | None) -> None:
        """Say what differs: "ready" falls before the verdict changes and rises after it."""
        options = self._options
        if said is not None and said.ready and said.number != levels.number:
            self._coil(options.ready_coil, False)
        if said is None or said.reject != levels.reject:
            self._main(levels.reject != options.invert)
        if said is None or said.passed != levels.passed:
            self._coil(options.pass_coil, levels.passed)
        if options.part_register != NONE and (said is None or said.number != levels.number):
            self._link.write_register(options.part_register, levels.number)
        if said is None or (said.ready, said.number) != (levels.ready, levels.number):
            self._coil(options.ready_coil, levels.ready)
        if said is None or said.beat != levels.beat:
            self._coil(options.heartbeat_coil, levels.beat)

    def close(self) -> None:
        """Let go of the connection."""
        self._link.close()

    def _main(self, value: bool) -> None:
        if self._place.table == "coil":
            self._link.write_coil(self._place.address, value)
        else:
            self._link.write_register(self._place.address, int(value))

    def _coil(self, address: int, value: bool) -> None:
        if address != NONE:
            self._link.write_coil(address, value)
