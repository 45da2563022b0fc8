"""Drawing random nets with hypothesis: which operators, on which values, asked for what."""

from __future__ import annotations

import functools
from collections.abc import Sequence

from hypothesis import assume
from hypothesis import strategies as st

from rules.test_rule_table import SMOOTH
from support.random_nets.calls import KINDS, Call, Kind, fitting, operator, operators
from support.random_nets.net import Net
from support.random_nets.write import CONTROL, LARGEST, SEQUENCES, Draw, Writer
from support.rig import Row

OPSET = 21  # of nets around a subgraph


@functools.cache
def rows(op: str) -> tuple[Row, ...]:
    """The rows of an operator."""
    return tuple(row for row in SMOOTH if operator(row) == op)


def any_call(op: str, kind: Kind, opset: int, first: int) -> Call | None:
    """A row of an operator that a kind of net can hold, the first from some place on."""
    found = (call(op, (first + k) % len(rows(op)), kind, opset) for k in range(len(rows(op))))
    return next((c for c in found if c is not None), None)


@functools.cache
def call(op: str, place: int, kind: Kind, opset: int) -> Call | None:
    """One row in a kind of net, None where that cannot hold it."""
    row = rows(op)[place]
    return fitting(row, kind, opset) if row.opset <= opset else None


@functools.cache
def places(op: str) -> tuple[tuple[Kind, int], ...]:
    """The kinds of nets and the opsets that an operator can be in."""
    if op in CONTROL:
        kinds = KINDS if op not in SEQUENCES else [k for k in KINDS if k.engine != "reference"]
        return tuple((kind, OPSET) for kind in kinds)
    opsets = sorted({row.opset for row in rows(op)})
    return tuple((k, opset) for k in KINDS for opset in opsets if any_call(op, k, opset, 0))


@functools.cache
def everything() -> tuple[str, ...]:
    """All operators, those with subgraphs more often."""
    return (*operators(), *3 * ("If", "Loop", "Scan", "SequenceMap"), *CONTROL)


@st.composite
def nets(draw: Draw, op: str) -> Net:
    """A net of 2 to 30 nodes with at least one call of an operator."""
    kind, opset = draw(st.sampled_from(places(op)))

    def choose(op: str) -> Call | None:
        first = draw(st.integers(0, len(rows(op)) - 1))
        return any_call(op, kind, opset, first)

    writer = Writer(draw, Net(kind, opset), choose, everything())
    size = draw(st.integers(2, LARGEST))
    for _ in range(draw(st.integers(0, 2))):
        writer.step(draw(st.sampled_from(everything())))
    results, operands = writer.must(op)
    while writer.count < size and writer.step(draw(st.sampled_from(everything()))):
        pass
    assume(results)
    _ask(draw, writer, results, operands)
    return writer.net


def _ask(draw: Draw, writer: Writer, results: Sequence[str], operands: Sequence[str]) -> None:
    """Draw targets and outputs, among them results and operands of one call."""
    net, env = writer.net, writer.scope.env
    floats = [
        name for name, x in env.items() if x.dtype.kind == "f" and name not in writer.settings
    ]
    starts = [name for name in floats if name in net.ports or name in net.weights]
    ends = [n for n in writer.scope.pool if n not in net.ports and n not in net.weights]
    # The last one becomes the output port, the others are inner values.
    net.of = _union(results[:1], _some(draw, ends, 0, 2), ends[-1:])
    net.wrt = _union(operands[:1], _some(draw, starts, 1, 3), _some(draw, floats, 0, 2))
    net.seeds = _some(draw, net.of, 0, len(net.of))
    open_ports = [name for name in net.ports if name not in writer.settings]
    net.symbolic = set(_some(draw, open_ports, 0, len(open_ports)))


def _some(draw: Draw, names: Sequence[str], least: int, most: int) -> list[str]:
    if not names:
        return []
    count = draw(st.integers(least, most))
    return _union([draw(st.sampled_from(list(names))) for _ in range(count)])


def _union(*names: Sequence[str]) -> list[str]:
    return list(dict.fromkeys(name for some in names for name in some))
