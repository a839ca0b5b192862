"""Parts that a detector finds instead of the belt: one verdict each, recorded and replayed."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from edgesdk._resources import assets_folder
from edgesdk.apps import App, RunRequest, load_app, prepare_run
from edgesdk.apps.replay import replay
from edgesdk.build import build
from edgesdk.build.job import BuildOrder, resolve
from edgesdk.errors import ConfigError, EdgeError
from edgesdk.inspection import Verdict
from edgesdk.inspection.audit import open_log
from edgesdk.pipeline import Collect
from tests import squares
from tests.inspection_models import app_folder, dark_spots, light_or_dark

LEVELS = (0, 1, 0, 0, 1)
"""1: the part has a dark spot."""
PARTS: dict[str, Any] = {"finder": "detector", "bundle": "squares.edge", "sightings": 2}


def frames() -> list[NDArray[np.uint8]]:
    """White squares on a belt whose pattern is as large and nearly as bright as they are."""
    checks = np.kron(np.indices((4, 30)).sum(axis=0) % 2, np.ones((40, 40)))
    drawn = []
    for i in range(95):
        belt = np.where(checks[:, 400 - 4 * i :][:, : squares.WIDTH] > 0, 150, 20)
        image = np.repeat(belt.astype(np.uint8)[..., None], 3, axis=2)
        for number, bad in enumerate(LEVELS):
            left, top = 8 * i - 40 - 130 * number, 50
            image[top : top + 40, max(left, 0) : max(left + 40, 0)] = 255
            if bad:
                image[top + 16 : top + 24, max(left + 16, 0) : max(left + 24, 0)] = 0
        drawn.append(image)
    return drawn


def bundle(folder: Path, name: str = "squares", batch: int = 1, spec: str = squares.SPEC) -> Path:
    import onnx  # noqa: PLC0415

    onnx.save(squares.squares_model(batch), str(folder / f"{name}.onnx"))
    (folder / f"{name}.toml").write_text(spec)
    out = folder / f"{name}.edge"
    order = BuildOrder(
        device="orin",
        model=str(folder / f"{name}.onnx"),
        spec=folder / f"{name}.toml",
        precision="fp32",
        out=out,
    )
    request, path = resolve(order)
    build(request, path)
    return out


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An app whose model looks for dark spots, a detector of squares, and the belt."""
    folder = tmp_path_factory.mktemp("site")
    app_folder(folder, dark_spots(), 'type = "anomaly"\nthreshold = 120.0')
    bundle(folder)
    np.savez(folder / "belt.npz", X=np.array(frames()))
    return folder


def app_of(site: Path, **parts: Any) -> App:
    return load_app(site).with_settings({"parts": {**PARTS, **parts}})


def judged(app: App, site: Path, *sinks: str) -> list[Verdict]:
    collect = Collect()
    request = RunRequest(str(site / "belt.npz"), sinks=sinks, policy="all")
    with prepare_run(app, request, [collect]) as run:
        run.pipeline.run()
    return [event for event in collect.events if isinstance(event, Verdict)]


def test_each_part_that_the_detector_finds_gets_one_verdict(site: Path) -> None:
    found = judged(app_of(site), site)
    assert [verdict.part for verdict in found] == list(range(len(LEVELS)))
    assert [verdict.reason for verdict in found] == ["score"] * len(LEVELS)
    wanted = ["reject" if bad else "pass" for bad in LEVELS]
    assert [verdict.outcome for verdict in found] == wanted
    for number, verdict in enumerate(found):
        wanted_left = 8 * verdict.frame - 40 - 130 * number
        assert (verdict.left_px, verdict.top_px) == pytest.approx((wanted_left, 50), abs=4.1)
        assert (verdict.left_px + verdict.right_px) / 2 == pytest.approx(96, abs=8.1)


def test_the_belt_finder_cannot_tell_these_parts_from_their_belt(site: Path) -> None:
    """So the test above is about the detector."""
    belt = load_app(site).with_settings({"parts": {"between": [0.3, 0.6]}})
    outcomes = [verdict.reason for verdict in judged(belt, site)]
    assert outcomes != ["score"] * len(LEVELS)


def test_a_class_or_a_score_that_no_part_has_finds_none(site: Path) -> None:
    assert judged(app_of(site, classes=["never"]), site) == []
    assert judged(app_of(site, min_score=1.0), site) == []
    assert len(judged(app_of(site, classes=["square"], min_score=0.5), site)) == len(LEVELS)


def test_boxes_beside_the_belt_or_of_another_size_are_no_parts(site: Path) -> None:
    assert judged(app_of(site, between=[0.6, 1.0]), site) == []
    assert judged(app_of(site, size_px=[44.0, 60.0]), site) == []
    larger = judged(app_of(site, size_px=[10.0, 30.0]), site)
    assert [verdict.reason for verdict in larger] == ["error"] * len(LEVELS)


