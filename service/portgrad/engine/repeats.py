"""Gradients that were asked for before: in the same words, of data of the same dtypes and shapes.

What these decide was decided then: names, the graph, how the data are read, what fits. So a small
net's gradient takes little more than its run. Where anything is new, `calls` goes the long way,
which knows too what to say about it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from portgrad.engine import meanings
from portgrad.engine.arrays import fits_as_it_is
from portgrad.engine.reductions import SUM
from portgrad.engine.results import Gradients
from portgrad.engine.variants import Port, Setting


def gradient(setting: Setting, words: Sequence[Any], data: Any) -> Gradients | None:
    """The gradient, where nothing is imposed and nothing is new; else None."""
    meant = meanings.known(setting, words)
    if meant is None or meant.reduced != SUM or setting.batch is not None or setting.feeds:
        return None
    targets, plan, _ = meant
    done = setting.view.executor.again(plan, data) if _fit(setting.view.ports, data) else None
    if done is None:
        return None
    found, count = done.found, len(plan.outputs)
    return Gradients.made(
        gradients=dict(zip(plan.wrt, found[count:], strict=True)),
        targets=targets.asked,
        outputs=dict(zip(plan.outputs, found[:count], strict=True)) if count else {},
        none=dict(targets.none),
        warnings=done.warnings,
        timings={"compile": 0.0, "run": done.seconds},
    )


def _fit(ports: Mapping[str, Port], data: Any) -> bool:
    """Whether there is an array for each port that goes in as it is, and nothing else."""
    if type(data) is not dict or len(data) != len(ports):
        return False
    for name, port in ports.items():
        if port.dtype is None or not fits_as_it_is(data.get(name), port.dtype):
            return False
    return True
