"""The reference names every kind of sink and every option with its default."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import pytest

from edgesdk.signals.gpio_output import GpioOutputOptions
from edgesdk.signals.gpio_trigger import GpioTriggerOptions
from edgesdk.signals.modbus_output import ModbusOutputOptions
from edgesdk.signals.modbus_trigger import ModbusTriggerOptions
from edgesdk.signals.mqtt_trigger import MqttTriggerOptions
from edgesdk.signals.opening import TRIGGERS
from edgesdk.signals.wires import OutputOptions
from edgesdk.sinks.audit import AuditOptions
from edgesdk.sinks.database import DatabaseOptions
from edgesdk.sinks.mqtt import MqttOptions
from edgesdk.sinks.opening import KINDS
from edgesdk.sinks.snapshots import SnapshotOptions
from edgesdk.sinks.webhook import WebhookOptions
from edgesdk.web.settings import PageOptions

REFERENCE = Path(__file__).parents[2] / "docs" / "reference"
PAGE = (REFERENCE / "sinks.md").read_text("utf-8")
TRIGGER_PAGE = (REFERENCE / "triggers.md").read_text("utf-8")


def named(page: str, section: str) -> set[str]:
    """The options in the tables of one section."""
    sections = {text.partition("\n")[0]: text for text in page.split("\n## ")}
    first_cells = " ".join(re.findall(r"^\| ([^|]*) \|", sections[section], re.MULTILINE))
    return set(re.findall(r"`(\w+)`", first_cells))


def options_of(kind: type) -> set[str]:
    return {f.name.removesuffix("_s") for f in dataclasses.fields(kind)}


@pytest.mark.parametrize(
    ("section", "options"),
    [
        ("sqlite:PATH", DatabaseOptions),
        ("mqtt://user:password@host:port/topic", MqttOptions),
        ("http:// and https://", WebhookOptions),
        ("snapshots:DIR", SnapshotOptions),
        ("audit:FOLDER", AuditOptions),
        ("web://host:port", PageOptions),
        ("modbus://host:port/coil/N", ModbusOutputOptions),
    ],
)
def test_each_option_is_in_the_reference(section: str, options: type) -> None:
    assert named(PAGE, section) == options_of(options)


def test_each_option_of_a_pin_is_in_the_reference_beside_those_of_every_output() -> None:
    assert named(PAGE, "gpio:PIN") == options_of(GpioOutputOptions) - options_of(OutputOptions)


@pytest.mark.parametrize(
    ("section", "options"),
    [
        ("modbus://", ModbusTriggerOptions),
        ("gpio:PIN", GpioTriggerOptions),
        ("mqtt://user:password@host:port/topic", MqttTriggerOptions),
    ],
)
def test_each_option_of_a_trigger_is_in_the_reference(section: str, options: type) -> None:
    assert named(TRIGGER_PAGE, section) == options_of(options)


def test_each_kind_of_trigger_is_in_the_reference() -> None:
    table = TRIGGER_PAGE.partition("| URI |")[2].partition("\n\n")[0]
    assert set(re.findall(r"`(\w+):", table)) == set(TRIGGERS)


def test_each_kind_is_in_the_reference() -> None:
    table = PAGE.partition("| URI |")[2].partition("\n\n")[0]
    assert set(re.findall(r"`(\w+):", table)) == set(KINDS)
