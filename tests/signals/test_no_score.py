"""A verdict without a score (nothing was seen, a step failed) reaches each kind of record."""

from __future__ import annotations

import csv
import json
import sqlite3
from pathlib import Path

import pytest

from edgesdk.sinks import open_sink
from edgesdk.sinks.messages import Numbering
from tests.signals.samples import facts, packet, unseen, verdict


def written(kind: str, path: Path) -> None:
    sink = open_sink(f"{kind}:{path}", facts())
    sink.accept(packet(unseen(0), verdict(1, "pass", score=0.25)))
    sink.close()


def test_a_message_has_null_where_there_is_no_score() -> None:
    """JSON has no NaN: a broker's subscriber or a web server would refuse the whole message."""
    (message,) = Numbering(facts()).messages(packet(unseen(4)))
    body = json.loads(message.as_json("line"), parse_constant=pytest.fail)
    assert body["event"]["score"] is None
    assert body["event"]["part"] == 4
    assert body["event"]["reason"] == "unseen"


def test_json_files_have_null(tmp_path: Path) -> None:
    written("jsonl", tmp_path / "v.jsonl")
    lines = (tmp_path / "v.jsonl").read_text().splitlines()
    rows = [json.loads(line, parse_constant=pytest.fail) for line in lines]
    assert [row["score"] for row in rows] == [None, 0.25]
    written("json", tmp_path / "v.json")
    whole = json.loads((tmp_path / "v.json").read_text(), parse_constant=pytest.fail)
    assert [row["score"] for row in whole] == [None, 0.25]


def test_a_table_has_null(tmp_path: Path) -> None:
    written("sqlite", tmp_path / "v.db")
    with sqlite3.connect(tmp_path / "v.db") as database:
        rows = database.execute("SELECT part, score FROM verdict ORDER BY part").fetchall()
    assert rows == [(0, None), (1, 0.25)]
    database.close()


def test_a_csv_file_has_an_empty_field(tmp_path: Path) -> None:
    written("csv", tmp_path / "v.csv")
    with (tmp_path / "v.csv").open() as file:
        scores = [row["score"] for row in csv.DictReader(file)]
    assert scores == ["", "0.25"]
