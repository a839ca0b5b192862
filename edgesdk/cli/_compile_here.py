"""After a build on a board: the engine as well."""

from __future__ import annotations

import click

from edgesdk.backends.tensorrt.backend import Machinery, TensorRTBackend
from edgesdk.backends.tensorrt.building.builder import settings_for
from edgesdk.board import read_board
from edgesdk.bundle import Bundle
from edgesdk.cli._compile_view import show_engine
from edgesdk.cli._engine_progress import EngineBar
from edgesdk.errors import EdgeError


def compile_here(bundle: Bundle, machinery: Machinery, *, show: bool) -> None:
    """Compile the bundle's engine where this is a Jetson that can.

    Elsewhere nothing happens, and nothing is said: a desk makes bundles. An engine that cannot be
    built is a warning, because the bundle is whole and may be meant for another board.
    """
    if read_board(machinery.root) is None:
        return
    with EngineBar() as bar:
        backend = TensorRTBackend(bundle, progress=bar, machinery=machinery)
        if not backend.probe().usable:
            return
        try:
            workshop = backend.workshop(bundle.graph_digest)
            settings = settings_for(bundle)
            found = workshop.sound(settings)
            stored = found or workshop.compiled(bundle.model(), settings)
        except EdgeError as error:
            click.secho("warning: ", fg="yellow", nl=False, err=True)
            click.echo(f"the bundle is written, its engine is not: {error.message}", err=True)
            click.echo(f"  then: edgesdk compile {bundle.path}", err=True)
            return
    if show:
        show_engine(bundle, stored, built=found is None)
