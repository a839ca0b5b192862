"""The app as it is shipped: its model on lines it never saw, its picture, its building."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from edgesdk.apps import App, RunRequest, choose_model, load_app, prepare_run
from edgesdk.apps.inspecting import inspection_of, make_inspector
from edgesdk.apps.program import Scene
from edgesdk.backends import load_backend, opened
from edgesdk.build import build
from edgesdk.build.job import BuildOrder, resolve
from edgesdk.inspection import Verdict
from edgesdk.pipeline import Collect, Packet, open_source
from edgesdk.sim import LineScene, LineSettings, simulated_pictures

ROOT = Path(__file__).parent.parent
APP = ROOT / "apps" / "line_inspection"
PICTURE = ROOT / "docs" / "images" / "simulated-line.jpg"
PATIENT = {"judge": {"deadline_ms": 1e9}}
"""Drawn as fast as the machine can: no verdict is late."""


@pytest.fixture(scope="module")
def app() -> App:
    return load_app("line_inspection")


def judged(app: App, uri: str, bundle: Path | None = None) -> list[Verdict]:
    collect = Collect()
    request = RunRequest(uri, bundle, policy="all")
    with prepare_run(app.with_settings(PATIENT), request, [collect]) as run:
        run.pipeline.run()
    return [event for event in collect.events if isinstance(event, Verdict)]


def outcomes(scene: LineScene, verdicts: list[Verdict]) -> dict[int, list[str]]:
    """Of each true part, by the place of the picture that counted."""
    found: dict[int, list[str]] = {}
    for verdict in verdicts:
        truth = scene.truth(verdict.frame)
        whole = truth[truth.class_id == 0]
        away = np.abs(whole.centers[:, 0] - (verdict.left_px + verdict.right_px) / 2)
        assert away.min() < 15
        found.setdefault(int(whole.track_id[away.argmin()]), []).append(verdict.outcome)
    return found


def check(app: App, bundle: Path | None, seed: int) -> None:
    given = "rate=1200&fps=50&frames=300&defects=0.4&light=drift"
    verdicts = judged(app, f"sim://line?seed={seed}&{given}", bundle)
    settings = LineSettings(seed=seed, rate=1200, fps=50, frames=300, defects=0.4, light="drift")
    scene = LineScene(settings)
    wanted = {part.part: ["reject" if part.defect else "pass"] for part in scene.parts()}
    assert len(wanted) > 90
    assert outcomes(scene, verdicts) == wanted


def test_every_part_of_a_line_it_never_saw_is_judged_right(app: App) -> None:
    check(app, None, 77)


def test_built_for_a_board_at_int8_it_judges_the_same(app: App, tmp_path: Path) -> None:
    out = tmp_path / "line.edge"
    order = BuildOrder(
        device="orin",
        model=str(APP),
        data="sim://line?seed=101&defects=0&rate=1200&fps=25&frames=350&light=drift&noise=5",
        out=out,
    )
    request, path = resolve(order)
    bundle = build(request, path)
    assert bundle.manifest.precision == "int8"
    check(app, out, 78)


def test_the_model_is_small_and_its_card_says_what_it_is(app: App) -> None:
    model, card = (
        APP / "model" / "parts.onnx",
        json.loads((APP / "model" / "parts.json").read_text()),
    )
    assert model.stat().st_size < 2_000_000
    chosen = choose_model(app)
    inspect = inspection_of(chosen)
    assert inspect is not None
    assert inspect.threshold == card["threshold"]
    tried = card["tried"]
    assert (
        sum(tried[kind]["parts"] - tried[kind]["rejected"] for kind in tried if kind != "good") == 0
    )
    assert tried["good"]["rejected"] <= 0.005 * tried["good"]["parts"]


def test_heat_is_where_the_defect_is(app: App) -> None:
    scene = LineScene(LineSettings(seed=5, frames=900, fps=25, defects=1.0, rate=300))
    chosen = choose_model(app)
    with opened(load_backend("onnxruntime", threads=1), chosen.model) as session:
        inspector = make_inspector(chosen, session, 1)
        hits = []
        for part in scene.parts()[:60]:
            (found,) = inspector([scene.picture_of(part, 120)])
            assert found.heat is not None
            y, x = np.unravel_index(found.heat.argmax(), found.heat.shape)
            place = (np.array([x, y]) + 0.5) * 120 / found.heat.shape[1]
            hits.append(near_defect(scene, part.part, part.frame, place))
    assert np.mean(hits) > 0.9


def near_defect(scene: LineScene, number: int, frame: int, place: NDArray[np.float64]) -> bool:
    """Within 12 px of the defect's box; `place` is in the part's picture."""
    truth = scene.truth(frame)
    own = truth[truth.track_id == number]
    whole, defect = own.xyxy[own.class_id == 0][0], own.xyxy[own.class_id > 0][0]
    picture = simulated_middle(whole) - 60
    low, high = defect[:2] - picture - 12, defect[2:] - picture + 12
    return bool(((place >= low) & (place <= high)).all())


def simulated_middle(box: NDArray[np.float32]) -> NDArray[np.float32]:
    middle: NDArray[np.float32] = (box[:2] + box[2:]) / 2
    return middle


def test_simulated_pictures_of_a_line_are_its_parts() -> None:
    pictures = list(simulated_pictures("sim://line?seed=4&frames=300&defects=0.5&rate=300"))
    scene = LineScene(LineSettings(seed=4, frames=300, defects=0.5, rate=300))
    assert [p.class_id == 0 for p in pictures] == [part.defect == "" for part in scene.parts()]
    assert {p.image.shape for p in pictures} == {(120, 120, 3)}


# --- the picture of the docs ---------------------------------------------------------------------


def packets(app: App, uri: str) -> Iterator[tuple[Packet, NDArray[np.uint8]]]:
    """Frame by frame in one thread, each judged 12 ms after it was captured; with its picture."""
    chosen = choose_model(app)
    inspect = inspection_of(chosen)
    assert inspect is not None
    source = open_source(uri)
    now = [0]
    scene = Scene((), *source.size, source.fps, inspect, clock_ns=lambda: now[0])
    program = app.program(app.settings, scene)
    with opened(load_backend("onnxruntime", threads=1), chosen.model) as session:
        inspect.load(make_inspector(chosen, session, 1))
        for frame in source:
            packet = Packet(frame)
            now[0] = frame.captured_ns + 12_000_000
            for stage in program.stages():
                packet = stage(packet)
            yield packet, program.draw(packet)


def test_the_picture_of_the_docs_is_what_the_app_draws(app: App) -> None:
    """EDGESDK_PICTURES=1 writes it anew."""
    uri = "sim://line?seed=12&rate=240&fps=25&frames=140&defects=0.35&width=800&height=400"
    settings = {"parts": {"size_px": [55, 125], "crop_px": 133}}
    drawn = [picture for _, picture in packets(app.with_settings(settings), uri)][-1]
    if os.environ.get("EDGESDK_PICTURES"):
        cv2.imwrite(str(PICTURE), drawn, [cv2.IMWRITE_JPEG_QUALITY, 90])
    shown = cv2.imread(str(PICTURE))
    assert shown is not None
    assert shown.shape == drawn.shape
    assert np.abs(shown.astype(int) - drawn).mean() < 4
    assert (np.abs(shown.astype(int) - drawn).max(axis=2) > 60).mean() < 0.01


def test_a_drawn_frame_is_a_new_picture_and_the_frame_stays_as_it_is(app: App) -> None:
    for packet, drawn in packets(app, "sim://line?seed=1&frames=60&rate=300&defects=0.5"):
        assert drawn is not packet.frame.image
        assert drawn.shape == packet.frame.image.shape
    clean = LineScene(LineSettings(seed=1, frames=60, rate=300, defects=0.5)).frame(59)
    np.testing.assert_array_equal(packet.frame.image, clean)
