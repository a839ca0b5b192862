"""Bounds on connections, whatever the clients do: how many, how long idle, how long stuck."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

MAX_CONNECTIONS = 64
"""More are closed at once."""
PATIENCE_S = 10.0
"""How long a connection may be without a whole request, or a client take nothing of an answer."""

Address = tuple[str, int]


class Door:
    """Everyone who is connected. It lives in the server's thread."""

    def __init__(self, patience_s: float = PATIENCE_S, most: int = MAX_CONNECTIONS) -> None:
        self.patience_s = patience_s
        self._most = most
        self._guards: set[Guard] = set()
        self._by_address: dict[Address, Guard] = {}

    def __len__(self) -> int:
        """How many are connected."""
        return len(self._guards)

    def admit(self, guard: Guard, address: Address) -> bool:
        """False when it is full."""
        if len(self._guards) >= self._most:
            return False
        self._guards.add(guard)
        self._by_address[address] = guard
        return True

    def leave(self, guard: Guard, address: Address) -> None:
        """A connection is gone."""
        self._guards.discard(guard)
        if self._by_address.get(address) is guard:
            del self._by_address[address]

    def begins(self, address: Address) -> None:
        """A whole request came from `address`; its answer may take as long as it takes."""
        if address in self._by_address:
            self._by_address[address].begins()

    def ends(self, address: Address) -> None:
        """The answer is given."""
        if address in self._by_address:
            self._by_address[address].ends()

    def abort_all(self) -> None:
        """Close every connection now; what was not sent is lost."""
        for guard in list(self._guards):
            guard.abort()


class Guard(asyncio.Protocol):
    """Stands between a connection and the library's protocol, and passes everything on."""

    def __init__(self, inner: asyncio.Protocol, door: Door) -> None:
        self._inner = inner
        self._door = door
        self._address: Address = ("", 0)
        self._transport: asyncio.Transport | None = None
        self._timers: dict[str, asyncio.TimerHandle] = {}

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A client has come: it has some seconds for its request."""
        assert isinstance(transport, asyncio.Transport)
        self._address = _address(transport)
        if not self._door.admit(self, self._address):
            transport.abort()
            return
        self._transport = transport
        self._wait("request")
        self._inner.connection_made(transport)

    def connection_lost(self, exc: Exception | None) -> None:
        """It is gone, whoever closed it."""
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()
        if self._transport is not None:
            self._door.leave(self, self._address)
            self._inner.connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Bytes of a request."""
        self._inner.data_received(data)

    def eof_received(self) -> bool | None:
        """The client sends nothing any more."""
        return self._inner.eof_received()

    def pause_writing(self) -> None:
        """More waits to be sent than there should: the client has some seconds to take it."""
        self._wait("writing")
        self._inner.pause_writing()

    def resume_writing(self) -> None:
        """It was taken."""
        self._forget("writing")
        self._inner.resume_writing()

    def begins(self) -> None:
        """Its request is whole."""
        self._forget("request")

    def ends(self) -> None:
        """It may ask again, within the same time."""
        self._wait("request")

    def abort(self) -> None:
        """Close at once."""
        if self._transport is not None:
            self._transport.abort()

    def _wait(self, what: str) -> None:
        self._forget(what)
        if self._transport is None or self._transport.is_closing():
            return
        loop = asyncio.get_running_loop()
        self._timers[what] = loop.call_later(self._door.patience_s, self.abort)

    def _forget(self, what: str) -> None:
        timer = self._timers.pop(what, None)
        if timer is not None:
            timer.cancel()


def guarding(make: Callable[..., asyncio.Protocol], door: Door) -> Callable[..., asyncio.Protocol]:
    """A factory like `make` (uvicorn's class for a connection) whose connections are guarded."""

    def guarded(
        config: object,
        server_state: object,
        app_state: object,
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> asyncio.Protocol:
        inner = make(config=config, server_state=server_state, app_state=app_state, _loop=_loop)
        return Guard(inner, door)

    return guarded


def _address(transport: asyncio.Transport) -> Address:
    """As uvicorn tells it to the application."""
    peer = transport.get_extra_info("peername") or ("", 0)
    return str(peer[0]), int(peer[1])
