"""Hints: what `/*+ ... */` right behind SELECT or a table says."""

from __future__ import annotations

import re

from millstream.sql.messages import SqlError
from millstream.sql.source import Source
from millstream.sql.syntax import Hint, Identifier

_COMMENT = re.compile(r"--[^\n]*|//[^\n]*|/\*\+(?P<hints>.*?)\*/|/\*.*?\*/", re.DOTALL)
_HINT = re.compile(r"[\s,]*(?:(?P<name>\w+)(?:\s*\((?P<arguments>[^()]*)\))?)?")


def hints_between(source: Source, start: int, end: int) -> tuple[Hint, ...]:
    """The hints among the comments in the characters `start` .. `end` (excluded) of a program."""
    result: list[Hint] = []
    for comment in _COMMENT.finditer(source.text, start, end):
        if comment["hints"] is not None:
            result += _hints(source, comment.start("hints"), comment.end("hints"))
    return tuple(result)


def _hints(source: Source, start: int, end: int) -> list[Hint]:
    found = []
    while start < end:
        match = _HINT.match(source.text, start, end)
        if match is None or match.end() == start:
            span = source.span(start, start)
            text = f'Encountered "{source.text[start]}" at line {span.start_line}, column {span.start_column}.'
            raise SqlError(text + "\nWas expecting: a hint", span, error_type="Error parsing SQL")
        start = match.end()
        if match["name"] is not None:
            found.append(_hint(source, match))
    return found


def _hint(source: Source, match: re.Match[str]) -> Hint:
    span = source.span(match.start("name"), match.end() - 1)
    name = Identifier(source.span(match.start("name"), match.end("name") - 1), match["name"].lower())
    if match["arguments"] is None:
        return Hint(span, name, None)
    arguments = []
    position = match.start("arguments")
    for text in match["arguments"].split(","):
        word = text.strip()
        begin = position + len(text) - len(text.lstrip())
        position += len(text) + 1
        if word:
            quoted = word[0] == word[-1] == '"' and len(word) > 1
            name_of = word[1:-1] if quoted else word.lower()
            arguments.append(Identifier(source.span(begin, begin + len(word) - 1), name_of, quoted))
    return Hint(span, name, tuple(arguments))
