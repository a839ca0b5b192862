"""A real Modbus TCP server, as a PLC is one: in a process that can be killed, frozen, restarted.

It writes down each value that it is given with the time on the monotonic clock, which all
processes of a machine share. Run as a script it is that process.
"""

from __future__ import annotations

import asyncio
import importlib.util
import json
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.partners.mosquitto import free_port

ABSENT = "needs pymodbus: pip install 'edgesdk[modbus]'"
INSTALLED = importlib.util.find_spec("pymodbus") is not None
FIRST_REGISTER = 4
"""The registers before it are its bits: coil N is also input N, so a test can set an input."""
SIZE = 60


@dataclass(frozen=True)
class Written:
    """One value that was written to it."""

    at_ns: int
    table: str
    """"coil" or "register"."""
    address: int
    value: int


class ModbusServer:
    """The process, with what was written to it. Its values are 0 after each start."""

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        self._journal = folder / "plc.jsonl"
        self._journal.touch()
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        assert self._process is None
        self._process = subprocess.Popen(
            [sys.executable, "-m", __name__, str(self.port), str(self._journal)],
            cwd=Path(__file__).parents[2],
        )
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            assert self._process.poll() is None, "the server ended"
            time.sleep(0.02)
        raise AssertionError("the server does not listen")

    def stop(self, number: signal.Signals = signal.SIGKILL) -> None:
        """Kill it, or with SIGSTOP and SIGCONT freeze and wake it."""
        if self._process is not None:
            self._process.send_signal(number)
            if number in (signal.SIGKILL, signal.SIGTERM):
                self._process.wait(10)
                self._process = None

    def written(self, table: str = "", address: int | None = None) -> list[Written]:
        """In order; a line that is being written just now is left out."""
        lines = self._journal.read_text().split("\n")[:-1]
        rows = [Written(**json.loads(line)) for line in lines]
        return [row for row in rows if table in ("", row.table) and address in (None, row.address)]

    def client(self) -> Any:
        """A client of its own for the test, as the PLC's program would set its values."""
        from pymodbus.client import ModbusTcpClient  # noqa: PLC0415

        client = ModbusTcpClient("127.0.0.1", port=self.port, timeout=5)
        assert client.connect()
        return client

    def __enter__(self) -> ModbusServer:
        self.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.stop()


def _serve(port: int, journal: Path) -> None:
    from pymodbus.server import ModbusTcpServer  # noqa: PLC0415

    with journal.open("a", buffering=1) as file:

        def note(sending: bool, pdu: Any) -> Any:
            """Each request to write one coil or register, once it comes."""
            tables = {5: "coil", 6: "register"}
            if not sending and pdu.function_code in tables:
                table = tables[pdu.function_code]
                value = int(pdu.bits[0] if table == "coil" else pdu.registers[0])
                row = Written(time.monotonic_ns(), table, pdu.address, value)
                file.write(json.dumps(vars(row)) + "\n")
            return pdu

        async def serve() -> None:
            server = ModbusTcpServer(_device(), address=("127.0.0.1", port), trace_pdu=note)
            await server.serve_forever()

        asyncio.run(serve())


def _device() -> Any:
    from pymodbus.simulator import DataType, SimData, SimDevice  # noqa: PLC0415

    bits = SimData(0, values=[False] * FIRST_REGISTER * 16, datatype=DataType.BITS)
    words = SimData(FIRST_REGISTER, count=SIZE, values=0, datatype=DataType.REGISTERS)
    return SimDevice(1, simdata=[bits, words], use_bit_addressing=True)


if __name__ == "__main__":
    _serve(int(sys.argv[1]), Path(sys.argv[2]))
