"""What scripts/demo shows: counts that agree with the exact truth, and where everything is."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from edgesdk.bundle import open_bundle
from edgesdk.cli.demo import command
from edgesdk.demo import Counted, Demo
from edgesdk.report import read_report
from edgesdk.video import read_video
from tests.command import edgesdk


@pytest.mark.timeout(900)
def test_the_demo_counts_the_simulated_road_exactly(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EDGESDK_ASSETS", str(tmp_path / "none"))  # as on a user's machine
    done = edgesdk("demo", "--out", "made", "--json", "--quiet", cwd=tmp_path, timeout_s=800)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert [run["title"] for run in told["runs"]] == [
        "simulated road, float",
        "simulated road, INT8",
    ]
    for run in told["runs"]:
        assert run["counts"] == run["truth"]
        assert sum(sum(row.values()) for row in run["truth"].values()) > 15
    assert "measured on this machine's CPU" in told["measured_on"]
    files = {name: tmp_path / path for name, path in told["files"].items()}
    assert open_bundle(files["bundle"]).manifest.precision == "int8"
    assert read_report(tmp_path / "made" / "latency.json").provenance.subject.precision == "int8"
    assert "<svg" in files["report"].read_text()
    assert "real road" not in done.stdout, "there is no clip here"
    clip = read_video(files["clip"])
    assert (clip.width, clip.height, clip.count) == (640, 360, told["runs"][1]["frames"])
    crossings = files["crossings"].read_text().splitlines()
    assert len(crossings) == 1 + sum(sum(r.values()) for r in told["runs"][1]["counts"].values())


@pytest.mark.parametrize(
    ("counts", "truth", "right"),
    [
        ({"car": {"down": 7}, "bus": {"down": 1}}, {"any": {"down": 8, "up": 0}}, True),
        ({"car": {"down": 7}}, {"any": {"down": 8, "up": 0}}, False),
        ({"car": {"down": 8, "up": 1}}, {"any": {"down": 8, "up": 0}}, False),
        ({"car": {"down": 2}}, {"car": {"down": 2, "up": 0}}, True),
        ({"car": {"down": 2}}, {"bus": {"down": 2}}, False),
    ],
)
def test_a_count_is_right_when_all_that_is_known_agrees(
    counts: dict[str, dict[str, int]], truth: dict[str, dict[str, int]], right: bool
) -> None:
    assert Counted("road", counts, truth, 100, 20.0).is_right == right


def test_a_demo_that_is_broken_off_leaves_no_files_of_it_or_of_the_one_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = ("traffic.webm", "crossings.csv", "road.webm", "latency.html", "latency.json")
    for name in (*names, "mine.txt"):
        (tmp_path / name).write_text("of an earlier demo")

    def interrupted(demo: Demo, *arguments: object) -> None:
        assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"], "cleared at the start"
        (tmp_path / "traffic.webm").write_text("half")
        raise KeyboardInterrupt

    monkeypatch.setattr(Demo, "_build", interrupted)
    done = CliRunner().invoke(command, ["--out", str(tmp_path), "--quiet"])
    assert done.exit_code == 130, done.output
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]
