"""What people see of an inspection: verdicts in colour, counts, and the last reject's heat map."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from edgesdk.detections import Detections
from edgesdk.frames import Frame
from edgesdk.inspection import InspectionView, Verdict
from edgesdk.inspection.draw import DUE, PASS, REJECT
from edgesdk.pipeline import Packet
from edgesdk.vision.inspected import Inspected
from edgesdk.vision.parts import Part, View

BOX = (100.0, 60.0, 140.0, 100.0)


def verdict(part: int, outcome: str, score: float = 1.5, reason: str = "score") -> Verdict:
    return Verdict(
        3, 120.0, part, outcome, reason, score, 1.0, 0, 5.0, False, *BOX  # type: ignore[arg-type]
    )  # fmt: skip


def packet(*verdicts: Verdict, number: int = -1, heat: NDArray[np.float32] | None = None) -> Packet:
    shown = Detections(
        np.array([BOX], np.float32),
        np.ones(1, np.float32),
        np.zeros(1, np.int64),
        np.array([number]),
    )
    picture = np.full((32, 32, 3), 90, np.uint8)
    parts = tuple(
        Part(v.part, 0, (View(picture, BOX, 3, 120.0, Inspected(v.score, heat)),)) for v in verdicts
    )
    image = np.full((200, 320, 3), 50, np.uint8)
    return Packet(Frame(image, 3, 0, 0), shown, events=verdicts, parts=parts)


@pytest.mark.parametrize(
    ("outcome", "number", "color"), [("pass", 0, PASS), ("reject", 0, REJECT), ("pass", -1, DUE)]
)
def test_a_box_has_the_colour_of_its_verdict(
    outcome: str, number: int, color: tuple[int, int, int]
) -> None:
    view = InspectionView(160.0, "right")
    view.note(packet(verdict(0, outcome)))
    drawn = view.draw(packet(number=number))
    np.testing.assert_array_equal(drawn[80, 100], color)


@pytest.mark.parametrize(
    ("moves", "place"),
    [("right", (150, 60)), ("left", (150, 320 - 60)), ("down", (60, 200)), ("up", (200 - 60, 200))],
)
def test_the_station_is_a_line_across_the_belt(moves: str, place: tuple[int, int]) -> None:
    drawn = InspectionView(60.0, moves).draw(packet())  # type: ignore[arg-type]
    assert drawn[place].max() > 200


def test_the_last_reject_is_shown_with_its_heat_from_the_threshold_on() -> None:
    view = InspectionView(160.0, "right")
    heat = np.full((4, 4), 0.4, np.float32)
    heat[1, 2] = 3.0
    plain = view.draw(packet())
    view.note(packet(verdict(0, "reject", 3.0), heat=heat))
    drawn = view.draw(packet())
    # 48 px wide, 4 px from the corner.
    inset = drawn[4:52, 320 - 52 : 320 - 4].astype(int)
    assert (drawn[4:52, 320 - 52 : 320 - 4] != plain[4:52, 320 - 52 : 320 - 4]).any()
    np.testing.assert_allclose(inset[36, 10], 90, atol=2)  # Cold: the part as it is.
    assert np.abs(inset[18, 30] - 90).max() > 60  # Hot.


def test_a_pass_and_a_part_without_a_picture_leave_the_corner_as_it_was() -> None:
    view = InspectionView(160.0, "right")
    view.note(packet(verdict(0, "pass")))
    view.note(Packet(packet().frame, events=(verdict(1, "reject", reason="unseen"),)))
    drawn = view.draw(packet())
    assert (drawn[20:50, 280:310] == 50).all()


def test_memory_follows_the_parts_in_sight() -> None:
    view = InspectionView(160.0, "right")
    for number in range(500):
        view.note(packet(verdict(number, "reject")))
    assert len(view._verdicts) <= 64
