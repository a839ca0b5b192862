"""Trains the small vehicle detector of this app on simulated traffic, on the CPU.

    python apps/traffic_counting/train.py [--steps N] [--seed N] [--threads N] [--out FILE.onnx]

Writes the ONNX model and beside it a JSON file that says how it was made and how good it is on
scenes it never saw. The head is YOLOX's (Ge et al., "YOLOX: Exceeding YOLO Series in 2021",
arXiv:2107.08430) as edgesdk's decoder "yolox" reads it; the input is BGR 0..255.
Only simulated pictures are used. Needs torch, onnxruntime, opencv-python and pycocotools.
"""

from __future__ import annotations

import argparse
import copy
import hashlib
import json
import math
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import nn
from training.loss import Loss
from training.net import Net, export
from training.pictures import HEIGHT, WIDTH, Pool
from training.score import score

from edgesdk.sim import LABELS


def train(steps: int, batch: int, seed: int) -> Net:
    """The averaged weights (EMA) after AdamW with a warm-up and a cosine."""
    torch.manual_seed(seed)
    net, loss_of = Net().to(memory_format=torch.channels_last), Loss()
    average: Net = copy.deepcopy(net)
    pool = Pool(min(512, batch * steps), np.random.default_rng(seed))
    optimizer = torch.optim.AdamW(net.parameters(), weight_decay=1e-3)
    begin, shown = time.monotonic(), 0.0
    for step in range(steps):
        warm, cosine = (step + 1) / 200, 0.51 + 0.49 * math.cos(math.pi * step / steps)
        optimizer.param_groups[0]["lr"] = 2.5e-3 * min(warm, 1.0) * cosine
        images, truth = pool.batch(batch, fresh=2)
        loss = loss_of(net(images.to(memory_format=torch.channels_last)), truth)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(net.parameters(), 20.0)
        optimizer.step()
        follow(average, net, min(0.998, (1 + step) / (10 + step)))
        shown += float(loss.detach())
        if (step + 1) % 50 == 0:
            spent = time.monotonic() - begin
            left = spent / (step + 1) * (steps - step - 1)
            say(f"step {step + 1}/{steps} loss {shown / 50:.3f} {spent:.0f} s, {left:.0f} s left")
            shown = 0.0
    average.eval()
    return average


def follow(average: Net, net: Net, keep: float) -> None:
    """Move the average towards the net; counters are copied."""
    with torch.no_grad():
        for old, new in zip(average.state_dict().values(), net.state_dict().values(), strict=True):
            old.lerp_(new, 1 - keep) if old.is_floating_point() else old.copy_(new)


def say(text: str) -> None:
    """Progress goes to stderr."""
    print(text, file=sys.stderr, flush=True)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    default = Path(__file__).parent / "model" / "vehicles.onnx"
    parser.add_argument("--steps", type=int, default=2600, help="batches to train on")
    parser.add_argument("--batch", type=int, default=16, help="pictures in a batch")
    parser.add_argument("--seed", type=int, default=0, help="of weights, scenes and augmentation")
    parser.add_argument("--threads", type=int, default=2, help="CPU threads")
    parser.add_argument("--out", type=Path, default=default, help="the ONNX file to write")
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    cv2.setNumThreads(1)
    begin = time.monotonic()
    net = train(given.steps, given.batch, given.seed)
    minutes = round((time.monotonic() - begin) / 60, 1)
    difference = export(net, given.out, WIDTH, HEIGHT)
    facts = {
        "data": "simulated scenes only (edgesdk.sim)",
        "labels": LABELS,
        "seed": given.seed,
        "steps": given.steps,
        "batch": given.batch,
        "minutes": minutes,
        "torch": torch.__version__,
        "sha256": hashlib.sha256(given.out.read_bytes()).hexdigest(),
        "largest_difference_from_torch": difference,
        "held_out": score(given.out),
    }
    given.out.with_suffix(".json").write_text(json.dumps(facts, indent=2) + "\n")
    say(json.dumps(facts["held_out"]))


if __name__ == "__main__":
    main()
