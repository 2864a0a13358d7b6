"""Compilation: from the text of a program to a circuit that has made its first step, for 20 and for 1,000 views."""

from __future__ import annotations

import time

from benchmarks.harness import Measurements, case
from millstream.circuit.circuit import Circuit
from millstream.sql.compile import compile_program

LARGE, TYPICAL = 1_000, 20

TABLES = """
CREATE TABLE customers (id BIGINT NOT NULL PRIMARY KEY, name VARCHAR, region INT, joined TIMESTAMP);
CREATE TABLE products (id INT NOT NULL PRIMARY KEY, name VARCHAR, price DECIMAL(10, 2), category VARCHAR);
CREATE TABLE orders (
    id BIGINT NOT NULL PRIMARY KEY, customer BIGINT, product INT, amount DECIMAL(12, 2), quantity INT,
    placed TIMESTAMP NOT NULL
);
"""
#: Queries that differ in their constants `{i}` and `{m}`, so that views share tables and nothing else.
SHAPES = (
    """SELECT o.id, c.name, p.name AS product, o.amount * {i} AS amount FROM orders o
       JOIN customers c ON o.customer = c.id JOIN products p ON o.product = p.id
       WHERE o.quantity > {i} AND c.region = {m}""",
    """SELECT customer, COUNT(*) AS orders, SUM(amount) AS total, AVG(quantity + {i}) AS mean, MAX(placed) AS latest
       FROM orders WHERE product <> {i} GROUP BY customer HAVING COUNT(*) > {m}""",
    """SELECT id, customer, SUM(amount) OVER (PARTITION BY customer ORDER BY placed
         RANGE BETWEEN INTERVAL {m} DAYS PRECEDING AND CURRENT ROW) AS running FROM orders WHERE quantity > {i}""",
    """SELECT * FROM (SELECT id, customer, amount, ROW_NUMBER() OVER (PARTITION BY customer ORDER BY amount DESC)
       AS place FROM orders WHERE product > {i}) WHERE place <= {m} + 1""",
    """SELECT c.id, c.name, CASE WHEN t.total > {i} THEN 'big' ELSE 'small' END AS size, COALESCE(t.total, 0) AS total
       FROM customers c LEFT JOIN (SELECT customer, SUM(amount) AS total FROM orders WHERE quantity < {i}
       GROUP BY customer) t ON t.customer = c.id""",
    """SELECT p.category, EXTRACT(YEAR FROM o.placed) AS y, COUNT(DISTINCT o.customer) AS customers
       FROM orders o JOIN products p ON p.id = o.product WHERE UPPER(p.name) LIKE 'A{i}%'
       GROUP BY p.category, EXTRACT(YEAR FROM o.placed)""",
    "SELECT id FROM customers WHERE region = {m} EXCEPT SELECT customer FROM orders WHERE amount > {i}",
    """SELECT name FROM customers WHERE id IN (SELECT customer FROM orders WHERE quantity = {i})
       OR EXISTS (SELECT 1 FROM orders o WHERE o.customer = customers.id AND o.amount > {i})""",
    "SELECT COUNT(*) AS n, {m} AS m FROM view_{previous}",
)


def program(views: int) -> str:
    """The text of a program with so many views."""
    queries = (SHAPES[i % len(SHAPES)].format(i=i, m=i % 7, previous=i - 1) for i in range(views))
    return TABLES + "\n".join(f"CREATE VIEW view_{i} AS\n{query};" for i, query in enumerate(queries))


@case("Compilation: CPU time from text to the first step", "s", target=10, higher_is_better=False)
def compilation() -> Measurements:
    """Joins, aggregates, windows, top-k, sets and sub-queries in turn; 1,000 views, and 20 views in 70 lines."""
    measured: Measurements = {}
    for views in (LARGE, TYPICAL):
        start = time.process_time()
        result = compile_program(program(views))
        compiled = time.process_time()
        assert result.program is not None, result.messages
        assert len(result.program.views) == views
        circuit = Circuit(result.program)
        circuit.step({})
        started = time.process_time()
        measured[f"{views:,} views, in all"] = started - start
        measured[f"{views:,} views, checked and planned"] = compiled - start
    return measured
