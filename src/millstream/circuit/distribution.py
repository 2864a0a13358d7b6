"""By which columns the state of operators is sharded, and by which their outputs are.

An operator whose result for a key depends on the rows of that key alone can be computed shard by shard, if rows with
equal keys are of the same shard. That is so for a hash of all key columns, and for one of some of them. So an operator
whose input is sharded by some of its key columns already takes the rows as they are; otherwise they are exchanged.

A *distribution* is the list of the columns that are hashed, each with those that always equal it. Operators without a
key (global aggregates, cross joins), recursive ones, and those that call the program's own Python code, which nobody
promises to be safe in threads, stay on one worker.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from millstream.expressions.functions.user_defined import calls_user_code
from millstream.expressions.nodes import ColumnRef, Expression
from millstream.plan.nodes import (
    Aggregate,
    AsofJoin,
    Distinct,
    Except,
    Intersect,
    Join,
    JoinKind,
    Plan,
    Session,
    TopK,
    Window,
)

Distribution = tuple[frozenset[int], ...]


@dataclass(frozen=True, slots=True)
class Sharding:
    """How one operator is sharded: for each input the columns that are hashed, and whether an input that is sharded by
    its distribution is sharded so already; and the distribution of the output (None: rows may be anywhere)."""

    columns: tuple[tuple[int, ...], ...]
    aligned: tuple[bool, ...]
    output: Distribution | None


def sharding(plan: Plan, inputs: Sequence[Distribution | None]) -> Sharding | None:
    """How the operator of a plan node is sharded, given the distributions of its inputs; None: it is not."""
    if isinstance(plan, Join):
        return None if plan.residual is not None and calls_user_code(plan.residual) else _of_join(plan, inputs)
    if isinstance(plan, AsofJoin):
        pairs = _pairs(plan.left_keys, plan.right_keys, inputs)
        return _sharding(pairs, inputs, tuple(frozenset((left,)) for left, _ in pairs))
    if isinstance(plan, Except | Intersect):
        every = range(len(plan.schema))
        pairs = _pairs(every, every, inputs)
        return _sharding(pairs, inputs, tuple(frozenset((left,)) for left, _ in pairs))
    (source,) = inputs
    if isinstance(plan, Aggregate | Window) and any(call.user is not None for call in plan.calls):
        return None
    if isinstance(plan, Aggregate):
        return _of_one(plan.group, plan.group, source)
    every = range(len(plan.schema))
    if isinstance(plan, Distinct):
        return _of_one(every, every, source)
    if isinstance(plan, Session):
        return _of_one(plan.partition, plan.kept, source)
    if isinstance(plan, Window):
        return _of_one(plan.partition, range(len(plan.input.schema)), source)
    assert isinstance(plan, TopK), plan
    return _of_one(plan.partition, every, source)


def moved(distribution: Distribution | None, kept: Sequence[int | None]) -> Distribution | None:
    """The distribution behind an operator whose output column i is column `kept[i]` of its input (None: a new one)."""
    if distribution is None:
        return None
    found = tuple(frozenset(i for i, c in enumerate(kept) if c in equal) for equal in distribution)
    return found if all(found) else None


def projected(distribution: Distribution | None, expressions: Sequence[Expression]) -> Distribution | None:
    """The distribution behind a projection."""
    return moved(distribution, [e.index if isinstance(e, ColumnRef) else None for e in expressions])


def _of_join(plan: Join, inputs: Sequence[Distribution | None]) -> Sharding | None:
    pairs = _pairs(plan.left_keys, plan.right_keys, inputs)
    split = len(plan.left.schema)
    output: Distribution | None = None
    if plan.kind is JoinKind.INNER:
        output = tuple(frozenset((left, split + right)) for left, right in pairs)
    elif plan.kind is not JoinKind.FULL:
        output = tuple(frozenset((left,)) for left, _ in pairs)
    return _sharding(pairs, inputs, output)


def _pairs(left: Sequence[int], right: Sequence[int], inputs: Sequence[Distribution | None]) -> list[tuple[int, int]]:
    """The pairs of key columns to hash: those by which one input is sharded, or all."""
    keys = list(zip(left, right, strict=True))
    for side, distribution in enumerate(inputs):
        if distribution is not None:
            found = [[pair for pair in keys if pair[side] in equal] for equal in distribution]
            if all(found):
                return [pairs[0] for pairs in found]
    return keys


def _sharding(
    pairs: Sequence[tuple[int, int]], inputs: Sequence[Distribution | None], output: Distribution | None
) -> Sharding | None:
    if not pairs:
        return None
    columns = (tuple(left for left, _ in pairs), tuple(right for _, right in pairs))
    aligned = tuple(_is_by(distribution, chosen) for distribution, chosen in zip(inputs, columns, strict=True))
    return Sharding(columns, aligned, output)


def _of_one(key: Sequence[int], kept: Sequence[int], source: Distribution | None) -> Sharding | None:
    """The sharding of an operator with one input and this key, whose first output columns are the columns `kept`."""
    if not key:
        return None
    columns = tuple(dict.fromkeys(key))
    distribution: Distribution = tuple(frozenset((c,)) for c in columns)
    if source is not None and all(equal & set(key) for equal in source):
        distribution = tuple(equal & set(key) for equal in source)
        columns = tuple(min(equal) for equal in distribution)
    return Sharding((columns,), (_is_by(source, columns),), moved(distribution, kept))


def _is_by(distribution: Distribution | None, columns: Sequence[int]) -> bool:
    """Whether the distribution is by these columns."""
    return (
        distribution is not None
        and len(distribution) == len(columns)
        and all(c in equal for c, equal in zip(columns, distribution, strict=True))
    )
