"""What a site sets wrongly is told with what was found, and nothing runs."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgesdk.apps import RunRequest, load_app, prepare_run
from edgesdk.errors import EdgeError

SITE = 'name = "gate"\nfrom = "traffic_counting"\n'


def refused(folder: Path, text: str, source: str = "sim://traffic?frames=2") -> str:
    """Message and hint for this app.toml."""
    (folder / "app.toml").write_text(SITE + text)
    with pytest.raises(EdgeError) as error, prepare_run(load_app(folder), RunRequest(source)):
        pass
    return f"{error.value.message}; {error.value.hint}"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "[[settings.regions]]\npoints = [[900, 0], [1000, 0], [1000, 99]]",
            "regions[0] is not in the pictures, which are 640x360",
        ),
        (
            "[[settings.zones]]\npoints = [[200, 180], [560, 340], [500, 180], [150, 340]]",
            "the zone's edges cross each other: give its corners in their order around it",
        ),
        ("[settings]\nclasses = []", "classes is empty, so nothing would be counted; the model"),
        ("[settings.tracker]\nhigh_score = 5", "high_score should be from 0 to 1, found 5"),
        ("[settings.tracker]\ngate_sigma = -1", "gate_sigma should be 0 or more, found -1"),
        ("[settings.tracker]\nlost_s = nan", "lost_s should be 0 or more, found nan"),
    ],
)
def test_what_would_count_nothing_or_wrongly_is_refused(
    tmp_path: Path, text: str, said: str
) -> None:
    assert said in refused(tmp_path, text)


def test_a_zone_in_its_order_is_taken_whichever_way_round(tmp_path: Path) -> None:
    corners = [[200, 180], [500, 180], [560, 340], [380, 300], [150, 340]]
    for points in (corners, corners[::-1]):
        (tmp_path / "app.toml").write_text(f"{SITE}[[settings.zones]]\npoints = {points}")
        with prepare_run(load_app(tmp_path), RunRequest("sim://traffic?frames=2")) as run:
            assert run.pipeline.run().frames_processed == 2


@pytest.mark.parametrize("source", ["rtsp:/camera/1", "5", "camera"])
def test_a_mistyped_camera_is_told_how_sources_are_named(tmp_path: Path, source: str) -> None:
    said = refused(tmp_path, "", source)
    assert f"{source}: no such file or folder" in said
    assert "rtsp://HOST/PATH, /dev/video0" in said
