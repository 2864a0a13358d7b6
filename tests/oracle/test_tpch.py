"""TPC-H's queries as views of one program, each equal to DuckDB's answer after every step of loading and refreshing."""

from __future__ import annotations

import pyarrow as pa
import pytest
from benchmarks.tpch.generate import Data, generate
from benchmarks.tpch.schedule import QUERIES, Oracle, Step, compiled, difference, load_steps, refresh_steps

from millstream.circuit.circuit import Circuit
from millstream.circuit.workers import Workers
from millstream.errors import MillstreamError

SCALE = 0.005
#: Queries that do not work yet, with the reason. The test fails when one of them starts to work.
NOT_YET: dict[str, str] = {}
#: Refreshes replace two thirds of the orders, so that groups and keys vanish.
REFRESHED = 2 / 3


@pytest.fixture(scope="module")
def data() -> Data:
    orders = round(1_500_000 * SCALE)
    return generate(SCALE, num_refresh_orders=round(orders * REFRESHED))


@pytest.fixture(scope="module")
def steps(data: Data) -> list[Step]:
    return [Step({}, {}), *load_steps(data, 3), *refresh_steps(data, 4), Step({}, {})]


@pytest.fixture(scope="module")
def answers(data: Data, steps: list[Step]) -> list[dict[str, pa.Table]]:
    """DuckDB's answers after every step."""
    oracle = Oracle(data)
    found = []
    for step in steps:
        oracle.apply(step)
        found.append({name: oracle.answer(name) for name in QUERIES})
    oracle.close()
    return found


def mismatch(name: str, steps: list[Step], answers: list[dict[str, pa.Table]]) -> str | None:
    circuit = Circuit(compiled([name]))
    for number, (step, answer) in enumerate(zip(steps, answers, strict=True)):
        circuit.step(step.changes())
        found = difference(circuit.snapshot().table(name), answer[name])
        if found:
            return f"step {number}: {found}"
    return None


@pytest.mark.parametrize("name", QUERIES)
def test_a_query_equals_duckdbs_answer_after_every_step(
    name: str, steps: list[Step], answers: list[dict[str, pa.Table]]
) -> None:
    if name not in NOT_YET:
        assert mismatch(name, steps, answers) is None
        return
    try:
        found = mismatch(name, steps, answers)
    except (AssertionError, MillstreamError):
        return
    assert found, f"{name} works: take it off the list"


@pytest.mark.slow
@pytest.mark.parametrize("count", [1, 2, 5])
def test_all_queries_run_as_one_program(steps: list[Step], answers: list[dict[str, pa.Table]], count: int) -> None:
    names = [name for name in QUERIES if name not in NOT_YET]
    circuit = Circuit(compiled(names), workers=Workers(count, split_rows=1, thread_rows=1, largest_share=1.0))
    for step, answer in zip(steps, answers, strict=True):
        circuit.step(step.changes())
        snapshot = circuit.snapshot()
        different = {name: difference(snapshot.table(name), answer[name]) for name in names}
        assert not {name: found for name, found in different.items() if found}


def test_every_query_has_rows_at_some_step(answers: list[dict[str, pa.Table]]) -> None:
    empty = [name for name in QUERIES if not any(_has_values(answer[name]) for answer in answers)]
    assert not empty


def _has_values(table: pa.Table) -> bool:
    return table.num_rows > 0 and any(column.null_count < table.num_rows for column in table.columns)


def test_an_answer_that_differs_is_noticed(data: Data, steps: list[Step]) -> None:
    oracle = Oracle(data)
    oracle.apply(steps[1])
    answer = oracle.answer("q1")
    oracle.close()
    assert difference(answer, answer) is None
    assert difference(answer.slice(1), answer)
    assert difference(answer.set_column(9, "count_order", pa.array([1] * answer.num_rows)), answer)
