"""The numba kernels of the operators: grouping of rows, and sums per group.

Inputs are int64 group numbers 0 .. num_groups - 1 per row and int64 weights; rows of weight zero do not count and
their values are not looked at. Results have one entry per group of the step, which the callers add to their state with
numpy. Each kernel is compiled for one combination of types and cached on disk.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from millstream.zset.compiled import kernel, kernel_for
from millstream.zset.words import prefetch

_LOW32 = np.uint64(0xFFFFFFFF)
_S32 = np.uint64(32)
_S63 = np.uint64(63)
_ZERO = np.uint64(0)
_ONE = np.uint64(1)
_ALL = np.uint64(0xFFFFFFFFFFFFFFFF)
# How many rows ahead of the present one memory is asked for.
_AHEAD = 16


@kernel_for("uint64[::1], uint64[::1]")
def group_pairs(h1: Any, h2: Any) -> Any:
    """Numbers distinct pairs of hashes in order of first occurrence: (group of each row, first row of each group).

    A hash table of the batch alone, at most half full. O(rows).
    """
    count = len(h1)
    size = 16
    while size < 2 * count:
        size *= 2
    mask = np.uint64(size - 1)
    cells = np.zeros(size, np.int32)
    groups = np.empty(count, np.int64)
    first = np.empty(count, np.int64)
    found = 0
    for i in range(count):
        if i + _AHEAD < count:
            prefetch(np.int64(cells.ctypes.data), np.int64(h1[i + _AHEAD] & mask) * 4)
        cell = np.int64(h1[i] & mask)
        group = int(cells[cell]) - 1
        while group >= 0 and (h1[first[group]] != h1[i] or h2[first[group]] != h2[i]):
            cell = (cell + 1) & np.int64(mask)
            group = int(cells[cell]) - 1
        if group < 0:
            group = found
            first[group] = i
            found += 1
            cells[cell] = found
        groups[i] = group
    return groups, first[:found].copy()


@kernel_for("int64[::1], int64[::1], int64")
def sum_weights(groups: Any, weights: Any, num_groups: Any) -> Any:
    """The total weight of each group."""
    totals = np.zeros(num_groups, np.int64)
    for i in range(len(groups)):
        totals[groups[i]] += weights[i]
    return totals


@kernel_for("int64[::1], int64[:, ::1], int64[::1], int64[:, ::1]")
def count_rows(groups: Any, weights: Any, columns: Any, totals: Any) -> None:
    """Adds the weights in line k of a matrix to column columns[k] of the totals, a line for each group."""
    for k in range(len(columns)):
        column = columns[k]
        for i in range(len(groups)):
            totals[groups[i], column] += weights[k, i]


@kernel_for("int64[:, ::1], int64[::1], int64[::1], int64[:, ::1]")
def count_values(counts: Any, slots: Any, values: Any, weights: Any) -> Any:
    """Adds the weights of rows, a line for each filter, to how often their values occur, whose places are `slots`.

    `values[i]` is the number of row i's value. Returns for each filter and value whether it appears (1) or disappears
    (-1), how many more values there are in all, and which ones there no longer are.
    """
    signs = np.zeros((len(weights), len(slots)), np.int64)
    for f in range(len(weights)):
        for i in range(len(values)):
            signs[f, values[i]] += weights[f, i]
    gained = np.int64(0)
    gone = np.empty(len(slots), np.int64)
    num_gone = 0
    for v in range(len(slots)):
        slot = slots[v]
        existed = False
        exists = False
        for f in range(len(weights)):
            before = counts[slot, f]
            after = before + signs[f, v]
            counts[slot, f] = after
            signs[f, v] = np.int64(after > 0) - np.int64(before > 0)
            existed |= before != 0
            exists |= after != 0
        gained += np.int64(exists) - np.int64(existed)
        if not exists:
            gone[num_gone] = v
            num_gone += 1
    return signs, gained, gone[:num_gone].copy()


@kernel_for("int64[::1], int64[::1], int64[::1], int64")
def sum_integers(groups: Any, values: Any, weights: Any, num_groups: Any) -> Any:
    """The weighted sum of each group, of values that fit in 33 bits."""
    totals = np.zeros(num_groups, np.int64)
    for i in range(len(groups)):
        totals[groups[i]] += values[i] * weights[i]
    return totals


@kernel
def _multiply(a: Any, b: Any) -> Any:
    """The 128-bit product of two uint64: (low, high)."""
    a0, a1 = a & _LOW32, a >> _S32
    b0, b1 = b & _LOW32, b >> _S32
    p00, p01, p10, p11 = a0 * b0, a0 * b1, a1 * b0, a1 * b1
    middle = (p00 >> _S32) + (p01 & _LOW32) + (p10 & _LOW32)
    return (p00 & _LOW32) | (middle << _S32), p11 + (p01 >> _S32) + (p10 >> _S32) + (middle >> _S32)


@kernel_for("int64[::1], uint64[::1], uint64[::1], int64[::1], int64")
def sum_wide(groups: Any, low: Any, high: Any, weights: Any, num_groups: Any) -> Any:
    """The weighted sum of each group, exactly: 192-bit two's complement of 128-bit values, lowest word first."""
    totals = np.zeros((num_groups, 3), np.uint64)
    for i in range(len(groups)):
        weight = weights[i]
        if weight == 0:
            continue
        w0, w1, w2 = low[i], high[i], _ZERO - (high[i] >> _S63)
        if weight != 1:
            negative = (weight < 0) != (w2 != _ZERO)
            if w2 != _ZERO:
                w0, w1 = ~w0 + _ONE, ~w1 + (_ONE if w0 == _ZERO else _ZERO)
            factor = np.uint64(-weight) if weight < 0 else np.uint64(weight)
            p0, c0 = _multiply(w0, factor)
            p1, c1 = _multiply(w1, factor)
            w0 = p0
            w1 = p1 + c0
            w2 = c1 + (_ONE if w1 < p1 else _ZERO)
            if negative:
                w0, w1, w2 = ~w0 + _ONE, ~w1, ~w2
                if w0 == _ZERO:
                    w1 += _ONE
                    if w1 == _ZERO:
                        w2 += _ONE
        group = groups[i]
        t0 = totals[group, 0] + w0
        carry = _ONE if t0 < w0 else _ZERO
        t1 = totals[group, 1] + w1
        carry1 = _ONE if t1 < w1 else _ZERO
        t1 += carry
        carry1 += _ONE if t1 < carry else _ZERO
        totals[group, 0] = t0
        totals[group, 1] = t1
        totals[group, 2] += w2 + carry1
    return totals


