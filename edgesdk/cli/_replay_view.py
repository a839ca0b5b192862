"""What a replay of an audit log shows."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import click
from rich.table import Table

from edgesdk.apps import App, RunRequest
from edgesdk.apps.replay import Difference, Replay, replay
from edgesdk.cli._console import console
from edgesdk.cli._progress import shown
from edgesdk.errors import UsageError
from edgesdk.inspection import Verdict

SHOWN = 20
"""Differences in the table."""


def run_replay(
    app: App, request: RunRequest, place: Path, changes: Mapping[str, Any], as_json: bool
) -> None:
    """Judge the parts of a log again. Ends the process with 3 when a verdict is another one.

    Raises UsageError when a source or something to write is named as well.
    """
    if request.source or request.events or request.video or request.sinks:
        raise UsageError(
            "a replay has its pictures from the log and writes nothing",
            "leave out --source, --events, --video and --sink",
        )
    result = replay(
        app, request, place, changes, lambda records, count: shown(records, "replay", count)
    )
    if as_json:
        click.echo(json.dumps(_as_object(result), allow_nan=False))
    else:
        _show(result)
    if result.same < result.parts:
        sys.exit(3)


def _show(result: Replay) -> None:
    screen = console()
    origin = result.log.origin
    screen.print(f"{origin.app}, run {origin.run_id}: {result.parts:,} parts", highlight=False)
    for note in result.notes:
        screen.print(f"note: {note}", highlight=False)
    other = result.parts - result.same
    told = [each for each in result.differences if _otherwise(each)]
    if told:
        screen.print(_table(told[:SHOWN]))
    if rest := other - min(len(told), SHOWN):
        alike = (each for each in result.differences if not _otherwise(each))
        screen.print(f"... and {rest:,} more{_fields_of(alike)}", highlight=False)
    verdicts = "verdict" if result.same == 1 else "verdicts"
    screen.print(
        f"{result.same:,} {verdicts} the same in every field, {other:,} not;"
        f" {result.changed_outcomes:,} parts would go the other way",
        highlight=False,
    )


def _fields_of(alike: Iterable[Difference]) -> str:
    """What is different in those of which the table would show twice the same."""
    names = dict.fromkeys(
        name
        for each in alike
        for name, value in vars(each.now).items()
        if value != getattr(each.before, name)
    )
    return f", different in: {', '.join(names)}" if names else ""


def _table(differences: Sequence[Difference]) -> Table:
    table = Table(title="judged otherwise", title_justify="left")
    for column in ("part", "was", "score", "is", "score"):
        table.add_column(column, justify="right" if column in ("part", "score") else "left")
    for each in differences:
        table.add_row(str(each.before.part), *_words(each.before), *_words(each.now))
    return table


def _otherwise(each: Difference) -> bool:
    """In a way that the table shows, and not, say, by another threshold alone."""
    return _words(each.before) != _words(each.now)


def _words(verdict: Verdict) -> tuple[str, str]:
    score = "-" if math.isnan(verdict.score) else f"{verdict.score:.9g}"
    return f"{verdict.outcome} ({verdict.reason})", score


def _as_object(result: Replay) -> dict[str, Any]:
    origin = result.log.origin
    return {
        "app": origin.app,
        "run_id": origin.run_id,
        "digest": origin.digest,
        "parts": result.parts,
        "same": result.same,
        "changed_outcomes": result.changed_outcomes,
        "notes": list(result.notes),
        "differences": [
            {"part": each.before.part, "before": _fields(each.before), "now": _fields(each.now)}
            for each in result.differences
        ],
    }


def _fields(verdict: Verdict) -> dict[str, Any]:
    score = None if math.isnan(verdict.score) else verdict.score
    return {"outcome": verdict.outcome, "reason": verdict.reason, "score": score}
