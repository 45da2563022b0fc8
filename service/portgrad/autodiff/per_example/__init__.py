"""Gradients of parameters by example: one sweep over a batch, in which cotangents of what all
examples share stay apart.

`EachSweep` is the sweep. Where a value of the examples' own meets a shared one, and along all that
is computed of parameters before that, the cotangent of what is shared has a leading axis of
examples (`layout`). It comes from the operator's own rule, called for operands that have that axis
too (`ways`), from a few lines of its own (`products`), or from the rule called for one example
after another (`one_by_one`). No parameter is copied for that: what is read of such an operand is
its shape.
"""

from portgrad.autodiff.per_example.layout import NotApart
from portgrad.autodiff.per_example.sweep import EachSweep

__all__ = ["EachSweep", "NotApart"]
