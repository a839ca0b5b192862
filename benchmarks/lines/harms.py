"""Detections that are harmed on purpose: lost, off, or of fewer frames."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from benchmarks.crossings import Passed
from benchmarks.lines.cases import Case, TrueLine, level, true_line
from edgesdk.detections import Detections
from edgesdk.sim import TrafficScene, parse_uri

Lines = tuple[TrueLine, ...]
Harm = Callable[[Detections, np.random.Generator], Detections]


def _lost(share: float) -> Harm:
    return lambda found, chance: found[chance.random(len(found)) >= share]


def _moved(px: float) -> Harm:
    def harm(found: Detections, chance: np.random.Generator) -> Detections:
        moved = found.xyxy + chance.normal(0, px, found.xyxy.shape).astype(np.float32)
        low, high = np.minimum(moved[:, :2], moved[:, 2:]), np.maximum(moved[:, :2], moved[:, 2:])
        return replace(found, xyxy=np.concatenate([low, high], axis=1))

    return harm


SEEDS = (1, 2)
ORDINALS = {2: "second", 3: "third", 4: "fourth"}
HARMS: dict[str, Harm] = {
    "nothing": lambda found, chance: found,
    "10 % lost": _lost(0.1),
    "20 % lost": _lost(0.2),
    "40 % lost": _lost(0.4),
    "2 px off": _moved(2),
    "5 px off": _moved(5),
    "20 % lost, 3 px off": lambda f, chance: _moved(3)(_lost(0.2)(f, chance), chance),
}


def harmed(group: str, true: Sequence[Detections], fps: float, lines: Lines) -> list[Case]:
    """True boxes of one video: some lost, some off, some frames left out."""
    bare = Case(group, group, fps, tuple((i, _nameless(d)) for i, d in enumerate(true)), lines)
    rates = [case for every in (2, 3) for case in (skipping(bare, every), slow(bare, every))]
    return [
        *(
            _with(bare, name, seed)
            for name in HARMS
            for seed in SEEDS[: 1 if name == "nothing" else None]
        ),
        *rates,
    ]


def simulated(seed: int) -> list[Case]:
    """A minute of a road."""
    scene = TrafficScene(parse_uri(f"sim://traffic?seed={seed}&fps=12&frames=720"))
    true = [scene.truth(i) for i in range(720)]
    lines = tuple(true_line(*level(y), true) for y in (180, 216, 250))
    cases = harmed("simulated road", true, 12.0, lines)
    return [replace(case, name=f"{case.name} {seed}") for case in cases]


def _with(bare: Case, name: str, seed: int) -> Case:
    chance = np.random.default_rng(seed)
    frames = tuple((i, HARMS[name](found, chance)) for i, found in bare.frames)
    return replace(bare, name=f"{name}, draw {seed}, {bare.name}", frames=frames)


def skipping(case: Case, every: int) -> Case:
    """A machine that is too slow for its camera: it drops frames, and knows which."""
    return replace(
        case, name=f"every {ORDINALS[every]} frame, {case.name}", frames=case.frames[::every]
    )


def slow(case: Case, every: int) -> Case:
    """A slower camera."""
    frames = tuple((i, found) for i, (_, found) in enumerate(case.frames[::every]))
    lines = tuple(_slower(line, every) for line in case.lines)
    name = f"1/{every} of the rate, {case.name}"
    return replace(case, name=name, fps=case.fps / every, frames=frames, lines=lines)


def _slower(line: TrueLine, every: int) -> TrueLine:
    def less(some: tuple[Passed, ...]) -> tuple[Passed, ...]:
        return tuple(replace(p, frame=p.frame // every) for p in some)

    return replace(line, sure=less(line.sure), possible=less(line.possible))


def _nameless(true: Detections) -> Detections:
    return Detections(true.xyxy, np.full(len(true), 0.8, np.float32), np.zeros(len(true), np.int64))
