"""The float model's answers, kept so that many candidates can be measured against them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from edgesdk._progress import Progress, silent
from edgesdk.accuracy.answers import Answer, Reader
from edgesdk.accuracy.bootstrap import DRAWS
from edgesdk.accuracy.crosscheck import CrossCheck, cross_check
from edgesdk.accuracy.groups import Cut, find_cut
from edgesdk.accuracy.judge import Found, Judge, Known
from edgesdk.accuracy.output_error import Row, compare_tensors
from edgesdk.accuracy.samples import Sample, Samples
from edgesdk.accuracy.workers import run_jobs
from edgesdk.backends import Backend, Session, opened
from edgesdk.bundle import OutputAccuracy, TaskMetric
from edgesdk.errors import ModelError
from edgesdk.model import Model
from edgesdk.pictures import PictureSet
from edgesdk.spec import ModelSpec
from edgesdk.tensors import Array, FeedSource

CACHE_BYTES = 128 << 20
"""For the resized pictures, and again for the float model's outputs."""
EXACT_DB = 60.0
"""Outputs that differ by a thousandth of their size or less give no other answers elsewhere."""
CUT_SAMPLES = 4
"""Pictures that show how large an output's channels are."""


@dataclass(frozen=True)
class Measured:
    """What one candidate costs."""

    pictures: int
    outputs: dict[str, OutputAccuracy]
    """By output group."""
    metrics: tuple[TaskMetric, ...]
    """Figures against the labels, where there are any, then "agreement" with the float model."""
    note: str = ""
    """Why there is no figure against labels, where there is none."""

    def metric(self, name: str) -> TaskMetric | None:
        """The figure called `name`."""
        return next((metric for metric in self.metrics if metric.name == name), None)

    @property
    def flat(self) -> tuple[str, ...]:
        """Output groups that always give the same answer, while the float model's vary."""
        return tuple(name for name, output in self.outputs.items() if output.flat)


