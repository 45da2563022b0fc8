"""Random nets of 2 to 30 nodes: their gradients agree with central differences.

Each operator that has a row in the rule table, and If, Loop and Scan, has a share of the nets, and
is in each of them, among others. `PORTGRAD_RANDOM_NETS` says how many there are in all, at least.
"""

from __future__ import annotations

import os
import zlib

import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings

from portgrad.autodiff.registry import Control, Rule, entries
from support.random_nets.calls import operators
from support.random_nets.draw import nets
from support.random_nets.judge import judge
from support.random_nets.net import Net
from support.random_nets.write import CONTROL

ALL = (*operators(), *CONTROL)
# Minus infinities, which it is there to give, cannot be told from other nets' overflows.
LEFT_OUT = {"com.microsoft.NGramRepeatBlock"}
ENOUGH = 8
SHARE = max(2, -(-int(os.environ.get("PORTGRAD_RANDOM_NETS", "200")) // len(ALL)))


def test_every_operator_with_a_rule_is_drawn() -> None:
    ruled = {
        f"{domain}.{op}" if domain else op
        for (domain, op), found in entries().items()
        if any(isinstance(entry, Rule | Control) for entry in found)
    }
    assert ruled - set(ALL) == LEFT_OUT


@pytest.mark.parametrize("op", ALL)
def test_gradients_of_random_nets(op: str) -> None:
    judged: list[bool] = []

    @seed(zlib.crc32(op.encode()))
    @settings(
        max_examples=SHARE,
        deadline=None,
        database=None,
        phases=[Phase.generate, Phase.shrink],
        suppress_health_check=list(HealthCheck),  # a net takes its time, and many draws
    )
    @given(nets(op))
    def check(net: Net) -> None:
        assert op in net.operators()
        judged.extend(judge(net).values())

    check()
    # The others are too near to a kink: one in a hundred, but of few targets it may be most.
    assert any(judged)
    assert len(judged) < ENOUGH or sum(judged) > len(judged) / 2
