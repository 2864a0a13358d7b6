"""Plans evaluated from scratch, row by row in plain Python: what every operator must agree with.

A relation is a Counter of rows (tuples of Python values) to multiplicities. NaN is represented by the constant `NAN`
so that it equals itself; NULL is None. Slow and obvious on purpose.
"""

from __future__ import annotations

import math
import operator
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from fractions import Fraction
from functools import cmp_to_key, reduce
from typing import Any

from millstream.expressions.nodes import Call, Cast, ColumnRef, Expression, Literal
from millstream.plan import nodes
from millstream.types import Kind

NAN = math.nan
BITS: dict[str, Callable[[int, int], int]] = {
    "BIT_AND": operator.and_,
    "BIT_OR": operator.or_,
    "BIT_XOR": operator.xor,
}
Row = tuple[Any, ...]
Bag = Counter[Row]


def normal(value: Any) -> Any:
    """The one representative of equal values: one NaN, no negative zero, hashable lists."""
    if isinstance(value, float):
        if math.isnan(value):
            return NAN
        return value + 0.0
    if isinstance(value, list):
        return tuple(normal(v) for v in value)
    if isinstance(value, dict):
        return tuple((k, normal(v)) for k, v in value.items())
    return value


def order(value: Any) -> Any:
    """A sort key for the total order of sql.md §4.3: NULL smallest, NaN greatest."""
    if value is None:
        return (0,)
    if isinstance(value, float):
        return (1, math.isnan(value), 0.0 if math.isnan(value) else value)
    if isinstance(value, tuple):
        return (1, tuple(order(v) for v in value))
    return (1, value)


def expand(bag: Bag) -> Iterable[Row]:
    """Rows as often as they occur."""
    for row, count in bag.items():
        for _ in range(count):
            yield row


_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "+": lambda a, b: a + b,
    "-": lambda a, b: a - b,
    "/": lambda a, b: math.trunc(Fraction(a, b)),
    "<": lambda a, b: order(a) < order(b),
    "<=": lambda a, b: order(a) <= order(b),
    ">=": lambda a, b: order(a) >= order(b),
    "=": lambda a, b: order(a) == order(b),
    ">": lambda a, b: order(a) > order(b),
}


def value(expression: Expression, row: Row) -> Any:
    """The value of an expression of column references, literals and a few strict functions."""
    if isinstance(expression, ColumnRef):
        return row[expression.index]
    if isinstance(expression, Literal):
        return expression.value
    if isinstance(expression, Cast):
        return value(expression.argument, row)
    assert isinstance(expression, Call)
    arguments = [value(argument, row) for argument in expression.arguments]
    return None if None in arguments else _FUNCTIONS[expression.name](*arguments)


def evaluate(plan: nodes.Plan, tables: Mapping[str, Bag]) -> Bag:
    """The bag of rows of `plan`."""
    if isinstance(plan, nodes.Recursive):
        return _fixed_point(plan, tables)
    inputs = [evaluate(child, tables) for child in plan.inputs]
    result: Bag = Counter()
    match plan:
        case nodes.Scan():
            result = Counter(tables[plan.relation])
        case nodes.Values():
            for cells in plan.rows:
                result[tuple(value(cell, ()) for cell in cells)] += 1
        case nodes.Project():
            for row, count in inputs[0].items():
                result[tuple(value(e, row) for e in plan.expressions)] += count
        case nodes.Filter():
            result = Counter({r: n for r, n in inputs[0].items() if value(plan.predicate, r) is True})
        case nodes.Join():
            result = _join(plan, inputs[0], inputs[1])
        case nodes.Aggregate():
            result = _aggregate(plan, inputs[0])
        case nodes.Distinct():
            result = Counter({row: 1 for row, count in inputs[0].items() if count > 0})
        case nodes.UnionAll():
            for bag in inputs:
                for row, count in bag.items():
                    result[row] += count
        case nodes.Except():
            for row, count in inputs[0].items():
                other = inputs[1][row]
                result[row] = max(0, count - other) if plan.all else int(count > 0 and other == 0)
        case nodes.Intersect():
            for row, count in inputs[0].items():
                other = inputs[1][row]
                result[row] = min(count, other) if plan.all else int(count > 0 and other > 0)
        case nodes.TopK():
            result = _top_k(plan, inputs[0])
        case nodes.Hop():
            for row, count in inputs[0].items():
                for window in _windows(plan, row[plan.time_column]):
                    result[row + window] += count
        case nodes.Session():
            result = _sessions(plan, inputs[0])
        case nodes.Unnest():
            for row, count in inputs[0].items():
                for element in _elements(plan, row[plan.column]):
                    result[tuple(row[k] for k in plan.kept) + element] += count
        case nodes.Window():
            result = _window(plan, inputs[0])
        case nodes.AsofJoin():
            result = _asof(plan, inputs[0], inputs[1])
        case _:
            raise AssertionError(plan)
    return Counter({row: count for row, count in result.items() if count})


