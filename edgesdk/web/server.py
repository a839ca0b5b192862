"""The server in a thread of its own: uvicorn on a socket that is bound before the run begins."""

from __future__ import annotations

import asyncio
import errno
import logging
import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass

from edgesdk._optional import require
from edgesdk.errors import EdgeError, UsageError
from edgesdk.web.access import Access
from edgesdk.web.door import Door, guarding
from edgesdk.web.latest import Latest
from edgesdk.web.site import Site

START_S = 10.0
STOP_S = 2.0
GRACE_S = 0.4
"""How long viewers may take the last they are sent, before they are cut off."""
TICK_S = 0.5
"""How often viewers are told the figures."""
SEND_BUFFER_BYTES = 128 * 1024
"""Of the kernel for each viewer: what lies there is old when a slow one gets it."""

_log = logging.getLogger(__name__)


def bind(host: str, port: int) -> socket.socket:
    """A listening socket. Raises UsageError when the address is taken or is not this machine's."""
    try:
        family, kind, proto, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        bound = socket.socket(family, kind, proto)
    except OSError as error:
        raise UsageError(f"web://{host}:{port}: {error.strerror or error}") from error
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)
        bound.bind(address)
        bound.listen(64)
    except OSError as error:
        bound.close()
        raise UsageError(
            f"the page cannot be served on {host}:{port}: {error.strerror or error}",
            "another program has it: name another port, or 0 for any free one"
            if error.errno == errno.EADDRINUSE
            else "name an address of this machine, such as 127.0.0.1 or 0.0.0.0",
        ) from error
    return bound


@dataclass(frozen=True)
class Content:
    """What is served. The functions are called in the server's thread and may not wait."""

    message: Callable[[], bytes]
    """The figures, as JSON."""
    streams: Callable[[], int]
    """How many streams there are."""
    watch: Callable[[int, bool], None]
    """Told whether a stream has viewers."""


class Server:
    """Serves until `close`. Everything of asyncio stays in its thread."""

    def __init__(
        self,
        bound: socket.socket,
        access: Access,
        content: Content,
        door: Door | None = None,
    ) -> None:
        """`bound` is closed with the server; `door` None: the usual bounds.

        Raises MissingExtra without uvicorn, EdgeError when it does not start.
        """
        uvicorn = require("uvicorn", "serve a web page")
        h11 = require("uvicorn.protocols.http.h11_impl", "serve a web page")
        self.door = door or Door()
        self._content = content
        self._pictures: dict[int, Latest] = {}
        self._status = Latest(self._status_watched)
        self._asked = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._ready = threading.Event()
        self._uvicorn = uvicorn.Server(
            uvicorn.Config(
                Site(access, self.door, self._status, self._of_stream),
                http=guarding(h11.H11Protocol, self.door),
                loop="asyncio",
                ws="none",
                lifespan="off",
                interface="asgi3",
                log_config=None,
                log_level="error",  # not a line for each broken request of a scanner
                access_log=False,  # an address may hold the token
                proxy_headers=False,
                server_header=False,
                timeout_graceful_shutdown=1,
            )
        )
        self._bound = bound
        self._thread = threading.Thread(target=self._run, name="edgesdk-web", daemon=True)
        self._thread.start()
        if not self._ready.wait(START_S):
            raise EdgeError(f"the web server did not start within {START_S:g} s")

    def publish(self, stream: int, jpeg: bytes) -> None:
        """A new picture of a stream; for any thread."""
        loop = self._loop
        if loop is not None and not loop.is_closed():
            try:
                loop.call_soon_threadsafe(self._put, stream, jpeg)
            except RuntimeError:  # closed between the question and the call
                _log.debug("a picture came after the end")

    def close(self) -> None:
        """End all answers and free the port, within STOP_S."""
        if self._loop is not None and self._thread.is_alive():
            try:
                self._loop.call_soon_threadsafe(self._finish)
            except RuntimeError:
                _log.debug("the web server had already ended")
        self._thread.join(STOP_S)
        if self._thread.is_alive():
            _log.warning("the web server did not end within %g s; its thread is left", STOP_S)

    def _run(self) -> None:
        asyncio.run(self._serve())

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        ticking = asyncio.ensure_future(self._tick())
        self._ready.set()  # connections wait in the bound socket until they are taken
        try:
            await self._uvicorn.serve(sockets=[self._bound])
        finally:
            ticking.cancel()
            self._bound.close()
            self.door.abort_all()
            await asyncio.sleep(0)  # what was aborted is told so

    async def _tick(self) -> None:
        """Tell the figures, while somebody listens."""
        while True:
            await self._asked.wait()
            self._status.put(self._content.message())
            await asyncio.sleep(TICK_S)

    def _finish(self) -> None:
        for latest in (self._status, *self._pictures.values()):
            latest.end()
        self._uvicorn.should_exit = True
        asyncio.get_running_loop().call_later(GRACE_S, self.door.abort_all)

    def _status_watched(self, watched: bool) -> None:
        if watched:
            self._asked.set()
        else:
            self._asked.clear()

    def _of_stream(self, number: int) -> Latest | None:
        if number not in self._pictures and number < self._content.streams():
            self._pictures[number] = Latest(lambda watched: self._content.watch(number, watched))
        return self._pictures.get(number)

    def _put(self, stream: int, jpeg: bytes) -> None:
        latest = self._of_stream(stream)
        if latest is not None:
            latest.put(jpeg)
