"""Outputs of other libraries' detectors with random weights, and what those libraries make of them.

Run it in the peers' environment of benchmarks/pipeline; see README.md beside it.
"""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
import torchvision
from torchvision.models.detection.anchor_utils import DefaultBoxGenerator
from torchvision.models.detection.ssd import SSD
from ultralytics.models.rtdetr.predict import RTDETRPredictor
from ultralytics.models.yolo.detect import DetectionPredictor
from ultralytics.nn.modules.head import Detect, RTDETRDecoder

HERE = Path(__file__).parent
NAMES = {0: "a", 1: "b", 2: "c"}
IOU, MOST = 0.45, 300
CHANNELS = (16, 16, 16)


def save(name: str, **arrays: Any) -> None:
    np.savez_compressed(HERE / f"{name}.npz", **{k: np.asarray(v) for k, v in arrays.items()})


def suppression(count: int) -> None:
    """Boxes around a few objects, of several classes; what torchvision keeps, within and across."""
    make = np.random.default_rng(count)
    objects = max(1, count // 12)
    center, size = make.uniform(60, 580, (objects, 2)), make.uniform(30, 160, (objects, 2))
    of = make.integers(0, objects, count)
    middle = center[of] + make.normal(0, 0.1, (count, 2)) * size[of]
    half = size[of] * np.exp(make.normal(0, 0.15, (count, 2))) / 2
    boxes = np.concatenate([middle - half, middle + half], axis=1).astype(np.float32)
    score = (make.permutation(count) / count).astype(np.float32)
    kind = make.integers(0, 10, objects)[of]
    told = torch.from_numpy(boxes), torch.from_numpy(score)
    by_class = torchvision.ops.batched_nms(*told, torch.from_numpy(kind), IOU)
    across = torchvision.ops.nms(*told, IOU)
    save(
        f"suppression_{count}", boxes=boxes, score=score, class_id=kind,
        by_class=by_class.numpy(), across=across.numpy(),
    )  # fmt: skip


def loud(head: Any) -> Any:
    """Weights are random; with a wide last layer the answers differ from place to place."""
    for part in head.modules():
        if isinstance(part, (torch.nn.Conv2d, torch.nn.Linear)) and part.bias is not None:
            torch.nn.init.normal_(part.weight, std=1.5 / part.weight[0].numel() ** 0.5)
            distances = isinstance(part, torch.nn.Conv2d) and part.out_channels == 4
            torch.nn.init.constant_(part.bias, 2.0 if distances else 0.0)
    return head.eval()


def ultralytics(
    name: str, head: Any, predictor_class: Any, side: int, end2end: bool, read: Any
) -> None:
    """A head's output for noise, and the boxes that `predict` gives for a wide picture."""
    size = (500, 300)
    maps = [torch.randn((1, 16, side // s, side // s)) for s in (8, 16, 32)]
    tensor = torch.zeros((1, 3, side, side))
    with torch.inference_mode():
        head = loud(head)(maps)
    head = head[0] if isinstance(head, (tuple, list)) else head
    threshold = float(np.quantile(read(head.numpy()), 0.7))
    predictor = predictor_class(
        overrides={"conf": threshold, "iou": IOU, "max_det": MOST, "imgsz": side, "verbose": False}
    )
    predictor.model = SimpleNamespace(names=NAMES, end2end=end2end)
    predictor.batch = [["noise.jpg"]]
    width, height = size
    picture = np.zeros((height, width, 3), np.uint8)
    with torch.inference_mode():
        (result,) = predictor.postprocess(head.clone(), tensor, [picture])
    boxes = result.boxes
    save(
        name, output=head.numpy(), side=side, size=size, threshold=threshold,
        xyxy=boxes.xyxy.numpy(), score=boxes.conf.numpy(), class_id=boxes.cls.numpy(),
    )  # fmt: skip


class Pyramid(torch.nn.Module):
    """Two maps, at strides 8 and 16."""

    def __init__(self) -> None:
        super().__init__()
        self.first = torch.nn.Conv2d(3, 16, 8, 8)
        self.second = torch.nn.Conv2d(16, 16, 2, 2)
        self.out_channels = [16, 16]

    def forward(self, image: torch.Tensor) -> dict[str, torch.Tensor]:
        first = self.first(image)
        return {"0": first, "1": self.second(torch.relu(first))}


def ssd() -> None:
    """torchvision's SSD on two maps: offsets from its default boxes, and its own detections."""
    side, scales, steps = 96, [0.2, 0.45, 0.8], [8, 16]
    anchors = DefaultBoxGenerator([[2], [2, 3]], scales=scales, steps=steps, clip=False)
    model = SSD(
        Pyramid(), anchors, (side, side), num_classes=4, score_thresh=0.5, nms_thresh=1.0,
        topk_candidates=10_000, detections_per_img=MOST, image_mean=[0.0] * 3, image_std=[1.0] * 3,
    ).eval()  # fmt: skip
    for parameter in model.head.parameters():
        if parameter.ndim > 1:
            torch.nn.init.normal_(parameter, std=0.25)
    image = torch.rand((1, 3, side, side))
    with torch.inference_mode():
        features = list(model.backbone(image).values())
        head = model.head(features)
        (found,) = model([image[0]])
    save(
        "ssd_torchvision", boxes=head["bbox_regression"].numpy(), scores=head["cls_logits"].numpy(),
        side=side, steps=steps, sizes=[scale * side for scale in scales], threshold=0.5,
        xyxy=found["boxes"].numpy(), score=found["scores"].numpy(),
        class_id=found["labels"].numpy(),
    )  # fmt: skip


def main() -> None:
    """Write every file anew."""
    torch.manual_seed(6)
    for count in (60, 130, 1000):
        suppression(count)
    heads = {"yolov8": Detect(3, 16, False, CHANNELS), "yolo26": Detect(3, 1, True, CHANNELS)}
    for head in heads.values():
        head.stride = torch.tensor([8.0, 16.0, 32.0])
    heads["yolo26"].end2end = True
    best = {"yolov8": lambda head: head[0, 4:].max(axis=0), "yolo26": lambda head: head[0, :, 4]}
    for name, head in heads.items():
        ultralytics(name, head, DetectionPredictor, 192, name == "yolo26", best[name])
    detr = RTDETRDecoder(3, CHANNELS, hd=32, nq=100, nh=2, ndl=1, d_ffn=32, nd=0)
    ultralytics("rtdetr", detr, RTDETRPredictor, 192, True, lambda head: head[0, :, 4])
    ssd()


if __name__ == "__main__":
    main()
