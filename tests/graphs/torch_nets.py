"""Small nets with the blocks of real ones, in PyTorch: a few channels, seeded random weights."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn


def conv(
    i: int, o: int, k: int = 3, s: int = 1, g: int = 1, act: nn.Module | None = None
) -> nn.Module:
    """Conv, BatchNorm and an activation."""
    parts = [nn.Conv2d(i, o, k, s, k // 2, groups=g, bias=False), nn.BatchNorm2d(o)]
    return nn.Sequential(*parts, *([act] if act else []))


class SqueezeExcite(nn.Module):
    def __init__(self, c: int) -> None:
        super().__init__()
        self.down, self.up = nn.Conv2d(c, c // 2, 1), nn.Conv2d(c // 2, c, 1)

    def forward(self, x: Tensor) -> Tensor:
        s = F.relu(self.down(F.adaptive_avg_pool2d(x, 1)))
        return x * F.hardsigmoid(self.up(s))


class Inverted(nn.Module):
    """An inverted residual of MobileNet and EfficientNet."""

    def __init__(self, c: int, act: nn.Module, squeeze: bool) -> None:
        super().__init__()
        self.expand = conv(c, 2 * c, 1, act=act)
        self.depthwise = conv(2 * c, 2 * c, 3, g=2 * c, act=act)
        self.squeeze = SqueezeExcite(2 * c) if squeeze else nn.Identity()
        self.project = conv(2 * c, c, 1)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.project(self.squeeze(self.depthwise(self.expand(x))))


class Classifier(nn.Module):
    """A stem, a body and a linear head."""

    def __init__(self, body: nn.Module, act: nn.Module, c: int = 8, out: int = 0) -> None:
        super().__init__()
        self.stem, self.body = conv(3, c, 3, 2, act=act), body
        self.head = nn.Linear(out or c, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = self.body(self.stem(x))
        return self.head(torch.flatten(F.adaptive_avg_pool2d(x, 1), 1))


def mobilenet_v3() -> nn.Module:
    act = nn.Hardswish()
    return Classifier(nn.Sequential(Inverted(8, act, True), Inverted(8, act, True)), act)


def efficientnet_lite() -> nn.Module:
    act = nn.ReLU6()
    return Classifier(nn.Sequential(Inverted(8, act, False), Inverted(8, act, False)), act)


class Residual(nn.Module):
    """A basic block of ResNet; with a stride it has a projection on the skip branch."""

    def __init__(self, i: int, o: int, s: int) -> None:
        super().__init__()
        self.one, self.two = conv(i, o, 3, s, act=nn.ReLU()), conv(o, o, 3)
        self.skip = conv(i, o, 1, s) if s > 1 or i != o else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.two(self.one(x)) + self.skip(x))


def resnet() -> nn.Module:
    return Classifier(nn.Sequential(Residual(8, 8, 1), Residual(8, 16, 2)), nn.ReLU(), out=16)


def chain(act: nn.Module) -> nn.Module:
    return Classifier(nn.Sequential(conv(8, 8, act=act), conv(8, 8, g=8, act=act)), act)


def silu() -> nn.Module:
    return chain(nn.SiLU())


def leaky_relu() -> nn.Module:
    return chain(nn.LeakyReLU(0.1))


def prelu() -> nn.Module:
    return Classifier(nn.Sequential(conv(8, 8, act=nn.PReLU(8)), conv(8, 8)), nn.PReLU(8))


class Upsampler(nn.Module):
    """Transposed convolutions: dense and depthwise, then a convolution as the output."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = conv(3, 8, 3, 2, act=nn.ReLU())
        self.dense = nn.ConvTranspose2d(8, 6, 2, 2)
        self.norm = nn.BatchNorm2d(6)
        self.depthwise = nn.ConvTranspose2d(6, 6, 4, 2, 1, groups=6, bias=False)
        self.out = nn.Conv2d(6, 3, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.norm(self.dense(self.stem(x))))
        return self.out(F.relu(self.depthwise(x)))


class Pyramid(nn.Module):
    """Levels joined by nearest resizing and Concat, as in an FPN of the YOLO kind."""

    def __init__(self) -> None:
        super().__init__()
        act = nn.LeakyReLU(0.1)
        self.one, self.two = conv(3, 8, 3, 2, act=act), conv(8, 12, 3, 2, act=act)
        self.lateral, self.join = conv(12, 6, 1, act=act), conv(14, 8, act=act)
        self.fine, self.coarse = nn.Conv2d(8, 5, 1), nn.Conv2d(6, 5, 1)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        a = self.one(x)
        b = self.lateral(self.two(a))
        joined = torch.cat([F.interpolate(b, scale_factor=2.0, mode="nearest"), a], 1)
        return self.fine(self.join(joined)), self.coarse(b)