class Reference:
    """Runs the float model once over the pictures, then measures any number of candidates."""

    def __init__(
        self,
        float_model: Model,
        spec: ModelSpec | None,
        backend: Backend,
        pictures: PictureSet | FeedSource,
        *,
        progress: Progress = silent,
        workers: int = 1,
        cache_bytes: int = CACHE_BYTES,
    ) -> None:
        """`workers`: pictures at a time; more than 1 wants a backend of one thread.

        Raises DataError for labels that do not fit the spec and for pictures that cannot be read,
        ModelError where the outputs are not what the spec's decoder reads.
        """
        self._model, self._backend, self._workers = float_model, backend, workers
        name = float_model.inputs[0].name
        self._samples = Samples(pictures, spec.preprocess if spec else None, name, cache_bytes)
        self._reader = Reader.of(spec)
        if self._reader.decoder is None:
            self._reader = replace(self._reader, cuts=self._find_cuts())
        self._judge = Judge.of(self._reader.task, self._samples.labelled)
        self._known = self._run(progress, cache_bytes)

    @property
    def names(self) -> tuple[str, ...]:
        """Of the pictures, in order; an index into them is what `measure` takes."""
        return tuple(known.sample.name for known in self._known)

    @property
    def source(self) -> str:
        """Where the pictures come from, for people."""
        return self._samples.source

    @property
    def skipped(self) -> dict[str, str]:
        """Picture -> why it could not be read."""
        return self._samples.skipped

    def cross_check(self, candidate: Model, macs: int, pictures: int = 1) -> CrossCheck:
        """Compare what the backend makes of a candidate with onnx.reference.

        On the first `pictures`; `macs` are the candidate's multiply-accumulates for one.
        """
        wanted = range(min(pictures, len(self._known)))
        feeds = [self._samples.feed(sample) for sample in self._samples.again(wanted)]
        with opened(self._backend, self._model) as session:
            samples = [(feed, dict(session.run(feed))) for feed in feeds]
        return cross_check(candidate, self._backend, samples, self._reader.groups, macs)

    def measure(
        self,
        candidate: Model,
        only: Sequence[int] | None = None,
        *,
        draws: int = DRAWS,
        progress: Progress = silent,
    ) -> Measured:
        """Compare a candidate with the float model, on all pictures or those with indices `only`.

        `draws` 0 leaves the intervals out. Raises ModelError when the candidate gives NaN or
        infinity.
        """
        indices = sorted(range(len(self._known)) if only is None else set(only))
        found = self._run_candidate(candidate, indices, progress)
        outputs = self._judge.outputs(found)
        known = (output.sqnr_db for output in outputs.values())
        exact = all(db is None or db >= EXACT_DB for db in known)
        metrics, note = self._judge.against_labels(found, draws, exact)
        metrics += self._judge.agreement(found, draws, exact)
        return Measured(len(found), outputs, metrics, note)

    def _find_cuts(self) -> dict[str, Cut]:
        largest: dict[str, Array] = {}
        with opened(self._backend, self._model) as session:
            for _, sample in zip(range(CUT_SAMPLES), self._samples, strict=False):
                for name, value in session.run(self._samples.feed(sample)).items():
                    size = np.abs(value.astype(np.float32))
                    largest[name] = np.maximum(largest.get(name, size), size)
        found = {name: find_cut(magnitude) for name, magnitude in largest.items()}
        return {name: cut for name, cut in found.items() if cut is not None}

    def _run(self, progress: Progress, free: int) -> list[Known]:
        def job(sample: Sample, sessions: Sequence[Session]) -> Known:
            self._reader.check_classes(sample)
            outputs = sessions[0].run(self._samples.feed(sample))
            answer = self._reader.answer(outputs, sample)
            copies = {name: value.copy() for name, value in outputs.items()}
            return Known(replace(sample, content={}), answer, None, copies)

        result = []
        samples = progress(self._samples, "measure float", self._samples.count)
        for known in run_jobs(self._backend, [self._model], samples, job, self._workers):
            size = sum(value.nbytes for value in (known.outputs or {}).values())
            outputs = known.outputs if size <= free else None
            free -= size if outputs is not None else 0
            card = self._judge.card(known.answer, known.sample)
            result.append(replace(known, card=card, outputs=outputs))
        return result

    def _run_candidate(
        self, candidate: Model, indices: Sequence[int], progress: Progress
    ) -> list[Found]:
        again = any(self._known[i].outputs is None for i in indices)
        models = [candidate, self._model] if again else [candidate]

        def job(sample: Sample, sessions: Sequence[Session]) -> tuple[int, Found]:
            feed, known = self._samples.feed(sample), self._known[sample.index]
            given = sessions[0].run(feed)
            expected = sessions[1].run(feed) if known.outputs is None else known.outputs
            answer: Answer = self._reader.answer(given, sample)
            return sample.index, Found(known, answer, self._rows(sample.name, expected, given))

        samples = progress(self._samples.again(indices), "measure", len(indices))
        found = dict(run_jobs(self._backend, models, samples, job, self._workers))
        return [found[index] for index in indices]

    def _rows(
        self, name: str, expected: Mapping[str, Array], given: Mapping[str, Array]
    ) -> dict[str, Row]:
        ours, theirs = self._reader.groups(expected), self._reader.groups(given)
        rows = {group: compare_tensors(value, theirs[group]) for group, value in ours.items()}
        for group, row in rows.items():
            if not np.isfinite(row).all():
                raise _not_finite(group, name, ours[group])
        return rows


def _not_finite(group: str, name: str, reference: Array) -> ModelError:
    if not np.isfinite(reference).all():
        return ModelError(
            f"the float model itself gives NaN or infinity in {group!r} for {name}",
            "check the model and its preprocessing: scale, mean and std",
        )
    return ModelError(
        f"the built graph gives NaN or infinity in {group!r} for {name}",
        "FP16 overflows where values pass 65504: build it with --precision int8 or fp32",
    )
