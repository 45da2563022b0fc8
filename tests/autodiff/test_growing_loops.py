"""Loops whose states are sequences, or change shape from trip to trip: adjoint and second order
against central differences in float64; and what is kept of a state.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import onnx
import pytest

from autodiff.test_sequences import net_case
from support.double import Arrays
from support.rig import Case, check_adjoint, second_order

V = np.random.default_rng(1).standard_normal(3)
W = np.random.default_rng(2).standard_normal((3, 3))
JOIN = "j = ConcatFromSequence<axis = 0>(list) y = Mul(j, j)"

APPEND = f"""
    none = SequenceEmpty<dtype = 11>()
    last, list = Loop(n, , x, none) <body = step
        (int64 i, bool c, double[] h, seq(double[]) p)
        => (bool d, double[] g, seq(double[]) q) {{
        d = Identity(c)
        m = MatMul(w, h)
        g = Tanh(m)
        q = SequenceInsert(p, g)
    }}>
    {JOIN}
"""
READS_ITSELF = f"""
    first = SequenceConstruct(x)
    end = Constant<value = int64 {{-1}}>()
    list = Loop(n, , first) <body = step
        (int64 i, bool c, seq(double[k]) p) => (bool d, seq(double[k]) q) {{
        d = Identity(c)
        h = SequenceAt(p, end)
        e = SequenceAt(p, i)
        m = MatMul(w, h)
        s = Mul(m, e)
        g = Tanh(s)
        q = SequenceInsert(p, g)
    }}>
    {JOIN}
"""
QUEUE = """
    r = MatMul(x, w)
    t = Sin(r)
    queue = SequenceConstruct(x, r, t, r)
    last, list, all = Loop(n, , x, queue) <body = step
        (int64 i, bool c, double[k] h, seq(double[k]) p)
        => (bool d, double[k] g, seq(double[k]) q, double[k] o) {
        d = Identity(c)
        zero = Constant<value = int64 {0}>()
        f = SequenceAt(p, zero)
        m = Mul(f, h)
        g = Tanh(m)
        o = Mul(g, x)
        q = SequenceErase(p, zero)
    }>
    j = ConcatFromSequence<axis = 0>(list)
    a = ReduceSum<keepdims = 0>(j)
    b = ReduceSum<keepdims = 0>(all)
    ab = Mul(a, b)
    y = Mul(ab, last)
"""
CAPTURED = """
    zero = Constant<value = int64 {0}>()
    r = MatMul(x, w)
    t = Sin(r)
    list = SequenceConstruct(x, r, t, r)
    last = Loop(n, , x) <body = step (int64 i, bool c, double[] h) => (bool d, double[] g) {
        d = Identity(c)
        e = SequenceAt(list, i)
        f = SequenceAt(list, zero)
        m = Mul(e, h)
        u = Mul(m, f)
        g = Tanh(u)
    }>
    y = Mul(last, last)
"""
GROWS = """
    last, all = Loop(n, , x) <body = step
        (int64 i, bool c, double[] h) => (bool d, double[] g, double o) {
        d = Identity(c)
        a = Sin(h)
        m = Mul(h, a)
        v = MatMul(x, w)
        g = Concat<axis = 0>(m, v)
        o = ReduceSum<keepdims = 0>(a)
    }>
    s = ReduceSum(all)
    y = Mul(last, s)
"""
GROWS_UNTIL = """
    limit = Constant<value = int64 {8}>()
    last = Loop(n, , x) <body = step (int64 i, bool c, double[p] h) => (bool d, double[q] g) {
        a = Sin(h)
        m = Mul(h, a)
        v = MatMul(x, w)
        g = Concat<axis = 0>(m, v)
        u = Size(g)
        d = Less(u, limit)
    }>
    y = Mul(last, last)
"""
RANK_GROWS = """
    front = Constant<value = int64[1] {0}>()
    v = MatMul(x, w)
    last = Loop(n, , x) <body = step (int64 i, bool c, double[] h) => (bool d, double[] g) {
        d = Identity(c)
        a = Sin(h)
        m = Mul(h, a)
        u = Mul(m, v)
        g = Unsqueeze(u, front)
    }>
    y = Mul(last, last)
