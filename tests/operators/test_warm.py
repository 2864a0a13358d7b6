"""After warming up, no operator has anything left to compile."""

from __future__ import annotations

from typing import Any

from numba.core.registry import CPUDispatcher

from millstream.operators import kernels
from millstream.operators.warm import warm_up
from millstream.operators.windows import checkpoint_kernels
from millstream.zset import warm as zset_warm
from tests.operators.law import check, random_schedule
from tests.operators.test_out_of_order import PLANS


def compiled() -> dict[str, int]:
    """Signatures by kernel."""
    members: dict[str, Any] = {**vars(kernels), **vars(checkpoint_kernels)}
    return {name: len(m.signatures) for name, m in members.items() if isinstance(m, CPUDispatcher) and name[0] != "_"}


def test_warming_up_compiles_every_kernel_for_all_operators() -> None:
    zset_warm.warm_up()
    warm_up()
    before = compiled()
    assert before
    assert set(before.values()) == {1}
    for seed in range(2):
        for plan in PLANS.values():
            check(plan, random_schedule(seed, both=True))
    assert compiled() == before
