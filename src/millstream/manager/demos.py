"""The programs to try that come with the server, from files in the package (api.md §24).

A file `<order>-<name>.sql` begins with a comment: the title and, in parentheses, the name of the pipeline; an empty
comment line; a description of one or more lines; an empty comment line. The whole file is the program.
"""

from __future__ import annotations

import re
from functools import cache
from importlib import resources
from typing import Any

_PREAMBLE = re.compile(r"-- (?P<title>[^\n]+) \((?P<name>[a-zA-Z0-9_-]+)\)\n--\n(?P<text>(?:-- [^\n]+\n)+)--\n")


@cache
def demos() -> tuple[dict[str, Any], ...]:
    """`{"name", "title", "description", "program_code", "udf_rust", "udf_toml"}` of each, in the order of the files."""
    files = resources.files("millstream.manager").joinpath("programs")
    found = sorted((f for f in files.iterdir() if f.name.endswith(".sql")), key=lambda f: f.name)
    return tuple(parse_demo(f.read_text("utf-8")) for f in found)


def parse_demo(program: str) -> dict[str, Any]:
    """One program with what its preamble says."""
    preamble = _PREAMBLE.match(program)
    assert preamble is not None, "a demo begins with its title and description"
    lines = preamble["text"].splitlines()
    return {
        "name": preamble["name"],
        "title": preamble["title"],
        "description": " ".join(line.removeprefix("-- ") for line in lines),
        "program_code": program,
        "udf_rust": "",
        "udf_toml": "",
    }
