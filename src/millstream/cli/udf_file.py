"""The file with the Python code of a program's functions: an option of commands that take a program."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from millstream.errors import MillstreamError

UdfFile = Annotated[
    Path | None,
    typer.Option(
        "--udf",
        exists=True,
        dir_okay=False,
        help="Python code of the program's functions. By default PROGRAM.udf.py beside PROGRAM.sql, if it is there.",
    ),
]


def udf_file(program: Path, given: Path | None) -> Path | None:
    """The file that was given, or else the one beside the program; None if there is none."""
    if given is not None:
        return given
    beside = program.with_suffix(".udf.py") if program.name else program
    return beside if beside.is_file() else None


def read_udf(path: Path | None) -> str:
    """The text of the file, or nothing. Raises MillstreamError."""
    try:
        return "" if path is None else path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as failure:
        raise MillstreamError("IoError", f"cannot read '{path}': {failure}") from None
