"""Convolutional nets, written out from their papers; and pictures."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import torch
from torch import Tensor, nn

Inputs = Callable[[], dict[str, Tensor]]


def picture(batch: int, side: int = 224) -> Inputs:
    return lambda: {"x": torch.randn(batch, 3, side, side)}


def convolved(
    into: int,
    out: int,
    kernel: int,
    stride: int = 1,
    *,
    groups: int = 1,
    then: nn.Module | None = None,
) -> nn.Sequential:
    """A convolution without bias, batch normalisation, and what follows."""
    conv = nn.Conv2d(into, out, kernel, stride, kernel // 2, groups=groups, bias=False)
    nn.init.kaiming_normal_(conv.weight, mode="fan_out")
    return nn.Sequential(conv, nn.BatchNorm2d(out), *([then] if then else []))


class Bottleneck(nn.Module):
    """Three convolutions and a way around them (He et al. 2016), the stride in the middle one."""

    def __init__(self, into: int, inner: int, stride: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            convolved(into, inner, 1, then=nn.ReLU()),
            convolved(inner, inner, 3, stride, then=nn.ReLU()),
            convolved(inner, 4 * inner, 1),
        )
        same = into == 4 * inner and stride == 1
        self.side = nn.Identity() if same else convolved(into, 4 * inner, 1, stride)

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(self.body(x) + self.side(x))


def resnet50() -> nn.Module:
    """Sixteen bottlenecks."""
    blocks, channels = [], 64
    for stage, count in enumerate((3, 4, 6, 3)):
        inner = 64 * 2**stage
        for block in range(count):
            blocks.append(Bottleneck(channels, inner, 2 if stage and not block else 1))
            channels = 4 * inner
    stem = [convolved(3, 64, 7, 2, then=nn.ReLU()), nn.MaxPool2d(3, 2, 1)]
    return used(nn.Sequential(*stem, *blocks, *head(channels)))


class Inverted(nn.Module):
    """Out to many channels, through each alone, and back (Sandler et al. 2018)."""

    def __init__(self, into: int, out: int, stride: int, factor: int) -> None:
        super().__init__()
        wide = into * factor
        expand = [convolved(into, wide, 1, then=nn.ReLU6())] if factor > 1 else []
        alone = convolved(wide, wide, 3, stride, groups=wide, then=nn.ReLU6())
        self.body = nn.Sequential(*expand, alone, convolved(wide, out, 1))
        self.around = stride == 1 and into == out

    def forward(self, x: Tensor) -> Tensor:
        return x + self.body(x) if self.around else self.body(x)


def mobilenetv2() -> nn.Module:
    """The table of the paper: factor, channels, blocks, first stride."""
    table = (
        (1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2),
        (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1),
    )  # fmt: skip
    blocks, channels = [], 32
    for factor, out, count, stride in table:
        for block in range(count):
            blocks.append(Inverted(channels, out, 1 if block else stride, factor))
            channels = out
    stem = convolved(3, 32, 3, 2, then=nn.ReLU6())
    last = convolved(channels, 1280, 1, then=nn.ReLU6())
    return used(nn.Sequential(stem, *blocks, last, *head(1280)))


def head(channels: int, classes: int = 1000) -> list[nn.Module]:
    return [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, classes)]


def twice(into: int, out: int) -> nn.Module:
    """Two convolutions with bias."""
    first, second = nn.Conv2d(into, out, 3, padding=1), nn.Conv2d(out, out, 3, padding=1)
    return nn.Sequential(first, nn.ReLU(), second, nn.ReLU())


class UNet(nn.Module):
    """Down by pooling, up by transposed convolutions, with bridges (Ronneberger et al. 2015)."""

    def __init__(self, widths: tuple[int, ...] = (32, 64, 128, 256, 512), classes: int = 2) -> None:
        super().__init__()
        pairs = list(pairwise(widths))
        self.first = twice(3, widths[0])
        self.down = nn.ModuleList(twice(small, large) for small, large in pairs)
        self.grow = nn.ModuleList(nn.ConvTranspose2d(b, a, 2, 2) for a, b in reversed(pairs))
        self.up = nn.ModuleList(twice(2 * small, small) for small, _ in reversed(pairs))
        self.pool = nn.MaxPool2d(2)
        self.last = nn.Conv2d(widths[0], classes, 1)

    def forward(self, x: Tensor) -> Tensor:
        bridges = [self.first(x)]
        for down in self.down:
            bridges.append(down(self.pool(bridges[-1])))
        x = bridges.pop()
        for grow, up in zip(self.grow, self.up, strict=True):
            x = up(torch.cat([bridges.pop(), grow(x)], 1))
        return self.last(x)


def unet() -> nn.Module:
    return UNet()


def used(net: nn.Module) -> nn.Module:
    """With the statistics of one batch, so that values keep their size from layer to layer."""
    norms = [part for part in net.modules() if isinstance(part, nn.BatchNorm2d)]
    for norm in norms:
        norm.momentum = 1.0
    with torch.no_grad():
        net.train()(torch.randn(4, 3, 96, 96))
    return net.eval()
