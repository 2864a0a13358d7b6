"""The programs to try that a server offers (api.md §24): the package's, and those of an operator's directories.

A file `<x>.sql` begins with a comment: the title and, in parentheses, the name of the pipeline; an empty comment line;
a description of one or more lines; an empty comment line. The whole file is the program. Beside it may lie
`<x>.udf.py`, its Python functions, and `<x>.udf.rs` and `<x>.udf.toml`, which are passed on as they are.
"""

from __future__ import annotations

import re
from functools import cache
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

from millstream.errors import MillstreamError

_PREAMBLE = re.compile(r"-- (?P<title>[^\n]+) \((?P<name>[a-zA-Z0-9_-]+)\)\n--\n(?P<text>(?:-- [^\n]+\n)+)--(?:\n|$)")
_COMPANIONS = {"udf_rust": ".udf.rs", "udf_toml": ".udf.toml", "udf_python": ".udf.py"}

Demo = dict[str, Any]


@cache
def packaged() -> tuple[Demo, ...]:
    """The programs that come with the server."""
    return _read(resources.files("millstream.manager").joinpath("programs"))


def load(directory: Path) -> tuple[Demo, ...]:
    """The programs of a directory, in the order of file names: `{"name", "title", "description", "program_code",
    "udf_rust", "udf_toml"}` each, and `"udf_python"` where there are Python functions. Raises `InvalidDemo`."""
    if not directory.is_dir():
        raise _invalid(directory, "is not a directory")
    return _read(directory)


def _read(directory: Traversable) -> tuple[Demo, ...]:
    files = sorted((f for f in directory.iterdir() if f.name.endswith(".sql") and f.is_file()), key=lambda f: f.name)
    found: dict[str, Traversable] = {}
    demos = []
    for file in files:
        demo = parse_demo(_text(file), file)
        first = found.setdefault(demo["name"], file)
        if first is not file:
            raise _invalid(file, f"has the name '{demo['name']}', which '{first.name}' has, too")
        for field, suffix in _COMPANIONS.items():
            companion = directory.joinpath(file.name.removesuffix(".sql") + suffix)
            if companion.is_file():
                demo[field] = _text(companion)
        demos.append(demo)
    return tuple(demos)


def parse_demo(program: str, file: Traversable) -> Demo:
    """One program with what its preamble says, without companions. Raises `InvalidDemo`, which names the file."""
    preamble = _PREAMBLE.match(program)
    if preamble is None:
        form = "'-- <title> (<name>)', '--', one or more lines '-- <text>', '--'"
        raise _invalid(file, f"must begin with the lines {form}; the name is of letters, digits, '_' and '-'")
    lines = preamble["text"].splitlines()
    return {
        "name": preamble["name"],
        "title": preamble["title"],
        "description": " ".join(line.removeprefix("-- ") for line in lines),
        "program_code": program,
        "udf_rust": "",
        "udf_toml": "",
    }


def _text(file: Traversable) -> str:
    try:
        return file.read_text("utf-8")
    except OSError as error:
        raise _invalid(file, f"cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise _invalid(file, "is not UTF-8 text") from None


def _invalid(file: Traversable, problem: str) -> MillstreamError:
    return MillstreamError("InvalidDemo", f"demos: '{file}' {problem}", {"file": str(file)}, 500)