def keys_match(plan: nodes.Join | nodes.AsofJoin, a: Row, b: Row) -> bool:
    """Whether the join keys of two rows are equal."""
    for i, j, null_safe in zip(plan.left_keys, plan.right_keys, plan.null_safe, strict=True):
        if (a[i] is None or b[j] is None) and not (null_safe and a[i] is None and b[j] is None):
            return False
        if order(a[i]) != order(b[j]):
            return False
    return True


def _join(plan: nodes.Join, left: Bag, right: Bag) -> Bag:
    def matches(a: Row, b: Row) -> bool:
        return keys_match(plan, a, b) and (plan.residual is None or value(plan.residual, a + b) is True)

    result: Bag = Counter()
    kind = plan.kind
    for a, n in left.items():
        partners = [b for b in right if matches(a, b)]
        if kind in (nodes.JoinKind.SEMI, nodes.JoinKind.ANTI):
            if bool(partners) == (kind is nodes.JoinKind.SEMI):
                result[a] += n
            continue
        for b in partners:
            result[a + b] += n * right[b]
        if not partners and kind in (nodes.JoinKind.LEFT, nodes.JoinKind.FULL):
            result[a + (None,) * len(plan.right.schema)] += n
    if kind in (nodes.JoinKind.RIGHT, nodes.JoinKind.FULL):
        for b, n in right.items():
            if not any(matches(a, b) for a in left):
                result[(None,) * len(plan.left.schema) + b] += n
    return result


def _aggregate(plan: nodes.Aggregate, bag: Bag) -> Bag:
    groups: dict[Row, list[Row]] = defaultdict(list)
    if not plan.group:
        groups[()] = []
    for row in expand(bag):
        groups[tuple(row[g] for g in plan.group)].append(row)
    return Counter({key + tuple(call(c, rows) for c in plan.calls): 1 for key, rows in groups.items()})


def call(aggregate: nodes.AggregateCall, rows: list[Row]) -> Any:
    """The value of one aggregate over a group's rows."""
    if aggregate.filter is not None:
        rows = [row for row in rows if row[aggregate.filter] is True]
    if aggregate.within:
        rows = _one_per_key(aggregate, rows)
    cells = [tuple(row[a] for a in aggregate.arguments) for row in rows]
    name = aggregate.function
    if name == "ARRAY_AGG":
        ties = [k.column for k in aggregate.order] + list(aggregate.within)
        ordered = sorted(rows, key=lambda row: order(tuple(row[c] for c in ties) if aggregate.within else row))
        if aggregate.order:
            ordered.sort(key=cmp_to_key(lambda a, b: _compare(aggregate.order, a, b)))
        values = [row[aggregate.arguments[0]] for row in ordered]
        if not aggregate.distinct:
            return tuple(values)
        return tuple(dict.fromkeys(values) if aggregate.order else sorted(dict.fromkeys(values), key=order))
    if name in ("ARG_MIN", "ARG_MAX"):
        cells = [cell for cell in cells if cell[1] is not None]
    else:
        cells = [cell for cell in cells if None not in cell]
    if aggregate.distinct:
        cells = list(dict.fromkeys(cells))
    if name in ("COUNT", "REGR_COUNT"):
        return len(cells)
    values = [cell[0] for cell in cells]
    if name == "COUNTIF":
        return sum(values)
    if not values:
        return None
    if name == "SUM":
        return total(values)
    if name == "AVG":
        return average(values, aggregate.type.kind, aggregate.type.scale)
    if name in ("MIN", "MAX"):
        return (min if name == "MIN" else max)(values, key=order)
    if name in ("ARG_MIN", "ARG_MAX"):
        pick = min if name == "ARG_MIN" else max
        return pick(cells, key=lambda cell: (order(cell[1]), order(cell[0])))[0]
    if name == "MODE":
        return min(values, key=lambda v: (-values.count(v), order(v)))
    if name in BITS:
        return reduce(BITS[name], values)
    if name.startswith(("VAR", "STDDEV")):
        return spread(values, aggregate.type.scale or 0, name)
    return all(values) if name == "EVERY" else any(values)


def _one_per_key(aggregate: nodes.AggregateCall, rows: list[Row]) -> list[Row]:
    """One row for each key of WITHIN DISTINCT; rows without argument do not count, except for ARRAY_AGG."""
    if aggregate.function != "ARRAY_AGG":
        rows = [row for row in rows if all(row[a] is not None for a in aggregate.arguments)]
    return list({tuple(row[c] for c in aggregate.within): row for row in rows}.values())


