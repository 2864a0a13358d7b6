"""Plain numpy twins of the kernels: slow, obvious, and the judges of the fast ones."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Words = npt.NDArray[np.uint64]
Positions = npt.NDArray[np.int64]

_MASK = (1 << 64) - 1


def mix(word: int) -> int:
    word = ((word ^ (word >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    word = ((word ^ (word >> 27)) * 0x94D049BB133111EB) & _MASK
    return word ^ (word >> 31)


def absorb(state: int, word: int) -> int:
    return mix(state ^ ((word * 0x9E3779B97F4A7C15) & _MASK))


def absorb_null(state: int) -> int:
    return mix((state + 0xD1B54A32D192ED03) & _MASK)


def fold(a: int, b: int) -> int:
    product = (a & _MASK) * (b & _MASK)
    return (product & _MASK) ^ (product >> 64)


def absorb_bytes(state: int, secret: int, data: bytes) -> int:
    chunks = [data[start : start + 16].ljust(16, b"\0") for start in range(0, max(len(data), 1), 16)]
    for chunk in chunks:
        low, high = int.from_bytes(chunk[:8], "little"), int.from_bytes(chunk[8:], "little")
        state = fold(low ^ secret, high ^ state)
    return absorb(state, len(data))


def hash_row(row: tuple[int | bytes | None, ...], seed: int) -> int:
    """The hash of integers of at most 8 bytes and byte strings."""
    state = mix(seed)
    secret = mix((seed + 0x8CB92BA72F3D8DD7) & _MASK) | 1
    for value in row:
        if value is None:
            state = absorb_null(state)
        elif isinstance(value, bytes):
            state = absorb_bytes(state, secret, value)
        else:
            state = absorb(state, value & _MASK)
    return state


def sort_entries(keys: Words, rows: Words, weights: Positions) -> tuple[Positions, Words, Words, Positions]:
    order = np.lexsort((rows, keys))
    keys, rows = keys[order], rows[order]
    first = np.ones(len(order), np.bool_)
    first[1:] = (keys[1:] != keys[:-1]) | (rows[1:] != rows[:-1])
    starts = np.flatnonzero(first)
    totals = np.add.reduceat(weights[order], starts) if len(starts) else weights[:0]
    kept = starts[totals != 0]
    return order[kept], keys[kept], rows[kept], totals[totals != 0]


def build_directory(keys: Words) -> Positions:
    bits = max(1, len(keys).bit_length() - 1)
    tops = (keys >> np.uint64(64 - bits)).astype(np.int64)
    return np.searchsorted(tops, np.arange((1 << bits) + 1))


def deal(hashes: Words, shards: int) -> tuple[Positions, Positions]:
    """Positions of rows by shard, and the bounds between shards."""
    owners = np.array([(hash >> 32) * shards >> 32 for hash in hashes.tolist()], np.int64)
    return np.argsort(owners, kind="stable"), np.searchsorted(np.sort(owners), np.arange(shards + 1))


def probe_run(run_keys: Words, hashes: Words) -> tuple[Positions, Positions]:
    """Positions in the probe and in the run of all pairs of equal hashes."""
    low = np.searchsorted(run_keys, hashes, "left")
    counts = np.searchsorted(run_keys, hashes, "right") - low
    probe = np.repeat(np.arange(len(hashes)), counts)
    within = np.arange(len(probe)) - np.repeat(np.cumsum(counts) - counts, counts)
    return probe, np.repeat(low, counts) + within


class GroupTable:
    """The contract of GroupTable, on a dict."""

    def __init__(self) -> None:
        self.known: dict[tuple[int, int], int] = {}
        self.free: list[int] = []
        self.size = 0

    def slots(self, h1: Words, h2: Words) -> list[int]:
        result = []
        for pair in zip(h1.tolist(), h2.tolist(), strict=True):
            if pair not in self.known:
                if self.free:
                    self.known[pair] = self.free.pop()
                else:
                    self.known[pair] = self.size
                    self.size += 1
            result.append(self.known[pair])
        return result

    def release(self, slots: list[int]) -> None:
        pairs = {slot: pair for pair, slot in self.known.items()}
        for slot in slots:
            del self.known[pairs[slot]]
            self.free.append(slot)
