"""What is spent on a frame outside inference and video decoding, with a model that answers at once.

The clip's frames lie in memory, and the model gives back the outputs that YOLOX-nano once gave for
each: so nothing of inference is measured. edgesdk's is the traffic app as `edgesdk run` has it:
letterbox, decoding, suppression, tracking, counting and a file of events, through its pipeline with
its threads. Ultralytics' is `YOLO.track` and `solutions.ObjectCounter` on the same frames, its
forward pass replaced by the same outputs in the form it reads; the counter draws into each frame,
so edgesdk is measured with a drawn picture too. BoT-SORT is Ultralytics' default tracker, ByteTrack
the one that edgesdk's is made after. OpenCV and torch have one thread each; CPU time
counts all threads of the process.
"""

from __future__ import annotations

import logging
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from ultralytics import YOLO, solutions

from benchmarks.pipeline.rounds import as_object, one_thread, versions
from edgesdk._resources import assets_folder
from edgesdk.apps import Scene, load_app
from edgesdk.backends import load_backend
from edgesdk.frames import Frame
from edgesdk.model import read_model
from edgesdk.pipeline import Packet, Pipeline, detect_stages, event_files
from edgesdk.tensors import Array
from edgesdk.video import read_video
from edgesdk.vision.decoders import make_decoder
from edgesdk.vision.decoders.yolox import grids
from edgesdk.vision.detector import Detector
from edgesdk.zoo import load_entry

FRAMES, ROUNDS, SIDE = 150, 9, 416


@dataclass(frozen=True)
class Taken:
    """What one round took, for a frame."""

    cpu_ms: float
    wall_ms: float
    counted: int | None = None
    """Crossings of the line; None: nothing counts."""


class Memory:
    """Frames that are there already, as a source."""

    name, live = "memory", False

    def __init__(self, frames: list[Frame], fps: float) -> None:
        self._frames, self.fps, self.count = frames, fps, len(frames)
        self.size = (frames[0].width, frames[0].height)

    def __iter__(self) -> Iterator[Frame]:
        return iter(self._frames)

    def stop(self) -> None:
        """It ends by itself."""

    def close(self) -> None:
        """Nothing is open."""


class Recorded:
    """Answers in the order in which they were recorded."""

    def __init__(self, answers: list[dict[str, Array]]) -> None:
        self._answers, self._next = answers, 0

    def run(self, feeds: Mapping[str, Array]) -> dict[str, Array]:
        answer = self._answers[self._next % len(self._answers)]
        self._next += 1
        return answer


class Drawing:
    """Draws every frame, and keeps nothing."""

    name = "draw"

    def __init__(self, draw: Callable[[Packet], Any]) -> None:
        self._draw = draw

    def accept(self, packet: Packet) -> None:
        self._draw(packet)

    def close(self) -> None:
        """Nothing is open."""


def recorded(assets: Path) -> tuple[list[Frame], float, list[dict[str, Array]]]:
    """The clip's frames and YOLOX-nano's outputs for them."""
    reader = read_video(assets / "video" / "road_8_vehicles.mp4")
    frames = [frame for frame, _ in zip(reader, range(FRAMES), strict=False)]
    model = read_model(assets / "models" / "yolox_nano_416.onnx")
    backend = load_backend("onnxruntime")
    session = backend.open(backend.compile(model))
    preprocess = load_entry("yolox-nano").spec.preprocess
    name = model.inputs[0].name
    answers = [session.run({name: preprocess(frame.image)[0]}) for frame in frames]
    return frames, reader.fps, answers


def edgesdk_round(
    frames: list[Frame], fps: float, answers: list[dict[str, Array]], draws: bool
) -> int:
    """One run of the app; how many crossings."""
    spec, app = load_entry("yolox-nano").spec, load_app("traffic_counting")
    source = Memory(frames, fps)
    program = app.program(app.settings, Scene(spec.labels, *source.size, fps))
    decoder = make_decoder(spec.decoder, "zoo", spec.preprocess)
    assert decoder.task == "detect"
    detector = Detector(spec.preprocess, Recorded(answers), "images", decoder)
    with tempfile.TemporaryDirectory() as folder:
        sinks = [event_files(Path(folder) / "events.jsonl", (program.event, *program.others))]
        sinks += [Drawing(program.draw)] if draws else []  # type: ignore[list-item]
        stages = (*detect_stages(detector), *program.stages())
        Pipeline(source, stages, sinks).run()
        return len((Path(folder) / "events.jsonl").read_text().splitlines())


def as_ultralytics_reads(answer: dict[str, Array]) -> torch.Tensor:
    """YOLOX's raw output as 1 x 84 x N: boxes decoded, scores multiplied."""
    (raw,) = next(iter(answer.values()))
    cell, stride = grids(SIDE, SIDE, (8, 16, 32))
    center = (raw[:, :2] + cell) * stride[:, None]
    size = np.exp(raw[:, 2:4]) * stride[:, None]
    head = np.concatenate([center, size, raw[:, 4:5] * raw[:, 5:]], axis=1)
    return torch.from_numpy(np.ascontiguousarray(head.T[None], np.float32))


