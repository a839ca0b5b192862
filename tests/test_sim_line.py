"""The simulated inspection line: what it shows, what it says is true, and that the two agree."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from edgesdk.errors import DataError
from edgesdk.sim import LINE_LABELS, LineScene, LineSettings

PART, SCRATCH, CHIP, DENT, MISSING = range(5)


def scene(seed: int = 0, **given: object) -> LineScene:
    return LineScene(LineSettings(seed=seed, **given))  # type: ignore[arg-type]


def test_a_frame_is_a_bgr_picture_of_the_size_asked_for_and_the_same_for_the_same_seed() -> None:
    first = scene(3, width=320, height=200).frame(70)
    assert first.shape == (200, 320, 3)
    assert first.dtype == np.uint8
    np.testing.assert_array_equal(first, scene(3, width=320, height=200).frame(70))
    assert (first != scene(4, width=320, height=200).frame(70)).any()


@pytest.mark.parametrize("seed", range(4))
def test_boxes_of_parts_hold_exactly_the_bright_pixels(seed: int) -> None:
    line = scene(seed, noise=0, defects=0)
    bright = line.frame(150)[..., 2] > 100  # Metal; the belt is about 44.
    covered = np.zeros_like(bright)
    truth = line.truth(150)
    assert len(truth) >= 3
    for x1, y1, x2, y2 in truth.xyxy:
        inside = bright[round(y1) : round(y2), round(x1) : round(x2)]
        rows, columns = np.flatnonzero(inside.any(axis=1)), np.flatnonzero(inside.any(axis=0))
        # Tight within 2 pixels, and nothing outside.
        assert rows[0] <= 2
        assert rows[-1] >= inside.shape[0] - 3
        assert columns[0] <= 2
        assert columns[-1] >= inside.shape[1] - 3
        covered[max(0, int(y1) - 1) : int(y2) + 2, max(0, int(x1) - 1) : int(x2) + 2] = True
    seen = bright.copy()
    seen[:, :30] = seen[:, -30:] = False  # Parts that are less than 30 % in the picture.
    assert not (seen & ~covered).any()


def test_a_defect_is_where_the_truth_says_and_nowhere_else() -> None:
    good, bad = scene(2, noise=0, defects=0), scene(2, noise=0, defects=1)
    found: Counter[int] = Counter()
    for index in range(60, 480, 12):
        changed = np.abs(good.frame(index).astype(int) - bad.frame(index)).max(axis=2) > 30
        truth = bad.truth(index)
        for box, class_id in zip(truth.xyxy, truth.class_id, strict=True):
            if class_id == PART:
                continue
            x1, y1, x2, y2 = box
            area = changed[max(0, int(y1) - 2) : int(y2) + 3, max(0, int(x1) - 2) : int(x2) + 3]
            assert area.any(), (index, LINE_LABELS[class_id], box)
            area[:] = False
            found[int(class_id)] += 1
        changed[:, :60] = changed[:, -60:] = False
        assert not changed.any(), index
    assert min(found[kind] for kind in (SCRATCH, CHIP, DENT, MISSING)) > 5


def test_a_defect_carries_the_number_of_its_part_and_lies_in_it() -> None:
    line = scene(1, defects=1)
    truth = line.truth(200)
    rows = list(zip(truth.track_id.tolist(), truth.class_id, truth.xyxy, strict=True))
    parts = {number: box for number, class_id, box in rows if class_id == PART}
    defects = [(number, box) for number, class_id, box in rows if class_id != PART]
    assert defects
    for number, box in defects:
        whole = parts[number]
        assert (box[:2] >= whole[:2] - 1).all()
        assert (box[2:] <= whole[2:] + 1).all()


def test_each_part_is_listed_once_when_its_middle_reaches_the_line() -> None:
    line = scene(5, frames=600, rate=90, defects=0.4)
    middle = line.line[0][0]
    passed: dict[int, int] = {}
    where: dict[int, float] = {}
    for index in range(600):
        truth = line.truth(index)
        for box, class_id, number in zip(truth.xyxy, truth.class_id, truth.track_id, strict=True):
            centre = (float(box[0]) + float(box[2])) / 2
            whole = box[0] > 0 and box[2] < line.settings.width
            if class_id == PART and whole:
                if where.get(int(number), centre) < middle <= centre:
                    passed[int(number)] = index
                where[int(number)] = centre
    listed = {part.part: part.frame for part in line.parts()}
    assert listed.keys() == passed.keys()
    # A box's corners are 32-bit, which may move its centre over the line a frame early or late.
    assert all(abs(listed[number] - passed[number]) <= 1 for number in listed)


def test_parts_come_at_their_rate_and_are_damaged_as_often_as_asked() -> None:
    parts = scene(6, frames=25 * 60 * 30, rate=60, defects=0.15).parts()
    assert len(parts) == pytest.approx(30 * 60, abs=5)
    damaged = sum(part.defect != "" for part in parts) / len(parts)
    # Five standard deviations of a share of .15 of 1800.
    assert damaged == pytest.approx(0.15, abs=5 * (0.15 * 0.85 / 1800) ** 0.5)
    assert {part.shape for part in parts} == {"disc", "plate"}
    assert {part.defect for part in parts} == {"", *LINE_LABELS[1:]}


def test_parts_never_touch() -> None:
    line = scene(7, rate=600, frames=200)
    for index in range(0, 200, 7):
        boxes = line.truth(index)
        x = boxes.xyxy[boxes.class_id == PART][:, [0, 2]]
        x = x[np.argsort(x[:, 0])]
        assert (x[1:, 0] > x[:-1, 1]).all()


@pytest.mark.parametrize("index", [-1, 500])
def test_a_frame_outside_the_scene_is_refused(index: int) -> None:
    for ask in (scene().frame, scene().truth):
        with pytest.raises(DataError, match="0 to 499"):
            ask(index)


def levels(line: LineScene, step: int) -> list[float]:
    """How light the upper edge of the belt is, where no part ever lies."""
    frames = range(0, line.settings.frames, step)
    return [float(line.frame(i)[:20].mean()) for i in frames]


def test_the_light_drifts_by_15_percent_when_it_is_asked_to() -> None:
    steady = levels(scene(2, frames=500, noise=0), 25)
    drifting = levels(scene(2, frames=500, noise=0, light="drift"), 25)
    assert max(steady) / min(steady) < 1.02
    middle = np.mean(steady)
    assert max(drifting) / middle == pytest.approx(1.15, abs=0.02)
    assert min(drifting) / middle == pytest.approx(0.85, abs=0.02)


def test_a_blurred_line_has_softer_edges_and_the_same_truth() -> None:
    sharp, soft = scene(2, noise=0), scene(2, noise=0, blur=3.0)
    edges = [np.abs(np.diff(line.frame(90).astype(int), axis=1)).max() for line in (sharp, soft)]
    assert edges[1] < edges[0] / 2
    np.testing.assert_array_equal(sharp.truth(90).xyxy, soft.truth(90).xyxy)


def test_a_belt_that_wobbles_goes_on_forwards_and_parts_are_listed_when_they_pass() -> None:
    line = scene(3, frames=300, rate=120, wobble=0.5)
    middle = line.line[0][0]
    before: dict[int, float] = {}
    passed: dict[int, int] = {}
    steps = []
    for index in range(300):
        truth = line.truth(index)
        whole = truth[truth.class_id == PART]
        inside = (whole.xyxy[:, 0] > 0) & (whole.xyxy[:, 2] < 640)
        for number, (x, _) in zip(whole.track_id[inside], whole.centers[inside], strict=True):
            if int(number) in before:
                steps.append(x - before[int(number)])
                if before[int(number)] < middle <= x:
                    passed[int(number)] = index
            before[int(number)] = float(x)
    even = 120 / 60 * 180 / 25
    assert min(steps) == pytest.approx(0.5 * even, rel=0.05)
    assert max(steps) == pytest.approx(1.5 * even, rel=0.05)
    assert passed == {part.part: pytest.approx(part.frame, abs=1) for part in line.parts()}


@pytest.mark.parametrize(
    "wrong", [{"rate": 1201}, {"blur": 0.1}, {"wobble": 0.6}, {"defects": 1.1}, {"noise": -1}]
)
def test_a_setting_out_of_range_is_refused_by_name(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        scene(**wrong)  # type: ignore[arg-type]


def test_a_part_is_cut_out_around_its_middle() -> None:
    line = scene(5, defects=0, noise=0)
    part = line.parts()[3]
    picture = line.picture_of(part, 120)
    assert picture.shape == (120, 120, 3)
    bright = picture[..., 2] > 100
    rows, columns = np.flatnonzero(bright.any(axis=1)), np.flatnonzero(bright.any(axis=0))
    assert (rows[0] + rows[-1]) / 2 == pytest.approx(60, abs=2)
    assert (columns[0] + columns[-1]) / 2 == pytest.approx(60, abs=2)
