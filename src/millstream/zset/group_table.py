"""Group tables: dense slot numbers for 128-bit keys, for state that is one accumulator per group."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from millstream.zset.hashing import Hashes

Slots = npt.NDArray[np.int64]


class GroupTable:
    """A mutable map from hash pairs to slots 0 .. size - 1."""

    def __init__(self) -> None:
        self._slots: dict[tuple[int, int], int] = {}
        self._keys: list[tuple[int, int]] = []
        self._free: list[int] = []

    @property
    def size(self) -> int:
        """All slots ever given out are below this."""
        return len(self._keys)

    def slots(self, h1: Hashes, h2: Hashes) -> Slots:
        """The slot of every pair; pairs not seen before get a free slot, the last one released or a new one."""
        result = np.empty(len(h1), np.int64)
        for i, pair in enumerate(zip(h1.tolist(), h2.tolist(), strict=True)):
            slot = self._slots.get(pair)
            if slot is None:
                if self._free:
                    slot = self._free.pop()
                    self._keys[slot] = pair
                else:
                    slot = len(self._keys)
                    self._keys.append(pair)
                self._slots[pair] = slot
            result[i] = slot
        return result

    def find(self, h1: Hashes, h2: Hashes) -> Slots:
        """The slot of every pair, -1 for those not in the table."""
        pairs = zip(h1.tolist(), h2.tolist(), strict=True)
        return np.array([self._slots.get(pair, -1) for pair in pairs], np.int64)

    def release(self, slots: Slots) -> None:
        """Forgets the pairs of these distinct slots and frees the slots for others."""
        for slot in slots.tolist():
            del self._slots[self._keys[slot]]
            self._free.append(slot)
