"""Recursion: reachability in a graph of 100,000 edges, computed at once and then kept under changes of single edges."""

from __future__ import annotations

import statistics
import time

import duckdb
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from benchmarks.engine import compiled
from benchmarks.harness import Measurements, case
from millstream.circuit.circuit import Circuit
from millstream.zset.changes import ChangeBatch

NODES = 20_000
EDGES = 100_000
CHANGES = 100

REACHABLE = """
CREATE TABLE sources (node INT NOT NULL);
CREATE TABLE edges (origin INT NOT NULL, target INT NOT NULL);
DECLARE RECURSIVE VIEW reachable (node INT NOT NULL);
CREATE MATERIALIZED VIEW reachable AS
SELECT node FROM sources UNION ALL SELECT e.target AS node FROM reachable r JOIN edges e ON r.node = e.origin;
"""


def _edges(rows: npt.NDArray[np.int32], operation: int) -> dict[str, list[ChangeBatch]]:
    columns = (pa.array(rows[:, 0]), pa.array(rows[:, 1]))
    return {"edges": [ChangeBatch(columns, len(rows), np.full(len(rows), operation, np.int8))]}


@case("Recursion: how much cheaper a changed edge is than recomputation (100,000 edges)", "times", target=20)
def recursion_edge_changes() -> Measurements:
    """Time of computing all that is reachable, relative to the median time of deleting or adding one edge."""
    rng = np.random.default_rng(5)
    edges = rng.integers(0, NODES, (EDGES, 2)).astype(np.int32)
    circuit = Circuit(compiled(REACHABLE))
    circuit.step({"sources": [ChangeBatch((pa.array([0], pa.int32()),), 1)]})
    start = time.perf_counter()
    circuit.step(_edges(edges, 1))
    full = time.perf_counter() - start
    samples = []
    for index in rng.permutation(EDGES)[:CHANGES].tolist():
        for operation in (-1, 1):
            start = time.perf_counter()
            circuit.step(_edges(edges[index : index + 1], operation))
            samples.append(time.perf_counter() - start)
    kept = rng.permutation(EDGES)[: EDGES // 2]
    circuit.step(_edges(edges[kept], -1))
    _check(circuit, np.delete(edges, kept, axis=0))
    return {"median": full / statistics.median(samples), "mean": full / statistics.mean(samples)}


def _check(circuit: Circuit, edges: npt.NDArray[np.int32]) -> None:
    database = duckdb.connect()
    database.register("edges", pa.table({"origin": edges[:, 0], "target": edges[:, 1]}))
    query = (
        "WITH RECURSIVE r(n) AS (SELECT 0 UNION SELECT target FROM r JOIN edges ON n = origin) SELECT count(*) FROM r"
    )
    (expected,) = database.execute(query).fetchall()[0]
    found = circuit.snapshot().table("reachable").num_rows
    assert found == expected, (found, expected)
