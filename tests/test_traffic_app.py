"""The traffic app as a site sets it up: lines, zones, classes, intervals, speeds; no code."""

from __future__ import annotations

import csv
import json
import re
import shutil
import sqlite3
import sys
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from edgesdk._resources import data_folder
from edgesdk.apps import App, RunRequest, load_app, prepare_run
from edgesdk.errors import ConfigError
from edgesdk.pipeline import Collect, StageError
from edgesdk.sim import TrafficScene, TrafficSettings
from edgesdk.sim.camera import Camera
from edgesdk.traffic import Count, Crossing, Visit
from tests.squares import app_folder, crossing_clip

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

TRAFFIC = data_folder("apps") / "traffic_counting"
PICTURE = TRAFFIC.parent.parent / "docs" / "images" / "traffic-counting.jpg"
LINES = [
    {"name": "gate", "start": [0, 80], "end": [96, 80], "forward": "in", "backward": "out"},
    {"name": "yard", "start": [96, 60], "end": [192, 60], "forward": "in", "backward": "out"},
]
WRONG = "wrong way"
IN = {"name": "in", "start": [30, 240], "end": [314, 240], "forward": "cars", "backward": WRONG}
OUT = {"name": "out", "start": [610, 240], "end": [326, 240], "forward": "cars", "backward": WRONG}
PLACES = {
    "lines": [IN, OUT],
    "zones": [{"name": "crossing", "points": [[330, 90], [490, 90], [540, 170], [335, 170]]}],
    "regions": [{"points": [[0, 30], [640, 30], [640, 360], [0, 360]]}],
}
"""Of the picture in the README."""
LEFT = [[0, 60], [90, 60], [90, 120], [0, 120]]


def squares(folder: Path, **settings: Any) -> App:
    """The app's own code with a hand-made detector: one square goes down at x = 45, another up at
    x = 145, 2 s at 20 fps each."""
    app = load_app(app_folder(folder, (TRAFFIC / "app.py").read_text(), 'classes = ["square"]'))
    return app.with_settings(settings)


def run(app: App, request: RunRequest) -> tuple[dict[str, dict[str, int]], Collect]:
    collect = Collect()
    with prepare_run(app, request, [collect]) as prepared:
        return prepared.pipeline.run().counts, collect


def of_kind(collect: Collect, kind: type[Any]) -> list[Any]:
    return [event for event in collect.events if type(event) is kind]


def test_each_line_counts_for_itself_under_its_own_names(tmp_path: Path) -> None:
    source = str(crossing_clip(tmp_path / "clip.avi"))
    counts, collect = run(squares(tmp_path / "app", lines=LINES), RunRequest(source))
    assert counts == {"square": {"gate in": 1, "yard out": 1}}
    told = {(event.line, event.direction) for event in of_kind(collect, Crossing)}
    assert told == {("gate", "in"), ("yard", "out")}


def test_a_line_on_the_command_line_stands_in_for_those_of_the_file(tmp_path: Path) -> None:
    source = str(crossing_clip(tmp_path / "clip.avi"))
    app = squares(tmp_path / "app", lines=LINES, line=[0, 80, 96, 80])
    assert run(app, RunRequest(source))[0] == {"square": {"down": 1}}


def test_classes_are_counted_under_the_users_names(tmp_path: Path) -> None:
    source = str(crossing_clip(tmp_path / "clip.avi"))
    app = squares(tmp_path / "app", classes={"square": "parcel"}, line_at=0.5)
    assert run(app, RunRequest(source))[0] == {"parcel": {"down": 1, "up": 1}}


def test_what_stands_outside_the_regions_is_not_tracked(tmp_path: Path) -> None:
    source = str(crossing_clip(tmp_path / "clip.avi"))
    region = {"points": [[0, 0], [96, 0], [96, 160], [0, 160]]}
    app = squares(tmp_path / "app", regions=[region], line_at=0.5)
    assert run(app, RunRequest(source))[0] == {"square": {"down": 1}}


def test_a_zone_tells_who_enters_and_leaves_and_after_how_long(tmp_path: Path) -> None:
    source = str(crossing_clip(tmp_path / "clip.avi"))
    zone = {"name": "left", "points": LEFT, "anchor": "center"}
    _, collect = run(squares(tmp_path / "app", zones=[zone]), RunRequest(source))
    enter, leave = of_kind(collect, Visit)
    assert (enter.zone, enter.change, enter.occupancy, enter.label) == (
        "left",
        "enter",
        1,
        "square",
    )
    assert (leave.change, leave.occupancy) == ("leave", 0)
    # It moves 110 px in 59 frames and is between y = 60 and 120 for 32 of them: 1.6 s.
    assert leave.seconds == pytest.approx(1.6, abs=0.3)
    assert leave.seconds == pytest.approx((leave.time_ms - enter.time_ms) / 1000)


