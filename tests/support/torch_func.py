"""Five nets, each in ONNX's words and in torch's, and what torch.func says of their derivatives.

    python -m support.torch_func    writes tests/data/torch_func.npz; it needs torch

All weights and inputs are float32 numbers; torch computes with them in float64.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]
Torch = Any  # the tests run without torch, which is imported where it is used

DATA = Path(__file__).parents[1] / "data" / "torch_func.npz"
COUNT = 3  # examples in a batch, and tangents or cotangents in a stack


@dataclass(frozen=True)
class Twin:
    """One net twice.

    Args:
        body: the net as ONNX text, with a leading N at its port `x` and its output `y`.
        weights: its parameters.
        example: the shape of one example.
        output: the shape of its output.
        function: the same for a batch, given torch, the parameters by name, and x.
    """

    body: str
    weights: Mapping[str, Array]
    example: tuple[int, ...]
    output: tuple[int, ...]
    function: Callable[[Torch, Mapping[str, Torch], Torch], Torch]

    def draw(self, seed: int, *lead: int) -> Array:
        """Inputs."""
        return _draw(seed, *lead, *self.example)


def _draw(seed: int, *shape: int, scale: float = 1.0) -> Array:
    return (scale * np.random.default_rng(seed).standard_normal(shape)).astype(np.float32)


def _mlp(torch: Torch, p: Mapping[str, Torch], x: Torch) -> Torch:
    return torch.nn.functional.gelu(torch.tanh(x @ p["w1"] + p["b1"]) @ p["w2"] + p["b2"])


def _conv(torch: Torch, p: Mapping[str, Torch], x: Torch) -> Torch:
    f = torch.nn.functional
    h = f.softplus(f.conv2d(x, p["k1"], p["c1"], stride=2, padding=1))
    h = f.avg_pool2d(f.conv2d(h, p["k2"], groups=2, padding=1), 2)
    return torch.sigmoid(h.flatten(1)) @ p["w"]


def _lstm(torch: Torch, p: Mapping[str, Torch], x: Torch) -> Torch:
    """ONNX's gates are in the order i, o, f, c."""
    hidden = p["r"].shape[-1]
    h = c = torch.zeros(x.shape[0], hidden, dtype=x.dtype)
    for step in range(x.shape[1]):
        gates = x[:, step] @ p["w"][0].T + h @ p["r"][0].T
        gates = gates + p["b"][0, : 4 * hidden] + p["b"][0, 4 * hidden :]
        i, o, f, g = gates.chunk(4, -1)
        c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
        h = torch.sigmoid(o) * torch.tanh(c)
    return h @ p["head"]


def _attention(torch: Torch, p: Mapping[str, Torch], x: Torch) -> Torch:
    f = torch.nn.functional

    def heads(weight: Torch) -> Torch:
        return (x @ weight).unflatten(-1, (2, 2)).transpose(1, 2)

    q, k, v = heads(p["wq"]), heads(p["wk"]), heads(p["wv"])
    scores = torch.softmax(q @ k.transpose(-1, -2) / 2**0.5, -1)
    mixed = (scores @ v).transpose(1, 2).flatten(2) @ p["wo"]
    h = f.layer_norm(x + mixed, (4,), p["scale"], p["bias"])
    return (h + f.gelu(h @ p["w1"]) @ p["w2"]).mean(1)


def _looped(torch: Torch, p: Mapping[str, Torch], x: Torch) -> Torch:
    h = x
    for step in range(3):
        h = torch.tanh(h @ p["w"] + 0.5 * step)
    return torch.exp(h) if p["gate"].sum() > 0 else -h


