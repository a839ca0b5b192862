"""A detector with a YOLOv8-style head, for its form: seeded random weights, nothing is trained.

    python -m benchmarks.quantization.yolov8 OUT.onnx        (in the peers' environment)

Three scales, boxes as distributions over 16 bins (DFL), and one joined output of shape
1 x (4 + 80) x N: boxes in pixels (0..320) above, sigmoid scores (0..1) below. Peers put one pair of
Q/DQ on that output; with one scale for both, every score becomes 0.
"""

from __future__ import annotations

import json
import sys

import torch
from torch import Tensor, nn

SIZE, CLASSES, BINS = 320, 80, 16
STRIDES = (8, 16, 32)
WIDTHS = (16, 32, 64, 128)


class Block(nn.Module):
    """Convolution, batch norm, SiLU."""

    def __init__(self, inputs: int, outputs: int, kernel: int = 3, stride: int = 1) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False)
        self.norm = nn.BatchNorm2d(outputs)

    def forward(self, x: Tensor) -> Tensor:
        return nn.functional.silu(self.norm(self.conv(x)))


class C2f(nn.Module):
    """Half of the channels pass by; the other half goes through a bottleneck with a residual."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.half = width // 2
        self.into = Block(width, width, 1)
        self.inner = nn.Sequential(Block(self.half, self.half), Block(self.half, self.half))
        self.out = Block(width + self.half, width, 1)

    def forward(self, x: Tensor) -> Tensor:
        first, second = self.into(x).split((self.half, self.half), 1)
        return self.out(torch.cat([first, second, second + self.inner(second)], 1))


class Detector(nn.Module):
    """Backbone, upward path, and the head."""

    def __init__(self) -> None:
        super().__init__()
        one, two, three, four = WIDTHS
        self.stem = nn.Sequential(Block(3, one, 3, 2), Block(one, one * 2, 3, 2), C2f(one * 2))
        self.p3 = nn.Sequential(Block(two, two, 3, 2), C2f(two))
        self.p4 = nn.Sequential(Block(two, three, 3, 2), C2f(three))
        self.p5 = nn.Sequential(Block(three, four, 3, 2), C2f(four))
        self.up4 = nn.Sequential(Block(four + three, three, 1), C2f(three))
        self.up3 = nn.Sequential(Block(three + two, two, 1), C2f(two))
        widths = (two, three, four)
        self.boxes = nn.ModuleList(
            nn.Sequential(Block(w, 32), nn.Conv2d(32, 4 * BINS, 1)) for w in widths
        )
        self.scores = nn.ModuleList(
            nn.Sequential(Block(w, 64), nn.Conv2d(64, CLASSES, 1)) for w in widths
        )
        self.project = nn.Conv2d(BINS, 1, 1, bias=False)
        self.project.weight.data = torch.arange(BINS, dtype=torch.float32).view(1, BINS, 1, 1)
        places, strides = anchors()
        self.register_buffer("places", places)
        self.register_buffer("strides", strides)

    def forward(self, x: Tensor) -> Tensor:
        p3 = self.p3(self.stem(x))
        p4 = self.p4(p3)
        p5 = self.p5(p4)
        double = nn.functional.interpolate
        p4 = self.up4(torch.cat([double(p5, scale_factor=2.0), p4], 1))
        p3 = self.up3(torch.cat([double(p4, scale_factor=2.0), p3], 1))
        levels = (p3, p4, p5)
        boxes = torch.cat([b(p).flatten(2) for b, p in zip(self.boxes, levels, strict=True)], 2)
        scores = torch.cat([s(p).flatten(2) for s, p in zip(self.scores, levels, strict=True)], 2)
        bins = boxes.view(1, 4, BINS, -1).transpose(2, 1).softmax(1)
        left_top, right_bottom = self.project(bins).view(1, 4, -1).chunk(2, 1)
        low, high = self.places - left_top, self.places + right_bottom
        pixels = torch.cat([(low + high) / 2, high - low], 1) * self.strides
        return torch.cat([pixels, scores.sigmoid()], 1)


def anchors() -> tuple[Tensor, Tensor]:
    """Centres of the cells, (2, N), in cells; and the stride of each, (1, N)."""
    places, strides = [], []
    for stride in STRIDES:
        side = torch.arange(SIZE // stride, dtype=torch.float32) + 0.5
        y, x = torch.meshgrid(side, side, indexing="ij")
        places.append(torch.stack([x.flatten(), y.flatten()]))
        strides.append(torch.full((1, x.numel()), float(stride)))
    return torch.cat(places, 1), torch.cat(strides, 1)


def build() -> Detector:
    """The seeded model; batch norms hold the statistics of what actually flows through them."""
    torch.manual_seed(8)
    model = Detector().train()
    norms = [m for m in model.modules() if isinstance(m, nn.BatchNorm2d)]
    for norm in norms:
        norm.momentum = None  # the plain average
        nn.init.uniform_(norm.weight, 0.5, 1.5)
        nn.init.normal_(norm.bias, 0.0, 0.5)
    with torch.no_grad():
        for part in model.scores:
            nn.init.normal_(part[1].weight, 0.0, 0.06)
            nn.init.constant_(part[1].bias, -3.0)
        for part in model.boxes:
            nn.init.normal_(part[1].weight, 0.0, 0.1)
        for side in (2, 4, 10, 40) * 4:  # from broad patches, as pictures have them, to texture
            small = torch.rand(1, 3, side, side)
            model(nn.functional.interpolate(small, size=(SIZE, SIZE), mode="bilinear"))
    return model.eval()


def main() -> None:
    torch.onnx.export(
        build(),
        (torch.zeros(1, 3, SIZE, SIZE),),
        sys.argv[1],
        input_names=["images"],
        output_names=["output0"],
        opset_version=17,
        dynamo=False,
    )
    sys.stdout.write(json.dumps({"written": sys.argv[1]}) + "\n")


if __name__ == "__main__":
    main()
