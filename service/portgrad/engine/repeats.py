"""Gradients that were asked for before: in the same words, of data of the same dtypes and shapes.

What these decide was decided then: names, the graph, how the data are read, what fits. So a small
net's gradient takes little more than its run. Where anything is new, `calls` goes the long way,
which knows too what to say about it.
"""

from __future__ import annotations

import time
from collections.abc import Hashable, Sequence
from typing import Any

from portgrad.autodiff import SEED
from portgrad.engine import meanings, stopping
from portgrad.engine.arrays import Array, fits_as_it_is
from portgrad.engine.meanings import Meant
from portgrad.engine.plan import Compiled
from portgrad.engine.reductions import SUM
from portgrad.engine.results import Gradients
from portgrad.engine.variants import Setting, View
from portgrad.engine.words import key_of, nothing
from portgrad.errors import RunFailed


def gradient(
    setting: Setting, words: Sequence[Any], output_gradients: Any, data: Any
) -> Gradients | None:
    """The gradient, where nothing is new; else None.

    Args:
        setting: what is asked.
        words: as for `meanings.gradient`.
        output_gradients: what is imposed, if anything.
        data: an array for each input port.
    """
    if setting.batch is not None or setting.feeds:
        return None
    repeat: Repeat | None = setting.view.repeats.get(_key(words, output_gradients))
    return None if repeat is None else repeat.run(data, output_gradients)


def prepare(setting: Setting, words: Sequence[Any], output_gradients: Any, meant: Meant) -> None:
    """Be ready for calls in these words that impose something at the same names."""
    key, repeats = _key(words, output_gradients), setting.view.repeats
    plain = meant.reduced == SUM and not meant.plan.stacked
    if plain and meanings.is_short(key) and repeats.get(key) is None:
        repeats.keep(key, Repeat(setting.view, meant))


def _key(words: Sequence[Any], output_gradients: Any) -> Hashable | None:
    if nothing(output_gradients):
        return key_of(*words)
    return key_of(*words, *output_gradients) if type(output_gradients) is dict else None


class Repeat:
    """A gradient whose words are understood."""

    def __init__(self, view: View, meant: Meant) -> None:
        self._targets, self._plan = meant.targets, meant.plan
        self._ports = [(name, port.dtype) for name, port in view.ports.items()]
        self._seeds = [(n, SEED + n, view.executor.dtype(n)) for n in meant.plan.seeds]
        self._warnings = view.executor.warnings
        self._find = view.executor.finder(meant.plan).find

    def run(self, data: Any, imposed: Any) -> Gradients | None:
        """The gradient, where such arrays were read as they are before; else None."""
        feeds = self._feeds(data, imposed)
        known = None if feeds is None else self._find(feeds)
        if feeds is None or known is None:
            return None
        compiled, shapes, _ = known
        stopping.entering("run")
        start = time.perf_counter()
        try:
            found = compiled.session.run(feeds, compiled.check_shapes, shapes)
        except RunFailed:
            if self._seeds or compiled.one:  # the long way finds out what is why
                return None
            raise
        return self._told(compiled, found, time.perf_counter() - start)

    def _feeds(self, data: Any, imposed: Any) -> dict[str, Array] | None:
        """All arrays, where none needs anything done."""
        if type(data) is not dict or len(data) != len(self._ports):
            return None
        feeds = {}
        for name, dtype in self._ports:
            array = data.get(name)
            if dtype is None or not fits_as_it_is(array, dtype):
                return None
            feeds[name] = array
        for name, feed, dtype in self._seeds:
            array = imposed[name]
            if not fits_as_it_is(array, dtype):
                return None
            feeds[feed] = array
        return feeds

    def _told(self, compiled: Compiled, found: Sequence[Array], seconds: float) -> Gradients:
        plan, count = self._plan, len(self._plan.outputs)
        return Gradients.made(
            gradients=dict(zip(plan.wrt, found[count:] if count else found, strict=True)),
            targets=self._targets.asked,
            outputs=dict(zip(plan.outputs, found[:count], strict=True)) if count else {},
            none=dict(self._targets.none),
            warnings=self._warnings + compiled.warnings,
            timings={"compile": 0.0, "run": seconds},
        )
