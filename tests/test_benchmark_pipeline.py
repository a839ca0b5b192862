"""The pipeline benchmark's own instruments: rounds that take turns, and its table."""

from __future__ import annotations

import json
from pathlib import Path

from benchmarks.pipeline.figures import pipeline
from benchmarks.pipeline.rounds import interleaved

REPORT = Path(__file__).parent.parent / "benchmarks" / "reports" / "pipeline.json"


def test_every_case_is_called_as_often_and_each_round_begins_with_another() -> None:
    calls: list[str] = []
    cases = {name: (lambda name=name: calls.append(name)) for name in "abc"}
    interleaved(cases, rounds=3, calls=2)
    # By hand: each three times to warm up, then twice a round.
    assert "".join(calls) == "aaabbbccc" + "aabbcc" + "bbccaa" + "ccaabb"


def test_what_costs_three_times_as_much_is_stated_so() -> None:
    def work(loops: int) -> None:
        sum(range(loops))

    timed = interleaved({"one": lambda: work(20_000), "three": lambda: work(60_000)}, 15, 5)
    assert timed["one"]["times_ours"] == 1
    # A wide margin: other programs run on the machine too.
    assert 2 < timed["three"]["cpu_times_ours"] < 4.5


def test_the_table_shows_the_report_s_ratios_and_the_fastest_other_peer() -> None:
    def case(ratio: float) -> dict[str, float]:
        return {"least_ms": 0.5, "cpu_times_ours": ratio}

    cases = {"edgesdk": case(1), "edgesdk, a new tensor each": case(1.2)}
    cases |= {"ultralytics": case(2.84), "numpy": case(1.66), "torchvision": case(3)}
    sizes = {"1080p to 640": {"cases": cases, "allocated_bytes_a_frame": 2000}}
    part = {"date": "2026-01-02T03:04", "machine": {"cpu": "a cpu"}, "sizes": sizes}
    text = "\n".join(pipeline({"parts": {"preprocessing": part}}))
    assert "0.50 ms; 2.8 x Ultralytics, 1.7 x numpy; 0.002 MB" in text
    assert "2026-01-02, a cpu" in text


def test_the_committed_report_is_of_frames_prepared_to_the_last_level_and_equal_boxes() -> None:
    parts = json.loads(REPORT.read_text())["parts"]
    for size in parts["preprocessing"]["sizes"].values():
        assert size["cases"]["edgesdk"]["levels_off"] == 0
    for counts in parts["decoding"]["heads"].values():
        assert all(row["kept_equal_torchvision"] for row in counts.values())
