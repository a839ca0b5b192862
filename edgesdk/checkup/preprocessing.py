"""Would another preprocessing suit the float model better? Asked of the model itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from edgesdk.bundle import PreprocessCheck, PreprocessTrial
from edgesdk.checkup.certainty import Image, Judge, Judged, Reals, judge_of
from edgesdk.checkup.first_layer import FirstNorm, NormObserver
from edgesdk.checkup.variations import Variation, variations
from edgesdk.geometry import Placement
from edgesdk.preprocess import Preprocess
from edgesdk.tensors import Array, Runner

SCREEN, USUAL, MOST = 8, 32, 64
"""Pictures after which is decided whether a variation is tried on more. Colours swapped cost a good
model 10 to 25 % of its score, which a few pictures do not tell from chance."""
BEHIND_T = -0.5
"""A variation that does worse than this on SCREEN pictures is tried no further: the right one among
wrong ones does so once in forty times."""
UNDECIDED_T = 1.0, 3.0
"""Only between these is it tried beyond USUAL."""
LARGEST_GAIN = 1000.0
LARGEST_T = 99.0

NO_DECODER = "the spec names no decoder of boxes or classes, so the answers cannot be judged"
TOO_LITTLE = "the float model finds too little in these pictures for its answers to be judged"


def compare_preprocessing(
    runner: Runner,
    input_name: str,
    preprocess: Preprocess,
    images: Sequence[Image],
    *,
    decoder: Judged | None = None,
    norm: FirstNorm | None = None,
) -> PreprocessCheck:
    """Run the float model on `images` prepared in several ways, and say which it takes best.

    `images` are BGR uint8 of shape (H, W, 3); the first MOST are used at most, for most variations
    8 or 32 of them, each run twice for a detector. Take the `decoder`
    from `judging_decoder`. With `norm` (see `first_norm`) the runner has to give its tensor too.
    """
    note = "" if decoder else NO_DECODER
    if not images or (decoder is None and norm is None):
        return PreprocessCheck("", (), note or "there were no pictures")
    judge = judge_of(decoder) if decoder else None
    bench = _Bench(runner, input_name, judge, norm, images)
    given, *others = variations(preprocess)
    own: dict[int, _Result] = {}
    trials = [_tried(bench, way, given, own) for way in others]
    first = own[max(own)]
    trials.insert(0, _trial(given, first, first))
    if judge is None:
        return PreprocessCheck("", tuple(trials), note)
    found = max(trial.score or 0 for trial in trials)
    note = "" if found >= judge.least else TOO_LITTLE
    return PreprocessCheck(judge.measure, tuple(trials), note, judge.least)


def _tried(
    bench: _Bench, way: Variation, given: Variation, own: dict[int, _Result]
) -> PreprocessTrial:
    """On as many pictures as it takes; `own` keeps the results of `given` by number of pictures."""
    trial = _trial(way, *_pair(bench, way, given, own, SCREEN))
    for size in (USUAL, MOST):
        if len(bench.images) > trial.pictures and _undecided(trial):
            trial = _trial(way, *_pair(bench, way, given, own, size))
    return trial


def _pair(
    bench: _Bench, way: Variation, given: Variation, own: dict[int, _Result], size: int
) -> tuple[_Result, _Result]:
    """Results of a variation and of the spec's own way on the same first `size` pictures."""
    count = min(size, len(bench.images))
    if count not in own:
        own[count] = bench.run(given, count)
    return bench.run(way, count), own[count]


def _undecided(trial: PreprocessTrial) -> bool:
    """Whether more pictures could tell more."""
    if trial.t is None:
        return False
    if trial.pictures <= SCREEN:
        return trial.t >= BEHIND_T
    return UNDECIDED_T[0] <= trial.t < UNDECIDED_T[1]


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
    images: Sequence[Image]

    def run(self, variation: Variation, count: int) -> _Result:
        images = self.images[:count]
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