TWINS = {
    "mlp": Twin(
        """(float[N,3] x) => (float[N,2] y) {
            h = MatMul(x, w1) z = Add(h, b1) t = Tanh(z) o = MatMul(t, w2) l = Add(o, b2)
            y = Gelu(l) }""",
        {"w1": _draw(1, 3, 5), "b1": _draw(2, 5), "w2": _draw(3, 5, 2), "b2": _draw(4, 2)},
        (3,),
        (2,),
        _mlp,
    ),
    "conv": Twin(
        """(float[N,2,6,6] x) => (float[N,3] y) {
            a = Conv<strides = [2, 2], pads = [1, 1, 1, 1]>(x, k1, c1) s = Softplus(a)
            b = Conv<group = 2, pads = [1, 1, 1, 1]>(s, k2)
            p = AveragePool<kernel_shape = [2, 2], strides = [2, 2]>(b) f = Flatten(p)
            g = Sigmoid(f) y = MatMul(g, w) }""",
        {
            "k1": _draw(1, 4, 2, 3, 3, scale=0.3),
            "c1": _draw(2, 4),
            "k2": _draw(3, 4, 2, 3, 3, scale=0.3),
            "w": _draw(4, 4, 3),
        },
        (2, 6, 6),
        (3,),
        _conv,
    ),
    "lstm": Twin(
        """(float[N,3,2] x) => (float[N,2] y) {
            t = Transpose<perm = [1, 0, 2]>(x) all, last = LSTM<hidden_size = 3>(t, w, r, b)
            h = Squeeze(last, zero) y = MatMul(h, head) }""",
        {
            "w": _draw(1, 1, 12, 2),
            "r": _draw(2, 1, 12, 3),
            "b": _draw(3, 1, 24),
            "head": _draw(4, 3, 2),
            "zero": np.zeros(1, np.int64),
        },
        (3, 2),
        (2,),
        _lstm,
    ),
    "attention": Twin(
        """(float[N,3,4] x) => (float[N,4] y) {
            q0 = MatMul(x, wq) k0 = MatMul(x, wk) v0 = MatMul(x, wv)
            q1 = Reshape(q0, heads) k1 = Reshape(k0, heads) v1 = Reshape(v0, heads)
            q = Transpose<perm = [0, 2, 1, 3]>(q1) k = Transpose<perm = [0, 2, 3, 1]>(k1)
            v = Transpose<perm = [0, 2, 1, 3]>(v1)
            qk = MatMul(q, k) d = Sqrt(two) s = Div(qk, d) m = Softmax<axis = -1>(s)
            c = MatMul(m, v) c1 = Transpose<perm = [0, 2, 1, 3]>(c) c2 = Reshape(c1, folded)
            mixed = MatMul(c2, wo) sum = Add(x, mixed)
            n = LayerNormalization<axis = -1, epsilon = 0.00001>(sum, scale, bias)
            u = MatMul(n, w1) g = Gelu(u) o = MatMul(g, w2) r = Add(n, o)
            y = ReduceMean<keepdims = 0>(r, one) }""",
        {
            **{f"w{name}": _draw(seed, 4, 4) for seed, name in enumerate("qkvo")},
            "scale": _draw(5, 4),
            "bias": _draw(6, 4),
            "w1": _draw(7, 4, 6),
            "w2": _draw(8, 6, 4),
            "two": np.float32(2),
            "heads": np.asarray([0, 0, 2, 2]),
            "folded": np.asarray([0, 0, 4]),
            "one": np.asarray([1]),
        },
        (3, 4),
        (4,),
        _attention,
    ),
    "control flow": Twin(
        """(float[N,3] x) => (float[N,3] y) {
            h = Loop(trips, always, x) <body = b (int64 i, bool go, float[N,3] a) =>
                (bool go_out, float[N,3] next) {
                m = MatMul(a, w) f = Cast<to = 1>(i) s = Mul(f, half) z = Add(m, s)
                next = Tanh(z) go_out = Identity(go) }>
            total = ReduceSum<keepdims = 0>(gate) c = Greater(total, none)
            y = If(c) <then_branch = t () => (float[N,3] e) { e = Exp(h) },
                       else_branch = o () => (float[N,3] n) { n = Neg(h) }> }""",
        {
            "w": _draw(1, 3, 3),
            "gate": _draw(2, 2) ** 2,
            "trips": np.asarray(3),
            "always": np.asarray(True),
            "half": np.float32(0.5),
            "none": np.float32(0),
        },
        (3,),
        (3,),
        _looped,
    ),
}


def floating(twin: Twin) -> dict[str, Array]:
    """The parameters that derivatives are taken by."""
    fixed = ("two", "half", "none", "gate")
    return {n: w for n, w in twin.weights.items() if w.dtype == np.float32 and n not in fixed}


def seeds(twin: Twin, seed: int, *lead: int) -> Array:
    """Arrays to impose at the output."""
    return _draw(seed, *lead, *twin.output)


def references(twin: Twin) -> dict[str, Array]:
    """Every derivative of one net in float64, by torch.func."""
    import torch
    from torch.func import grad, hessian, jacrev, jvp, vjp, vmap

    def double(array: Array) -> Any:
        return torch.tensor(np.asarray(array, np.float64))

    names = floating(twin)
    params = {name: double(w) for name, w in names.items()}
    fixed = {n: double(w) for n, w in twin.weights.items() if n not in names}
    x, t, u = (
        double(twin.draw(10, COUNT)),
        double(twin.draw(11, COUNT)),
        double(seeds(twin, 12, COUNT)),
    )
    many = double(seeds(twin, 13, COUNT, COUNT))

    def run(p: Any, batch: Any) -> Any:
        return twin.function(torch, {**fixed, **p}, batch)

    def one(p: Any, example: Any) -> Any:
        return run(p, example[None])[0]

    def energy(p: Any, example: Any, seed: Any) -> Any:
        return (one(p, example) * seed).sum()

    def whole(p: Any, batch: Any) -> Any:
        return (run(p, batch) * u).sum()

    moves = {name: double(_draw(20 + i, *w.shape)) for i, (name, w) in enumerate(names.items())}
    found = {"y": run(params, x)}
    found["jacobian/x"] = vmap(jacrev(one, 1), (None, 0))(params, x)
    blocks = vmap(jacrev(one, 0), (None, 0))(params, x)
    found |= {f"jacobian/{name}": block for name, block in blocks.items()}
    found["hessian/x"] = vmap(hessian(energy, 1), (None, 0, 0))(params, x, u)
    each = vmap(grad(energy, 0), (None, 0, 0))(params, x, u)
    found |= {f"by example/{name}": gradient for name, gradient in each.items()}
    found["jvp"] = jvp(run, (params, x), (moves, t))[1]
    products = jvp(grad(whole, (0, 1)), (params, x), (moves, t))[1]
    found["hvp/x"] = products[1]
    found |= {f"hvp/{name}": product for name, product in products[0].items()}
    pull = vjp(run, params, x)[1]
    by_params, by_x = vmap(pull)(many)
    found["stacked/x"] = by_x
    found |= {f"stacked/{name}": gradient for name, gradient in by_params.items()}
    return {name: value.detach().numpy() for name, value in found.items()}


def tangents(twin: Twin) -> dict[str, Array]:
    """The direction of `jvp` and `hvp`."""
    moves = {n: _draw(20 + i, *w.shape) for i, (n, w) in enumerate(floating(twin).items())}
    return {"x": twin.draw(11, COUNT), **moves}


def main() -> None:
    """Write the references of all nets."""
    found = {
        f"{net}|{name}": value
        for net, twin in TWINS.items()
        for name, value in references(twin).items()
    }
    np.savez_compressed(DATA, **found)


if __name__ == "__main__":
    main()
