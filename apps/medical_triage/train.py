"""Trains the small classifier of this app on a retina with simulated lesions, on the CPU.

    python apps/medical_triage/train.py [--retina retina.jpg] [--steps N] [--seed N]

Without --retina the picture is scikit-image's (pip install scikit-image). Writes the ONNX model,
beside it a JSON file that says how it was made, and the pictures that the app carries. Then
score.py fits the temperature. Needs torch, onnxruntime and opencv-python.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import math
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import torch
from lesions.net import Net, export
from lesions.pictures import LABELS, SIDE_PX, Patch, Patches, bundled_retina
from torch import nn
from torch.nn.functional import cross_entropy

HERE = Path(__file__).parent
CALIBRATION, SAMPLES = 60, 24
"""Pictures that are written for the app."""
JPEG = (cv2.IMWRITE_JPEG_QUALITY, 92)


def train(patches: Patches, steps: int, batch: int, seed: int) -> Net:
    """AdamW with a warm-up and a cosine on pictures that are all made anew.

    The loss is that of the class of the picture and of each place: lesions are painted, so it is
    known where they are, and the heat map learns to lie on them.
    """
    torch.manual_seed(seed)
    net = Net(len(LABELS)).to(memory_format=torch.channels_last)
    optimizer = torch.optim.AdamW(net.parameters(), weight_decay=1e-3)
    begin, shown = time.monotonic(), 0.0
    for step in range(steps):
        warm, cosine = (step + 1) / 100, 0.5 + 0.5 * math.cos(math.pi * step / steps)
        optimizer.param_groups[0]["lr"] = 3e-3 * min(warm, 1.0) * cosine
        made = [patches.make() for _ in range(batch)]
        images = torch.from_numpy(np.stack([p.image for p in made])).permute(0, 3, 1, 2) / 255
        truth = torch.tensor([p.class_id for p in made])
        logits, heat = net(images)
        loss = cross_entropy(logits, truth) + cross_entropy(heat, by_place(made, heat.shape[2:]))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        shown += float(loss.detach())
        if (step + 1) % 50 == 0:
            spent = time.monotonic() - begin
            say(f"step {step + 1}/{steps} loss {shown / 50:.3f} {spent:.0f} s")
            shown = 0.0
    return net.eval()


def by_place(made: list[Patch], size: torch.Size) -> torch.Tensor:
    """The class of each place of the heat map: the picture's where a lesion is, else "none"."""
    lesions = torch.from_numpy(np.stack([p.lesions for p in made])).float()
    there = nn.functional.adaptive_max_pool2d(lesions, size).long()
    return there * torch.tensor([p.class_id for p in made])[:, None, None]


def say(text: str) -> None:
    """Progress goes to stderr."""
    print(text, file=sys.stderr, flush=True)


def write_samples(retina: Path) -> None:
    """The pictures that the app carries: to calibrate INT8 with, and to run on."""
    calibration, patches = HERE / "calibration", Patches(retina, "train", 3)
    for number in range(CALIBRATION):
        patch = patches.make(number % len(LABELS))
        place = calibration / LABELS[patch.class_id] / f"{number:02d}.jpg"
        place.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(place), patch.image, JPEG)
    pictures, patches = HERE / "pictures", Patches(retina, "test", 4)
    pictures.mkdir(exist_ok=True)
    truth = []
    for number in range(SAMPLES):
        patch = patches.make()
        cv2.imwrite(str(pictures / f"{number:02d}.jpg"), patch.image, JPEG)
        truth.append(f"{number:02d}.jpg,{LABELS[patch.class_id]}\n")
    (pictures / "truth.csv").write_text("picture,label\n" + "".join(truth))


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    default = HERE / "model" / "lesions.onnx"
    parser.add_argument("--retina", type=Path, help="the picture that lesions are painted on")
    parser.add_argument("--steps", type=int, default=2400, help="batches to train on")
    parser.add_argument("--batch", type=int, default=32, help="pictures in a batch")
    parser.add_argument("--seed", type=int, default=0, help="of weights and pictures")
    parser.add_argument("--turn", type=int, default=0, help="quarter of the blocks that judges")
    parser.add_argument("--threads", type=int, default=1, help="CPU threads")
    parser.add_argument("--out", type=Path, default=default, help="the ONNX file to write")
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    cv2.setNumThreads(1)
    begin, retina = time.monotonic(), given.retina or bundled_retina()
    patches = Patches(retina, "train", given.seed, given.turn)
    net = train(patches, given.steps, given.batch, given.seed)
    facts = {
        "data": "one healthy retina (CC0) with simulated lesions; no picture of a patient",
        "labels": LABELS,
        "seed": given.seed,
        "steps": given.steps,
        "batch": given.batch,
        "minutes": round((time.monotonic() - begin) / 60, 1),
        "torch": torch.__version__,
        "largest_difference_from_torch": export(net, given.out, SIDE_PX),
        "sha256": hashlib.sha256(given.out.read_bytes()).hexdigest(),
    }
    given.out.with_suffix(".json").write_text(json.dumps(facts, indent=2) + "\n")
    if given.out == default:
        write_samples(retina)


if __name__ == "__main__":
    main()
