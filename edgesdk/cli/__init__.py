"""The command line: one module for each verb, each loaded only when it is called."""

from __future__ import annotations

import errno
import os
import sys
from typing import NoReturn

import click

from edgesdk._version import __version__
from edgesdk.cli._lazy import LazyGroup
from edgesdk.errors import EdgeError

_UNWRITABLE = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EPIPE}


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, package_name="edgesdk")
def edgesdk() -> None:
    """Take a trained model to an NVIDIA Jetson at INT8, and prove how right and how fast it is."""


def main() -> None:
    """Run the command; an EdgeError becomes one paragraph on stderr and its exit code.

    So does a stdout that takes nothing more, such as a file on a full disk: exit code 1.
    """
    try:
        edgesdk()
    except EdgeError as error:
        _fail(error)
    except OSError as error:
        # Opening names its file, and what edgesdk writes itself has an error of its own.
        if error.filename is not None or error.errno not in _UNWRITABLE:
            raise
        _drop_stdout()
        _fail(EdgeError(f"cannot write to stdout: {error.strerror or error}"))


def _fail(error: EdgeError) -> NoReturn:
    click.secho("error: ", fg="red", bold=True, nl=False, err=True)
    click.echo(error.message, err=True)
    if error.hint:
        click.secho("hint: ", fg="cyan", nl=False, err=True)
        click.echo(error.hint, err=True)
    sys.exit(error.exit_code)


def _drop_stdout() -> None:
    """Forget what waits for stdout: at its end Python would try once more, and complain."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)
