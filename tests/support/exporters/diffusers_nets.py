"""A diffusion net of the diffusers library, tiny and with random weights."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from diffusers import UNet2DConditionModel
from torch import Tensor, nn

from support.exporters import torch_side
from support.exporters.sample import Made
from support.exporters.torch_side import Source


class UNet(nn.Module):
    """Two scales of residual blocks with a time embedding, self and cross attention."""

    def __init__(self) -> None:
        super().__init__()
        self.net = UNet2DConditionModel(
            sample_size=8,
            in_channels=2,
            out_channels=2,
            block_out_channels=(4, 8),
            layers_per_block=1,
            down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
            mid_block_type=None,
            up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
            cross_attention_dim=6,
            attention_head_dim=2,
            norm_num_groups=2,
        )

    def forward(self, noisy: Tensor, time: Tensor, prompt: Tensor) -> Tensor:
        return self.net(noisy, time, prompt, return_dict=False)[0]


def _noisy() -> dict[str, Tensor]:
    return {
        "noisy": torch.randn(2, 2, 8, 8),
        "time": torch.tensor([3, 11]),
        "prompt": torch.randn(2, 3, 6),
    }


SOURCES = {"unet": Source(UNet, _noisy, exporters=("torch_dynamo",))}


def made() -> Iterator[Made]:
    """Each net by each exporter that takes it."""
    return torch_side.made(SOURCES)