"""
STAYS = """
    last, all = Loop(n, , x, x) <body = step
        (int64 i, bool c, double[] h, double[] l) => (bool d, double[] g, double[] p) {
        d = Identity(c)
        a = MatMul(w, h)
        m = Mul(l, a)
        g = Tanh(m)
        p = Add(h, x)
    }>
    y = Mul(last, all)
"""
HANDED_ON = """
    last, same, all = Loop(n, , x, w) <body = step
        (int64 i, bool c, double[] h, double[] v) => (bool d, double[] g, double[] v, double[] o) {
        d = Identity(c)
        m = MatMul(v, h)
        g = Tanh(m)
        o = Mul(g, h)
    }>
    s = ReduceSum(all)
    r = MatMul(same, last)
    y = Mul(r, s)
"""
NESTED = f"""
    none = SequenceEmpty<dtype = 11>()
    last, list = Loop(n, , x, none) <body = outer
        (int64 i, bool c, double[k] h, seq(double[k]) p)
        => (bool d, double[k] g, seq(double[k]) q) {{
        d = Identity(c)
        r = Loop(i, , h) <body = grow (int64 i3, bool c3, double[] h3) => (bool d3, double[] g3) {{
            d3 = Identity(c3)
            s3 = Mul(h3, h3)
            g3 = Concat<axis = 0>(s3, h)
        }}>
        t = ReduceSum<keepdims = 0>(r)
        g, q = Loop(i, , h, p) <body = inner
            (int64 i2, bool c2, double[k] h2, seq(double[k]) p2)
            => (bool d2, double[k] g2, seq(double[k]) q2) {{
            d2 = Identity(c2)
            m2 = MatMul(w, h2)
            n2 = Mul(m2, t)
            g2 = Tanh(n2)
            q2 = SequenceInsert(p2, g2)
        }}>
    }}>
    {JOIN}
"""
BRANCHES = f"""
    one = Constant<value = int64 {{1}}>()
    two = Constant<value = int64 {{2}}>()
    none = SequenceEmpty<dtype = 11>()
    last, list = Loop(n, , x, none) <body = step
        (int64 i, bool c, double[k] h, seq(double[k]) p)
        => (bool d, double[k] g, seq(double[k]) q) {{
        d = Identity(c)
        m = MatMul(w, h)
        g = Tanh(m)
        early = Less(i, two)
        q = If(early) <
            then_branch = yes () => (seq(double[k]) a) {{ a = SequenceInsert(p, g) }},
            else_branch = no () => (seq(double[k]) b) {{
                e = SequenceAt(p, one)
                f = Mul(e, g)
                b = SequenceInsert(p, f, one)
            }}
        >
    }}>
    {JOIN}
"""
SCANNED = """
    zero = Constant<value = int64 {0}>()
    rows = SplitToSequence<axis = 0, keepdims = 0>(w)
    last, all = Scan(x, w) <num_scan_inputs = 1, body = step
        (double[k] h, double[k] r) => (double[k] g, double[k] o) {
        e = SequenceAt(rows, zero)
        m = Mul(e, h)
        g = Tanh(m)
        o = Mul(g, r)
    }>
    y = Mul(all, last)
"""


OPTIONAL = """
    first = Optional(x)
    last, kept = Loop(n, , x, first) <body = step
        (int64 i, bool c, double[k] h, optional(double[k]) p)
        => (bool d, double[k] g, optional(double[k]) q) {
        d = Identity(c)
        m = MatMul(w, h)
        g = Tanh(m)
        q = Optional(m)
    }>
    there = OptionalGetElement(kept)
    y = Mul(there, last)
