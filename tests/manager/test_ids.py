"""Identifiers and timestamps."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

from millstream.manager.ids import timestamp, uuid7


def test_identifiers_grow_and_are_version_7() -> None:
    made = [uuid7() for _ in range(5000)]
    assert made == sorted(set(made))
    assert {u.version for u in made} == {7}
    assert {u.variant for u in made} == {"specified in RFC 4122"}
    assert [str(u) for u in made] == sorted(str(u) for u in made)


def test_identifiers_of_many_threads_differ() -> None:
    with ThreadPoolExecutor(8) as pool:
        made = [u for batch in pool.map(lambda _: [uuid7() for _ in range(500)], range(8)) for u in batch]
    assert len(set(made)) == 4000


def test_timestamps_are_rfc_3339_with_microseconds() -> None:
    assert timestamp(datetime(2026, 1, 31, 12, 0, 0, 5, UTC)) == "2026-01-31T12:00:00.000005Z"
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", timestamp())
