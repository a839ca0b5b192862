"""Detection heads in PyTorch, with their decoding in the graph as exports have it."""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn
from torch_nets import conv

CLASSES = 3
STRIDES = (4, 8)


class Backbone(nn.Module):
    """Two levels of eight channels, at strides 4 and 8."""

    def __init__(self, act: nn.Module) -> None:
        super().__init__()
        self.stem = nn.Sequential(conv(3, 8, 3, 2, act=act), conv(8, 8, 3, 2, act=act))
        self.down = conv(8, 8, 3, 2, act=act)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        fine = self.stem(x)
        return fine, self.down(fine)


def cells(levels: list[Tensor]) -> tuple[Tensor, Tensor]:
    """Middles of all cells, 2 x N in cells, and the stride of each, 1 x N."""
    points, strides = [], []
    for level, stride in zip(levels, STRIDES, strict=True):
        h, w = level.shape[2:]
        y, x = torch.meshgrid(torch.arange(h) + 0.5, torch.arange(w) + 0.5, indexing="ij")
        points.append(torch.stack([x.flatten(), y.flatten()]))
        strides.append(torch.full((1, h * w), float(stride)))
    return torch.cat(points, 1), torch.cat(strides, 1)


class Yolov8(nn.Module):
    """Distances as distributions over 16 bins (DFL); boxes and scores joined to 1 x (4+C) x N."""

    def __init__(self) -> None:
        super().__init__()
        act = nn.SiLU()
        self.backbone = Backbone(act)
        self.box = nn.ModuleList(
            nn.Sequential(conv(8, 8, act=act), nn.Conv2d(8, 64, 1)) for _ in "ab"
        )
        self.cls = nn.ModuleList(
            nn.Sequential(conv(8, 8, act=act), nn.Conv2d(8, CLASSES, 1)) for _ in "ab"
        )
        self.dfl = nn.Conv2d(16, 1, 1, bias=False)
        with torch.no_grad():
            self.dfl.weight[:] = torch.arange(16.0).view(1, 16, 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        levels = list(self.backbone(x))
        joined = [
            torch.cat([self.box[i](level), self.cls[i](level)], 1) for i, level in enumerate(levels)
        ]
        points, strides = cells(joined)
        flat = torch.cat([j.view(1, 64 + CLASSES, -1) for j in joined], 2)
        box, score = flat.split((64, CLASSES), 1)
        n = flat.shape[2]
        distance = self.dfl(box.view(1, 4, 16, n).transpose(2, 1).softmax(1)).view(1, 4, n)
        low, high = distance.chunk(2, 1)
        one, two = points - low, points + high
        boxes = torch.cat([(one + two) / 2, two - one], 1) * strides
        return torch.cat([boxes, score.sigmoid()], 1)


class Yolox(nn.Module):
    """Decoupled heads, joined by level; not decoded."""

    def __init__(self) -> None:
        super().__init__()
        act = nn.SiLU()
        self.backbone = Backbone(act)
        self.stems = nn.ModuleList(conv(8, 8, 1, act=act) for _ in "ab")
        self.cls_tower = nn.ModuleList(conv(8, 8, act=act) for _ in "ab")
        self.reg_tower = nn.ModuleList(conv(8, 8, act=act) for _ in "ab")
        self.cls = nn.ModuleList(nn.Conv2d(8, CLASSES, 1) for _ in "ab")
        self.reg = nn.ModuleList(nn.Conv2d(8, 4, 1) for _ in "ab")
        self.obj = nn.ModuleList(nn.Conv2d(8, 1, 1) for _ in "ab")

    def forward(self, x: Tensor) -> Tensor:
        outputs = []
        for i, level in enumerate(self.backbone(x)):
            stem = self.stems[i](level)
            a, b = self.cls_tower[i](stem), self.reg_tower[i](stem)
            parts = [self.reg[i](b), self.obj[i](b).sigmoid(), self.cls[i](a).sigmoid()]
            outputs.append(torch.cat(parts, 1).flatten(2))
        return torch.cat(outputs, 2).permute(0, 2, 1)


class Yolov5(nn.Module):
    """Anchors: sigmoid, scaled and squared; end to end, the boxes become corners by a matrix."""

    def __init__(self, end_to_end: bool) -> None:
        super().__init__()
        self.end_to_end = end_to_end
        self.backbone = Backbone(nn.SiLU())
        self.detect = nn.ModuleList(nn.Conv2d(8, 2 * (5 + CLASSES), 1) for _ in "ab")
        self.register_buffer("anchors", torch.tensor([[[6.0, 8], [10, 7]], [[14, 18], [20, 15]]]))
        corners = torch.tensor([[1.0, 0, 1, 0], [0, 1, 0, 1], [-0.5, 0, 0.5, 0], [0, -0.5, 0, 0.5]])
        self.register_buffer("corners", corners)

    def forward(self, x: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        found = []
        for i, level in enumerate(self.backbone(x)):
            out = self.detect[i](level)
            _, _, h, w = out.shape
            y = out.view(1, 2, 5 + CLASSES, h, w).permute(0, 1, 3, 4, 2).sigmoid()
            gy, gx = torch.meshgrid(torch.arange(h), torch.arange(w), indexing="ij")
            grid = torch.stack([gx, gy], 2).view(1, 1, h, w, 2).float() - 0.5
            xy = (y[..., :2] * 2 + grid) * STRIDES[i]
            wh = (y[..., 2:4] * 2) ** 2 * self.anchors[i].view(1, 2, 1, 1, 2)
            joined = torch.cat([xy, wh, y[..., 4:]], -1)
            found.append(joined.reshape(1, -1, 5 + CLASSES))
        joined = torch.cat(found, 1)
        if not self.end_to_end:
            return joined
        return joined[..., :4] @ self.corners, joined[..., 4:5] * joined[..., 5:]


class Ssd(nn.Module):
    """Scores by Softmax, boxes raw, levels joined."""

    def __init__(self) -> None:
        super().__init__()
        self.backbone = Backbone(nn.ReLU6())
        self.loc = nn.ModuleList(nn.Conv2d(8, 2 * 4, 3, padding=1) for _ in "ab")
        self.conf = nn.ModuleList(nn.Conv2d(8, 2 * (CLASSES + 1), 3, padding=1) for _ in "ab")

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        loc, conf = [], []
        for i, level in enumerate(self.backbone(x)):
            loc.append(self.loc[i](level).permute(0, 2, 3, 1).reshape(1, -1, 4))
            conf.append(self.conf[i](level).permute(0, 2, 3, 1).reshape(1, -1, CLASSES + 1))
        return F.softmax(torch.cat(conf, 1), -1), torch.cat(loc, 1)
