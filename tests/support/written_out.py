"""Norms and activations as exporters write them out, and near misses that mean something else."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import onnx
from onnx import helper, parser

from support.double import Arrays
from support.rig import Case

_NUMBERS = {
    "half": 0.5,
    "one": 1.0,
    "two": 2.0,
    "three": 3.0,
    "eps": 0.0078125,
    "cubic": 0.044715,
    "root2": 2.0**0.5,
    "inverse": 0.5**0.5,
    "scale": (2.0 / np.pi) ** 0.5,
    "minus_half": -0.5,
    "negate": -1.0,
    "alpha": 1.702,
    "small": 0.9999,
    "off": 1.4142,
    "wide": [[[[0.5]]]],
}


@dataclass(frozen=True)
class Written:
    """Something that computes y of x, and of w and b where it has parameters.

    Args:
        id: who writes it, or what is wrong with it.
        text: its nodes.
        op: the operator that it is; "" for a near miss.
        fused: what the runtime makes of its forward pass, each possible name.
        parameters: the shape of w and b.
        x: the shape of x.
        ports: the shape of x as the net declares it.
        engine: "reference" where onnxruntime is wrong.
    """

    id: str
    text: str
    op: str = ""
    fused: tuple[str, ...] = ()
    parameters: tuple[int, ...] = (4,)
    x: tuple[int, ...] = (2, 3, 4)
    ports: str = "N, L, 4"
    engine: str = "any"

    def __str__(self) -> str:
        return f"{self.op or 'none'}-{self.id}".replace(" ", "-")

    @property
    def operands(self) -> list[str]:
        """The names of the inputs that it reads."""
        read = set(self.text.replace("(", " ").replace(")", " ").replace(",", " ").split())
        return [name for name in ("x", "w", "b") if name in read]

    def model(self, dtype: type, outputs: str = "y") -> onnx.ModelProto:
        """It as a net, every operand a port."""
        kind = {np.float32: "float", np.float64: "double"}[dtype]  # type: ignore[index]
        shapes = {name: ", ".join(map(str, self.parameters)) for name in ("w", "b")}
        shapes["x"] = self.ports
        ports = ", ".join(f"{kind}[{shapes[name]}] {name}" for name in self.operands)
        text = f'<ir_version: 10, opset_import: ["": 21]> net ({ports}) => ({kind} y) {{ '
        text += "last = Constant<value_ints = [-1]>() two_last = Constant<value_ints = [-2, -1]>() "
        text += "middle = Constant<value_ints = [1]>() "
        code = helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
        net = parser.parse_model(text + self.text.replace("KIND", str(code)) + " }")
        constants = [
            helper.make_node("Constant", [], [name], value=onnx.numpy_helper.from_array(array))
            for name, array in ((k, np.array(v, dtype)) for k, v in _NUMBERS.items())
        ]
        nodes = [*constants, *net.graph.node]
        del net.graph.node[:]
        net.graph.node.extend(nodes)
        net.graph.output[0].ClearField("type")
        return onnx.shape_inference.infer_shapes(net, strict_mode=True, data_prop=True)

    def feeds(self, dtype: type) -> Arrays:
        """An array for each operand."""
        rng = np.random.default_rng(3)
        shapes = {"x": self.x, "w": self.parameters, "b": self.parameters}
        return {name: rng.uniform(0.3, 1.9, shapes[name]).astype(dtype) for name in self.operands}

    def case(self, dtype: type = np.float64) -> Case:
        """It as a case: the gradients by all operands."""
        wrt = tuple(self.operands)
        return Case(self.model(dtype), self.feeds(dtype), wrt, ("y",), self.engine)


_MEAN = "m = ReduceMean(x, last) d = Sub(x, m) "
_VARIANCE = _MEAN + "p = Pow(d, two) v = ReduceMean(p, last) e = Add(v, eps) "
_SQUARED = _MEAN + "p = Mul(d, d) v = ReduceMean(p, last) e = Add(v, eps) "
_RSQRT = _SQUARED + "s = Sqrt(e) r = Reciprocal(s) "
_POOLED = (
    "m = GlobalAveragePool(x) d = Sub(x, m) p = Mul(d, d) v = GlobalAveragePool(p) e = Add(v, eps) "
    "s = Sqrt(e) r = Reciprocal(s) "
)
_FOLDED = "g = Mul(r, w) xg = Mul(x, g) mg = Mul(m, g) bm = Sub(b, mg) y = Add(xg, bm)"
_KERAS = "g = Mul(r, w) xg = Mul(x, g) n = Neg(m) mg = Mul(n, g) mb = Add(mg, b) y = Add(xg, mb)"
_KERAS_BIAS = "xg = Mul(x, r) n = Neg(m) mg = Mul(n, r) mb = Add(mg, b) y = Add(xg, mb)"
_KERAS_SCALE = "g = Mul(r, w) xg = Mul(x, g) n = Neg(m) mg = Mul(n, g) y = Add(xg, mg)"
_DIVIDED = "s = Sqrt(e) n = Div(d, s) "
_TWO_AXES = (
    "m = ReduceMean(x, two_last) d = Sub(x, m) p = Pow(d, two) v = ReduceMean(p, two_last) "
    "e = Add(v, eps) s = Sqrt(e) n = Div(d, s) nw = Mul(n, w) y = Add(nw, b)"
)
_NORM = ("LayerNormalization",)
_PARAMETERS = "nw = Mul(n, w) y = Add(nw, b)"


def _layer(name: str, text: str, **given: object) -> Written:
    return Written(name, text, "LayerNormalization", _NORM, **given)  # type: ignore[arg-type]


_RMS = "p = Pow(x, two) v = ReduceMean(p, last) e = Add(v, eps) s = Sqrt(e) "
_SIMPLE = ("SimplifiedLayerNormalization",)


def _rms(name: str, text: str, fused: tuple[str, ...] = _SIMPLE) -> Written:
    return Written(name, text, "RMSNormalization", fused)


_ERF = "u = Div(x, root2) e = Erf(u) e1 = Add(e, one) "
_TANH = (
    "c = Pow(x, three) k = Mul(c, cubic) i = Add(x, k) u = Mul(i, scale) t = Tanh(u) "
    "e1 = Add(one, t) "
)
_FAST = (
    "us = Mul(x, scale) kx = Mul(x, cubic) kxx = Mul(kx, x) k1 = Add(kxx, one) u = Mul(us, k1) "
    "t = Tanh(u) e1 = Add(t, one) "
)
_GELU = ("Gelu", "FastGelu", "BiasGelu")


def _gelu(name: str, text: str) -> Written:
    return Written(name, text, "Gelu", _GELU)


_EXP = "n = Neg(x) e = Exp(n) u = Add(e, one) "

FORMS = [
    _layer("torchscript below 17", _VARIANCE + _DIVIDED + _PARAMETERS),
    _layer("weight first", _VARIANCE + _DIVIDED + "nw = Mul(w, n) y = Add(b, nw)"),
    _layer(
        "two differences", _VARIANCE + "s = Sqrt(e) d2 = Sub(x, m) n = Div(d2, s) " + _PARAMETERS
    ),
    _layer("inverse root", _RSQRT + "n = Mul(d, r) " + _PARAMETERS),
    _layer("power", _SQUARED + "r = Pow(e, minus_half) n = Mul(r, d) " + _PARAMETERS),
    _layer("without bias", _VARIANCE + _DIVIDED + "y = Mul(n, w)"),
    _layer("without parameters", _VARIANCE + "s = Sqrt(e) y = Div(d, s)"),
    _layer("two axes", _TWO_AXES, parameters=(3, 4), ports="N, 3, 4"),
    _layer("parameters of full rank", _VARIANCE + _DIVIDED + _PARAMETERS, parameters=(1, 1, 4)),
    _layer(
        "weight of another axis",
        _VARIANCE + _DIVIDED + "y = Mul(n, w)",
        parameters=(3, 1),
        ports="N, 3, 4",
    ),
    _layer("tensorflow", _RSQRT + _FOLDED),
    _layer("tensorflow pooled", _POOLED + _FOLDED),
    _layer("keras", _RSQRT + _KERAS, parameters=(1, 1, 4)),
    _layer("keras without scale", _RSQRT + _KERAS_BIAS, parameters=(1, 1, 4)),
    _layer("keras without bias", _RSQRT + _KERAS_SCALE, parameters=(1, 1, 4)),
    _rms("dynamo", _RMS + "r = Reciprocal(s) n = Mul(x, r) y = Mul(w, n)"),
    _rms("torchscript", _RMS + "r = Div(one, s) n = Mul(x, r) y = Mul(w, n)"),
    # What is left of a LayerNorm whose mean somebody reads.
    _rms("centred", _VARIANCE + _DIVIDED + "nw = Mul(n, w) y0 = Add(nw, b) y = Add(y0, m)"),
    _rms(
        "casts to its own type",
        _RMS + "r = Reciprocal(s) n = Mul(x, r) t = Cast<to = KIND>(n) y = Mul(w, t)",
    ),
    _rms("divided", _RMS + "n = Div(x, s) y = Mul(n, w)"),
    # These the runtime does not fuse, and their rule alone is a gain.
    _rms("without weight", _RMS + "r = Reciprocal(s) y = Mul(x, r)", ()),
    _rms("keras", _RMS + "r = Reciprocal(s) g = Mul(r, w) y = Mul(x, g)", ()),
    _gelu("torchscript", _ERF + "xe = Mul(x, e1) y = Mul(xe, half)"),
    _gelu("half first", _ERF + "xh = Mul(half, x) y = Mul(xh, e1)"),
    _gelu("half inside", _ERF + "he = Mul(e1, half) y = Mul(x, he)"),
    _gelu(
        "tensorflow",
        "u = Mul(x, inverse) e = Erf(u) e1 = Add(one, e) xh = Mul(x, half) y = Mul(xh, e1)",
    ),
    _gelu("tanh of transformers", _TANH + "xh = Mul(half, x) y = Mul(xh, e1)"),
    _gelu("tanh of tensorflow", _TANH + "he = Mul(half, e1) y = Mul(x, he)"),
    _gelu("fast tanh", _FAST + "xh = Mul(x, half) y = Mul(xh, e1)"),
    _gelu(
        "tanh of products",
        _TANH.replace("c = Pow(x, three)", "xx = Mul(x, x) c = Mul(xx, x)")
        + "xe = Mul(x, e1) y = Mul(xe, half)",
    ),
    Written("torch", "s = Sigmoid(x) y = Mul(x, s)", "Swish", ("QuickGelu",)),
    # The rule has the same sigmoid, which the runtime then computes once for both.
    Written("quick gelu", "a = Mul(x, alpha) s = Sigmoid(a) y = Mul(x, s)", "Swish"),
    Written("ratio", _EXP + "y = Div(one, u)", "Sigmoid"),
    Written("reciprocal", _EXP + "y = Reciprocal(u)", "Sigmoid"),
    Written(
        "scikit-learn", _EXP.replace("Neg(x)", "Mul(x, negate)") + "y = Reciprocal(u)", "Sigmoid"
    ),
]

_ONE_SQUARE = _MEAN + "p = Pow(d, two) "
NEAR_MISSES = [
    Written(
        "epsilon after the root",
        _ONE_SQUARE
        + "v = ReduceMean(p, last) s0 = Sqrt(v) s = Add(s0, eps) n = Div(d, s) "
        + _PARAMETERS,
    ),
    Written(
        "no epsilon",
        _ONE_SQUARE + "v = ReduceMean(p, last) s = Sqrt(v) n = Div(d, s) " + _PARAMETERS,
    ),
    Written(
        "epsilon with axes",
        _ONE_SQUARE + "v = ReduceMean(p, last) e = Add(v, b) s = Sqrt(e) y = Div(d, s)",
    ),
    Written(
        "means over different axes",
        _ONE_SQUARE + "v = ReduceMean(p, middle) e = Add(v, eps) " + _DIVIDED + _PARAMETERS,
    ),
    Written("not the last axis", _VARIANCE.replace("last", "middle") + _DIVIDED + "y = Mul(n, w)"),
    Written(
        "a sum for a mean",
        _ONE_SQUARE + "v = ReduceSum(p, last) e = Add(v, eps) " + _DIVIDED + _PARAMETERS,
    ),
    Written(
        "cubes",
        _VARIANCE.replace("two", "three").replace("eps", "two") + _DIVIDED + _PARAMETERS,
        engine="reference",  # onnxruntime fuses it, whatever the exponent
    ),
    Written("no root", _VARIANCE + "n = Div(d, e) " + _PARAMETERS),
    Written("times the root", _VARIANCE + "s = Sqrt(e) n = Mul(s, d) " + _PARAMETERS),
    Written(
        "another value centred",
        _VARIANCE + "s = Sqrt(e) xx = Mul(x, half) d2 = Sub(xx, m) n = Div(d2, s) " + _PARAMETERS,
    ),
    Written(
        "a looked at variance",
        _VARIANCE + _DIVIDED + "nw = Mul(n, w) y0 = Add(nw, b) y = Add(y0, v)",
    ),
    Written(
        "two slopes",
        _RSQRT + "g = Mul(r, w) xg = Mul(x, g) mg = Mul(m, r) bm = Sub(b, mg) y = Add(xg, bm)",
    ),
    Written(
        "mean added",
        _RSQRT + "g = Mul(r, w) xg = Mul(x, g) mg = Mul(m, g) bm = Add(b, mg) y = Add(xg, bm)",
    ),
    Written("root mean cube", _RMS.replace("two", "three") + "r = Reciprocal(s) y = Mul(x, r)"),
    Written("another value over the root", _RMS + "xx = Mul(x, half) y = Div(xx, s)"),
    Written(
        "minus the error function",
        _ERF.replace("Add(e, one)", "Sub(one, e)") + "xe = Mul(x, e1) y = Mul(xe, half)",
    ),
    Written("almost one", _ERF.replace("one", "small") + "xe = Mul(x, e1) y = Mul(xe, half)"),
    Written(
        "almost the root of two", _ERF.replace("root2", "off") + "xe = Mul(x, e1) y = Mul(xe, half)"
    ),
    Written("not halved", _ERF + "xe = Mul(x, e1) y = Mul(xe, two)"),
    Written("a new axis", _ERF + "xe = Mul(x, e1) y = Mul(xe, wide)"),
    Written("another factor", _ERF + "xe = Mul(u, e1) y = Mul(xe, half)"),
    Written(
        "squares for cubes", _TANH.replace("three", "two") + "xh = Mul(half, x) y = Mul(xh, e1)"
    ),
    Written("another cubic", _TANH.replace("cubic", "half") + "xh = Mul(half, x) y = Mul(xh, e1)"),
    Written(
        "minus the cube",
        _TANH.replace("Add(x, k)", "Sub(x, k)") + "xh = Mul(half, x) y = Mul(xh, e1)",
    ),
    Written("another gate", "h = Add(x, half) s = Sigmoid(h) y = Mul(x, s)"),
    Written("growing", "e = Exp(x) u = Add(e, one) y = Div(one, u)"),
    Written("two over", _EXP + "y = Div(two, u)"),
    Written("less one", _EXP.replace("Add", "Sub") + "y = Reciprocal(u)"),
    Written("a looked at gate", "s = Sigmoid(x) z = Mul(x, s) y = Add(z, s)"),
]
