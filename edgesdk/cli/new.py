"""`edgesdk new`: the folder of a site."""

from __future__ import annotations

from pathlib import Path

import click


@click.command()
@click.argument("folder", metavar="NAME", type=click.Path(path_type=Path))
@click.option("--from", "app", required=True, metavar="APP", help="Such as traffic_counting.")
def command(folder: Path, app: str) -> None:
    """Make the folder NAME for one site of a shipped app.

    It has the settings that a site changes, and no code and no model: those stay the app's, and an
    update of edgesdk updates them. Nothing that is there is overwritten.
    """
    from edgesdk.apps.folder import APP_FILE, shipped_app  # noqa: PLC0415 - --help stays fast
    from edgesdk.apps.new import make_site  # noqa: PLC0415

    for path in make_site(folder, app):
        click.echo(path)
    click.echo(f"all settings of the app: {shipped_app(app) / APP_FILE}", err=True)
    click.echo(f"next: look through {folder / APP_FILE}, then edgesdk run {folder}", err=True)
