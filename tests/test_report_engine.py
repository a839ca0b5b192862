"""The inside of an engine in a report: phases, layers, what they warn of, and how they look.

Phases and layers here are recorded figures, not those of a GPU.
"""

from __future__ import annotations

import json
import re
from dataclasses import replace

import numpy as np
import pytest

from edgesdk.bench import engine_of
from edgesdk.cli._console import console
from edgesdk.cli.bench import print_report
from edgesdk.report import EngineReport, from_json, make_engine_report, to_json
from edgesdk.report.engine_charts import layer_bars, phase_bars
from edgesdk.report.engine_findings import find_in_engine
from edgesdk.report.html import to_html
from edgesdk.report.machine import ClockDomain
from tests import report_samples as samples
from tests.report_samples import DESK, LAYERS, LayerFacts, LayerTime, Phases, report, steady


def codes(engine: EngineReport, precision: str = "", clock: ClockDomain | None = None) -> list[str]:
    machine = replace(DESK, clocks=(clock,) if clock else ())
    return [finding.code for finding in find_in_engine(engine, machine, precision)]


def test_phases_are_summarized_and_layers_keep_the_engines_order() -> None:
    engine = samples.engine(h2d=0.25)
    assert (engine.runs, engine.profiled_runs) == (401, 50)
    assert engine.phase("h2d").median.ms == 0.25
    assert [layer.name for layer in engine.layers] == [name for name, _, _ in LAYERS]
    assert engine.layers_ms == pytest.approx(1.34)
    stem = engine.slowest[0]
    assert (stem.median_ms, stem.precision) == (0.412, "int8")
    assert stem.share_percent == pytest.approx(100 * 0.412 / 1.34, abs=1e-3)


def test_shares_of_precisions_are_of_the_layers_time() -> None:
    shares = dict(samples.engine().by_precision)
    assert shares["int8"] == pytest.approx(100 * (0.412 + 0.287 + 0.345) / 1.34, abs=0.01)
    assert shares["unknown"] == pytest.approx(100 * 0.012 / 1.34, abs=0.01)
    assert sum(shares.values()) == pytest.approx(100, abs=0.01)


def test_a_layer_that_the_inspector_does_not_know_has_no_precision() -> None:
    layers = [LayerTime("known", 1.0), LayerTime("new", 1.0), LayerTime("vague", 1.0)]
    runs = [Phases(0.1, 0.1, 1.0, 0.1)] * 2
    engine = make_engine_report(
        runs, layers, [LayerFacts("known", "INT8", "DLA"), LayerFacts("vague", "unknown")]
    )
    assert [(layer.precision, layer.device) for layer in engine.layers] == [
        ("int8", "dla"),
        ("", ""),
        ("", "gpu"),
    ]


@pytest.mark.parametrize(
    ("engine", "expected"),
    [
        (samples.engine(), []),
        (samples.engine(enqueue=1.21, compute=1.5), ["enqueue-bound"]),
        (samples.engine(enqueue=1.19, compute=1.5), []),
        (samples.engine(h2d=1.3, d2h=0.3, compute=1.5), ["transfer-bound"]),
        (samples.engine(h2d=1.1, d2h=0.3, compute=1.5), []),
        (samples.engine(spread=0.04), ["gpu-unsteady"]),
        (samples.engine(spread=0.02), []),
    ],
)
def test_what_trtexec_warns_of_is_warned_of(engine: EngineReport, expected: list[str]) -> None:
    assert codes(engine) == expected


@pytest.mark.parametrize(
    ("clock", "expected"),
    [
        (ClockDomain("17000000.gpu", "other", 306.0, 306.0, 1300.5, "nvhost_podgov"), True),
        (ClockDomain("17000000.ga10b", "other", 918.0, 306.0, 1300.5, "nvhost_podgov"), True),
        (ClockDomain("17000000.gpu", "other", 1300.5, 1300.5, 1300.5, "performance"), False),
        (ClockDomain("policy0", "cpu", 729.6, 729.6, 2201.6, "schedutil"), False),
        (ClockDomain("2c60000.emc", "other", 665.0, 204.0, 3199.0, "userspace"), False),
    ],
)
def test_a_gpu_below_its_highest_clock_is_named(clock: ClockDomain, expected: bool) -> None:
    assert codes(samples.engine(), clock=clock) == (["gpu-clock-low"] if expected else [])


def test_an_int8_engine_whose_layers_run_in_float_says_which() -> None:
    layers = [LayerTime("a", 3.0), LayerTime("b", 1.0), LayerTime("c", 6.0)]
    facts = [LayerFacts("a", "fp16"), LayerFacts("b", "fp32"), LayerFacts("c", "int8")]
    engine = make_engine_report([Phases(0.1, 0.1, 9.0, 0.1)] * 2, layers, facts, 10)
    found = find_in_engine(engine, DESK, "int8")
    assert [finding.code for finding in found] == ["layers-in-float"]
    assert found[0].seen == "40 % of the layers' time is not INT8; most of it in a (fp16), b (fp32)"
    assert codes(engine, "fp16") == []


