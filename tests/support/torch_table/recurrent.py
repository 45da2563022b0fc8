"""RNN, GRU and LSTM with the gates in torch's order."""

from __future__ import annotations

import torch

from support.torch_table.args import Args, Function, Result

# Where torch's gates stand among ONNX's: (i, f, g, o) of (i, o, f, c); (r, z, n) of (z, r, h).
_ORDER = {"RNN": [0], "GRU": [1, 0, 2], "LSTM": [0, 2, 3, 1]}
_CELLS = {"RNN": torch.nn.RNN, "GRU": torch.nn.GRU, "LSTM": torch.nn.LSTM}


def _reordered(x: torch.Tensor, op: str, hidden: int) -> torch.Tensor:
    gates = x.split(hidden)
    return torch.cat([gates[k] for k in _ORDER[op]])


def _same(a: Args, op: str) -> bool:
    """Whether torch has the variant: no clipping, lengths, peepholes or odd activations."""
    own = a.row.attributes.get("activations")
    odd = a.clip or own or a.input_forget or a.has(4) or a.layout
    peephole = op == "LSTM" and a.has(7)
    return not (odd or peephole or a.direction == "reverse") and (
        op != "GRU" or bool(a.linear_before_reset)
    )


def _recurrent(op: str) -> Function:
    def call(a: Args) -> Result:
        if not _same(a, op):
            return None
        hidden, ways = a.hidden_size, a[1].shape[0]
        names, values = [], []
        cell = _CELLS[op](
            a[0].shape[2], hidden, bidirectional=ways == 2, bias=a.has(3), dtype=torch.float64
        )
        for way in range(ways):
            end = "_l0" + "_reverse" * way
            names += ["weight_ih" + end, "weight_hh" + end]
            values += [_reordered(a[i][way], op, hidden) for i in (1, 2)]
            if a.has(3):
                names += ["bias_ih" + end, "bias_hh" + end]
                values += [_reordered(b, op, hidden) for b in a[3][way].chunk(2)]
        zeros = torch.zeros(ways, a[0].shape[1], hidden, dtype=torch.float64)
        start = a.get(5) if a.has(5) else zeros
        if op == "LSTM":
            start = start, (a.get(6) if a.has(6) else zeros)
        weights = dict(zip(names, values, strict=True))
        y, last = torch.func.functional_call(cell, weights, (a[0], start))
        steps, batch = y.shape[:2]
        y = y.reshape(steps, batch, ways, hidden).transpose(1, 2)
        return (y, *last) if op == "LSTM" else (y, last)

    return call


RECURRENT: dict[str, Function] = {op: _recurrent(op) for op in _CELLS}
