"""Nets of the zoo as one writes them for jax: pure functions of parameters and data.

Each takes torch's parameters, laid out as jax likes them, by torch's names. Convolutions have their
channels last. What stands for the inputs is the second argument: the data, or the output of the
embedding of tokens where `embed` gives that.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from torch import nn

Weights = dict[str, jax.Array]
Net = Callable[[Weights, jax.Array], jax.Array]
LINES = ("NHWC", "HWIO", "NHWC")


def weights(module: nn.Module) -> Weights:
    """Parameters and the statistics of batch normalisation."""
    tensors = {**dict(module.named_parameters()), **dict(module.named_buffers())}
    return {
        name: jnp.asarray(_laid(x.detach().numpy()))
        for name, x in tensors.items()
        if x.is_floating_point()
    }


def _laid(x: np.ndarray) -> np.ndarray:
    return x.transpose(2, 3, 1, 0) if x.ndim == 4 else x


def linear(w: Weights, name: str, x: jax.Array) -> jax.Array:
    return x @ w[f"{name}.weight"].T + w[f"{name}.bias"]


def mlp(w: Weights, x: jax.Array) -> jax.Array:
    return linear(w, "4", jax.nn.relu(linear(w, "2", jax.nn.relu(linear(w, "0", x)))))


def convolved(w: Weights, name: str, x: jax.Array, stride: int) -> jax.Array:
    """A convolution and batch normalisation with the statistics that are kept."""
    kernel = w[f"{name}.0.weight"]
    pad = kernel.shape[0] // 2
    x = lax.conv_general_dilated(
        x, kernel, (stride,) * 2, [(pad, pad)] * 2, dimension_numbers=LINES
    )
    scale = w[f"{name}.1.weight"] * lax.rsqrt(w[f"{name}.1.running_var"] + 1e-5)
    return (x - w[f"{name}.1.running_mean"]) * scale + w[f"{name}.1.bias"]


def resnet50(w: Weights, x: jax.Array) -> jax.Array:
    x = jax.nn.relu(convolved(w, "0", x.transpose(0, 2, 3, 1), 2))
    ones = ((0, 0), (1, 1), (1, 1), (0, 0))
    x = lax.reduce_window(x, -jnp.inf, lax.max, (1, 3, 3, 1), (1, 2, 2, 1), ones)
    block = 2
    for stage, count in enumerate((3, 4, 6, 3)):
        for first in (True, *[False] * (count - 1)):
            name, stride = str(block), 2 if first and stage else 1
            y = jax.nn.relu(convolved(w, f"{name}.body.0", x, 1))
            y = jax.nn.relu(convolved(w, f"{name}.body.1", y, stride))
            y = convolved(w, f"{name}.body.2", y, 1)
            x = jax.nn.relu(y + (convolved(w, f"{name}.side", x, stride) if first else x))
            block += 1
    return linear(w, "20", x.mean((1, 2)))


def normalised(w: Weights, name: str, x: jax.Array, epsilon: float) -> jax.Array:
    x = x - x.mean(-1, keepdims=True)
    x = x * lax.rsqrt((x * x).mean(-1, keepdims=True) + epsilon)
    return x * w[f"{name}.weight"] + w[f"{name}.bias"]


def attended(q: jax.Array, k: jax.Array, v: jax.Array, *, causal: bool = False) -> jax.Array:
    """Twelve heads of 64, as jax's own attention has them."""
    q, k, v = (x.reshape(*x.shape[:2], 12, 64) for x in (q, k, v))
    return jax.nn.dot_product_attention(q, k, v, is_causal=causal).reshape(*q.shape[:2], 768)


