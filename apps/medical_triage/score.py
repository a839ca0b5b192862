"""Fits the temperature, and measures how right and how honest the model is on unseen pictures.

    python apps/medical_triage/score.py [--retina retina.jpg] [--bundle medical_triage.edge]
    python apps/medical_triage/score.py --model other.onnx --turn N

Without --bundle it measures the float model and writes the figures into model/lesions.json; with
one (the INT8 build) it measures that and writes them there as "int8". The temperature is fitted
on the blocks "fit" of the retina and judged on the blocks "test". Beside the figures it writes the
reliability diagram. The second form only prints: it judges a model of `train.py --turn N`, with
which another quarter of the retina judges.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from lesions.diagram import diagram
from lesions.pictures import SIDE_PX, Patch, Patches, bundled_retina
from numpy.typing import NDArray

from edgesdk.accuracy import Reliability, fit_temperature, reliability
from edgesdk.accuracy.confidence import log_loss, softmax
from edgesdk.apps import load_app
from edgesdk.backends import load_backend_for
from edgesdk.bundle import open_bundle
from edgesdk.model import read_model

HERE = Path(__file__).parent
MODEL = HERE / "model" / "lesions.onnx"
NOTE = MODEL.with_suffix(".json")
PICTURES = 2000
"""To fit on, and as many others to judge with."""


@dataclass(frozen=True, eq=False)
class Said:
    """What the model says of the pictures of one split."""

    logits: NDArray[np.float32]
    """(N, C)."""
    truth: NDArray[np.int64]
    """(N,)."""
    blocks: NDArray[np.int64]
    """(N,), of the retina."""
    found: float
    """Share of the lesion pictures, rightly named, whose hottest place is on a lesion."""

    def reliability(self, temperature: float) -> Reliability:
        """With the logits divided by it."""
        return reliability(softmax(self.logits, temperature), self.truth)

    def may_wait(self, temperature: float) -> float:
        """Share of the lesion pictures that the app would put last: sure, and nothing else left."""
        triage = load_app(HERE).settings.triage
        likely = softmax(self.logits, temperature)[self.truth > 0]
        last = (likely[:, 0] >= triage.sure) & (likely[:, 1:] < triage.ruled_out).all(axis=1)
        return float(last.mean())

    def top1(self) -> float:
        """Share of right answers."""
        return float((self.logits.argmax(axis=1) == self.truth).mean())

    def top1_interval(self) -> tuple[float, float]:
        """95 % of `top1` with other blocks: bootstrap over whole blocks, since the pictures of one
        are alike and 2000 of them say little more than a few."""
        right = self.logits.argmax(axis=1) == self.truth
        hits = np.bincount(self.blocks, right)
        counts = np.bincount(self.blocks)
        drawn = np.random.default_rng(0).integers(len(counts), size=(2000, len(counts)))
        shares = hits[drawn].sum(axis=1) / counts[drawn].sum(axis=1)
        low, high = np.quantile(shares, (0.025, 0.975))
        return float(low), float(high)


def ask(bundle: Path | None, patches: Patches, model_path: Path = MODEL) -> Said:
    """Run the float model, or a bundle, on PICTURES pictures."""
    opened, spec = open_bundle(bundle) if bundle else None, load_app(HERE).spec()
    assert spec is not None
    model = opened.model() if opened else read_model(model_path)
    backend = load_backend_for(opened, "onnxruntime", 1)
    session = backend.open(backend.compile(model))
    logits, truth, blocks, hits = [], [], [], []
    for patch in (patches.make() for _ in range(PICTURES)):
        tensor, _ = spec.preprocess(patch.image)
        outputs = session.run({model.inputs[0].name: tensor})
        logits.append(outputs["logits"][0].copy())
        truth.append(patch.class_id)
        blocks.append(patch.block)
        if patch.class_id and logits[-1].argmax() == patch.class_id:
            hits.append(pointed(outputs["heat"][0, patch.class_id], patch))
    session.close()
    return Said(np.array(logits), np.array(truth), np.array(blocks), float(np.mean(hits)))


def pointed(heat: NDArray[np.float32], patch: Patch) -> bool:
    """The hottest place has a lesion."""
    step = SIDE_PX // heat.shape[0]
    row, column = np.unravel_index(heat.argmax(), heat.shape)
    top, left = int(row) * step, int(column) * step
    return bool(patch.lesions[top : top + step, left : left + step].any())


def figures(test: Said, temperature: float) -> dict[str, float]:
    """What is written down."""
    low, high = test.top1_interval()
    return {
        "pictures": PICTURES,
        "top1": round(test.top1(), 4),
        "top1_low": round(low, 4),
        "top1_high": round(high, 4),
        "log_loss_before": round(log_loss(test.logits, test.truth), 4),
        "log_loss_after": round(log_loss(test.logits / temperature, test.truth), 4),
        "ece_before": round(test.reliability(1.0).ece, 4),
        "ece_after": round(test.reliability(temperature).ece, 4),
        "lesions_that_may_wait": round(test.may_wait(temperature), 4),
        "hottest_place_on_lesion": round(test.found, 4),
    }


def judge_other(retina: Path, model: Path, turn: int) -> None:
    """Fit and judge a model that is only measured, and print its figures."""
    fit = ask(None, Patches(retina, "fit", 1, turn), model)
    temperature = fit_temperature(fit.logits, fit.truth)
    test = ask(None, Patches(retina, "test", 2, turn), model)
    print(json.dumps({"turn": turn, "temperature": temperature, **figures(test, temperature)}))


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--retina", type=Path, help="the picture that lesions are painted on")
    parser.add_argument("--bundle", type=Path, help="measure this bundle, not the float model")
    parser.add_argument("--model", type=Path, help="a float model that is not the app's")
    parser.add_argument("--turn", type=int, default=0, help="as it was trained with")
    given = parser.parse_args()
    if given.model:
        judge_other(given.retina or bundled_retina(), given.model, given.turn)
        return
    retina, note = given.retina or bundled_retina(), json.loads(NOTE.read_text())
    if given.bundle is None:
        fit = ask(None, Patches(retina, "fit", 1))
        note["temperature"] = round(fit_temperature(fit.logits, fit.truth), 3)
    test = ask(given.bundle, Patches(retina, "test", 2))
    temperature = note["temperature"]
    kind = "int8" if given.bundle else "held_out"
    note[kind] = figures(test, temperature)
    if given.bundle is None:
        picture = diagram(test.reliability(1.0), test.reliability(temperature), temperature)
        (HERE / "model" / "reliability.svg").write_text(picture)
    NOTE.write_text(json.dumps(note, indent=2) + "\n")
    print(json.dumps({"temperature": temperature, kind: note[kind]}))


if __name__ == "__main__":
    main()
