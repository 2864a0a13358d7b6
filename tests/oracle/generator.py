"""Random queries over three small tables whose meaning is the same in this dialect and in DuckDB.

Types are BIGINT, VARCHAR and DATE with few values, NULLs among them. What would differ is left out or spelt out: sums
and counts are cast to BIGINT, texts to VARCHAR (literals are CHAR here), and the place of NULLs is always stated.
Limits and row numbers go by all columns, so that ties are between equal rows only.

`Queries(random).query()` writes one query; the same random numbers write the same query.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

TABLES = """
CREATE TABLE r (a BIGINT, b BIGINT NOT NULL, s VARCHAR, d DATE);
CREATE TABLE q (a BIGINT, c BIGINT, s VARCHAR NOT NULL);
CREATE TABLE k (id BIGINT NOT NULL PRIMARY KEY, a BIGINT, d DATE);
"""
NUMBER, TEXT, DAY = "BIGINT", "VARCHAR", "DATE"
_COLUMNS = {
    "r": (("a", NUMBER), ("b", NUMBER), ("s", TEXT), ("d", DAY)),
    "q": (("a", NUMBER), ("c", NUMBER), ("s", TEXT)),
    "k": (("id", NUMBER), ("a", NUMBER), ("d", DAY)),
}
_KINDS = (NUMBER, NUMBER, TEXT, DAY)
_COMPARISONS = ("=", "<>", "<", "<=", ">", ">=")


@dataclass(frozen=True)
class Value:
    """An expression of a type."""

    text: str
    kind: str


Values = Sequence[Value]


class Queries:
    """Writes queries. `depth` limits how queries are nested."""

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance
        self._relations = 0

    # ---- queries ----

    def query(self, depth: int = 2, kinds: Sequence[str] | None = None, outer: Values = ()) -> str:
        """A query whose columns are c0, c1, ...; `kinds`: their types; `outer`: columns of the query around it."""
        if kinds is None:
            kinds = [self._chance.choice(_KINDS) for _ in range(self._chance.choice((1, 2, 2, 3)))]
        # In correlated queries DuckDB loses rows of aggregates without groups under set operations, and those of empty
        # grouping sets.
        if depth and not outer and self._chance.random() < 0.15:
            operator = self._chance.choice(("UNION", "UNION ALL", "INTERSECT", "INTERSECT ALL", "EXCEPT", "EXCEPT ALL"))
            left, right = (self.query(depth - 1, kinds, outer) for _ in range(2))
            return f"(SELECT * FROM ({left}) AS {self._name()}) {operator} (SELECT * FROM ({right}) AS {self._name()})"
        if depth and self._chance.random() < 0.1:
            return self._with(depth, kinds, outer)
        shapes = [self._plain, self._plain, self._grouped, self._grouped, self._windows]
        if not outer:
            shapes.append(self._sets)
        shape = self._chance.choice(shapes)
        return shape(depth, kinds, outer)

    def _with(self, depth: int, kinds: Sequence[str], outer: Values) -> str:
        name = self._name()
        inner = self.query(depth - 1)
        again, more = self._name(), self._name()
        columns = [Value(f"{again}.c0", NUMBER)]
        items = self._items([self._value([*columns, *outer], kind) for kind in kinds])
        inner = f"SELECT COUNT(*) AS c0 FROM ({inner}) AS {more} GROUP BY {more}.c0"
        return f"WITH {name} AS ({inner}) SELECT {items} FROM {name} AS {again} CROSS JOIN {name} AS {self._name()}"

    def _plain(self, depth: int, kinds: Sequence[str], outer: Values) -> str:
        source, columns = self._from(depth)
        items = [self._value(columns, kind, depth) for kind in kinds]
        distinct = self._chance.choice(("", "", "DISTINCT "))
        where = self._where(columns, outer, depth)
        return f"SELECT {distinct}{self._items(items)} FROM {source}{where}{self._limit(len(kinds))}"

    def _limit(self, count: int) -> str:
        if self._chance.random() > 0.2:
            return ""
        order = [f"c{i} {self._direction()}" for i in range(count)]
        self._chance.shuffle(order)
        offset = self._chance.choice(("", "", " OFFSET 1"))
        return f" ORDER BY {', '.join(order)} LIMIT {self._chance.randint(1, 4)}{offset}"

    def _grouped(self, depth: int, kinds: Sequence[str], outer: Values) -> str:
        source, columns = self._from(depth)
        keys = [self._column_value(columns) for _ in range(self._chance.choice((0, 1, 1, 2)))]
        items = [
            self._chance.choice([*(k for k in keys if k.kind == kind), self._aggregate(columns, kind)])
            for kind in kinds
        ]
        text = f"SELECT {self._items(items)} FROM {source}{self._where(columns, outer, depth)}"
        if keys:
            text += f" GROUP BY {', '.join(key.text for key in keys)}"
        if keys and self._chance.random() < 0.3:
            text += f" HAVING {self._aggregate(columns, NUMBER).text} {self._chance.choice(_COMPARISONS)} 1"
        return text

    def _sets(self, depth: int, kinds: Sequence[str], outer: Values) -> str:
        source, columns = self._from(depth)
        keys = self._chance.sample(list(columns), min(2, len(columns)))
        names = [key.text for key in keys]
        bits = Value(f"CAST(GROUPING({', '.join(names)}) AS BIGINT)", NUMBER)
        items = []
        for kind in kinds:
            fitting = [k for k in keys if k.kind == kind] + ([bits] if kind == NUMBER else [])
            items.append(self._chance.choice([*fitting, self._aggregate(columns, kind)]))
        both = ", ".join(names)
        sets = self._chance.choice(
            (
                f"ROLLUP ({both})",
                f"CUBE ({both})",
                f"GROUPING SETS (({both}), ())",
                f"GROUPING SETS (({names[0]}), ({both}))",
            )
        )
        where = self._where(columns, outer, depth)
        return f"SELECT {self._items(items)} FROM {source}{where} GROUP BY {sets}"

    def _windows(self, depth: int, kinds: Sequence[str], outer: Values) -> str:
        source, columns = self._from(depth)
        places = len(kinds) + 1
        one = self._chance.randrange(places)  # a second function that tells equal rows apart could pair them otherwise
        items = [
            self._window(columns, kind, i == one) if self._chance.random() < 0.7 else self._value(columns, kind)
            for i, kind in enumerate(kinds)
        ]
        text = f"SELECT {self._items(items)} FROM {source}{self._where(columns, outer, depth)}"
        if self._chance.random() < 0.3:
            number = self._window(columns, NUMBER, one == places - 1).text
            text += f" QUALIFY {number} {self._chance.choice(('<=', '=', '<'))} 2"
        return text

    # ---- FROM and WHERE ----

    def _name(self) -> str:
        self._relations += 1
        return f"z{self._relations}"

    def _relation(self, depth: int) -> tuple[str, list[Value]]:
        name = self._name()
        if depth and self._chance.random() < 0.3:
            kinds = [self._chance.choice(_KINDS) for _ in range(self._chance.choice((1, 2, 3)))]
            columns = [Value(f"{name}.c{i}", kind) for i, kind in enumerate(kinds)]
            return f"({self.query(depth - 1, kinds)}) AS {name}", columns
        if self._chance.random() < 0.05:
            rows = ", ".join(f"({self._literal(NUMBER).text}, {self._literal(TEXT).text})" for _ in range(3))
            return f"(VALUES {rows}) AS {name}(c0, c1)", [Value(f"{name}.c0", NUMBER), Value(f"{name}.c1", TEXT)]
        table = self._chance.choice(tuple(_COLUMNS))
        return f"{table} AS {name}", [Value(f"{name}.{column}", kind) for column, kind in _COLUMNS[table]]

    def _from(self, depth: int) -> tuple[str, list[Value]]:
        source, columns = self._relation(depth)
        for _ in range(self._chance.choice((0, 0, 1, 1, 2))):
            right, more = self._relation(max(depth - 1, 0))
            kind = self._chance.choice(
                ("JOIN", "LEFT JOIN", "RIGHT JOIN", "FULL JOIN", "CROSS JOIN", "LEFT SEMI JOIN", "LATERAL")
            )
            if kind == "LATERAL":
                source, columns = self._lateral(source, columns, depth)
                continue
            if kind == "CROSS JOIN":
                source, columns = f"{source} CROSS JOIN {right}", columns + more
                continue
            condition = self._equality(columns, more)
            if self._chance.random() < 0.3:
                condition += f" AND {self._predicate(columns + more)}"
            elif depth and self._chance.random() < 0.15:
                condition += f" AND {self._subquery(self._chance.choice((columns, more)), depth)}"
            source = f"{source} {kind} {right} ON {condition}"
            columns = columns if kind == "LEFT SEMI JOIN" else columns + more
        return source, columns

    def _lateral(self, source: str, columns: list[Value], depth: int) -> tuple[str, list[Value]]:
        """A join with a query for each row of `source`."""
        name, kind = self._name(), self._chance.choice(_KINDS)
        inner = self.query(max(depth - 1, 0), [kind], columns)
        join = self._chance.choice(("CROSS JOIN LATERAL ({})", "LEFT JOIN LATERAL ({})"))
        condition = " ON TRUE" if join.startswith("LEFT") else ""
        return f"{source} {join.format(inner)} AS {name}{condition}", [*columns, Value(f"{name}.c0", kind)]

    def _equality(self, left: Values, right: Values) -> str:
        pairs = [(a, b) for a in left for b in right if a.kind == b.kind]
        if not pairs:
            return self._predicate([*left, *right])
        a, b = self._chance.choice(pairs)
        return f"{a.text} {self._chance.choice(('=', '=', '=', 'IS NOT DISTINCT FROM'))} {b.text}"

    def _where(self, columns: Values, outer: Values, depth: int) -> str:
        parts = []
        if outer and self._chance.random() < 0.8:
            parts.append(self._equality(columns, outer))
        if self._chance.random() < 0.4:
            seen = [*columns, *outer] if self._chance.random() < 0.3 else columns
            parts.append(self._predicate(seen, depth))
        return f" WHERE {' AND '.join(parts)}" if parts else ""

    def _items(self, items: Values) -> str:
        return ", ".join(f"{item.text} AS c{i}" for i, item in enumerate(items))

    # ---- values ----

    def _column(self, columns: Values, kind: str) -> Value | None:
        fitting = [c for c in columns if c.kind == kind]
        return self._chance.choice(fitting) if fitting else None

    def _column_value(self, columns: Values) -> Value:
        """A value that reads a column, of any type."""
        column = self._chance.choice(list(columns))
        if column.kind == NUMBER and self._chance.random() < 0.3:
            return Value(f"{column.text} % 2", NUMBER)
        return column

    def _literal(self, kind: str) -> Value:
        if kind == NUMBER:
            return Value(f"CAST({self._chance.randint(-1, 3)} AS BIGINT)", kind)
        if kind == TEXT:
            return Value(f"CAST('{self._chance.choice(('a', 'b', 'ab', ''))}' AS VARCHAR)", kind)
        return Value(f"DATE '2024-0{self._chance.randint(1, 3)}-01'", kind)

    def _value(self, columns: Values, kind: str, depth: int = 0) -> Value:
        """An expression of a type over columns; with `depth`, sub-queries may be in it."""
        chosen = self._column(columns, kind) or self._literal(kind)
        way = self._chance.random()
        if way < 0.5:
            return chosen
        if depth and way < 0.6:
            return self._scalar(columns, kind, depth)
        other = self._column(columns, kind) or self._literal(kind)
        if way < 0.7:
            return Value(f"COALESCE({chosen.text}, {self._literal(kind).text})", kind)
        if way < 0.8:
            return Value(f"CASE WHEN {self._predicate(columns)} THEN {chosen.text} ELSE {other.text} END", kind)
        if way < 0.85:
            return Value(f"NULLIF({chosen.text}, {other.text})", kind)
        if kind == NUMBER:
            text = self._column(columns, TEXT)
            if text is not None and way < 0.9:
                return Value(f"CAST(CHAR_LENGTH({text.text}) AS BIGINT)", kind)
            return Value(f"({chosen.text} {self._chance.choice('+-')} {other.text})", kind)
        if kind == TEXT:
            return Value(f"({chosen.text} || {other.text})", kind)
        return chosen

    def _scalar(self, columns: Values, kind: str, depth: int) -> Value:
        source, inner = self._from(depth - 1)
        where = self._where(inner, columns, 0)
        return Value(f"(SELECT {self._aggregate(inner, kind).text} FROM {source}{where})", kind)

    def _aggregate(self, columns: Values, kind: str) -> Value:
        value = self._value(columns, kind)
        condition = f" FILTER (WHERE {self._predicate(columns)})" if self._chance.random() < 0.2 else ""
        if kind != NUMBER or self._chance.random() < 0.3:
            return Value(f"{self._chance.choice(('MIN', 'MAX'))}({value.text}){condition}", kind)
        counted = self._chance.choice(list(columns)).text
        call = self._chance.choice(
            (
                "COUNT(*)",
                f"COUNT({counted})",
                f"COUNT(DISTINCT {counted})",
                f"SUM({value.text})",
                f"SUM(DISTINCT {value.text})",
            )
        )
        return Value(f"CAST({call}{condition} AS BIGINT)", NUMBER)

    def _window(self, columns: Values, kind: str, by_row: bool) -> Value:
        """`by_row`: the function may give equal rows different values."""
        partition = ""
        if self._chance.random() < 0.6:
            partition = f"PARTITION BY {self._column_value(columns).text} "
        total = [f"{c.text} {self._direction()}" for c in columns]
        self._chance.shuffle(total)
        everything = f"{partition}ORDER BY {', '.join(total)}"
        way = self._chance.random()
        if kind == NUMBER and way < 0.4:
            rank = "ROW_NUMBER" if by_row else self._chance.choice(("RANK", "DENSE_RANK"))
            order = everything if rank == "ROW_NUMBER" else f"{partition}ORDER BY {total[0]}"
            return Value(f"{rank}() OVER ({order})", NUMBER)
        value = self._value(columns, kind)
        if by_row and way < 0.7:
            offset = self._chance.choice(("", ", 2", f", 1, {self._literal(kind).text}"))
            return Value(f"{self._chance.choice(('LAG', 'LEAD'))}({value.text}{offset}) OVER ({everything})", kind)
        if way < 0.5:
            return Value(f"FIRST_VALUE({value.text}) OVER ({everything})", kind)
        rows = f"({everything} ROWS BETWEEN 1 PRECEDING AND 1 FOLLOWING)"
        return self._framed(columns, kind, partition, [rows] if by_row else ["()", f"({partition})"])

    def _framed(self, columns: Values, kind: str, partition: str, frames: list[str]) -> Value:
        key = self._column(columns, NUMBER)
        if key is not None:
            ordered = f"{partition}ORDER BY {key.text} {self._direction()}"
            frames += [f"({ordered})", f"({ordered} RANGE BETWEEN 1 PRECEDING AND CURRENT ROW)"]
            frames.append(f"({ordered} RANGE BETWEEN CURRENT ROW AND UNBOUNDED FOLLOWING)")
        frame = self._chance.choice(frames)
        value = self._value(columns, kind).text
        if kind != NUMBER or self._chance.random() < 0.4:
            return Value(f"{self._chance.choice(('MIN', 'MAX'))}({value}) OVER {frame}", kind)
        call = self._chance.choice(("COUNT(*)", f"COUNT({value})", f"SUM({value})"))
        return Value(f"CAST({call} OVER {frame} AS BIGINT)", NUMBER)

    def _direction(self) -> str:
        return f"{self._chance.choice(('ASC', 'DESC'))} NULLS {self._chance.choice(('FIRST', 'LAST'))}"

    # ---- conditions ----

    def _predicate(self, columns: Values, depth: int = 0, parts: int = 2) -> str:
        """A condition; `parts`: how deep AND, OR and NOT are nested."""
        way = self._chance.random()
        if depth and way < 0.35:
            return self._subquery(columns, depth)
        if parts and way < 0.45:
            first, second = (self._predicate(columns, 0, parts - 1) for _ in range(2))
            return f"({first} {self._chance.choice(('AND', 'OR'))} {second})"
        if parts and way < 0.52:
            return f"(NOT {self._predicate(columns, 0, parts - 1)})"
        value = self._chance.choice(list(columns))
        if way < 0.6:
            return f"{value.text} IS {self._chance.choice(('', 'NOT '))}NULL"
        other = self._column(columns, value.kind) or self._literal(value.kind)
        if way < 0.75:
            other = self._literal(value.kind)
        if way > 0.93:
            return f"{value.text} IN ({other.text}, {self._literal(value.kind).text})"
        if way > 0.88:
            return f"{value.text} IS DISTINCT FROM {other.text}"
        if way > 0.84:
            return f"{value.text} BETWEEN {other.text} AND {self._literal(value.kind).text}"
        return f"{value.text} {self._chance.choice(_COMPARISONS)} {other.text}"

    def _subquery(self, columns: Values, depth: int) -> str:
        value = self._chance.choice(list(columns))
        outer = columns if self._chance.random() < 0.6 else ()
        inner = self.query(depth - 1, [value.kind], outer)
        name = self._name()
        way = self._chance.random()
        negated = self._chance.choice(("", "NOT "))
        if way < 0.3:
            return f"{negated}EXISTS ({inner})"
        wrapped = f"(SELECT {name}.c0 FROM ({inner}) AS {name})"
        if way < 0.7:
            return f"{value.text} {negated}IN {wrapped}"
        if way < 0.85:
            return f"{value.text} {self._chance.choice(_COMPARISONS)} {self._chance.choice(('ANY', 'ALL'))} {wrapped}"
        return f"{value.text} {self._chance.choice(_COMPARISONS)} (SELECT MAX({name}.c0) FROM ({inner}) AS {name})"
