"""A whole run of an inspection line: exactly one verdict a part, whatever happens on the way."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from edgesdk.apps import RunRequest, bundle_app, load_app, prepare_run
from edgesdk.build import build
from edgesdk.build.job import BuildOrder, resolve
from edgesdk.errors import EdgeError, ModelError, UsageError
from edgesdk.frames import Frame
from edgesdk.inspection import PartFinder, PartSettings, Verdict
from edgesdk.pipeline import Collect, InspectParts, Packet, Pipeline, RunSummary, open_source
from edgesdk.preprocess import Preprocess
from edgesdk.vision.decoders import make_decoder
from edgesdk.vision.inspected import Inspected
from edgesdk.vision.inspector import Inspector
from tests.drawn_belt import HEIGHT, WIDTH, moving, picture
from tests.inspection_models import app_folder, dark_spots, light_or_dark

ANOMALY = 'type = "anomaly"\nthreshold = 120.0'
LEVELS = (200, 100, 180, 150, 95)
"""Of the parts that pass: good ones are lighter than 255 - 120 = 135."""


def frames() -> list[NDArray[np.uint8]]:
    """Parts of these levels pass one after another, with a fat margin of their own level."""
    drawn = []
    starts = [(-40.0 - 120 * i, 90.0) for i in range(len(LEVELS))]
    for now in moving(12, 95, starts):
        image = picture([])
        for (x, y), level in zip(now, LEVELS, strict=True):
            left, right = round(x - 25), round(x + 25)
            image[round(y - 25) : round(y + 25), max(left, 0) : max(right, 0)] = level
        drawn.append(image)
    return drawn


def verdicts(folder: Path, request: RunRequest | None = None) -> tuple[RunSummary, list[Verdict]]:
    collect = Collect()
    np.savez(folder / "frames.npz", X=np.array(frames()))
    wanted = replace(request or RunRequest(), source=str(folder / "frames.npz"))
    with prepare_run(load_app(folder), wanted, [collect]) as run:
        summary = run.pipeline.run()
    return summary, [event for event in collect.events if isinstance(event, Verdict)]


def test_each_part_gets_one_verdict_by_its_models_score(tmp_path: Path) -> None:
    summary, found = verdicts(app_folder(tmp_path, dark_spots(), ANOMALY))
    assert [verdict.part for verdict in found] == list(range(len(LEVELS)))
    assert [verdict.score for verdict in found] == [255.0 - level for level in LEVELS]
    assert [verdict.outcome for verdict in found] == ["pass", "reject", "pass", "pass", "reject"]
    assert {verdict.threshold for verdict in found} == {120.0}
    assert summary.counts == {"score": {"pass": 3, "reject": 2}}
    names = [stage.name for stage in summary.stages]
    assert names[:3] == ["locate", "inspection", "judge"]


def test_a_classifiers_score_is_one_minus_the_probability_of_good(tmp_path: Path) -> None:
    labels = '"bad one", "Good"'  # good stands second, and is told by its name
    folder = app_folder(tmp_path, light_or_dark(), 'type = "classes"', labels)
    _, found = verdicts(folder)
    # Logits are (light, -light): the class that is called good is the dark one here.
    wanted = [1 / (1 + np.exp((level - 128) / 4)) for level in LEVELS]
    assert [v.score for v in found] == pytest.approx([1 - w for w in wanted], abs=1e-4)
    assert [v.threshold for v in found] == [0.5] * 5


def test_a_classifier_without_a_class_of_good_parts_is_refused(tmp_path: Path) -> None:
    folder = app_folder(tmp_path, light_or_dark(), 'type = "classes"', '"cat", "dog"')
    with pytest.raises(ModelError, match="class of good ones, found cat, dog"):
        verdicts(folder)


def test_an_inspection_app_with_a_detector_says_what_it_needs(tmp_path: Path) -> None:
    app = load_app("line_inspection")
    source = "sim://line?frames=5"
    counting = load_app("traffic_counting")
    with (
        pytest.raises(EdgeError, match="judges pictures of parts"),
        prepare_run(replace(app, model=counting.model, folder=counting.folder), RunRequest(source)),
    ):
        pass


def test_a_detection_app_with_an_inspection_model_says_so(tmp_path: Path) -> None:
    folder = app_folder(tmp_path, dark_spots(), ANOMALY)
    app = load_app(folder)
    request, out = resolve(
        BuildOrder(device="orin", model=str(folder), precision="fp32", out=tmp_path / "x.edge")
    )
    build(request, out)
    with (
        pytest.raises(ModelError, match="this run needs a detector") as caught,
        prepare_run(bundle_app(out), RunRequest("sim://line?frames=5")),
    ):
        pass
    assert "line_inspection" in caught.value.hint
    bundled = replace(RunRequest(), bundle=out)
    summary, found = verdicts(folder, bundled)
    assert [v.outcome for v in found] == ["pass", "reject", "pass", "pass", "reject"]
    assert app.name == "made_by_hand"
    assert summary.counts["score"] == {"pass": 3, "reject": 2}


def test_two_runs_give_the_same_scores_bit_for_bit(tmp_path: Path) -> None:
    folder = app_folder(tmp_path, dark_spots(), ANOMALY)
    first, second = (verdicts(folder)[1] for _ in range(2))
    assert [(v.score, v.frame, v.left_px) for v in first] == [
        (v.score, v.frame, v.left_px) for v in second
    ]


def test_a_trigger_is_for_one_stream(tmp_path: Path) -> None:
    folder = app_folder(tmp_path, dark_spots(), ANOMALY)
    sources = ("a=sim://line?frames=5", "b=sim://line?frames=5")
    request = RunRequest(sources, trigger="gpio:23")
    with pytest.raises(UsageError, match="2 streams"), prepare_run(load_app(folder), request):
        pass


# --- the pipeline below it ---------------------------------------------------------------------


class Slow:
    """A model that takes its time, and fails on some parts."""

    def __init__(self, seconds: float, fails_at: int = -1) -> None:
        self.seconds = seconds
        self.fails_at = fails_at
        self.calls = 0

    def __call__(self, pictures: list[NDArray[np.uint8]]) -> list[Inspected]:
        self.calls += 1
        time.sleep(self.seconds)
        if self.calls - 1 == self.fails_at:
            raise RuntimeError("a kernel failed")
        return [Inspected(0.0) for _ in pictures]


class Live:
    """Frames as a camera gives them: at its own pace, whether anyone is ready or not."""

    name, fps, live, size, count = "belt", 25.0, True, (WIDTH, HEIGHT), None

    def __init__(self, every_s: float) -> None:
        self._every_s = every_s
        self._stopped = threading.Event()

    def __iter__(self) -> Iterator[Frame]:
        for frame in open_source(frames()):
            yield replace(frame, captured_ns=time.monotonic_ns())
            if self._stopped.wait(self._every_s):
                return

    def stop(self) -> None:
        self._stopped.set()

    def close(self) -> None:
        pass


def test_a_part_is_never_dropped_between_its_location_and_the_model() -> None:
    """Policy "newest", and a model much slower than the camera: frames are dropped, no part is."""
    collect, parts = Parts(), PartSettings((30, 60), crop_px=32)
    finder = PartFinder(parts, WIDTH, HEIGHT)
    stages = (finder, InspectParts(1.0, Slow(0.12)))
    summary = Pipeline(Live(0.01), stages, [collect], "newest").run()
    assert collect.numbers == list(range(len(LEVELS)))
    assert summary.frames_captured == summary.frames_processed + summary.frames_dropped


class Parts:
    """A sink that keeps the numbers of the parts."""

    name = "parts"

    def __init__(self) -> None:
        self.numbers: list[int] = []
        self.errors: list[str] = []

    def accept(self, packet: Packet) -> None:
        self.numbers += [part.number for part in packet.parts]
        self.errors += [part.error for part in packet.parts]

    def close(self) -> None:
        pass


def test_a_model_that_fails_on_a_part_fails_that_part_and_not_the_run() -> None:
    collect, finder = Parts(), PartFinder(PartSettings((30, 60), crop_px=32), WIDTH, HEIGHT)
    stages = (finder, InspectParts(1.0, Slow(0.0, fails_at=1)))
    Pipeline(open_source(frames()), stages, [collect]).run()
    assert collect.numbers == list(range(len(LEVELS)))
    assert ["a kernel failed" in error for error in collect.errors] == [
        False, True, False, False, False,
    ]  # fmt: skip


@pytest.mark.parametrize("batch", [1, 2, 3])
def test_a_model_of_a_larger_batch_says_the_same_of_each_picture(batch: int) -> None:
    from edgesdk.backends import load_backend, opened  # noqa: PLC0415
    from edgesdk.model import Model  # noqa: PLC0415

    preprocess = Preprocess(64, 64, resize="stretch", color="bgr")
    decoder = make_decoder({"type": "anomaly", "threshold": 1.0}, "here", preprocess)
    assert decoder.task == "inspect"
    rng = np.random.default_rng(0)
    pictures = [rng.integers(0, 256, (30 + i, 40, 3), np.uint8) for i in range(5)]
    wanted = [
        float((255.0 - preprocess(p)[0][0, 0]).reshape(8, 8, 8, 8).mean(axis=(1, 3)).max())
        for p in pictures
    ]
    with opened(load_backend("onnxruntime"), Model.of(dark_spots(batch=batch), "dark")) as session:
        inspector = Inspector(preprocess, session, "picture", decoder, batch)
        found = inspector(pictures)
    assert [each.score for each in found] == pytest.approx(wanted, rel=1e-5)
    assert all(each.heat is not None and each.heat.shape == (8, 8) for each in found)