@kernel_for("uint64[:, ::1], uint64[:, ::1]")
def add_wide(a: Any, b: Any) -> Any:
    """The sums of 192-bit integers, row by row."""
    total = np.empty_like(a)
    for i in range(len(a)):
        t0 = a[i, 0] + b[i, 0]
        carry = _ONE if t0 < a[i, 0] else _ZERO
        t1 = a[i, 1] + b[i, 1]
        carry1 = _ONE if t1 < a[i, 1] else _ZERO
        t1 += carry
        carry1 += _ONE if t1 < carry else _ZERO
        total[i, 0] = t0
        total[i, 1] = t1
        total[i, 2] = a[i, 2] + b[i, 2] + carry1
    return total


@kernel_for("uint64[:, ::1], int64[::1]")
def divide_wide(a: Any, divisors: Any) -> Any:
    """192-bit integers divided by int64 (not 0), truncated towards zero, row by row."""
    result = np.zeros_like(a)
    for i in range(len(a)):
        w0, w1, w2 = a[i, 0], a[i, 1], a[i, 2]
        divisor = np.uint64(-divisors[i]) if divisors[i] < 0 else np.uint64(divisors[i])
        negative = ((w2 >> _S63) != _ZERO) != (divisors[i] < 0)
        if w2 >> _S63 != _ZERO:
            w0, w1, w2 = ~w0 + _ONE, ~w1, ~w2
            if w0 == _ZERO:
                w1 += _ONE
                if w1 == _ZERO:
                    w2 += _ONE
        remainder = _ZERO
        words = (w2, w1, w0)
        q = np.zeros(3, np.uint64)
        for k in range(3):
            word = words[k]
            if divisor <= _LOW32:
                upper = (remainder << _S32) | (word >> _S32)
                digit = upper // divisor
                lower = ((upper - digit * divisor) << _S32) | (word & _LOW32)
                digit_low = lower // divisor
                remainder = lower - digit_low * divisor
                q[2 - k] = (digit << _S32) | digit_low
            else:
                quotient = _ZERO
                for b in range(64):
                    top = remainder >> _S63
                    remainder = (remainder << _ONE) | ((word >> np.uint64(63 - b)) & _ONE)
                    quotient = quotient << _ONE
                    if top != _ZERO or remainder >= divisor:
                        remainder -= divisor
                        quotient |= _ONE
                q[2 - k] = quotient
        if negative:
            q[0], q[1], q[2] = ~q[0] + _ONE, ~q[1], ~q[2]
            if q[0] == _ZERO:
                q[1] += _ONE
                if q[1] == _ZERO:
                    q[2] += _ONE
        result[i, 0], result[i, 1], result[i, 2] = q[0], q[1], q[2]
    return result


