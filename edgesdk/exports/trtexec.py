"""The trtexec command that builds the engine which edgesdk would build.

Its options changed with TensorRT: --buildOnly became --skipInference in 8.6, the precisions went
in 11. What is written here was read in the sources of trtexec 8.5, 8.6, 10.3, 10.13 and 11.1.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping

import onnx

from edgesdk.backends.tensorrt.building.graph_facts import read_facts
from edgesdk.backends.tensorrt.settings import DlaSettings, EngineSettings, ShapeRange
from edgesdk.backends.tensorrt.version import STRONGLY_TYPED, WEAKLY_TYPED_BEFORE, Version
from edgesdk.bundle import Precision
from edgesdk.errors import UsageError
from edgesdk.exports.files import CACHE, ENGINE, GRAPH, LAYERS, TIMING
from edgesdk.exports.target import ExportTarget
from edgesdk.model import Model

LEVELS_SINCE = Version(8, 6)
"""Of --builderOptimizationLevel, --versionCompatible and --skipInference."""
MIB = 1 << 20
PATH = "/usr/src/tensorrt/bin/trtexec"
"""Where JetPack installs it."""
WITH_INDICES, INDICES = frozenset({"TopK", "MaxPool"}), "int32"
"""Operators whose further outputs are whole numbers, and trtexec's word for their type."""
UNSPEAKABLE = ",'*"
"""What a list of trtexec's cannot have in a name: it splits at commas first, and has no escape."""


def trtexec_arguments(target: ExportTarget) -> tuple[str, ...]:
    """All arguments; files are named without a folder.

    Raises UsageError for what this trtexec has no option for.
    """
    return tuple(_arguments(target))


def trtexec_script(target: ExportTarget) -> str:
    """A shell script that builds the engine beside itself."""
    lines = [shlex.quote(argument) for argument in trtexec_arguments(target)]
    command = " \\\n    ".join([f'exec "${{TRTEXEC:-{PATH}}}"', *lines])
    return (
        "#!/bin/sh\n"
        f"# Builds {ENGINE} on {target.device.title} with TensorRT {target.tensorrt}.\n"
        f"# An engine runs only on the GPU and the TensorRT that built it.\n"
        'set -e\ncd "$(dirname "$0")"\n'
        f"{command}\n"
    )


def _arguments(target: ExportTarget) -> Iterator[str]:
    settings, version = target.settings, target.tensorrt
    yield f"--onnx={GRAPH}"
    yield f"--saveEngine={ENGINE}"
    yield from _precision(target)
    yield from _shapes(settings.shapes)
    if settings.dla:
        yield f"--useDLACore={settings.dla.core}"
        if settings.dla.gpu_fallback:
            yield "--allowGPUFallback"
    yield f"--memPoolSize={','.join(_pools(target.workspace_bytes, settings.dla))}"
    yield f"--timingCacheFile={TIMING}"
    yield from _builder(settings, version)
    yield "--profilingVerbosity=detailed"
    yield f"--exportLayerInfo={LAYERS}"
    yield "--skipInference" if version >= LEVELS_SINCE else "--buildOnly"


def _precision(target: ExportTarget) -> Iterator[str]:
    """The graph decides where it can; else the flags that say the same, as the builder has them."""
    settings, version = target.settings, target.tensorrt
    if version >= WEAKLY_TYPED_BEFORE:
        return
    if version >= STRONGLY_TYPED and not settings.dla and not settings.implicit_int8:
        yield "--stronglyTyped"
        return
    facts = read_facts(target.model)
    held: dict[str, Precision] = dict.fromkeys(facts.single_nodes, "fp32")
    if settings.implicit_int8 or facts.quantized:
        yield "--int8"
    if settings.implicit_int8 or facts.half:
        yield "--fp16"
    if settings.implicit_int8:
        yield f"--calib={CACHE}"
        held |= target.implicit.pinned
    yield from held_arguments(held, target.model)


def held_arguments(held: Mapping[str, Precision], model: Model) -> Iterator[str]:
    """Options for nodes that must compute in a precision and give it. Raises UsageError."""
    if not held:
        return
    yield "--precisionConstraints=obey"
    nodes = {node.name: node for node in model.proto.graph.node}
    pairs = [(_name(node), precision) for node, precision in held.items()]
    yield f"--layerPrecisions={','.join(f'{name}:{kind}' for name, kind in pairs)}"
    types = (f"{_name(node)}:{'+'.join(_types(nodes, node, kind))}" for node, kind in held.items())
    yield f"--layerOutputTypes={','.join(types)}"


def _types(nodes: Mapping[str, onnx.NodeProto], name: str, precision: Precision) -> list[str]:
    """One for each output."""
    if name not in nodes:
        return [precision]
    others = INDICES if nodes[name].op_type in WITH_INDICES else precision
    return [precision, *[others] * (len(nodes[name].output) - 1)]


def _shapes(shapes: Mapping[str, ShapeRange]) -> Iterator[str]:
    if not shapes:
        return
    for option in ("min", "opt", "max"):
        sizes = {name: getattr(shape, option) for name, shape in shapes.items()}
        specs = (f"{_name(name)}:{'x'.join(map(str, size))}" for name, size in sizes.items())
        yield f"--{option}Shapes={','.join(specs)}"


def _name(name: str) -> str:
    """A name in a list of pairs; quotes keep its colons apart from the one before the value."""
    if any(mark in name for mark in UNSPEAKABLE):
        raise UsageError(
            f"trtexec cannot be told of {name!r}: its lists have no way to write , ' or *",
            "rename it in the model, or build the engine with edgesdk",
        )
    return f"'{name}'" if ":" in name else name


def _pools(workspace: int, dla: DlaSettings | None) -> Iterator[str]:
    """In MiB, with decimals where it is no whole number: all versions take that."""
    yield f"workspace:{workspace / MIB:.15g}"
    sizes = (
        ("dlaSRAM", dla.sram_bytes if dla else None),
        ("dlaLocalDRAM", dla.local_bytes if dla else None),
        ("dlaGlobalDRAM", dla.global_bytes if dla else None),
    )
    for name, size in sizes:
        if size is not None:
            yield f"{name}:{size / MIB:.15g}"


def _builder(settings: EngineSettings, version: Version) -> Iterator[str]:
    wanted = {
        f"--builderOptimizationLevel={settings.optimization_level}": (
            settings.optimization_level is not None,
            LEVELS_SINCE,
        ),
        "--versionCompatible": (settings.version_compatible, LEVELS_SINCE),
        "--stripWeights": (settings.strip_weights, STRONGLY_TYPED),
    }
    for option, (asked, since) in wanted.items():
        if asked and version < since:
            raise UsageError(
                f"trtexec of TensorRT {version} has no {option.partition('=')[0]}: "
                f"it came with {since}",
                "leave that setting out for this JetPack",
            )
        if asked:
            yield option
