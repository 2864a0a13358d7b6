"""A pipeline whose state is several times larger than the memory it may use, as a process of its own:
`python -m tests.pipeline.large_state DIRECTORY BUDGET_MB STATE_MB`. Prints one JSON object.

Rows of two tables with long texts are inserted, joined by a key, some updated and some deleted. The totals of the join
are what the test compares; the join itself is kept, too.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from millstream.pipeline.controller import Controller
from millstream.pipeline.runtime_config import RuntimeConfig
from millstream.pipeline.storage import build_keeper
from millstream.sql.compile import compile_program
from millstream.zset.changes import ChangeBatch, Operation

SQL = """
CREATE TABLE articles (id BIGINT NOT NULL PRIMARY KEY, topic BIGINT, body VARCHAR);
CREATE TABLE topics (topic BIGINT NOT NULL PRIMARY KEY, note VARCHAR);
CREATE MATERIALIZED VIEW described AS
    SELECT id, a.topic, body, note FROM articles a JOIN topics t ON a.topic = t.topic;
CREATE MATERIALIZED VIEW totals AS
    SELECT topic % 10 AS part, COUNT(*) AS articles, SUM(id) AS ids, SUM(CHAR_LENGTH(body)) AS characters,
           SUM(CHAR_LENGTH(note)) AS notes, MAX(body) AS last
    FROM described GROUP BY topic % 10;
"""
STEP_ROWS, TEXT_BYTES, TOPICS = 4000, 500, 1000
#: How often a row's text is held: by the table, by the join's trace and by the view.
COPIES = 3


def articles(first: int, count: int, version: int) -> list[pa.Array]:
    """Rows first .. first + count - 1 in one of their versions."""
    random = np.random.default_rng([first, version])
    letters = random.integers(97, 123, count * TEXT_BYTES, np.uint8)
    lengths = random.integers(TEXT_BYTES // 2, TEXT_BYTES, count)
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    body = pa.LargeStringArray.from_buffers(count, pa.py_buffer(offsets), pa.py_buffer(letters))
    ids = np.arange(first, first + count)
    return [pa.array(ids), pa.array((ids * 7 + version) % TOPICS), body]


def topics(version: int) -> list[pa.Array]:
    """All topics."""
    return [pa.array(range(TOPICS)), pa.array([f"note {i * version}" for i in range(TOPICS)], pa.large_string())]


def changes(state_mb: int) -> list[tuple[str, Any]]:
    """(table, (operation, what makes the rows)) of every step."""
    steps = max(4, state_mb * 10**6 // (STEP_ROWS * TEXT_BYTES * 3 // 4 * COPIES))
    made: list[tuple[str, Any]] = [("topics", (Operation.INSERT, lambda: topics(1)))]
    for i in range(steps):
        made.append(("articles", (Operation.INSERT, lambda i=i: articles(i * STEP_ROWS, STEP_ROWS, 1))))
        if i % 4 == 3:  # some of what came long ago
            first = i * STEP_ROWS // 2
            made.append(("articles", (Operation.INSERT, lambda f=first: articles(f, 200, 2))))
            made.append(("articles", (Operation.DELETE, lambda f=first: articles(f + 300, 200, 1))))
    made.append(("topics", (Operation.INSERT, lambda: [column.slice(0, 3) for column in topics(2)])))
    return made


def anonymous_mb() -> float:
    """Resident memory that belongs to no file."""
    (line,) = [line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("RssAnon")]
    return int(line.split()[1]) / 1000


def main() -> None:
    directory, budget_mb, state_mb = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    config = RuntimeConfig.from_json({"max_rss_mb": budget_mb})
    program = compile_program(SQL).program
    assert program is not None
    said: list[str] = []
    controller = Controller(
        program, config, log=said.append, manual_stepping=True, keeper=build_keeper(config, directory, said.append)
    )
    controller.start("paused")
    most = most_stored = 0.0
    for table, (operation, make) in changes(state_mb):
        columns = tuple(make())
        count = len(columns[0])
        batch = ChangeBatch(columns, count, np.full(count, operation, np.int8))
        controller.push(table, batch)
        controller.step()
        most = max(most, anonymous_mb())
        stats = controller.stats()["global_metrics"]
        most_stored = max(most_stored, stats["storage_bytes"] / 1e6)
    totals = controller.snapshot().table("totals")
    state = sum(operator["state_bytes"] for operator in controller.profile()) / 1e6
    controller.stop()
    result = {"most_anonymous_mb": most, "stored_mb": stats["storage_bytes"] / 1e6, "most_stored_mb": most_stored,
              "in_memory_mb": state, "log": said, "files_left": [str(p) for p in directory.rglob("*.arrow")],
              "totals": totals.to_pylist()}  # fmt: skip
    sys.stdout.write(json.dumps(result))


if __name__ == "__main__":
    main()
