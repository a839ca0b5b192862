"""What detectors see in the clips, recorded once, so that a table of hundreds of runs is fast."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np

from edgesdk.detections import Detections

FLOOR = 0.05
"""Everything from this score on is kept; a case takes a threshold of its own."""
VEHICLES, PERSON, BOTTLE = (2, 3, 5, 7), (0,), (39,)
"""In COCO's order; motorcycle is the 3."""


@dataclass(frozen=True)
class Recording:
    """One detector on one clip."""

    clip: str
    detector: str
    precision: str
    classes: tuple[int, ...] | None = None
    """Of the detector's own, those that are kept; None: all."""
    decoder: tuple[tuple[str, float], ...] = ()
    """Of the decoder's settings, those that are changed."""

    @property
    def name(self) -> str:
        """Of its file."""
        return f"{Path(self.clip).stem}, {self.detector}, {self.precision}"


RECORDINGS = (
    Recording("road_8_vehicles.mp4", "yolox-nano", "fp32", VEHICLES),
    Recording("road_8_vehicles.mp4", "yolox-nano", "int8", VEHICLES),
    Recording("road_8_vehicles.mp4", "nanodet-m", "fp32", VEHICLES),
    Recording("road_8_vehicles.mp4", "vehicles", "fp32"),
    Recording("road_8_vehicles.mp4", "vehicles", "int8"),
    Recording("vtest.avi", "yolox-nano", "fp32", PERSON),
    Recording("vtest.avi", "nanodet-m", "fp32", PERSON),
    Recording("bottle-detection.mp4", "yolox-nano", "fp32", BOTTLE),
)


def record(recording: Recording, assets: Path, path: Path) -> None:
    """Write every detection of the clip to an npz file."""
    from benchmarks.counting.runs import built  # noqa: PLC0415 - not in the peers' environment
    from edgesdk._resources import data_folder  # noqa: PLC0415
    from edgesdk.apps import load_app  # noqa: PLC0415
    from edgesdk.apps.run import choose_model  # noqa: PLC0415
    from edgesdk.backends import load_backend  # noqa: PLC0415
    from edgesdk.video import read_video  # noqa: PLC0415
    from edgesdk.vision.decoders import make_decoder  # noqa: PLC0415
    from edgesdk.vision.detector import Detector  # noqa: PLC0415

    carried = recording.detector == "vehicles"
    app = data_folder("apps") / "traffic_counting"
    model = str(app) if carried else recording.detector
    data = "" if carried else f"{assets}/data/coco192.tar#train2017"
    with tempfile.TemporaryDirectory() as name:
        bundle = built(model, recording.precision, data, Path(name))  # type: ignore[arg-type]
        chosen = choose_model(load_app(app), bundle)
        backend = load_backend("onnxruntime")
        session = backend.open(backend.compile(chosen.model))
        preprocess = chosen.spec.preprocess
        table = {**chosen.spec.decoder, "score_threshold": FLOOR, **dict(recording.decoder)}
        decoder = make_decoder(table, recording.name, preprocess)
        assert decoder.task == "detect"
        detector = Detector(preprocess, session, chosen.model.inputs[0].name, decoder)
        rows = [
            _rows(frame.index, detector(frame.image), recording.classes)
            for frame in read_video(assets / "video" / recording.clip)
        ]
        session.close()
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(path, rows=np.concatenate(rows), frames=len(rows))


def _rows(index: int, found: Detections, classes: tuple[int, ...] | None) -> np.ndarray:  # type: ignore[type-arg]
    kept = found if classes is None else found[np.isin(found.class_id, classes)]
    columns = np.full((len(kept), 1), index), kept.xyxy, kept.score[:, None], kept.class_id[:, None]
    return np.concatenate(columns, axis=1)


def load(recording: Recording, folder: Path, threshold: float) -> list[Detections]:
    """By frame, from this score on."""
    with np.load(folder / f"{recording.name}.npz") as file:
        rows, frames = file["rows"], int(file["frames"])
    rows = rows[rows[:, 5] >= threshold]
    ends = np.searchsorted(rows[:, 0], np.arange(frames + 1))
    return [_boxes(rows[a:b]) for a, b in pairwise(ends.tolist())]


def _boxes(rows: np.ndarray) -> Detections:  # type: ignore[type-arg]
    return Detections(
        rows[:, 1:5].astype(np.float32), rows[:, 5].astype(np.float32), rows[:, 6].astype(np.int64)
    )
