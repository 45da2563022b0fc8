"""Nets of the transformers library, tiny and with random weights."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
import transformers as t
from torch import Tensor, nn

from support.exporters import torch_side
from support.exporters.sample import Made
from support.exporters.torch_side import Source

_SMALL: dict[str, Any] = {
    "vocab_size": 50,
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 24,
    "max_position_embeddings": 16,
}


class Tokens(nn.Module):
    """A net of tokens and their mask, with its first output alone."""

    def __init__(self, net: nn.Module, **options: Any) -> None:
        super().__init__()
        self.net = net
        self.options = options

    def forward(self, tokens: Tensor, mask: Tensor) -> Tensor:
        return self.net(input_ids=tokens, attention_mask=mask, **self.options)[0]


class Data(nn.Module):
    """A net of one floating input, with its first output alone."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, x: Tensor) -> Tensor:
        return self.net(x)[0]


def bert(attention: str) -> nn.Module:
    config = t.BertConfig(**_SMALL, type_vocab_size=2, num_labels=3)
    config._attn_implementation = attention
    return Tokens(t.BertForSequenceClassification(config))


def gpt2(attention: str) -> nn.Module:
    config = t.GPT2Config(vocab_size=50, n_positions=16, n_embd=16, n_layer=2, n_head=2)
    config._attn_implementation = attention
    return Tokens(t.GPT2LMHeadModel(config), use_cache=False)


def llama(attention: str) -> nn.Module:
    """Grouped queries (two heads share one key), rotary positions, RMSNorm, SwiGLU."""
    config = t.LlamaConfig(**_SMALL, num_key_value_heads=1)
    config._attn_implementation = attention
    return Tokens(t.LlamaForCausalLM(config), use_cache=False)


def vit(attention: str) -> nn.Module:
    sizes = {k: v for k, v in _SMALL.items() if k not in {"vocab_size", "max_position_embeddings"}}
    config = t.ViTConfig(**sizes, image_size=8, patch_size=4, num_labels=3)
    config._attn_implementation = attention
    return Data(t.ViTForImageClassification(config))


def whisper(attention: str) -> nn.Module:
    from transformers.models.whisper.modeling_whisper import WhisperEncoder

    config = t.WhisperConfig(
        num_mel_bins=6,
        d_model=16,
        encoder_layers=2,
        encoder_attention_heads=2,
        encoder_ffn_dim=24,
        max_source_positions=5,
        vocab_size=50,
        pad_token_id=0,
    )
    config._attn_implementation = attention
    return Data(WhisperEncoder(config))


def _tokens() -> dict[str, Tensor]:
    mask = torch.tensor([[1] * 6, [1] * 4 + [0] * 2])
    return {"tokens": torch.randint(1, 50, (2, 6)), "mask": mask}


_FREE = {"tokens": {0: "batch", 1: "length"}, "mask": {0: "batch", 1: "length"}}

SOURCES = {
    "bert": Source(lambda: bert("sdpa"), _tokens, axes=_FREE),
    "bert_eager": Source(lambda: bert("eager"), _tokens, axes=_FREE),
    "gpt2": Source(lambda: gpt2("sdpa"), _tokens, axes=_FREE),
    "llama": Source(lambda: llama("sdpa"), _tokens, axes=_FREE),
    "llama_eager": Source(lambda: llama("eager"), _tokens, axes=_FREE, exporters=("torch_dynamo",)),
    "vit": Source(lambda: vit("sdpa"), lambda: {"x": torch.randn(2, 3, 8, 8)}),
    "whisper": Source(lambda: whisper("sdpa"), lambda: {"x": torch.randn(2, 6, 10)}),
}


def made() -> Iterator[Made]:
    """Each net by each exporter that takes it."""
    return torch_side.made(SOURCES)
