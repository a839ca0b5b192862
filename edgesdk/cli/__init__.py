"""The command line: one module for each verb, each loaded only when it is called."""

from __future__ import annotations

import sys

import click

from edgesdk._version import __version__
from edgesdk.cli._lazy import LazyGroup
from edgesdk.errors import EdgeError


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, package_name="edgesdk")
def edgesdk() -> None:
    """Take a trained model to an NVIDIA Jetson at INT8, and prove how right and how fast it is."""


def main() -> None:
    """Run the command; an EdgeError becomes one paragraph on stderr and its exit code."""
    try:
        edgesdk()
    except EdgeError as error:
        click.secho("error: ", fg="red", bold=True, nl=False, err=True)
        click.echo(error.message, err=True)
        if error.hint:
            click.secho("hint: ", fg="cyan", nl=False, err=True)
            click.echo(error.hint, err=True)
        sys.exit(error.exit_code)
