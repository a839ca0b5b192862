"""The detector that the repository carries, and the script that makes it again."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest

from edgesdk._optional import available
from edgesdk.geometry import iou
from edgesdk.preprocess import Preprocess
from edgesdk.sim import LABELS, TrafficScene, TrafficSettings
from edgesdk.vision.decoders import make_decoder

APP = Path(__file__).parent.parent / "apps" / "traffic_counting"
MODEL = APP / "model" / "vehicles.onnx"


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


@pytest.mark.parametrize("light", ["day", "overcast", "dusk", "night"])
def test_the_carried_model_finds_the_vehicles_of_a_scene_it_never_saw(light: str) -> None:
    reason = "needs onnxruntime: pip install 'edgesdk[cpu]'"
    onnxruntime = pytest.importorskip("onnxruntime", reason=reason)
    session = onnxruntime.InferenceSession(MODEL, providers=["CPUExecutionProvider"])
    prepare = Preprocess(416, 256, resize="letterbox-top-left", color="bgr")
    decoder = make_decoder({"type": "yolox", "score_threshold": 0.3}, "test", prepare)
    one = TrafficScene(TrafficSettings(seed=77, light=light))  # type: ignore[arg-type]
    wanted = found = extra = 0
    for index in range(0, 480, 40):
        tensor, placement = prepare(one.frame(index))
        seen = decoder.decode({"output": session.run(None, {"images": tensor})[0]}, placement)
        truth = one.truth(index)
        match = iou(truth.xyxy, seen.xyxy) > 0.5
        match &= truth.class_id[:, None] == seen.class_id[None]
        wanted += len(truth)
        found += int(match.any(axis=1).sum())
        extra += int((~match.any(axis=0)).sum())
    assert found >= 0.85 * wanted
    assert extra <= 0.15 * wanted


def test_the_training_script_writes_a_model_of_the_same_interface(tmp_path: Path) -> None:
    if not (available("torch") and available("pycocotools") and available("onnxruntime")):
        pytest.skip("needs torch: pip install 'edgesdk[torch,cpu,video,accuracy]'")
    out = tmp_path / "small.onnx"
    given = ["--steps", "1", "--batch", "2", "--threads", "1", "--out", str(out)]
    subprocess.run([sys.executable, str(APP / "train.py"), *given], check=True, capture_output=True)
    check_interface(onnx.load(out))
    note = json.loads(out.with_suffix(".json").read_text())
    assert note["steps"] == 1
    assert np.isfinite(note["held_out"]["map50"])
