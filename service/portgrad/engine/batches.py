"""How a request's arrays are read against the declared shapes: as they are, as one example, or as
a batch over a leading dimension that the net fixes at 1. Shapes alone decide, in that order.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from portgrad.engine.arrays import Value
from portgrad.errors import InvalidRequest

Dims = tuple[int | str | None, ...]

AS_IS, EXAMPLE, EACH = "as_is", "example", "each"
READINGS = (AS_IS, EXAMPLE, EACH)


@dataclass(frozen=True)
class Reading:
    """One way to read the arrays.

    Attributes:
        kind: as_is, example or each.
        sizes: what the symbols of the declared shapes stand for.
        batched: the ports that carry the examples, for `each`, and where they are kept apart.
        count: the number of examples there.
    """

    kind: str
    sizes: Mapping[str, int]
    batched: frozenset[str] = frozenset()
    count: int = 1


def read(
    ports: Mapping[str, Dims | None], data: Mapping[str, Value], forced: str | None = None
) -> Reading:
    """The first reading that fits, or the one that the caller forces.

    Raises:
        InvalidRequest: `wrong_shape`, with the declared and the sent shape; `invalid_field` for
            a reading that does not exist.
    """
    if forced is not None and forced not in READINGS:
        raise _unknown_reading(forced)
    for kind in READINGS if forced is None else (forced,):
        reading = attempt(kind, ports, data)
        if reading is not None:
            return reading
    reading = _symbolic(ports, _shapes(data)) if forced == EACH else None
    if reading is not None:
        return reading
    raise _wrong_shape(ports, _shapes(data), forced)


def attempt(
    kind: str, ports: Mapping[str, Dims | None], data: Mapping[str, Value]
) -> Reading | None:
    """One reading, None where it does not fit."""
    return _ATTEMPTS[kind](ports, _shapes(data))


def leading(ports: Mapping[str, Dims | None], reading: Reading) -> dict[str, Reading]:
    """A reading as it is, with the ports that may carry its examples: by the symbol that leads."""
    symbols = dict.fromkeys(dims[0] for dims in ports.values() if dims and isinstance(dims[0], str))
    return {
        str(symbol): replace(
            reading,
            batched=frozenset(name for name, dims in ports.items() if dims and dims[0] == symbol),
            count=reading.sizes[str(symbol)],
        )
        for symbol in symbols
    }


def _shapes(data: Mapping[str, Value]) -> dict[str, tuple[int, ...]]:
    return {n: v.shape if isinstance(v, np.ndarray) else () for n, v in data.items()}


def fit(
    ports: Mapping[str, Dims | None], shapes: Mapping[str, tuple[int, ...]]
) -> dict[str, int] | None:
    """The sizes of the symbols if every shape fits its port, else None."""
    sizes: dict[str, int] = {}
    for name, dims in ports.items():
        if dims is None:
            continue
        if len(dims) != len(shapes[name]):
            return None
        for dim, size in zip(dims, shapes[name], strict=True):
            wanted = sizes.setdefault(dim, size) if isinstance(dim, str) else dim
            if wanted is not None and wanted != size:
                return None
    return sizes


def _as_is(
    ports: Mapping[str, Dims | None], shapes: Mapping[str, tuple[int, ...]]
) -> Reading | None:
    sizes = fit(ports, shapes)
    return None if sizes is None else Reading(AS_IS, sizes)


def _example(
    ports: Mapping[str, Dims | None], shapes: Mapping[str, tuple[int, ...]]
) -> Reading | None:
    led = {name for name, dims in ports.items() if dims and not _fixed(dims[0])}
    widened = {n: (1, *shape) if n in led else shape for n, shape in shapes.items()}
    sizes = fit(ports, widened) if led else None
    return None if sizes is None else Reading(EXAMPLE, sizes, frozenset(led))


def _each(
    ports: Mapping[str, Dims | None], shapes: Mapping[str, tuple[int, ...]]
) -> Reading | None:
    ones = {name for name, dims in ports.items() if dims and dims[0] == 1 and shapes[name]}
    return _over(ports, shapes, {name for name in ones if shapes[name][0] != 1} or ones)


def _symbolic(
    ports: Mapping[str, Dims | None], shapes: Mapping[str, tuple[int, ...]]
) -> Reading | None:
    """Examples on a leading symbol, for who forces them to be run one by one."""
    led = {n for n, dims in ports.items() if dims and isinstance(dims[0], str) and shapes[n]}
    return _over(ports, shapes, led)


def _over(
    ports: Mapping[str, Dims | None], shapes: Mapping[str, tuple[int, ...]], batched: set[str]
) -> Reading | None:
    """Examples on the first axis of some ports, where one example fits the declared shapes."""
    counts = {shapes[name][0] for name in batched}
    if len(counts) != 1:
        return None
    single = {n: (1, *shape[1:]) if n in batched else shape for n, shape in shapes.items()}
    sizes = fit(ports, single)
    return None if sizes is None else Reading(EACH, sizes, frozenset(batched), counts.pop())


_ATTEMPTS = {AS_IS: _as_is, EXAMPLE: _example, EACH: _each}


def _fixed(dim: int | str | None) -> bool:
    return isinstance(dim, int) and dim != 1


def shown(dims: Dims | tuple[int, ...] | None) -> str:
    """A shape as users read it."""
    if dims is None:
        return "any shape"
    return "(" + ", ".join("?" if d is None else str(d) for d in dims) + ")"


def _unknown_reading(forced: object) -> InvalidRequest:
    return InvalidRequest(
        "`batch` forces a reading that does not exist.",
        code="invalid_field",
        where="batch",
        expected=", ".join(READINGS),
        found=repr(forced)[:80],
        remedy="Leave it out: the shapes decide.",
    )


def _wrong_shape(
    ports: Mapping[str, Dims | None], shapes: Mapping[str, tuple[int, ...]], forced: str | None
) -> InvalidRequest:
    alone = [name for name in ports if fit({name: ports[name]}, shapes) is None]
    culprits = list(ports) if forced is not None else alone or list(ports)
    if forced is not None:
        detail = f"The arrays cannot be read as {forced!r}."
    elif alone:
        detail = f"The array of {culprits[0]!r} does not fit the declared shape."
    else:
        detail = "The arrays fit their ports one by one, but sizes that must be equal differ."
    return InvalidRequest(
        detail,
        code="wrong_shape",
        where=culprits[0] if culprits else "batch",
        expected="; ".join(f"{name} {shown(ports[name])}" for name in culprits),
        found="; ".join(f"{name} {shown(shapes[name])}" for name in culprits),
        remedy="Send the declared shape, one example without its leading 1 or symbol, or N "
        "examples where the leading dimension is 1.",
    )