class PoolPyramid(nn.Module):
    """Pools of three sizes joined by Concat (SPP)."""

    def __init__(self) -> None:
        super().__init__()
        act = nn.ReLU()
        self.one, self.two = conv(3, 8, 3, 2, act=act), conv(32, 8, 1, act=act)
        self.out = nn.Conv2d(8, 4, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.one(x)
        pools = [F.max_pool2d(x, k, 1, k // 2) for k in (5, 9, 13)]
        return self.out(self.two(torch.cat([x, *pools], 1)))


class Shuffle(nn.Module):
    """A unit of ShuffleNet v2: split, work on one half, join, shuffle the channels."""

    def __init__(self, c: int) -> None:
        super().__init__()
        h = c // 2
        act = nn.ReLU()
        self.branch = nn.Sequential(conv(h, h, 1, act=act), conv(h, h, g=h), conv(h, h, 1, act=act))

    def forward(self, x: Tensor) -> Tensor:
        a, b = x.chunk(2, 1)
        n, c, h, w = x.shape
        joined = torch.cat([a, self.branch(b)], 1)
        return joined.view(n, 2, c // 2, h, w).transpose(1, 2).reshape(n, c, h, w)


def shufflenet() -> nn.Module:
    return Classifier(nn.Sequential(Shuffle(8), Shuffle(8)), nn.ReLU())


class Attention(nn.Module):
    """A block of a vision transformer."""

    def __init__(self, c: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm1, self.norm2 = nn.LayerNorm(c), nn.LayerNorm(c)
        self.qkv, self.out = nn.Linear(c, 3 * c), nn.Linear(c, c)
        self.mlp = nn.Sequential(nn.Linear(c, 2 * c), nn.GELU(), nn.Linear(2 * c, c))

    def forward(self, x: Tensor) -> Tensor:
        n, t, c = x.shape
        qkv = self.qkv(self.norm1(x)).reshape(n, t, 3, self.heads, c // self.heads)
        q, k, v = qkv.permute(2, 0, 3, 1, 4).unbind(0)
        weights = (q * (c // self.heads) ** -0.5 @ k.transpose(-2, -1)).softmax(-1)
        x = x + self.out((weights @ v).transpose(1, 2).reshape(n, t, c))
        return x + self.mlp(self.norm2(x))


class Vit(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.patch = nn.Conv2d(3, 16, 8, 8)
        self.position = nn.Parameter(torch.randn(1, 16, 16) * 0.1)
        self.blocks = nn.Sequential(Attention(16, 2), Attention(16, 2))
        self.norm, self.head = nn.LayerNorm(16), nn.Linear(16, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = self.patch(x).flatten(2).transpose(1, 2) + self.position
        return self.head(self.norm(self.blocks(x)).mean(1))


class UNet(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        act = nn.ReLU()
        self.a, self.b = conv(3, 6, act=act), conv(6, 12, act=act)
        self.up = nn.ConvTranspose2d(12, 6, 2, 2)
        self.join, self.out = conv(12, 6, act=act), nn.Conv2d(6, 2, 1)

    def forward(self, x: Tensor) -> Tensor:
        a = self.a(x)
        b = self.b(F.max_pool2d(a, 2))
        return self.out(self.join(torch.cat([a, self.up(b)], 1)))


class TwoInputs(nn.Module):
    """A grid of six channels and one number for each of four sensors: no pictures."""

    def __init__(self) -> None:
        super().__init__()
        self.grid = conv(6, 8, act=nn.ReLU())
        self.sensors, self.join = nn.Linear(4, 8), nn.Linear(16, 3)

    def forward(self, grid: Tensor, sensors: Tensor) -> Tensor:
        seen = F.adaptive_avg_pool2d(self.grid(grid), 1).flatten(1)
        return self.join(torch.cat([seen, F.relu(self.sensors(sensors))], 1))


class Tokens(nn.Module):
    """Whole numbers as input: an embedding before an attention block."""

    def __init__(self) -> None:
        super().__init__()
        self.embed, self.block = nn.Embedding(20, 16), Attention(16, 2)
        self.head = nn.Linear(16, 4)

    def forward(self, tokens: Tensor) -> Tensor:
        return self.head(self.block(self.embed(tokens))).softmax(-1)


class Shared(nn.Module):
    """One convolution used on two levels."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.down = conv(3, 8, 3, 2, act=nn.ReLU()), conv(8, 8, 3, 2, act=nn.ReLU())
        self.tower, self.out = nn.Conv2d(8, 8, 3, padding=1), nn.Conv2d(8, 4, 1)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        a = self.stem(x)
        b = self.down(a)
        return self.out(F.relu(self.tower(a))), self.out(F.relu(self.tower(b)))


class DeadChannels(nn.Module):
    """Channels whose weights are all zero, and channels that only have a bias."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.two = nn.Conv2d(3, 8, 3, padding=1), nn.Conv2d(8, 8, 3, padding=1)
        self.out = nn.Conv2d(8, 4, 1)
        with torch.no_grad():
            self.one.weight[:2] = 0
            self.one.bias[0] = 0
            self.one.bias[1] = 3
            self.two.weight[5] = 0

    def forward(self, x: Tensor) -> Tensor:
        return self.out(F.relu(self.two(F.relu(self.one(x)))))


class Dilated(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, padding=1)
        self.wide = nn.Conv2d(8, 8, 3, padding=2, dilation=2)
        self.grouped = nn.Conv2d(8, 8, 3, padding=1, groups=2)
        self.out = nn.Conv2d(16, 4, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.stem(x))
        return self.out(torch.cat([F.relu(self.wide(x)), F.relu(self.grouped(x))], 1))


class Signal(nn.Module):
    """Convolutions along one axis: activations of rank 3."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.two = nn.Conv1d(4, 8, 5, padding=2), nn.Conv1d(8, 8, 3, padding=1)
        self.out = nn.Conv1d(8, 2, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.out(F.relu(self.two(F.max_pool1d(F.relu(self.one(x)), 2))))


class Volume(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.one, self.two = nn.Conv3d(2, 6, 3, padding=1), nn.Conv3d(6, 6, 3, padding=1)
        self.out = nn.Linear(6, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.two(F.max_pool3d(F.relu(self.one(x)), 2)))
        return self.out(x.mean((2, 3, 4)))


class ByChannel(nn.Module):
    """A matrix for each of four heads: MatMul by a constant of three axes."""

    def __init__(self) -> None:
        super().__init__()
        self.project = nn.Linear(8, 8)
        self.weights = nn.Parameter(torch.randn(4, 8, 8) / math.sqrt(8))
        self.out = nn.Linear(8, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.out(F.relu(torch.matmul(F.relu(self.project(x)), self.weights)))
