"""Recurrent operators and attention: initial states and caches belong to the example."""

from __future__ import annotations

from portgrad.graph.batch.states import Along, State
from portgrad.graph.batch.step import Rules, Step

RULES = Rules()

_FIRST_STATE = 5


@RULES("RNN", "GRU", "LSTM")
def recurrent(step: Step) -> list[State]:
    """(sequence, batch, …), or (batch, sequence, …) in layout 1."""
    batch_first = bool(step.attribute("layout"))
    states = 0 if batch_first else 1
    step.batch_at(0, states)
    weights = [1, 2, 3, *([7] if step.node.op_type == "LSTM" else [])]
    if any(step.axis(index) is not None for index in weights):
        step.refuse("its weights differ between examples")
    if step.has(4):
        step.follow(4, 0)
    for index in (_FIRST_STATE, _FIRST_STATE + 1):
        if step.has(index):
            step.follow(index, states)
    return [Along(0 if batch_first else 2), Along(states), Along(states)]


@RULES("Attention")
def attention(step: Step) -> Along:
    """Queries, keys, values and caches of the example; the mask broadcasts to it."""
    for index in (0, 1, 2, 4, 5, 6):
        if step.has(index):
            step.follow(index, 0)
    if step.has(3) and step.rank(3) == 4:
        if step.axis(3) not in {None, 0} or (step.axis(3) is None and step.shape(3)[0] != 1):
            step.refuse("its mask does not follow the batch")
    elif step.axis(3) is not None:
        step.refuse("its mask carries the batch on an axis of its own")
    return Along(0)


@RULES("RotaryEmbedding")
def rotary_embedding(step: Step) -> Along:
    """Positions of the example into shared tables, or tables of the example."""
    step.follow(0, 0)
    if step.has(3):
        step.follow(3, 0)
        if step.axis(1) is not None or step.axis(2) is not None:
            step.refuse("its tables differ between examples")
    else:
        step.follow(1, 0)
        step.follow(2, 0)
    return Along(0)
