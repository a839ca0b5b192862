"""What detectors see on PETS09-S2L1, recorded once, and the sequences that trackers are given."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edgesdk.detections import Detections
from edgesdk.sim import TrafficScene, parse_uri
from edgesdk.tensors import Array

LEAST_SCORE = 0.05
MODELS = {"yolox-nano": "yolox_nano_416.onnx", "nanodet-m": "nanodet_m_416.onnx"}
PERSON = 0
PETS_FPS = 10.0


@dataclass(frozen=True)
class Sequence:
    """Detections by frame, and what is really there."""

    name: str
    fps: float
    found: list[Detections]
    true: list[Detections]
    """With the true identities."""

    def reversed(self) -> Sequence:
        """The same video backwards: other entries, exits and meetings of the same people."""
        return Sequence(f"{self.name}, backwards", self.fps, self.found[::-1], self.true[::-1])


def record(assets: Path, name: str, path: Path) -> None:
    """Write all persons that this zoo model sees in vtest.avi to an npz file."""
    from edgesdk.backends import load_backend  # noqa: PLC0415 - not in the peers' environment
    from edgesdk.model import read_model  # noqa: PLC0415
    from edgesdk.video import read_video  # noqa: PLC0415
    from edgesdk.vision.decoders import make_decoder  # noqa: PLC0415
    from edgesdk.vision.detector import Detector  # noqa: PLC0415
    from edgesdk.zoo import load_entry  # noqa: PLC0415

    spec = load_entry(name).spec
    model = read_model(assets / "models" / MODELS[name])
    backend = load_backend("onnxruntime")
    session = backend.open(backend.compile(model))
    table = {**spec.decoder, "score_threshold": LEAST_SCORE}
    decoder = make_decoder(table, "zoo", spec.preprocess)
    assert decoder.task == "detect"
    detector = Detector(spec.preprocess, session, model.inputs[0].name, decoder)
    rows = []
    for frame in read_video(assets / "video" / "vtest.avi"):
        found = detector(frame.image)
        found = found[found.class_id == PERSON]
        index = np.full((len(found), 1), frame.index)
        rows.append(np.concatenate([index, found.xyxy, found.score[:, None]], axis=1))
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(path, rows=np.concatenate(rows))


def pets(assets: Path, name: str, path: Path, threshold: float) -> Sequence:
    """What the model saw from this score on."""
    true = pets_truth(assets)
    rows = np.load(path)["rows"]
    rows = rows[rows[:, 5] >= threshold]
    found = [_boxes(rows[rows[:, 0] == i][:, 1:5], rows[rows[:, 0] == i][:, 5]) for i in range(795)]
    return Sequence(f"PETS09-S2L1, {name} from {threshold:g}", PETS_FPS, found, true)


def pets_truth(assets: Path) -> list[Detections]:
    """The true boxes by frame; its frame is our index + 1."""
    table = np.loadtxt(assets / "mot" / "PETS09-S2L1" / "gt.txt", delimiter=",")
    frames = []
    for number in range(1, 796):
        rows = table[table[:, 0] == number]
        corners = np.concatenate([rows[:, 2:4], rows[:, 2:4] + rows[:, 4:6]], axis=1)
        boxes = _boxes(corners, np.ones(len(rows)))
        frames.append(boxes.with_tracks(rows[:, 1].astype(np.int64)))
    return frames


def thinned(assets: Path, lost: float, seed: int) -> Sequence:
    """The true boxes of PETS, trembling by 3 % of their size, some of them lost."""
    true, chance = pets_truth(assets), np.random.default_rng(seed)
    found = [_trembling(each, 0.03, lost, chance) for each in true]
    return Sequence(f"PETS09-S2L1, true boxes, {lost:.0%} lost", PETS_FPS, found, true)


def traffic(seed: int, fps: float) -> Sequence:
    """A simulated road: boxes tremble by 4 %, a quarter is lost, and 0.3 a frame are nothing."""
    scene, chance = (
        TrafficScene(parse_uri(f"sim://traffic?seed={seed}&fps={fps:g}&frames=360")),
        (np.random.default_rng(seed)),
    )
    true = [scene.truth(i) for i in range(360)]
    found = []
    for each in true:
        seen, false = _trembling(each, 0.04, 0.25, chance), int(chance.poisson(0.3))
        corner, size = chance.uniform(0, (600, 300), (false, 2)), chance.uniform(8, 60, (false, 2))
        boxes = np.concatenate([seen.xyxy, np.concatenate([corner, corner + size], axis=1)])
        scores = [chance.normal(0.7, 0.15, len(seen)), chance.uniform(0.1, 0.6, false)]
        found.append(_boxes(boxes, np.clip(np.concatenate(scores), 0.1, 1)))
    return Sequence(f"sim://traffic, seed {seed}, {fps:g} fps", fps, found, true)


def crowd(count: int, frames: int = 150) -> list[Detections]:
    """Boxes on steady ways, one in twenty lost: for time only."""
    chance = np.random.default_rng(count)
    place, speed = chance.uniform(50, 1800, (count, 2)), chance.normal(0, 2, (count, 2))
    size = chance.uniform(20, 60, (count, 1)) * (1, 1.5)
    out = []
    for i in range(frames):
        center = place + speed * i + chance.normal(0, 1, (count, 2))
        seen = chance.random(count) > 0.05
        boxes = np.concatenate([center - size / 2, center + size / 2], axis=1)[seen]
        out.append(_boxes(boxes, np.clip(chance.normal(0.8, 0.1, len(boxes)), 0.1, 1)))
    return out


def _trembling(
    true: Detections, share: float, lost: float, chance: np.random.Generator
) -> Detections:
    boxes = true.xyxy[chance.random(len(true)) >= lost].astype(np.float64)
    size = np.tile(boxes[:, 2:] - boxes[:, :2], 2)
    return _boxes(boxes + chance.normal(0, share, boxes.shape) * size, np.ones(len(boxes)))


def _boxes(corners: Array, score: Array) -> Detections:
    zeros = np.zeros(len(corners), np.int64)
    return Detections(corners.astype(np.float32), score.astype(np.float32), zeros)
