"""The detector that the repository carries, and the script that makes it again."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import numpy as np
import onnx
import pytest

from benchmarks.counting.runs import built, counted
from edgesdk._optional import available
from edgesdk._resources import assets_folder
from edgesdk.apps import load_app
from edgesdk.backends import load_backend
from edgesdk.bundle import Precision, open_bundle
from edgesdk.geometry import Placement, iou
from edgesdk.preprocess import Preprocess
from edgesdk.sim import LABELS, TrafficScene, TrafficSettings
from edgesdk.tensors import Array
from edgesdk.video import read_video
from edgesdk.vision.counting import Crossing, LineCounter
from edgesdk.vision.decoders import make_decoder
from edgesdk.vision.line import Line
from edgesdk.vision.tracker import Tracker

APP = Path(__file__).parent.parent / "apps" / "traffic_counting"
MODEL = APP / "model" / "vehicles.onnx"
PREPARE = Preprocess(416, 256, resize="letterbox-top-left", color="bgr")


def check_interface(model: onnx.ModelProto) -> None:
    onnx.checker.check_model(model, full_check=True)
    assert [entry.version for entry in model.opset_import if not entry.domain] == [17]
    (given,), (found,) = model.graph.input, model.graph.output
    assert given.name == "images"
    assert [d.dim_value for d in given.type.tensor_type.shape.dim] == [1, 3, 256, 416]
    assert found.name == "output"
    cells = 52 * 32 + 26 * 16 + 13 * 8
    assert [d.dim_value for d in found.type.tensor_type.shape.dim] == [1, cells, 5 + len(LABELS)]
    assert "BatchNormalization" not in {node.op_type for node in model.graph.node}


def test_the_carried_model_is_small_and_takes_and_gives_what_the_app_expects() -> None:
    assert 500_000 < MODEL.stat().st_size < 2_000_000
    check_interface(onnx.load(MODEL))


def test_the_note_beside_the_model_is_about_this_model() -> None:
    note = json.loads(MODEL.with_suffix(".json").read_text())
    assert note["sha256"] == hashlib.sha256(MODEL.read_bytes()).hexdigest()
    assert tuple(note["labels"]) == LABELS
    assert note["largest_difference_from_torch"] < 1e-3
    assert note["held_out"]["map50"] >= 0.95
    assert note["held_out"]["map"] >= 0.75


def test_the_model_card_states_the_digest_and_the_figures_that_were_measured() -> None:
    note = json.loads(MODEL.with_suffix(".json").read_text())
    card = (MODEL.parent / "MODEL_CARD.md").read_text()
    assert note["sha256"] in card
    parts = ("held_out", "held_out_road_against_teacher", "coco_val_pictures_with_vehicles")
    for part in parts:
        row = [f"{note[part][name]:.3f}" for name in ("map", "map50", "map_medium")]
        assert f"| {' | '.join(row)} | {note[part]['boxes']} |" in card, part
    for fact in ("steps", "batch", "seed", "minutes", "rate", "torch"):
        assert str(note[fact]) in card, fact


@pytest.mark.parametrize("light", ["day", "overcast", "dusk", "night"])
def test_the_carried_model_finds_the_vehicles_of_a_scene_it_never_saw(light: str) -> None:
    reason = "needs onnxruntime: pip install 'edgesdk[cpu]'"
    onnxruntime = pytest.importorskip("onnxruntime", reason=reason)
    session = onnxruntime.InferenceSession(MODEL, providers=["CPUExecutionProvider"])
    decoder = make_decoder({"type": "yolox", "score_threshold": 0.3}, "test", PREPARE)
    one = TrafficScene(TrafficSettings(seed=77, light=light))  # type: ignore[arg-type]
    wanted = found = extra = 0
    for index in range(0, 480, 40):
        tensor, placement = PREPARE(one.frame(index))
        seen = decoder.decode({"output": session.run(None, {"images": tensor})[0]}, placement)
        truth = one.truth(index)
        match = iou(truth.xyxy, seen.xyxy) > 0.5
        match &= truth.class_id[:, None] == seen.class_id[None]
        wanted += len(truth)
        found += int(match.any(axis=1).sum())
        extra += int((~match.any(axis=0)).sum())
    assert found >= 0.85 * wanted
    assert extra <= 0.15 * wanted


def _train(*given: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(APP / "train.py"), *map(str, given)]
    return subprocess.run(command, check=False, capture_output=True, text=True)


@pytest.mark.parametrize("there", [(), ("video/road_8_vehicles.mp4", "models/yolox_nano_416.onnx")])
def test_training_without_the_real_pictures_says_what_is_missing_and_where(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, there: tuple[str, ...]
) -> None:
    if not (available("torch") and available("pycocotools") and available("onnxruntime")):
        pytest.skip("needs torch: pip install 'edgesdk[torch,cpu,video,accuracy]'")
    for name in there:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    monkeypatch.setenv("EDGESDK_ASSETS", str(tmp_path if there else tmp_path / "none"))
    done = _train("--out", tmp_path / "small.onnx")
    assert done.returncode == 1
    assert "EDGESDK_ASSETS" in done.stderr
    assert "--only-simulated" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "small.onnx").exists()


def test_the_training_script_writes_a_model_of_the_same_interface(tmp_path: Path) -> None:
    if not (available("torch") and available("pycocotools") and available("onnxruntime")):
        pytest.skip("needs torch: pip install 'edgesdk[torch,cpu,video,accuracy]'")
    out = tmp_path / "small.onnx"
    given = ["--only-simulated", "--steps", "1", "--batch", "2", "--threads", "1", "--out", out]
    done = _train(*given)
    assert done.returncode == 0, done.stderr
    check_interface(onnx.load(out))
    note = json.loads(out.with_suffix(".json").read_text())
    assert note["steps"] == 1
    assert np.isfinite(note["held_out"]["map50"])


@pytest.fixture(scope="module")
def bundles(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Precision], Path]:
    folder = tmp_path_factory.mktemp("bundles")
    return lambda precision: built(str(APP), precision, "", folder)


def road() -> Path:
    assets = assets_folder()
    if assets is None or not (assets / "video" / "road_8_vehicles.mp4").is_file():
        pytest.skip("needs road_8_vehicles.mp4: set EDGESDK_ASSETS")
    return assets / "video" / "road_8_vehicles.mp4"


NEAR_FRAMES = [15, 70, 122, 172, 232, 411, 470, 705]


@pytest.mark.parametrize("precision", ["fp32", "int8"])
def test_the_carried_model_counts_the_eight_vehicles_of_a_real_road(
    precision: Precision, bundles: Callable[[Precision], Path]
) -> None:
    """It was trained on frames from 300 on: the first five vehicles it has never seen."""
    app = load_app(APP).with_settings({"line": [0.0, 220.0, 640.0, 220.0]})
    found = counted(app, str(road()), bundles(precision))
    assert {one.direction for one in found} == {"down"}
    assert [one.time_s * 24 for one in found] == pytest.approx(NEAR_FRAMES, abs=24)


class Counting:
    """Counts down the clip from a detector's outputs with thresholds of its own."""

    def __init__(self, score: float, overlap: float) -> None:
        settings = {"type": "yolox", "score_threshold": score, "iou_threshold": overlap}
        self._decoder = make_decoder(settings, "test", PREPARE)
        self._tracker = Tracker(fps=24)
        self._counter = LineCounter(Line((0, 220), (640, 220), "down", "up"))
        self.crossings: list[Crossing] = []

    def look(self, outputs: dict[str, Array], placement: Placement, index: int) -> None:
        found = self._tracker.update(self._decoder.decode(outputs, placement), index)
        self.crossings += self._counter.update(found, index, self._tracker.confirmed_now)


def test_the_count_of_the_real_road_does_not_hang_on_the_thresholds(
    bundles: Callable[[Precision], Path],
) -> None:
    """At INT8: it finds a near vehicle twice sooner than float does."""
    clip, model = road(), open_bundle(bundles("int8")).model()
    ways = {(s, o): Counting(s, o) for s in (0.3, 0.5) for o in (0.25, 0.45)}
    backend = load_backend("onnxruntime", threads=1)
    with closing(backend.open(backend.compile(model))) as session:
        for frame in read_video(clip):
            tensor, placement = PREPARE(frame.image)
            outputs = session.run({"images": tensor})
            for way in ways.values():
                way.look(outputs, placement, frame.index)
    for thresholds, way in ways.items():
        assert {one.direction for one in way.crossings} == {"down"}, thresholds
        frames = sorted(one.frame_index for one in way.crossings)
        assert frames == pytest.approx(NEAR_FRAMES, abs=24), thresholds
