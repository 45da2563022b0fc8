"""Nets written in torch alone: what people's own nets are made of."""

from __future__ import annotations

from collections.abc import Iterator

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from support.exporters import torch_side
from support.exporters.sample import Made
from support.exporters.torch_side import Source


def mlp() -> nn.Module:
    return nn.Sequential(
        nn.Linear(6, 12),
        _used(nn.BatchNorm1d(12)),
        nn.ReLU(),
        nn.Dropout(0.3),
        nn.Linear(12, 8),
        nn.Tanh(),
        nn.Linear(8, 3),
    )


class Residual(nn.Module):
    def __init__(self, inner: int, outer: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inner, outer, 3, stride, 1, bias=False)
        self.bn1 = _used(nn.BatchNorm2d(outer))
        self.conv2 = nn.Conv2d(outer, outer, 3, padding=1, groups=2)
        self.bn2 = _used(nn.BatchNorm2d(outer))
        self.skip = nn.Conv2d(inner, outer, 1, stride)

    def forward(self, x: Tensor) -> Tensor:
        h = F.relu(self.bn1(self.conv1(x)))
        return F.leaky_relu(self.bn2(self.conv2(h)) + self.skip(x), 0.1)


def cnn() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(3, 8, 5, padding=2),
        nn.ReLU6(),
        nn.MaxPool2d(2),
        Residual(8, 8, 1),
        Residual(8, 12, 2),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(12, 4),
        nn.LogSoftmax(-1),
    )


class Recurrent(nn.Module):
    def __init__(self, kind: type[nn.LSTM] | type[nn.GRU] | type[nn.RNN]) -> None:
        super().__init__()
        self.cells = kind(5, 6, num_layers=2, batch_first=True, bidirectional=True)
        self.head = nn.Linear(12, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.cells(x)[0][:, -1])


class WrittenOut(nn.Module):
    """RMSNorm as people wrote it before torch had it."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(8))

    def forward(self, x: Tensor) -> Tensor:
        return self.weight * (x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + 1e-6))


class Norms(nn.Module):
    """Each kind of normalisation, with each kind of smooth activation."""

    def __init__(self, rms: nn.Module) -> None:
        super().__init__()
        self.layer = nn.LayerNorm(8)
        self.rms = rms
        self.group = nn.GroupNorm(2, 8)
        self.instance = nn.InstanceNorm1d(5, affine=True)
        self.up = nn.Linear(8, 16)
        self.gate = nn.Linear(8, 16)
        self.down = nn.Linear(16, 8)

    def forward(self, x: Tensor) -> Tensor:
        h = self.layer(x)
        h = x + self.down(F.gelu(self.up(h)))
        h = h + self.down(F.silu(self.gate(self.rms(h))) * self.up(h))
        h = h + F.gelu(self.group(h.transpose(1, 2)).transpose(1, 2), approximate="tanh")
        return F.mish(self.instance(h)) + F.softplus(h) + F.normalize(h, dim=-1)


class Attention(nn.Module):
    def __init__(self, causal: bool = True) -> None:
        super().__init__()
        self.qkv = nn.Linear(8, 24)
        self.out = nn.Linear(8, 8)
        self.causal = causal

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = self.qkv(x).unflatten(-1, (3, 2, 4)).permute(2, 0, 3, 1, 4).unbind(0)
        h = F.scaled_dot_product_attention(q, k, v, is_causal=self.causal)
        return self.out(h.transpose(1, 2).flatten(2))


class Encoder(nn.Module):
    """Torch's own transformer layer, with a mask of padded places."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.TransformerEncoderLayer(8, 2, 16, activation="gelu", batch_first=True)
        self.pool = nn.MultiheadAttention(8, 2, batch_first=True)
        self.query = nn.Parameter(torch.randn(1, 1, 8))

    def forward(self, x: Tensor, padded: Tensor) -> Tensor:
        h = self.layer(x, src_key_padding_mask=padded)
        query = self.query.expand(x.shape[0], 1, 8)
        return self.pool(query, h, h, key_padding_mask=padded, need_weights=False)[0]


