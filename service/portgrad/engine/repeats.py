"""Gradients that were asked for before: in the same words, of data of the same dtypes and shapes.

What these decide was decided then: names, the graph, how the data are read, what fits. So a small
net's gradient takes little more than its run. Where anything is new, `calls` goes the long way,
which knows too what to say about it.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from portgrad.engine import meanings, stopping
from portgrad.engine.arrays import Shapes, fits_as_it_is
from portgrad.engine.meanings import Meant
from portgrad.engine.reductions import SUM
from portgrad.engine.results import Gradients
from portgrad.engine.variants import Setting, View
from portgrad.engine.words import key_of


def gradient(setting: Setting, words: Sequence[Any], data: Any) -> Gradients | None:
    """The gradient, where nothing is imposed and nothing is new; else None.

    Args:
        setting: what is asked.
        words: as for `meanings.gradient`.
        data: an array for each input port.
    """
    repeat: Repeat | None = setting.view.repeats.get(key_of(*words))
    if repeat is None or setting.batch is not None or setting.feeds:
        return None
    return repeat.run(data)


def prepare(setting: Setting, words: Sequence[Any], meant: Meant) -> None:
    """Be ready for calls in these words, which impose nothing."""
    key, repeats = key_of(*words), setting.view.repeats
    if meant.reduced == SUM and meanings.is_short(key) and repeats.get(key) is None:
        repeats.keep(key, Repeat(setting.view, meant))


class Repeat:
    """A gradient whose words are understood."""

    def __init__(self, view: View, meant: Meant) -> None:
        self._targets, self._plan = meant.targets, meant.plan
        self._ports = [(name, port.dtype) for name, port in view.ports.items()]
        self._names = tuple(view.ports)
        self._warnings = view.executor.warnings
        self._compiled = view.executor.finder(meant.plan)

    def run(self, data: Any) -> Gradients | None:
        """The gradient, where such data were read as they are before; else None."""
        shapes = self._shapes(data)
        compiled = self._compiled()
        if shapes is None or compiled is None or compiled.as_is.get(shapes) is None:
            return None
        stopping.entering("run")
        start = time.perf_counter()
        found = compiled.session.run(data, compiled.check_shapes, shapes)
        seconds = time.perf_counter() - start
        plan, count = self._plan, len(self._plan.outputs)
        return Gradients.made(
            gradients=dict(zip(plan.wrt, found[count:] if count else found, strict=True)),
            targets=self._targets.asked,
            outputs=dict(zip(plan.outputs, found[:count], strict=True)) if count else {},
            none=dict(self._targets.none),
            warnings=self._warnings + compiled.warnings,
            timings={"compile": 0.0, "run": seconds},
        )

    def _shapes(self, data: Any) -> Shapes | None:
        """The shapes of data that need nothing done: an array for each port, in its dtype."""
        if type(data) is not dict or len(data) != len(self._ports):
            return None
        shapes = []
        for name, dtype in self._ports:
            array = data.get(name)
            if dtype is None or not fits_as_it_is(array, dtype):
                return None
            shapes.append(array.shape)
        return (*self._names, *shapes)