def vit(w: Weights, x: jax.Array) -> jax.Array:
    at = "net.vit.embeddings"
    kernel, x = w[f"{at}.patch_embeddings.projection.weight"], x.transpose(0, 2, 3, 1)
    x = lax.conv_general_dilated(x, kernel, (16, 16), "VALID", dimension_numbers=LINES)
    x = x.reshape(len(x), -1, 768) + w[f"{at}.patch_embeddings.projection.bias"]
    cls = jnp.broadcast_to(w[f"{at}.cls_token"], (len(x), 1, 768))
    x = jnp.concatenate([cls, x], 1) + w[f"{at}.position_embeddings"]
    for layer in range(12):
        at = f"net.vit.layers.{layer}"
        h = normalised(w, f"{at}.layernorm_before", x, 1e-12)
        qkv = (linear(w, f"{at}.attention.{name}_proj", h) for name in "qkv")
        x = x + linear(w, f"{at}.attention.o_proj", attended(*qkv))
        h = linear(w, f"{at}.mlp.fc1", normalised(w, f"{at}.layernorm_after", x, 1e-12))
        x = x + linear(w, f"{at}.mlp.fc2", jax.nn.gelu(h, approximate=False))
    return linear(w, "net.classifier", normalised(w, "net.vit.layernorm", x, 1e-12)[:, 0])


def bert(w: Weights, x: jax.Array) -> jax.Array:
    at = "net.bert.embeddings"
    x = x + w[f"{at}.token_type_embeddings.weight"][0]
    x = x + w[f"{at}.position_embeddings.weight"][: x.shape[1]]
    x = normalised(w, f"{at}.LayerNorm", x, 1e-12)
    for layer in range(12):
        at = f"net.bert.encoder.layer.{layer}"
        qkv = (linear(w, f"{at}.attention.self.{n}", x) for n in ("query", "key", "value"))
        h = linear(w, f"{at}.attention.output.dense", attended(*qkv))
        x = normalised(w, f"{at}.attention.output.LayerNorm", x + h, 1e-12)
        h = jax.nn.gelu(linear(w, f"{at}.intermediate.dense", x), approximate=False)
        x = normalised(w, f"{at}.output.LayerNorm", x + linear(w, f"{at}.output.dense", h), 1e-12)
    return linear(w, "net.classifier", jnp.tanh(linear(w, "net.bert.pooler.dense", x[:, 0])))


def gpt2(w: Weights, x: jax.Array) -> jax.Array:
    def product(name: str, x: jax.Array) -> jax.Array:
        return x @ w[f"{name}.weight"] + w[f"{name}.bias"]

    x = x + w["net.transformer.wpe.weight"][: x.shape[1]]
    for layer in range(12):
        at = f"net.transformer.h.{layer}"
        qkv = jnp.split(product(f"{at}.attn.c_attn", normalised(w, f"{at}.ln_1", x, 1e-5)), 3, -1)
        x = x + product(f"{at}.attn.c_proj", attended(*qkv, causal=True))
        h = product(f"{at}.mlp.c_fc", normalised(w, f"{at}.ln_2", x, 1e-5))
        x = x + product(f"{at}.mlp.c_proj", jax.nn.gelu(h, approximate=True))
    x = normalised(w, "net.transformer.ln_f", x, 1e-5)
    return x @ w["net.transformer.wte.weight"].T


def looked_up(table: str, w: Weights, tokens: jax.Array) -> jax.Array:
    return w[table][tokens]


NETS: dict[str, Net] = {
    "mlp": mlp,
    "resnet50": resnet50,
    "vit": vit,
    "bert": bert,
    "gpt2": gpt2,
}
EMBED: dict[str, Net] = {
    "bert": partial(looked_up, "net.bert.embeddings.word_embeddings.weight"),
    "gpt2": partial(looked_up, "net.transformer.wte.weight"),
}


def gradient(name: str, module: nn.Module, data: np.ndarray, wrt: str) -> Callable[[], object]:
    """The gradient as a call that waits for its end."""
    net, embed = NETS[name], EMBED.get(name)
    w, x = weights(module), jnp.asarray(data)

    def value(w: Weights, x: jax.Array) -> jax.Array:
        return net(w, embed(w, x) if embed and wrt == "all" else x).sum()

    of = 1 if wrt == "inputs" else 0 if embed else (0, 1)
    found = jax.jit(jax.grad(value, argnums=of))
    start = embed(w, x) if embed and wrt == "inputs" else x
    return lambda: jax.block_until_ready(found(w, start))
