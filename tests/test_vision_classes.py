"""What is counted, and under which name, is what the user says."""

from __future__ import annotations

import numpy as np
import pytest

from edgesdk.detections import Detections
from edgesdk.errors import UnknownName, UsageError
from edgesdk.vision.classes import ClassMap

COCO = ("person", "bicycle", "car", "motorcycle", "airplane", "bus", "train", "truck")


def found(*class_ids: int) -> Detections:
    count = len(class_ids)
    return Detections(
        np.zeros((count, 4), np.float32), np.ones(count, np.float32), np.array(class_ids, np.int64)
    )


def test_several_of_the_models_classes_are_one_of_the_users() -> None:
    classes = ClassMap.of({"car": "light", "truck": "heavy", "bus": "heavy"}, COCO)
    assert classes.labels == ("light", "heavy")
    kept = classes.select(found(0, 2, 7, 5, 2, 3))
    assert kept.class_id.tolist() == [2, 7, 5, 2]
    assert classes.rename(kept.class_id).tolist() == [0, 1, 1, 0]


def test_a_list_counts_each_under_its_own_name() -> None:
    classes = ClassMap.of(("truck", "car"), COCO)
    assert classes.labels == ("truck", "car")
    assert classes.rename(np.array([2, 7])).tolist() == [1, 0]


def test_names_that_any_model_may_lack_are_passed_over() -> None:
    classes = ClassMap.of(("car", "tram"), COCO, optional=("tram",))
    assert classes.labels == ("car",)
    with pytest.raises(UnknownName, match="'tram'"):
        ClassMap.of(("car", "tram"), COCO)


def test_a_model_that_knows_none_of_them_is_refused_with_what_it_knows() -> None:
    with pytest.raises(UsageError, match="none of the classes to count: tram") as caught:
        ClassMap.of(("tram",), COCO, optional=("tram",))
    assert "person" in caught.value.hint


def test_a_class_beyond_the_models_labels_is_passed_over() -> None:
    assert len(ClassMap.of(("car",), COCO).select(found(99, 2))) == 1


def test_a_model_without_labels_such_as_one_of_inspection_is_told_what_it_lacks() -> None:
    with pytest.raises(UsageError, match="names no classes") as error:
        ClassMap.of(("car",), ())
    assert "labels = " in error.value.hint
