"""A small net that finds made-up flaws; its inner layers are what parts are described by."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import nn

SIZE = 128
"""Side of its pictures in pixels."""
LAYER = "described"
"""Name of the output that describes places, in the exported graph."""


def _conv(inputs: int, outputs: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU()
    )


class _Block(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.body = nn.Sequential(_conv(channels, channels), _conv(channels, channels))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.body(x)


class Backbone(nn.Module):
    """Maps at strides 4, 8 and 16, brought together at stride 4 with 48 channels."""

    def __init__(self) -> None:
        super().__init__()
        self.to4 = nn.Sequential(_conv(3, 16, 2), _conv(16, 32, 2), _Block(32))
        self.to8 = nn.Sequential(_conv(32, 48, 2), _Block(48))
        self.to16 = nn.Sequential(_conv(48, 64, 2), _Block(64), _Block(64))
        self.flat4, self.flat8, self.flat16 = (
            nn.Conv2d(n, 48, 1, bias=False) for n in (32, 48, 64)
        )
        self.mix8, self.mix4 = _conv(48, 48), _conv(48, 48)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        fine = self.to4((x - 110) / 60)
        middle = self.to8(fine)
        coarse = self.flat16(self.to16(middle))
        up = nn.functional.interpolate(coarse, scale_factor=2, mode="nearest")
        up = self.mix8(up + self.flat8(middle))
        up = nn.functional.interpolate(up, scale_factor=2, mode="nearest")
        return self.mix4(up + self.flat4(fine))


class Net(nn.Module):
    """The backbone and a head that says for each place how likely a flaw is: logits (N, 1, h, w)."""

    def __init__(self) -> None:
        super().__init__()
        self.backbone = Backbone()
        self.head = nn.Conv2d(48, 1, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.backbone(x))


def export(backbone: Backbone, path: Path) -> None:
    """Input `picture` 1x3x128x128, BGR 0..255; output `described` 1x48x32x32."""
    backbone.eval()
    torch.onnx.export(
        backbone,
        (torch.zeros(1, 3, SIZE, SIZE),),
        str(path),
        input_names=["picture"],
        output_names=[LAYER],
        opset_version=17,
        dynamo=False,
    )
