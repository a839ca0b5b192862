"""A setting of the parts' size that does not fit the picture says so, and what would."""

from __future__ import annotations

import json
import re

import pytest

from edgesdk.inspection import PartFinder, PartSettings
from edgesdk.pipeline import Packet, open_source


def seen(source: str, settings: PartSettings) -> int:
    """Parts that are due and could be judged."""
    opened = open_source(source)
    finder = PartFinder(settings, *opened.size)
    found = [part for frame in opened for part in finder(Packet(frame)).parts]
    return sum(not part.error for part in found)


@pytest.mark.parametrize("size", [(1280, 720), (320, 180)])
def test_parts_of_another_size_are_named_with_the_settings_that_fit(
    size: tuple[int, int], caplog: pytest.LogCaptureFixture
) -> None:
    """A simulated part is a quarter of the picture's height."""
    source = f"sim://line?width={size[0]}&height={size[1]}&frames=240&rate=120&defects=0"
    assert seen(source, PartSettings(size_px=(50, 110), crop_px=120)) == 0
    (said,) = [message for message in caplog.messages if "nothing was as large" in message]
    told = re.search(
        r"things of (\d+) px .*'parts.size_px=(\[.*\])' --set parts.crop_px=(\d+)", said
    )
    assert told is not None
    assert int(told[1]) == pytest.approx(size[1] / 4, rel=0.06)
    low, high = json.loads(told[2])
    caplog.clear()
    assert seen(source, PartSettings(size_px=(low, high), crop_px=int(told[3]))) >= 15
    assert caplog.messages == []


def test_a_line_whose_parts_fit_is_told_nothing(
    caplog: pytest.LogCaptureFixture,
) -> None:
    source = "sim://line?frames=200&rate=120&defects=0"
    assert seen(source, PartSettings(size_px=(50, 110), crop_px=120)) > 10
    assert "nothing was as large" not in caplog.text
