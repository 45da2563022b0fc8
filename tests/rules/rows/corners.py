"""Corners, ties, ends of domains and degenerate points, with exact gradients for ones imposed."""

from __future__ import annotations

import numpy as np

from support.rig import Row

INF, NAN = np.inf, np.nan
_SELU = np.float32(1.67326319217681884765625) * np.float32(1.05070102214813232421875)
_LINE = np.array([[[[0.0, 1.0, 4.0]]]])
_ONE = np.ones((1, 1, 1, 1))
_UNIT = np.ones((1, 1, 1))
_ENDS = np.array([1.0, -1.0])


def _at_relu(op: str, gates: int, x: float, **attributes: object) -> Row:
    """One step of one unit of a recurrent operator whose weights are ones, from state 0."""
    weight = np.ones((1, gates, 1))
    inputs = [np.full((1, 1, 1), x), weight, weight * 0]
    return Row(op, inputs, {"hidden_size": 1, **attributes}, id=f"relu-at-{x:g}", wrt=(0,),
               expected={0: np.zeros((1, 1, 1))})  # fmt: skip


ROWS = [
    Row("Selu", [np.array([0.0])], id="at-0", expected={0: np.array([_SELU])}),
    Row("Mod", [np.array([4.0, -4.0]), np.array([2.0, 2.0])], {"fmod": 1}, id="at-a-jump",
        expected={0: [1.0, 1.0], 1: [-2.0, 2.0]}),
    # Recurrent: the activation's corner, and both ends of clip.
    _at_relu("RNN", 1, 0.0, activations=["Relu"]),
    _at_relu("RNN", 1, 2.0, activations=["Relu"], clip=2.0),
    _at_relu("RNN", 1, -2.0, activations=["Affine"], activation_alpha=[1.0], clip=2.0),
    _at_relu("GRU", 3, 2.0, activations=["HardSigmoid", "Relu"], clip=2.0),
    _at_relu("LSTM", 4, 2.5, activations=["HardSigmoid", "Relu", "Relu"], clip=2.0),
    Row("MaxUnpool", [np.array([[[3.0, 5.0]]]), np.array([[[1, 1]]])], {"kernel_shape": [2],
        "strides": [2]}, id="equal-indices", expected={0: [[[1.0, 1.0]]]}),
    Row("DeformConv", [_LINE, _ONE, np.zeros((1, 2, 1, 3))], id="at-centres", wrt=(2,),
        fixed=(1,),
        expected={2: [[[[0.0, -1.0, -4.0]], [[1.0, 3.0, -4.0]]]]}),
    Row("RoiAlign", [np.array([[[[2.0, 2.0], [2.0, 2.0]]]]), np.array([[0.0, 0.0, 1.0, 1.0]]),
        np.array([0])], {"mode": "max", "coordinate_transformation_mode": "output_half_pixel",
        "sampling_ratio": 1}, id="ties", wrt=(0,), expected={0: [[[[0.0625] * 2] * 2]]}),
    Row("Resize", [_LINE, np.array([0.0] * 4 + [1.0] * 4), None, np.array([1, 1, 1, 1])],
        {"mode": "linear", "coordinate_transformation_mode": "tf_crop_and_resize"},
        id="roi-at-a-centre", wrt=(1,), constants=(3,), expected={1: [0.0, 0.0, 0.0, 3.0] * 2}),
    *(Row(op, [x, *weights], {"activation": "Relu"}, id="at-0", domain="com.microsoft", wrt=(0,),
          fixed=(1,), expected={0: np.zeros_like(x)})
      for op, x, *weights in (("FusedGemm", np.zeros((1, 1)), np.ones((1, 1))),
                              ("FusedConv", np.zeros((1, 1, 1)), _UNIT))),
    # Ends of domains: what is infinite stays infinite.
    Row("Asin", [_ENDS], id="at-ends", expected={0: [INF, INF]}),
    Row("Acos", [_ENDS], id="at-ends", expected={0: [-INF, -INF]}),
    Row("Atanh", [_ENDS], id="at-ends", expected={0: [INF, INF]}),
    Row("Acosh", [np.array([1.0])], id="at-1", expected={0: [INF]}),
    Row("Log", [np.array([0.0])], id="at-0", expected={0: [INF]}),
    Row("Reciprocal", [np.array([0.0])], id="at-0", expected={0: [-INF]}),
    Row("Div", [np.array([1.0, 0.0]), np.array([0.0, 0.0])], id="by-0",
        expected={0: [INF, INF], 1: [-INF, NAN]}),
    # Products with zeros, and determinants of every rank below the full one.
    Row("ReduceProd", [np.array([0.0, 2.0, 0.0])], id="two-zeros", expected={0: [0.0] * 3}),
    Row("CumProd", [np.array([2.0, 0.0, 3.0]), np.array(0)], id="one-zero", opset=26,
        engine="reference", expected={0: [1.0, 8.0, 0.0]}),
    Row("CumProd", [np.array([0.0, 2.0, 0.0]), np.array(0)], id="two-zeros", opset=26,
        engine="reference", expected={0: [3.0, 0.0, 0.0]}),
    Row("Det", [np.array([[1.0, 2.0], [2.0, 4.0]])], id="rank-1-of-2",
        expected={0: [[4.0, -2.0], [-2.0, 1.0]]}),
    Row("Det", [np.diag([2.0, 3.0, 0.0])], id="rank-2-of-3",
        expected={0: np.diag([0.0, 0.0, 6.0])}),
    Row("Det", [np.diag([2.0, 0.0, 0.0])], id="rank-1-of-3", expected={0: np.zeros((3, 3))}),
    Row("Det", [np.zeros((3, 3))], id="of-zeros", expected={0: np.zeros((3, 3))}),
    # A deviation of 0 without an epsilon makes outputs that are no numbers.
    Row("LayerNormalization", [np.ones((1, 2)), np.ones(2)], {"epsilon": 0.0}, id="constant",
        wrt=(0,), expected={0: [[NAN, NAN]]}),
    Row("LayerNormalization", [np.ones((1, 2)), np.ones(2)], {"epsilon": 0.25}, id="kept",
        wrt=(0,), expected={0: [[0.0, 0.0]]}),
    Row("Softmax", [np.full((1, 2), -INF)], id="of-nothing", expected={0: [[NAN, NAN]]}),
]  # fmt: skip
