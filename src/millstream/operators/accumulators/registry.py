"""Which accumulator computes an aggregate call."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pyarrow as pa

from millstream.errors import MillstreamError
from millstream.operators.accumulators.base import Accumulator
from millstream.operators.accumulators.distinct_values import DistinctValues
from millstream.operators.accumulators.external import external_accumulator
from millstream.operators.accumulators.extremes import Candidates, ValueExtreme, WordExtreme
from millstream.operators.accumulators.recomputed import RECOMPUTED, Recomputed
from millstream.operators.accumulators.spread import SPREADS
from millstream.operators.accumulators.sums import sum_accumulator
from millstream.operators.accumulators.tally import CountAccumulator, Tally
from millstream.operators.accumulators.truths import TruthAccumulator
from millstream.operators.accumulators.wide_spread import spread_accumulator
from millstream.operators.ordering import NO_VARIANTS, Variants, has_word_codes
from millstream.plan.nodes import AggregateCall
from millstream.zset.hashing import Seeds

COUNTS = frozenset(("COUNT", "REGR_COUNT"))
_TRUTHS = {
    "COUNTIF": "COUNTIF",
    "EVERY": "EVERY",
    "BOOL_AND": "EVERY",
    "LOGICAL_AND": "EVERY",
    "SOME": "SOME",
    "BOOL_OR": "SOME",
    "LOGICAL_OR": "SOME",
}
_EXTREMES = {"MIN": True, "MAX": False, "ARG_MIN": True, "ARG_MAX": False}
# Repetitions make no difference to these, so DISTINCT costs nothing.
_IDEMPOTENT = frozenset(("EVERY", "BOOL_AND", "LOGICAL_AND", "SOME", "BOOL_OR", "LOGICAL_OR", *_EXTREMES))


def handles_distinct(function: str) -> bool:
    """Whether the accumulator needs no help with DISTINCT."""
    return function in _IDEMPOTENT or function in RECOMPUTED


class AccumulatorFactory:
    """Makes the accumulators of one aggregate operator; those that need the same candidates or values share them."""

    def __init__(
        self,
        types: Sequence[pa.DataType],
        group: Sequence[int],
        append_only: bool,
        seeds: Seeds,
        variants: Variants = NO_VARIANTS,
        floors: Sequence[int] = (),
    ) -> None:
        self._types = tuple(types)
        self._variants = variants
        self._floors = tuple(floors)
        self._group = tuple(group)
        self._append_only = append_only
        self._seeds = seeds
        self.candidates: dict[tuple[tuple[int, ...], int | None, tuple[int, ...]], Candidates] = {}
        self.distinct_values: dict[tuple[int, ...], DistinctValues] = {}
        #: The first one counts all rows that the operator sees, others what the stages before a call pass on.
        self.tallies = [Tally()]

    def make_distinct(self, call: AggregateCall) -> tuple[Accumulator, DistinctValues, int]:
        """The accumulator of a DISTINCT call other than COUNT, over its arguments alone and without filter, and what
        tells it their new values: `DistinctValues.new_values(batch, number)`."""
        arguments = call.arguments
        values = self._values(arguments)
        factory = AccumulatorFactory([self._types[a] for a in arguments], (), False, self._seeds)
        plain = replace(call, arguments=tuple(range(len(arguments))), distinct=False, filter=None)
        return factory.make(plain), values, values.add_filter(call.filter)

    def make_count(self, call: AggregateCall) -> Accumulator:
        """COUNT of what the operator sees, DISTINCT or not."""
        tally = self.tallies[0]
        if not (call.distinct and call.arguments):
            return CountAccumulator(tally, tally.count(call.filter, call.arguments))
        values = self._values(call.arguments)
        return CountAccumulator(tally, tally.count_distinct(values, values.add_filter(call.filter)))

    def _values(self, arguments: tuple[int, ...]) -> DistinctValues:
        return self.distinct_values.setdefault(arguments, DistinctValues(arguments, self._seeds, self._floors))

    def make(self, call: AggregateCall) -> Accumulator:
        """The accumulator of `call` behind a stage of its own, which ignores DISTINCT. MillstreamError if the function
        is not supported."""
        name, arguments = call.function, call.arguments
        if call.user is not None:
            return external_accumulator(call, self._types, self._group, self._seeds)
        if name in COUNTS:
            tally = Tally()
            self.tallies.append(tally)
            return CountAccumulator(tally, tally.count(call.filter, arguments))
        if name in _TRUTHS:
            return TruthAccumulator(_TRUTHS[name], arguments[0], call.filter)
        if name in ("SUM", "AVG"):
            return sum_accumulator(name == "AVG", arguments[0], call.filter, call.type)
        if name in _EXTREMES:
            return self._extreme(call)
        if name in SPREADS:
            return spread_accumulator(name, arguments, self._types, call.filter, call.type)
        if name in RECOMPUTED:
            return Recomputed(call, self._types, self._group, self._seeds, self._variants)
        raise MillstreamError("UnsupportedAggregate", f"Aggregate function {name} is not supported", {"function": name})

    def _extreme(self, call: AggregateCall) -> Accumulator:
        minimum = _EXTREMES[call.function]
        if call.function.startswith("ARG_"):
            value, by = call.arguments
            candidates = self._candidates(call, (by, value), (value,) if value != by else ())
            return self._value_extreme(candidates, 1, minimum)
        candidates = self._candidates(call, call.arguments, ())
        if has_word_codes(candidates.value_types[0]):
            return WordExtreme(candidates, minimum, self._append_only)
        return self._value_extreme(candidates, 0, minimum)

    def _value_extreme(self, candidates: Candidates, result: int, minimum: bool) -> Accumulator:
        arguments = enumerate(candidates.arguments)
        variants = {i: self._variants[a] for i, a in arguments if a in self._variants}
        return ValueExtreme(candidates, result, minimum, self._append_only, self._seeds, variants)

    def _candidates(self, call: AggregateCall, arguments: tuple[int, ...], nullable: tuple[int, ...]) -> Candidates:
        key = (arguments, call.filter, call.within)
        if key not in self.candidates:
            types = [self._types[a] for a in arguments]
            self.candidates[key] = Candidates(types, arguments, nullable, call.filter, self._seeds)
        return self.candidates[key]
