"""`mqtt://user:password@broker/topic`: each message says that a part is there."""

from __future__ import annotations

import logging
import secrets
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from edgesdk._optional import require
from edgesdk.errors import UsageError
from edgesdk.signals.firings import Firings, TriggerLost
from edgesdk.sinks.access import check_certificates, password_of
from edgesdk.sinks.uri import SinkUri

PURPOSE = "be triggered by an MQTT broker"
RECONNECT_S = 2
OLDEST_S = 10.0
"""A stamp that is older, or in the future by `FUTURE_S`, comes from a clock that is not ours."""
FUTURE_S = 0.1

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class MqttTriggerOptions:
    """What may stand after the "?"."""

    stamped: bool = False
    """1: the message is the UNIX time in milliseconds at which it fired, by a clock that NTP or PTP
    keeps equal to ours. 0: it fired when the message came, whatever is in it."""
    tls: bool = False
    """Port 8883 without another; the same as mqtts://."""
    ca: Path | None = None
    """Certificates of who may sign the broker's; None: the system's."""
    password_env: str = ""
    """Take the password from this environment variable."""
    keepalive: int = 5
    """Seconds of silence after which the broker is asked whether it is still there."""

    def __post_init__(self) -> None:
        if not 1 <= self.keepalive <= 65535:
            raise ValueError("keepalive should be at least 1")


def make_trigger(uri: SinkUri) -> MqttTrigger:
    """Whether the broker is there is not asked: `fired` says so as long as it is not."""
    require("paho.mqtt.client", PURPOSE)
    options = uri.options(MqttTriggerOptions)
    topic = unquote(uri.place)
    if not uri.host or not topic or set(topic) & set("+#"):
        raise UsageError(
            f"{uri.shown}: a broker and a topic without + and # are needed",
            "such as mqtt://192.168.1.10/site/line/part",
        )
    tls = options.tls or uri.kind == "mqtts"
    check_certificates(uri, options.ca, tls=tls)
    return MqttTrigger(uri, topic, options, password_of(uri, options.password_env), tls=tls)


class MqttTrigger:
    """A subscription; paho's thread keeps the connection.

    Messages that were kept while we were away (retained, or of an old session) do not fire: their
    parts have gone by.
    """

    def __init__(
        self, uri: SinkUri, topic: str, options: MqttTriggerOptions, password: str, *, tls: bool
    ) -> None:
        self.name = uri.shown
        self._topic = topic
        self._stamped = options.stamped
        self._firings = Firings(self.name)
        mqtt = require("paho.mqtt.client", PURPOSE)
        client: Any = mqtt.Client(
            mqtt.CallbackAPIVersion.VERSION2, f"edgesdk-{secrets.token_hex(6)}", True
        )
        if uri.user:
            client.username_pw_set(uri.user, password or None)
        if tls:
            client.tls_set(ca_certs=str(options.ca) if options.ca else None)
        client.reconnect_delay_set(1, RECONNECT_S)
        client.on_connect, client.on_subscribe = self._on_connect, self._on_subscribe
        client.on_disconnect, client.on_message = self._on_disconnect, self._on_message
        client.on_connect_fail = self._on_connect_fail
        self._client = client
        client.connect_async(uri.host, uri.port or (8883 if tls else 1883), options.keepalive)
        client.loop_start()

    def fired(self) -> tuple[int, ...]:
        """As in `Trigger`."""
        return self._firings.take()

    def close(self) -> None:
        """Leave the broker and end the thread."""
        self._client.on_disconnect = None
        self._client.disconnect()
        self._client.loop_stop()

    def _on_connect(self, client: Any, data: Any, flags: Any, reason: Any, props: Any) -> None:
        if reason.is_failure:
            self._lose(f"the broker refuses: {reason}")
        else:
            client.subscribe(self._topic, 2)

    def _on_subscribe(self, client: Any, data: Any, mid: Any, reasons: Any, props: Any) -> None:
        if reasons[0].is_failure:
            self._lose(f"the broker refuses the topic: {reasons[0]}")
            return
        _log.info("%s: waiting for parts", self.name)
        self._firings.find()

    def _on_disconnect(self, client: Any, data: Any, flags: Any, reason: Any, props: Any) -> None:
        self._lose(f"the connection was lost ({reason})")

    def _on_connect_fail(self, client: Any, data: Any) -> None:
        self._firings.lose(TriggerLost(f"{self.name}: the broker cannot be reached"))

    def _on_message(self, client: Any, data: Any, message: Any) -> None:
        now_ns = time.monotonic_ns()
        if message.retain:
            return
        if not self._stamped:
            self._firings.add(now_ns)
            return
        age_s = _age_s(message.payload, time.time())
        if age_s is None:
            self._lose(f"a message is no time in ms of the last {OLDEST_S:g} s")
        else:
            self._firings.find()
            self._firings.add(now_ns - round(age_s * 1e9))

    def _lose(self, why: str) -> None:
        _log.warning("%s: %s", self.name, why)
        self._firings.lose(TriggerLost(f"{self.name}: {why}", "parts may be missed"))


def _age_s(payload: bytes, now_s: float) -> float | None:
    """How long ago a UNIX time in ms was; None: it is none, or not of the last seconds."""
    try:
        age_s = now_s - float(payload) / 1e3
    except ValueError:
        return None
    return max(age_s, 0.0) if -FUTURE_S <= age_s <= OLDEST_S else None