def test_findings_of_the_engine_stand_in_the_report_and_warnings_come_first() -> None:
    found = report(steady(100), engine=samples.engine(enqueue=2.0)).findings
    assert {"too-few-samples", "enqueue-bound", "clocks-unknown"} <= {f.code for f in found}
    levels = [finding.level for finding in found]
    assert levels == sorted(levels, key=lambda level: level != "warning")


def test_an_engine_comes_back_from_its_file() -> None:
    found = report(steady(), engine=samples.engine())
    assert from_json(to_json(found)) == found
    assert json.loads(to_json(found))["engine"]["phases"][2]["name"] == "compute"


def test_a_report_without_an_engine_is_written_as_before_and_old_ones_are_read() -> None:
    text = to_json(report(steady()))
    assert "engine" not in json.loads(text)
    assert from_json(text).engine is None


def test_phases_follow_each_other_on_one_line_of_time() -> None:
    bars = phase_bars(samples.engine(enqueue=0.5, h2d=0.25, compute=1.5, d2h=0.25, spread=0))
    assert [(bar.start, bar.width) for bar in bars] == [
        (0, 25),
        (0, 12.5),
        (12.5, 75),
        (87.5, 12.5),
    ]
    slow = phase_bars(samples.engine(enqueue=4.0, h2d=0.25, compute=1.5, d2h=0.25, spread=0))
    assert (slow[0].start, slow[0].width) == (0, 100)
    assert max(bar.start + bar.width for bar in slow) == 100


def test_the_slowest_layer_fills_its_bar_and_colours_say_the_precision() -> None:
    bars = layer_bars(samples.engine())
    assert bars[0].width == 100
    assert [bar.style for bar in bars[:4]] == ["in-int8", "in-int8", "in-int8", "in-fp16"]
    assert bars[-1].style == "in-other"


def page_words(page: str) -> str:
    body = re.sub(r"<style>.*?</style>", "", page, flags=re.S)
    return " ".join(re.sub(r"<[^>]+>", " ", body).split())


def test_the_page_shows_phases_layers_and_their_precision() -> None:
    text = page_words(to_html(report(steady(), engine=samples.engine())))
    for said in (
        "Inside the engine",
        "Medians of 401 runs, as a CUDA graph, with copies",
        "Engine GPU compute 1.500 ms",
        "Enqueue processor 0.400 ms",
        "int8 77.9 %",
        "/stage1/down/Conv + /stage1/act/Relu int8 0.287 ms",
        "together they take 1.340 ms",
        "All 7 layers",
    ):
        assert said in text
    assert "Inside the engine" not in page_words(to_html(report(steady())))


def test_names_of_layers_cannot_smuggle_markup_into_the_page() -> None:
    evil = '"><script>alert(1)</script>'
    runs = [Phases(0.1, 0.1, 1.0, 0.1)] * 2
    engine = make_engine_report(runs, [LayerTime(evil, 1.0)], [LayerFacts(evil, evil, evil)], 1)
    assert "<script" not in to_html(report(steady(), engine=engine))


@pytest.mark.parametrize("layers", [[], [LayerTime("a", 0.0)]])
def test_odd_engines_still_make_a_page(layers: list[LayerTime]) -> None:
    engine = make_engine_report([Phases(0, 0, 0, 0)] * 2, layers, (), 1)
    text = page_words(to_html(report(steady(), engine=engine))).lower()
    assert not {"nan", "inf"} & set(text.split())


def test_the_terminal_shows_phases_and_the_slowest_layers(
    capsys: pytest.CaptureFixture[str],
) -> None:
    print_report(report(steady(), engine=samples.engine()), console())
    told = " ".join(capsys.readouterr().out.split())
    assert "Engine (GPU compute) 1.500 ms" in told
    assert "/stem/conv/Conv" in told
    assert "/neck/fuse/Concat" not in told


class TimedSession:
    """A session that says how long it took, and remembers what it was fed."""

    inputs = outputs = ()
    uses_graph, zero_copy = True, True

    def __init__(self) -> None:
        self.fed: list[float] = []

    def run(self, feeds: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        return {}

    def close(self) -> None: ...

    def timed(self, feeds: dict[str, np.ndarray]) -> tuple[dict[str, np.ndarray], Phases]:
        self.fed.append(float(feeds["x"][0]))
        return {}, Phases(0.1, 0.2, 1.0, 0.3)

    def profiled(self, feeds: dict[str, np.ndarray], runs: int) -> tuple[LayerTime, ...]:
        return (LayerTime("only", 1.0),)


class PlainSession:
    inputs = outputs = ()

    def run(self, feeds: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        return {}

    def close(self) -> None: ...


def test_only_a_session_that_times_itself_has_an_engine_in_its_report() -> None:
    feeds = [{"x": np.array([1.0])}, {"x": np.array([2.0])}]
    session = TimedSession()
    engine = engine_of(session, feeds)
    assert engine is not None
    assert engine.phase("d2h").median.ms == 0.3
    assert engine.layers[0].name == "only"
    assert engine.manner == "as a CUDA graph, without copies (zero-copy)"
    assert session.fed[:4] == [1.0, 2.0, 1.0, 2.0]
    assert engine_of(PlainSession(), feeds) is None
