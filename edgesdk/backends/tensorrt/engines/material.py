"""What TensorRT is given to compile: the bundle's graph, or its form for implicit INT8."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from edgesdk.backends.tensorrt.building.graph_facts import read_facts
from edgesdk.backends.tensorrt.settings import EngineSettings
from edgesdk.backends.tensorrt.version import WEAKLY_TYPED_BEFORE, Version
from edgesdk.bundle import Bundle, Precision
from edgesdk.model import Model
from edgesdk.quantize.implicit import implicit_form, make_implicit


@dataclass(frozen=True)
class Material:
    """A graph, and what stands beside it."""

    model: Model
    ranges: Mapping[str, float] = field(default_factory=dict)
    """Tensor -> amax; empty unless INT8 is implicit."""
    wanted_int8: tuple[str, ...] = ()
    """Nodes that are INT8 in the bundle and can be so here, for implicit INT8; else the graph
    says it."""
    pinned: Mapping[str, Precision] = field(default_factory=dict)
    """Nodes that implicit INT8 must leave in float -> in which."""
    warnings: tuple[str, ...] = ()
    """What the form costs, in sentences."""


def material_of(model: Model, settings: EngineSettings, bundle: Bundle | None) -> Material:
    """What to compile for these settings; `bundle` knows more ranges than the graph alone.

    Raises ModelError when implicit INT8 is asked for and the graph has no INT8.
    """
    if not settings.implicit_int8:
        return Material(model)
    implicit = make_implicit(model) if bundle is None else implicit_form(bundle)
    wanted = tuple(node for node in read_facts(model).int8_nodes if node not in implicit.lost)
    return Material(implicit.model, implicit.ranges, wanted, implicit.pinned, implicit.warnings)


def for_dla(settings: EngineSettings, model: Model, tensorrt: str) -> EngineSettings:
    """The same settings; below TensorRT 11, where DLA knows no Q/DQ, with implicit INT8."""
    weakly_typed = Version.parse(tensorrt) < WEAKLY_TYPED_BEFORE
    needs_it = bool(settings.dla) and weakly_typed and read_facts(model).quantized
    return replace(settings, implicit_int8=settings.implicit_int8 or needs_it)
