"""Whether the INT8 that was asked for really runs in INT8."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from edgesdk.backends.tensorrt.building.built import EngineLayer, Ran
from edgesdk.backends.tensorrt.building.inspector import FUSED

_COMPUTES = re.compile(r"conv|correlation|gemm|matmul|matrix|fully|^fc", re.IGNORECASE)
_MOVES = frozenset({"Reformat", "NoOp", "Constant", "Shuffle", "signal", "wait", "kgen"})


@dataclass(frozen=True)
class NotHonoured:
    """An ONNX node that shall run in INT8."""

    node: str
    precision: Ran
    """What it runs in; "unknown": no layer of the engine names it, or its type is not stated."""
    layer: str = ""
    """The engine's layer."""

    def __str__(self) -> str:
        if not self.layer:
            return f"{self.node} (no layer names it)"
        return f"{self.node} ({self.precision}, in {self.layer!r})"


def not_honoured(layers: Iterable[EngineLayer], wanted: Iterable[str]) -> tuple[NotHonoured, ...]:
    """Nodes of `wanted` that do not run in INT8, or of which the engine does not tell.

    Of several layers that a node went into, those that compute (convolutions, matrix products)
    count; a layer that only converts counts where there is no other.
    """
    by_node: dict[str, list[EngineLayer]] = {}
    for layer in layers:
        for node in layer.origin:
            by_node.setdefault(node, []).append(layer)
    return tuple(
        found for node in wanted if (found := _judge(node, by_node.get(node, []))) is not None
    )


def _judge(node: str, layers: list[EngineLayer]) -> NotHonoured | None:
    computing = [
        layer for layer in layers if _COMPUTES.search(layer.kind) or FUSED.search(layer.kernel)
    ]
    counted = computing or [one for one in layers if one.kind not in _MOVES] or layers
    if any(layer.precision == "int8" for layer in counted):
        return None
    if not counted:
        return NotHonoured(node, "unknown")
    told = next((one for one in counted if one.precision != "unknown"), counted[0])
    return NotHonoured(node, told.precision, told.name)


def say_not_honoured(found: tuple[NotHonoured, ...], wanted: int) -> tuple[str, ...]:
    """Sentences for people; none: all INT8 was honoured."""
    wrong = [one for one in found if one.precision != "unknown"]
    unclear = [one for one in found if one.precision == "unknown"]
    said = []
    if wrong:
        listed = ", ".join(map(str, wrong))
        said.append(f"INT8 NOT HONOURED: {len(wrong)} of {wanted} layers asked for: {listed}")
    if unclear:
        listed = ", ".join(map(str, unclear))
        said.append(f"of {len(unclear)} of {wanted} INT8 layers the engine does not tell: {listed}")
    return tuple(said)