@kernel_for("int64[::1], float64[::1], int64[::1], int64")
def sum_floats(groups: Any, values: Any, weights: Any, num_groups: Any) -> Any:
    """The weighted sum of each group's finite values as an unevaluated pair (sum, error), followed by the largest
    magnitude that went into it; and how often the group has NaN, +Inf and -Inf. The error terms are exact (Knuth's
    two-sum), so 106 bits are kept."""
    totals = np.zeros((num_groups, 3), np.float64)
    specials = np.zeros((num_groups, 3), np.int64)
    for i in range(len(groups)):
        weight = weights[i]
        if weight == 0:
            continue
        group = groups[i]
        value = values[i]
        if value != value:
            specials[group, 0] += weight
        elif value == np.inf:
            specials[group, 1] += weight
        elif value == -np.inf:
            specials[group, 2] += weight
        else:
            addend = value * weight
            before = totals[group, 0]
            total = before + addend
            virtual = total - before
            error = (before - (total - virtual)) + (addend - virtual)
            low = totals[group, 1] + error
            totals[group, 0] = total + low
            totals[group, 1] = low - (totals[group, 0] - total)
            totals[group, 2] = max(totals[group, 2], abs(addend))
    return totals, specials


@kernel_for("int64[::1], uint64[::1], boolean[::1], int64")
def best_codes(groups: Any, codes: Any, wanted: Any, num_groups: Any) -> Any:
    """The greatest code of each group's wanted rows and the row it is at, -1 for none."""
    best = np.zeros(num_groups, np.uint64)
    rows = np.full(num_groups, -1, np.int64)
    for i in range(len(groups)):
        if wanted[i]:
            group = groups[i]
            if rows[group] < 0 or codes[i] > best[group]:
                best[group] = codes[i]
                rows[group] = i
    return best, rows


@kernel
def _precedes(words: Any, i: Any, j: Any) -> Any:
    """Whether row i of the matrix comes before row j: the first column that differs decides."""
    for c in range(words.shape[1]):
        if words[i, c] != words[j, c]:
            return words[i, c] < words[j, c]
    return False


@kernel_for("int64[::1], int64, uint64[:, ::1]")
def order_in_groups(groups: Any, num_groups: Any, words: Any) -> Any:
    """The rows group by group, each group ordered by the columns of `words`, rows that are equal there by position.

    One scatter by group; groups are sorted by insertion, large ones by merging. O(n) for small groups, never worse
    than O(n log n).
    """
    count = len(groups)
    ends = np.zeros(num_groups + 1, np.int64)
    for i in range(count):
        ends[groups[i] + 1] += 1
    for g in range(num_groups):
        ends[g + 1] += ends[g]
    order = np.empty(count, np.int64)
    spare = np.empty(count, np.int64)
    for i in range(count):
        order[ends[groups[i]]] = i
        ends[groups[i]] += 1
    start = np.int64(0)
    for g in range(num_groups):
        end = ends[g]
        width = 16
        for low in range(start, end, width):
            for k in range(low + 1, min(low + width, end)):
                row = order[k]
                place = k
                while place > low and _precedes(words, row, order[place - 1]):
                    order[place] = order[place - 1]
                    place -= 1
                order[place] = row
        while width < end - start:
            for low in range(start, end, 2 * width):
                i, end_i = low, min(low + width, end)
                j, end_j = end_i, min(low + 2 * width, end)
                for k in range(low, end_j):
                    if i < end_i and (j >= end_j or not _precedes(words, order[j], order[i])):
                        spare[k] = order[i]
                        i += 1
                    else:
                        spare[k] = order[j]
                        j += 1
            for k in range(start, end):  # numba takes 4 s to compile an assignment of slices
                order[k] = spare[k]
            width *= 2
        start = end
    return order
