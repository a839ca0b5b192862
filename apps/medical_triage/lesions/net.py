"""The network: evidence for each class by place, and its strongest place is the class's logit.

So the heat map explains the answer exactly: it is what the answer was taken from (global max
pooling over class maps: Oquab et al., "Is object localization for free?", CVPR 2015).
"""

from __future__ import annotations

import copy
import warnings
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval


class Block(nn.Sequential):  # type: ignore[misc]
    """Convolution, batch normalisation, ReLU."""

    def __init__(self, given: int, made: int, stride: int = 1) -> None:
        super().__init__(
            nn.Conv2d(given, made, 3, stride, 1, bias=False), nn.BatchNorm2d(made), nn.ReLU()
        )


class Net(nn.Module):  # type: ignore[misc]
    """About 100,000 weights; a place of the heat map is 8 px of the picture."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.features = nn.Sequential(
            Block(3, 16, 2),
            Block(16, 32, 2),
            Block(32, 32),
            Block(32, 48, 2),
            Block(48, 48),
            Block(48, 64),
        )
        self.evidence = nn.Conv2d(64, classes, 1)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """BGR 0..1 (B, 3, H, W) to logits (B, C) and heat (B, C, H/8, W/8).

        Both are relative to the first class, "none": its own evidence is 0 everywhere.
        """
        maps = self.evidence(self.features(x))
        heat = maps - maps[:, :1]
        return nn.functional.adaptive_max_pool2d(heat, 1).flatten(1), heat


class Exported(nn.Module):  # type: ignore[misc]
    """The net as it is shipped: batch normalisation and 1/255 folded in."""

    def __init__(self, net: Net) -> None:
        super().__init__()
        self.net = copy.deepcopy(net).eval()
        for module in self.net.modules():
            if isinstance(module, Block):
                module[0], module[1] = fuse_conv_bn_eval(module[0], module[1]), nn.Identity()
        self.net.features[0][0].weight.data /= 255

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """BGR 0..255 (1, 3, H, W) to logits (1, C) and heat (1, C, H/8, W/8)."""
        logits, heat = self.net(images)
        return logits, heat


def export(net: Net, path: Path, side_px: int) -> float:
    """Write ONNX (opset 17, fixed shapes); returns its largest difference from torch."""
    model = Exported(net).eval()
    images = torch.rand(1, 3, side_px, side_px, generator=torch.Generator().manual_seed(0)) * 255
    path.parent.mkdir(parents=True, exist_ok=True)
    with warnings.catch_warnings():
        # The newer exporter needs a further package and gives the same graph.
        warnings.simplefilter("ignore", DeprecationWarning)
        torch.onnx.export(
            model, (images,), str(path), input_names=["images"], output_names=["logits", "heat"],
            opset_version=17, dynamo=False,
        )  # fmt: skip
    onnx.checker.check_model(onnx.load(path), full_check=True)
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    found = session.run(None, {"images": images.numpy()})
    with torch.no_grad():
        wanted = model(images)
    return max(float(np.abs(f - w.numpy()).max()) for f, w in zip(found, wanted, strict=True))
