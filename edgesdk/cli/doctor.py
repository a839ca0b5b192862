"""`edgesdk doctor`: what this machine can do, and what to mend."""

from __future__ import annotations

import json
import shutil
import textwrap

import click

from edgesdk._config import plain
from edgesdk.doctor import Diagnosis, Finding, diagnose
from edgesdk.errors import EdgeError

_MARKS = {"ok": ("ok", "green"), "problem": ("!!", "red"), "absent": ("--", "yellow")}


@click.command()
@click.option("--json", "as_json", is_flag=True, help="One JSON object on stdout.")
def command(as_json: bool) -> None:
    """Say what this machine can do, what that means, and what to mend.

    Ends with 0 when bundles run here, with 1 otherwise.
    """
    diagnosis = diagnose()
    if as_json:
        click.echo(json.dumps(plain(diagnosis), indent=2))
    else:
        _show(diagnosis)
    if not diagnosis.usable:
        problems = (f for f in diagnosis.findings if f.status == "problem")
        raise EdgeError(
            "bundles cannot run on this machine yet",
            "; ".join(f"{problem.name}: {problem.fix}" for problem in problems),
        )


def _show(diagnosis: Diagnosis) -> None:
    for finding in diagnosis.findings:
        _show_finding(finding)
    if diagnosis.usable:
        click.secho("bundles run on this machine", bold=True)


def _show_finding(finding: Finding) -> None:
    mark, color = _MARKS.get(finding.status, ("  ", None))
    click.secho(mark, fg=color, nl=False)
    click.secho(f" {finding.name}: ", bold=True, nl=False)
    click.echo(finding.found)
    _show_line(finding.meaning)
    if finding.fix:
        _show_line(f"to mend: {finding.fix}")


def _show_line(text: str) -> None:
    width = min(shutil.get_terminal_size().columns, 100)
    click.echo(textwrap.fill(text, width, initial_indent="     ", subsequent_indent="     "))
