"""What commands print: rich tables on a terminal, JSON with `--json`, errors on standard error."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import orjson
from rich.console import Console
from rich.table import Table

_stdout = Console(highlight=False)
_stderr = Console(stderr=True, highlight=False)


class Output:
    """Where a command's answer goes."""

    console = _stdout

    @staticmethod
    def json(value: Any) -> None:
        """A JSON document on standard output."""
        _stdout.out(orjson.dumps(value, option=orjson.OPT_INDENT_2, default=str).decode(), highlight=False)

    @staticmethod
    def table(title: str, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
        """A table; numbers are right-aligned."""
        rows = [list(row) for row in rows]
        table = Table(title=title or None, title_justify="left")
        for index, column in enumerate(columns):
            numeric = bool(rows) and all(isinstance(row[index], int | float) or row[index] is None for row in rows)
            table.add_column(column, justify="right" if numeric else "left", overflow="fold")
        for row in rows:
            table.add_row(*(_text(value) for value in row))
        _stdout.print(table)

    @staticmethod
    def text(line: str) -> None:
        """A plain line."""
        _stdout.print(line, markup=False, soft_wrap=True)

    @staticmethod
    def error(line: str) -> None:
        """A line on standard error."""
        _stderr.print(line, style="red", markup=False, soft_wrap=True)


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    return str(value)
