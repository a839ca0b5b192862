"""A belt that goes another way than its setting says is told of: its counts mean nothing."""

from __future__ import annotations

import pytest

from edgesdk.errors import UsageError
from edgesdk.inspection import PartFinder, PartSettings
from edgesdk.inspection.settings import Moves
from edgesdk.pipeline import Packet, open_source

SIZES = {"size_px": (50.0, 110.0), "crop_px": 120}


def run(source: str, moves: Moves) -> None:
    opened = open_source(source)
    finder = PartFinder(PartSettings(moves=moves, **SIZES), *opened.size)  # type: ignore[arg-type]
    for frame in opened:
        finder(Packet(frame))


@pytest.mark.parametrize("moves", ["left", "down", "up"])
def test_a_wrong_direction_is_named_with_the_right_one(
    moves: Moves, caplog: pytest.LogCaptureFixture
) -> None:
    """The simulated belt goes right. Said to go left, 22 parts were counted as 245."""
    run("sim://line?frames=150&rate=120", moves)
    said = [message for message in caplog.messages if "seem to go" in message]
    assert len(said) == 1
    assert f"parts seem to go right, and parts.moves says {moves}" in said[0]
    assert "--set parts.moves=right" in said[0]


@pytest.mark.parametrize("source", ["rate=120", "rate=60&wobble=0.4", "rate=300&fps=50", "rate=1"])
def test_nothing_is_said_of_a_belt_that_goes_as_it_should(
    source: str, caplog: pytest.LogCaptureFixture
) -> None:
    run(f"sim://line?frames=200&{source}", "right")
    assert "seem to go" not in caplog.text


def test_a_crop_that_is_larger_than_the_picture_is_refused() -> None:
    with pytest.raises(
        UsageError, match=r"parts\.crop_px is 4000, more than the picture's 640x360"
    ):
        PartFinder(PartSettings(size_px=(50, 110), crop_px=4000), 640, 360)
