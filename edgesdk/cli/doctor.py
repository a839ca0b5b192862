"""`edgesdk doctor`: what this machine can do, or how well a bundle was calibrated."""

from __future__ import annotations

import json
from pathlib import Path

import click

from edgesdk._config import plain
from edgesdk.checkup import Checkup
from edgesdk.cli._bundle_doctor import BundleQuestion, examined, report_json, write_page
from edgesdk.cli._field_report import DEFAULT, write_report
from edgesdk.cli._findings_view import show_checkup, show_finding, show_line
from edgesdk.doctor import Diagnosis, diagnose
from edgesdk.errors import EdgeError, UsageError
from edgesdk.fieldreport import ReportRequest


@click.command()
@click.option(
    "--bundle",
    "bundles",
    type=click.Path(path_type=Path),
    multiple=True,
    help="Examine this bundle instead. With --report: its engines' layers; may be repeated.",
)
@click.option("--html", type=click.Path(path_type=Path), help="Write a page about the bundle.")
@click.option("--model", default="", help="Is the bundle that of this ONNX file or app?")
@click.option("--spec", type=click.Path(path_type=Path), help="... and of this SPEC.toml?")
@click.option(
    "--report",
    type=click.Path(dir_okay=False, path_type=Path),
    is_flag=False,
    flag_value=DEFAULT,
    help=f"Pack what a maintainer needs to see into one zip file. ({DEFAULT})",
)
@click.option(
    "--gpu-tests",
    type=click.Path(path_type=Path),
    help="Into the report: results of scripts/test -m gpu --junitxml FILE.",
)
@click.option(
    "--bench",
    type=click.Path(path_type=Path),
    multiple=True,
    help="Into the report: a latency report of edgesdk bench --out; may be repeated.",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object on stdout.")
def command(
    *,
    bundles: tuple[Path, ...],
    html: Path | None,
    model: str,
    spec: Path | None,
    report: Path | None,
    gpu_tests: Path | None,
    bench: tuple[Path, ...],
    as_json: bool,
) -> None:
    """Say what this machine can do, what that means, and what to mend.

    Ends with 0 when bundles run here, with 1 otherwise.  With --bundle: what the bundle tells of
    its calibration and accuracy; ends with 1 when there is a problem.  With --report: writes a
    file for the maintainers; nothing is sent anywhere.
    """
    about_bundle = html or model or spec
    if report is not None:
        if about_bundle:
            raise UsageError("--html, --model and --spec do not go with --report")
        write_report(Path(report), ReportRequest(bundles, gpu_tests, bench), as_json)
        return
    if gpu_tests or bench:
        raise UsageError("--gpu-tests and --bench go into a report", "add --report")
    if len(bundles) > 1:
        raise UsageError("one bundle at a time is examined", "name several with --report only")
    if bundles:
        _bundle(BundleQuestion(bundles[0], model, spec, html), as_json)
        return
    if about_bundle:
        raise UsageError("--html, --model and --spec are about a bundle", "name it with --bundle")
    _machine(as_json)


def _machine(as_json: bool) -> None:
    diagnosis = diagnose()
    if as_json:
        click.echo(json.dumps(plain(diagnosis), indent=2))
    else:
        _show_machine(diagnosis)
    if not diagnosis.usable:
        problems = (f for f in diagnosis.findings if f.status == "problem")
        raise EdgeError(
            "bundles cannot run on this machine yet",
            "; ".join(f"{problem.name}: {problem.fix}" for problem in problems),
        )


def _bundle(question: BundleQuestion, as_json: bool) -> None:
    bundle, checkup = examined(question)
    if question.html is not None:
        write_page(question.html, bundle, checkup)
    if as_json:
        click.echo(report_json(bundle, checkup))
    else:
        _show_checkup(checkup)
    if not checkup.healthy:
        problems = dict.fromkeys(f.id for f in checkup.findings if f.severity == "problem")
        raise EdgeError(f"{bundle.path}: {checkup.verdict}", f"see {', '.join(problems)}")


def _show_machine(diagnosis: Diagnosis) -> None:
    for finding in diagnosis.findings:
        show_finding(finding.status, finding.name, finding.found, finding.meaning, finding.fix)
    if diagnosis.usable:
        click.secho("bundles run on this machine", bold=True)


def _show_checkup(checkup: Checkup) -> None:
    show_checkup(checkup)
    if checkup.unknown:
        show_line(f"not looked at, for want of evidence: {'; '.join(checkup.unknown)}")
    if checkup.healthy:
        click.secho(checkup.verdict, bold=True)
