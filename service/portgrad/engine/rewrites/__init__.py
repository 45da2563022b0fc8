"""What becomes of a graph before the runtime has it: a module for each rewriting, all in place.

A session goes through them in this order: what the runtime cannot do as it stands, `masking` and
`channels`, and what takes less time or memory another way. Each keeps the numbers, up to the order
of sums. `unfolded` is for small graphs alone, and `writing` puts new nodes into a graph.
"""

from collections.abc import Callable

import onnx_ir as ir

from portgrad.autodiff.randomness import say_batch_statistics
from portgrad.engine.rewrites import doubles, kernels, rectifying, sums, turning, views
from portgrad.engine.rewrites.ordering import results_early

IN_THE_RUNTIMES_WORDS: tuple[Callable[[ir.Model], object], ...] = (
    say_batch_statistics,
    doubles.say,
    kernels.widen,
)
FOR_TIME_AND_MEMORY: tuple[Callable[[ir.Graph], object], ...] = (
    rectifying.without_nan,
    sums.by_products,
    turning.beforehand,
    views.of_images,
    results_early,
)