def test_intervals_are_told_with_and_without_crossings_and_add_up(tmp_path: Path) -> None:
    source = str(crossing_clip(tmp_path / "clip.avi"))
    app = squares(tmp_path / "app", line_at=0.5, interval_min=1 / 60)
    _, collect = run(app, RunRequest(source))
    rows = [(e.start, e.end, e.direction, e.count) for e in of_kind(collect, Count)]
    # 60 frames at 20 fps are 3 s; both cross in the middle, at 1.5 s.
    assert rows == [
        ("0:00:00", "0:00:01", "down", 0),
        ("0:00:00", "0:00:01", "up", 0),
        ("0:00:01", "0:00:02", "down", 1),
        ("0:00:01", "0:00:02", "up", 1),
        ("0:00:02", "0:00:03", "down", 0),
        ("0:00:02", "0:00:03", "up", 0),
    ]
    assert [e.watched_s for e in of_kind(collect, Count)][::2] == pytest.approx([1, 1, 1], abs=0.1)


def test_a_live_sources_intervals_are_on_the_clock(tmp_path: Path) -> None:
    app = load_app(TRAFFIC)
    shutil.copytree(TRAFFIC, tmp_path / "app", ignore=shutil.ignore_patterns("*.edge"))
    app = load_app(tmp_path / "app").with_settings({"interval_min": 0.25})
    _, collect = run(app, RunRequest("sim://traffic?seed=3&frames=20&live=1"))
    starts = [event.start for event in of_kind(collect, Count)]
    assert starts
    for start in starts:
        assert re.fullmatch(r"20\d\d-\d\d-\d\dT\d\d:\d\d:(00|15|30|45)Z", start)


def test_each_kind_has_a_file_and_a_table_of_its_own(tmp_path: Path) -> None:
    source = str(crossing_clip(tmp_path / "clip.avi"))
    app = squares(tmp_path / "app", zones=[{"name": "left", "points": LEFT}], line_at=0.5)
    sinks = (f"sqlite:{tmp_path}/a.db", f"jsonl:{tmp_path}/a.jsonl")
    request = RunRequest(source, events=tmp_path / "a.csv", sinks=sinks)
    _, collect = run(app, request)
    for kind in (Crossing, Visit, Count):
        name, truth = kind.__name__.lower(), of_kind(collect, kind)
        assert truth
        suffix = "" if kind is Crossing else f"-{name}"
        rows = table(tmp_path / f"a{suffix}.csv")
        lines = (tmp_path / f"a{suffix}.jsonl").read_text().splitlines()
        with closing(sqlite3.connect(tmp_path / "a.db")) as base:
            stored = base.execute(f'SELECT label FROM "{name}"').fetchall()
        assert [row["label"] for row in rows] == [event.label for event in truth]
        assert [json.loads(line)["label"] for line in lines] == [event.label for event in truth]
        assert [row[0] for row in stored] == [event.label for event in truth]
    assert table(tmp_path / "a.csv")[0]["speed_kmh"] == ""  # no ground is given


