"""What the carried detector is trained on: boxes stay on vehicles, the unsure is not taught."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray

from edgesdk._optional import available
from edgesdk._resources import assets_folder
from edgesdk.sim import TrafficScene, TrafficSettings

APP = Path(__file__).parent.parent / "apps" / "traffic_counting"
MODEL = APP / "model" / "vehicles.onnx"
RED = (0, 0, 255)

if not (available("torch") and available("pycocotools") and available("onnxruntime")):
    pytest.skip(
        "needs torch: pip install 'edgesdk[torch,cpu,video,accuracy]'", allow_module_level=True
    )

import torch  # noqa: E402

sys.path.append(str(APP))  # train.py is run as a script: `training` lies beside it

from training.augment import augment  # noqa: E402
from training.example import HEIGHT, WIDTH, Example  # noqa: E402
from training.labelled import HELD_OUT_FRAMES, TRAINED_FRAMES, Assets  # noqa: E402
from training.loss import Loss  # noqa: E402
from training.net import Net, export, restore  # noqa: E402
from training.real import Real, part, paste  # noqa: E402
from training.score import Onnx  # noqa: E402
from training.simulated import moment  # noqa: E402


def boxed(columns: int = 640, rows: int = 360) -> Example:
    """A grey picture with one red block, and the block's box."""
    image = np.full((rows, columns, 3), 60, np.uint8)
    box = np.array([[200, 120, 330, 190]], np.float32)
    image[120:190, 200:330] = RED
    return Example(image, box, np.array([2]))


def red(image: NDArray[np.uint8]) -> NDArray[np.int64]:
    """x1, y1, x2, y2 of what stands out in red."""
    values = image.astype(int)
    rows, columns = np.nonzero(values[..., 2] - values[..., 1] > 70)
    return np.array([columns.min(), rows.min(), columns.max() + 1, rows.max() + 1])


def parts(example: Example, rng: np.random.Generator) -> Example:
    return part(example, WIDTH, HEIGHT, rng)


def varied(example: Example, rng: np.random.Generator) -> Example:
    return augment(part(example, WIDTH, HEIGHT, rng), rng)


@pytest.mark.parametrize("change", [parts, varied])
def test_a_box_stays_on_its_vehicle_however_the_picture_is_changed(
    change: Callable[[Example, np.random.Generator], Example],
) -> None:
    rng = np.random.default_rng(4)
    kept = 0
    for _ in range(60):
        shown = change(boxed(), rng)
        assert shown.image.shape == (HEIGHT, WIDTH, 3)
        if len(shown.boxes):
            kept += 1
            assert np.abs(shown.boxes[0] - red(shown.image)).max() <= 2.5
            assert shown.classes.tolist() == [2]
    assert kept > 40


def test_a_vehicle_that_has_nearly_left_the_picture_is_unsure_and_not_background() -> None:
    rng = np.random.default_rng(0)
    left = [shown for _ in range(200) if not len((shown := varied(boxed(), rng)).boxes)]
    seen = [s for s in left if (s.image[..., 2].astype(int) - s.image[..., 1] > 90).sum() > 20]
    assert seen, "some are cut off at the edge"
    for shown in seen:
        assert np.abs(shown.unsure[0] - red(shown.image)).max() <= 2.5


def test_what_a_pasted_vehicle_hides_is_unsure_and_what_it_leaves_is_kept() -> None:
    rng = np.random.default_rng(1)
    image = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    small = np.array([[x, y, x + 8, y + 8] for x in range(0, 408, 8) for y in range(0, 248, 8)])
    example = Example(image, small.astype(np.float32), np.zeros(len(small), np.int64))
    cut = np.full((60, 90, 3), RED, np.uint8)
    shown = paste(example, cut, 1, rng)
    x1, y1, x2, y2 = shown.boxes[-1]
    assert shown.classes[-1] == 1
    assert len(shown.boxes) - 1 + len(shown.unsure) == len(small)
    middles = (shown.unsure[:, :2] + shown.unsure[:, 2:]) / 2
    assert len(middles) > 0
    assert ((middles >= [x1, y1]) & (middles <= [x2, y2])).all()
    assert not example.image.any(), "the picture pasted from and onto is shared: not written to"


