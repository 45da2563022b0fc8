"""Draws at random as a function of a seed, and nets as they are when they are trained.

onnxruntime draws from a stream of each session, which no run can be told to repeat. Here every
draw is computed from the seed and from where it is: the node, the iterations of the loops around
it, the element. So the same seed gives the same numbers, and a body that the backward pass runs
again draws what it drew before.
"""

from portgrad.autodiff.randomness.generator import seed_of_example
from portgrad.autodiff.randomness.seeding import draws, seeded
from portgrad.autodiff.randomness.training import (
    say_batch_statistics,
    takes_batch_statistics,
    told_of_training,
)
from portgrad.graph.draws import RANDOM_SEED, seed_port

__all__ = [
    "RANDOM_SEED",
    "draws",
    "say_batch_statistics",
    "seed_of_example",
    "seed_port",
    "seeded",
    "takes_batch_statistics",
    "told_of_training",
]