def table(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_speeds_of_a_simulated_road_are_told_where_its_ground_is_given(tmp_path: Path) -> None:
    if not (TRAFFIC / "model" / "vehicles.onnx").is_file():
        pytest.skip("needs the model apps/traffic_counting/model/vehicles.onnx: run train.py")
    settings = TrafficSettings(seed=3, frames=200)
    camera, scene = Camera.of(settings), TrafficScene(settings)
    shutil.copytree(TRAFFIC, tmp_path / "app", ignore=shutil.ignore_patterns("*.edge"))
    app = load_app(tmp_path / "app").with_settings({"ground": ground_of(camera)})
    _, collect = run(app, RunRequest("sim://traffic?seed=3&frames=200"))
    told = [event for event in of_kind(collect, Crossing) if event.speed_kmh > 0]
    driven = {v.id: 3.6 * v.speed_m_s for i in range(0, 200, 20) for v in scene._vehicles(i / 24)}
    assert len(told) >= 6
    for event in told:
        truth = scene.truth(event.frame)
        place = truth.centers - (event.x_px, event.y_px)
        vehicle = int(truth.track_id[np.argmin(np.hypot(*place.T))])
        assert event.speed_kmh == pytest.approx(driven[vehicle], rel=0.12)
        assert 0 < event.speed_error_kmh < 0.25 * event.speed_kmh


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"lines": [LINES[0], LINES[0]]}, "line needs a name of its own, found 'gate' twice"),
        (
            {"zones": [{"name": "z", "points": [[900, 0], [950, 0], [950, 9]]}]},
            "the zone 'z' is not",
        ),
    ],
)
def test_places_that_cannot_be_are_named_before_the_run(
    tmp_path: Path, settings: dict[str, Any], says: str
) -> None:
    source = str(crossing_clip(tmp_path / "clip.avi", frames=3))
    with pytest.raises(StageError, match=says):
        run(squares(tmp_path / "app", **settings), RunRequest(source))


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"lines": [{"name": "a", "start": [1, 1], "end": [1, 1]}]}, "has no length"),
        ({"zones": [{"points": [[0, 0], [1, 1]]}]}, "3 points or more"),
        ({"ground": {"picture": [[0, 0]] * 4, "metres": [[0, 0]] * 4}}, "three of the four"),
        ({"interval_min": 0}, "interval_min should be above 0"),
        ({"lines": [{"start": [0, 0], "end": [1, 1], "ancor": "foot"}]}, "unknown key"),
    ],
)
def test_settings_that_mean_nothing_are_named(settings: dict[str, Any], says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        load_app(TRAFFIC).with_settings(settings)


def test_every_example_in_app_toml_works_as_it_stands() -> None:
    text = (TRAFFIC / "app.toml").read_text()
    example = re.compile(r"^# (\[+settings\.|\w+ = )")
    lines = [line[2:] if example.match(line) else line for line in text.splitlines()]
    lines = [line for line in lines if not line.startswith('classes = ["car"')]
    settings = tomllib.loads("\n".join(lines))["settings"]
    app = load_app(TRAFFIC).with_settings(settings)
    assert app.settings.lines[0].name == "gate"
    assert app.settings.zones[0].name == "box"
    assert app.settings.ground is not None
    assert app.settings.classes["bus"] == "heavy"
    assert len(app.settings.regions) == 1


def test_the_app_is_short() -> None:
    assert len((TRAFFIC / "app.py").read_text().splitlines()) < 150


def test_the_readmes_picture_is_what_the_app_draws(tmp_path: Path) -> None:
    drawn = traffic_picture(tmp_path)
    shown = cv2.imread(str(PICTURE))
    assert drawn.shape == shown.shape
    # As JPEG, and with another version of the model a box may lie a little elsewhere.
    assert np.abs(drawn.astype(int) - shown.astype(int)).mean() < 4


def traffic_picture(folder: Path) -> Any:
    """A simulated road with two lines, a zone, a region and speeds, after 6 s."""
    settings = TrafficSettings(seed=3, frames=150)
    camera = Camera.of(settings)
    app = load_app(TRAFFIC).with_settings({**PLACES, "ground": ground_of(camera)})
    shutil.copytree(TRAFFIC, folder / "app", ignore=shutil.ignore_patterns("*.edge"))
    app = replace(app, folder=folder / "app")
    request = RunRequest("sim://traffic?seed=3&frames=150", video=folder / "a.mp4")
    with prepare_run(app, request) as prepared:
        prepared.pipeline.run()
    reader = cv2.VideoCapture(str(folder / "a.mp4"))
    reader.set(cv2.CAP_PROP_POS_FRAMES, 140)
    return reader.read()[1]


def ground_of(camera: Camera) -> dict[str, Any]:
    """Four points of the simulated road, 7 m wide, where that camera sees them."""
    far, near = 0.8 * camera.far_m, 1.2 * camera.near_m
    metres = [[-3.5, far], [3.5, far], [3.5, near], [-3.5, near]]
    picture = camera.project(np.array([[x, v, 0.0] for x, v in metres])).tolist()
    return {"picture": picture, "metres": metres}


if __name__ == "__main__":  # draws the picture of the README
    import tempfile

    with tempfile.TemporaryDirectory() as place:
        cv2.imwrite(str(PICTURE), traffic_picture(Path(place)), [cv2.IMWRITE_JPEG_QUALITY, 88])
