"""A folder of pictures becomes a worklist: in order, whole, and nothing is dropped."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from edgesdk.apps import RunRequest, load_app, prepare_run
from edgesdk.errors import EdgeError
from edgesdk.triage import NOTICE
from tests.command import edgesdk
from tests.squares import SPEC, squares_model
from tests.triage.colors import colors_app, plain

RED, GREEN, BLUE = plain(0, 0, 200), plain(0, 200, 0), plain(200, 0, 0)
UNSURE = plain(200, 0, 190)
"""Logits 10, 0, 9.5: blue at 62 %, red at 38 %."""


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def pictures(folder: Path, **named: np.ndarray) -> Path:
    folder.mkdir(exist_ok=True)
    for name, image in named.items():
        cv2.imwrite(str(folder / f"{name}.png"), image)
    return folder


def triage(app: Path, source: Path, max_frames: int | None = None) -> list[dict[str, str]]:
    with prepare_run(load_app(app), RunRequest(str(source))) as run:
        run.pipeline.run(max_frames)
    with Path("worklist/worklist.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_the_list_is_in_order_of_urgency_and_the_uncertain_stand_out(here: Path) -> None:
    source = pictures(here / "in", a=BLUE, b=GREEN, c=UNSURE, d=RED, e=BLUE)
    rows = triage(colors_app(here / "app"), source)
    assert [(row["picture"], row["status"], row["label"], row["urgent_for"]) for row in rows] == [
        ("d.png", "sure", "red", "red"),
        ("c.png", "uncertain", "blue", "red"),
        ("b.png", "sure", "green", "green"),
        ("a.png", "sure", "blue", "blue"),
        ("e.png", "sure", "blue", "blue"),
    ]
    # softmax of 10, 0, 9.5
    assert float(rows[1]["confidence"]) == pytest.approx(0.6224, abs=1e-3)
    assert float(rows[1]["likelihood"]) == pytest.approx(0.3775, abs=1e-3)
    assert [row["place"] for row in rows] == ["1", "2", "3", "4", "5"]


@pytest.mark.parametrize("batch", [1, 4])
def test_a_model_that_takes_several_pictures_at_once_says_the_same(here: Path, batch: int) -> None:
    source = pictures(here / "in", a=BLUE, b=GREEN, c=RED, d=UNSURE, e=RED)
    rows = triage(colors_app(here / "app", batch), source)
    assert [row["picture"] for row in rows] == ["c.png", "e.png", "d.png", "b.png", "a.png"]


def test_a_picture_that_cannot_be_read_is_first_on_the_list(here: Path) -> None:
    source = pictures(here / "in", a=BLUE, c=RED)
    (source / "b.png").write_bytes(b"not a picture")
    rows = triage(colors_app(here / "app"), source)
    assert [row["picture"] for row in rows] == ["b.png", "c.png", "a.png"]
    assert (rows[0]["status"], rows[0]["label"], rows[0]["card"]) == ("unread", "", "")
    assert rows[0]["reason"]
    page = Path("worklist/worklist.html").read_text()
    assert "<strong>unread</strong>" in page
    assert "not complete" not in page


def test_played_at_its_own_rate_the_unread_is_on_the_list_too(here: Path) -> None:
    source = pictures(here / "in", a=BLUE)
    (source / "b.png").write_bytes(b"not a picture")
    app = load_app(colors_app(here / "app"))
    with prepare_run(app, RunRequest(str(source), policy="newest")) as run:
        run.pipeline.run()
    assert "b.png,unread" in Path("worklist/worklist.csv").read_text()


@pytest.mark.parametrize("shape", [(1, 3000, 3), (3000, 1, 3), (1, 1, 3), (700, 900, 3)])
def test_a_card_has_one_size_whatever_the_picture_has(
    here: Path, shape: tuple[int, int, int]
) -> None:
    rows = triage(colors_app(here / "app"), pictures(here / "in", a=np.zeros(shape, np.uint8)))
    card = cv2.imread(str(here / "worklist" / rows[0]["card"]))
    assert card.shape == (34 + 210 + 34, 420, 3)


def test_every_picture_has_a_card_with_the_heat_map_and_the_notice(here: Path) -> None:
    image = plain(200, 0, 0)
    image[6:12, 8:16] = (0, 0, 255)  # one red place in blue
    rows = triage(colors_app(here / "app"), pictures(here / "in", a=image))
    card = cv2.imread(str(here / "worklist" / rows[0]["card"]))
    width = card.shape[1]
    left, right = card[34:-34, : width // 2], card[34:-34, width // 2 :]
    changed = np.abs(left.astype(int) - right).max(axis=2) > 40
    rows_changed, columns_changed = np.nonzero(changed)
    # The place is at 6..12 of 24 and 8..16 of 32; above and below a square is filled up.
    assert rows_changed.mean() / changed.shape[0] == pytest.approx((9 + 4) / 32, abs=0.05)
    assert columns_changed.mean() / changed.shape[1] == pytest.approx(12 / 32, abs=0.05)
    assert card[-34:].max() > 200 > card[-34:, -4:].max(), "letters on dark below the picture"
    assert Path("worklist/worklist.html").read_text().count(NOTICE) >= 2


def test_a_list_that_lacks_pictures_says_so(here: Path) -> None:
    source = pictures(here / "in", a=BLUE, b=RED, c=GREEN)
    rows = triage(colors_app(here / "app"), source, max_frames=2)
    assert len(rows) == 2
    page = Path("worklist/worklist.html").read_text()
    assert "not complete: the run ended after 2 of 3 pictures" in page


def test_names_are_text_on_the_page_and_no_formula_in_the_table(here: Path) -> None:
    source = pictures(here / "in", a=BLUE)
    (source / "=1+1.png").write_bytes((source / "a.png").read_bytes())
    (source / "<b>x.png").write_bytes((source / "a.png").read_bytes())
    names = {row["picture"] for row in triage(colors_app(here / "app"), source)}
    assert names == {"a.png", "'=1+1.png", "<b>x.png"}
    assert "<b>x" not in Path("worklist/worklist.html").read_text()


def test_a_folder_that_has_something_in_it_is_left_alone(here: Path) -> None:
    app, source = colors_app(here / "app"), pictures(here / "in", a=BLUE)
    triage(app, source)
    before = Path("worklist/worklist.csv").read_bytes()
    with pytest.raises(EdgeError, match="a folder of its own"):
        triage(app, source)
    assert Path("worklist/worklist.csv").read_bytes() == before


def test_several_sources_are_refused_before_anything_is_written(here: Path) -> None:
    app, source = colors_app(here / "app"), pictures(here / "in", a=BLUE)
    request = RunRequest((f"one={source}", f"two={source}"))
    with pytest.raises(EdgeError, match="one source"), prepare_run(load_app(app), request):
        pass
    assert not Path("worklist").exists()


def test_a_detector_is_refused(here: Path) -> None:
    app = colors_app(here / "app")
    (app / "colors.onnx").write_bytes(squares_model().SerializeToString())
    (app / "spec.toml").write_text(SPEC)
    text = (app / "app.toml").read_text()
    head, tail = text.index("[model.spec]"), text.index("[settings.triage]")
    (app / "app.toml").write_text(f'{text[:head].rstrip()}\nspec_file = "spec.toml"\n{text[tail:]}')
    request = RunRequest(str(pictures(here / "in", a=BLUE)))
    with (
        pytest.raises(EdgeError, match="classifies whole pictures"),
        prepare_run(load_app(app), request),
    ):
        pass


def test_the_command_names_the_list_and_writes_events_and_a_video(here: Path) -> None:
    app, source = colors_app(here / "app"), pictures(here / "in", a=RED, b=UNSURE)
    done = edgesdk(
        *("run", app, "--source", source, "--events", "events.jsonl", "--video", "seen.mp4"),
        cwd=here,
    )
    assert done.returncode == 0, done.stderr
    assert "written: worklist/worklist.html" in done.stdout
    events = [json.loads(line) for line in Path("events.jsonl").read_text().splitlines()]
    assert [event["status"] for event in events] == ["sure", "uncertain"]
    assert Path("seen.mp4").stat().st_size > 0
