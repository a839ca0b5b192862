"""Events to a real HTTP server that answers, errs, hangs, hangs up or is away."""

from __future__ import annotations

import dataclasses
import json
import logging
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgesdk.pipeline import Sink
from edgesdk.sinks import Measured, open_sink
from tests.sinks.samples import Passed, eventually, facts, packet


class Receiver:
    """Answers each POST by the next of `answers`, and by 200 when there is none left.

    A number is a status, "hang" no answer for 30 s, "close" a connection that is dropped.
    """

    def __init__(self, *answers: int | str, retry_after: str = "", location: str = "") -> None:
        self.requests: list[tuple[str, dict[str, str], dict[str, Any]]] = []
        self.times_s: list[float] = []
        answering = list(answers)
        receiver = self
        self._over = threading.Event()

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                receiver.times_s.append(time.monotonic())
                headers = {name.lower(): value for name, value in self.headers.items()}
                receiver.requests.append((self.path, headers, json.loads(body)))
                answer = answering.pop(0) if answering else 200
                if answer == "hang":
                    receiver._over.wait(30)
                    self.close_connection = True
                elif answer == "close":
                    self.close_connection = True
                else:
                    self.send_response(int(answer))
                    if retry_after:
                        self.send_header("Retry-After", retry_after)
                    if location:
                        self.send_header("Location", location)
                    self.send_header("Content-Length", "2")
                    self.end_headers()
                    self.wfile.write(b"ok")

            def log_message(self, *words: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))
        self.port = self._server.server_address[1]

    def __enter__(self) -> Receiver:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._over.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def ids(self) -> list[str]:
        return [event["id"] for _, _, body in self.requests for event in body["events"]]


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as started:
        yield started


def sink_for(
    port: int, folder: Path, options: str = "", path: str = "events", user: str = ""
) -> Sink:
    return open_sink(
        f"http://{user}127.0.0.1:{port}/{path}#outbox={folder}/box.sqlite{options}", facts()
    )


def gauges(sink: Sink) -> dict[str, float]:
    assert isinstance(sink, Measured)
    return dict(sink.gauges())


def test_events_are_posted_in_order_with_a_key(tmp_path: Path, receiver: Receiver) -> None:
    sink = sink_for(receiver.port, tmp_path, path="hook/a?token=abc")
    for index in range(200):
        sink.accept(packet(index, "car"))
    sink.close()
    assert receiver.ids() == [f"RUN/cam/{n}" for n in range(1, 201)]
    path, headers, body = receiver.requests[0]
    assert path == "/hook/a?token=abc"
    assert headers["content-type"] == "application/json"
    assert body["events"][0]["event"]["label"] == "car"
    keys = [headers["idempotency-key"] for _, headers, _ in receiver.requests]
    assert len(set(keys)) == len(keys)
    assert all(len(body["events"]) <= 50 for _, _, body in receiver.requests)
    assert gauges(sink)["waiting"] == 0


def test_a_number_that_is_none_is_null(tmp_path: Path, receiver: Receiver) -> None:
    sink = sink_for(receiver.port, tmp_path)
    event = Passed(np.int64(3), 120.0, "car", float("nan"))  # type: ignore[arg-type]
    sink.accept(dataclasses.replace(packet(3), events=(event,)))
    eventually(lambda: gauges(sink)["delivered"] == 1)
    sink.close()
    sent = receiver.requests[0][2]["events"][0]["event"]
    assert sent == {"frame": 3, "time_ms": 120.0, "label": "car", "x_px": None}


def test_letters_of_any_language_may_stand_in_the_path(tmp_path: Path, receiver: Receiver) -> None:
    sink = sink_for(receiver.port, tmp_path, path="höhe/a%20b c?x=1&y=ü")
    sink.accept(packet(0, "car"))
    eventually(lambda: gauges(sink)["delivered"] == 1)
    sink.close()
    assert receiver.requests[0][0] == "/h%C3%B6he/a%20b%20c?x=1&y=%C3%BC"


