"""A sink is named by a URI; what is wrong with it is said before the run."""

from __future__ import annotations

import json
import os
import socket
from pathlib import Path

import pytest

import edgesdk.sinks.metrics
import edgesdk.sinks.opening
from edgesdk.errors import EdgeError, MissingExtra, UnknownName, UsageError
from edgesdk.pipeline import Packet
from edgesdk.sinks import open_sink, open_sinks, opened_sinks
from edgesdk.sinks.places import check_written_once
from edgesdk.sinks.uri import hide_password, parse_uri
from tests.sinks.samples import facts, leftovers, packet


def test_an_unknown_kind_is_refused_with_the_nearest() -> None:
    with pytest.raises(UnknownName, match="did you mean sqlite"):
        open_sink("sqllite:events.db", facts())


@pytest.mark.parametrize("text", ["events.csv", "", "C:\\events", ":x"])
def test_what_is_no_uri_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(UsageError, match=r"such as sqlite:events\.db"):
        open_sink(text, facts())


@pytest.mark.parametrize(
    ("uri", "said"),
    [
        ("snapshots:out?qualty=3", "did you mean quality"),
        ("snapshots:out?quality=101", "1 to 100"),
        ("snapshots:out?quality=high", "a whole number"),
        ("snapshots:out?every=soon", "a duration such as"),
        ("snapshots:out?on=frame", "event or time"),
        ("jsonl:", "names no file"),
        ("csv:a.csv?header=0", "no option named 'header'"),
        ("sqlite:a.db?table=a;b", "letters, digits and _"),
        ("mqtt://broker", "a broker and a topic"),
        ("mqtt://broker/a/+/b", r"without \+ and #"),
        ("mqtt://broker/a/#", "there can be no #"),
        ("mqtt://broker/a/%23", r"without \+ and #"),
        ("mqtt://broker/a?qos=0", "may lose events"),
        ("mqtt://broker/a?tls=yes", "0 or 1"),
        ("mqtt://broker:port/a", "not readable as an address"),
        ("mqtt://u@broker/a?password_env=NOT_SET", "NOT_SET is not set"),
        ("mqtt://broker/a?password_env=HOME", "but no user"),
        ("mqtt://broker/a?ca=/etc/hostname", "write it as mqtts://"),
        ("mqtts://broker/a?ca=no.pem", "ca: no.pem: No such file"),
        ("mqtts://broker/a?ca=/etc/hostname", "name a PEM file"),
        ("http:///events", "names no host"),
        ("https://host/events#batch=0", "above 0"),
        ("https://host/events#bearer_env=NOT_SET", "NOT_SET is not set"),
    ],
)
def test_a_bad_uri_is_refused_with_what_is_wrong(
    uri: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match=said):
        open_sink(uri, facts())
    assert leftovers(tmp_path) == []


@pytest.mark.parametrize("kind", ["jsonl", "csv", "json", "video", "sqlite", "snapshots"])
@pytest.mark.parametrize("place", ["a_file/out.mp4", "/proc/nowhere/out.mp4"])
def test_a_place_that_cannot_be_written_is_known_before_the_run(
    kind: str, place: str, tmp_path: Path
) -> None:
    (tmp_path / "a_file").write_text("")
    with pytest.raises(UsageError, match="nothing can be written in"):
        open_sink(f"{kind}:{tmp_path / place}", facts())


