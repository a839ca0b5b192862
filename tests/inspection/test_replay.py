"""`edgesdk run APP --replay LOG`: the same verdicts, bit for bit, or what is different."""

from __future__ import annotations

import json
import shutil
import sqlite3
from pathlib import Path

import pytest

from edgesdk.apps import RunRequest, load_app
from edgesdk.apps.replay import replay
from tests.command import edgesdk
from tests.inspection.app import make_app


@pytest.fixture(scope="module")
def logged(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, int]:
    """The app, the folder of its log, and how many parts it judged."""
    folder = tmp_path_factory.mktemp("line")
    app = make_app(folder / "made_line")
    ran = edgesdk("run", str(app), "--sink", f"audit:{folder / 'log'}", "--json")
    assert ran.returncode == 0, ran.stderr
    counts = json.loads(ran.stdout)["counts"]
    return app, folder / "log", sum(sum(row.values()) for row in counts.values())


def test_a_replay_gives_every_verdict_again(logged: tuple[Path, Path, int]) -> None:
    app, log, parts = logged
    assert parts > 10
    ran = edgesdk("run", str(app), "--replay", str(log))
    assert ran.returncode == 0, ran.stderr
    assert f"{parts} verdicts the same in every field, 0 not" in ran.stdout
    assert "note:" not in ran.stdout


def test_another_threshold_shows_which_parts_would_go_the_other_way(
    logged: tuple[Path, Path, int],
) -> None:
    app, log, parts = logged
    ran = edgesdk("run", str(app), "--replay", str(log), "--set", "judge.threshold=0", "--json")
    assert ran.returncode == 3
    told = json.loads(ran.stdout)
    assert told["parts"] == parts
    assert told["same"] == 0, "the threshold is a field of the verdict"
    assert told["notes"] == ["settings are changed with --set"]
    before = [each["before"] for each in told["differences"]]
    assert told["changed_outcomes"] == sum(each["outcome"] == "pass" for each in before)
    assert all(each["now"]["outcome"] == "reject" for each in told["differences"])
    assert all(each["now"]["score"] == each["before"]["score"] for each in told["differences"])


def test_the_table_shows_what_is_judged_otherwise_and_not_each_part_of_another_threshold(
    logged: tuple[Path, Path, int],
) -> None:
    app, log, parts = logged
    with sqlite3.connect(next(log.glob("*.audit"))) as connection:
        rows = connection.execute("SELECT score FROM parts ORDER BY score DESC").fetchall()
    threshold = (rows[0][0] + rows[1][0]) / 2  # above all but one
    ran = edgesdk("run", str(app), "--replay", str(log), "--set", f"judge.threshold={threshold}")
    assert ran.returncode == 3
    assert f"0 verdicts the same in every field, {parts} not" in ran.stdout
    table = [line.split("│") for line in ran.stdout.splitlines() if line.startswith("│")]
    assert table
    assert all(was.split()[0] != now.split()[0] for _, _, was, _, now, *_ in table)
    assert "more, different in: threshold" in ran.stdout


def test_parts_that_go_the_other_way_are_told_first_and_not_crowded_out(
    logged: tuple[Path, Path, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    app, log, _ = logged
    (file,) = log.glob("*.audit")
    with sqlite3.connect(file) as connection:
        rows = connection.execute("SELECT score, part FROM parts ORDER BY score").fetchall()
    (lowest, part), (next_score, _), *_ = rows
    assert part > 2, "or it would be among the first anyhow"
    monkeypatch.setattr("edgesdk.apps.replay.MOST_DIFFERENCES", 2)
    result = replay(
        load_app(app), RunRequest(), log, {"judge": {"threshold": (lowest + next_score) / 2}}
    )
    assert result.changed_outcomes == 1
    assert [each.before.part for each in result.differences] == [part, 0, 1]


def test_another_model_is_named_and_its_scores_are_set_beside_the_old_ones(
    logged: tuple[Path, Path, int], tmp_path: Path
) -> None:
    _, log, parts = logged
    other = make_app(tmp_path / "made_line", middle=0.41)
    ran = edgesdk("run", str(other), "--replay", str(log))
    assert ran.returncode == 3
    assert "the parts were judged by float model (fp32)" in ran.stdout
    assert f"0 verdicts the same in every field, {parts} not" in ran.stdout
    assert "judged otherwise" in ran.stdout


def copied(log: Path, folder: Path) -> Path:
    """The one file of a log again, to be changed."""
    (original,) = log.glob("*.audit")
    return shutil.copy(original, folder / original.name)


def test_a_log_that_was_changed_is_no_evidence(
    logged: tuple[Path, Path, int], tmp_path: Path
) -> None:
    app, log, _ = logged
    copy = copied(log, tmp_path)
    with sqlite3.connect(copy) as connection:
        connection.execute("UPDATE parts SET outcome = 'pass', reason = 'score'")
    ran = edgesdk("run", str(app), "--replay", str(tmp_path))
    assert ran.returncode == 1
    assert "was changed" in ran.stderr


def test_an_app_that_judges_no_parts_says_whose_log_it_is_and_how_to_replay_it(
    logged: tuple[Path, Path, int],
) -> None:
    _, log, _ = logged
    for app in ("traffic_counting", "medical_triage"):
        ran = edgesdk("run", app, "--replay", str(log))
        assert ran.returncode == 2, ran.stderr
        said = " ".join(ran.stderr.split())
        assert f"this log was written by the app made_line, and {app} cannot replay it" in said
        assert f"edgesdk run FOLDER_OF_MADE_LINE --replay {log}" in said


def test_a_log_of_a_shipped_app_names_the_command_that_replays_it(
    logged: tuple[Path, Path, int], tmp_path: Path
) -> None:
    _, log, _ = logged
    copy = copied(log, tmp_path)
    with sqlite3.connect(copy) as connection:
        for key, value in (("app", "line_inspection"), ("model", "bundle (int8)")):
            connection.execute("UPDATE run SET value = ? WHERE key = ?", (json.dumps(value), key))
    ran = edgesdk("run", "traffic_counting", "--replay", str(tmp_path))
    assert ran.returncode == 2, ran.stderr
    wanted = f"hint: edgesdk run line_inspection --bundle BUNDLE --replay {tmp_path}"
    assert wanted in " ".join(ran.stderr.split())


def test_settings_that_this_version_does_not_know_name_the_version_of_the_log(
    logged: tuple[Path, Path, int], tmp_path: Path
) -> None:
    app, log, _ = logged
    copy = copied(log, tmp_path)
    with sqlite3.connect(copy) as connection:
        connection.execute("""UPDATE run SET value = '{"jugde": {}}' WHERE key = 'settings'""")
        connection.execute("UPDATE run SET value = '\"9.9\"' WHERE key = 'edgesdk'")
    ran = edgesdk("run", str(app), "--replay", str(tmp_path))
    assert ran.returncode == 2, ran.stderr
    assert "written by made_line of edgesdk 9.9" in ran.stderr
    assert "jugde" in ran.stderr


def test_a_source_beside_a_log_is_refused(logged: tuple[Path, Path, int]) -> None:
    app, log, _ = logged
    ran = edgesdk("run", str(app), "--replay", str(log), "--source", "sim://line")
    assert ran.returncode == 2
    assert "a replay has its pictures from the log" in ran.stderr
