"""`mqtt://user:password@host:port/topic?qos=1&tls=1`: events as messages of an MQTT broker.

An event leaves the outbox when the broker has acknowledged it. MQTT 5 keeps the session over a
lost connection, so packet numbers go on where they were: with QoS 2 the broker knows what it has,
and nothing comes twice; with QoS 1 what was under way at the break may, under the same id. A new
process begins a new session, so after a kill what was under way may come twice with either.
"""

from __future__ import annotations

import logging
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from edgesdk._optional import require
from edgesdk.errors import UsageError
from edgesdk.pipeline.protocols import Sink
from edgesdk.sinks.access import check_certificates, password_of
from edgesdk.sinks.backoff import BackOff
from edgesdk.sinks.delivery import Delivery, Ending
from edgesdk.sinks.facts import SinkFacts
from edgesdk.sinks.outbox import Outbox, default_outbox
from edgesdk.sinks.uri import SinkUri

CONNECT_S = 3.0
"""A connection that takes longer is given up."""
TICK_S = 0.05
REMOVE_S = 0.1
"""How often what was acknowledged is taken out of the outbox: one flush of the disk each time."""
WINDOW = 20
"""Messages under way at most: what brokers take from one client by default; one that says that it
takes fewer gets fewer."""
SESSION_S = 3600
"""How long the broker should keep the session while this machine is away."""
UNKNOWN_PACKET = 0x92
"""Some brokers' answer when the end of a QoS 2 exchange is told again: they had it before."""
PURPOSE = "send events to an MQTT broker"

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class MqttOptions:
    """What may stand after the "?"."""

    qos: int = 2
    """2: exactly once, or 1 where the broker says that it has no 2; 1: at least once, for half
    the packets."""
    tls: bool = False
    """Port 8883 without another; the same as mqtts://."""
    ca: Path | None = None
    """Certificates of who may sign the broker's; None: the system's."""
    password_env: str = ""
    """Take the password from this environment variable, so that no `ps` shows it."""
    client: str = ""
    """Client id, where the broker asks for a certain one; empty: a new one for each session.

    A fixed one begins its session by wiping the last one. Mosquitto 2.0 keeps such a session over
    lost connections, but not over its own restart, so events may then come twice."""
    keepalive: int = 15
    """Seconds of silence after which the broker is asked whether it is still there."""
    outbox: Path | None = None
    """None: below XDG_STATE_HOME (~/.local/state/edgesdk/outbox)."""
    limit: int = 100_000
    """Events that the outbox holds; then the oldest make room."""
    flush_s: float = 2.0
    """How long the end of a run waits for what is not delivered yet."""

    def __post_init__(self) -> None:
        if self.qos not in (1, 2):
            raise ValueError(f"qos should be 1 or 2, found {self.qos}; 0 may lose events")
        if self.limit < 1 or not 1 <= self.keepalive <= 65535:
            raise ValueError("limit and keepalive should be at least 1")


@dataclass(frozen=True)
class Broker:
    """Where to, and as whom."""

    shown: str
    host: str
    port: int
    topic: str
    user: str
    password: str = field(repr=False)
    options: MqttOptions


def make_sink(uri: SinkUri, facts: SinkFacts) -> Sink:
    """Whether the broker is there is not asked: it may come later."""
    require("paho.mqtt.client", PURPOSE)
    options = uri.options(MqttOptions)
    topic = unquote(uri.place)
    if not uri.host or not topic or set(topic) & set("+#"):
        raise UsageError(
            f"{uri.shown}: a broker and a topic without + and # are needed",
            "such as mqtt://192.168.1.10/site/gate/events",
        )
    tls = options.tls or uri.kind == "mqtts"
    check_certificates(uri, options.ca, tls=tls)
    port = uri.port or (8883 if tls else 1883)
    place = options.outbox or default_outbox(facts.app, "mqtt", f"{uri.host}:{port}/{topic}")
    broker = Broker(
        uri.shown, uri.host, port, topic, uri.user, password_of(uri, options.password_env), options
    )
    outbox = Outbox(place, options.limit)
    return Delivery(uri.name, facts, outbox, MqttCourier(broker, tls=tls), options.flush_s)


