"""The operators that torch has: what it calls them, on the operands of a row of the rule table."""

from __future__ import annotations

from support.torch_table.args import Args, Function, Result
from support.torch_table.elementwise import ELEMENTWISE, REDUCTIONS, SOFT
from support.torch_table.layers import LAYERS
from support.torch_table.moving import MOVING
from support.torch_table.recurrent import RECURRENT

TABLE: dict[str, Function] = {
    **ELEMENTWISE,
    **REDUCTIONS,
    **SOFT,
    **MOVING,
    **LAYERS,
    **RECURRENT,
}

# Operands by which torch has no gradient, and ONNX's operators have.
WITHOUT = {
    "BatchNormalization": (3, 4),
    "NegativeLogLikelihoodLoss": (2,),
    "SoftmaxCrossEntropyLoss": (2,),
}

__all__ = ["TABLE", "WITHOUT", "Args", "Function", "Result"]
