"""Makes the small model of this app from good simulated parts alone, on the CPU.

    python apps/line_inspection/train.py [--steps N] [--batch N] [--seed N] [--threads N]
        [--share S] [--out FILE.onnx]

1. Good parts of simulated lines are cut out by the app's own stage, in other light and blur.
2. A small net learns to find flaws that are made up on them (fitting/flaws.py); no picture of a
   simulated defect is used.
3. `edgesdk.anomaly.fit` describes places of a part by the net's inner layer, keeps a bank of those
   of good parts inside the graph, and sets the threshold by parts that it did not learn.
4. The model is tried on parts of other lines, good and bad; what came out stands beside it in
   JSON.

Writes FILE.onnx, FILE.toml (its spec, with the threshold) and FILE.json. Needs torch, onnxruntime
and opencv-python.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import torch
from fitting.flaws import Picture, flawed, varied
from fitting.net import LAYER, SIZE, Net, export
from fitting.parts import as_set, good_parts, labelled_parts
from torch import nn

from edgesdk.anomaly import Backbone, FitSettings, Fitted, fit, write_fitted
from edgesdk.backends import load_backend, opened
from edgesdk.model import read_model
from edgesdk.preprocess import Preprocess

STRIDE = 4
"""Of the net's answer."""
FALSE_REJECTS = 0.001
"""Of good parts, allowed."""
PREPROCESS = Preprocess(SIZE, SIZE, resize="stretch", color="bgr")


def train(pictures: Sequence[Picture], steps: int, batch: int, seed: int) -> Net:
    """A net that finds made-up flaws: AdamW, one cycle."""
    torch.manual_seed(seed)
    rng, net = np.random.default_rng(seed), Net()
    optimizer = torch.optim.AdamW(net.parameters(), lr=3e-3, weight_decay=1e-3)
    rate = torch.optim.lr_scheduler.OneCycleLR(optimizer, 5e-3, total_steps=steps, pct_start=0.15)
    shown = 0.0
    for step in range(steps):
        images, flaws = _batch(pictures, batch, rng)
        truth = nn.functional.max_pool2d(flaws, STRIDE)
        loss = nn.functional.binary_cross_entropy_with_logits(net(images), truth)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        rate.step()
        shown += float(loss.detach())
        if (step + 1) % 100 == 0:
            say(f"step {step + 1}/{steps} loss {shown / 100:.4f}")
            shown = 0.0
    return net


def _batch(
    pictures: Sequence[Picture], count: int, rng: np.random.Generator
) -> tuple[torch.Tensor, torch.Tensor]:
    """Pictures (N, 3, SIZE, SIZE) and masks (N, 1, SIZE, SIZE); one in four has no flaw."""
    images, masks = [], []
    for number in range(count):
        good = varied(pictures[int(rng.integers(len(pictures)))], rng, SIZE)
        image, mask = flawed(good, rng) if number % 4 else (good, np.zeros((SIZE, SIZE), bool))
        images.append(image)
        masks.append(mask)
    stacked = torch.from_numpy(np.array(images)).permute(0, 3, 1, 2).float()
    return stacked, torch.from_numpy(np.array(masks)).float()[:, None]


def fitted(net: Net, pictures: Sequence[Picture]) -> Fitted:
    """The graph with the bank inside."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "backbone.onnx"
        export(net.backbone, path)
        backbone = Backbone(read_model(path), PREPROCESS)
    settings = FitSettings((LAYER,), false_rejects=FALSE_REJECTS)
    return fit(as_set(pictures, "good simulated parts"), backbone, settings)


def tried(model: Fitted, share: float) -> dict[str, dict[str, float]]:
    """Parts of lines that were not learned: how many of each kind, and how many are rejected."""
    found: dict[str, list[float]] = {}
    with opened(load_backend("onnxruntime", threads=1), model.model) as session:
        name = session.inputs[0].name
        for kind, picture in labelled_parts(share):
            outputs = session.run({name: PREPROCESS(picture)[0]})
            found.setdefault(kind or "good", []).append(float(outputs["score"][0]))
    limit = model.threshold.value
    return {
        kind: {
            "parts": len(scores),
            "rejected": sum(score >= limit for score in scores),
            "lowest": round(min(scores), 3),
            "highest": round(max(scores), 3),
        }
        for kind, scores in sorted(found.items())
    }


def say(text: str) -> None:
    """Progress goes to stderr."""
    print(text, file=sys.stderr, flush=True)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    default = Path(__file__).parent / "model" / "parts.onnx"
    parser.add_argument("--steps", type=int, default=1500, help="batches to train on")
    parser.add_argument("--batch", type=int, default=16, help="pictures in a batch")
    parser.add_argument("--seed", type=int, default=0, help="of weights and made-up flaws")
    parser.add_argument("--share", type=float, default=1.0, help="of each line's frames")
    parser.add_argument("--threads", type=int, default=1, help="CPU threads")
    parser.add_argument("--out", type=Path, default=default, help="the ONNX file to write")
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    cv2.setNumThreads(1)
    begin = time.process_time()
    pictures = good_parts(given.share)
    say(f"{len(pictures)} good parts")
    model = fitted(train(pictures, given.steps, given.batch, given.seed), pictures)
    minutes = round((time.process_time() - begin) / 60, 1)
    given.out.parent.mkdir(parents=True, exist_ok=True)
    write_fitted(model, given.out)
    facts = {
        "data": "good simulated parts only (edgesdk.sim), with made-up flaws",
        "seed": given.seed,
        "steps": given.steps,
        "batch": given.batch,
        "cpu_minutes": minutes,
        "torch": torch.__version__,
        "pictures_in_bank": model.pictures,
        "bank": model.bank,
        "threshold": model.threshold.value,
        "sha256": hashlib.sha256(given.out.read_bytes()).hexdigest(),
        "tried": tried(model, given.share),
    }
    given.out.with_suffix(".json").write_text(json.dumps(facts, indent=2) + "\n")
    say(json.dumps(facts["tried"]))


if __name__ == "__main__":
    main()
