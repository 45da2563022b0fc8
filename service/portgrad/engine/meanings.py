"""What the words of a call mean on a net: names resolved, and the plan that they come to.

The same words mean the same as long as there is the net, and are not read again.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from portgrad.autodiff import EXACT, STRAIGHT_THROUGH, Quantized
from portgrad.engine import requests
from portgrad.engine.plan import Plan
from portgrad.engine.reductions import PER_EXAMPLE, REDUCTIONS
from portgrad.engine.variants import Setting
from portgrad.engine.words import key_of, word
from portgrad.errors import InvalidRequest
from portgrad.graph.targets import Targets, resolve_of, resolve_outputs, resolve_targets

# Longer words than this are not kept: they take as long to tell apart as to understand.
_LONGEST = 64 * 1024


class Meant(NamedTuple):
    """What a gradient is with respect to, its plan, and what becomes of what examples share."""

    targets: Targets
    plan: Plan
    reduced: str


def evaluation(setting: Setting, outputs: Any) -> Plan:
    """The plan of a forward pass."""
    key = key_of("evaluate", outputs)
    known: Plan | None = setting.view.asked.get(key)
    if known is not None:
        return known
    wanted = resolve_outputs(setting.view.names, outputs)
    if not wanted:
        raise _nothing_asked()
    plan = Plan(outputs=tuple(wanted))
    _keep(setting, key, plan)
    return plan


def gradient(
    setting: Setting, words: Sequence[Any], output_gradients: Any
) -> tuple[Meant, dict[str, Any]]:
    """What the words of a gradient mean, and what is imposed.

    Args:
        setting: what is asked.
        words: `wrt`, `of`, `outputs`, `quantized`, `stacked` and `reduction`.
        output_gradients: as for `Net.gradient`.
    """
    key = key_of("gradient", *words, *_names(output_gradients))
    found: Meant | None = setting.view.asked.get(key)
    if found is not None:
        return found, requests.seeds(setting, output_gradients)
    wrt, of, outputs, quantized, stacked, reduction = words
    targets = resolve_targets(setting.view.names, wrt)
    given = requests.seeds(setting, output_gradients)
    reduced = word("reduction", reduction, REDUCTIONS)
    total = plan(setting, targets, given, of=of, outputs=outputs, quantized=quantized)
    whole = replace(total, stacked=stacked, apart=reduced == PER_EXAMPLE)
    found = Meant(targets, whole, reduced)
    _keep(setting, key, found)
    return found, given


def _names(imposed: Any) -> Sequence[Any]:
    """What gradients are imposed at, as it goes into a key; what none has, where that is wrong."""
    return () if imposed is None else (*imposed,) if isinstance(imposed, Mapping) else (0,)


def _keep(setting: Setting, key: Hashable | None, meant: Any) -> None:
    if is_short(key):
        setting.view.asked.keep(key, meant)


def is_short(key: Hashable | None) -> bool:
    """Whether words are kept: those that have a key, if they are no longer than they may be."""
    return key is not None and len(str(key)) < _LONGEST


def plan(
    setting: Setting,
    targets: Targets,
    given: Mapping[str, Any],
    *,
    of: Any,
    outputs: Any,
    quantized: str | None,
) -> Plan:
    """The plan of a gradient, of one cotangent and the total over the examples."""
    names = setting.view.names
    return Plan(
        wrt=tuple(targets.values),
        of=tuple(resolve_of(names, of, given)),
        seeds=tuple(given),
        outputs=tuple(resolve_outputs(names, outputs)),
        quantized=quantised(quantized),
    )


def quantised(given: str | None) -> Quantized:
    """What becomes of gradients where numbers are quantised."""
    return (
        STRAIGHT_THROUGH if word("quantized", given, (EXACT, STRAIGHT_THROUGH)) != EXACT else EXACT
    )


def _nothing_asked() -> InvalidRequest:
    return InvalidRequest(
        "The call asks for no output.",
        code="invalid_field",
        where="outputs",
        expected="true, or a list of at least one output port or inner value",
        remedy="Leave `outputs` out for all output ports.",
    )