def test_draws_have_every_group_and_four_in_one() -> None:
    rng = np.random.default_rng(2)
    empty = Example(
        np.full((50, 80, 3), 9, np.uint8), np.zeros((0, 4), np.float32), np.array([], int)
    )
    draws = [Real(((0.5, [boxed()]), (0.5, [empty])), rng).draw() for _ in range(60)]
    counts = [len(d.boxes) for d in draws]
    assert 0 in counts
    assert max(counts) >= 3
    for draw in draws:
        assert (draw.boxes >= 0).all()
        assert (draw.boxes <= [WIDTH, HEIGHT, WIDTH, HEIGHT]).all()
        assert len(draw.classes) == len(draw.boxes)


def tall_and_long(scene: TrafficScene, index: int) -> bool:
    """Whether a truck or bus takes up more than a third of the picture's height."""
    truth = scene.truth(index)
    heights = truth.xyxy[:, 3] - truth.xyxy[:, 1]
    return bool((heights[(truth.class_id == 1) | (truth.class_id == 2)] > 126).any())


@pytest.mark.parametrize("lanes", [2, 6])
def test_trucks_and_buses_near_the_camera_are_shown_more_often_than_they_come(lanes: int) -> None:
    scene = TrafficScene(TrafficSettings(seed=1007, lanes=lanes, frames=10_000))
    rng = np.random.default_rng(0)
    come = np.mean([tall_and_long(scene, i) for i in range(0, 10_000, 50)])
    shown = np.mean([tall_and_long(scene, moment(scene, rng)) for _ in range(200)])
    assert shown > come + 0.2
    assert shown < 0.85, "the others are still there"


def test_a_scene_without_traffic_gives_pictures_too() -> None:
    scene = TrafficScene(TrafficSettings(seed=1008, density=0, frames=9))
    assert 0 <= moment(scene, np.random.default_rng(0)) < 9


def test_the_net_is_told_nothing_where_the_teacher_was_unsure() -> None:
    raw = torch.zeros(1, 52 * 32 + 26 * 16 + 13 * 8, 9, requires_grad=True)
    nothing = np.zeros((0, 4), np.float32)
    unsure = np.array([[80, 80, 160, 144]], np.float32)
    image = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    Loss()(raw, [Example(image, nothing, np.zeros(0, np.int64), unsure)]).backward()
    assert raw.grad is not None
    told = raw.grad[0, : 52 * 32, 4].reshape(32, 52) != 0
    expected = np.ones((32, 52), bool)
    expected[10:18, 10:20] = False  # stride 8
    np.testing.assert_array_equal(told.numpy(), expected)


def test_training_goes_on_from_an_exported_file_with_the_same_answers(tmp_path: Path) -> None:
    net = Net()
    images = torch.rand(3, 3, HEIGHT, WIDTH, generator=torch.Generator().manual_seed(1))
    restore(net, MODEL, images)
    with torch.no_grad():
        raw = net.train()(images)
    assert export(net, tmp_path / "again.onnx", WIDTH, HEIGHT) < 1e-3
    found = torch.cat([raw[..., :4], raw[..., 4:].sigmoid()], 2)

    one = {"images": images[:1].numpy() * 255}
    stored = Onnx(MODEL).run(one)["output"]
    np.testing.assert_allclose(found[:1].numpy(), stored, atol=2e-3)
    weights = {t.name: t.dims for t in onnx.load(tmp_path / "again.onnx").graph.initializer}
    assert weights == {t.name: t.dims for t in onnx.load(MODEL).graph.initializer}


def test_no_frame_is_both_trained_and_measured_on_and_there_is_a_gap() -> None:
    """Crossings near frames 15, 70, 122, 172, 232 | 411, 470, 705."""
    assert HELD_OUT_FRAMES.stop + 24 <= TRAINED_FRAMES.start
    crossings = (15, 70, 122, 172, 232, 411, 470, 705)
    assert [frame in HELD_OUT_FRAMES for frame in crossings] == [True] * 5 + [False] * 3
    assert [frame in TRAINED_FRAMES for frame in crossings] == [False] * 5 + [True] * 3


def test_the_teacher_marks_the_car_on_the_line_once() -> None:
    folder = assets_folder()
    if folder is None or not (folder / "video" / "road_8_vehicles.mp4").is_file():
        pytest.skip("needs road_8_vehicles.mp4: set EDGESDK_ASSETS")
    (frame,) = Assets(folder).road(range(470, 471))
    middles = (frame.boxes[:, :2] + frame.boxes[:, 2:]) / 2
    on_road = np.abs(middles - [300, 215]).max(axis=1) < 40
    assert frame.classes[on_road].tolist() == [0]