def test_a_folder_is_no_place_for_a_file(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is a folder"):
        open_sink(f"sqlite:{tmp_path}", facts())


def test_the_source_is_not_written_over(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is a source of this run"):
        open_sink(f"video:{tmp_path}/road.mp4", facts(f"{tmp_path}/road.mp4"))


def test_a_missing_package_is_named_with_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "paho.mqtt.client", None)
    with pytest.raises(MissingExtra, match=r"pip install 'edgesdk\[mqtt\]'"):
        open_sink("mqtt://broker/topic", facts())


def test_two_sinks_of_a_kind_have_names_of_their_own(tmp_path: Path) -> None:
    uris = [f"jsonl:{tmp_path}/a.jsonl", f"jsonl:{tmp_path}/b.jsonl", f"csv:{tmp_path}/c.csv"]
    sinks = open_sinks(uris, facts())
    assert [sink.name for sink in sinks] == ["jsonl", "jsonl-2", "csv"]
    for sink in sinks:
        sink.accept(packet(3, "car"))
        sink.close()
    assert json.loads((tmp_path / "b.jsonl").read_text())["label"] == "car"


def test_when_one_cannot_be_opened_none_stays_open() -> None:
    pytest.importorskip("prometheus_client", reason="needs prometheus-client")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with pytest.raises(EdgeError):
        open_sinks([f"prometheus://127.0.0.1:{port}", "nonsense:x"], facts())
    with socket.socket() as again:
        assert again.connect_ex(("127.0.0.1", port)) != 0
    assert edgesdk.sinks.metrics.PORT == 9464


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("rtsp://admin:s3cret@10.0.0.7/live", "rtsp://admin:***@10.0.0.7/live"),
        ("rtsp://10.0.0.7/live", "rtsp://10.0.0.7/live"),
        ("rtsp://admin:p@ss:w@10.0.0.7/live", "rtsp://admin:***@10.0.0.7/live"),
        ("road.mp4", "road.mp4"),
    ],
)
def test_passwords_are_hidden(text: str, shown: str) -> None:
    assert hide_password(text) == shown


def test_no_message_shows_a_secret() -> None:
    for text in (
        "mqtt://me:s3cret@broker:1883/topic?qos=1",
        "https://me:s3cret@host/hook?token=s3cret#batch=1",
    ):
        uri = parse_uri(text)
        assert uri.password == "s3cret"
        assert "s3cret" not in uri.shown + repr(uri)


@pytest.mark.parametrize(
    "text",
    [
        "MQTT://me:s3cret@broker/topic",
        "mqtt://me:s3cret@broker:port/topic",
        "mqtt://me:s3/cret#s3cret@broker/topic",
        "mqtt://me:a#s3cret@broker/topic",
    ],
)
def test_no_refusal_shows_a_secret(text: str) -> None:
    with pytest.raises(UsageError) as refused:
        open_sink(text, facts())
    assert "cret" not in f"{refused.value.message} {refused.value.hint}"


def test_a_token_that_no_header_carries_is_known_before_the_run_and_not_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOOK_TOKEN", "s3cret\n")
    with pytest.raises(UsageError, match="HOOK_TOKEN") as refused:
        open_sink(f"http://host/#bearer_env=HOOK_TOKEN&outbox={tmp_path}/box", facts())
    assert "s3cret" not in f"{refused.value.message} {refused.value.hint}"


def test_each_sink_is_closed_also_after_one_that_fails(tmp_path: Path) -> None:
    closed: list[str] = []

    class Stubborn:
        def __init__(self, name: str) -> None:
            self.name = name

        def accept(self, packet: Packet) -> None:
            pass

        def close(self) -> None:
            closed.append(self.name)
            raise EdgeError(f"{self.name} is stubborn")

    opening = edgesdk.sinks.opening
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(opening, "open_sinks", lambda *_: [Stubborn("a"), Stubborn("b")])
        with pytest.raises(EdgeError, match="stubborn"), opened_sinks([], facts()):
            pass
    assert closed == ["a", "b"]


def test_a_relative_place_and_a_home_are_understood() -> None:
    assert parse_uri("sqlite:out/e.db?table=x").path == Path("out/e.db")
    assert parse_uri("sqlite:/var/e.db").path == Path("/var/e.db")
    assert parse_uri("sqlite:~/e.db").path == Path(os.path.expanduser("~/e.db"))  # noqa: PTH111


def test_two_sinks_on_one_wire_are_refused_for_each_would_undo_what_the_other_says() -> None:
    one = "modbus://plc/coil/3?stream=a"
    check_written_once([one, "modbus://plc/coil/4?stream=b", "modbus://plc/coil/3?unit=2"], [])
    with pytest.raises(UsageError, match="modbus://plc/coil/3 would be written by two sinks"):
        check_written_once([one, "modbus://plc/coil/3?stream=b"], [])
    with pytest.raises(UsageError, match=r"gpio:18\?delay=1s would be written by two sinks"):
        check_written_once(["gpio:18", "gpio:18?delay=1s"], [])