def _compare(keys: tuple[nodes.SortKey, ...], a: Row, b: Row) -> int:
    """How two rows are ordered by sort keys: negative if `a` comes first."""
    for key in keys:
        left, right = a[key.column], b[key.column]
        if (left is None) != (right is None):
            return -1 if (left is None) == key.nulls_first else 1
        if order(left) != order(right):
            return -1 if (order(left) < order(right)) != key.descending else 1
    return 0


def spread(values: list[Any], scale: int, name: str) -> Any:
    """Variance or standard deviation of integers or decimals, with the truncating steps of sql.md §8."""
    n = len(values)
    divisor = n if name.endswith("_POP") else n - 1
    if not divisor:
        return None
    unit = 10**scale
    units = [int(v * unit) for v in values]
    squares = Fraction(sum(v * v for v in units), unit**2)
    product = Fraction(sum(units) ** 2, unit**2)
    mean = Fraction(math.trunc(product / n * unit**3), unit**3)
    variance = Fraction(math.trunc((squares - mean) / divisor * unit**3), unit**3)
    if name.startswith("STDDEV"):
        truncated = math.trunc(math.sqrt(max(variance, 0)) * unit)
    else:
        truncated = math.trunc(variance * unit)
    return Decimal(truncated).scaleb(-scale) if isinstance(values[0], Decimal) else truncated


def total(values: list[Any]) -> Any:
    """An exact sum, rounded once."""
    if not isinstance(values[0], float):
        return sum(values)
    if any(math.isnan(v) for v in values) or {math.inf, -math.inf} <= set(values):
        return NAN
    infinite = [v for v in values if math.isinf(v)]
    return infinite[0] if infinite else float(sum(Fraction(v) for v in values)) + 0.0


def average(values: list[Any], kind: Kind, scale: int | None) -> Any:
    """The average, truncated towards zero to the type."""
    sums = total(values)
    if isinstance(sums, float):
        return normal(sums / len(values))
    if kind is Kind.DECIMAL:
        unit = Decimal(1).scaleb(-(scale or 0))
        return Decimal(int(sums / unit / len(values))) * unit
    quotient = abs(sums) // len(values)
    return quotient if sums >= 0 else -quotient


def _top_k(plan: nodes.TopK, bag: Bag) -> Bag:
    partitions: dict[Row, list[Row]] = defaultdict(list)
    for row in expand(bag):
        partitions[tuple(row[p] for p in plan.partition)].append(row)
    result: Bag = Counter()
    for rows in partitions.values():
        rows = _in_order(rows, plan.keys)
        end = None if plan.limit is None else plan.offset + plan.limit
        result.update(rows[plan.offset : end])
    return result


def _in_order(rows: list[Row], keys: Iterable[nodes.SortKey]) -> list[Row]:
    """Rows by `keys`, then by all columns."""
    rows = sorted(rows, key=lambda row: tuple(order(v) for v in row))
    for key in reversed(tuple(keys)):
        present = [row for row in rows if row[key.column] is not None]
        absent = [row for row in rows if row[key.column] is None]
        present.sort(key=lambda row, c=key.column: order(row[c]), reverse=False)
        if key.descending:
            present = _stable_descending(present, key.column)
        rows = absent + present if key.nulls_first else present + absent
    return rows


def _stable_descending(rows: list[Row], column: int) -> list[Row]:
    """Rows already ordered by `column` ascending, now descending, equal ones in the same order."""
    return sorted(rows, key=lambda row: order(row[column]), reverse=True)


