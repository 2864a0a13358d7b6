"""Sharing: five views that join the same two tables by the same key, in one program and in a program each."""

from __future__ import annotations

import time

import duckdb
import pyarrow as pa

from benchmarks.engine import compiled
from benchmarks.harness import Measurements, case
from benchmarks.nexmark.program import FOLDER, NAMES, events
from millstream.circuit.circuit import Circuit
from millstream.plan.program import Program

EVENTS = 500_000
STEP_EVENTS = 10_000

JOINED = "FROM auction a JOIN bid b ON a.id = b.auction"
VIEWS = {
    "by_category": f"SELECT a.category, COUNT(*) AS n, SUM(b.price) AS total {JOINED} GROUP BY a.category",
    "by_seller": f"SELECT a.seller, SUM(b.price) AS total {JOINED} GROUP BY a.seller",
    "below_reserve": f"SELECT a.id, b.bidder, b.price {JOINED} AND b.price < a.reserve",
    "late": f"SELECT a.id, b.bidder, b.date_time {JOINED} AND b.date_time > a.expires",
    "by_channel": f"SELECT b.channel, MAX(b.price - a.initial_bid) AS most {JOINED} GROUP BY b.channel",
}


def _program(*names: str) -> Program:
    views = "".join(f"CREATE VIEW {name} AS {VIEWS[name]};\n" for name in names)
    return compiled((FOLDER / "tables.sql").read_text() + views)


def _measure() -> tuple[list[float], list[float]]:
    """Seconds of one program, of a program each, and of DuckDB's asking all again after every step; and the bytes of
    state of the first two."""
    together, alone = Circuit(_program(*VIEWS)), [Circuit(_program(name)) for name in VIEWS]
    # Kernels are loaded before the clock starts.
    Circuit(_program(*VIEWS)).step(events(0, STEP_EVENTS))
    seconds = [0.0, 0.0, 0.0]
    database = duckdb.connect()
    for start in range(0, EVENTS, STEP_EVENTS):
        batches = events(start, start + STEP_EVENTS)
        for kind in ("auction", "bid"):
            made = pa.table(list(batches[kind][0].columns), names=NAMES[kind])
            database.register("made", made)
            database.execute(f"CREATE TABLE {kind} AS FROM made" if not start else f"INSERT INTO {kind} FROM made")
        for place, circuits in enumerate(([together], alone)):
            begin = time.perf_counter()
            results = [circuit.step(batches) for circuit in circuits]
            for name in VIEWS:
                for result in results:
                    result.deltas.get(name)
            seconds[place] += time.perf_counter() - begin
        begin = time.perf_counter()
        for query in VIEWS.values():
            database.sql(query).to_arrow_table()
        seconds[2] += time.perf_counter() - begin
    return seconds, [float(together.state_bytes), float(sum(circuit.state_bytes for circuit in alone))]


@case("Sharing: five joins of two tables by one key, in one program instead of five", "times", runs=1)
def shared_joins() -> Measurements:
    """How much less memory and time they take, and how much less time than DuckDB takes to ask all again after every
    step of 10,000 events."""
    (together, alone, again), (shared_bytes, separate_bytes) = _measure()
    return {
        "less memory": separate_bytes / shared_bytes,
        "less time": alone / together,
        "less time than DuckDB": again / together,
    }
