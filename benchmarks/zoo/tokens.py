"""Transformers, by the library of that name at its own sizes; and tokens."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import transformers as t
from torch import Tensor, nn

Inputs = Callable[[], dict[str, Tensor]]


class Logits(nn.Module):
    """A net of one input, with its logits alone."""

    def __init__(self, net: nn.Module, **options: Any) -> None:
        super().__init__()
        self.net = net
        self.options = options

    def forward(self, x: Tensor) -> Tensor:
        return self.net(x, **self.options)[0]


def vit() -> nn.Module:
    """ViT-B/16 with 1000 classes (Dosovitskiy et al. 2021)."""
    return Logits(t.ViTForImageClassification(t.ViTConfig(num_labels=1000)))


def bert() -> nn.Module:
    """BERT-base with two classes (Devlin et al. 2019)."""
    return Logits(t.BertForSequenceClassification(t.BertConfig()))


def gpt2() -> nn.Module:
    """GPT-2 small with its head over the vocabulary (Radford et al. 2019)."""
    return Logits(t.GPT2LMHeadModel(t.GPT2Config()), use_cache=False)


def words(batch: int, length: int, vocabulary: int) -> Inputs:
    return lambda: {"x": torch.randint(1, vocabulary, (batch, length))}