"""


OPTIONAL_LIST = f"""
    one = SequenceConstruct(x)
    first = Optional(one)
    kept = Loop(n, , first) <body = step
        (int64 i, bool c, optional(seq(double[k])) p) => (bool d, optional(seq(double[k])) q) {{
        d = Identity(c)
        l = OptionalGetElement(p)
        h = SequenceAt(l, i)
        m = Mul(h, x)
        g = Tanh(m)
        o = SequenceInsert(l, g)
        q = Optional(o)
    }}>
    list = OptionalGetElement(kept)
    {JOIN}
"""
NOTHING_AT_FIRST = """
    v = MatMul(x, w)
    first = Optional<type = double[k]>()
    last, kept = Loop(n, , x, first) <body = step
        (int64 i, bool c, double[k] h, optional(double[k]) p)
        => (bool d, double[k] g, optional(double[k]) q) {
        d = Identity(c)
        m = Mul(v, h)
        there = OptionalHasElement(p)
        g = If(there) <
            then_branch = yes () => (double[k] a) { e = OptionalGetElement(p) a = Mul(e, m) },
            else_branch = no () => (double[k] b) { b = Tanh(m) }
        >
        q = Optional(g)
    }>
    y = Mul(last, last)
"""


@dataclass(frozen=True)
class Net:
    """A net from x and w to y.

    Attributes:
        name: what it is about.
        body: its nodes as text.
        trips: the value of n.
        kept: the sequences that the forward loop of a gradient grows beside its own.
    """

    name: str
    body: str
    trips: int = 3
    kept: int = 0

    def __str__(self) -> str:
        return f"{self.name} {self.trips}"

    def case(self) -> Case:
        feeds: Arrays = {"x": V, "w": W, "n": np.array(self.trips)}
        return net_case("double[k] x, double[k, k] w, int64 n", self.body, feeds)


NETS = [
    Net("append", APPEND),
    Net("append", APPEND, 1),
    Net("reads itself", READS_ITSELF, kept=1),
    Net("reads itself", READS_ITSELF, 0, kept=1),
    Net("queue", QUEUE, kept=1),
    Net("captured", CAPTURED),
    Net("captured", CAPTURED, 0),
    *(Net("grows", GROWS, trips, kept=1) for trips in (1, 4)),
    *(Net("grows until", GROWS_UNTIL, trips, kept=1) for trips in (0, 1, 5)),
    *(Net("rank grows", RANK_GROWS, trips, kept=1) for trips in (0, 2)),
    Net("stays", STAYS),
    Net("handed on", HANDED_ON),  # as tf2onnx writes a cell's weights
    Net("nested", NESTED, kept=1),  # the inner loop is run again, and carries the list
    Net("branches", BRANCHES, 4, kept=1),
    Net("scanned", SCANNED),
    *(Net("optional", OPTIONAL, trips, kept=1) for trips in (0, 3)),
    Net("optional of a list", OPTIONAL_LIST, kept=1),
    # What is in an optional may have any shape, and so may the tensor that is made of it.
    *(Net("nothing at first", NOTHING_AT_FIRST, trips, kept=2) for trips in (0, 3)),
]


@pytest.mark.parametrize("net", NETS, ids=str)
def test_adjoint(net: Net) -> None:
    check_adjoint(net.case(), step=1e-5, tolerance=1e-7)


@pytest.mark.parametrize("net", NETS, ids=str)
def test_second_order(net: Net) -> None:
    # A difference of gradients: its third derivatives are larger than those of the output.
    check_adjoint(second_order(net.case()), step=1e-5, tolerance=1e-6)


@pytest.mark.parametrize("net", NETS, ids=str)
def test_what_is_kept(net: Net) -> None:
    """States that keep their shape are stacked, and those that nobody reads again are not kept."""
    case = net.case()
    own, gradient = (_sequence_states(model.graph) for model in (case.model, case.gradient()))
    assert gradient - own == net.kept


def _sequence_states(graph: onnx.GraphProto) -> int:
    """How many sequences the first loop of a graph carries."""
    [loop, *_] = [
        n for n in graph.node if n.op_type in {"Loop", "Scan"} and "portgrad" not in n.name
    ]
    [body] = [a.g for a in loop.attribute if a.name == "body"]
    return sum(value.type.HasField("sequence_type") for value in body.input)
