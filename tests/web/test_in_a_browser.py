"""What a person sees: a real Chromium on a real server."""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pytest
from numpy.typing import NDArray

from edgesdk.pipeline import Event
from edgesdk.pipeline.protocols import SourceStats
from edgesdk.web import WebPage
from tests.web.browser import Tab, chromium
from tests.web.running import BLUE, RED, Passed, facts, feeding, packet, page

TOKEN = "a-token-of-the-tests"
NO_SCROLL = "document.documentElement.scrollWidth <= innerWidth"
COUNTED = "document.querySelector('#counts').innerText"


@pytest.fixture(scope="module")
def tab() -> Iterator[Tab]:
    with chromium() as one:
        yield one


class Gone:
    """A source that has frozen."""

    name, fps, size, count, live = "yard", 25.0, (320, 180), None, True

    def stats(self) -> SourceStats:
        since_ns = time.monotonic_ns() - 75_000_000_000
        why = "nothing for 5 s from rtsp://admin:hunter2@10.0.0.7/yard"
        return SourceStats("frozen", 7, reconnects=3, since_ns=since_ns, last_error=why)


def color_at(
    shot: NDArray[np.uint8], tab: Tab, x_share: float, number: int = 0
) -> NDArray[np.int_]:
    """BGR of the page where the picture of a stream has this share of its width."""
    box = tab.ask(
        f"(() => {{ const b = document.querySelectorAll('.view img')[{number}]"
        ".getBoundingClientRect(); return [b.left, b.top, b.width, b.height] })()"
    )
    left, top, width, height = box
    return shot[round(top + height / 3), round(left + width * x_share)].astype(int)


def shows_the_picture(tab: Tab, number: int = 0) -> bool:
    shot = tab.screenshot()
    red, blue = (color_at(shot, tab, share, number) for share in (0.25, 0.75))
    return bool(np.abs(red - RED).max() < 25 and np.abs(blue - BLUE).max() < 25)


@dataclass(frozen=True)
class Measured(Event):
    """Something with a speed."""

    label: str
    where: str
    direction: str
    track_id: int
    speed_kmh: float
    speed_error_kmh: float
    x_px: float
    late: bool
    lost: bool

    @property
    def counted_as(self) -> tuple[str, str]:
        return self.label, self.where


def soon(tab: Tab, number: int = 0) -> bool:
    """The picture may take some frames to be there."""
    return any(shows_the_picture(tab, number) or time.sleep(0.2) for _ in range(100))


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_the_page_shows_the_picture_on_light_and_dark(tab: Tab, dark: bool) -> None:
    with page() as sink, feeding(sink):
        tab.open(sink.address, dark=dark)
        assert soon(tab)
        ground = tab.screenshot()[-3, 3]
        assert (ground.max() < 60) if dark else (ground.min() > 200)
        assert tab.text("#app") == "gate watch"


def test_counts_rise_without_a_reload(tab: Tab) -> None:
    with page() as sink:
        sink.accept(packet(0))
        tab.open(sink.address)
        tab.wait("document.querySelector('#no-events').checkVisibility()")
        assert tab.text("#no-counts") == "Nothing counted yet."
        sink.accept(packet(1, Passed(1, 40.0, "person", "in")))
        tab.wait(f"{COUNTED}.includes('person\\t1\\t0')")
        sink.accept(packet(2, Passed(2, 80.0, "person", "out"), Passed(2, 80.0, "dog", "in")))
        tab.wait(f"{COUNTED}.includes('person\\t1\\t1')")
        tab.wait(f"{COUNTED}.includes('all\\t2\\t1')")
        assert tab.text("#events li b") == "dog in"


def test_each_of_several_cameras_shows_what_it_counted_itself(tab: Tab) -> None:
    with page(of=facts("gate", "yard")) as sink:
        sink.accept(packet(1, Passed(1, 40.0, "person", "in"), Passed(1, 40.0, "dog", "in")))
        sink.accept(packet(1, Passed(1, 40.0, "dog", "out"), source="yard"))
        tab.open(sink.address)
        tab.wait(f"{COUNTED}.includes('all\\t2\\t1')")
        shown = "[...document.querySelectorAll('article .totals')].map(each => each.innerText)"
        assert [" ".join(text.split()) for text in tab.ask(shown)] == ["2 in 0 out", "0 in 1 out"]


def test_an_only_camera_shows_its_counts_once(tab: Tab) -> None:
    with page() as sink:
        sink.accept(packet(1, Passed(1, 40.0, "person", "in")))
        tab.open(sink.address)
        tab.wait(f"{COUNTED}.includes('person')")
        assert tab.text("article .totals") == ""


def test_an_event_reads_in_words_with_units_and_without_what_is_not_known(tab: Tab) -> None:
    event = Measured(
        1, 40.0, "car", "gate in", "in", 31, 48.2, math.nan, 12.5, late=True, lost=False
    )
    with page() as sink:
        sink.accept(packet(1, event))
        tab.open(sink.address)
        tab.wait("document.querySelector('#events li')")
        assert tab.text("#events li b") == "car gate in"
        assert tab.text("#events li span") == "track 31, speed 48.2 km/h, late"


def test_stage_times_and_rate_are_shown(tab: Tab) -> None:
    times = {"preprocess": 1_500_000, "inference": 12_300_000}
    with page() as sink:
        for index in range(20):
            sink.accept(packet(index, timings_ns=times))
        tab.open(sink.address)
        tab.wait("document.querySelectorAll('#stages tr').length == 4")
        rows = tab.ask("[...document.querySelectorAll('#stages tr')].map(r => r.innerText.trim())")
        assert [row.split() for row in rows[1:]] == [
            ["preprocess", "1.50", "1.50"],
            ["inference", "12.3", "12.3"],
            ["total", "13.8", "13.8"],
        ]
        tab.wait("document.querySelector('#fps path')")


