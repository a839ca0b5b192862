"""Would another preprocessing suit the float model better? Asked of the model itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from edgesdk.bundle import PreprocessCheck, PreprocessTrial
from edgesdk.checkup.certainty import Image, Judge, Reals, judge_of
from edgesdk.checkup.first_layer import FirstNorm, NormObserver
from edgesdk.checkup.variations import Variation, variations
from edgesdk.geometry import Placement
from edgesdk.preprocess import Preprocess
from edgesdk.tensors import Array, Runner
from edgesdk.vision.decoders import Decoder

MOST = 32
"""Pictures that are used; colours swapped cost a good detector 10 to 25 % of its score, which
fewer do not tell from chance."""
SCREEN = 8
"""Pictures after which a variation that is far behind is not tried further."""
BEHIND = 0.75
"""Share of the spec's own score below which it is."""
LARGEST_GAIN = 1000.0
LARGEST_T = 99.0

NO_DECODER = "the spec names no decoder, so the answers cannot be judged"


def compare_preprocessing(
    runner: Runner,
    input_name: str,
    preprocess: Preprocess,
    images: Sequence[Image],
    *,
    decoder: Decoder | None = None,
    norm: FirstNorm | None = None,
) -> PreprocessCheck:
    """Run the float model on `images` prepared in several ways, and say which it takes best.

    `images` are BGR uint8 of shape (H, W, 3), the first MOST of them are used: 8 runs for each
    variation, 32 for those that keep up, twice for a detector. A detector's `decoder` should have a
    score_threshold of .01. With `norm` (see `first_norm`) the runner has to give its tensor too.
    """
    bench = _Bench(runner, input_name, judge_of(decoder) if decoder else None, norm)
    note = "" if decoder else NO_DECODER
    if not images or (decoder is None and norm is None):
        return PreprocessCheck("", (), note or "there were no pictures")
    images, ways = images[:MOST], list(variations(preprocess))
    short = [bench.run(way, images[:SCREEN]) for way in ways]
    long = list(short)
    if len(images) > SCREEN:
        long = [
            bench.run(way, images) if _keeps_up(result, short[0]) else result
            for way, result in zip(ways, short, strict=True)
        ]
    trials = (
        _trial(way, result, long[0] if result.count == long[0].count else short[0])
        for way, result in zip(ways, long, strict=True)
    )
    return PreprocessCheck(bench.judge.measure if bench.judge else "", tuple(trials), note)


@dataclass(frozen=True, eq=False)
class _Result:
    count: int
    scores: Reals | None
    deviation: float | None


@dataclass(frozen=True)
class _Bench:
    runner: Runner
    input_name: str
    judge: Judge | None
    norm: FirstNorm | None

    def run(self, variation: Variation, images: Sequence[Image]) -> _Result:
        observer = NormObserver(self.norm) if self.norm else None

        def answer(image: Image) -> tuple[Mapping[str, Array], Placement]:
            tensor, placement = variation.preprocess(image)
            outputs = dict(self.runner.run({self.input_name: tensor}))
            if self.norm and observer:
                observer.add(outputs.pop(self.norm.tensor))
            return outputs, placement

        if self.judge:
            scores = self.judge.scores(answer, images)
        else:
            for image in images:
                answer(image)
            scores = None
        return _Result(len(images), scores, observer.deviation if observer else None)


def _keeps_up(result: _Result, own: _Result) -> bool:
    if result.scores is None or own.scores is None:
        return result is own
    return bool(result.scores.mean() >= BEHIND * own.scores.mean())


def _trial(variation: Variation, result: _Result, own: _Result) -> PreprocessTrial:
    """The result beside that of the spec's own preprocessing on the same pictures."""
    score = gain = t = None
    if result.scores is not None and own.scores is not None:
        score, reference = float(result.scores.mean()), float(own.scores.mean())
        gain = _gain(score, reference)
        t = _paired_t(result.scores - own.scores)
    return PreprocessTrial(
        variation.change, variation.title, result.count, score, gain, t, result.deviation
    )


def _gain(score: float, reference: float) -> float:
    if reference > 0:
        return min(score / reference, LARGEST_GAIN)
    return LARGEST_GAIN if score > 0 else 1.0


def _paired_t(differences: Reals) -> float | None:
    """Mean over its standard error; None for fewer than two pictures."""
    if len(differences) < 2:
        return None
    error = float(differences.std(ddof=1)) / np.sqrt(len(differences))
    mean = float(differences.mean())
    if error == 0.0:
        return 0.0 if mean == 0.0 else float(np.copysign(LARGEST_T, mean))
    return float(np.clip(mean / error, -LARGEST_T, LARGEST_T))