def _windows(plan: nodes.Hop, time: int | None) -> Iterable[Row]:
    if time is None:
        return
    start = time - int(math.fmod(time - plan.offset_us, plan.slide_us)) + plan.slide_us - plan.size_us
    for _ in range(-(-plan.size_us // plan.slide_us)):
        yield (start, start + plan.size_us)
        start += plan.slide_us


def _sessions(plan: nodes.Session, bag: Bag) -> Bag:
    result: Bag = Counter()
    partitions: dict[Row, list[Row]] = defaultdict(list)
    for row, count in bag.items():
        if count > 0:
            partitions[tuple(row[p] for p in plan.partition)].append(row)
    for rows in partitions.values():
        rows.sort(key=lambda row: row[plan.time_column])
        session: list[Row] = []
        for row, following in zip(rows, [*rows[1:], None], strict=True):
            session.append(row)
            if following is None or following[plan.time_column] - row[plan.time_column] >= plan.gap:
                bounds = (session[0][plan.time_column], row[plan.time_column])
                for member in session:
                    result[tuple(member[k] for k in plan.kept) + bounds] += bag[member]
                session = []
    return result


def _elements(plan: nodes.Unnest, collection: tuple[Any, ...] | None) -> Iterable[Row]:
    sql_type = plan.input.schema[plan.column].type
    for position, element in enumerate(collection or (), 1):
        if sql_type.kind is Kind.MAP:
            yield element
            continue
        assert sql_type.component is not None
        fields = len(sql_type.component.fields)
        cells = (element,)
        if fields:
            cells = (None,) * fields if element is None else tuple(v for _, v in element)
        yield cells + ((position,) if plan.ordinality else ())


def _window(plan: nodes.Window, bag: Bag) -> Bag:
    partitions: dict[Row, list[Row]] = defaultdict(list)
    for row in expand(bag):
        partitions[tuple(row[p] for p in plan.partition)].append(row)
    result: Bag = Counter()
    for rows in partitions.values():
        rows = _in_order(rows, plan.keys)
        keys = [tuple(order(row[k.column]) for k in plan.keys) for row in rows]
        frames = {c.frame for c in plan.calls if c.frame is not None}
        for i, row in enumerate(rows):
            seen = {f: [other for j, other in enumerate(rows) if _in_frame(plan, f, rows, keys, i, j)] for f in frames}
            result[row + tuple(_window_call(c, rows, keys, seen, i) for c in plan.calls)] += 1
    return result


def _window_call(
    call_node: nodes.WindowCall,
    rows: list[Row],
    keys: list[Row],
    seen: Mapping[nodes.WindowFrame, list[Row]],
    i: int,
) -> Any:
    """The function for row i; `keys` are what the rows are sorted by, `seen` is what is in each of the frames."""
    name = call_node.function
    if name == "ROW_NUMBER":
        return i + 1
    if name in ("RANK", "DENSE_RANK"):
        before = [key for key in keys[:i] if key != keys[i]]
        return len(before if name == "RANK" else set(before)) + 1
    if name in ("LAG", "LEAD"):
        at = i + call_node.offset if name == "LEAD" else i - call_node.offset
        if 0 <= at < len(rows):
            return rows[at][call_node.arguments[0]]
        return rows[i][call_node.arguments[1]] if len(call_node.arguments) > 1 else None
    assert call_node.frame is not None
    inside = seen[call_node.frame]
    if name in ("FIRST_VALUE", "LAST_VALUE"):
        return inside[0 if name == "FIRST_VALUE" else -1][call_node.arguments[0]] if inside else None
    aggregate = nodes.AggregateCall(name, call_node.arguments, call_node.type, call_node.distinct, call_node.filter)
    return call(aggregate, inside)


def _in_frame(plan: nodes.Window, frame: nodes.WindowFrame, rows: list[Row], keys: list[Row], i: int, j: int) -> bool:
    """Whether row j is in the frame of row i."""
    if frame.rows:
        return (frame.low is None or j >= i + frame.low) and (frame.high is None or j <= i + frame.high)
    same = keys[i] == keys[j]
    inside = True
    for bound, sign in ((frame.low, 1), (frame.high, -1)):
        if bound is None:
            continue
        if not bound:
            inside &= same or sign * (j - i) > 0
            continue
        (k,) = plan.keys
        mine, other = rows[i][k.column], rows[j][k.column]
        if mine is None:
            inside &= other is None or sign * (j - i) > 0
        elif other is None:
            inside &= sign * (j - i) > 0
        else:
            distance = (mine - other if k.descending else other - mine) * 10 ** (_scale(plan, k.column))
            inside &= sign * (distance - bound) >= 0
    return inside


def _scale(plan: nodes.Window, column: int) -> int:
    return plan.input.schema[column].type.scale or 0


def _asof(plan: nodes.AsofJoin, left: Bag, right: Bag) -> Bag:
    result: Bag = Counter()
    for a, n in left.items():
        time = a[plan.left_time]
        partners = [b for b in right if b[plan.right_time] is not None and time is not None and keys_match(plan, a, b)]
        partners = [b for b in partners if order(b[plan.right_time]) <= order(time)]
        latest = max(partners, key=lambda b: (order(b[plan.right_time]), order(b)), default=None)
        result[a + (latest or (None,) * len(plan.right.schema))] += n
    return result


def _fixed_point(plan: nodes.Recursive, tables: Mapping[str, Bag]) -> Bag:
    """Naive iteration from nothing."""
    members: dict[str, Bag] = {d.name: Counter() for d in plan.definitions}
    while True:
        derived = {d.name: evaluate(d.plan, {**tables, **members}) for d in plan.definitions}
        following = {name: Counter({row: 1 for row, n in bag.items() if n > 0}) for name, bag in derived.items()}
        if following == members:
            return members[plan.definitions[plan.member].name]
        members = following
