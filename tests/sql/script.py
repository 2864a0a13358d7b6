"""SQL test scripts: what a feature means, as a program, its input and the rows or errors that must come out.

A script (`tests/sql/<feature>/<name>.slt`) is a list of blocks, separated by empty lines; lines that begin with `#` are
comments.

    statement                       a statement of the program, for all blocks below
    CREATE TABLE t (a INT, s VARCHAR)

    udf                             Python source of functions without a body, for the whole script
    def f(a, b):
        return pc.add(a, b)

    insert t                        one step: rows as JSON arrays, in column order; `delete` likewise
    [1, "x"]
    [2, null]

    query                           a view, compared after the input above; rows in any order, `NULL` for null
    SELECT s, COUNT(*) FROM t GROUP BY s
    ----
    'x' | 1
    NULL | 1

    query (VARCHAR, BIGINT NOT NULL)     ... and the types of its columns

    error No match found for function signature      a view that does not compile: part of its message
    SELECT NOTHING(a) FROM t

    error Column 'b' not found @@ b      ... and the text that the message points at
    SELECT b FROM t

    warning Noop                    a view that compiles with a warning: part of its type or message
    SELECT FLOOR(3)

    failure causes overflow         a view that fails at run time: part of the message
    SELECT 2147483647 + a FROM t

    eval                            constant expressions, one a line: value, `!message` or `!!run-time message`
    ABS(-3)          -> 3
    ABS('x', 1)      -> !Invalid number of arguments
    1 / 0            -> !!causes overflow
    1 + CAST(2 AS BIGINT) -> 3 :: BIGINT NOT NULL

    contents v                      what has come out of an output or table that the statements declare, all lines rows
    1 | 'x'

    now 2024-01-01 12:00:00         one step without input, at which the clock is put to that time

    stepwise                        how input is cut into steps matters: it is not also given as one step

A part of a message may leave words out with ` ... `, is compared without regard to case, and may begin with the type of
the message and a colon (`Duplicate key: property`). In `error` and `warning`, a text that ends with `;` or that begins
like a statement stands as itself, after the statements of the script.

    # pending: the reason           the next block, or the next line of `eval`, is right but does not hold yet: it is
    error ...                       run and must fail, so that the mark goes when the engine is mended

All queries of a script are views of one program, evaluated twice: with a step per block of input, and with one step for
all the input before the query. `running.py` runs scripts.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

_BLOCK = re.compile(r"(statement|udf|insert|delete|now|stepwise|query|contents|error|warning|failure|eval)\b[ \t]*(.*)")
_PENDING = re.compile(r"#\s*pending:\s*(.+)")
_SEPARATOR = "----"
_STATEMENT = re.compile(r"(CREATE|DECLARE|SET|DROP|INSERT|REMOVE|ALTER|LATENESS)\b", re.IGNORECASE)


@dataclass(frozen=True)
class Line:
    """A line of a block: its number in the file, and why it is pending, if it is."""

    text: str
    number: int
    pending: str | None = None


@dataclass(frozen=True)
class Block:
    """One block: its kind, the rest of its first line, its other lines, where it begins, and why it is pending."""

    kind: str
    argument: str
    lines: tuple[Line, ...]
    line: int
    pending: str | None = None

    @property
    def texts(self) -> tuple[str, ...]:
        return tuple(line.text for line in self.lines)

    @property
    def text(self) -> str:
        return "\n".join(self.texts)

    @property
    def sections(self) -> tuple[str, tuple[str, ...]]:
        """What stands before and after the separator."""
        lines = self.texts
        position = lines.index(_SEPARATOR) if _SEPARATOR in lines else len(lines)
        return "\n".join(lines[:position]), lines[position + 1 :]


@dataclass
class Expectation:
    """A view, and what is to come out after so many blocks of input: rows, or part of an error.

    `statement`: the text stands as itself, not as the query of a view. `constant`: a line of `eval`. `relation`: the
    name of what is looked at, if it is no view of its own.
    """

    sql: str
    line: int
    after: int
    pending: str | None = None
    rows: list[str] | None = None
    types: str | None = None
    error: str | None = None
    warning: str | None = None
    failure: str | None = None
    statement: bool = False
    constant: bool = False
    relation: str | None = None


@dataclass
class Script:
    """The parts of a script by purpose."""

    path: Path
    statements: list[str] = field(default_factory=list)
    udf: list[str] = field(default_factory=list)
    inputs: list[Block] = field(default_factory=list)
    expectations: list[Expectation] = field(default_factory=list)
    stepwise: bool = False


def parse_script(path: Path) -> Script:
    """Read a script. Raises ValueError with the place of what is not understood."""
    script = Script(path)
    for block in _blocks(path):
        if block.kind == "statement":
            script.statements.append(block.text.rstrip(";"))
        elif block.kind == "udf":
            script.udf.append(block.text)
        elif block.kind in ("insert", "delete", "now"):
            script.inputs.append(block)
        elif block.kind == "stepwise":
            script.stepwise = True
        elif block.kind == "eval":
            script.expectations.extend(_evaluations(path, block, len(script.inputs)))
        else:
            script.expectations.append(_expectation(path, block, len(script.inputs)))
    return script


def _blocks(path: Path) -> Iterator[Block]:
    lines: list[Line] = []
    start, head = 0, None
    pending = block_pending = None
    for number, line in enumerate([*path.read_text().splitlines(), ""], 1):
        if line.startswith("#"):
            mark = _PENDING.fullmatch(line.rstrip())
            pending = mark[1] if mark else pending
        elif line.strip():
            if head is None:
                head = _BLOCK.fullmatch(line.rstrip())
                if head is None:
                    raise ValueError(f"{path}:{number}: a block begins with statement, udf, insert, delete, now, "
                                     f"stepwise, query, contents, error, warning, failure or eval, "
                                     f"not {line!r}")  # fmt: skip
                start, block_pending = number, pending
            else:
                lines.append(Line(line.rstrip(), number, pending))
            pending = None
        elif head is not None:
            yield Block(head[1], head[2].strip(), tuple(lines), start, block_pending)
            lines, head = [], None


def _expectation(path: Path, block: Block, after: int) -> Expectation:
    sql, rows = block.sections
    sql = sql.rstrip()
    made = Expectation(sql.rstrip(";"), block.line, after, block.pending)
    if block.kind == "query":
        made.rows = sorted(rows)
        made.types = block.argument.removeprefix("(").removesuffix(")") or None
        return made
    if block.kind == "contents":
        return Expectation("", block.line, after, block.pending, rows=sorted(block.texts), relation=block.argument)
    if not block.argument:
        raise ValueError(f"{path}:{block.line}: '{block.kind}' needs a part of the message")
    if block.kind == "failure":
        made.failure = block.argument
        return made
    made.statement = sql.endswith(";") or _STATEMENT.match(sql) is not None
    if block.kind == "error":
        made.error = block.argument
    else:
        made.warning = block.argument
    return made


def _evaluations(path: Path, block: Block, after: int) -> Iterator[Expectation]:
    for line in block.lines:
        expression, arrow, expected = line.text.rpartition(" -> ")
        if not arrow:
            raise ValueError(f"{path}:{line.number}: expected `expression -> value`, not {line.text!r}")
        expected = expected.strip()
        pending = line.pending or block.pending
        made = Expectation(f"SELECT {expression.strip()} AS x", line.number, after, pending, constant=True)
        if expected.startswith("!!"):
            made.failure = expected[2:].strip()
        elif expected.startswith("!"):
            made.error = expected[1:].strip()
        else:
            value, _, types = expected.partition(" :: ")
            made.rows, made.types = [value.strip()], types.strip() or None
        yield made
