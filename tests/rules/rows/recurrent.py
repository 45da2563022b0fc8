"""RNN, GRU and LSTM."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from support.rig import Row

_RNG = np.random.default_rng(31)
_TIME, _BATCH, _INPUTS, _HIDDEN = 4, 2, 3, 2
_GATES = {"RNN": 1, "GRU": 3, "LSTM": 4}
_LENS = np.array([4, 2], np.int32)
_WITHOUT_A_STEP = np.array([0, 3], np.int32)
_BOTH: dict[str, Any] = {"direction": "bidirectional"}
_BACK: dict[str, Any] = {"direction": "reverse"}


def _row(
    op: str,
    name: str,
    attributes: dict[str, Any] | None = None,
    *,
    without: str = "",
    lens: np.ndarray | None = None,
    **options: Any,
) -> Row:
    """A row with every operand but those whose letter is in `without`: B, h, c, P."""
    given = attributes or {}
    directions = 2 if given.get("direction") == "bidirectional" else 1
    width = _GATES[op] * _HIDDEN

    def array(*shape: int, scale: float = 0.5) -> np.ndarray:
        return _RNG.standard_normal(shape) * scale

    state = (directions, _BATCH, _HIDDEN)
    operands = {
        "X": array(_TIME, _BATCH, _INPUTS, scale=1.0),
        "W": array(directions, width, _INPUTS),
        "R": array(directions, width, _HIDDEN),
        "B": array(directions, 2 * width),
        "lens": lens,
        "h": array(*state),
    }
    if op == "LSTM":
        operands |= {"c": array(*state), "P": array(directions, 3 * _HIDDEN)}
    if given.get("layout"):
        turned = {n: operands[n].swapaxes(0, 1).copy() for n in "Xhc" if n in operands}
        operands |= turned
    operands |= {letter: None for letter in without if letter in operands}
    count = 3 if op == "LSTM" else 2
    attributes = {"hidden_size": _HIDDEN, **given}
    inputs = list(operands.values())
    return Row(op, inputs, attributes, id=name, **{"outputs": count, **options})


def _rows() -> Iterator[Row]:
    for op in _GATES:
        yield _row(op, "plain", without="BhcP", outputs=1)
        yield _row(op, "all")
        yield _row(op, "back", _BACK, without="c")
        yield _row(op, "both", _BOTH, without="hP")
        yield _row(op, "clip", {"clip": 0.6})
        for name, way in (("", {}), ("-back", _BACK), ("-both", _BOTH)):
            yield _row(op, f"lens{name}", way, lens=_LENS)
        yield _row(op, "lens-zero", lens=_WITHOUT_A_STEP)
        for name, flags in (("y", "1"), ("h", "01")):
            yield _row(op, f"only-{name}", _BOTH, outputs=flags, lens=_LENS)
        yield _row(op, "opset22", opset=22)
    yield _row("LSTM", "only-c", outputs="001", without="P")
    yield _row("LSTM", "only-ends", outputs="011", without="B")
    for name, way in (("", {}), ("-both", _BOTH)):
        yield _row("LSTM", f"input-forget{name}", {"input_forget": 1, **way})
        yield _row("LSTM", f"input-forget-bare{name}", {"input_forget": 1, **way}, without="BhcP")
        yield _row("GRU", f"reset-after{name}", {"linear_before_reset": 1, **way})
    yield _row("GRU", "reset-after-bare", {"linear_before_reset": 1}, without="Bh", lens=_LENS)
    yield _row("GRU", "reset-after-clip", {"linear_before_reset": 1, "clip": 0.6, **_BOTH})
    yield from _activation_rows()


def _activation_rows() -> Iterator[Row]:
    smooth = {"Sigmoid": {}, "Softplus": {}, "Softsign": {}}
    parameters = {
        "Affine": {"activation_alpha": [0.7], "activation_beta": [0.2]},
        "Elu": {"activation_alpha": [0.7]},
        "HardSigmoid": {"activation_alpha": [0.3], "activation_beta": [0.4]},
        "LeakyRelu": {"activation_alpha": [0.2]},
        "Relu": {},
        "ScaledTanh": {"activation_alpha": [1.3], "activation_beta": [0.7]},
        "ThresholdedRelu": {"activation_alpha": [0.1]},
    }
    for name, given in {**smooth, **parameters}.items():
        yield _row("RNN", name, {"activations": [name], **given})
        if given:
            yield _row("RNN", f"{name}-default", {"activations": [name]})
    several = ["Softsign", "ScaledTanh", "Elu", "HardSigmoid", "Softplus", "LeakyRelu"]
    consumed = {"activation_alpha": [0.9, 0.6, 0.3, 0.2], "activation_beta": [0.8, 0.4]}
    yield _row("LSTM", "each-its-own", {"activations": several, **consumed, **_BOTH}, lens=_LENS)
    yield _row("LSTM", "each-its-own-clip", {"activations": several, "clip": 0.6, **_BOTH})
    several = ["Sigmoid", "HardSigmoid", "Affine", "tanh"]
    consumed = {"activation_alpha": [0.3, 0.9], "activation_beta": [0.4]}
    for reset in (0, 1):
        attributes = {"activations": several, "linear_before_reset": reset, **consumed, **_BOTH}
        yield _row("GRU", f"each-its-own-{reset}", attributes)
    for op in ("GRU", "LSTM"):
        names = ["Relu", "ThresholdedRelu", "Relu"][: 2 if op == "GRU" else 3]
        given = {"activations": names, "activation_alpha": [0.05]}
        yield _row(op, "rectifiers", given)


ROWS = list(_rows())
