"""From good pictures and a backbone to one graph with a bank inside and a threshold."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from edgesdk._progress import Progress, silent
from edgesdk.accuracy.false_rejects import FEWEST, Threshold, find_threshold
from edgesdk.anomaly.bank import PlaceSampler
from edgesdk.anomaly.describing import describing
from edgesdk.anomaly.graph import DESCRIPTION, SCORE, Bank, with_bank
from edgesdk.anomaly.record import learned_pictures, picture_key, with_record
from edgesdk.anomaly.settings import Backbone, FitSettings, Fitted
from edgesdk.backends import load_backend, opened
from edgesdk.errors import DataError
from edgesdk.model import Model
from edgesdk.pictures import Picture, PictureSet
from edgesdk.spec import ModelSpec
from edgesdk.tensors import Array

DEFAULTS = FitSettings()
Look = Callable[[Picture], dict[str, Array]]


def fit(
    pictures: PictureSet,
    backbone: Backbone,
    settings: FitSettings = DEFAULTS,
    progress: Progress = silent,
) -> Fitted:
    """Learn what good parts look like, and the score from which on a part is none.

    Most of the pictures fill the bank; the others, in whole runs of neighbours, set the threshold.
    Raises DataError for too few readable pictures, ModelError or UnknownName for a backbone that
    cannot describe them.
    """
    described, layers = describing(backbone, settings.layers)
    bank, learned = _learn(pictures, described, backbone, settings, progress)
    model = with_record(with_bank(described, bank), learned)
    threshold = _threshold(pictures, model, backbone, settings, progress)
    decoder = {
        "type": "anomaly",
        "threshold": threshold.value,
        "false_rejects": threshold.false_rejects,
    }
    return Fitted(
        model=model,
        spec=ModelSpec(backbone.preprocess, decoder),
        threshold=threshold,
        layers=layers,
        pictures=len(learned),
        bank=len(bank.entries),
        skipped=dict(pictures.skipped),
    )


def held_out(number: int, count: int, settings: FitSettings) -> bool:
    """Whether the picture with this number, of `count`, sets the threshold.

    The pictures are cut into runs of neighbours; every so many runs, one is held out.
    """
    run = _run(number, count, settings)
    return int((run + 1) * settings.held_out) > int(run * settings.held_out)


def _run(number: int, count: int, settings: FitSettings) -> int:
    """Of the picture with this number, of `count`."""
    return number * settings.blocks // max(count, settings.blocks)


@contextmanager
def _looking(model: Model, backbone: Backbone) -> Iterator[Look]:
    """Runs a model on pictures, prepared as the backbone wants them."""
    name = model.inputs[0].name
    with opened(load_backend("onnxruntime", patient=True), model) as session:
        yield lambda picture: session.run({name: backbone.preprocess(picture.image)[0]})


def _learn(
    pictures: PictureSet,
    described: Model,
    backbone: Backbone,
    settings: FitSettings,
    progress: Progress,
) -> tuple[Bank, list[str]]:
    """The bank, and the keys of the pictures in it."""
    count = _count(pictures)
    sampler = PlaceSampler(round(count * (1 - settings.held_out)))
    learned, before = [], Path()
    with _looking(described, backbone) as look:
        for number, picture in enumerate(progress(pictures, "learn", count)):
            before = _no_mask(Path(picture.name), before, pictures)
            if not held_out(number, count, settings):
                sampler.add(look(picture)[DESCRIPTION][0], _run(number, count, settings))
                learned.append(picture_key(picture.image))
    if len(learned) < FEWEST:
        raise _too_few(pictures, len(learned), "learn from")
    return sampler.bank(settings.components, settings.bank, progress), learned


def _no_mask(name: Path, before: Path, pictures: PictureSet) -> Path:
    """`name`, unless it is a second file to the picture that came before it."""
    if (name.parent, name.stem) == (before.parent, before.stem) and name.suffix != before.suffix:
        folder = Path(pictures.source) if Path(pictures.source).is_dir() else Path()
        raise DataError(
            f"{before} and {name.name}: two files of one name, as of masks beside pictures,"
            " which would be learned as good parts",
            f"name the pictures alone, such as '{folder / before.parent}/*{before.suffix}'",
        )
    return name


def _threshold(
    pictures: PictureSet,
    model: Model,
    backbone: Backbone,
    settings: FitSettings,
    progress: Progress,
) -> Threshold:
    """From the pictures that were held out, and are not copies of those that were learned."""
    count, known = _count(pictures), learned_pictures(model)
    scores = []
    with _looking(model, backbone) as look:
        for number, picture in enumerate(progress(pictures, "threshold", count)):
            if held_out(number, count, settings) and picture_key(picture.image) not in known:
                scores.append(float(look(picture)[SCORE][0]))
    if len(scores) < FEWEST:
        raise _too_few(pictures, len(scores), "set the threshold with")
    return find_threshold(scores, settings.false_rejects)


def _count(pictures: PictureSet) -> int:
    if pictures.count is not None:
        return pictures.count
    return sum(1 for _ in pictures.loaders())


def _too_few(pictures: PictureSet, found: int, purpose: str) -> DataError:
    return DataError(
        f"{pictures.source}: {FEWEST} or more good pictures are needed to {purpose}, found {found}",
        "50 and more in all are a beginning, some hundreds are good",
    )
