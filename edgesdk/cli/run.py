"""`edgesdk run`: an app or a bundle on a source."""

from __future__ import annotations

import json
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

import click

from edgesdk.errors import UsageError

if TYPE_CHECKING:
    from edgesdk.apps import App
    from edgesdk.pipeline import Pipeline, Policy

OUT = click.Path(dir_okay=False, path_type=Path)
STOPPING = (signal.SIGINT, signal.SIGTERM)


@click.command()
@click.argument("what", metavar="APP_OR_BUNDLE", default=".")
@click.option(
    "--source",
    "sources",
    multiple=True,
    metavar="[NAME=]SOURCE",
    help="Video, folder of pictures or sim://traffic?seed=3. Several share the model.",
)
@click.option("--bundle", type=click.Path(path_type=Path), help="Bundle to run the app with.")
@click.option("--line", metavar="X1,Y1,X2,Y2", help="Counting line in pixels.")
@click.option("--set", "changes", multiple=True, metavar="KEY=VALUE", help="Change a setting.")
@click.option("--events", type=OUT, help="Write events: .csv, .jsonl or .json.")
@click.option("--video", type=OUT, help="Write an annotated video: .mp4 or .webm.")
@click.option(
    "--sink",
    "sinks",
    multiple=True,
    metavar="URI",
    help="Where else events go, such as sqlite:events.db or mqtt://broker/topic. Several times.",
)
@click.option(
    "--trigger",
    default="",
    metavar="URI",
    help="What fires for each part on a line, such as modbus://host/input/1; or passage.",
)
@click.option("--backend", default="onnxruntime", show_default=True, help="What runs the model.")
@click.option(
    "--threads",
    type=click.IntRange(min=0),
    default=0,
    help="Of the backend for each frame; 0: the cores are shared among --parallel frames.",
)
@click.option(
    "--parallel",
    type=click.IntRange(min=0),
    default=0,
    help="Frames that a CPU works on at once; 0: two.",
)
@click.option("--max-frames", type=click.IntRange(min=1), help="Of each source.")
@click.option(
    "--policy",
    type=click.Choice(["newest", "all"]),
    help="For frames that nobody is ready for: the newest replaces them, or the source waits. "
    "Default: newest for cameras, all for files.",
)
@click.option(
    "--batch-wait",
    type=click.FloatRange(min=0),
    default=20.0,
    show_default=True,
    metavar="MS",
    help="How long a model of a larger batch waits until it is full.",
)
@click.option(
    "--wait",
    type=click.FloatRange(min=0, min_open=True),
    default=30.0,
    show_default=True,
    metavar="SECONDS",
    help="How long each camera's first picture is waited for; inf: for ever.",
)
@click.option(
    "--replay",
    "log",
    type=click.Path(exists=True, path_type=Path),
    metavar="LOG",
    help="Judge the parts of an audit log again and compare; takes no source.",
)
@click.option(
    "--print-pipeline", is_flag=True, help="Say how each source would be opened, and end."
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object on stdout.")
def command(
    *,
    what: str,
    sources: tuple[str, ...],
    bundle: Path | None,
    line: str | None,
    changes: tuple[str, ...],
    events: Path | None,
    video: Path | None,
    sinks: tuple[str, ...],
    trigger: str,
    backend: str,
    threads: int,
    parallel: int,
    max_frames: int | None,
    policy: Policy | None,
    batch_wait: float,
    wait: float,
    log: Path | None,
    print_pipeline: bool,
    as_json: bool,
) -> None:
    """Run an app (its folder, or a shipped one's name) or a bundle on a source, or on several.

    Inside an app's folder nothing needs to be named. Of several sources each has the app's code
    and its video to itself; all share the model and the events file, whose column stream tells
    them apart.

    Ctrl-C ends the run after the frame in hand, within 2 s even when a camera hangs: the files
    are complete, the summary is printed, and the exit code is 130. So it is where Ctrl-C comes
    while the first picture of a camera is waited for.

    --replay ends with 3 when a part is judged otherwise than it was.
    """
    # Loaded here, so that --help stays fast.
    from edgesdk.apps import RunRequest, prepare_run, sources_of  # noqa: PLC0415
    from edgesdk.cli._addresses import addresses_told  # noqa: PLC0415
    from edgesdk.cli._engine_progress import EngineBar  # noqa: PLC0415
    from edgesdk.cli._pipelines import show_pipelines  # noqa: PLC0415
    from edgesdk.cli._run_view import Bar, announce, as_object, expected, show, tell_failures  # noqa: PLC0415

    app = open_app(what, bundle, read_changes(changes, line))
    bar, compiling = Bar(), EngineBar()
    request = RunRequest(
        sources,
        bundle,
        backend,
        threads,
        events,
        video,
        compiling,
        policy,
        batch_wait,
        sinks,
        wait,
        parallel,
        trigger,
    )
    if log is not None:
        from edgesdk.cli._replay_view import run_replay  # noqa: PLC0415

        run_replay(app, request, log, read_changes(changes, line), as_json)
        return
    if print_pipeline:
        show_pipelines(sources_of(app, request), as_json)
        return
    with told_when_interrupted(), compiling, prepare_run(app, request, [bar]) as run:
        announce(app, run)
        with addresses_told(run.sinks):
            bar.begin(expected(run, max_frames))
            with stopping_on_signals(run.pipeline) as received:
                summary = run.pipeline.run(max_frames)
    if as_json:
        click.echo(json.dumps(as_object(app, run, backend, summary), allow_nan=False))
    else:
        show(run, summary)
    failed = tell_failures(summary)
    if received or failed:
        sys.exit(128 + received[0] if received else 1)


def open_app(what: str, bundle: Path | None, changes: dict[str, Any]) -> App:
    """The app, or the bundle as an app of its own."""
    from edgesdk.apps import bundle_app, load_app  # noqa: PLC0415
    from edgesdk.capture import without_secrets  # noqa: PLC0415

    path = Path(what)
    if "://" in what or what.startswith("/dev/") or (path.is_file() and path.suffix != ".edge"):
        raise UsageError(
            f"{without_secrets(what)} is something to run on, not an app or a bundle",
            f"edgesdk run traffic_counting --source {without_secrets(what)}",
        )
    if path.suffix != ".edge" and not (path / "manifest.json").is_file():
        return load_app(what).with_settings(changes)
    if changes or bundle:
        raise UsageError(
            f"{what} is a bundle: it takes no --line, --set or --bundle",
            f"run an app with it: edgesdk run apps/traffic_counting --bundle {what}",
        )
    return bundle_app(path)


def read_changes(changes: Sequence[str], line: str | None) -> dict[str, Any]:
    """Settings as a table: in KEY=VALUE, VALUE is JSON, and what is not JSON is a text."""
    table: dict[str, Any] = {}
    for text in changes:
        key, equals, value = text.partition("=")
        if not equals or not key.strip():
            raise UsageError(f"--set takes KEY=VALUE, found {text!r}", "such as --set line_at=0.5")
        _put(table, key.strip(), _value(value))
    if line is not None:
        table["line"] = _four_numbers(line)
    return table


class Interrupted(KeyboardInterrupt):
    """Ctrl-C or SIGTERM, where there is no run to be stopped in order."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.number = number


@contextmanager
def told_when_interrupted() -> Iterator[None]:
    """Ctrl-C or SIGTERM unwinds the body, closes what it opened, and ends with a sentence."""

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise Interrupted(number)

    before = {number: signal.signal(number, interrupt) for number in STOPPING}
    try:
        yield
    except Interrupted as interrupted:
        name = signal.Signals(interrupted.number).name
        click.echo(
            f"stopped by {name} before the run was over; what was opened is closed", err=True
        )
        sys.exit(128 + interrupted.number)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def stopping_on_signals(pipeline: Pipeline) -> Iterator[list[int]]:
    """The first Ctrl-C or SIGTERM stops the run in order; a second one ends it at once.

    Gives the list in which the number of the received signal will stand.
    """
    received: list[int] = []
    before = {number: signal.getsignal(number) for number in STOPPING}

    def stop(number: int, frame: FrameType | None) -> None:
        received.append(number)
        pipeline.stop()
        for each, handler in before.items():
            signal.signal(each, handler)

    for number in STOPPING:
        signal.signal(number, stop)
    try:
        yield received
    except Interrupted as second:
        name = signal.Signals(second.number).name
        click.echo(f"ended at once by a second {name}: what it cut short is not complete", err=True)
        sys.exit(128 + received[0])
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _put(table: dict[str, Any], key: str, value: Any) -> None:
    """Set table["a"]["b"] for the key a.b."""
    *folders, name = key.split(".")
    for folder in folders:
        table = table.setdefault(folder, {})
        if not isinstance(table, dict):
            raise UsageError(f"--set {key}: {folder} is given a value of its own as well")
    table[name] = value


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        return text


def _four_numbers(text: str) -> list[float]:
    try:
        numbers = [float(part) for part in text.split(",")]
    except ValueError:
        numbers = []
    if len(numbers) != 4:
        raise UsageError(f"--line takes four numbers, found {text!r}", "such as 0,220,640,220")
    return numbers