def test_a_phone_scrolls_in_one_direction_only(tab: Tab) -> None:
    names = ["gate", f"rtsp://camera.example/{'long-name-' * 12}"]
    event = Passed(0, 0.0, "a-label-without-any-space" * 4, "in")
    with page(of=facts(*names)) as sink:
        tab.open(sink.address, width=420, height=800)
        tab.wait("document.querySelectorAll('article').length == 2")
        assert tab.ask(NO_SCROLL)
        sink.accept(packet(0, event))
        tab.wait("document.querySelector('#events li')")
        assert tab.ask(NO_SCROLL)


def test_many_streams_all_show_their_pictures(tab: Tab) -> None:
    """A browser has six connections to one server; eight streams need more than luck."""
    names = [f"camera {n}" for n in range(8)]
    with page(of=facts(*names)) as sink, feeding(sink, 10.0, *names):
        tab.open(sink.address, width=1600, height=2400)
        tab.wait("document.querySelectorAll('article').length == 8")
        assert all(soon(tab, number) for number in range(8))
        tab.wait("document.querySelector('#link').innerText.startsWith('running')")


def test_a_frozen_source_is_named_with_its_time_and_without_its_password(tab: Tab) -> None:
    with page(of=facts("gate", "yard", sources={"yard": Gone()})) as sink:  # type: ignore[dict-item]
        sink.accept(packet(0, source="yard"))
        tab.open(sink.address)
        tab.wait("document.querySelectorAll('article').length == 2")
        text = tab.wait("document.querySelectorAll('article')[1].innerText")
        assert "frozen for 75 s" in text
        assert "3 reconnects" in text
        assert "nothing for 5 s from rtsp://10.0.0.7/yard" in text
        assert "hunter2" not in tab.ask("document.documentElement.outerHTML")
        assert "connecting" in tab.text("article .state")


def test_who_comes_when_the_source_has_frozen_sees_its_last_picture(tab: Tab) -> None:
    with page(of=facts("yard", sources={"yard": Gone()})) as sink:  # type: ignore[dict-item]
        sink.accept(packet(0, source="yard"))
        tab.open(sink.address)
        tab.wait("document.querySelector('.view:not(.empty) img')")
        tab.ask("document.querySelector('.view img').style.opacity = 1")  # it is shown dimmed
        assert tab.wait("document.querySelector('.view img').naturalWidth") == 320
        assert soon(tab)


def test_names_of_others_are_text_never_markup(tab: Tab) -> None:
    bad = "<img src=x onerror=document.title='taken'><script>1</script>"
    with page(of=facts(bad)) as sink:
        sink.accept(packet(0, Passed(0, 0.0, bad, bad), source=bad))
        tab.open(sink.address)
        tab.wait("document.querySelector('#events li')")
        assert tab.text("article .name") == bad
        assert tab.ask("document.querySelectorAll('#events img, .name img').length") == 0
        assert tab.ask("document.title") == "gate watch · edgesdk"


def test_the_token_opens_the_page_and_leaves_the_address(tab: Tab) -> None:
    with page(f"web://0.0.0.0:0?token={TOKEN}") as sink, feeding(sink):
        here = sink.address.split(":")[2].split("/")[0]
        tab.open(f"http://127.0.0.1:{here}/")
        tab.wait("document.body?.innerText.includes('needs a token')")
        tab.open(f"http://127.0.0.1:{here}/?token={TOKEN}")
        assert soon(tab)
        assert tab.ask("location.href") == f"http://127.0.0.1:{here}/"
        tab.open(f"http://127.0.0.1:{here}/")  # the cookie is enough from now on
        assert soon(tab)


def test_a_page_left_open_finds_the_next_run(tab: Tab) -> None:
    with page() as sink, feeding(sink):
        tab.open(sink.address)
        assert soon(tab)
        address = sink.address
    tab.wait("document.querySelector('#link').innerText == 'the run has ended'")
    port = address.split(":")[2].strip("/")
    with page(f"web://127.0.0.1:{port}") as again, feeding(again):
        tab.wait("document.querySelector('#link').innerText.startsWith('running')")
        assert soon(tab)


def test_a_hidden_page_asks_for_nothing(tab: Tab) -> None:
    with page() as sink, feeding(sink):
        tab.open(sink.address)
        assert soon(tab)
        hide = "Object.defineProperty(document, 'hidden', {value: %s, configurable: true});"
        turn = "document.dispatchEvent(new Event('visibilitychange'))"
        tab.ask(hide % "true" + turn)
        assert _within(20, lambda: _watchers(sink) == 0)
        tab.ask(hide % "false" + turn)
        assert _within(20, lambda: _watchers(sink) > 0)


def test_the_console_stays_empty(tab: Tab) -> None:
    """A resource the policy forbids, or one that is missing, would be reported there."""
    with page() as sink, feeding(sink):
        tab.open(sink.address)
        assert soon(tab)
        loaded = tab.ask("performance.getEntriesByType('resource').map(r => r.name)")
        assert loaded
        assert all(name.startswith(sink.address) for name in loaded)
        assert tab.errors == []


def _watchers(sink: WebPage) -> int:
    return len(sink.server.door)


def _within(seconds: float, true: object) -> bool:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        with contextlib.suppress(OSError):
            if true():  # type: ignore[operator]
                return True
        time.sleep(0.1)
    return False