def test_the_log_names_both_models_and_is_replayed_bit_for_bit(site: Path, tmp_path: Path) -> None:
    from edgesdk.bundle import open_bundle  # noqa: PLC0415

    app = app_of(site)
    found = judged(app, site, f"audit:{tmp_path}")
    origin = open_log(tmp_path).origin
    assert origin.finder_digest == open_bundle(site / "squares.edge").digest
    assert origin.finder == "bundle (fp32)"
    assert origin.digest not in ("", origin.finder_digest)
    again = replay(load_app(site), RunRequest(), tmp_path, {})
    assert (again.parts, again.same) == (len(found), len(found))
    assert again.notes == ()


def test_a_replay_needs_no_finder_but_says_when_it_is_another(site: Path, tmp_path: Path) -> None:
    desk = tmp_path / "desk"
    shutil.copytree(site, desk)
    judged(app_of(site), site, f"audit:{tmp_path / 'log'}")
    shutil.rmtree(desk / "squares.edge")
    without = replay(load_app(desk), RunRequest(), tmp_path / "log", {})
    assert without.same == without.parts == len(LEVELS)
    assert "this app has no detector" in " ".join(without.notes)
    bundle(desk, spec=squares.SPEC + "score_threshold = 0.4\n")
    other = replay(load_app(desk), RunRequest(), tmp_path / "log", {})
    assert other.same == other.parts
    assert "a replay takes the pictures of then" in " ".join(other.notes)


def test_two_lines_share_the_detector(site: Path) -> None:
    collect, source = Collect(), str(site / "belt.npz")
    with prepare_run(app_of(site), RunRequest((f"a={source}", f"b={source}")), [collect]) as run:
        run.pipeline.run()
    verdicts = [event for event in collect.events if isinstance(event, Verdict)]
    for stream in ("a", "b"):
        own = [verdict.part for verdict in verdicts if verdict.stream == stream]
        assert own == list(range(len(LEVELS)))


@pytest.mark.parametrize(
    ("parts", "words"),
    [
        ({"bundle": ""}, "needs the key bundle"),
        ({"finder": "belt"}, 'need finder = "detector"'),
        ({"min_score": 1.5}, "from 0 to 1"),
        ({"bundle": "gone.edge"}, "gone.edge: expected a bundle"),
        ({"classes": ["squares"]}, "did you mean square"),
        ({"bundle": "pairs.edge"}, "takes one picture at a time, and this one 2"),
        ({"bundle": "spots.edge"}, "for inspect"),
    ],
)
def test_a_finder_that_is_none_is_told_before_the_run(
    site: Path, parts: dict[str, Any], words: str
) -> None:
    if parts.get("bundle") == "pairs.edge":
        bundle(site, "pairs", batch=2)
    if parts.get("bundle") == "spots.edge":
        request, path = resolve(
            BuildOrder(device="orin", model=str(site), precision="fp32", out=site / "spots.edge")
        )
        build(request, path)
    with pytest.raises((EdgeError, ConfigError)) as caught:
        judged(app_of(site, **parts), site)
    assert words in f"{caught.value.message} {caught.value.hint}"


# --- a detector that judges ----------------------------------------------------------------------


def squares_judge(folder: Path, defects: str) -> Path:
    """The parts are grey plates; those with a white square on them are bad."""
    settings = f"""
[settings.parts]
size_px = [60, 110]
crop_px = {squares.WIDTH}
[settings.judge]
defects = [{defects}]
deadline_ms = 10000
"""
    app_folder(folder, squares.squares_model(), 'type = "yolox"\nstrides = [8]', more=settings)
    text = (folder / "app.toml").read_text()
    text = text.replace("labels = []", 'labels = ["square", "never"]')
    text = text.replace("height = 160\nresize", f"height = {squares.HEIGHT}\nresize")
    text = text.replace("width = 160", f"width = {squares.WIDTH}")
    (folder / "app.toml").write_text(text)
    drawn = []
    for i in range(75):
        image = np.full((240, 400, 3), 30, np.uint8)
        for number, bad in enumerate(LEVELS[:3]):
            left = 12 * i - 100 - 200 * number
            image[70:170, max(left, 0) : max(left + 100, 0)] = 110
            if bad:
                image[90:140, max(left + 40, 0) : max(left + 80, 0)] = 255
        drawn.append(image)
    np.savez(folder / "belt.npz", X=np.array(drawn))
    return folder


