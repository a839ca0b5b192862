"""The one door to triggers: `open_trigger`."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Protocol, cast

from edgesdk.errors import UnknownName, UsageError
from edgesdk.signals.trigger import Trigger
from edgesdk.sinks.uri import SinkUri, hide_password, parse_uri

TRIGGERS: Mapping[str, str] = {
    "modbus": "edgesdk.signals.modbus_trigger",
    "gpio": "edgesdk.signals.gpio_trigger",
    "mqtt": "edgesdk.signals.mqtt_trigger",
    "mqtts": "edgesdk.signals.mqtt_trigger",
}
"""Kind -> the module that makes it; loaded when one is named."""


class TriggerModule(Protocol):
    """What a module of `TRIGGERS` has."""

    def make_trigger(self, uri: SinkUri) -> Trigger:
        """Open it. Raises UsageError for a bad URI and MissingExtra without its package."""
        ...


def open_trigger(uri: str) -> Trigger:
    """Open the trigger that `uri` names: "modbus://host/coil/1", "gpio:23" or "mqtt://broker/topic".

    Raises UsageError for what is none, UnknownName for another kind, and what
    `TriggerModule.make_trigger` raises.
    """
    if ":" not in uri:
        raise UsageError(
            f"a trigger is named by its kind and its place, found {hide_password(uri)!r}",
            "such as modbus://192.168.1.20/input/1, gpio:23 or mqtt://broker/topic",
        )
    parsed = parse_uri(uri)
    if parsed.kind not in TRIGGERS:
        raise UnknownName("kind of trigger", parsed.kind, TRIGGERS)
    module = cast("TriggerModule", importlib.import_module(TRIGGERS[parsed.kind]))
    return module.make_trigger(parsed)
