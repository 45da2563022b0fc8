"""com.microsoft: mixtures of experts. Every expert computes every token here, and what was not
chosen weighs 0; the runtime's kernels gather the tokens of each expert instead.
"""

from __future__ import annotations

from dataclasses import dataclass

from portgrad.autodiff.registry import body
from portgrad.autodiff.rules.packing import LARGE, cut, dequantised, unpacked
from portgrad.autodiff.rules.routing import chosen
from portgrad.autodiff.tensor import Tensor
from portgrad.autodiff.vocabulary import Vocabulary as Op
from portgrad.errors import Unsupported
from portgrad.graph.schemas.contrib import DOMAIN

_KINK = "among equal experts, the later ones are chosen; those of the activation"
_COST = "every expert computes every token"


@dataclass(frozen=True)
class Activation:
    """What lies between the two products of an expert."""

    name: str
    fusion: int
    alpha: float
    beta: float
    limit: float | None

    def of(self, op: Op, h: Tensor) -> Tensor:
        """The activation of the first product."""
        if self.name == "gelu":
            return op.Gelu(h, approximate="tanh")
        if self.name == "silu":
            return h * op.Sigmoid(h)
        if self.name == "relu":
            return op.Relu(h)
        if self.name == "identity":
            return h
        if self.name != "swiglu" or self.fusion != 1:
            raise Unsupported(
                f"onnxruntime has no CPU kernel of it with activation_type {self.name!r} and "
                f"swiglu_fusion {self.fusion}"
            )
        *lead, both = op.dims(h)
        pairs = op.reshape(h, [*lead, op.quotient(both, 2), 2])
        gate, linear = (op.Gather(pairs, op.index(k), axis=-1) for k in (0, 1))
        if self.limit is not None:
            gate, linear = op.Clip(gate, None, self.limit), op.Clip(linear, -self.limit, self.limit)
        return gate * op.Sigmoid(gate * self.alpha) * (linear + self.beta)


@dataclass(frozen=True)
class Layer:
    """One product of every expert: weights (experts, out, in) and a bias (experts, out)."""

    weights: Tensor
    bias: Tensor | None

    def of(self, op: Op, equation: str, x: Tensor) -> Tensor:
        """The product by expert and token."""
        y = op.Einsum(x, self.weights, equation=equation)
        return y if self.bias is None else y + op.unsqueeze(op.widen(self.bias)[0], 1)


def _mixed(
    op: Op, x: Tensor, weights: Tensor, first: Layer, second: Layer, f: Activation
) -> Tensor:
    """What the experts make of each token, by weights (tokens, experts)."""
    *lead, width = op.dims(x)
    tokens = op.reshape(op.widen(x)[0], [op.product(*lead), width])
    hidden = f.of(op, first.of(op, "th,eih->eti", tokens))
    made = second.of(op, "eti,ehi->eth", hidden)
    return op.cast_like(op.reshape_like(op.Einsum(made, weights, equation="eth,te->th"), x), x)


def _chosen(op: Op, scores: Tensor, count: int) -> Tensor:
    """Which experts are chosen: of equal ones the last, as the kernels choose."""
    backwards = chosen(op, op.reverse(scores, [1]), op.ints(count))
    return op.reverse(backwards, [1])


def _shares(op: Op, weights: Tensor, taken: Tensor, *, normalised: bool) -> Tensor:
    """The weights of chosen experts, which add up to 1 if asked."""
    kept = op.Where(taken, weights, op.scalar(0.0, weights))
    return kept / op.reduce_sum(kept, [1]) if normalised else kept


def _check(sparse: int, after: int, *more: Tensor | None) -> None:
    if sparse or after or any(x is not None for x in more):
        raise Unsupported(
            "onnxruntime's CPU kernel leaves out use_sparse_mixer, swiglu_limit_after_activation "
            "and separate weights of FC3"
        )


@body("MoE", domain=DOMAIN, kink=_KINK, cost=_COST)
def moe(
    op: Op,
    input: Tensor,
    router_probs: Tensor,
    fc1_experts_weights: Tensor,
    fc1_experts_bias: Tensor | None,
    fc2_experts_weights: Tensor,
    fc2_experts_bias: Tensor | None,
    fc3_experts_weights: Tensor | None,
    fc3_experts_bias: Tensor | None,
    *,
    activation_alpha: float,
    activation_beta: float,
    activation_type: str,
    k: int,
    normalize_routing_weights: int,
    swiglu_fusion: int,
    swiglu_limit: float | None,
    swiglu_limit_after_activation: int,
    use_sparse_mixer: int,
) -> Tensor:
    _check(use_sparse_mixer, swiglu_limit_after_activation, fc3_experts_weights, fc3_experts_bias)
    p = op.Softmax(op.widen(router_probs)[0], axis=-1)
    shares = _shares(op, p, _chosen(op, p, k), normalised=bool(normalize_routing_weights))
    between = Activation(
        activation_type, swiglu_fusion, activation_alpha, activation_beta, swiglu_limit
    )
    first = Layer(op.widen(fc1_experts_weights)[0], fc1_experts_bias)
    second = Layer(op.widen(fc2_experts_weights)[0], fc2_experts_bias)
    return _mixed(op, input, shares, first, second, between)