def test_a_part_is_bad_when_a_defect_is_found_on_it(tmp_path: Path) -> None:
    folder = squares_judge(tmp_path, '"square"')
    log = tmp_path / "log"
    found = judged(load_app(folder), folder, f"audit:{log}")
    assert [verdict.outcome for verdict in found] == ["pass", "reject", "pass"]
    assert [verdict.threshold for verdict in found] == [0.5] * 3
    assert [verdict.score > 0.9 for verdict in found] == [False, True, False]
    again = replay(load_app(folder), RunRequest(), log, {})
    assert again.same == again.parts == 3
    heat = [record.views[0].heat for record in open_log(log).records()]
    assert heat[0] is not None
    assert heat[1] is not None
    assert heat[0].max() == 0
    # The square is 40 x 50 pixels of the picture of 192 x 192, and right of its middle.
    y, x = np.nonzero(heat[1] > 0.9)
    assert 4 * (x.mean() + 0.5) == pytest.approx(96 + 10, abs=10)
    assert 4 * (y.mean() + 0.5) == pytest.approx(96 - 5, abs=10)


def test_a_class_that_is_no_defect_makes_no_part_bad(tmp_path: Path) -> None:
    folder = squares_judge(tmp_path, '"never"')
    assert {verdict.outcome for verdict in judged(load_app(folder), folder)} == {"pass"}


@pytest.mark.parametrize(
    ("defects", "words"),
    [("", "name them: judge.defects (it knows square, never)"), ('"scratch"', "known: never")],
)
def test_a_detector_that_judges_has_to_know_its_defects(
    tmp_path: Path, defects: str, words: str
) -> None:
    folder = squares_judge(tmp_path, defects)
    with pytest.raises(EdgeError) as caught:
        judged(load_app(folder), folder)
    assert words in caught.value.hint


def test_defects_are_for_detectors(tmp_path: Path) -> None:
    folder = app_folder(tmp_path, light_or_dark(), 'type = "classes"', '"good", "bad"')
    app = load_app(folder).with_settings({"judge": {"defects": ["bad"]}})
    with (
        pytest.raises(EdgeError, match="this model is for classify"),
        prepare_run(app, RunRequest("sim://line?frames=5")),
    ):
        pass


# --- a real detector on real bottles -------------------------------------------------------------


def asset(name: str) -> Path:
    folder = assets_folder()
    if folder is None or not (folder / name).is_file():
        pytest.skip(f"needs the assets ({name}): set EDGESDK_ASSETS to their folder")
    return folder / name


def test_yolox_finds_the_bottles_of_a_line(tmp_path: Path) -> None:
    """Bottles of a real clip, on a belt that a panned camera makes of four of its frames."""
    import cv2  # noqa: PLC0415

    clip, model = asset("video/bottle-detection.mp4"), asset("models/yolox_nano_416.onnx")
    video, tiles = cv2.VideoCapture(str(clip)), []
    for number in range(1151):
        shown = video.grab()
        if number in {50, 150, 450, 1150}:
            shown, image = video.retrieve()
            tiles.append(image[:, 20:].copy())
        assert shown
    strip = np.hstack(tiles)[..., ::-1]  # 12 bottles in 2480 pixels; arrays are RGB
    lefts = range(strip.shape[1] - 480, -1, -20)
    np.savez(tmp_path / "belt.npz", X=np.array([strip[:, x : x + 480] for x in lefts]))
    names = asset("models/coco_classes.txt").read_text().split("\n")
    labels = ", ".join(f'"{name}"' for name in names if name)
    (tmp_path / "yolox.toml").write_text(
        f'labels = [{labels}]\n[preprocess]\nwidth = 416\nheight = 416\ncolor = "bgr"\n'
        'resize = "letterbox-top-left"\n[decoder]\ntype = "yolox"\n'
    )
    request, path = resolve(
        BuildOrder(
            device="orin",
            model=str(model),
            spec=tmp_path / "yolox.toml",
            precision="fp32",
            out=tmp_path / "yolox.edge",
        )
    )
    build(request, path)
    folder = app_folder(tmp_path, dark_spots(), 'type = "anomaly"\nthreshold = 250.0')
    parts = {"finder": "detector", "bundle": "yolox.edge", "classes": ["bottle"]}
    app = load_app(folder).with_settings(
        {"parts": {**parts, "size_px": [100, 230], "crop_px": 240}}
    )
    found = judged(app, folder, f"audit:{tmp_path / 'log'}")
    # The last bottle lies beyond the station at the start, the first one before it at the end.
    assert [verdict.part for verdict in found] == list(range(10))
    middles = [(verdict.left_px + verdict.right_px) / 2 for verdict in found]
    assert middles == pytest.approx([240] * 10, abs=13)  # half of 480, and half a step of 20
    assert {verdict.reason for verdict in found} == {"score"}
    for record in open_log(tmp_path / "log").records():
        blue, _, red = np.moveaxis(record.views[0].picture.astype(int), 2, 0)
        cap_x = np.nonzero(blue - red > 80)[1]  # Each bottle has a blue cap, in its middle.
        assert abs(np.median(cap_x) / blue.shape[1] - 0.5) < 0.15
