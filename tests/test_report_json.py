"""The report's JSON: everything comes back, and what is not a report is refused in words."""

from __future__ import annotations

import dataclasses
import json
import types
import typing
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgesdk.errors import ConfigError
from edgesdk.report import LatencyReport, MeasureSettings, from_json, read_report, to_json
from tests.report_samples import report, steady


def any_of(kind: Any) -> st.SearchStrategy[Any]:
    """Values of a field's type, as JSON can hold them."""
    origin, members = typing.get_origin(kind), typing.get_args(kind)
    if kind is MeasureSettings:
        return st.builds(MeasureSettings, st.integers(0, 9), st.integers(2, 9))
    if dataclasses.is_dataclass(kind):
        fields = typing.get_type_hints(kind)
        return st.builds(kind, **{name: any_of(member) for name, member in fields.items()})
    if origin is typing.Literal:
        return st.sampled_from(members)
    if origin is tuple:
        return st.lists(any_of(members[0]), max_size=2).map(tuple)
    if origin in (types.UnionType, typing.Union):
        return st.one_of([st.none() if m is type(None) else any_of(m) for m in members])
    plain = {
        int: st.integers(0, 10**9),
        str: st.text(max_size=8),
        bool: st.booleans(),
        float: st.floats(allow_nan=False, allow_infinity=False),
    }
    return plain[kind]


@given(any_of(LatencyReport).map(lambda found: dataclasses.replace(found, format=1)))
def test_every_report_comes_back_as_it_was(found: LatencyReport) -> None:
    assert from_json(to_json(found)) == found


def test_a_measured_report_comes_back_from_its_file(tmp_path: Path) -> None:
    found = report(steady())
    (tmp_path / "report.json").write_text(to_json(found))
    assert read_report(tmp_path / "report.json") == found


def test_the_figures_are_those_of_the_run() -> None:
    table = json.loads(to_json(report(np.linspace(10, 30, 401))))
    assert (table["kind"], table["format"]) == ("latency", 1)
    assert table["total"]["min_ms"] == 10
    assert table["total"]["max_ms"] == 30
    assert table["total"]["median"]["ms"] == 20
    assert table["total"]["mean_ms"] == pytest.approx(20, abs=1e-5)
    assert table["throughput_fps"] == pytest.approx(50, abs=1e-2)
    shares = {stage["name"]: stage["share_percent"] for stage in table["stages"]}
    assert shares == pytest.approx({"preprocess": 10, "inference": 80, "decode": 10}, abs=1e-3)
    assert table["warmup"] == {"count": 2, "total_ms": 52.0, "first_ms": 30.0}


def test_histogram_and_timeline_hold_every_iteration() -> None:
    run = steady(400)
    run[17] = 500.0
    found = report(run)
    assert sum(found.histogram.counts) + found.histogram.beyond == 400
    assert found.histogram.beyond >= 1
    assert found.histogram.edges_ms[-1] < 100
    assert max(found.timeline.max_ms) == 500
    assert found.timeline.end_s == pytest.approx(run.sum() / 1000, rel=1e-6)


def test_a_report_of_a_long_run_stays_small() -> None:
    assert len(to_json(report(steady(200_000)))) < 100_000


def test_the_statement_says_that_it_was_not_measured_on_the_device() -> None:
    table = json.loads(to_json(report(steady())))
    statement = "measured on this machine's CPU (Example CPU 9000), not on agx-orin-64gb"
    assert table["provenance"]["statement"] == statement


@pytest.mark.parametrize(
    ("processor", "board", "statement"),
    [
        ("GPU", "NVIDIA Board X", "measured on the GPU of this NVIDIA Board X"),
        (
            "CPU",
            "NVIDIA Board X",
            "measured on the CPU (Example CPU 9000) of this NVIDIA Board X, not on its GPU",
        ),
    ],
)
def test_the_statement_of_a_board(processor: Any, board: str, statement: str) -> None:
    origin = report(steady()).provenance
    machine = dataclasses.replace(origin.machine, board=board)
    assert dataclasses.replace(origin, processor=processor, machine=machine).statement == statement


def edited(change: Callable[[dict[str, Any]], object]) -> str:
    table = json.loads(to_json(report(steady())))
    change(table)
    return json.dumps(table)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "not readable as JSON"),
        ("{", "not readable as JSON"),
        ("[]", "no latency report"),
        ("{}", "no latency report"),
        (edited(lambda t: t.update(kind="accuracy")), "no latency report"),
        (edited(lambda t: t.update(format=2)), "format 2; this edgesdk reads format 1"),
        (edited(lambda t: t.pop("total")), "'total' is missing"),
        (edited(lambda t: t["total"].update(min_ms="fast")), "total.min_ms should be a number"),
        (edited(lambda t: t["total"].update(minimum=1)), "unknown key 'total.minimum'"),
        (edited(lambda t: t["settings"].update(iterations=0)), "iterations should be 2"),
    ],
)
def test_what_is_not_a_report_is_refused_in_words(text: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words) as caught:
        from_json(text, "report.json")
    assert "report.json" in caught.value.message


def test_an_absent_file_is_refused_in_words(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read: No such file") as caught:
        read_report(tmp_path / "none.json")
    assert "edgesdk bench BUNDLE --out FILE" in caught.value.hint
