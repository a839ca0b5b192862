"""One scale for tensors between which INT8 only moves, where that costs their layers little."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import inf, log10

from edgesdk.bundle import ScaleGroup
from edgesdk.calibration import Recipe
from edgesdk.calibration.histogram import Histogram
from edgesdk.calibration.observers import squared_error
from edgesdk.quantize.fit import Read, TensorFit, fit_with, noise_with

MOST_LOSS_DB = 3.0
"""What a common scale may cost a layer's output: half a bit."""
LEAST_DB = 20.0
"""A layer whose output is below this must not lose..."""
LITTLE_DB = 0.2
"""...more than this: what fitting another sample of pictures changes too."""
FROM_NOTHING_DB = 99.0
"""Said of a loss where there was no noise at all before."""


@dataclass(frozen=True, eq=False)
class Member:
    """A quantized tensor of a group, with what it has on its own."""

    tensor: str
    amax: float
    histogram: Histogram
    reads: Sequence[Read] = ()
    """Layers that read it; none where only a residual branch does."""
    fit: TensorFit | None = None
    """Of those layers, with `amax`."""


def share_scale(
    members: Sequence[Member], recipe: Recipe, always: bool
) -> tuple[ScaleGroup, dict[str, TensorFit]]:
    """Decide for one group; the fits, by tensor, are those with the common range.

    The range is the one of the members' that costs the layer that loses most the least. It is
    judged on other pictures, with weights rounded for it. `always` takes it whatever it costs.
    Without agreement there are no fits.
    """
    names = tuple(member.tensor for member in members)
    if len({member.amax for member in members}) == 1:
        return ScaleGroup(names, members[0].amax, 0.0), {}
    amax, foreseen = _common(members)
    if not always and foreseen > 2 * MOST_LOSS_DB:
        return _apart(names, foreseen, f"one scale would cost {foreseen:.1f} dB"), {}
    fits = {m.tensor: fit_with(m.reads, amax, recipe) for m in members if m.reads}
    loss, why = _verdict(members, fits, amax)
    if why and not always:
        return _apart(names, loss, why), {}
    return ScaleGroup(names, amax, loss), fits


def _apart(names: tuple[str, ...], loss: float, why: str) -> ScaleGroup:
    return ScaleGroup(names, None, loss, why)


def _common(members: Sequence[Member]) -> tuple[float, float]:
    """The range of least worst loss, and that loss in dB; of equals the largest range."""
    own = [_noises(member, member.amax) for member in members]
    best, least = 0.0, inf
    for amax in sorted({member.amax for member in members}, reverse=True):
        if amax <= 0:
            continue
        found = [_noises(member, amax) for member in members]
        worst = max(
            _loss_db(before, after)
            for mine, theirs in zip(own, found, strict=True)
            for before, after in zip(mine, theirs, strict=True)
        )
        if worst < least or not best:
            best, least = amax, worst
    return best, least


def _noises(member: Member, amax: float) -> list[float]:
    """What this range costs: in each reading layer's output, or in the tensor where none reads."""
    if member.reads:
        return [noise_with(read, amax) for read in member.reads]
    return [squared_error(member.histogram, amax) if amax > 0 else 0.0]


def _loss_db(before: float, after: float) -> float:
    if 0 < before < inf and 0 < after < inf:
        return 10 * log10(after / before)
    return 0.0 if after <= before else FROM_NOTHING_DB


def _verdict(
    members: Sequence[Member], fits: Mapping[str, TensorFit], amax: float
) -> tuple[float, str]:
    """The largest loss in dB, and why that is too much; empty: it is not."""
    found = [loss for member in members for loss in _losses(member, fits, amax)]
    worst = max(found)[0]
    for loss, after, reader in sorted(found, reverse=True):
        if loss > MOST_LOSS_DB or (after < LEAST_DB and loss > LITTLE_DB):
            return worst, f"one scale would cost {reader} {loss:.1f} dB and leave it {after:.1f} dB"
    return worst, ""


def _losses(
    member: Member, fits: Mapping[str, TensorFit], amax: float
) -> list[tuple[float, float, str]]:
    """Of each reading layer: dB lost, dB left, its name. Of a branch, the same of the tensor."""
    if member.fit is None:
        loss = _loss_db(*_noises(member, member.amax), *_noises(member, amax))
        return [(loss, inf, member.tensor)]
    found = []
    for node, own in member.fit.layers.items():
        after = fits[member.tensor].layers[node].sqnr_db
        loss = own.sqnr_db - after if own.sqnr_db != after else 0.0
        found.append((min(max(loss, -FROM_NOTHING_DB), FROM_NOTHING_DB), after, node))
    return found
