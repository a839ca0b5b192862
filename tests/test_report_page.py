"""The report's page: one file, no request, the figures where a reader looks for them."""

from __future__ import annotations

import re
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from edgesdk.report import charts
from edgesdk.report.html import to_html
from edgesdk.report.shapes import histogram_of, timeline_of
from tests.report_samples import named, report, steady

PAGE = to_html(report(steady()))


class Elements(HTMLParser):
    """Names and attributes of all elements, in order."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


def words(page: str) -> str:
    body = re.sub(r"<style>.*?</style>", "", page, flags=re.S)
    return " ".join(re.sub(r"<[^>]+>", " ", body).split())


def test_the_page_asks_for_nothing() -> None:
    assert "://" not in PAGE
    assert "@import" not in PAGE
    assert "url(" not in PAGE
    elements = Elements(PAGE).found
    assert not {"script", "iframe", "img", "object", "embed"} & {tag for tag, _ in elements}
    links = [attrs["href"] for _, attrs in elements if "href" in attrs]
    assert links == ["data:,"]
    policies = [a["content"] for _, a in elements if "http-equiv" in a]
    assert policies == ["default-src 'none'; style-src 'unsafe-inline'; img-src data:"]


def test_the_statement_and_the_headline_figures_stand_on_the_page() -> None:
    text = words(to_html(report(np.linspace(10, 30, 401))))
    assert "Measured on this machine's CPU (Example CPU 9000), not on agx-orin-64gb" in (
        text.replace("&#39;", "'")
    )
    assert "Median latency 20.00 ms" in text
    assert "Throughput 50.0 fps" in text
    assert "p99 latency 29.80 ms" in text  # rank 397 of 10.00, 10.05, ...
    for stage in ("preprocess", "inference", "decode"):
        assert stage in text


def test_a_p99_that_cannot_be_stated_is_a_dash_with_what_it_needs() -> None:
    text = words(to_html(report(steady(100))))
    assert "p99 latency – needs at least 368 samples" in text  # noqa: RUF001


def test_findings_stand_on_the_page_with_what_to_do() -> None:
    found = report(steady(100))
    text = words(to_html(found))
    assert "1 warning: mend it first" in text
    for finding in found.findings:
        assert finding.do in text


def test_a_run_without_warnings_says_so() -> None:
    assert "Nothing was seen that speaks against it" in words(PAGE)


def test_names_cannot_smuggle_markup_into_the_page() -> None:
    evil = '"><script>alert(1)</script><img src=x onerror=alert(1)>'
    page = to_html(named(report(steady()), name=evil, input=evil, target=evil, bundle_digest=evil))
    tags = {tag for tag, _ in Elements(page).found}
    assert not {"script", "img"} & tags


@pytest.mark.parametrize("total_ms", [[20.0, 20.0], [1e-6, 1e-6], [0.0, 0.0], [5e-6, 9e5]])
def test_odd_runs_still_make_a_page(total_ms: list[float]) -> None:
    page = to_html(report(total_ms))
    assert "nan" not in words(page).lower().split()
    assert "inf" not in words(page).lower().split()


@given(st.lists(st.floats(1e-3, 1e5), min_size=2, max_size=300))
@example([0.001, 0.0010000000000000002])
def test_charts_stay_inside_their_square(values: list[float]) -> None:
    ms = np.array(values)
    histogram = charts.histogram_chart(histogram_of(ms), [("median", float(np.median(ms)))], "ms")
    timeline = charts.timeline_chart(timeline_of(ms), float(ms.max()), "s", "ms")
    places = [mark.place for mark in histogram.marks]
    for chart in (histogram, timeline):
        places += [place for axis in (chart.x, chart.y) for place, _ in axis.ticks]
        pairs = re.findall(r"(-?[\d.]+),(-?[\d.]+)", chart.shapes)
        places += [float(number) for pair in pairs for number in pair]
        places += [float(n) for n in re.findall(r'(?:x|y|width|height)="(-?[\d.]+)"', chart.shapes)]
    assert all(-0.01 <= place <= 100.01 for place in places)


@given(st.floats(1e-6, 1e6), st.floats(1e-6, 1e6))
def test_ticks_are_few_round_and_differ(low: float, span: float) -> None:
    if span / low < 1e-3:
        return
    ticks = charts.Axis("ms", low, low + span).ticks
    labels = [label for _, label in ticks]
    assert 3 <= len(labels) <= 9
    assert len(set(labels)) == len(labels)


@pytest.mark.parametrize(
    ("rough", "step"), [(0.7, 1), (1, 1), (1.1, 2), (3, 5), (6, 10), (0.013, 0.02), (250, 500)]
)
def test_steps_are_one_two_or_five(rough: float, step: float) -> None:
    assert charts.round_step(rough) == pytest.approx(step)


def test_the_stacked_bar_is_full_and_escaped() -> None:
    bar = charts.stacked_bar([charts.Part("a<b", 25.0), charts.Part("c", 75.0)])
    assert re.findall(r'x="([\d.]+)"', bar) == ["0.000", "25.000"]
    assert "a&lt;b" in bar


@pytest.fixture
def dom(tmp_path: Path) -> str:
    """The page as a browser understands it."""
    browser = shutil.which("chromium") or shutil.which("google-chrome")
    if browser is None:
        pytest.skip("needs chromium: install it to check the page in a browser")
    (tmp_path / "report.html").write_text(PAGE, encoding="utf-8")
    switches = "headless no-sandbox disable-gpu disable-background-networking disable-sync"
    switches += " disable-component-update no-first-run dump-dom"
    command = [browser, *(f"--{switch}" for switch in switches.split())]
    command += [f"--user-data-dir={tmp_path / 'profile'}", f"file://{tmp_path / 'report.html'}"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
    return done.stdout


def test_a_browser_shows_the_title_and_the_figures_and_asks_for_nothing(dom: str) -> None:
    found = report(steady())
    title = re.search(r"<title>(.*?)</title>", dom)
    assert title
    assert title[1] == (
        "Latency of vehicles, measured on this machine's CPU (Example CPU 9000), "
        "not on agx-orin-64gb"
    )
    assert f"{found.total.median.ms:.2f}" in words(dom)
    assert dom.count('class="bar"') == sum(count > 0 for count in found.histogram.counts)
    assert not re.search(r'(?:src|href)="(?!data:,")', dom)