class Sampling(nn.Module):
    """A spatial transformer, and a decoder that scales in each way."""

    def __init__(self) -> None:
        super().__init__()
        self.pose = nn.Linear(2 * 6 * 6, 6)
        self.up = nn.ConvTranspose2d(2, 4, 4, 2, 1)
        self.mix = nn.Conv2d(4, 4, 3, padding=1, padding_mode="reflect")

    def forward(self, x: Tensor) -> Tensor:
        pose = self.pose(x.flatten(1)).view(-1, 2, 3) * 0.35
        grid = F.affine_grid(pose, [x.shape[0], 2, 6, 6], align_corners=False)
        h = F.grid_sample(x, grid, mode="bilinear", align_corners=False)
        h = F.interpolate(h, scale_factor=1.5, mode="bilinear", align_corners=False)
        h = F.interpolate(h, size=(7, 5), mode="bicubic", align_corners=True)
        h = self.mix(torch.sigmoid(self.up(h)))
        return F.pixel_shuffle(F.interpolate(h, scale_factor=2.0, mode="nearest"), 2)


class Einsum(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.factor = nn.Parameter(torch.randn(3, 4, 5))
        self.table = nn.Parameter(torch.randn(7, 5))

    def forward(self, x: Tensor, index: Tensor) -> Tensor:
        h = torch.einsum("bti,hij->bthj", x, self.factor)
        scores = torch.einsum("bthj,bshj->bhts", h, h)
        h = torch.einsum("bhts,bshj->bthj", scores.softmax(-1), h)
        return h.sum(2) + self.table[index] + torch.bmm(x, x.transpose(1, 2)) @ h.mean(2)


class Moving(nn.Module):
    """Sorting, picking and putting back, cumulative sums, rolling."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(6))

    def forward(self, x: Tensor) -> Tensor:
        top, place = (x * self.weight).topk(3, dim=-1)
        h = torch.zeros_like(x).scatter_add(-1, place, top)
        h = h + x.cumsum(-1).flip(-1).roll(1, -1)
        h = torch.where(h > 0, h, h.exp() - 1)
        h = torch.cat([h, x.gather(-1, place)], -1)
        return h.clamp(-2.5, 2.5) / (1 + h.abs().amax(-1, keepdim=True)) + h.std(-1, keepdim=True)


class Looping(nn.Module):
    """What is scripted: a loop whose trips the data decide, with a branch inside."""

    def __init__(self) -> None:
        super().__init__()
        self.step = nn.Linear(4, 4)
        self.other = nn.Linear(4, 4)

    def forward(self, x: Tensor, count: Tensor) -> Tensor:
        for i in range(int(count)):
            x = x + torch.tanh(self.step(x)) if i % 2 == 0 else x * torch.sigmoid(self.other(x))
        return x * 2 if bool(x.sum() > 0) else x - self.step.weight[0]


class Growing(nn.Module):
    """Loops that grow a list, read it, and grow a tensor; parts of fixed sizes."""

    def __init__(self) -> None:
        super().__init__()
        self.step = nn.Linear(4, 4)

    def forward(self, x: Tensor, count: Tensor) -> Tensor:
        states = [x]
        long = x[0]
        for i in range(int(count)):
            states.append(torch.tanh(self.step(states[-1]) + states[i]))
            long = torch.cat([torch.sin(long), x[-1]])
        first, rest = torch.split(x, [1, 3], dim=1)
        return torch.stack(states, 1) * first.unsqueeze(1) * long.sum() + rest.mean()


class Choosing(nn.Module):
    """A branch that the data choose, traced by the newer exporter."""

    def __init__(self) -> None:
        super().__init__()
        self.one = nn.Linear(4, 4)
        self.other = nn.Linear(4, 4)

    def forward(self, x: Tensor) -> Tensor:
        return torch.cond(x.sum() > 0, self._one, self._other, (x,))

    def _one(self, x: Tensor) -> Tensor:
        return torch.tanh(self.one(x))

    def _other(self, x: Tensor) -> Tensor:
        return torch.sigmoid(self.other(x)) * x


class Loss(nn.Module):
    """A net that ends in its losses, as those for training on a device do."""

    def __init__(self) -> None:
        super().__init__()
        self.net = nn.Linear(5, 4)

    def forward(self, x: Tensor, label: Tensor, wanted: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        logits = self.net(x)
        entropy = F.cross_entropy(logits, label)
        binary = F.binary_cross_entropy_with_logits(logits, wanted)
        return entropy, binary, (logits - wanted).abs().mean() + F.mse_loss(logits.exp(), wanted)


def _used(norm: nn.Module) -> nn.Module:
    """A batch normalisation that has seen data."""
    norm.running_mean.copy_(torch.randn_like(norm.running_mean) * 0.3)
    norm.running_var.copy_(torch.rand_like(norm.running_var) + 0.5)
    return norm


def _x(*shape: int) -> dict[str, Tensor]:
    return {"x": torch.randn(2, *shape)}


def _padded() -> dict[str, Tensor]:
    return {**_x(5, 8), "padded": torch.tensor([[False] * 5, [False] * 3 + [True] * 2])}


def _counted() -> dict[str, Tensor]:
    return {**_x(4), "count": torch.tensor(3)}


def _labelled() -> dict[str, Tensor]:
    return {**_x(5), "label": torch.tensor([3, 1]), "wanted": torch.rand(2, 4)}


def _indexed() -> dict[str, Tensor]:
    return {**_x(6, 4), "index": torch.randint(0, 7, (2, 6))}


SOURCES = {
    "mlp": Source(mlp, lambda: _x(6)),
    "cnn": Source(cnn, lambda: _x(3, 12, 12)),
    "lstm": Source(lambda: Recurrent(nn.LSTM), lambda: _x(4, 5)),
    "gru": Source(lambda: Recurrent(nn.GRU), lambda: _x(4, 5)),
    "rnn": Source(lambda: Recurrent(nn.RNN), lambda: _x(4, 5)),
    "norms": Source(lambda: Norms(WrittenOut()), lambda: _x(5, 8)),
    "attention": Source(Attention, lambda: _x(5, 8)),
    "attention_23": Source(Attention, lambda: _x(5, 8), exporters=("torch_dynamo",), opset=23),
    "norms_23": Source(
        lambda: Norms(nn.RMSNorm(8, eps=1e-6)),
        lambda: _x(5, 8),
        exporters=("torch_dynamo",),
        opset=23,
    ),
    "norms_16": Source(
        lambda: Norms(WrittenOut()),
        lambda: _x(5, 8),
        exporters=("torch_script",),
        opset=16,
    ),
    "modules": Source(
        lambda: nn.Sequential(nn.Linear(8, 8), WrittenOut(), Attention(), WrittenOut()),
        lambda: _x(5, 8),
        exporters=("torch_script",),
        opset=15,
        functions=True,
    ),
    "encoder": Source(Encoder, _padded),
    "sampling": Source(Sampling, lambda: _x(2, 6, 6)),
    "einsum": Source(Einsum, _indexed),
    "moving": Source(Moving, lambda: _x(6)),
    "scripted": Source(
        Looping,
        _counted,
        axes={"x": {0: "batch"}},
        exporters=("torch_script",),
        scripted=True,
    ),
    "growing": Source(
        Growing,
        _counted,
        axes={"x": {0: "batch"}},
        exporters=("torch_script",),
        scripted=True,
    ),
    "choosing": Source(Choosing, lambda: _x(4), exporters=("torch_dynamo",)),
    "loss": Source(Loss, _labelled, outputs=("entropy", "binary", "distance")),
}


def made() -> Iterator[Made]:
    """Each net by each exporter that takes it."""
    return torch_side.made(SOURCES)
