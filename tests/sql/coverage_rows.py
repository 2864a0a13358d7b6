"""What the dialect consists of, as rows of the coverage page: a name, and the pattern by which a test case shows that
it is about it. Patterns ignore case. They see the SQL of a case with the contents of its strings taken out; those of
sections marked `@text` see it whole, those of sections marked `@message` see the message that the case expects.

Most rows stand in constructs.txt; functions, aggregates and pairs of types of casts are made here.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.expressions.test_spec_coverage import NAMES, REFUSED, REFUSED_AGGREGATES, SPEC_AGGREGATES


@dataclass(frozen=True)
class Row:
    """One thing to test. `least`: how many cases it takes; `only`: where the scripts are whose cases count; `of`: what
    of a case the pattern sees, its `sql`, `text` or `message`."""

    section: str
    name: str
    pattern: str
    least: int = 3
    only: str = ""
    of: str = "sql"


_CONSTRUCTS = Path(__file__).parent / "constructs.txt"
_WORDS = re.compile(r"(NOT |IS |IMMEDIATELY |IN$|LIKE$|ILIKE$|RLIKE$|OVERLAPS|EQUALS|PRECEDES|SUCCEEDS)")
_OPERATORS = "Operators and scalar functions"


def _listed() -> Iterator[Row]:
    """The rows of constructs.txt."""
    section, of = "", "sql"
    for line in _CONSTRUCTS.read_text().splitlines():
        if line.startswith("## "):
            section, _, mark = line[3:].partition(" @")
            of = mark or "sql"
        elif line and not line.startswith("#"):
            name, *rest = re.split(r" {2,}", line, maxsplit=2)
            # A message stands for itself; ` ... ` for words left out.
            least, pattern = rest or ("1", ".*".join(re.escape(part) for part in name.split(" ... ")))
            yield Row(section, name, pattern, int(least), of=of)


def _functions(listed: set[str]) -> Iterator[Row]:
    """The functions whose pattern follows from their name. NOW is among the clauses: its value is no constant."""
    for name in sorted(set(NAMES) - listed - {"NOW"}):
        yield Row(_OPERATORS, name, _pattern_of_function(name), 1 if name in REFUSED else 3)


def _pattern_of_function(name: str) -> str:
    if _WORDS.match(name):
        before = "" if name.startswith(("NOT", "IS", "IMMEDIATELY")) else r"(?<!NOT )(?<!IMMEDIATELY )"
        return rf"{before}\b{name}\b"
    return rf"\b{name}\s*\("


def _aggregates() -> Iterator[Row]:
    for name in SPEC_AGGREGATES:
        yield Row("Aggregates", name, rf"\b{name}\s*\(", 1 if name in REFUSED_AGGREGATES else 3)


# ---- casts: a script for each kind of source, with a pattern for the source and one for the target ----

_DAYS, _MONTHS = "interval (days and below)", "interval (years, months)"
_SOURCES = (
    ("from_boolean", "BOOLEAN", r"CAST\(true|CAST\(false|AS BOOLEAN\) AS"),
    ("from_integers", "integer", "."),
    ("from_decimal", "DECIMAL", "."),
    ("from_floats", "REAL, DOUBLE", "."),
    ("from_strings", "string", "."),
    ("from_binary", "binary", r"x''|VARBINARY\) AS"),
    ("from_binary", "UUID", r"UUID ''|UUID\) AS"),
    ("from_times", "DATE", r"\(DATE|AS DATE\) AS"),
    ("from_times", "TIME", r"\(TIME ''|AS TIME\) AS"),
    ("from_times", "TIMESTAMP", r"\(TIMESTAMP|AS TIMESTAMP\) AS"),
    ("from_intervals", _DAYS, r"INTERVAL '' (SEC|DAY|HOUR|MIN)|INTERVAL DAY\) AS"),
    ("from_intervals", _MONTHS, r"INTERVAL '' (YEAR|MON)|INTERVAL MONTH\) AS"),
    ("from_collections", "ARRAY", r"\(ARRAY|ARRAY\) AS"),
    ("from_collections", "MAP", r"\(MAP|> ?\) AS"),
    ("from_collections", "ROW", r"\(ROW|\)\) AS"),
)
_TARGETS = {
    "BOOLEAN": r"AS BOOLEAN\)",
    "integer": r"AS (TINY|SMALL|BIG)?INT(EGER)?( UNSIGNED)?\)",
    "DECIMAL": "AS DECIMAL",
    "REAL, DOUBLE": r"AS (REAL|DOUBLE)\)",
    "string": "AS (VAR)?CHAR",
    "binary": "AS (VAR)?BINARY",
    "DATE": r"AS DATE\)",
    "TIME": r"AS TIME\)",
    "TIMESTAMP": "AS TIMESTAMP",
    _DAYS: "AS INTERVAL (DAY|HOUR|SECOND|MIN)",
    _MONTHS: "AS INTERVAL (YEAR|MONTH)",
    "UUID": r"AS UUID\)",
    "VARIANT": r"AS VARIANT\)",
}
_NESTED = (
    ("ARRAY → ARRAY", r"ARRAY.*AS \w+ ARRAY"),
    ("MAP → MAP", r"MAP.*AS MAP<"),
    ("ROW → ROW", r"ROW.*AS ROW\("),
    ("MAP → ROW", r"\(MAP.*AS ROW\("),
)
_COLLECTIONS = {"ARRAY": r"\w+ ARRAY\)", "MAP": "MAP<", "ROW": r"ROW\("}
_FROM_VARIANT = {
    **{name: pattern for name, pattern in _TARGETS.items() if name != "VARIANT"},
    **{name: f"AS {pattern}" for name, pattern in _COLLECTIONS.items()},
}
#: As sources and targets of casts that are refused: the type in refused.slt
_REFUSED_TYPES = {
    "BOOLEAN": "BOOLEAN", "integer": "INTEGER", "DECIMAL": "DECIMAL", "REAL, DOUBLE": "DOUBLE", "string": "VARCHAR",
    "binary": "VARBINARY", "DATE": "DATE", "TIME": "TIME", "TIMESTAMP": "TIMESTAMP", _DAYS: "INTERVAL DAY",
    _MONTHS: "INTERVAL MONTH", "UUID": "UUID", "ARRAY": "INTEGER ARRAY", "MAP": "MAP<", "ROW": r"ROW\(",
    "GEOMETRY": "GEOMETRY",
}  # fmt: skip


def _casts() -> Iterator[Row]:
    for script, source, seen in _SOURCES:
        for target, pattern in _TARGETS.items():
            if script != "from_collections" or target in ("string", "VARIANT"):
                yield Row("Casts", f"{source} → {target}", f"(?=.*(?:{seen})).*{pattern}", 1, f"casts/{script}")
    for name, pattern in _NESTED:
        yield Row("Casts", name, pattern, 1, "casts/from_collections")
    for source, target in itertools.permutations(_REFUSED_TYPES, 2):
        if "GEOMETRY" in (source, target) or source in _COLLECTIONS or target in _COLLECTIONS:
            pattern = rf"CAST\(CAST\(NULL AS {_REFUSED_TYPES[source]}.*\) AS {_REFUSED_TYPES[target]}"
            yield Row("Casts", f"{source} → {target} (refused)", pattern, 1, "casts/refused")
    for target, pattern in _FROM_VARIANT.items():
        yield Row("Casts", f"VARIANT → {target}", rf"(PARSE_JSON|VARIANT\)).*{pattern}", 1, "variant/")


def _all_rows() -> tuple[Row, ...]:
    listed = list(_listed())
    rows = [*listed, *_functions({row.name for row in listed}), *_aggregates(), *_casts()]
    sections = list(dict.fromkeys(row.section for row in listed))
    sections.insert(sections.index("Types") + 1, "Casts")
    return tuple(sorted(rows, key=lambda row: sections.index(row.section)))


ROWS = _all_rows()
"""Everything, in the order of the page."""
