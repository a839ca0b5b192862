"""The net, in the form that trains and in the form that ships."""

from __future__ import annotations

import copy
import warnings
from functools import partial
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch
import torch.nn.functional as fn
from onnx import numpy_helper
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from edgesdk.sim import LABELS


class Block(nn.Sequential):  # type: ignore[misc]
    """Convolution, batch normalisation, ReLU: what INT8 engines fuse into one kernel."""

    def __init__(self, c_in: int, c_out: int, kernel: int = 3, stride: int = 1) -> None:
        conv = nn.Conv2d(c_in, c_out, kernel, stride, kernel // 2, bias=False)
        super().__init__(conv, nn.BatchNorm2d(c_out), nn.ReLU(inplace=True))


class Residual(nn.Module):  # type: ignore[misc]
    """Narrow, convolve, add."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.body = nn.Sequential(Block(channels, channels // 2, 1), Block(channels // 2, channels))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Same shape out as in."""
        return x + self.body(x)


class Net(nn.Module):  # type: ignore[misc]
    """A plain backbone, a top-down neck and a small head at each of three strides.

    The heads share no batch normalisation: its statistics differ by stride, so one running
    average for all would make the evaluated net another one than the trained.
    """

    def __init__(self, classes: int = len(LABELS), neck: int = 48) -> None:
        super().__init__()
        self.stem = Block(3, 16, stride=2)
        self.to8 = nn.Sequential(
            Block(16, 32, stride=2), Block(32, 64, stride=2), Residual(64), Residual(64)
        )
        self.to16 = nn.Sequential(Block(64, 96, stride=2), Residual(96), Residual(96))
        self.to32 = nn.Sequential(Block(96, 96, stride=2), Residual(96))
        self.flat = nn.ModuleList(Block(c, neck, 1) for c in (64, 96, 96))
        self.mix8, self.mix16 = Block(neck, neck), Block(neck, neck)
        self.heads = nn.ModuleList(Block(neck, neck) for _ in range(3))
        self.out = nn.Conv2d(neck, 5 + classes, 1)
        nn.init.constant_(self.out.bias[4:], -4.0)
        nn.init.zeros_(self.out.bias[:4])

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """BGR 0..1 (B, 3, H, W) to (B, N, 5 + C), still without sigmoids."""
        p8 = self.to8(self.stem(x))
        p16 = self.to16(p8)
        f8, f16, f32 = (f(p) for f, p in zip(self.flat, (p8, p16, self.to32(p16)), strict=True))
        f16 = self.mix16(f16 + fn.interpolate(f32, scale_factor=2.0))
        f8 = self.mix8(f8 + fn.interpolate(f16, scale_factor=2.0))
        levels = zip(self.heads, (f8, f16, f32), strict=True)
        maps = [self.out(head(f)).flatten(2) for head, f in levels]
        return torch.cat(maps, 2).transpose(1, 2)


def restore(net: Net, path: Path, images: torch.Tensor) -> None:
    """Give the net the weights of an exported file, so that it can be trained on.

    The file has batch normalisation folded into its convolutions. Here it is unfolded again: each
    gets the mean and deviation of its convolution over `images`, BGR 0..1 (B, 3, H, W), and the
    scale and offset that undo them. The net then answers as the file does.
    """
    stored = {
        t.name: torch.tensor(numpy_helper.to_array(t)) for t in onnx.load(path).graph.initializer
    }
    stored["net.stem.0.weight"] *= 255
    hooks = []
    for name, module in net.named_modules():
        if isinstance(module, Block):
            conv, norm = module[0], module[1]
            conv.weight.data = stored[f"net.{name}.0.weight"]
            offset = stored[f"net.{name}.0.bias"]
            hooks.append(norm.register_forward_pre_hook(partial(_unfold, offset)))
    net.out.weight.data, net.out.bias.data = stored["net.out.weight"], stored["net.out.bias"]
    with torch.no_grad():
        net.train()(images)
    for hook in hooks:
        hook.remove()


def _unfold(offset: torch.Tensor, norm: nn.BatchNorm2d, inputs: tuple[torch.Tensor]) -> None:
    var, mean = torch.var_mean(inputs[0], dim=(0, 2, 3), unbiased=False)
    norm.weight.data, norm.bias.data = (var + norm.eps).sqrt(), offset + mean
    norm.running_mean, norm.running_var = mean, var


class Exported(nn.Module):  # type: ignore[misc]
    """The net as it is shipped: batch normalisation and 1/255 folded in, with its sigmoids."""

    def __init__(self, net: Net) -> None:
        super().__init__()
        self.net = copy.deepcopy(net).eval()
        for module in self.net.modules():
            if isinstance(module, Block):
                module[0], module[1] = fuse_conv_bn_eval(module[0], module[1]), nn.Identity()
        self.net.stem[0].weight.data /= 255

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """BGR 0..255 (1, 3, H, W) to (1, N, 5 + C)."""
        raw = self.net(images)
        return torch.cat([raw[..., :4], raw[..., 4:].sigmoid()], 2)


def export(net: Net, path: Path, width: int, height: int) -> float:
    """Write ONNX (opset 17, fixed shapes); returns its largest difference from torch."""
    model = Exported(net).eval()
    images = torch.rand(1, 3, height, width, generator=torch.Generator().manual_seed(0)) * 255
    path.parent.mkdir(parents=True, exist_ok=True)
    with warnings.catch_warnings():
        # The newer exporter needs a further package and gives the same graph.
        warnings.simplefilter("ignore", DeprecationWarning)
        torch.onnx.export(
            model, (images,), str(path), input_names=["images"], output_names=["output"],
            opset_version=17, dynamo=False,
        )  # fmt: skip
    onnx.checker.check_model(onnx.load(path), full_check=True)
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    (found,) = session.run(None, {"images": images.numpy()})
    with torch.no_grad():
        return float(np.abs(found - model(images).numpy()).max())
