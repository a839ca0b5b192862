"""A small net that finds made-up flaws; its inner layers are what parts are described by."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import nn

SIZE = 96
"""Side of its pictures in pixels."""
LAYER = "described"
"""Name of the output that describes places, in the exported graph."""


def _conv(inputs: int, outputs: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU()
    )


class _Block(nn.Module):  # type: ignore[misc]
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.body = nn.Sequential(_conv(channels, channels), _conv(channels, channels))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        sum_: torch.Tensor = x + self.body(x)
        return sum_


class Backbone(nn.Module):  # type: ignore[misc]
    """Maps at strides 4, 8 and 16, brought together at stride 4 with 32 channels."""

    def __init__(self) -> None:
        super().__init__()
        self.to4 = nn.Sequential(_conv(3, 16, 2), _conv(16, 32, 2), _conv(32, 32))
        self.to8 = nn.Sequential(_conv(32, 48, 2), _Block(48))
        self.to16 = nn.Sequential(_conv(48, 64, 2), _Block(64))
        self.flat8, self.flat16 = nn.Conv2d(48, 32, 1), nn.Conv2d(64, 32, 1)
        self.mix = _conv(32, 32)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """BGR 0..255 (N, 3, 96, 96) to (N, 32, 24, 24)."""
        fine = self.to4((x - 110) / 60)
        middle = self.to8(fine)
        coarse = nn.functional.interpolate(self.flat16(self.to16(middle)), scale_factor=2.0)
        coarse = nn.functional.interpolate(coarse + self.flat8(middle), scale_factor=2.0)
        described: torch.Tensor = self.mix(fine + coarse)
        return described


class Net(nn.Module):  # type: ignore[misc]
    """The backbone and a head that says how likely a flaw is."""

    def __init__(self) -> None:
        super().__init__()
        self.backbone = Backbone()
        self.head = nn.Conv2d(32, 1, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Pictures to logits (N, 1, 24, 24)."""
        flaws: torch.Tensor = self.head(self.backbone(x))
        return flaws


def export(backbone: Backbone, path: Path) -> None:
    """Input `picture` 1x3x96x96, BGR 0..255; output `described` 1x32x24x24."""
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
