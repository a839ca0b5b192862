"""Ranges of tensors that the bundle has in float and implicit INT8 would round, and what it costs.

They are the outputs of the last layers, as a rule, and there one scale for all channels can ruin
what it does not ruin inside: coordinates lie beside scores that are twenty times as large. So
rounding is tried on the net's own answers, and a tensor that costs them too much stays in float.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from math import log10

from edgesdk._progress import Progress
from edgesdk.build.draft import Draft
from edgesdk.build.ranking import PICTURES, Jury, noise_share
from edgesdk.bundle import ImplicitRange
from edgesdk.calibration import Statistics
from edgesdk.calibration.observers import Observer, saturated_share
from edgesdk.quantize.groups import moves_on_dla
from edgesdk.quantize.rounded import round_tensors

MOST_LOSS_DB = 3.0
"""What rounding all of them together may cost an output: half a bit."""
GOOD_DB = 35.0
"""An output that keeps this may lose more: its error is 2 % of its size."""
FROM_NOTHING_DB = 99.0
"""Said of a loss where there was no noise at all before."""
ZERO = "it was zero on all pictures"

Noises = Mapping[str, float]
"""Output group -> noise over signal."""


def unstated_ranges(
    draft: Draft, seen: Statistics, observer: Observer, jury: Jury, progress: Progress
) -> dict[str, ImplicitRange]:
    """The ranges of `draft.unstated`, by the recipe's observer; empty without any.

    What DLA makes with the scale that it reads, an average for one, has the range of its input.
    """
    found = {}
    makers = {out: node for node in draft.model.proto.graph.node for out in node.output}
    for tensor, shifts in draft.unstated.items():
        histogram = seen.tensors[tensor].whole(shifts)
        maker = makers[tensor]
        given = draft.amax.get(maker.input[0]) if moves_on_dla(maker) else None
        amax = observer.amax(histogram) if given is None else given
        share = saturated_share(histogram, amax)
        found[tensor] = ImplicitRange(amax, histogram.largest, share)
    alive = {tensor: one.amax for tensor, one in found.items() if one.amax > 0}
    judged = _judged(draft, {t: found[t] for t in alive}, jury, progress)
    return {t: judged.get(t) or replace(one, reason=ZERO) for t, one in found.items()}


def _judged(
    draft: Draft, found: Mapping[str, ImplicitRange], jury: Jury, progress: Progress
) -> dict[str, ImplicitRange]:
    """Tensors that cost least come first, as long as all together stay within MOST_LOSS_DB."""
    if not found:
        return {}
    amax = {tensor: one.amax for tensor, one in found.items()}
    before = _noises(draft, {}, jury)
    if _loss(before, _noises(draft, amax, jury))[0] <= MOST_LOSS_DB:
        return dict(found)
    alone = {
        tensor: _noises(draft, {tensor: amax[tensor]}, jury)
        for tensor in progress(list(found), "try rounding", len(found))
    }
    costs = {tensor: _loss(before, noises) for tensor, noises in alone.items()}
    judged, now = {}, dict(before)
    for tensor in sorted(found, key=lambda name: costs[name][0]):
        # Noise of several tensors adds up as long as it is small.
        more = {g: now[g] + max(alone[tensor][g] - before[g], 0.0) for g in now}
        total, group = _loss(before, more)
        if total <= MOST_LOSS_DB:
            judged[tensor], now = found[tensor], more
        else:
            judged[tensor] = replace(found[tensor], reason=_why(group, costs[tensor][0], total))
    return {tensor: judged[tensor] for tensor in found}


def _noises(draft: Draft, amax: Mapping[str, float], jury: Jury) -> dict[str, float]:
    graph = round_tensors(draft.graph(), amax)
    measured = jury.reference.measure(graph, jury.few(PICTURES), draws=0)
    return {group: noise_share(output.sqnr_db) for group, output in measured.outputs.items()}


def _loss(before: Noises, after: Noises) -> tuple[float, str]:
    """In dB, of the output group that loses most, and that group."""
    losses = ((_group_loss(noise, after[group]), group) for group, noise in before.items())
    return max(losses, default=(0.0, ""))


def _group_loss(before: float, after: float) -> float:
    if after <= max(before, 10 ** (-GOOD_DB / 10)):
        return 0.0
    return 10 * log10(after / before) if before > 0 else FROM_NOTHING_DB


def _why(group: str, alone: float, total: float) -> str:
    if alone <= MOST_LOSS_DB:
        return f"with others rounded too, the output {group!r} would lose {total:.1f} dB"
    return f"rounded to INT8 it would cost the output {group!r} {alone:.1f} dB"
