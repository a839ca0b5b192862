"""What a person reads of a bundle's accuracy."""

from __future__ import annotations

import io

from rich.console import Console

from edgesdk.bundle import Accuracy, OutputAccuracy, TaskMetric
from edgesdk.cli._accuracy_view import show_accuracy


def shown(*metrics: TaskMetric, pictures: int = 64, **more: str) -> str:
    outputs = {"boxes": OutputAccuracy(20.04, 0.99501, 4.0, 3.0), "scores": OutputAccuracy(None, 1)}
    accuracy = Accuracy("val", pictures, True, outputs, metrics, **more)
    text = io.StringIO()
    show_accuracy(accuracy, "int8", Console(file=text, width=100))
    return text.getvalue()


def metric(name: str, before: float, after: float, low: float, high: float) -> TaskMetric:
    return TaskMetric(name, before, after, low, high, (0, 1), (0, 1), 0.95, 1000)


def test_a_drop_stands_with_its_interval() -> None:
    text = shown(metric("mAP50-95", 0.349, 0.346, -0.008, 0.014))
    assert "mAP50-95: float 0.349, int8 0.346, drop +0.003 (95 %: -0.008 .. +0.014)" in text


def test_too_few_pictures_are_called_too_few() -> None:
    wide = metric("mAP50-95", 0.349, 0.346, -0.008, 0.014)
    narrow = metric("agreement", 1.0, 0.99, 0.006, 0.013)
    text = shown(wide, narrow)
    assert "64 pictures are too few to tell a drop of 1 % in mAP50-95 from none" in text
    assert "too few" not in shown(narrow)


def test_a_drop_that_is_plain_to_see_is_not_called_doubtful() -> None:
    assert "too few" not in shown(metric("mAP50-95", 0.349, 0.083, 0.226, 0.325))


def test_without_an_interval_none_is_shown() -> None:
    text = shown(TaskMetric("top-1", 0.9, 0.8), pictures=1)
    assert "top-1: float 0.900, int8 0.800, drop +0.100\n" in text
    assert "too few" not in text, "an old bundle said nothing of it"


def test_outputs_show_how_much_of_their_spread_is_left() -> None:
    lines = shown().splitlines()
    boxes = next(line.split() for line in lines if "boxes" in line)
    scores = next(line.split() for line in lines if "scores" in line)
    assert boxes == ["boxes", "20.0", "0.99501", "75%"]
    assert scores == ["scores", "exact", "1.00000", "-"]


def test_what_was_not_done_is_said() -> None:
    text = shown(note="no task metric: the pictures have no labels", check_note="not checked: big")
    assert "the pictures have no labels" in text
    assert "not checked: big" in text