def test_a_host_that_can_be_none_is_said_and_the_events_wait(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    sink = open_sink(f"http://a..b/events#outbox={tmp_path}/box.sqlite&flush=0s", facts())
    sink.accept(packet(0, "car"))
    eventually(lambda: "events wait in the outbox" in caplog.text)
    sink.close()
    assert "1 events are not delivered yet" in caplog.text


@pytest.mark.parametrize("trouble", [500, 429, 401, 403, 404, 301, "close", "hang"])
def test_what_may_pass_is_tried_again_with_the_same_key(
    tmp_path: Path, trouble: int | str, caplog: pytest.LogCaptureFixture
) -> None:
    with Receiver(trouble, trouble) as receiver:
        sink = sink_for(receiver.port, tmp_path, "&timeout=300ms&flush=10s")
        sink.accept(packet(0, "car", "bus"))
        eventually(lambda: gauges(sink)["delivered"] == 2)
        sink.close()
    assert receiver.ids() == ["RUN/cam/1", "RUN/cam/2"] * 3
    assert len({headers["idempotency-key"] for _, headers, _ in receiver.requests}) == 1
    first_s, second_s, third_s = receiver.times_s
    assert second_s - first_s >= 0.25
    assert third_s - second_s >= 0.5
    assert caplog.text.count("events wait in the outbox") == 1


@pytest.mark.parametrize("status", [400, 413, 415, 422])
def test_what_is_refused_for_good_is_dropped_counted_and_said(
    tmp_path: Path, status: int, caplog: pytest.LogCaptureFixture
) -> None:
    with Receiver(status) as receiver:
        sink = sink_for(receiver.port, tmp_path, "&batch=1&flush=10s")
        sink.accept(packet(0, "car"))
        sink.accept(packet(1, "bus"))
        eventually(lambda: gauges(sink)["delivered"] == 1)
        sink.close()
    assert receiver.ids() == ["RUN/cam/1", "RUN/cam/2"]
    assert gauges(sink)["refused"] == 1
    assert f"answers {status}" in caplog.text
    assert "1 events are dropped" in caplog.text


def test_a_redirect_is_not_followed_and_its_address_is_named_without_secrets(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    moved = "https://ann:s3cret@new.example:8443/hook?key=t0ken"
    with Receiver(308, location=moved) as receiver:
        sink = sink_for(receiver.port, tmp_path, "&flush=10s")
        sink.accept(packet(0, "car"))
        eventually(lambda: gauges(sink)["delivered"] == 1)
        sink.close()
    assert "answers 308" in caplog.text
    assert "not followed, name https://new.example:8443/hook;" in caplog.text
    assert "s3cret" not in caplog.text
    assert "t0ken" not in caplog.text


def test_each_reason_for_waiting_is_said_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A receiver that comes up and then knows no such token: both have to be seen."""
    with Receiver("close", 401, 401) as receiver:
        sink = sink_for(receiver.port, tmp_path, "&flush=10s")
        sink.accept(packet(0, "car"))
        eventually(lambda: gauges(sink)["delivered"] == 1)
        sink.close()
    assert caplog.text.count("events wait in the outbox") == 2
    assert caplog.text.count("it answers 401") == 1


def test_the_receiver_says_how_long_to_wait(tmp_path: Path) -> None:
    with Receiver(503, retry_after="2") as receiver:
        sink = sink_for(receiver.port, tmp_path, "&flush=10s")
        sink.accept(packet(0, "car"))
        eventually(lambda: gauges(sink)["delivered"] == 1)
        sink.close()
    assert receiver.times_s[1] - receiver.times_s[0] >= 1.95


def test_a_hanging_receiver_holds_neither_the_pipeline_nor_the_end_up(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with Receiver(*["hang"] * 20) as receiver:
        sink = sink_for(receiver.port, tmp_path, "&timeout=1s&flush=500ms")
        start_s = time.monotonic()
        for index in range(500):
            sink.accept(packet(index, "car"))
        assert time.monotonic() - start_s < 2
        sink.close()
        assert time.monotonic() - start_s < 12
    assert "500 events are not delivered yet" in caplog.text
    with Receiver() as back:
        again = sink_for(back.port, tmp_path, "&flush=10s")
        again.close()
    assert back.ids() == [f"RUN/cam/{n}" for n in range(1, 501)]


def test_passwords_and_tokens_are_sent_and_not_shown(
    tmp_path: Path,
    receiver: Receiver,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    caplog.set_level(logging.DEBUG)
    monkeypatch.setenv("HOOK_TOKEN", "t0ken")
    with Receiver(422, 422) as refusing:
        for user, options in (("me:s3cret@", ""), ("", "&bearer_env=HOOK_TOKEN")):
            sink = sink_for(
                refusing.port, tmp_path, options + "&flush=10s", "hook?key=s3cret", user
            )
            sink.accept(packet(0, "car"))
            sink.close()
    basic, bearer = (headers["authorization"] for _, headers, _ in refusing.requests)
    assert basic == "Basic bWU6czNjcmV0"  # printf me:s3cret | base64
    assert bearer == "Bearer t0ken"
    assert "s3cret" not in caplog.text
    assert "t0ken" not in caplog.text


def test_when_the_outbox_is_full_the_oldest_go_and_are_counted(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    sink = sink_for(9, tmp_path, "&limit=10&flush=0s")  # nobody listens on port 9
    for index in range(25):
        sink.accept(packet(index, "car"))
    sink.close()
    assert "15 events were dropped for want of room" in caplog.text
    with Receiver() as back:
        sink_for(back.port, tmp_path, "&flush=10s").close()
    assert back.ids() == [f"RUN/cam/{n}" for n in range(16, 26)]


def test_a_full_disk_costs_events_that_are_counted_and_not_the_run(tmp_path: Path) -> None:
    code = f"""
        import json, logging, resource, signal, time
        from edgesdk.sinks import open_sink
        from tests.sinks.samples import facts, packet
        logging.basicConfig(level="WARNING")
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, 300_000))
        sink = open_sink("http://127.0.0.1:9/x#outbox={tmp_path}/box.sqlite&flush=0s", facts())
        for index in range(3000):
            sink.accept(packet(index, "car"))
            time.sleep(0.0005)
        sink.close()
        print(json.dumps(sink.gauges()))
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, check=True
    )
    figures = json.loads(done.stdout)
    assert figures["waiting"] > 0
    assert figures["dropped"] > 0
    assert figures["waiting"] + figures["dropped"] == 3000
    assert "cannot be used" in done.stderr
    with Receiver() as back:
        sink_for(back.port, tmp_path, "&flush=10s").close()
    assert back.ids() == [f"RUN/cam/{n}" for n in range(1, int(figures["waiting"]) + 1)]


def test_no_thread_is_left(tmp_path: Path, receiver: Receiver) -> None:
    before = set(threading.enumerate())
    sink = sink_for(receiver.port, tmp_path)
    sink.accept(packet(0, "car"))
    sink.close()
    mine = [thread for thread in threading.enumerate() if thread.name.startswith("edgesdk-")]
    assert not set(mine) - before
