"""Trains the small vehicle detector of this app, on the CPU.

    python apps/traffic_counting/train.py --only-simulated --out first.onnx    # from nothing
    python apps/traffic_counting/train.py --start first.onnx                   # goes on from there

The second command adds real pictures from the folder EDGESDK_ASSETS: frames labelled by YOLOX-nano
and pictures of COCO. Each writes the ONNX model and beside it a JSON file that says how it was made
and how good it is on pictures it never saw. The head is YOLOX's (Ge et al., "YOLOX: Exceeding YOLO
Series in 2021", arXiv:2107.08430) as edgesdk's decoder "yolox" reads it; the input is BGR 0..255.
Needs torch, onnxruntime, opencv-python and pycocotools.
"""

from __future__ import annotations

import argparse
import copy
import hashlib
import json
import math
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from torch import nn
from training.batches import Pictures, batch
from training.example import HEIGHT, WIDTH
from training.labelled import HELD_OUT_FRAMES, TRAINED_FRAMES, Assets
from training.loss import Loss
from training.net import Net, export, restore
from training.real import Real
from training.score import score, simulated
from training.simulated import Simulated

from edgesdk._resources import assets_folder
from edgesdk.errors import EdgeError
from edgesdk.sim import LABELS

NEAR_PX = 60.0
"""A vehicle on the road clip that is wider is near: few frames have one, and those are counted."""


@dataclass(frozen=True)
class Schedule:
    """How long and how fast."""

    steps: int
    """Batches."""
    batch: int
    """Pictures in a batch."""
    rate: float
    """The highest learning rate, after the warm-up."""
    seed: int
    """Of weights, scenes and augmentation."""
    bfloat16: bool
    """Multiply in bfloat16: a third less time on a CPU that has it, more on one that has not."""


def train(net: Net, sources: Sequence[Pictures], schedule: Schedule) -> Net:
    """The averaged weights (EMA) after AdamW with a warm-up and a cosine."""
    net, loss_of = net.to(memory_format=torch.channels_last), Loss()
    average: Net = copy.deepcopy(net)
    optimizer = torch.optim.AdamW(net.parameters(), weight_decay=1e-3)
    begin, shown, steps = time.monotonic(), 0.0, schedule.steps
    for step in range(steps):
        warm, cosine = (step + 1) * 13 / steps, 0.51 + 0.49 * math.cos(math.pi * step / steps)
        optimizer.param_groups[0]["lr"] = schedule.rate * min(warm, 1.0) * cosine
        images, truth = batch(sources, schedule.batch)
        with torch.autocast("cpu", torch.bfloat16, enabled=schedule.bfloat16):
            raw = net(images.to(memory_format=torch.channels_last))
        loss = loss_of(raw.float(), truth)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(net.parameters(), 20.0)
        optimizer.step()
        follow(average, net, min(1 - 5.2 / steps, (1 + step) / (10 + step)))
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


def opened_assets() -> Assets:
    """The real pictures. Raises EdgeError where they are absent."""
    folder = assets_folder()
    if folder is None:
        raise EdgeError(
            "training on real pictures needs the assets, and EDGESDK_ASSETS names no folder",
            "set it to the folder with models/, video/ and data/, or train with --only-simulated",
        )
    return Assets(folder)


def real(assets: Assets, rng: np.random.Generator) -> Real:
    """The road, COCO's pictures with vehicles, and pictures without; in these shares."""
    coco = assets.coco("train2017")
    with_vehicles = [example for example in coco if len(example.boxes)]
    without = [example for example in coco if not len(example.boxes)] + assets.others()
    road = assets.road(TRAINED_FRAMES)[::2]
    near = [example for example in road if (np.ptp(example.boxes[:, 0::2], 1) > NEAR_PX).any()]
    return Real(((0.2, road), (0.3, near), (0.35, with_vehicles), (0.15, without)), rng)


def measured(path: Path, assets: Assets | None) -> dict[str, Any]:
    """On simulated scenes, and on real pictures where they are at hand; all unseen."""
    scores: dict[str, Any] = {"held_out": score(path, simulated())}
    if assets is not None:
        scores["held_out_road_against_teacher"] = score(path, assets.road(HELD_OUT_FRAMES)[::4])
        vehicles = [example for example in assets.coco("val2017") if len(example.boxes)]
        scores["coco_val_pictures_with_vehicles"] = score(path, vehicles)
    return scores


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    default = Path(__file__).parent / "model" / "vehicles.onnx"
    parser.add_argument("--only-simulated", action="store_true", help="no real pictures")
    parser.add_argument("--start", type=Path, help="an exported model to go on from")
    parser.add_argument("--steps", type=int, default=2600, help="batches to train on")
    parser.add_argument("--batch", type=int, default=16, help="pictures in a batch")
    parser.add_argument("--rate", type=float, default=2.5e-3, help="highest learning rate")
    parser.add_argument("--seed", type=int, default=0, help="of weights, scenes and augmentation")
    parser.add_argument("--bfloat16", action="store_true", help="faster on CPUs that have it")
    parser.add_argument("--threads", type=int, default=2, help="CPU threads")
    parser.add_argument("--out", type=Path, default=default, help="the ONNX file to write")
    return parser.parse_args()


def main() -> None:
    """Train, export, measure, write down."""
    given = arguments()
    torch.set_num_threads(given.threads)
    cv2.setNumThreads(1)
    schedule = Schedule(given.steps, given.batch, given.rate, given.seed, given.bfloat16)
    assets = None if given.only_simulated else opened_assets()
    torch.manual_seed(given.seed)
    rng = np.random.default_rng(given.seed)
    begin, net = time.monotonic(), Net()
    kept = max(given.batch, min(512, given.batch * given.steps // 15))
    drawn = Simulated(kept, rng)
    sources: list[Pictures] = [drawn]
    if assets is not None:
        sources = [drawn, drawn, real(assets, rng)]
    if given.start is not None:
        restore(net, given.start, batch(sources, 64)[0])
    net = train(net, sources, schedule)
    facts = {
        "data": "simulated scenes (edgesdk.sim)" + (", real pictures" if assets else " only"),
        "labels": LABELS,
        **asdict(schedule),
        "start_sha256": given.start and hashlib.sha256(given.start.read_bytes()).hexdigest(),
        "minutes": round((time.monotonic() - begin) / 60, 1),
        "torch": torch.__version__,
        "largest_difference_from_torch": export(net, given.out, WIDTH, HEIGHT),
        "sha256": hashlib.sha256(given.out.read_bytes()).hexdigest(),
        **measured(given.out, assets),
    }
    given.out.with_suffix(".json").write_text(json.dumps(facts, indent=2) + "\n")
    say(json.dumps(facts, indent=2))


if __name__ == "__main__":
    try:
        main()
    except EdgeError as error:
        sys.exit(f"error: {error}")
