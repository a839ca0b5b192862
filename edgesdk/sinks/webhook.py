"""`https://host/path#options`: events as the body of POST requests.

The address belongs to the receiver, query included, so options stand after "#", which is never
sent. A request carries {"events": [...]} and an Idempotency-Key that is the same when it is sent
again; each event has an id of its own as well.
"""

from __future__ import annotations

import base64
import hashlib
import http.client
import logging
import os
import re
import ssl
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote, urlsplit

from edgesdk._version import __version__
from edgesdk.errors import UsageError
from edgesdk.pipeline.protocols import Sink
from edgesdk.sinks.backoff import BackOff
from edgesdk.sinks.delivery import Delivery, Ending
from edgesdk.sinks.facts import SinkFacts
from edgesdk.sinks.outbox import Outbox, Queued, default_outbox
from edgesdk.sinks.uri import SinkUri, parse_options

TICK_S = 0.05
UNFIT = frozenset({400, 413, 415, 422})
"""Statuses about the request itself: sent again it would be refused again. Others, such as that of
a token that has run out, pass once somebody has mended what they tell of."""
RETRY_AFTER_CAP_S = 300.0
AS_WRITTEN = "%/:?#[]@!$&'()*+,;="
"""Of an address; what is neither this nor a letter or digit of ASCII goes as %XX."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class WebhookOptions:
    """What may stand after the "#"."""

    batch: int = 50
    """Events in one request at most."""
    timeout_s: float = 5.0
    """Without an answer for so long a request has failed."""
    bearer_env: str = ""
    """Environment variable with a token for `Authorization: Bearer`."""
    outbox: Path | None = None
    """None: below XDG_STATE_HOME (~/.local/state/edgesdk/outbox)."""
    limit: int = 100_000
    """Events that the outbox holds; then the oldest make room."""
    flush_s: float = 2.0
    """How long the end of a run waits for what is not delivered yet."""

    def __post_init__(self) -> None:
        if self.batch < 1 or self.limit < 1 or self.timeout_s <= 0:
            raise ValueError("batch, limit and timeout should be above 0")


@dataclass(frozen=True)
class Receiver:
    """Where to, and with what."""

    shown: str
    host: str
    port: int | None
    target: str = field(repr=False)
    """Path and query."""
    headers: Mapping[str, str] = field(repr=False)
    secure: bool
    options: WebhookOptions


@dataclass(frozen=True)
class Answer:
    """What the receiver says of one request."""

    status: int
    reason: str
    after_s: float
    """Of Retry-After; 0: none."""
    location: str
    """Where a redirect leads, without what may be a secret."""

    @property
    def complaint(self) -> str:
        """Why the events are not taken."""
        said = f"it answers {self.status} {self.reason}"
        if not 300 <= self.status < 400:
            return said
        return f"{said}: redirects are not followed, name {self.location or 'its new address'}"


def make_sink(uri: SinkUri, facts: SinkFacts) -> Sink:
    """Whether the receiver is there is not asked: it may come later."""
    options = parse_options(WebhookOptions, uri.fragment, uri.shown)
    if not uri.host:
        raise UsageError(f"{uri.shown}: names no host", "such as https://example.org/events")
    headers = {
        "Content-Type": "application/json",
        "User-Agent": f"edgesdk/{__version__}",
        **_authorization(uri, options),
    }
    target = f"/{uri.place}" + (f"?{uri.query}" if uri.query else "")
    target = quote(target, safe=AS_WRITTEN)
    secure = uri.kind == "https"
    receiver = Receiver(uri.shown, uri.host, uri.port, target, headers, secure, options)
    destination = f"{uri.kind}://{uri.host}:{uri.port}{target}"
    place = options.outbox or default_outbox(facts.app, "webhook", destination)
    outbox = Outbox(place, options.limit)
    return Delivery(uri.name, facts, outbox, WebhookCourier(receiver), options.flush_s)


class WebhookCourier:
    """One request at a time, in order."""

    def __init__(self, receiver: Receiver) -> None:
        self._receiver = receiver
        self._back_off = BackOff()
        self._connection: http.client.HTTPConnection | None = None
        self._told: set[str] = set()  # why it fails, since it last did not
        self._delivered = 0
        self._refused = 0
        self._retries = 0

    def gauges(self) -> Mapping[str, float]:
        """What became of events and requests."""
        return {
            "connected": float(not self._told),
            "delivered": self._delivered,
            "refused": self._refused,
            "retries": self._retries,
        }

    def run(self, outbox: Outbox, ending: Ending) -> None:
        """Post what waits."""
        try:
            while not ending.over(outbox.size):
                batch = outbox.oldest(self._receiver.options.batch)
                if batch:
                    self._deliver(batch, outbox, ending)
                else:
                    ending.wait(TICK_S)
        finally:
            self._hang_up()

    def _deliver(self, batch: Sequence[Queued], outbox: Outbox, ending: Ending) -> None:
        """Until it is taken, refused for good, or the run is over."""
        while True:
            pause_s, refused = self._attempt(batch)
            if pause_s is None:
                outbox.remove([message.number for message in batch])
                self._refused += len(batch) if refused else 0
                self._delivered += 0 if refused else len(batch)
                return
            self._retries += 1
            ending.wait(max(pause_s, self._back_off.next_s()))
            if ending.over(outbox.size):
                return

    def _attempt(self, batch: Sequence[Queued]) -> tuple[float | None, bool]:
        """Seconds to wait before the next one (None: it is done), and whether it was refused."""
        try:
            answer = self._post(batch)
        except (OSError, http.client.HTTPException, UnicodeError) as error:
            self._hang_up()
            self._say_failing(str(error) or type(error).__name__)
            return 0.0, False
        if answer.status >= 300 and answer.status not in UNFIT:
            self._say_failing(answer.complaint)
            return answer.after_s, False
        self._told.clear()
        self._back_off.reset()
        if answer.status < 300:
            return None, False
        _log.warning(
            "%s answers %d %s: %d events are dropped, since they would be refused again",
            self._receiver.shown,
            answer.status,
            answer.reason,
            len(batch),
        )
        return None, True

    def _post(self, batch: Sequence[Queued]) -> Answer:
        ids = "\n".join(message.id for message in batch)
        key = hashlib.sha256(ids.encode()).hexdigest()[:32]
        body = '{"events": [' + ", ".join(message.body for message in batch) + "]}"
        connection = self._connected()
        headers = {**self._receiver.headers, "Idempotency-Key": key}
        connection.request("POST", self._receiver.target, body.encode(), headers)
        answer = connection.getresponse()
        answer.read(65536)
        if not answer.isclosed() or answer.will_close:
            self._hang_up()
        return Answer(
            answer.status,
            answer.reason,
            _seconds(answer.getheader("Retry-After", "")),
            _plain(answer.getheader("Location", "")),
        )

    def _connected(self) -> http.client.HTTPConnection:
        if self._connection is None:
            host, port, timeout_s = (
                self._receiver.host,
                self._receiver.port,
                self._receiver.options.timeout_s,
            )
            self._connection = (
                http.client.HTTPSConnection(
                    host, port, timeout=timeout_s, context=ssl.create_default_context()
                )
                if self._receiver.secure
                else http.client.HTTPConnection(host, port, timeout=timeout_s)
            )
        return self._connection

    def _hang_up(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _say_failing(self, why: str) -> None:
        if why not in self._told:
            _log.warning("%s: %s; events wait in the outbox", self._receiver.shown, why)
        self._told.add(why)


def _authorization(uri: SinkUri, options: WebhookOptions) -> Mapping[str, str]:
    if options.bearer_env:
        if options.bearer_env not in os.environ:
            raise UsageError(
                f"{uri.shown}: the environment variable {options.bearer_env} is not set",
                f"set it: export {options.bearer_env}=...",
            )
        token = os.environ[options.bearer_env]
        if not re.fullmatch(r"[!-~]+", token):
            raise UsageError(
                f"{uri.shown}: the token in {options.bearer_env} is empty, or holds a space, a line"
                " break or another character that no header carries",
                f"export {options.bearer_env}=$(cat FILE) takes no line break from the file",
            )
        return {"Authorization": f"Bearer {token}"}
    if uri.user:
        pair = base64.b64encode(f"{uri.user}:{uri.password}".encode()).decode()
        return {"Authorization": f"Basic {pair}"}
    return {}


def _plain(location: str) -> str:
    """Of an address what is no secret: scheme, host, port and path."""
    try:
        parts = urlsplit(location)
        port = f":{parts.port}" if parts.port else ""
    except ValueError:
        return ""
    return f"{parts.scheme}://{parts.hostname}{port}{parts.path}" if parts.hostname else parts.path


def _seconds(text: str | None) -> float:
    """Of Retry-After; a date counts as none, and nobody makes us wait for hours."""
    return min(float(text), RETRY_AFTER_CAP_S) if text and text.isdecimal() else 0.0
