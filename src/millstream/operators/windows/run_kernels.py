"""The numba kernels of ordered runs: building, merging, finding islands of rows and reading them in order.

The entries of a run are lines of a uint64 matrix: two hashes of the partition, the words of its place in there, and the
hash of the row. Runs are sorted by whole lines. Kernels that look at several runs get an `index` with a line for each:
the address of its matrix, its number of entries, the address of its weights. Sources are as in zset/kernels.py.

An *island* is a piece of one partition: for each run the entries starts[k, r] .. ends[k, r] (exclusive).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from millstream.zset.columns import SOURCE_SHIFT
from millstream.zset.compiled import kernel, kernel_for
from millstream.zset.words import load64

# What an index tells about a run.
MATRIX, COUNT, WEIGHTS = range(3)
# The column of the first word of a place. Typed: numba compiles a function again for each literal argument.
PLACE = np.int64(2)
# How far from where a line is expected it is looked for next.
_FIRST_STEP = np.int64(8)


@kernel
def _compare(a: Any, i: Any, b: Any, j: Any, length: Any, width: Any) -> Any:
    """Negative, 0 or positive as the first `length` words of line i at address a are below those of line j at b, equal
    or above."""
    for c in range(length):
        x = load64(a, (i * width + c) * 8)
        y = load64(b, (j * width + c) * 8)
        if x != y:
            return -1 if x < y else 1
    return 0


@kernel
def _word(address: Any, i: Any, column: Any, width: Any) -> Any:
    return load64(address, (i * width + column) * 8)


@kernel
def _first_from(a: Any, count: Any, start: Any, b: Any, j: Any, length: Any, width: Any) -> Any:
    """The first line of a, from `start` on, whose first `length` words are not below those of line j at b.

    The hashes that lines begin with are uniform, so a line is looked for where they say, and from there in growing
    steps. O(log of how far off that is): a few lines that are near each other, where halving the state would read one
    far line after another.
    """
    if start >= count or _compare(a, start, b, j, length, width) >= 0:
        return start
    # Line `low` is below; `high` is not, or is the end.
    low, high = start, count
    here, wanted = _word(a, start, np.int64(0), width), _word(b, j, np.int64(0), width)
    guess, step = start + 1, np.int64(1)
    if wanted > here:
        guess = start + np.int64(np.float64(wanted - here) / np.float64(~here) * np.float64(count - start))
        guess, step = max(min(guess, count - 1), start + 1), _FIRST_STEP
    if guess < high:
        if _compare(a, guess, b, j, length, width) < 0:
            low = guess
            while low + step < high and _compare(a, low + step, b, j, length, width) < 0:
                low += step
                step *= 2
            high = min(low + step, high)
        else:
            high = guess
            while high - step > low and _compare(a, high - step, b, j, length, width) >= 0:
                high -= step
                step *= 2
            low = max(high - step, low)
    while high - low > 1:
        middle = (low + high) >> 1
        if _compare(a, middle, b, j, length, width) < 0:
            low = middle
        else:
            high = middle
    return high


@kernel_for("uint64[:, ::1], int64[::1], int64[::1]")
def compact(lines: Any, order: Any, weights: Any) -> Any:
    """Equal lines, which are neighbours in `order`, merged, those without weight left out: (a position of each line
    that remains, the lines, their weights). O(rows)."""
    count, width = lines.shape
    positions = np.empty(count, np.int64)
    kept = np.empty((count, width), np.uint64)
    totals = np.empty(count, np.int64)
    found = 0
    i = 0
    while i < count:
        first = order[i]
        total = np.int64(0)
        same = True
        while same:
            total += weights[order[i]]
            i += 1
            same = i < count
            if same:
                for c in range(width):
                    if lines[order[i], c] != lines[first, c]:
                        same = False
        if total != 0:
            positions[found] = first
            totals[found] = total
            for c in range(width):
                kept[found, c] = lines[first, c]
            found += 1
    return positions[:found].copy(), kept[:found].copy(), totals[:found].copy()


@kernel_for("uint64[:, ::1], int64[::1], uint64[:, ::1], int64[::1]")
def merge_lines(a: Any, weights_a: Any, b: Any, weights_b: Any) -> Any:
    """Two runs as one, opposite weights cancelled: (sources, lines, weights). O(rows)."""
    count_a, width = a.shape
    count_b = len(b)
    sources = np.empty(count_a + count_b, np.int64)
    lines = np.empty((count_a + count_b, width), np.uint64)
    weights = np.empty(count_a + count_b, np.int64)
    found = i = j = 0
    while i < count_a or j < count_b:
        side = -1 if j >= count_b else (1 if i >= count_a else 0)
        if side == 0:
            for c in range(width):
                if a[i, c] != b[j, c]:
                    side = -1 if a[i, c] < b[j, c] else 1
                    break
        weight = np.int64(0)
        if side <= 0:
            weight += weights_a[i]
        if side >= 0:
            weight += weights_b[j]
        if weight != 0:
            sources[found] = i if side <= 0 else j | (np.int64(1) << SOURCE_SHIFT)
            weights[found] = weight
            for c in range(width):
                lines[found, c] = a[i, c] if side <= 0 else b[j, c]
            found += 1
        if side <= 0:
            i += 1
        if side >= 0:
            j += 1
    return sources[:found].copy(), lines[:found].copy(), weights[:found].copy()


@kernel_for("int64[:, ::1], int64, uint64")
def touched_sessions(index: Any, width: Any, gap: Any) -> Any:
    """The islands (starts, ends) of rows that are less than `gap` from the next one, in their only word, and that the
    entries of the last run touch. Entries count whatever their weights: an island may be several sessions.
    O(islands x runs x log rows + rows of islands)."""
    num_runs = len(index)
    last = num_runs - 1
    delta, count = index[last, MATRIX], index[last, COUNT]
    starts = np.empty((count, num_runs), np.int64)
    ends = np.empty((count, num_runs), np.int64)
    positions = np.zeros(num_runs, np.int64)
    found = 0
    while positions[last] < count:
        entry = positions[last]
        low = high = _word(delta, entry, PLACE, width)
        for r in range(num_runs):
            start = positions[r]
            if r != last:
                start = _first_from(index[r, MATRIX], index[r, COUNT], start, delta, entry, PLACE + np.int64(1), width)
            starts[found, r] = ends[found, r] = start
        moved = True
        while moved:
            moved = False
            for r in range(num_runs):
                address = index[r, MATRIX]
                i = starts[found, r]
                while i > 0 and _compare(address, i - 1, delta, entry, PLACE, width) == 0:
                    place = _word(address, i - 1, PLACE, width)
                    if place < low:
                        if low - place >= gap:
                            break
                        low = place
                        moved = True
                    i -= 1
                starts[found, r] = i
                i = ends[found, r]
                while i < index[r, COUNT] and _compare(address, i, delta, entry, PLACE, width) == 0:
                    place = _word(address, i, PLACE, width)
                    if place > high:
                        if place - high >= gap:
                            break
                        high = place
                        moved = True
                    i += 1
                ends[found, r] = i
        for r in range(num_runs):
            positions[r] = ends[found, r]
        found += 1
    return starts[:found].copy(), ends[:found].copy()


@kernel_for("int64[:, ::1], int64[:, ::1], int64[:, ::1], int64")
def read_islands(index: Any, starts: Any, ends: Any, width: Any) -> Any:
    """The rows of islands, island by island, in the order of their lines: (source of each row, its island, the first
    word of its place, its weight in all runs but the last, its weight in the last). O(rows x runs)."""
    num_runs = len(index)
    total = np.int64(0)
    for k in range(len(starts)):
        for r in range(num_runs):
            total += ends[k, r] - starts[k, r]
    sources = np.empty(total, np.int64)
    islands = np.empty(total, np.int64)
    places = np.empty(total, np.uint64)
    before = np.empty(total, np.int64)
    change = np.empty(total, np.int64)
    heads = np.empty(num_runs, np.int64)
    found = 0
    for k in range(len(starts)):
        for r in range(num_runs):
            heads[r] = starts[k, r]
        while True:
            best = -1
            for r in range(num_runs):
                if heads[r] < ends[k, r] and (
                    best < 0 or _compare(index[r, MATRIX], heads[r], index[best, MATRIX], heads[best], width, width) < 0
                ):
                    best = r
            if best < 0:
                break
            address, at = index[best, MATRIX], heads[best]
            sources[found] = at | (np.int64(best) << SOURCE_SHIFT)
            islands[found] = k
            places[found] = _word(address, at, PLACE, width)
            before[found] = change[found] = 0
            for r in range(best, num_runs):
                i = heads[r]
                if i < ends[k, r] and _compare(index[r, MATRIX], i, address, at, width, width) == 0:
                    weight = np.int64(load64(index[r, WEIGHTS], i * 8))
                    if r == num_runs - 1:
                        change[found] += weight
                    else:
                        before[found] += weight
                    heads[r] += 1
            found += 1
    return sources[:found], islands[:found], places[:found], before[:found], change[:found]


@kernel_for("int64[::1], uint64[::1], int64[::1], uint64")
def session_bounds(islands: Any, places: Any, weights: Any, gap: Any) -> Any:
    """For rows of islands in order, those of positive weight being there, the first and the last place of the session
    of each: (first, last, position of the first row); arbitrary for rows that are not there. O(rows)."""
    count = len(islands)
    first = np.empty(count, np.uint64)
    last = np.empty(count, np.uint64)
    leaders = np.full(count, -1, np.int64)
    previous = -1
    for i in range(count):
        if weights[i] <= 0:
            continue
        if previous >= 0 and islands[previous] == islands[i] and places[i] - places[previous] < gap:
            leaders[i] = leaders[previous]
        else:
            leaders[i] = i
        first[i] = places[leaders[i]]
        previous = i
    following = -1
    for i in range(count - 1, -1, -1):
        if weights[i] <= 0:
            continue
        same = following >= 0 and leaders[following] == leaders[i]
        last[i] = last[following] if same else places[i]
        following = i
    return first, last, leaders


@kernel_for("int64[:, ::1], int64, int64")
def touched_rows(index: Any, width: Any, reach: Any) -> Any:
    """The islands (starts, ends) of `reach` rows to both sides of every entry of the last run, as many without that run
    and with it; rows of equal places are in it together. Islands may overlap, but no changed row is in two of them.
    O(rows of islands x runs + islands x runs x log rows)."""
    num_runs = len(index)
    last = num_runs - 1
    delta, count = index[last, MATRIX], index[last, COUNT]
    length = width - 1
    starts = np.empty((count, num_runs), np.int64)
    ends = np.empty((count, num_runs), np.int64)
    positions = np.zeros(num_runs, np.int64)
    found = 0
    while positions[last] < count:
        entry = positions[last]
        for r in range(last):
            positions[r] = _first_from(index[r, MATRIX], index[r, COUNT], positions[r], delta, entry, length, width)
        for r in range(num_runs):
            starts[found, r] = ends[found, r] = positions[r]
        before = after = np.int64(0)
        first = True
        while first or before < reach or after < reach:
            first = False
            old, new, changed = _pass_place(index, ends[found], np.int64(1), delta, entry, width)
            if old < 0:
                break
            before, after = (np.int64(0), np.int64(0)) if changed else (before + old, after + new)
        before = after = np.int64(0)
        while before < reach or after < reach:
            old, new, _ = _pass_place(index, starts[found], np.int64(-1), delta, entry, width)
            if old < 0:
                break
            before, after = before + old, after + new
        positions[last] = ends[found, last]
        found += 1
    return starts[:found].copy(), ends[:found].copy()


@kernel
def _pass_place(index: Any, heads: Any, step: Any, delta: Any, entry: Any, width: Any) -> Any:
    """Moves `heads` over the next place of the partition of `entry`, up (step 1) or down (-1): (rows there without the
    last run, rows with it, whether the last run has an entry there); -1 for the rows if there is no such place."""
    num_runs = len(index)
    last = num_runs - 1
    shift = np.int64(0) if step > 0 else np.int64(-1)
    best, at = -1, np.int64(0)
    for r in range(num_runs):
        i = heads[r] + shift
        if i < 0 or i >= index[r, COUNT] or _compare(index[r, MATRIX], i, delta, entry, PLACE, width) != 0:
            continue
        if best < 0 or _compare(index[r, MATRIX], i, index[best, MATRIX], at, width - 1, width) * step < 0:
            best, at = r, i
    if best < 0:
        return np.int64(-1), np.int64(-1), False
    place = index[best, MATRIX]
    old = new = np.int64(0)
    changed = False
    while True:
        row, row_at = -1, np.int64(0)
        for r in range(num_runs):
            i = heads[r] + shift
            if i < 0 or i >= index[r, COUNT] or _compare(index[r, MATRIX], i, place, at, width - 1, width) != 0:
                continue
            if row < 0 or _compare(index[r, MATRIX], i, index[row, MATRIX], row_at, width, width) * step < 0:
                row, row_at = r, i
        if row < 0:
            return old, new, changed
        address = index[row, MATRIX]
        weight = change = np.int64(0)
        for r in range(row, num_runs):
            i = heads[r] + shift
            if i < 0 or i >= index[r, COUNT] or _compare(index[r, MATRIX], i, address, row_at, width, width) != 0:
                continue
            if r == last:
                change += np.int64(load64(index[r, WEIGHTS], i * 8))
                changed = True
            else:
                weight += np.int64(load64(index[r, WEIGHTS], i * 8))
            heads[r] += step
        if weight > 0:
            old += weight
        if weight + change > 0:
            new += weight + change
