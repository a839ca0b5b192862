"""The annotated picture shows what was found, and the picture itself stays as it was."""

from __future__ import annotations

import numpy as np

from edgesdk.detections import Detections
from edgesdk.tensors import Array
from edgesdk.vision.draw import LINE_COLOR, PALETTE, Annotator, DrawSettings, Notes
from edgesdk.vision.line import Line


def one(x: float, track: int = 0, kind: int = 1, score: float = 0.9) -> Detections:
    return Detections(
        np.array([[x, 120, x + 120, 200]], np.float32),
        np.array([score], np.float32),
        np.array([kind], np.int64),
        np.array([track], np.int64),
    )


def grey() -> Array:
    return np.full((352, 640, 3), 90, np.uint8)


def has(image: Array, color: tuple[int, int, int]) -> bool:
    return bool((image == np.array(color, np.uint8)).all(axis=-1).any())


def test_the_box_is_where_the_object_is_and_in_its_classes_colour() -> None:
    image = grey()
    drawn = Annotator(("car", "bus"))(image, one(100))
    assert (image == 90).all()
    assert drawn.shape == image.shape
    assert drawn[200, 160].tolist() == list(PALETTE[1])
    changed = (drawn != 90).any(axis=-1)
    ys, xs = np.nonzero(changed)
    assert (xs.min(), xs.max(), ys.max()) == (99, 221, 201)  # lines are two pixels wide
    assert not changed[150:190, 110:210].any()


def test_a_box_without_an_identity_is_thin_and_without_text_among_tracked_ones() -> None:
    both = Detections(
        np.array([[100, 120, 220, 200], [300, 120, 420, 200]], np.float32),
        np.array([0.9, 0.9], np.float32),
        np.array([0, 0], np.int64),
        np.array([4, -1], np.int64),
    )
    changed = (Annotator(("car",))(grey(), both) != 90).any(axis=-1)
    assert changed[100:118, 100:220].any()
    assert not changed[100:118, 300:420].any()
    assert changed[200, 310:410].all()
    hidden = Annotator(("car",), settings=DrawSettings(untracked=False))(grey(), both)
    assert (hidden[:, 300:] == 90).all()


def test_the_line_and_the_counts_are_there_when_given() -> None:
    line = Line((0, 300), (640, 300))
    nobody = Detections.empty()
    bare, lined = Annotator()(grey(), nobody), Annotator(lines=[line])(grey(), nobody)
    assert (bare == 90).all()
    assert has(lined, LINE_COLOR)
    assert (lined[:80, :200] == 90).all()
    counted = Annotator(lines=[line])(grey(), nobody, Notes({"down": 3, "up": 0}))
    assert (counted[:80, :200] != 90).any()


def test_a_trail_follows_a_track_for_so_many_frames() -> None:
    annotator = Annotator(settings=DrawSettings(trail_frames=5))
    for x in (100, 150, 200):
        drawn = annotator(grey(), one(x))
    assert (drawn[159:162, 165:195] != 90).any()  # between its last two centres
    for _ in range(5):
        drawn = annotator(grey(), Detections.empty())
    assert (drawn == 90).all()


def test_boxes_at_the_edge_and_of_no_size_are_drawn_without_harm() -> None:
    edge = Detections(
        np.array([[-5, -5, 30, 20], [600, 340, 660, 370], [50, 50, 50, 50]], np.float32),
        np.array([0.9, 0.8, 0.7], np.float32),
        np.array([0, 99, 7], np.int64),
    )
    assert (Annotator(("car",))(grey(), edge) != 90).any()
