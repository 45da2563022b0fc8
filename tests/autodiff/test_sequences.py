"""Sequences and optionals inside nets: adjoint and second order against central differences in
float64, with sizes that are known only at run time.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import onnx
import onnx_ir as ir
import pytest

from portgrad.graph.files import NetFiles
from portgrad.graph.load import load
from support.double import Arrays
from support.rig import Case, check_adjoint, second_order

X = np.random.default_rng(0).standard_normal((4, 3))
THREE = "a = Sin(x) b = Exp(x) c = Mul(x, x) s = SequenceConstruct(a, b, c)"
JOIN = "j = ConcatFromSequence<axis = 0>(t) y = Mul(j, j)"


@dataclass(frozen=True)
class Net:
    """A net from x, and an integer n where it has one, to y."""

    name: str
    body: str
    n: np.ndarray | int | None = None
    x: np.ndarray = field(default_factory=X.copy)

    def __str__(self) -> str:
        return self.name

    def case(self) -> Case:
        feeds: Arrays = {"x": self.x}
        ports = "double[rows, columns] x"
        if self.n is not None:
            feeds["n"] = np.asarray(self.n, np.int64)
            ports += ", int64[k] n" if feeds["n"].ndim else ", int64 n"
        return net_case(ports, self.body, feeds)


def net_case(ports: str, body: str, feeds: Arrays) -> Case:
    """A net written as text with one output y of unknown shape, normalised."""
    head = f'<ir_version: 10, opset_import: ["": 21]> net ({ports}) => (double y)'
    model = onnx.parser.parse_model(f"{head} {{ {body} }}")
    model.graph.output[0].type.tensor_type.ClearField("shape")
    wrt = tuple(name for name, x in feeds.items() if x.dtype == np.float64)
    return Case(ir.to_proto(load(NetFiles(model.SerializeToString()))), feeds, wrt, ("y",))


NETS = [
    *(Net(f"at {n}", f"{THREE} t = SequenceAt(s, n) y = Mul(t, x)", n) for n in (0, 2, -1, -3)),
    *(Net(f"insert {n}", f"{THREE} t = SequenceInsert(s, x, n) {JOIN}", n) for n in (0, 3, -1, -3)),
    Net("insert at the end", f"{THREE} t = SequenceInsert(s, x) {JOIN}"),
    *(Net(f"erase {n}", f"{THREE} t = SequenceErase(s, n) {JOIN}", n) for n in (0, 1, 2, -1, -3)),
    Net("erase the last", f"{THREE} t = SequenceErase(s) {JOIN}"),
    Net("split by sizes", f"t = SplitToSequence<axis = 0>(x, n) {JOIN}", [1, 0, 3]),
    Net("split by a size", f"t = SplitToSequence<axis = 0>(x, n) {JOIN}", 3),
    Net("split by ones", f"t = SplitToSequence<axis = -1>(x) {JOIN}"),
    Net("unbind", f"t = SplitToSequence<axis = -1, keepdims = 0>(x) {JOIN}"),
    Net(
        "elements of different sizes",
        """zero = Constant<value = int64 {0}>()
           one = Constant<value = int64 {1}>()
           s = SplitToSequence<axis = 0>(x, n)
           a = SequenceAt(s, zero)
           b = SequenceAt(s, one)
           y = Mul(a, b)""",
        3,
    ),
    Net(
        "map of elements of different sizes",
        f"""r = Constant<value = int64[2] {{3, 1}}>()
            s = SplitToSequence<axis = 0>(x, n)
            u = SplitToSequence<axis = 0>(x, r)
            t = SequenceMap(s, u) <body = each
                (double[p, q] e, double[p, q] f) => (double[p, q] g) {{
                g = Mul(e, f)
            }}>
            {JOIN}""",
        [1, 3],
    ),
    Net(
        "unbind and stack",
        "t = SplitToSequence<keepdims = 0>(x) "
        "j = ConcatFromSequence<axis = -1, new_axis = 1>(t) y = Mul(j, j)",
    ),
    Net(
        "unbind nothing",
        """t = SplitToSequence<axis = 0, keepdims = 0>(x)
           n = SequenceLength(t)
           d = Cast<to = 11>(n)
           q = ReduceSum<keepdims = 0>(x)
           y = Mul(d, q)""",
        x=X[:0],
    ),
    Net(
        "several uses",
        """s = SplitToSequence<axis = 1, keepdims = 0>(x)
           one = SequenceAt(s, n)
           other = SequenceAt(s, n)
           same = Identity(s)
           joined = ConcatFromSequence<axis = 0>(s)
           stacked = ConcatFromSequence<axis = 0, new_axis = 1>(same)
           p = Sin(joined)
           q = Exp(stacked)
           a = ReduceSum(p)
           b = ReduceSum(q)
           ab = Mul(a, b)
           c = Mul(one, other)
           y = Mul(ab, c)""",
        -2,
    ),
    Net(
        "an unused element",
        "a = Sin(x) s = SequenceConstruct(a, x) t = SequenceAt(s, n) y = Mul(t, t)",
        1,
    ),
    Net(
        "optional tensor",
        """o = Optional(x)
           p = Identity(o)
           q = OptionalGetElement(p)
           r = OptionalGetElement(o)
           y = Mul(q, r)""",
    ),
    Net("no optional", "q = OptionalGetElement(x) y = Mul(q, q)"),
    Net(
        "optional sequence",
        f"""{THREE}
           o = Optional(s)
           q = OptionalGetElement(o)
           r = OptionalGetElement(o)
           j = ConcatFromSequence<axis = 0>(q)
           k = ConcatFromSequence<axis = 0>(r)
           y = Mul(j, k)""",
    ),
    Net(
        "no optional sequence",
        f"{THREE} t = OptionalGetElement(s) {JOIN}",
    ),
    Net(
        "map",
        f"""{THREE}
           t = SequenceMap(s, x) <body = each (double[] e, double[] f) => (double[] g) {{
               g = Mul(e, f)
           }}>
           {JOIN}""",
    ),
    Net(
        "map of two",
        f"""{THREE}
           d = Neg(x)
           u = SequenceInsert(s, d, n)
           v = SequenceErase(u, n)
           t, w = SequenceMap(s, v) <
               body = each (double[] e, double[] f) => (double[] g, double[] h) {{
                   k = Mul(e, f)
                   g = Mul(k, x)
                   h = Sin(e)
               }}>
           z = ConcatFromSequence<axis = 0>(w)
           j = ConcatFromSequence<axis = 0>(t)
           y = Mul(j, z)""",
        1,
    ),
    *(
        Net(
            f"if gives a sequence {n}",
            f"""flag = Cast<to = 9>(n)
           s = SplitToSequence<axis = 0>(x)
           t = If(flag) <
               then_branch = yes () => (seq(double[p, q]) a) {{
                   e = Sin(x)
                   a = SequenceConstruct(x, e)
               }},
               else_branch = no () => (seq(double[p, q]) b) {{ b = SequenceErase(s) }}
           >
           {JOIN}""",
            n,
        )
        for n in (0, 1)
    ),
    *(
        Net(
            f"if gives an optional {n}",
            """flag = Cast<to = 9>(n)
           o = If(flag) <
               then_branch = yes () => (optional(double[p, q]) a) { e = Sin(x) a = Optional(e) },
               else_branch = no () => (optional(double[p, q]) b) { b = Optional(x) }
           >
           g = OptionalGetElement(o)
           y = Mul(g, g)""",
            n,
        )
        for n in (0, 1)
    ),
    *(
        Net(
            f"if has an element {n}",
            """flag = Cast<to = 9>(n)
           o = If(flag) <
               then_branch = yes () => (optional(double[p, q]) a) { a = Optional(x) },
               else_branch = no () => (optional(double[p, q]) b) {
                   b = Optional<type = double[p, q]>()
               }
           >
           there = OptionalHasElement(o)
           g = If(there) <
               then_branch = some () => (double[p, q] c) {
                   d = OptionalGetElement(o)
                   c = Mul(d, d)
               },
               else_branch = none () => (double[p, q] e) { e = Sin(x) }
           >
           y = Mul(g, g)""",
            n,
        )
        for n in (0, 1)
    ),
]


@pytest.mark.parametrize("net", NETS, ids=str)
def test_adjoint(net: Net) -> None:
    check_adjoint(net.case(), step=1e-5, tolerance=1e-7)


@pytest.mark.parametrize("net", NETS, ids=str)
def test_second_order(net: Net) -> None:
    # A difference of gradients: its third derivatives are larger than those of the output.
    check_adjoint(second_order(net.case()), step=1e-5, tolerance=1e-6)
