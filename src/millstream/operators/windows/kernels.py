"""The numba kernels of window functions: extremes and sums of the rows low[i] .. high[i] (exclusive) of row i.

Results depend on the contents and the order of a frame only, never on other rows, so that a row whose frame did not
change gets the very same result again.
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np

from millstream.zset.compiled import kernel, kernel_for

_S63 = np.uint64(63)
_ZERO = np.uint64(0)
_ONE = np.uint64(1)


@kernel
def sliding_extremes(low: Any, high: Any, codes: Any, wanted: Any) -> Any:
    """The wanted row with the smallest code of each frame (the first of equal ones), -1 for none. O(rows).

    Keeps the candidates of the frame in a queue of ascending codes; where a frame does not continue the one before,
    it starts anew.
    """
    count = len(low)
    best = np.full(count, -1, np.int64)
    queue = np.empty(len(codes), np.int64)
    head = tail = 0
    begin = end = 0
    for i in range(count):
        if low[i] < begin or high[i] < end or low[i] >= end:
            head = tail = 0
            end = low[i]
        begin = low[i]
        while end < high[i]:
            if wanted[end]:
                while tail > head and codes[queue[tail - 1]] > codes[end]:
                    tail -= 1
                if tail == head:
                    head = tail = 0
                queue[tail] = end
                tail += 1
            end += 1
        while head < tail and queue[head] < begin:
            head += 1
        if head < tail:
            best[i] = queue[head]
    return best


@kernel_for("uint64[::1], uint64[::1], boolean[::1]")
def prefix_wide(low_words: Any, high_words: Any, wanted: Any) -> Any:
    """Running sums of 128-bit integers as 192-bit ones: element i is the sum of the wanted rows before i."""
    totals = np.zeros((len(wanted) + 1, 3), np.uint64)
    for i in range(len(wanted)):
        t0, t1, t2 = totals[i, 0], totals[i, 1], totals[i, 2]
        if wanted[i]:
            w0, w1 = low_words[i], high_words[i]
            t0 += w0
            carry = _ONE if t0 < w0 else _ZERO
            t1 += w1
            carry1 = _ONE if t1 < w1 else _ZERO
            t1 += carry
            carry1 += _ONE if t1 < carry else _ZERO
            t2 += (_ZERO - (w1 >> _S63)) + carry1
        totals[i + 1, 0], totals[i + 1, 1], totals[i + 1, 2] = t0, t1, t2
    return totals


@kernel_for("uint64[:, ::1], int64[::1], int64[::1]")
def subtract_wide(totals: Any, low: Any, high: Any) -> Any:
    """totals[high[i]] - totals[low[i]], in 192 bits."""
    result = np.empty((len(low), 3), np.uint64)
    for i in range(len(low)):
        borrow = _ZERO
        for k in range(3):
            a, b = totals[high[i], k], totals[low[i], k]
            difference = a - b
            under = _ONE if a < b else _ZERO
            result[i, k] = difference - borrow
            borrow = under | (_ONE if difference < borrow else _ZERO)
    return result


@numba.njit(nogil=True, cache=True, inline="always")
def _add(value: Any, total: Any, error: Any, largest: Any, nan: Any, plus: Any, minus: Any) -> Any:
    """The sum of finite values with one more (Knuth's two-sum), and the numbers of others."""
    if value != value:
        nan += 1
    elif value == np.inf:
        plus += 1
    elif value == -np.inf:
        minus += 1
    else:
        before = total
        total = before + value
        virtual = total - before
        error += (before - (total - virtual)) + (value - virtual)
        largest = max(largest, abs(total), abs(value))
    return total, error, largest, nan, plus, minus


@kernel
def frame_floats(low: Any, high: Any, values: Any, wanted: Any) -> Any:
    """The sum of each frame's finite wanted values as (sum, error, largest magnitude), and how often it has NaN, +Inf
    and -Inf (Knuth's two-sum, from the first row to the last). O(rows) for frames that only grow, else O(all frames).
    """
    count = len(low)
    sums = np.zeros((count, 3), np.float64)
    specials = np.zeros((count, 3), np.int64)
    begin = end = -1
    total = error = largest = 0.0
    nan = plus = minus = 0
    for i in range(count):
        if low[i] != begin or high[i] < end:
            begin = end = low[i]
            total = error = largest = 0.0
            nan = plus = minus = 0
        while end < high[i]:
            if wanted[end]:
                total, error, largest, nan, plus, minus = _add(values[end], total, error, largest, nan, plus, minus)
            end += 1
        sums[i, 0], sums[i, 2] = total, largest
        sums[i, 1] = error if np.isfinite(error) else 0.0
        specials[i, 0], specials[i, 1], specials[i, 2] = nan, plus, minus
    return sums, specials


@kernel_for("int64[::1], uint64[::1], boolean[::1]")
def running_extremes(owners: Any, codes: Any, wanted: Any) -> Any:
    """The wanted value with the smallest code (the first of equal ones) up to each row of pieces `owners`, then that
    before each piece; -1 for none. After those of the rows, `codes` and `wanted` have an entry for each piece, of a
    value before it. O(rows)."""
    count = len(owners)
    best = np.full(len(codes), -1, np.int64)
    for i in range(count, len(codes)):
        if wanted[i]:
            best[i] = i
    for i in range(count):
        found = best[i - 1] if i > 0 and owners[i] == owners[i - 1] else best[count + owners[i]]
        if wanted[i] and (found < 0 or codes[i] < codes[found]):
            found = i
        best[i] = found
    return best


@kernel_for("int64[::1], float64[::1], boolean[::1], float64[:, ::1], int64[:, ::1]")
def running_floats(owners: Any, values: Any, wanted: Any, sums: Any, specials: Any) -> Any:
    """`frame_floats` of all rows up to each row of pieces, given that before each piece; errors stay as they come.
    O(rows)."""
    count = len(owners)
    after = np.empty((count, 3), np.float64)
    special = np.empty((count, 3), np.int64)
    total = error = largest = 0.0
    nan = plus = minus = np.int64(0)
    for i in range(count):
        if i == 0 or owners[i] != owners[i - 1]:
            k = owners[i]
            total, error, largest = sums[k, 0], sums[k, 1], sums[k, 2]
            nan, plus, minus = specials[k, 0], specials[k, 1], specials[k, 2]
        if wanted[i]:
            total, error, largest, nan, plus, minus = _add(values[i], total, error, largest, nan, plus, minus)
        after[i, 0], after[i, 1], after[i, 2] = total, error, largest
        special[i, 0], special[i, 1], special[i, 2] = nan, plus, minus
    return after, special
