"""Findings about layers: which hurt, which were left in float, and what was added to the graph."""

from __future__ import annotations

from collections.abc import Iterator

from edgesdk.bundle import Calibration, LayerPrecision, Manifest, Recovery
from edgesdk.checkup.finding import SHOWN, Finding, counted, named

NOISY_DB = 10.0
"""A tenth of the energy of a layer's output is noise."""


def layer_findings(manifest: Manifest) -> Iterator[Finding]:
    """All about layers, operators that were added, and the way to the accuracy target."""
    if manifest.precision == "int8":
        yield from _in_float(manifest.layers)
        yield from _noisy(manifest.layers)
    if manifest.calibration:
        yield from _added(manifest.calibration)
    if manifest.recovery:
        yield from _recovery(manifest.recovery)


def _in_float(layers: tuple[LayerPrecision, ...]) -> Iterator[Finding]:
    kept = [layer for layer in layers if layer.precision != "int8"]
    if not kept:
        return
    total = sum(layer.macs for layer in layers) or 1
    share = sum(layer.macs for layer in kept) / total
    yield Finding(
        "layers-in-float",
        "info",
        f"{counted(len(kept), 'layer')} of {len(layers)} with {share:.1%} of the "
        f"multiply-accumulates stayed in float: {named([layer.node for layer in kept])}",
        f"Why: {_reasons(kept) or 'not recorded'}. Each costs time on the board, and so do the "
        "changes of precision around it.",
        "nothing, if the latency suits you",
        tuple(layer.node for layer in kept),
    )


def _reasons(kept: list[LayerPrecision]) -> str:
    """The only reason; or each of the first few with its layers."""
    by_reason: dict[str, list[str]] = {}
    for layer in kept:
        if layer.reason:
            by_reason.setdefault(layer.reason, []).append(layer.node)
    if len(by_reason) < 2:
        return "".join(by_reason)
    told = [f"{named(nodes)}: {reason}" for reason, nodes in by_reason.items()]
    rest = len(told) - SHOWN
    return "; ".join(told[:SHOWN]) + (f"; and {rest} more" if rest > 0 else "")


def _noisy(layers: tuple[LayerPrecision, ...]) -> Iterator[Finding]:
    noisy = {
        layer.node: layer.sqnr_db
        for layer in layers
        if layer.precision == "int8" and layer.sqnr_db is not None and layer.sqnr_db < NOISY_DB
    }
    if noisy:
        worst = sorted(noisy, key=lambda node: noisy[node])
        yield Finding(
            "layers-noisy",
            "warning",
            f"{counted(len(noisy), 'layer')} in INT8 keep less than {NOISY_DB:.0f} dB of signal "
            f"to noise by themselves, the noisiest {worst[0]} with {noisy[worst[0]]:.1f} dB",
            "Noise from one layer goes through all that follow.",
            f"build with --recipe accurate, or with --keep-float '{worst[0]}' and so on",
            tuple(worst),
        )


def _added(calibration: Calibration) -> Iterator[Finding]:
    """A carrier named after its tensor is a Mul of its own; any other is the layer before."""
    added = [t for t, node in calibration.balanced.items() if node.startswith(f"{t}_balance")]
    if added:
        yield Finding(
            "extra-operators",
            "info",
            f"the graph has {counted(len(added), 'pointwise Mul')} more than the float model, "
            f"after {named(added)}",
            "They balance channels of very different size before these are rounded, and could not "
            "be folded into the layer before: something lies between that is not homogeneous, or "
            "others read the tensor too.",
            "nothing; TensorRT is expected to fuse them with their neighbours, which a board shows",
            tuple(added),
        )


def _recovery(recovery: Recovery) -> Iterator[Finding]:
    if recovery.reached or not recovery.steps:
        return
    last = recovery.steps[-1]  # the verified one, that was shipped
    interval = (
        f" (95 % interval {last.low:.4f} to {last.high:.4f})"
        if last.low is not None and last.high is not None
        else ""
    )
    yield Finding(
        "target-missed",
        "problem",
        f"{recovery.metric} is {last.drop:.4f}{interval} below the float model, with "
        f"{last.int8_share:.1%} of the multiply-accumulates in INT8; at most "
        f"{recovery.max_drop:.4f} was asked for",
        "No combination that was tried keeps the target on pictures that it was not chosen on.",
        "allow a larger --max-drop, give more pictures, or build with --precision fp16",
    )
