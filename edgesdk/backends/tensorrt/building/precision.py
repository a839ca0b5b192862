"""How a graph's precision is put to TensorRT: by strong types, or by flags.

From 10 on a network can be strongly typed: each tensor has the type that the graph gives it, and
nothing is left to choose. Below, types are hints, and a flag allows each precision that the graph
holds. DLA below 11 wants flags as well, and its INT8 comes from ranges beside the graph.

TensorRT's TF32 stays on, its default: products of float32 keep the range and round to 10 bits.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import cast

from edgesdk.backends.tensorrt.api import from_ten, until_ten
from edgesdk.backends.tensorrt.api.always import Flag, IBuilderConfig, INetworkDefinition, TensorRT
from edgesdk.backends.tensorrt.building.calibrator import RangeCalibrator, make_calibrator
from edgesdk.backends.tensorrt.building.graph_facts import GraphFacts
from edgesdk.backends.tensorrt.features import Features
from edgesdk.backends.tensorrt.settings import EngineSettings
from edgesdk.bundle import Precision
from edgesdk.errors import BackendError


@dataclass(frozen=True)
class Typing:
    """How precision is asked for."""

    strong: bool
    """The graph's types hold; no flags."""
    int8: bool = False
    """Allow INT8, in a network that is not strongly typed."""
    fp16: bool = False
    """Allow FP16, as above."""
    held: Mapping[str, Precision] = field(default_factory=dict)
    """Nodes to hold in a precision, in a network that is not strongly typed."""


def decide_typing(
    features: Features,
    facts: GraphFacts,
    settings: EngineSettings,
    pinned: Mapping[str, Precision] | None = None,
) -> Typing:
    """What to ask for; `pinned` are nodes that implicit INT8 must leave in float.

    Raises BackendError for what this TensorRT has no way to ask for.
    """
    if settings.implicit_int8:
        return _implicit(features, facts, pinned or {})
    if settings.dla and not facts.half and not facts.quantized:
        raise BackendError(
            "DLA computes in INT8 and FP16 only, and the graph is float32",
            "build the bundle with --precision fp16, or with --recipe dla for INT8",
        )
    if settings.dla and facts.quantized and features.weak_typing:
        raise BackendError(
            f"DLA of TensorRT {features.version} takes no Q/DQ pairs, and the graph has some",
            "ask for implicit INT8: the ranges then go in beside the graph",
        )
    if features.strong_typing and not (settings.dla and features.weak_typing):
        return Typing(strong=True)
    return Typing(False, facts.quantized, facts.half, _single(facts))


def _single(facts: GraphFacts) -> dict[str, Precision]:
    """Float32 islands of a graph that is allowed FP16."""
    return dict.fromkeys(facts.single_nodes, "fp32")


def _implicit(features: Features, facts: GraphFacts, pinned: Mapping[str, Precision]) -> Typing:
    if not features.weak_typing:
        raise BackendError(
            f"TensorRT {features.version} takes ranges only inside the graph",
            "leave implicit INT8 out: the bundle's graph has its ranges inside",
        )
    if facts.quantized:
        raise BackendError(
            "implicit INT8 was asked for, and the graph still has Q/DQ pairs",
            "give the graph without pairs, and the ranges beside it",
        )
    # DLA and GPU may fall back to FP16 where a layer has no range or no INT8 kernel.
    return Typing(False, int8=True, fp16=True, held={**_single(facts), **pinned})


def network_flags(trt: TensorRT, typing: Typing, features: Features) -> int:
    """Bits for `create_network`."""
    kinds = trt.NetworkDefinitionCreationFlag
    if typing.strong:
        return 1 << int(cast("type[from_ten.NetworkDefinitionCreationFlag]", kinds).STRONGLY_TYPED)
    if features.weak_typing:
        weak = cast("type[until_ten.NetworkDefinitionCreationFlag]", kinds)
        return 1 << int(weak.EXPLICIT_BATCH)
    return 0


def precision_flags(trt: TensorRT, typing: Typing) -> tuple[Flag, ...]:
    """Flags for the builder's config; none for a strongly typed network, which refuses them."""
    if typing.strong:
        return ()
    flags = cast("type[until_ten.BuilderFlag]", trt.BuilderFlag)
    found = [flags.INT8] if typing.int8 else []
    if typing.fp16:
        found.append(flags.FP16)
    if typing.held:
        # A float32 island stands where float16 overflows. PREFER would leave it in FP16 with one
        # line in the log when float32 seems to lack a kernel; OBEY fails the build instead.
        found.append(flags.OBEY_PRECISION_CONSTRAINTS)
    return tuple(found)


def hold(
    trt: TensorRT, network: INetworkDefinition, nodes: Mapping[str, Precision]
) -> tuple[str, ...]:
    """Hold these nodes' layers in float32 or FP16. Returns the nodes without a layer.

    The parser gives a layer the name of its node. Outputs that are no floats, such as the indices
    of TopK, keep their type: they can have no other.
    """
    missing = set(nodes)
    floats = (trt.DataType.FLOAT, trt.DataType.HALF)
    for index in range(network.num_layers):
        layer = network.get_layer(index)
        if layer.name in nodes:
            missing.discard(layer.name)
            weak = cast("until_ten.ILayer", layer)
            single = nodes[layer.name] == "fp32"
            dtype = trt.DataType.FLOAT if single else trt.DataType.HALF
            weak.precision = dtype
            for output in range(layer.num_outputs):
                if layer.get_output(output).dtype in floats:
                    weak.set_output_type(output, dtype)
    return tuple(sorted(missing))


def hand_over_ranges(
    trt: TensorRT, config: IBuilderConfig, ranges: Mapping[str, float]
) -> RangeCalibrator:
    """Hand over ranges that stand beside the graph (tensor -> amax).

    Keep the calibrator until the engine is built, then look at `refused`. Raises BackendError
    without ranges.
    """
    if not ranges:
        raise BackendError(
            "implicit INT8 needs the ranges of calibration, and none were given",
            "give those of the bundle: only an INT8 bundle has them",
        )
    calibrator = make_calibrator(cast("until_ten.TensorRT", trt), ranges)
    cast("until_ten.IBuilderConfig", config).int8_calibrator = calibrator
    return calibrator
