"""The numba kernels of checkpoints: cutting out of ordered runs the pieces that a change touches, choosing where
checkpoints stand.

Checkpoints are entries of ordered runs, too, with the words of places: one at a place stands after all rows there.
A *piece* is what lies between two checkpoints of a partition; it may begin with the partition, or end with it. An
index, lines and sources are as in run_kernels.py; `heads` are the numbers of lines of each run that lie before a place.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from millstream.operators.windows.run_kernels import (
    COUNT,
    MATRIX,
    PLACE,
    WEIGHTS,
    _compare,
    _first_from,
    _pass_place,
)
from millstream.zset.columns import POSITION_MASK, SOURCE_SHIFT
from millstream.zset.compiled import kernel, kernel_for
from millstream.zset.words import load64

# No checkpoint: the piece begins, or ends, with the partition.
NONE = -1


@kernel
def _pass_checkpoint(index: Any, heads: Any, step: Any, lines: Any, entry: Any, width: Any) -> Any:
    """Moves `heads` over the next checkpoint of the partition of `entry`, up (step 1) or down (-1): its source, or NONE
    after the last one."""
    num_runs = len(index)
    shift = np.int64(0) if step > 0 else np.int64(-1)
    while True:
        best, at = -1, np.int64(0)
        for r in range(num_runs):
            i = heads[r] + shift
            if i < 0 or i >= index[r, COUNT] or _compare(index[r, MATRIX], i, lines, entry, PLACE, width) != 0:
                continue
            if best < 0 or _compare(index[r, MATRIX], i, index[best, MATRIX], at, width, width) * step < 0:
                best, at = r, i
        if best < 0:
            return np.int64(NONE)
        weight = np.int64(0)
        for r in range(best, num_runs):
            i = heads[r] + shift
            if i < 0 or i >= index[r, COUNT] or _compare(index[r, MATRIX], i, index[best, MATRIX], at, width, width):
                continue
            weight += np.int64(load64(index[r, WEIGHTS], i * 8))
            heads[r] += step
        if weight > 0:
            return at | (np.int64(best) << SOURCE_SHIFT)


@kernel
def _compare_source(index: Any, source: Any, lines: Any, entry: Any, width: Any) -> Any:
    """Compares the place of the line at `source` with that of line `entry`."""
    return _compare(index[source >> SOURCE_SHIFT, MATRIX], source & POSITION_MASK, lines, entry, width - 1, width)


@kernel_for("int64[:, ::1], int64[:, ::1], int64, boolean, int64")
def find_pieces(index: Any, checkpoints: Any, reach: Any, to_end: Any, width: Any) -> Any:
    """The pieces with a change, an entry of the last run of `index`, in order: (a changed entry of each, the source of
    the checkpoint before it, the one of that after it, the heads of checkpoints there).

    At least `reach` rows before and after each change, without the last run and with it, are in its piece. `to_end`:
    pieces end with their partitions. O(changes x runs x (log rows + reach)).
    """
    num_runs, num_checkpoints = len(index), len(checkpoints)
    last = num_runs - 1
    delta, count = index[last, MATRIX], index[last, COUNT]
    length = width - 1
    entries = np.empty(count, np.int64)
    before = np.empty(count, np.int64)
    after = np.empty(count, np.int64)
    ends = np.zeros((count, num_checkpoints), np.int64)
    rows = np.zeros(num_runs, np.int64)
    heads = np.zeros(num_runs, np.int64)
    marks = np.zeros(num_checkpoints, np.int64)
    backwards = np.zeros(num_checkpoints, np.int64)
    found = 0
    for entry in range(count):
        same = found > 0 and _compare(delta, entry, delta, entries[found - 1], PLACE, width) == 0
        if same and (
            after[found - 1] == NONE
            or (reach == 0 and _compare_source(checkpoints, after[found - 1], delta, entry, width) >= 0)
        ):
            continue
        target, at = delta, np.int64(entry)
        end, end_at = delta, np.int64(entry)
        if reach > 0:
            for r in range(num_runs):
                rows[r] = _first_from(index[r, MATRIX], index[r, COUNT], rows[r], delta, entry, length, width)
                heads[r] = rows[r]
            old = new = np.int64(0)
            while old < reach or new < reach:
                more_old, more_new, _ = _pass_place(index, heads, np.int64(-1), delta, entry, width)
                if more_old < 0:
                    break
                old, new = old + more_old, new + more_new
            for r in range(num_runs):
                i = heads[r]
                if i >= index[r, COUNT] or _compare(index[r, MATRIX], i, delta, entry, PLACE, width) != 0:
                    continue
                if _compare(index[r, MATRIX], i, target, at, length, width) < 0:
                    target, at = index[r, MATRIX], i
            if not to_end:
                for r in range(num_runs):
                    heads[r] = rows[r]
                old = new = np.int64(-1)
                while old < reach or new < reach:
                    more_old, more_new, _ = _pass_place(index, heads, np.int64(1), delta, entry, width)
                    if more_old < 0:
                        break
                    # The first place is that of the change.
                    old, new = (np.int64(0), np.int64(0)) if old < 0 else (old + more_old, new + more_new)
                for r in range(num_runs):
                    i = heads[r] - 1
                    if i < 0 or _compare(index[r, MATRIX], i, delta, entry, PLACE, width) != 0:
                        continue
                    if _compare(index[r, MATRIX], i, end, end_at, length, width) > 0:
                        end, end_at = index[r, MATRIX], i
        for r in range(num_checkpoints):
            address, size = checkpoints[r, MATRIX], checkpoints[r, COUNT]
            marks[r] = _first_from(address, size, marks[r], delta, entry, length, width)
            ends[found, r] = backwards[r] = marks[r]
            if reach > 0:
                backwards[r] = _first_from(address, size, np.int64(0), target, at, length, width)
                ends[found, r] = _first_from(address, size, marks[r], end, end_at, length, width)
        entries[found] = entry
        before[found] = _pass_checkpoint(checkpoints, backwards, np.int64(-1), delta, entry, width)
        after[found] = NONE
        if not to_end:
            after[found] = _pass_checkpoint(checkpoints, ends[found], np.int64(1), delta, entry, width)
        if same and _overlap(checkpoints, after[found - 1], before[found], width):
            after[found - 1] = after[found]
            for r in range(num_checkpoints):
                ends[found - 1, r] = ends[found, r]
        else:
            found += 1
    return entries[:found].copy(), before[:found].copy(), after[:found].copy(), ends[:found].copy()


@kernel
def _overlap(checkpoints: Any, end: Any, begin: Any, width: Any) -> Any:
    """Whether a piece that ends with the checkpoint `end` reaches over one that begins with `begin`."""
    if end == NONE or begin == NONE:
        return True
    return (
        _compare_source(checkpoints, end, checkpoints[begin >> SOURCE_SHIFT, MATRIX], begin & POSITION_MASK, width) > 0
    )


@kernel_for("int64, int64[:, ::1], int64[::1], int64[::1], int64[::1], int64[:, ::1], boolean[::1], int64, int64")
def extend_pieces(
    delta: Any,
    checkpoints: Any,
    entries: Any,
    before: Any,
    after: Any,
    ends: Any,
    open_ones: Any,
    steps: Any,
    width: Any,
) -> Any:
    """Moves the ends of those pieces that are open over `steps` checkpoints, or to the end of the partition; pieces
    that they reach over become parts of them. (numbers of the pieces that remain, whether each was changed); `after`
    and `ends` are changed in place. O(pieces + steps x runs)."""
    count = len(entries)
    kept = np.empty(count, np.int64)
    changed = np.zeros(count, np.bool_)
    found = 0
    for k in range(count):
        if open_ones[k]:
            for _ in range(steps):
                if after[k] != NONE:
                    after[k] = _pass_checkpoint(checkpoints, ends[k], np.int64(1), delta, entries[k], width)
        if found > 0 and changed[found - 1]:
            p = kept[found - 1]
            if _compare(delta, entries[k], delta, entries[p], PLACE, width) == 0 and _overlap(
                checkpoints, after[p], before[k], width
            ):
                if after[p] != NONE and (
                    after[k] == NONE
                    or _compare_source(
                        checkpoints,
                        after[p],
                        checkpoints[after[k] >> SOURCE_SHIFT, MATRIX],
                        after[k] & POSITION_MASK,
                        width,
                    )
                    < 0
                ):
                    after[p] = after[k]
                    for r in range(ends.shape[1]):  # numba takes seconds to compile an assignment of lines
                        ends[p, r] = ends[k, r]
                continue
        kept[found] = k
        changed[found] = open_ones[k]
        found += 1
    return kept[:found].copy(), changed[:found].copy()


@kernel
def _beyond(a: Any, count: Any, start: Any, b: Any, j: Any, length: Any, width: Any) -> Any:
    """The first line of a, from `start` on, whose first `length` words are above those of line j at b. O(log of how far
    it is)."""
    low, step = start, np.int64(1)
    while low + step < count and _compare(a, low + step, b, j, length, width) <= 0:
        low += step
        step *= 2
    high = min(low + step, count)
    while low < high:
        middle = (low + high) >> 1
        if _compare(a, middle, b, j, length, width) <= 0:
            low = middle + 1
        else:
            high = middle
    return low


@kernel_for("int64[:, ::1], int64, int64[:, ::1], int64[::1], int64[::1], int64[::1], int64")
def piece_bounds(index: Any, delta: Any, checkpoints: Any, entries: Any, before: Any, after: Any, width: Any) -> Any:
    """The entries of pieces, which are in order, in each run of `index`, as islands (starts, ends). O(pieces x runs x
    (log of the rows between pieces + log of their own))."""
    num_runs = len(index)
    starts = np.empty((len(entries), num_runs), np.int64)
    ends = np.empty((len(entries), num_runs), np.int64)
    heads = np.zeros(num_runs, np.int64)
    for k in range(len(entries)):
        for r in range(num_runs):
            address, count = index[r, MATRIX], index[r, COUNT]
            if before[k] == NONE:
                start = _first_from(address, count, heads[r], delta, entries[k], PLACE, width)
            else:
                mark = checkpoints[before[k] >> SOURCE_SHIFT, MATRIX]
                start = _beyond(address, count, heads[r], mark, before[k] & POSITION_MASK, width - 1, width)
            if after[k] == NONE:
                heads[r] = _beyond(address, count, start, delta, entries[k], PLACE, width)
            else:
                mark = checkpoints[after[k] >> SOURCE_SHIFT, MATRIX]
                heads[r] = _beyond(address, count, start, mark, after[k] & POSITION_MASK, width - 1, width)
            starts[k, r], ends[k, r] = start, heads[r]
    return starts, ends


@kernel_for("int64[:, ::1], int64[::1], int64")
def first_of_places(index: Any, sources: Any, width: Any) -> Any:
    """Which rows, in the order of their lines, have another place than the one before. O(rows)."""
    first = np.ones(len(sources), np.bool_)
    for i in range(1, len(sources)):
        a, b = sources[i - 1], sources[i]
        first[i] = (
            _compare(
                index[a >> SOURCE_SHIFT, MATRIX],
                a & POSITION_MASK,
                index[b >> SOURCE_SHIFT, MATRIX],
                b & POSITION_MASK,
                width - 1,
                width,
            )
            != 0
        )
    return first


@kernel_for("int64[:, ::1], int64[::1], int64[::1], int64, int64[:, ::1], int64[::1], int64[::1], int64[::1], int64")
def inner_checkpoints(
    index: Any,
    places: Any,
    islands: Any,
    delta: Any,
    checkpoints: Any,
    entries: Any,
    before: Any,
    after: Any,
    width: Any,
) -> Any:
    """The checkpoints inside pieces, with neither of their ends: (sources, the piece of each, the number of its place,
    NONE where no row is left).

    `places`: the source of a row of each place in the pieces, in order, and `islands` the piece of each.
    O(places + checkpoints x runs)."""
    num_checkpoints = len(checkpoints)
    most = np.int64(0)
    for r in range(num_checkpoints):
        most += checkpoints[r, COUNT]
    most = min(most, np.int64(len(places) + len(entries)))
    sources = np.empty(most, np.int64)
    pieces = np.empty(most, np.int64)
    numbers = np.empty(most, np.int64)
    heads = np.zeros(num_checkpoints, np.int64)
    found = 0
    p = 0
    for k in range(len(entries)):
        while p < len(places) and islands[p] < k:
            p += 1
        for r in range(num_checkpoints):
            address, count = checkpoints[r, MATRIX], checkpoints[r, COUNT]
            if before[k] == NONE:
                heads[r] = _first_from(address, count, np.int64(0), delta, entries[k], PLACE, width)
            else:
                mark = checkpoints[before[k] >> SOURCE_SHIFT, MATRIX]
                heads[r] = _beyond(address, count, np.int64(0), mark, before[k] & POSITION_MASK, width - 1, width)
        while True:
            source = _pass_checkpoint(checkpoints, heads, np.int64(1), delta, entries[k], width)
            if source == NONE or source == after[k]:
                break
            address, at = checkpoints[source >> SOURCE_SHIFT, MATRIX], source & POSITION_MASK
            while p < len(places) and islands[p] == k and _compare_source(index, places[p], address, at, width) < 0:
                p += 1
            here = p < len(places) and islands[p] == k and _compare_source(index, places[p], address, at, width) == 0
            sources[found] = source
            pieces[found] = k
            numbers[found] = p if here else NONE
            found += 1
    return sources[:found].copy(), pieces[:found].copy(), numbers[:found].copy()


@kernel_for("int64[::1], int64[::1], int64[::1], boolean[::1], boolean[::1], int64")
def choose_places(islands: Any, ends: Any, begins: Any, allowed: Any, marked: Any, spacing: Any) -> Any:
    """The places after which a checkpoint shall stand: about every `spacing` rows, where one already is if that is not
    too near. Per place: its piece, the number of rows up to it, whether it may be chosen and is marked already;
    `begins`: the number of rows before each piece. O(places)."""
    chosen = np.empty(len(islands), np.int64)
    found = 0
    last = np.int64(0)
    for p in range(len(islands)):
        if p == 0 or islands[p] != islands[p - 1]:
            last = begins[islands[p]]
        gap = ends[p] - last
        if allowed[p] and (gap >= spacing or (marked[p] and 2 * gap >= spacing)):
            chosen[found] = p
            found += 1
            last = ends[p]
    return chosen[:found].copy()


@kernel_for("int64[:, ::1], int64[::1], int64")
def copy_lines(index: Any, sources: Any, width: Any) -> Any:
    """The lines at sources. O(lines)."""
    lines = np.empty((len(sources), width), np.uint64)
    for i in range(len(sources)):
        address, at = index[sources[i] >> SOURCE_SHIFT, MATRIX], sources[i] & POSITION_MASK
        for c in range(width):
            lines[i, c] = load64(address, (at * width + c) * 8)
    return lines
