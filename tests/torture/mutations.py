"""Stand-in."""

import random

from torture.nets import NETS


def mutated(seed):
    rng = random.Random(seed)
    data = bytearray(rng.choice(list(NETS.values())))
    for _ in range(rng.randrange(1, 4)):
        data[rng.randrange(len(data))] = rng.randrange(256)
    return bytes(data), {}, "flipped"
