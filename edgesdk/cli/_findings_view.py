"""One finding of a doctor, for people."""

from __future__ import annotations

import shutil
import textwrap

import click

from edgesdk.checkup import Checkup

_MARKS = {
    "ok": ("ok", "green"),
    "problem": ("!!", "red"),
    "warning": ("! ", "yellow"),
    "absent": ("--", "yellow"),
}
WIDEST = 100
"""Columns of text."""


def show_finding(status: str, name: str, found: str, meaning: str = "", fix: str = "") -> None:
    """Mark, name and what was found; below, what that means and what mends it."""
    mark, color = _MARKS.get(status, ("  ", None))
    click.secho(mark, fg=color, nl=False)
    click.secho(f" {name}: ", bold=True, nl=False)
    click.echo(found)
    if meaning:
        show_line(meaning)
    if fix:
        show_line(f"to mend: {fix}")


def show_checkup(checkup: Checkup, brief: bool = False) -> None:
    """Every finding of a bundle, the gravest first.

    `brief`: a warning is one line, and what is only worth knowing is left out.
    """
    for each in checkup.findings:
        if not brief or each.severity == "problem":
            show_finding(each.severity, each.id, each.found, each.means, each.do)
        elif each.severity == "warning":
            show_finding(each.severity, each.id, each.found)


def show_line(text: str) -> None:
    """A paragraph below a finding."""
    width = min(shutil.get_terminal_size().columns, WIDEST)
    click.echo(textwrap.fill(text, width, initial_indent="     ", subsequent_indent="     "))
