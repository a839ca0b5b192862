"""`edgesdk zoo`: third-party models by name, checked by digest."""

from __future__ import annotations

import json

import click
from rich import box
from rich.progress import BarColumn, DownloadColumn, Progress, TimeRemainingColumn
from rich.table import Table

from edgesdk._config import plain
from edgesdk.cli._console import console as make_console
from edgesdk.zoo import ZooEntry, load_entry, pull, zoo_names


@click.group(no_args_is_help=True)
def command() -> None:
    """Third-party models by name: each has its own licence, and its digest is checked."""


@command.command("list")
@click.option("--json", "as_json", is_flag=True, help="One JSON object on stdout.")
def list_models(as_json: bool) -> None:
    """List the models with their licences and where they come from."""
    entries = [load_entry(name) for name in zoo_names()]
    if as_json:
        click.echo(json.dumps({"models": [plain(entry) for entry in entries]}, indent=2))
        return
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    table.add_column("model", no_wrap=True)
    for column in ("task", "MB", "licence", "download"):
        table.add_column(column)
    for e in entries:
        size = f"{e.size_bytes / 1e6:.1f}"
        table.add_row(e.name, e.task, size, e.licence, "yes" if e.url else "by hand")
    make_console().print(table)
    for e in entries:
        click.echo(f"{e.name}: {e.origin}")


@command.command("pull")
@click.argument("name")
@click.option("--json", "as_json", is_flag=True, help="One JSON object on stdout.")
def pull_model(name: str, as_json: bool) -> None:
    """Print the path of a model's file, downloading it where it is not here yet."""
    entry = load_entry(name)
    path = str(_pull_with_bar(entry))
    found = {"name": entry.name, "path": path, "sha256": entry.sha256, "licence": entry.licence}
    click.echo(json.dumps(found) if as_json else path)


def _pull_with_bar(entry: ZooEntry) -> str:
    console = make_console(stderr=True)
    columns = ("{task.description}", BarColumn(), DownloadColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task(f"downloading {entry.file}", total=entry.size_bytes, visible=False)
        path = pull(entry, lambda done, _: bar.update(task, completed=done, visible=True))
    console.print(f"{entry.name}: licence {entry.licence}; {entry.origin}", soft_wrap=True)
    return str(path)
