"""What the page's server answers, and to whom."""

from __future__ import annotations

import json
import logging
import socket
import subprocess
import sys
from urllib.parse import parse_qs, urlsplit

import cv2
import numpy as np
import pytest

from edgesdk.errors import UsageError
from edgesdk.sinks import open_sink
from tests.web.running import (
    BLUE,
    RED,
    Passed,
    ask,
    facts,
    feeding,
    next_event,
    next_jpeg,
    packet,
    page,
    viewing,
)

TOKEN = "a-token-of-the-tests"
OPEN = f"web://0.0.0.0:0?token={TOKEN}"


def decoded(jpeg: bytes) -> np.ndarray:
    return cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)


def assert_halves(picture: np.ndarray) -> None:
    """JPEG changes a flat colour by a few steps at most."""
    height, width = picture.shape[:2]
    assert np.abs(picture[height // 2, width // 4].astype(int) - RED).max() < 12
    assert np.abs(picture[height // 2, 3 * width // 4].astype(int) - BLUE).max() < 12


def test_the_page_asks_no_other_server_for_anything() -> None:
    with page() as sink:
        for path in ("/", "/page.css", "/page.js"):
            text = ask(sink, path).body.decode().replace("http://www.w3.org/2000/svg", "")
            assert "://" not in text
            assert "@import" not in text


def test_every_answer_says_what_a_browser_may_do_with_it() -> None:
    with page(OPEN) as sink:
        for path in ("/", "/nothing", f"/state?token={TOKEN}"):
            headers = ask(sink, path).headers
            assert headers["content-security-policy"].startswith("default-src 'none'; ")
            assert "unsafe" not in headers["content-security-policy"]
            assert headers["x-content-type-options"] == "nosniff"
            assert headers["referrer-policy"] == "no-referrer"
            assert headers["cross-origin-resource-policy"] == "same-origin"
            assert headers["cache-control"] == "no-store"


def test_the_figures_come_as_events_while_the_run_goes_on() -> None:
    with page() as sink, viewing(sink, "/events") as answer:
        assert answer.headers["content-type"] == "text/event-stream"
        sink.accept(packet(0, Passed(0, 0.0, "person", "in")))
        while not (state := json.loads(next_event(answer)))["events"]:
            pass
        assert state["app"] == "gate watch"
        assert state["counts"] == {"columns": ["in", "out"], "rows": [["person", [1, 0]]]}


def test_pictures_come_as_motion_jpeg() -> None:
    with page() as sink, feeding(sink), viewing(sink, "/stream/0.mjpg") as answer:
        assert answer.headers["content-type"].startswith("multipart/x-mixed-replace; boundary=")
        for _ in range(3):
            assert_halves(decoded(next_jpeg(answer)))


def test_opencv_can_watch_the_stream() -> None:
    with page() as sink, feeding(sink):
        watched = cv2.VideoCapture(f"{sink.address}stream/0.mjpg", cv2.CAP_FFMPEG)
        there, picture = watched.read()
        watched.release()
        assert there
        assert_halves(picture)


def test_single_pictures_are_numbered_and_each_is_new() -> None:
    with page() as sink, feeding(sink):
        first = ask(sink, "/picture/0.jpg")
        assert first.headers["content-type"] == "image/jpeg"
        assert_halves(decoded(first.body))
        number = int(first.headers["x-picture-number"])
        second = ask(sink, f"/picture/0.jpg?after={number}")
        assert int(second.headers["x-picture-number"]) > number


def test_wide_pictures_are_scaled_to_the_width_that_was_asked_for() -> None:
    wide = np.full((600, 1600, 3), 128, np.uint8)
    with page("web://127.0.0.1:0?width=400") as sink:
        sink.accept(packet(0, image=wide))
        assert decoded(ask(sink, "/picture/0.jpg").body).shape == (150, 400, 3)


def test_who_comes_while_the_source_stands_still_sees_the_last_picture() -> None:
    with page() as sink:
        sink.accept(packet(0))
        assert_halves(decoded(ask(sink, "/picture/0.jpg").body))
        with viewing(sink, "/stream/0.mjpg") as answer:
            assert_halves(decoded(next_jpeg(answer)))


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE"])
def test_only_get_and_head_are_allowed(method: str) -> None:
    with page() as sink:
        reply = ask(sink, "/", method)
        assert (reply.status, reply.headers["allow"]) == (405, "GET, HEAD")


@pytest.mark.parametrize("path", ["/", "/page.js", "/state", "/stream/0.mjpg", "/events"])
def test_head_tells_the_kind_and_sends_nothing(path: str) -> None:
    with page() as sink:
        head = ask(sink, path, "HEAD")
        assert (head.status, head.body) == (200, b"")
        with viewing(sink, path) as answer:
            assert answer.headers["content-type"] == head.headers["content-type"]


@pytest.mark.parametrize(
    "path",
    [
        "/page/page.js",
        "/../../../etc/passwd",
        "/%2e%2e/%2e%2e/etc/passwd",
        "/sink.py",
        "/stream/7.mjpg",
        "/stream/-1.mjpg",
        "/picture/0.jpg/",
        "/stream/",
        "//",
    ],
)
def test_there_is_nothing_but_the_page(path: str) -> None:
    with page() as sink:
        assert ask(sink, path).status == 404


def test_on_this_machine_alone_no_token_is_needed() -> None:
    with page() as sink:
        assert "token" not in sink.address
        assert ask(sink, "/").status == 200


def test_on_the_network_a_token_is_drawn_and_nothing_is_shown_without_it() -> None:
    with page("web://0.0.0.0:0") as sink:
        (token,) = parse_qs(urlsplit(sink.address).query)["token"]
        assert len(token) >= 32
        for path in ("/", "/page.js", "/state", "/events", "/stream/0.mjpg", "/nothing"):
            for given in ("", "?token=", f"?token={token[:-1]}", f"?token={token}x"):
                assert ask(sink, path + given).status == 401
        assert ask(sink, f"/?token={token}").status == 200


def test_each_run_draws_another_token() -> None:
    with page("web://0.0.0.0:0") as one, page("web://0.0.0.0:0") as other:
        tokens = [parse_qs(urlsplit(sink.address).query)["token"] for sink in (one, other)]
        assert tokens[0] != tokens[1]


def test_the_token_is_needed_once_then_a_cookie_will_do() -> None:
    with page(OPEN) as sink:
        earned = ask(sink, f"/?token={TOKEN}").headers["set-cookie"]
        pair, *attributes = earned.split("; ")
        assert {"HttpOnly", "SameSite=Strict", "Path=/"} <= set(attributes)
        assert TOKEN not in earned
        assert ask(sink, "/page.js", headers={"Cookie": f"other=1; {pair}"}).status == 200
        assert ask(sink, "/page.js", headers={"Cookie": pair[:-1]}).status == 401
        assert ask(sink, "/page.js", headers={"Cookie": "broken"}).status == 401


def test_a_token_may_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PAGE_TOKEN", TOKEN)
    with page("web://0.0.0.0:0?token_env=PAGE_TOKEN") as sink:
        assert ask(sink, f"/?token={TOKEN}").status == 200
        assert ask(sink, "/").status == 401


def test_the_token_stands_in_no_log(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG), page(OPEN) as sink:
        ask(sink, f"/?token={TOKEN}")
        ask(sink, f"/state?token={TOKEN}")
        with socket.create_connection(("127.0.0.1", urlsplit(sink.address).port or 0)) as raw:
            raw.sendall(f"GET /?token={TOKEN} nonsense\r\n\r\n".encode())
            assert b"400" in raw.recv(1000)
    assert TOKEN not in caplog.text


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:8080", "10.0.0.5", "localhost.evil"]
)
def test_a_name_that_another_site_has_pointed_here_is_refused(host: str) -> None:
    with page() as sink:
        assert ask(sink, "/", headers={"Host": host}).status == 421


@pytest.mark.parametrize("host", ["localhost:9000", "127.0.0.1", "[::1]:8080", "LOCALHOST"])
def test_a_tunnel_to_another_port_still_works(host: str) -> None:
    with page() as sink:
        assert ask(sink, "/", headers={"Host": host}).status == 200


def test_on_the_network_addresses_this_machine_and_stated_names_are_ours() -> None:
    with page(f"{OPEN}&host=cam.example,cam2.example") as sink:
        for host in ("10.1.2.3:80", "cam.example", "cam2.example", socket.gethostname()):
            assert ask(sink, f"/?token={TOKEN}", headers={"Host": host}).status == 200
        assert ask(sink, f"/?token={TOKEN}", headers={"Host": "evil.example"}).status == 421


def test_another_sites_page_cannot_embed_the_pictures() -> None:
    with page() as sink:
        sink.accept(packet(0))
        for site in ("cross-site", "same-site"):
            assert ask(sink, "/picture/0.jpg", headers={"Sec-Fetch-Site": site}).status == 403
        assert ask(sink, "/picture/0.jpg", headers={"Sec-Fetch-Site": "same-origin"}).status == 200


def test_a_port_that_is_taken_is_said_before_the_run() -> None:
    with page() as sink:
        port = urlsplit(sink.address).port
        with pytest.raises(UsageError, match=f"127.0.0.1:{port}: Address already in use") as caught:
            open_sink(f"web://127.0.0.1:{port}", facts())
        assert "another port" in caught.value.hint


@pytest.mark.parametrize(
    ("uri", "said"),
    [
        ("web://127.0.0.1:0?tokn=x", "no option named 'tokn'"),
        ("web://127.0.0.1:0?token=short", "12 to 200"),
        (f"web://127.0.0.1:0?token={TOKEN}&token_env=X", "exclude each other"),
        ("web://127.0.0.1:0?token_env=NOT_SET_ANYWHERE", "NOT_SET_ANYWHERE is not set"),
        ("web://127.0.0.1:0?fps=0", "fps should be 0.2 to 30"),
        ("web://127.0.0.1:0?width=20000", "width should be 160 to 3840"),
        ("web://127.0.0.1:99999", "a port is a number, 0 to 65535"),
        ("web://127.0.0.1:0/path", "web://HOST:PORT"),
        ("web://192.0.2.1:0", "cannot be served on 192.0.2.1"),
    ],
)
def test_a_bad_name_says_what_is_wrong(uri: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        open_sink(uri, facts())


def test_a_bad_token_is_not_repeated_in_the_message() -> None:
    with pytest.raises(UsageError) as caught:
        open_sink("web://127.0.0.1:0?token=secret!", facts())
    assert "secret!" not in str(caught.value)


def test_without_the_extra_the_error_names_it() -> None:
    code = (
        "import sys\nfrom tests.web.running import facts\nsys.modules['uvicorn'] = None\n"
        "from edgesdk.sinks import open_sink\nopen_sink('web://127.0.0.1:0', facts())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "pip install 'edgesdk[web]'" in done.stderr