@body("QMoE", domain=DOMAIN, kink=_KINK, cost=f"{_COST}; {LARGE}")
def qmoe(
    op: Op,
    input: Tensor,
    router_probs: Tensor,
    fc1_experts_weights: Tensor,
    fc1_scales: Tensor | None,
    fc1_experts_bias: Tensor | None,
    fc2_experts_weights: Tensor,
    fc2_scales: Tensor | None,
    fc2_experts_bias: Tensor | None,
    fc3_experts_weights: Tensor | None,
    fc3_scales: Tensor | None,
    fc3_experts_bias: Tensor | None,
    fc1_zero_points: Tensor | None,
    fc2_zero_points: Tensor | None,
    fc3_zero_points: Tensor | None,
    router_weights: Tensor | None,
    fc1_global_scale: Tensor | None,
    fc2_global_scale: Tensor | None,
    fc1_act_scale: Tensor | None,
    fc2_act_scale: Tensor | None,
    fc1_act_block_scale: Tensor | None,
    fc2_act_block_scale: Tensor | None,
    *,
    activation_alpha: float,
    activation_beta: float,
    activation_type: str,
    block_size: int | None,
    expert_weight_bits: int,
    fc1_expert_weight_bits: int | None,
    fc2_expert_weight_bits: int | None,
    k: int,
    normalize_routing_weights: int,
    quant_type: str,
    swiglu_fusion: int,
    swiglu_limit: float | None,
    swiglu_limit_after_activation: int,
    use_sparse_mixer: int,
    weights_prepacked: int,
) -> Tensor:
    _check(use_sparse_mixer, swiglu_limit_after_activation, fc3_experts_weights, fc3_experts_bias)
    _check_codes(quant_type, weights_prepacked)
    shares = _given_shares(op, router_probs, router_weights, k, normalize_routing_weights)
    given = (activation_alpha, activation_beta, swiglu_limit)
    between = Activation(activation_type, swiglu_fusion, *given)
    size = block_size or 0
    bits = [b or expert_weight_bits for b in (fc1_expert_weight_bits, fc2_expert_weight_bits)]
    in_floats = [
        _floats(op, fc1_experts_weights, fc1_scales, fc1_zero_points, bits[0], size),
        _floats(op, fc2_experts_weights, fc2_scales, fc2_zero_points, bits[1], size),
    ]
    biases = (fc1_experts_bias, fc2_experts_bias)
    first, second = (Layer(w, b) for w, b in zip(in_floats, biases, strict=True))
    return _mixed(op, input, shares, first, second, between)


def _check_codes(quant_type: str, prepacked: int) -> None:
    if quant_type != "int" or prepacked == 1:
        raise Unsupported(
            "onnxruntime has no CPU kernel of it with these weights",
            remedy="Quantise the weights to integers, without prepacking.",
        )


def _given_shares(
    op: Op, router_probs: Tensor, router_weights: Tensor | None, count: int, normalise: int
) -> Tensor:
    """By scores alone the kernel normalises the weights, whatever the attribute says."""
    scores = op.widen(router_probs)[0]
    taken = _chosen(op, scores, count)
    if router_weights is None:
        return _shares(op, op.Softmax(scores, axis=-1), taken, normalised=True)
    return _shares(op, op.widen(router_weights)[0], taken, normalised=bool(normalise))


def _floats(
    op: Op, codes: Tensor, scales: Tensor | None, zeros: Tensor | None, bits: int, block: int
) -> Tensor:
    """Weights (experts, out, in) from codes that are packed along their last axis.

    A scale and a zero point belong to a block of a row, or to a row where blocks have no size.
    """
    if scales is None or bits not in (2, 4, 8):
        raise Unsupported("weights without scales, or of other than 2, 4 or 8 bits, are not built")
    bytes_ = unpacked(op, codes, bits)
    width = op.known_size(bytes_, 2)
    if width is None:
        raise Unsupported("the sizes of its weights are not known before the net runs")
    [scale] = op.widen(scales)
    if zeros is not None:
        last = op.rank(scales) - 1
        zeros = cut(op, unpacked(op, zeros, bits), last, op.dims(scale)[last])
    if not block:
        scale, zeros = op.unsqueeze(scale, 2), None if zeros is None else op.unsqueeze(zeros, 2)
    return dequantised(op, bytes_, scale, zeros, bits, block or width)