class MqttCourier:
    """One client, driven by one thread: no callback comes from elsewhere."""

    def __init__(self, broker: Broker, *, tls: bool) -> None:
        self._broker = broker
        self._tls = tls
        self._mqtt: Any = require("paho.mqtt.client", PURPOSE)
        self._back_off = BackOff()
        self._client: Any = None
        self._qos = broker.options.qos
        self._window = WINDOW
        self._up = False
        self._was_up = False
        self._session_lost = False
        self._leaving = False
        self._down_said = False
        self._under_way: dict[int, int] = {}
        """Packet number -> number in the outbox."""
        self._acknowledged: list[int] = []
        self._handed = 0
        """Number in the outbox of the last message given to the client."""
        self._delivered = 0
        self._refused = 0
        self._connections = 0

    def gauges(self) -> Mapping[str, float]:
        """Connected or not, and what became of messages."""
        return {
            "connected": float(self._up),
            "connections": self._connections,
            "delivered": self._delivered,
            "refused": self._refused,
        }

    def run(self, outbox: Outbox, ending: Ending) -> None:
        """Keep a connection and send through it."""
        self._remove(outbox)
        self._begin()
        removed_s = time.monotonic()
        try:
            while not ending.over(outbox.size):
                if self._session_lost:
                    self._remove(outbox)
                    self._begin()
                if not self._alive():
                    self._connect(ending)
                    continue
                if self._up:
                    self._hand_over(outbox)
                self._client.loop(TICK_S)
                if ending.asked or time.monotonic() - removed_s > REMOVE_S:
                    self._remove(outbox)
                    removed_s = time.monotonic()
        finally:
            self._leave()
            self._remove(outbox)

    def _begin(self) -> None:
        """A new client that knows of nothing under way; the outbox still has it all."""
        if self._client is not None:
            self._leave()
        broker, mqtt = self._broker, self._mqtt
        name = broker.options.client or f"edgesdk-{secrets.token_hex(6)}"
        client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, client_id=name, protocol=mqtt.MQTTv5)
        client.connect_timeout = CONNECT_S
        client.max_inflight_messages_set(WINDOW)
        if broker.user:
            client.username_pw_set(broker.user, broker.password or None)
        if self._tls:
            client.tls_set(ca_certs=str(broker.options.ca) if broker.options.ca else None)
        client.on_connect = self._on_connect
        client.on_disconnect = self._on_disconnect
        client.on_publish = self._on_publish
        self._client = client
        self._up = self._was_up = self._session_lost = self._leaving = False
        self._under_way.clear()
        self._handed = 0

    def _leave(self) -> None:
        """Say goodbye, where there is someone; the broker need not keep the session."""
        self._leaving = True
        if self._up:
            self._up = False
            self._client.disconnect(properties=self._expiring("DISCONNECT", 0))
        if self._alive():
            self._client.loop(TICK_S)

    def _expiring(self, packet: str, seconds: int) -> Any:
        """The MQTT properties that say how long the broker keeps the session."""
        properties = require("paho.mqtt.properties", PURPOSE)
        types = require("paho.mqtt.packettypes", PURPOSE)
        session = properties.Properties(getattr(types.PacketTypes, packet))
        session.SessionExpiryInterval = seconds
        return session

    def _alive(self) -> bool:
        return self._client.socket() is not None

    def _connect(self, ending: Ending) -> None:
        """One attempt, after the pause that the last failure earned."""
        if self._down_said:
            ending.wait(self._back_off.next_s())
        try:
            if self._was_up:
                self._client.reconnect()
            else:
                self._first_connect()
        except (OSError, ValueError) as error:
            self._say_down(str(error))

    def _first_connect(self) -> None:
        own = bool(self._broker.options.client)
        self._client.connect(
            self._broker.host,
            self._broker.port,
            keepalive=self._broker.options.keepalive,
            clean_start=self._mqtt.MQTT_CLEAN_START_FIRST_ONLY if own else False,
            properties=self._expiring("CONNECT", SESSION_S),
        )

    def _hand_over(self, outbox: Outbox) -> None:
        room = self._window - len(self._under_way)
        if room <= 0:
            return
        for message in outbox.oldest(room, self._handed):
            info = self._client.publish(self._broker.topic, message.body.encode(), self._qos)
            if info.rc == self._mqtt.MQTT_ERR_QUEUE_SIZE:
                return
            self._under_way[info.mid] = message.number
            self._handed = message.number
            if info.rc != self._mqtt.MQTT_ERR_SUCCESS:
                return

    def _remove(self, outbox: Outbox) -> None:
        if self._acknowledged:
            outbox.remove(self._acknowledged)
            self._acknowledged.clear()

    def _on_connect(self, client: Any, data: Any, flags: Any, reason: Any, props: Any) -> None:
        if reason.is_failure:
            self._say_down(f"it refuses: {reason}")
            return
        self._qos = min(self._broker.options.qos, getattr(props, "MaximumQoS", 2))
        self._window = min(WINDOW, getattr(props, "ReceiveMaximum", WINDOW))
        self._session_lost = self._was_up and not flags.session_present and self._qos == 2
        self._up = self._was_up = True
        self._connections += 1
        self._back_off.reset()
        if self._down_said:
            _log.info("%s: connected again", self._broker.shown)
        self._down_said = False

    def _on_disconnect(self, client: Any, data: Any, flags: Any, reason: Any, props: Any) -> None:
        if not self._leaving:
            self._say_down(str(reason) if self._up else "it hung up without an answer")
        self._up = False

    def _on_publish(self, client: Any, data: Any, mid: int, reason: Any, props: Any) -> None:
        number = self._under_way.pop(mid, None)
        if number is None:
            return
        self._acknowledged.append(number)
        if reason.is_failure and reason.value != UNKNOWN_PACKET:
            self._refused += 1
            if self._refused == 1:
                _log.warning("%s: the broker refuses an event: %s", self._broker.shown, reason)
        else:
            self._delivered += 1

    def _say_down(self, why: str) -> None:
        if not self._down_said:
            _log.warning(
                "%s: no connection (%s); events wait in the outbox", self._broker.shown, why
            )
        self._down_said = True
