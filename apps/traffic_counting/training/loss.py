"""What the net is asked to do: SimOTA assignment and YOLOX's losses (arXiv:2107.08430)."""

from __future__ import annotations

import torch
import torch.nn.functional as fn

from edgesdk.sim import LABELS
from edgesdk.vision.decoders.yolox import grids
from training.example import HEIGHT, WIDTH, Example

STRIDES = (8, 16, 32)


class Loss:
    """SimOTA assignment, then IoU, objectness and class losses, as in YOLOX."""

    def __init__(self) -> None:
        cells, strides = grids(WIDTH, HEIGHT, STRIDES)
        self._cell, self._stride = torch.from_numpy(cells), torch.from_numpy(strides)[:, None]
        self._centre = (self._cell + 0.5) * self._stride

    def __call__(self, raw: torch.Tensor, truth: list[Example]) -> torch.Tensor:
        """Mean over the objects of a batch; raw is (B, N, 5 + C)."""
        centre = (raw[..., :2] + self._cell) * self._stride
        half = raw[..., 2:4].clamp(max=5).exp() * self._stride / 2
        boxes = torch.cat([centre - half, centre + half], 2)
        objectness, asked = torch.zeros(raw.shape[:2]), torch.ones(raw.shape[:2])
        total, count = torch.zeros(()), 0
        for i, example in enumerate(truth):
            target, classes = torch.from_numpy(example.boxes), torch.from_numpy(example.classes)
            rows, which = self._assign(boxes[i].detach(), raw[i].detach(), target, classes)
            overlap = iou_and_giou(boxes[i, rows], target[which])
            wanted = fn.one_hot(classes[which], len(LABELS)) * overlap[0].detach()[:, None]
            total = total + 5 * (1 - overlap[1]).sum()
            total = total + fn.binary_cross_entropy_with_logits(
                raw[i, rows, 5:], wanted, reduction="sum"
            )
            asked[i, self._within(torch.from_numpy(example.unsure))] = 0.0
            objectness[i, rows] = asked[i, rows] = 1.0
            count += len(rows)
        found = fn.binary_cross_entropy_with_logits(raw[..., 4], objectness, asked, reduction="sum")
        return (total + found) / max(count, 1)

    def _within(self, boxes: torch.Tensor) -> torch.Tensor:
        """Rows whose middle lies in one of the boxes."""
        middle = self._centre[None]
        inside = (middle > boxes[:, None, :2]) & (middle < boxes[:, None, 2:])
        return inside.all(2).any(0)

    def _assign(
        self, boxes: torch.Tensor, raw: torch.Tensor, target: torch.Tensor, classes: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Rows that answer for an object, and for which one."""
        if len(target) == 0:
            return torch.zeros(0, dtype=torch.long), torch.zeros(0, dtype=torch.long)
        middle = (target[:, None, :2] + target[:, None, 2:]) / 2
        near = ((self._centre - middle).abs() < 1.5 * self._stride).all(2)
        overlap = iou_and_giou(boxes[None], target[:, None])[0]
        score = (raw[:, 4:5].sigmoid() * raw[:, 5:].sigmoid()).sqrt().clamp(1e-6, 1 - 1e-6)
        unlike = -torch.log1p(-score).sum(1) + torch.log1p(-score).T[classes]
        cost = unlike - score.log().T[classes] - 3 * (overlap + 1e-7).log() + 1e5 * ~near
        taken = torch.full_like(cost, torch.inf)
        shares = (overlap * near).topk(10, dim=1).values.sum(1).int().clamp(min=1)
        for g, share in enumerate(shares.tolist()):
            rows = cost[g].topk(share, largest=False).indices
            taken[g, rows] = cost[g, rows]
        best = taken.min(0)
        chosen = torch.nonzero(best.values < 1e4).flatten()
        return chosen, best.indices[chosen]


def iou_and_giou(a: torch.Tensor, b: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Intersection over union, and its generalisation (arXiv:1902.09630), of paired boxes."""
    inner = (torch.minimum(a[..., 2:], b[..., 2:]) - torch.maximum(a[..., :2], b[..., :2])).clamp(0)
    outer = torch.maximum(a[..., 2:], b[..., 2:]) - torch.minimum(a[..., :2], b[..., :2])
    shared = inner.prod(-1)
    union = (a[..., 2:] - a[..., :2]).prod(-1) + (b[..., 2:] - b[..., :2]).prod(-1) - shared
    iou, hull = shared / (union + 1e-7), outer.prod(-1) + 1e-7
    return iou, iou - (hull - union) / hull
