"""Small nets that the project made itself: first things to try, and the reference's examples."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

_HEADER = '<ir_version: 10, opset_import: ["": 21]>'


def samples() -> dict[str, bytes]:
    """The sample nets by name, as ONNX bytes."""
    trained = Path(__file__).with_name("moons.onnx")  # written by examples/train_moons.py
    return {
        "moons": trained.read_bytes(),
        "ramp": ramp(),
        "cross-entropy": cross_entropy(),
        "chain": chain(),
        "red": red(),
    }


def ramp() -> bytes:
    """The elementwise ramp: Input (n) to Output (n)."""
    return _net("(float[n] Input) => (float[n] Output) { Output = Relu(Input) }")


def linear(outputs: int = 3, inputs: int = 4, seed: int = 0) -> bytes:
    """One random linear layer: Input (batch, inputs) to Output (batch, outputs)."""
    text = f"""(float[batch, {inputs}] Input) => (float[batch, {outputs}] Output) {{
        Output = Gemm<transB = 1>(Input, weight, bias)
    }}"""
    rng = np.random.default_rng(seed)
    return _net(text, {"weight": _normal(rng, outputs, inputs), "bias": _normal(rng, outputs)})


def cross_entropy() -> bytes:
    """Binary cross-entropy between Input and Target (n), averaged to the scalar Loss."""
    text = """(float[n] Input, float[n] Target) => (float Loss) {
        one = Constant<value = float {1}>()
        log_p = Log(Input)
        rest = Sub(one, Input)
        log_q = Log(rest)
        other = Sub(one, Target)
        hit = Mul(Target, log_p)
        miss = Mul(other, log_q)
        likelihood = Add(hit, miss)
        mean = ReduceMean<keepdims = 0>(likelihood)
        Loss = Neg(mean)
    }"""
    return _net(text)


def chain(seed: int = 1) -> bytes:
    """Three linear layers: Input (batch, 5) to Output (batch, 2), parameters by position."""
    text = """(float[batch, 5] Input) => (float[batch, 2] Output) {
        [layer1] hidden1 = Gemm<transB = 1>(Input, layer1.weight, layer1.bias)
        [layer2] hidden2 = Gemm<transB = 1>(hidden1, layer2.weight, layer2.bias)
        [layer3] Output = Gemm<transB = 1>(hidden2, layer3.weight, layer3.bias)
    }"""
    rng = np.random.default_rng(seed)
    weights = {}
    for layer, (fan_in, fan_out) in enumerate([(5, 4), (4, 3), (3, 2)], start=1):
        weights[f"layer{layer}.weight"] = _normal(rng, fan_out, fan_in)
        weights[f"layer{layer}.bias"] = _normal(rng, fan_out)
    return _net(text, weights)


def red() -> bytes:
    """Pooling, then the red channel: Input (1, 3, height, width) to Output (1, 1, h, w)."""
    text = """(float[1, 3, height, width] Input) => (float[1, 1, h, w] Output) {
        pooled = MaxPool<kernel_shape = [4, 4], strides = [4, 4]>(Input)
        first = Constant<value = int64[1] {0}>()
        Output = Gather<axis = 1>(pooled, first)
    }"""
    return _net(text)


def _normal(
    rng: np.random.Generator, *shape: int
) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    return rng.standard_normal(shape).astype(np.float32)


def _net(
    text: str,
    weights: Mapping[str, np.ndarray[tuple[int, ...], np.dtype[np.float32]]] | None = None,
) -> bytes:
    import onnx  # noqa: PLC0415  # a service without samples does without it

    model = onnx.parser.parse_model(f"{_HEADER} sample {_quoted(text, weights or {})}")
    model.graph.initializer.extend(
        onnx.numpy_helper.from_array(array, name) for name, array in (weights or {}).items()
    )
    model.producer_name = "portgrad"
    onnx.checker.check_model(model, full_check=True)
    serialised: bytes = model.SerializeToString(deterministic=True)
    return serialised


def _quoted(text: str, names: Mapping[str, object]) -> str:
    """ONNX's text form takes a name with dots in quotation marks only."""
    for name in names:
        text = text.replace(name, f'"{name}"') if "." in name else text
    return text
