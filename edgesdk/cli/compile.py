"""`edgesdk compile`: the engine of a bundle, on the machine that has the GPU."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import click

from edgesdk.backends.tensorrt.backend import Machinery, TensorRTBackend
from edgesdk.backends.tensorrt.building.builder import settings_for
from edgesdk.backends.tensorrt.engines.material import for_dla
from edgesdk.backends.tensorrt.engines.store import EngineStore
from edgesdk.backends.tensorrt.machine.host import Host
from edgesdk.backends.tensorrt.settings import DlaSettings, ShapeRange
from edgesdk.bundle import open_bundle
from edgesdk.cli._compile_view import engine_json, list_json, show_engine, show_list
from edgesdk.cli._engine_progress import EngineBar
from edgesdk.errors import BackendError, UsageError

MIB = 2**20


@click.command()
@click.argument("bundle", type=click.Path(path_type=Path))
@click.option("--device-index", type=click.IntRange(0), default=0, help="GPU, as CUDA counts.")
@click.option("--dla-core", type=click.IntRange(0, 1), help="Run on this DLA core what can be.")
@click.option("--no-gpu-fallback", is_flag=True, help="Fail where DLA cannot run a layer.")
@click.option("--workspace-mb", type=click.IntRange(1), help="Scratch memory, MiB.")
@click.option("--optimization-level", type=click.IntRange(0, 5), help="0 quick, 5 tries most.")
@click.option("--version-compatible", is_flag=True, help="For later versions of TensorRT too.")
@click.option(
    "--strip-weights",
    is_flag=True,
    help="Take the weights from the bundle each time; with INT8 not proven on a board.",
)
@click.option("--shape", multiple=True, metavar="NAME=MIN:OPT:MAX", help="Range of an input.")
@click.option("--force", is_flag=True, help="Build it even where it is there already.")
@click.option("--adopt", type=click.Path(path_type=Path), help="Take in an engine built elsewhere.")
@click.option("--trust", is_flag=True, help="With --adopt: you know who built that engine.")
@click.option("--list", "listing", is_flag=True, help="Show the bundle's engines, build none.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object on stdout.")
@click.pass_obj
def command(
    machinery: Machinery | None,
    *,
    bundle: Path,
    device_index: int,
    dla_core: int | None,
    no_gpu_fallback: bool,
    workspace_mb: int | None,
    optimization_level: int | None,
    version_compatible: bool,
    strip_weights: bool,
    shape: tuple[str, ...],
    force: bool,
    adopt: Path | None,
    trust: bool,
    listing: bool,
    as_json: bool,
) -> None:
    """Make the TensorRT engine of BUNDLE for this machine's GPU, and keep it beside the bundle.

    An engine that is there already, for exactly these options on exactly this machine, is kept.
    `run` and `bench` take the engine that was compiled last.
    """
    _check_trust(adopt, trust)
    opened = open_bundle(bundle)
    settings = replace(
        settings_for(opened),
        workspace_bytes=workspace_mb * MIB if workspace_mb else None,
        optimization_level=optimization_level,
        dla=_dla(dla_core, no_gpu_fallback),
        version_compatible=version_compatible,
        strip_weights=strip_weights,
    )
    if shape:
        settings = replace(settings, shapes=dict(map(read_range, shape)))
    store = EngineStore.beside(opened)
    with EngineBar() as bar:
        backend = TensorRTBackend(opened, device_index, bar, machinery)
        if listing:
            _list(store, backend, as_json)
            return
        workshop = backend.workshop(opened.graph_digest)
        model = opened.model()
        settings = for_dla(settings, model, workshop.host.tensorrt)
        found = None if force or adopt else workshop.sound(settings)
        if adopt:
            stored = workshop.adopted(adopt, settings)
        else:
            make = workshop.built if force else workshop.compiled
            stored = found or make(model, settings)
    if as_json:
        click.echo(engine_json(opened, stored, built=found is None and not adopt))
    else:
        show_engine(opened, stored, built=found is None and not adopt)


def read_range(text: str) -> tuple[str, ShapeRange]:
    """("images", its range) from "images=1x3x416x416:4x3x416x416:8x3x416x416".

    One shape alone stands for all three. Raises UsageError.
    """
    name, _, shapes = text.rpartition("=")
    try:
        sizes = [tuple(int(size) for size in one.split("x")) for one in shapes.split(":")]
    except ValueError:
        sizes = []
    if not name or len(sizes) not in (1, 3):
        raise UsageError(
            f"--shape should be NAME=MIN:OPT:MAX, found {text!r}",
            "such as --shape images=1x3x416x416:4x3x416x416:8x3x416x416",
        )
    return name, ShapeRange(sizes[0], sizes[len(sizes) // 2], sizes[-1])


def _dla(core: int | None, no_fallback: bool) -> DlaSettings | None:
    if core is None and no_fallback:
        raise UsageError("--no-gpu-fallback is about DLA", "add --dla-core 0, or leave it out")
    return None if core is None else DlaSettings(core, gpu_fallback=not no_fallback)


def _check_trust(adopt: Path | None, trust: bool) -> None:
    if adopt and not trust:
        raise UsageError(
            f"nothing vouches for {adopt}: deserializing an engine runs what is in it",
            "add --trust if you know who built it, or leave --adopt out to build one here",
        )
    if trust and not adopt:
        raise UsageError("--trust is about an engine that was built elsewhere", "add --adopt FILE")


def _list(store: EngineStore, backend: TensorRTBackend, as_json: bool) -> None:
    """Also where there is no GPU: then the engines are compared with nothing."""
    host: Host | None = None
    reason = ""
    try:
        host = backend.workshop(store.graph).host
    except BackendError as error:
        reason = error.message
    if as_json:
        click.echo(list_json(store, host, reason))
    else:
        show_list(store, host, reason)
