"""Nets without convolutions or attention: an MLP, ACAS Xu's, an LSTM; and data for them."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import torch
from torch import Tensor, nn

Inputs = Callable[[], dict[str, Tensor]]


def layers(*sizes: int) -> nn.Module:
    """Linear layers of these sizes with a ReLU between them."""
    linear = [nn.Linear(into, out) for into, out in pairwise(sizes)]
    return nn.Sequential(*(part for one in linear for part in (one, nn.ReLU())))[:-1]


def mlp() -> nn.Module:
    return layers(784, 512, 512, 10)


def acas() -> nn.Module:
    """As the nets of ACAS Xu are: six hidden layers of 50 (Katz et al. 2017)."""
    return layers(5, *[50] * 6, 5)


class Recurrent(nn.Module):
    """Two layers of LSTM cells; all steps of the upper one are the output."""

    def __init__(self, size: int = 512) -> None:
        super().__init__()
        self.cells = nn.LSTM(size, size, num_layers=2)

    def forward(self, x: Tensor) -> Tensor:
        return self.cells(x)[0]


def lstm() -> nn.Module:
    return Recurrent()


def pixels(batch: int) -> Inputs:
    return lambda: {"x": torch.rand(batch, 784)}


def encounters(batch: int) -> Inputs:
    return lambda: {"x": torch.randn(batch, 5)}


def steps(batch: int, length: int = 100, size: int = 512) -> Inputs:
    return lambda: {"x": torch.randn(length, batch, size)}
