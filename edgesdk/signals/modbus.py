"""A Modbus TCP connection, as far as signals need one: coils, inputs and registers by number."""

from __future__ import annotations

import logging
import re
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, cast

from edgesdk._optional import require
from edgesdk.errors import UsageError
from edgesdk.signals.wires import WireLost, WireRefused
from edgesdk.sinks.uri import SinkUri

PORT = 502
PURPOSE = "talk Modbus with a PLC"
LAST = 65535

EXCEPTIONS = {
    1: "illegal function",
    2: "illegal data address",
    3: "illegal data value",
    4: "device failure",
    6: "device busy",
    10: "gateway path unavailable",
    11: "gateway target does not respond",
}
"""Modbus Application Protocol 1.1b3, section 7."""
FOR_GOOD = (1, 2, 3)
"""Those that the same request will meet again."""

Table = Literal["coil", "input", "register", "counter"]
"""What a PLC keeps its values in: coils can be written, discrete inputs only read, holding
registers are 16-bit words. A counter is a holding register that counts parts."""


@dataclass(frozen=True)
class ModbusPlace:
    """One value of one PLC."""

    shown: str
    """Of the URI, for messages."""
    host: str
    port: int
    table: Table
    address: int
    """Counted from 0, as in the protocol; Modicon's 00004 is coil 3."""
    unit: int
    timeout_s: float
    """An answer that takes longer counts as a lost connection."""


def modbus_place(uri: SinkUri, unit: int, timeout_s: float, tables: Sequence[Table]) -> ModbusPlace:
    """`modbus://host:502/coil/3` taken apart. Raises UsageError where it is none of `tables`."""
    found = re.fullmatch(r"([a-z]+)/(\d{1,5})", uri.place)
    if not uri.host or not found or found[1] not in tables or int(found[2]) > LAST:
        raise UsageError(
            f"{uri.shown}: a host and one of {', '.join(f'{t}/N' for t in tables)} are needed,"
            f" N from 0 to {LAST}",
            f"such as modbus://192.168.1.20/{tables[0]}/3",
        )
    table = cast("Table", found[1])
    return ModbusPlace(uri.shown, uri.host, uri.port or PORT, table, int(found[2]), unit, timeout_s)


def check_connection(unit: int, timeout_s: float) -> None:
    """Raises ValueError for settings that no connection has."""
    if not 0 <= unit <= 255:
        raise ValueError(f"unit should be 0 to 255, found {unit}")
    if timeout_s <= 0:
        raise ValueError("timeout should be above 0")


class ModbusLink:
    """One connection, for one thread. Any failure closes it and raises WireLost."""

    def __init__(self, place: ModbusPlace) -> None:
        """Raises MissingExtra without pymodbus. Nothing is connected yet."""
        self.place = place
        self._client: Any = require("pymodbus.client", PURPOSE).ModbusTcpClient(
            place.host, port=place.port, timeout=place.timeout_s, retries=0
        )
        self._error: type[Exception] = require("pymodbus.exceptions", PURPOSE).ModbusException
        # What it logs of each failure is said here once, and to whom the wire belongs.
        logging.getLogger("pymodbus.logging").setLevel(logging.CRITICAL)

    def connect(self) -> None:
        """Raises WireLost, with the system's reason."""
        self.close()
        place = self.place
        try:
            made = socket.create_connection((place.host, place.port), place.timeout_s)
        except OSError as error:
            raise WireLost(f"no connection ({error.strerror or error})") from error
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._client.socket = made  # its own connect() tells no reason

    def close(self) -> None:
        """Twice is harmless."""
        self._client.close()

    def write_coil(self, address: int, value: bool) -> None:
        """Set one coil."""
        self._call(f"coil {address}", lambda **u: self._client.write_coil(address, value, **u))

    def write_register(self, address: int, value: int) -> None:
        """Set one holding register, 0 to 65535."""
        self._call(
            f"register {address}", lambda **u: self._client.write_register(address, value, **u)
        )

    def read(self, table: Table, address: int) -> int:
        """One coil or input (0 or 1), or one holding register."""
        read = {
            "coil": self._client.read_coils,
            "input": self._client.read_discrete_inputs,
        }.get(table, self._client.read_holding_registers)
        answer = self._call(f"{table} {address}", lambda **u: read(address, count=1, **u))
        return int(answer.bits[0] if table in ("coil", "input") else answer.registers[0])

    def _call(self, what: str, request: Callable[..., Any]) -> Any:
        if self._client.socket is None:  # else it would connect again by itself, and say nothing
            raise WireLost("the connection was closed")
        try:
            answer = request(device_id=self.place.unit)
        except (self._error, OSError) as error:
            closed = self._client.socket is None
            self.close()
            silent = f"no answer for {what} within {self.place.timeout_s:g} s"
            raise WireLost("the PLC closed the connection" if closed else silent) from error
        if answer.isError():
            self.close()
            raise self._refused(what, getattr(answer, "exception_code", 0))
        return answer

    def _refused(self, what: str, code: int) -> WireLost:
        """The PLC answered with an exception: for good, or because it cannot just now."""
        words = f"{EXCEPTIONS.get(code, 'exception')} (code {code})"
        if code not in FOR_GOOD:
            return WireLost(f"the PLC cannot do {what} now: {words}")
        return WireRefused(
            f"{self.place.shown}: the PLC refuses {what}: {words}",
            f"see which addresses unit {self.place.unit} has; they are counted from 0",
        )
