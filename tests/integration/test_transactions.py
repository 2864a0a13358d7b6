"""Transactions of datagen connectors and of a client, merged, over HTTP (api.md §15, connectors.md §3.5)."""

from __future__ import annotations

from typing import Any

from tests.integration.conftest import Create, Rest, wait_for

SQL = """
CREATE TABLE t (n BIGINT) WITH ('materialized' = 'true', 'connectors' = '[
  {"name": "fifties", "paused": true, "transport": {"name": "datagen", "config":
    {"plan": [{"rate": 1000}], "transaction_size": 50}}},
  {"name": "once", "paused": true, "transport": {"name": "datagen", "config":
    {"plan": [{"limit": 30}], "transaction_size": 100}}}
]');
CREATE MATERIALIZED VIEW total AS SELECT COUNT(*) AS n FROM t;
"""


def test_a_client_and_two_datagens_commit_together(create: Create, rest: Rest) -> None:
    name = "transactions"
    pipeline = create(name, SQL, "running")

    def metrics() -> dict[str, Any]:
        found: dict[str, Any] = rest.http.get(f"/pipelines/{name}/stats").json()["global_metrics"]
        return found

    def phases() -> dict[str, Any]:
        connectors = metrics()["transaction_initiators"]["initiated_by_connectors"]
        return {endpoint: part["phase"] for endpoint, part in connectors.items()}

    def total() -> int:
        return int(next(iter(pipeline.query("SELECT n FROM total")))["n"])

    transaction = pipeline.start_transaction()
    pipeline.start_input_connector("t", "fifties")
    wait_for("the first part", lambda: phases() == {"t.fifties": "Committed"})
    pipeline.start_input_connector("t", "once")
    wait_for("the second part", lambda: phases() == {"t.fifties": "Committed", "t.once": "Committed"})
    found = metrics()
    assert (found["transaction_status"], found["transaction_id"]) == ("TransactionInProgress", transaction)
    assert found["transaction_initiators"]["initiated_by_api"] == "Started"
    assert found["transaction_records"] == 80
    assert total() == 0
    pipeline.commit_transaction(transaction_id=transaction)
    # From now on the connector commits fifty rows at a time, as long as it may.
    wait_for("transactions of the connector alone", lambda: total() >= 230)
    assert {(total() - 30) % 50 for _ in range(10)} == {0}
    pipeline.pause_input_connector("t", "fifties")
    assert (total() - 30) % 50 == 0


def test_a_client_joins_the_transaction_that_a_connector_has_open(create: Create, rest: Rest) -> None:
    name = "joined"
    pipeline = create(name, SQL.replace('"transaction_size": 50', '"transaction_size": 1000000'), "running")
    pipeline.start_input_connector("t", "fifties")
    url = f"/pipelines/{name}/stats"
    wait_for(
        "the connector to begin",
        lambda: rest.http.get(url).json()["global_metrics"]["transaction_status"] == "TransactionInProgress",
    )
    refused = rest.http.post(f"/pipelines/{name}/commit_transaction")
    assert (refused.status_code, refused.json()["error_code"]) == (400, "NoTransactionInProgress")
    assert rest.http.post(f"/pipelines/{name}/start_transaction").json() == {"transaction_id": 1}
    again = rest.http.post(f"/pipelines/{name}/start_transaction")
    assert (again.status_code, again.json()["error_code"]) == (409, "TransactionInProgress")
    assert rest.http.post(f"/pipelines/{name}/commit_transaction").json() == "Transaction commit initiated"
    found = rest.http.get(url).json()["global_metrics"]
    assert found["transaction_status"] == "TransactionInProgress"
    assert found["transaction_initiators"] == {
        "transaction_id": 1,
        "initiated_by_api": "Committed",
        "initiated_by_connectors": {"t.fifties": {"phase": "Started", "label": None}},
    }