class Replaced:
    """A YOLO whose forward pass gives back what was recorded."""

    def __init__(self, model: Any, answers: list[torch.Tensor]) -> None:
        self._answers, self._next = answers, 0
        model.predictor.inference = self._inference

    def _inference(self, image: torch.Tensor, *args: Any, **kwargs: Any) -> torch.Tensor:
        answer = self._answers[self._next % len(self._answers)]
        self._next += 1
        return answer.clone()  # its postprocessing writes into it


def track_round(
    pictures: list[NDArray[np.uint8]], answers: list[torch.Tensor], tracker: str
) -> Taken:
    """`YOLO.track` on each picture."""
    model = YOLO("yolov8n.yaml")
    told: dict[str, Any] = {"imgsz": SIDE, "rect": False, "conf": 0.25, "iou": 0.45}
    told |= {"verbose": False, "tracker": tracker}
    model.track(pictures[0], persist=True, **told)
    Replaced(model, answers)
    model.predictor.trackers[0].reset()
    return timed(lambda picture: model.track(picture, persist=True, **told), pictures)


def counter_round(
    pictures: list[NDArray[np.uint8]], answers: list[torch.Tensor], tracker: str
) -> Taken:
    """`solutions.ObjectCounter` on each picture."""
    height, width = pictures[0].shape[:2]
    line = [(0, round(0.6 * height)), (width, round(0.6 * height))]
    counter = solutions.ObjectCounter(
        model="yolov8n.yaml", region=line, show=False, verbose=False,
        imgsz=SIDE, conf=0.25, iou=0.45, tracker=tracker,
    )  # fmt: skip
    counter(pictures[0].copy())
    counter.model.predictor.args.rect = False
    Replaced(counter.model, answers)
    counter.model.predictor.trackers[0].reset()
    taken = timed(counter, pictures)
    return replace(taken, counted=counter.in_count + counter.out_count)


def timed(work: Callable[[Any], object], pictures: list[NDArray[np.uint8]]) -> Taken:
    """Calling `work` on each picture."""
    copies = [picture.copy() for picture in pictures]  # the counter draws into its input
    cpu, wall = time.process_time_ns(), time.perf_counter_ns()
    for picture in copies:
        work(picture)
    return Taken(
        (time.process_time_ns() - cpu) / len(pictures) / 1e6,
        (time.perf_counter_ns() - wall) / len(pictures) / 1e6,
    )


def main() -> dict[str, Any]:
    """Rounds of all cases in turn."""
    one_thread()
    logging.getLogger("ultralytics").setLevel(logging.ERROR)
    assets = assets_folder()
    assert assets, "needs the assets: set EDGESDK_ASSETS"
    frames, fps, answers = recorded(assets)
    pictures, theirs = [f.image for f in frames], [as_ultralytics_reads(a) for a in answers]

    def ours(draws: bool) -> Taken:
        cpu, wall = time.process_time_ns(), time.perf_counter_ns()
        crossings = edgesdk_round(frames, fps, answers, draws)
        return Taken(
            (time.process_time_ns() - cpu) / len(frames) / 1e6,
            (time.perf_counter_ns() - wall) / len(frames) / 1e6,
            crossings,
        )

    cases: dict[str, Callable[[], Taken]] = {
        "edgesdk": lambda: ours(False),
        "edgesdk, every frame drawn": lambda: ours(True),
        **{
            f"ultralytics, {name}, {tracker}": partial(work, pictures, theirs, f"{tracker}.yaml")
            for name, work in {"track": track_round, "ObjectCounter": counter_round}.items()
            for tracker in ("botsort", "bytetrack")
        },
    }
    times: dict[str, list[Taken]] = {name: [] for name in cases}
    for number in range(ROUNDS + 1):
        for name, case in cases.items():
            taken = case()
            if number:  # the first warms up
                times[name].append(taken)
    first = times["edgesdk"]
    rows = {}
    for name, taken in times.items():
        cpu, wall = [one.cpu_ms for one in taken], [one.wall_ms for one in taken]
        ratios = [a.cpu_ms / b.cpu_ms for a, b in zip(taken, first, strict=True)]
        rows[name] = {
            "cpu_ms": round(statistics.median(cpu), 4),
            "least_cpu_ms": round(min(cpu), 4),
            "wall_ms": round(statistics.median(wall), 4),
            "cpu_times_ours": round(statistics.median(ratios), 3),
            "crossings": taken[-1].counted,
        }
    return {
        "what": " ".join((__doc__ or "").split()),
        "goal": "at most a third of Ultralytics' predict + track + ObjectCounter",
        "versions": versions("numpy", "opencv-python-headless", "ultralytics", "torch"),
        "opencv": cv2.__version__,
        "frames_a_round": len(frames),
        "rounds": ROUNDS,
        "cases": rows,
    }


if __name__ == "__main__":
    as_object(main)
