"""Convolutions, and what lies between them, in the runtime's blocks of channels.

`regions` says what is computed in blocks, `convolutions` one convolution of them, and `depthwise`
the gradients of depthwise kernels; `leaving` has what is read from blocks directly, and `layout`
how blocks lie in memory.
"""

from portgrad.engine.rewrites.channels.regions import say

__all__ = ["say"]
