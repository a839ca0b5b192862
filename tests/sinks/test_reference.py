"""The reference names every kind of sink and every option with its default."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import pytest

from edgesdk.sinks.audit import AuditOptions
from edgesdk.sinks.database import DatabaseOptions
from edgesdk.sinks.mqtt import MqttOptions
from edgesdk.sinks.opening import KINDS
from edgesdk.sinks.snapshots import SnapshotOptions
from edgesdk.sinks.webhook import WebhookOptions
from edgesdk.web.settings import PageOptions

PAGE = (Path(__file__).parents[2] / "docs" / "reference" / "sinks.md").read_text("utf-8")
SECTIONS = {text.partition("\n")[0]: text for text in PAGE.split("\n## ")}


@pytest.mark.parametrize(
    ("section", "options"),
    [
        ("sqlite:PATH", DatabaseOptions),
        ("mqtt://user:password@host:port/topic", MqttOptions),
        ("http:// and https://", WebhookOptions),
        ("snapshots:DIR", SnapshotOptions),
        ("audit:FOLDER", AuditOptions),
        ("web://host:port", PageOptions),
    ],
)
def test_each_option_is_in_the_reference(section: str, options: type) -> None:
    first_cells = " ".join(re.findall(r"^\| ([^|]*) \|", SECTIONS[section], re.MULTILINE))
    named = set(re.findall(r"`(\w+)`", first_cells))
    assert named == {f.name.removesuffix("_s") for f in dataclasses.fields(options)}


def test_each_kind_is_in_the_reference() -> None:
    table = PAGE.partition("| URI |")[2].partition("\n\n")[0]
    assert set(re.findall(r"`(\w+):", table)) == set(KINDS)
