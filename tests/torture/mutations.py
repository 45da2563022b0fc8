"""Nets that are nearly sound: what `mutated(seed)` gives is the same for the same seed.

Bytes are flipped, cut and spliced; fields that hold a size, index, type, name, shape, attribute,
opset, external-data entry, function or subgraph are changed one by one (`fields`).
"""

from __future__ import annotations

import random
from typing import NamedTuple

import onnx

from torture import base_nets, fields
from torture.base_nets import Base


class Mutant(NamedTuple):
    """What an upload would hold, and what was done to it."""

    model: bytes
    external: dict[str, bytes]
    done: str


def mutated(seed: int) -> Mutant:
    """A mutant, for any number."""
    rng = random.Random(seed)
    base = _base(rng)
    way = rng.random()
    if way < 0.75:
        model, done = _fields(rng, base.model)
    elif way < 0.9:
        model, done = _flipped(rng, base.model)
    elif way < 0.95:
        cut = rng.randrange(len(base.model))
        model, done = base.model[:cut], f"cut at {cut}"
    else:
        other = _base(rng)
        model, done = _spliced(rng, base.model, other.model), f"spliced with {other.name}"
    external = dict(base.external)
    if external and rng.random() < 0.3:
        location = rng.choice(sorted(external))
        external[location] = fields.noise(rng, external[location])
        done += f"; {location} changed"
    return Mutant(model, external, f"{base.name}: {done}")


def _base(rng: random.Random) -> Base:
    if rng.random() < 0.5:
        return base_nets.row(rng.randrange(len(base_nets.rows())))
    return rng.choice(base_nets.whole())


def _fields(rng: random.Random, data: bytes) -> tuple[bytes, str]:
    model = onnx.load_from_string(data)
    done = [fields.mutate(rng, model) for _ in range(rng.choice((1, 1, 1, 2, 2, 3)))]
    return model.SerializeToString(), "; ".join(done)


def _flipped(rng: random.Random, data: bytes) -> tuple[bytes, str]:
    changed, places = (
        bytearray(data),
        [rng.randrange(len(data)) for _ in range(rng.randrange(1, 6))],
    )
    for place in places:
        changed[place] = rng.choice((changed[place] ^ 1 << rng.randrange(8), rng.randrange(256)))
    return bytes(changed), f"bytes {places} changed"


def _spliced(rng: random.Random, one: bytes, other: bytes) -> bytes:
    head, tail = rng.randrange(len(one)), rng.randrange(len(other))
    return one[:head] + other[tail:]
