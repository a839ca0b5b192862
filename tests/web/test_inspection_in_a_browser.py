"""The page of an inspection line, in a real Chromium."""

from __future__ import annotations

import json
from collections.abc import Iterator

import numpy as np
import pytest

from edgesdk.inspection import Outcome, Verdict
from edgesdk.sinks import SinkFacts, StreamFacts
from edgesdk.web import WebPage
from edgesdk.web.board import Board
from tests.inspection.made import verdict
from tests.web.browser import Tab, chromium
from tests.web.running import packet, page

SECTION = "document.querySelector('#inspection-section')"


@pytest.fixture(scope="module")
def tab() -> Iterator[Tab]:
    with chromium() as one:
        yield one


def facts(*names: str) -> SinkFacts:
    streams = tuple(StreamFacts(name, (320, 180), 25.0) for name in names or ("line",))
    return SinkFacts(
        "line_inspection", Verdict, lambda p: p.frame.image, streams, columns=("pass", "reject")
    )


def run(sink: WebPage | Board, scores: np.ndarray, source: str = "line") -> None:
    add = sink.add if isinstance(sink, Board) else sink.accept
    for i, score in enumerate(scores.tolist()):
        outcome: Outcome = "reject" if score >= 2 else "pass"
        add(packet(i, verdict(i, score, outcome), source=source))


def steady_then_dirty() -> np.ndarray:
    rng = np.random.default_rng(2)
    steady = np.where(rng.random(2000) < 0.03, 2.4, rng.normal(1, 0.1, 2000))
    dirty = rng.normal(1, 0.1, 600) + np.linspace(0, 0.3, 600)
    return np.concatenate([steady, dirty])


def test_the_charts_show_a_line_that_drifts_and_say_so(tab: Tab) -> None:
    with page(of=facts()) as sink:
        run(sink, steady_then_dirty())
        tab.open(sink.address, height=1500)
        tab.wait(f"{SECTION}.innerText.includes('above')")
        told = tab.ask(f"{SECTION}.innerText")
        assert "2,600 parts" in told
        assert "Median score of the last 50 parts is above the limit." in told
        assert "reject rate" in told
        assert tab.ask("document.querySelectorAll('.chart svg').length") == 2
        assert tab.ask("document.querySelectorAll('.chart .beyond').length") == 1
        assert tab.errors == []


def test_a_page_without_verdicts_has_no_charts(tab: Tab) -> None:
    with page(of=facts()) as sink:
        sink.accept(packet(0))
        tab.open(sink.address)
        tab.wait("document.querySelector('#link').dataset.state === 'live'")
        assert tab.ask(f"{SECTION}.hidden") is True


def test_the_first_parts_are_told_to_be_too_few(tab: Tab) -> None:
    with page(of=facts()) as sink:
        run(sink, np.ones(3))
        tab.open(sink.address)
        tab.wait(f"{SECTION}.innerText.includes('the first 50 parts are not complete')")
        assert "3 parts" in tab.ask(f"{SECTION}.innerText")


def test_while_it_learns_what_is_usual_it_says_how_far_it_is(tab: Tab) -> None:
    with page(of=facts()) as sink:
        run(sink, np.ones(60))
        tab.open(sink.address)
        tab.wait(f"{SECTION}.innerText.includes('learning what is usual: 60 of 1,000 parts')")
        assert (
            tab.ask("getComputedStyle(document.querySelector('.chart path')).strokeWidth") == "6px"
        )


def test_each_line_has_charts_of_its_own_on_a_phone(tab: Tab) -> None:
    with page(of=facts("left", "right")) as sink:
        run(sink, steady_then_dirty(), "left")
        run(sink, steady_then_dirty()[:2000], "right")
        tab.open(sink.address, width=390, height=2400)
        tab.wait("document.querySelectorAll('.chart svg').length === 4")
        names = tab.ask("[...document.querySelectorAll('.inspection h3')].map(h => h.innerText)")
        assert names == ["left", "right"]
        drifting = "[...document.querySelectorAll('.inspection')].map(i => i.innerText)"
        assert ["above the limit" in text for text in tab.ask(drifting)] == [True, False]
        assert tab.ask("document.documentElement.scrollWidth <= innerWidth")


def test_rejects_stay_among_the_last_events_however_many_parts_pass() -> None:
    board = Board(facts())
    run(board, np.array([2.5, *[1.0] * 500]))
    whole = json.loads(board.message())
    assert [event["what"] for event in whole["events"]] == ["score reject"]
    assert whole["counts"]["rows"] == [["score", [500, 1]]]


def test_a_score_that_is_none_leaves_the_page_readable() -> None:
    board = Board(facts())
    for i in range(120):
        board.add(packet(i, verdict(i, float("nan"), "reject"), source="line"))
    whole = json.loads(board.message(), parse_constant=pytest.fail)
    (line,) = whole["inspections"]
    assert (line["parts"], line["rejects"]) == (120, 120)
    assert line["charts"][1]["values"] == [None, None]
