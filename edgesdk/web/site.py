"""What the server answers: an ASGI application with a handful of paths, all of them GET."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

from edgesdk.web.access import SECURITY, Access, Headers
from edgesdk.web.door import Door
from edgesdk.web.latest import Latest

Scope = Mapping[str, Any]
Message = dict[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

PAGE = Path(__file__).parent / "page"
FILES = {
    "/": ("page.html", "text/html; charset=utf-8"),
    "/page.css": ("page.css", "text/css; charset=utf-8"),
    "/page.js": ("page.js", "text/javascript; charset=utf-8"),
    "/inspection.js": ("inspection.js", "text/javascript; charset=utf-8"),
    "/icon.svg": ("icon.svg", "image/svg+xml"),
}
PICTURE = re.compile(r"/(?:stream/(\d{1,3})\.mjpg|picture/(\d{1,3})\.jpg)")
TEXT = "text/plain; charset=utf-8"
JPEG_WAIT_S = 5.0
"""How long a single picture is waited for."""
SSE_RETRY_MS = 2000
AGAIN_SOON_S, AGAIN_S = 0.3, 10.0
BOUNDARY = "edgesdk-picture"
LOCKED = """This page needs a token.

Open the address that was printed when the run was started: it ends in ?token=...
"""


@dataclass(frozen=True)
class Answer:
    """An answer that is whole."""

    status: int
    body: bytes = b""
    kind: str = TEXT
    headers: Headers = field(default_factory=dict)


@dataclass(frozen=True)
class Stream:
    """An answer that goes on until the viewer leaves or the run ends."""

    kind: str
    parts: Callable[[], AsyncIterator[bytes]]


@dataclass(frozen=True)
class Request:
    """What matters of a request."""

    method: str
    path: str
    headers: Headers
    query: dict[str, list[str]]

    def value(self, name: str) -> str:
        """The first value of `name` in the query, or an empty text."""
        return self.query.get(name, [""])[0]


class Site:
    """Answers requests. It lives in the server's loop."""

    def __init__(
        self,
        access: Access,
        door: Door,
        status: Latest,
        pictures: Callable[[int], Latest | None],
    ) -> None:
        """`status` carries the figures as JSON; `pictures(n)` the JPEGs of stream n, None where
        there is no such stream."""
        self._access = access
        self._door = door
        self._status = status
        self._pictures = pictures
        self._files = {
            path: ((PAGE / name).read_bytes(), kind) for path, (name, kind) in FILES.items()
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request, as ASGI has it."""
        if scope["type"] != "http":
            return
        client = tuple(scope["client"] or ("", 0))
        self._door.begins(client)
        try:
            request = _request(scope)
            answer = await self._answer(request)
            if isinstance(answer, Answer):
                await _send_whole(answer, send)
            elif request.method == "HEAD":
                await send(_start(200, {**SECURITY, "content-type": answer.kind}))
                await send({"type": "http.response.body", "body": b""})
            else:
                await _send_stream(answer, receive, send)
        finally:
            self._door.ends(client)

    async def _answer(self, request: Request) -> Answer | Stream:
        if not self._access.knows_host(request.headers.get("host", "")):
            return Answer(421, b"This server does not go by that name.\n")
        if request.method not in {"GET", "HEAD"}:
            return Answer(405, b"Only GET.\n", headers={"allow": "GET, HEAD"})
        token = request.value("token")
        if not self._access.admits(request.headers, token):
            return Answer(401, LOCKED.encode(), headers={"www-authenticate": "Token"})
        if request.path in self._files:
            body, kind = self._files[request.path]
            earned = request.path == "/" and self._access.earns_cookie(token)
            return Answer(
                200, body, kind, {"set-cookie": self._access.set_cookie} if earned else {}
            )
        if self._access.foreign(request.headers):
            return Answer(403, b"Not for pages of other sites.\n")
        return await self._live(request)

    async def _live(self, request: Request) -> Answer | Stream:
        if request.path == "/state":
            async with _watching(self._status) as before:
                body = await self._status.after(before)
            return Answer(200, body, "application/json") if body else Answer(503, b"It is over.\n")
        if request.path == "/events":
            return Stream("text/event-stream", lambda: _events(self._status))
        found = PICTURE.fullmatch(request.path)
        pictures = self._pictures(int(found[1] or found[2])) if found else None
        if found is None or pictures is None:
            return Answer(404, b"There is nothing here.\n")
        if found[1]:
            kind = f"multipart/x-mixed-replace; boundary={BOUNDARY}"
            return Stream(kind, lambda: _multipart(pictures))
        after = request.value("after")
        return await _one(pictures, int(after) if re.fullmatch(r"\d{1,12}", after) else 0)


class _watching:  # noqa: N801 - reads as a verb: async with _watching(pictures)
    """Counts a viewer for the time of the body and a little longer, for who asks again at once."""

    LINGER_S = 1.5

    def __init__(self, latest: Latest) -> None:
        self._latest = latest

    async def __aenter__(self) -> int:
        return self._latest.come()

    async def __aexit__(self, *_: object) -> None:
        asyncio.get_running_loop().call_later(self.LINGER_S, self._latest.go)


async def _events(status: Latest) -> AsyncIterator[bytes]:
    """Server-sent events: each is the whole state."""
    yield f"retry: {SSE_RETRY_MS}\n\n".encode()
    async with _watching(status) as before:
        value = await status.after(before)
        while value is not None:
            number = status.number
            yield b"data: " + value + b"\n\n"
            value = await status.after(number)
    yield b"event: end\ndata: {}\n\n"


async def _multipart(pictures: Latest) -> AsyncIterator[bytes]:
    """Motion JPEG: each picture replaces the one before.

    A browser shows a picture when it sees the next one begin, so the last one of a source that
    stands still is sent again soon, and then now and then.
    """
    async with _watching(pictures) as before:
        jpeg = await pictures.after(before)
        yield f"--{BOUNDARY}\r\n".encode()
        quiet_s = AGAIN_SOON_S
        while jpeg is not None:
            number = pictures.number
            head = f"Content-Type: image/jpeg\r\nContent-Length: {len(jpeg)}\r\n\r\n"
            yield b"".join((head.encode(), jpeg, f"\r\n--{BOUNDARY}\r\n".encode()))
            try:
                jpeg = await asyncio.wait_for(pictures.after(number), quiet_s)
                quiet_s = AGAIN_SOON_S
            except asyncio.TimeoutError:
                quiet_s = AGAIN_S


async def _one(pictures: Latest, number: int) -> Answer:
    """The next picture after the one that the viewer has; 204 when none comes in time."""
    if number > pictures.number:
        number = 0  # it is from an earlier run
    try:
        async with _watching(pictures) as before:
            after = max(number, before)
            jpeg = await asyncio.wait_for(pictures.after(after), JPEG_WAIT_S)
    except asyncio.TimeoutError:
        jpeg = None
    if jpeg is None:
        return Answer(204)
    return Answer(200, jpeg, "image/jpeg", {"x-picture-number": str(pictures.number)})


async def _send_whole(answer: Answer, send: Send) -> None:
    headers = {**SECURITY, "content-type": answer.kind, **answer.headers}
    if answer.status == 204:
        del headers["content-type"]
    else:
        headers["content-length"] = str(len(answer.body))
    if answer.status >= 400:
        headers["connection"] = "close"
    await send(_start(answer.status, headers))
    await send({"type": "http.response.body", "body": answer.body})


async def _send_stream(answer: Stream, receive: Receive, send: Send) -> None:
    """Send until it is over or the viewer is gone, whichever comes first."""
    sending = asyncio.ensure_future(_send_parts(answer, send))
    leaving = asyncio.ensure_future(_gone(receive))
    try:
        await asyncio.wait({sending, leaving}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in (sending, leaving):
            task.cancel()
        await asyncio.gather(sending, leaving, return_exceptions=True)


async def _send_parts(answer: Stream, send: Send) -> None:
    await send(_start(200, {**SECURITY, "content-type": answer.kind, "connection": "close"}))
    parts = answer.parts()
    try:
        async for part in parts:
            await send({"type": "http.response.body", "body": part, "more_body": True})
    finally:
        await parts.aclose()  # type: ignore[attr-defined]
    await send({"type": "http.response.body", "body": b""})


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def _start(status: int, headers: Headers) -> Message:
    encoded = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]
    return {"type": "http.response.start", "status": status, "headers": encoded}


def _request(scope: Scope) -> Request:
    headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
    query = parse_qs(scope["query_string"].decode("latin-1"), max_num_fields=20)
    return Request(scope["method"], scope["path"], headers, query)
