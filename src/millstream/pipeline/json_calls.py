"""JSON functions of ad-hoc queries, as their callers write them: any number of keys and indexes (sql.md §17).

    json_get_int(v, 'a', 0)     v -> 'a' -> 0     v ->> 'a'     json_get(v, 'a')::INT

DataFusion calls functions of ours with a fixed number of arguments. So a statement is rewritten before it runs: what
follows the JSON text of a call becomes one text, the path as a JSON array (`json_get_int(v, '["a",0]')`). `->` becomes
json_get and `->>` json_as_text, where a literal stands behind them; json_get under a cast becomes the function that
reads values of that type. Everything else of the statement stays as it is, letter by letter. json_functions.py has the
functions themselves. Cost: O(length of the statement).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

import orjson
from sqlglot.dialects.postgres import Postgres
from sqlglot.errors import TokenError
from sqlglot.tokens import TokenType

from millstream.pipeline.json_functions import NAMES, PATH_PART

_MENTIONED = re.compile(r"json_|->", re.IGNORECASE)
_NAME = re.compile(r'[A-Za-z_]\w*|"(?:[^"]|"")+"')
#: Words before a bracket that are no names of functions.
_WORDS = frozenset(
    ("ALL", "AND", "ANY", "AS", "BETWEEN", "BY", "CASE", "DISTINCT", "ELSE", "EXISTS", "FROM", "HAVING", "IN", "IS",
     "LIKE", "LIMIT", "NOT", "ON", "OR", "SELECT", "THEN", "USING", "VALUES", "WHEN", "WHERE")
)  # fmt: skip
_BY_TYPE = {
    **dict.fromkeys(("TINYINT", "SMALLINT", "INT", "INTEGER", "BIGINT", "INT2", "INT4", "INT8"), "json_get_int"),
    **dict.fromkeys(("REAL", "FLOAT", "DOUBLE", "FLOAT4", "FLOAT8"), "json_get_float"),
    **dict.fromkeys(("TEXT", "VARCHAR", "STRING", "CHAR"), "json_get_str"),
    **dict.fromkeys(("BOOLEAN", "BOOL"), "json_get_bool"),
}
_ARROWS = {"->": "json_get", "->>": "json_as_text"}
_PAIRS = {")": "(", "]": "["}


@dataclass(frozen=True, slots=True)
class _Part:
    """A token, or a call that is done: the blanks before it, its text, and the value of a string or integer."""

    gap: str
    text: str
    value: str | int | None = None


def rewrite_json_calls(statement: str) -> str:
    """The statement with calls of JSON functions that have a JSON text and a path. Statements that cannot be cut into
    tokens stay as they are."""
    if not _MENTIONED.search(statement):
        return statement
    try:
        parts, end = _parts(statement)
    except TokenError:
        return statement
    parts = _without_arrows(parts)
    for at in range(len(parts) - 1, -1, -1):  # inner calls are to the right of outer ones
        name = parts[at].text.lower()
        if name in NAMES and at + 1 < len(parts) and parts[at + 1].text == "(":
            close = _closing(parts, at + 1)
            if close is not None:
                parts[at : close + 1] = [_call(name, parts, at, close)]
    return "".join(part.gap + part.text for part in parts) + end


def _parts(statement: str) -> tuple[list[_Part], str]:
    """The tokens of a statement, and what follows the last one."""
    parts, at = [], 0
    for token in Postgres().tokenize(statement):
        start, end = token.start, token.end + 1
        value: str | int | None = None
        if token.token_type is TokenType.STRING:
            value = token.text
        elif token.token_type is TokenType.NUMBER and token.text.isdecimal():
            value = int(token.text)
        parts.append(_Part(statement[at:start], statement[start:end], value))
        at = end
    return parts, statement[at:]


def _without_arrows(parts: list[_Part]) -> list[_Part]:
    """`x -> 'a'` as a call."""
    done: list[_Part] = []
    rest = iter(range(len(parts)))
    for at in rest:
        part = parts[at]
        literal = parts[at + 1] if at + 1 < len(parts) else None
        no_operand = not done or done[-1].text.upper() in _WORDS
        if part.text not in _ARROWS or no_operand or literal is None or literal.value is None:
            done.append(part)
            continue
        start = _operand_start(done, len(done) - 1)
        operand = done[start:]
        call = [_Part(operand[0].gap, _ARROWS[part.text]), _Part("", "("), replace(operand[0], gap=""), *operand[1:]]
        done[start:] = [*call, _Part("", ","), literal, _Part("", ")")]
        next(rest)
    return done


def _operand_start(parts: list[_Part], at: int) -> int:
    """Where the operand begins that ends at `at`: a name, a literal, something in brackets, a call, an element or a
    cast of one."""
    if parts[at].text in _PAIRS:
        opening, depth = _PAIRS[parts[at].text], 0
        closing = parts[at].text
        while at > 0:
            depth += (parts[at].text == closing) - (parts[at].text == opening)
            if depth == 0:
                break
            at -= 1
        before = parts[at - 1].text if at else ""
        if opening == "[" and at and before.upper() not in _WORDS:
            return _operand_start(parts, at - 1)
        if at and _NAME.fullmatch(before) and before.upper() not in _WORDS:
            at -= 1
    while at >= 2 and parts[at - 1].text == ".":
        at -= 2
    if at >= 2 and parts[at - 1].text == "::":
        return _operand_start(parts, at - 2)
    return at


def _closing(parts: list[_Part], opening: int) -> int | None:
    """The bracket that closes the one at `opening`."""
    depth = 0
    for at in range(opening, len(parts)):
        depth += (parts[at].text in "([{") - (parts[at].text in ")]}")
        if depth == 0:
            return at
    return None


def _call(name: str, parts: list[_Part], at: int, close: int) -> _Part:
    """The call at parts[at : close + 1], with a path."""
    arguments: list[list[_Part]] = [[]]
    depth = 0
    for part in parts[at + 2 : close]:
        depth += (part.text in "([{") - (part.text in ")]}")
        if part.text == "," and depth == 0:
            arguments.append([])
        else:
            arguments[-1].append(part)
    if not arguments[0]:
        return _Part(parts[at].gap, parts[at].text + "()")
    if name == "json_get":
        name = _BY_TYPE.get(_cast_to(parts, at, close), name)
    return _Part(parts[at].gap, f"{name}({_text(arguments[0])}, {_path(arguments[1:])})")


def _cast_to(parts: list[_Part], at: int, close: int) -> str:
    """The type that a call is cast to, if it is."""
    behind = [part.text.upper() for part in parts[close + 1 : close + 3]]
    if len(behind) == 2 and (
        behind[0] == "::"
        or (behind[0] == "AS" and at >= 2 and parts[at - 1].text == "(" and parts[at - 2].text.upper().endswith("CAST"))
    ):
        return behind[1]
    return ""


def _path(steps: list[list[_Part]]) -> str:
    """SQL that gives the path as the text of a JSON array."""
    if all(len(step) == 1 and step[0].value is not None for step in steps):
        return _literal(orjson.dumps([step[0].value for step in steps]).decode())
    pieces = []
    for step in steps:
        if len(step) == 1 and step[0].value is not None:
            pieces.append(_literal(orjson.dumps(step[0].value).decode()))
        else:
            text = _text(step)
            pieces.append(f"{PATH_PART}(CAST({text} AS VARCHAR), arrow_typeof({text}))")
    return "'[' || " + " || ',' || ".join(pieces) + " || ']'"


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _text(parts: list[_Part]) -> str:
    return "".join(part.gap + part.text for part in parts).strip()
