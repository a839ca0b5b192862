"""The counting benchmark's own instruments: errors never cancel each other."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.counting.__main__ import summary
from benchmarks.counting.matching import Passage, match
from benchmarks.counting.runs import built, counted, truth
from benchmarks.counting.scenes import SEEDS, uri_of
from edgesdk._optional import available
from edgesdk.apps import load_app
from edgesdk.sim import parse_uri

APP = Path(__file__).parent.parent / "apps" / "traffic_counting"


def at(time_s: float, direction: str = "down", x_px: float | None = 100.0) -> Passage:
    return Passage(time_s, direction, "car", x_px)


def test_a_missed_one_and_an_extra_one_are_two_errors_though_the_totals_agree() -> None:
    compared = match([at(1), at(10)], [at(1.1), at(20)])
    assert compared.missed == (at(10),)
    assert compared.extra == (at(20),)
    assert compared.wrong == 2


def test_the_wrong_direction_or_another_lane_is_two_errors() -> None:
    assert match([at(1)], [at(1, "up")]).wrong == 2
    assert match([at(1)], [at(1, x_px=300)]).wrong == 2
    assert match([at(1, x_px=None)], [at(1, x_px=300)]).wrong == 0, "its place is not known"


def test_counted_twice_is_one_error() -> None:
    assert match([at(1)], [at(1), at(1.2)]).extra == (at(1.2),)


def test_the_window_is_as_wide_as_the_truth_is_rough() -> None:
    assert match([at(1)], [at(1.9)]).wrong == 2
    assert match([at(1)], [at(1.9)], window_s=1.0).wrong == 0


def test_a_wrong_class_is_told_apart_from_a_wrong_count() -> None:
    compared = match([at(1)], [Passage(1, "down", "bus", 100.0)])
    assert (compared.wrong, compared.misnamed) == (0, 1)


passages = st.lists(
    st.builds(
        Passage,
        st.floats(0, 20),
        st.sampled_from(["down", "up"]),
        st.sampled_from(["car", "bus"]),
        st.none() | st.floats(0, 600),
    ),
    max_size=8,
)


@settings(deadline=None)
@given(passages, passages)
def test_each_is_matched_once_or_told(true: list[Passage], found: list[Passage]) -> None:
    compared = match(true, found)
    assert len(true) - len(compared.missed) == len(found) - len(compared.extra)
    assert match(true, true).wrong == 0


def test_fifty_scenes_of_two_minutes_that_training_never_draws() -> None:
    scenes = [parse_uri(uri_of(seed)) for seed in SEEDS]
    assert len({scene.seed for scene in scenes}) == 50
    assert all(scene.frames == 120 * scene.fps and scene.seed < 1000 for scene in scenes)
    assert {scene.light for scene in scenes} == {"day", "overcast", "dusk", "night", "varying"}
    assert {scene.lanes for scene in scenes} == {2, 4, 6}


def test_the_truth_of_a_scene_is_where_and_when_its_vehicles_pass() -> None:
    found = truth("sim://traffic?seed=901&frames=480")
    assert len(found) == 28
    assert sorted(p.time_s for p in found) == [p.time_s for p in found]
    # Who drives towards the camera does so in the picture's left half.
    middles = {p.direction: p.x_px for p in found if p.x_px is not None}
    assert middles["down"] < 320 < middles["up"]


def test_the_summary_counts_every_error_and_every_clean_scene() -> None:
    error = {"missed": [{}], "extra": [{}, {}], "misnamed": 1}
    clean = {"missed": [], "extra": [], "misnamed": 0}
    rows = [{"true_crossings": 60, "int8": error}, {"true_crossings": 40, "int8": clean}]
    assert summary(rows, "int8") == {
        "scenes": 2,
        "true_crossings": 100,
        "wrong": 3,
        "wrong_share": 0.03,
        "scenes_without_error": 1,
        "misnamed": 1,
    }


def test_who_passes_in_the_last_frame_is_counted_as_the_app_counts_it(tmp_path: Path) -> None:
    """A counter waits for one more sighting; when none comes, it tells after the last frame."""
    if not available("onnxruntime"):
        pytest.skip("needs onnxruntime: pip install 'edgesdk[cpu]'")
    scene = "sim://traffic?seed=901&frames=49&fps=12"
    assert truth(scene)[-1].time_s == pytest.approx(48 / 12)
    found = counted(load_app(APP), scene, built(str(APP), "fp32", "", tmp_path))
    assert match(truth(scene), found).wrong == 0
