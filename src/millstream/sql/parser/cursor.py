"""The parser's cursor: token look-ahead, keyword tests, names, and Calcite's syntax error messages."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from millstream.plan.program import Span
from millstream.sql.dialect import Token, TokenKind, union
from millstream.sql.messages import SqlError
from millstream.sql.parser.hints import hints_between
from millstream.sql.source import Source
from millstream.sql.syntax import Hint, Identifier, Name

T = TypeVar("T")

#: Words that never name anything unless quoted: the ones that end or begin a clause.
RESERVED = frozenset(
    """
    ALL AND ANY ARRAY_AGG AS ASOF BETWEEN BOTH CASE CAST CREATE CROSS CUBE CURRENT_DATE CURRENT_TIME CURRENT_TIMESTAMP
    DISTINCT ELSE EXCEPT EXISTS FALSE FETCH FOR FOREIGN FROM FULL FUNCTION GROUP GROUPING HAVING IN INNER
    INSERT INTERSECT INTERVAL INTO IS JOIN LATERAL LEADING LEFT LIKE LIMIT MATCH_RECOGNIZE MINUS NATURAL
    NOT NULL OFFSET ON OR ORDER OUTER OVER PARTITION PRIMARY QUALIFY REFERENCES RIGHT ROLLUP SELECT SOME
    TABLE TABLESAMPLE THEN TO TRAILING TRUE UNION UNIQUE UNKNOWN UNNEST USING VALUES WHEN WHERE WINDOW WITH
    """.split()  # noqa: SIM905 - a table of words
)
_SYNTAX = "Error parsing SQL"


class Cursor:
    """Reads one token list, front to back. `index` points at the next token."""

    def __init__(self, source: Source, tokens: list[Token]) -> None:
        self.source = source
        self.tokens = tokens
        self.index = 0

    @property
    def token(self) -> Token:
        return self.tokens[self.index]

    def peek(self, distance: int = 1) -> Token:
        """The token `distance` after the next one."""
        return self.tokens[min(self.index + distance, len(self.tokens) - 1)]

    def advance(self) -> Token:
        token = self.tokens[self.index]
        if token.kind is not TokenKind.END:
            self.index += 1
        return token

    def at_end(self) -> bool:
        return self.token.kind is TokenKind.END

    def since(self, start: Span) -> Span:
        """From `start` to the last token read."""
        return union(start, self.tokens[self.index - 1].span if self.index else start)

    # ---- keywords and operators ----

    def at(self, *words: str) -> bool:
        """Whether the next tokens are these words or operators."""
        return all(self.peek(i).upper == word for i, word in enumerate(words))

    def at_any(self, *words: str) -> bool:
        return self.token.upper in words

    def accept(self, *words: str) -> bool:
        """Read these words if they come next."""
        if not self.at(*words):
            return False
        self.index += len(words)
        return True

    def accept_any(self, *words: str) -> str | None:
        """Read one of these words if it comes next."""
        upper = self.token.upper
        if upper in words and upper:
            self.index += 1
            return upper
        return None

    def expect(self, *words: str) -> Token:
        """Read these words; a syntax error if something else stands there."""
        for word in words:
            if self.token.upper != word:
                raise self.error(expected=f'"{word}"')
            token = self.advance()
        return token

    def hints(self) -> tuple[Hint, ...]:
        """The hints between the last token read and the next one."""
        start = self.tokens[self.index - 1].end + 1 if self.index else 0
        return hints_between(self.source, start, self.token.start)

    # ---- composite readers ----

    def comma_list(self, item: Callable[[], T]) -> tuple[T, ...]:
        """`item [, item]*`."""
        items = [item()]
        while self.accept(","):
            items.append(item())
        return tuple(items)

    def parenthesised(self, item: Callable[[], T]) -> tuple[T, ...]:
        """`( item [, item]* )`."""
        self.expect("(")
        items = self.comma_list(item)
        self.expect(")")
        return items

    def at_name(self) -> bool:
        """Whether a name may start here."""
        token = self.token
        return token.kind is TokenKind.QUOTED or (token.kind is TokenKind.WORD and token.upper not in RESERVED)

    def identifier(self) -> Identifier:
        """A name, folded to lower case unless quoted."""
        token = self.token
        if not self.at_name():
            raise self.error(expected="<IDENTIFIER>", name_expected=True)
        self.advance()
        if token.kind is TokenKind.QUOTED:
            return Identifier(token.span, token.text, True)
        return Identifier(token.span, token.text.lower())

    def name(self) -> Name:
        """A dotted name."""
        parts = [self.identifier()]
        while self.at(".") and self.peek().upper != "*":
            self.advance()
            parts.append(self.identifier_after_dot())
        return Name(union(parts[0].span, parts[-1].span), tuple(parts))

    def identifier_after_dot(self) -> Identifier:
        """After a dot even a reserved word is a name."""
        if self.token.kind is TokenKind.WORD:
            token = self.advance()
            return Identifier(token.span, token.text.lower())
        return self.identifier()

    def integer(self) -> int:
        """An unsigned integer literal."""
        token = self.token
        if token.kind is not TokenKind.NUMBER or not token.text.isdigit():
            raise self.error(expected="<UNSIGNED_INTEGER_LITERAL>")
        self.advance()
        return int(token.text)

    # ---- errors ----

    def error(self, expected: str = "", *, name_expected: bool = False) -> SqlError:
        """The syntax error at the next token, in Calcite's words."""
        token = self.token
        line, column = token.span.start_line, token.span.start_column
        if name_expected and token.upper in RESERVED:
            text = f"Incorrect syntax near the keyword '{token.upper}' at line {line}, column {column}."
            return SqlError(text, token.span, error_type=_SYNTAX)
        if token.kind is TokenKind.END:
            shown = "<EOF>"
        else:
            shown = self.source.text[token.start : token.end + 1].replace('"', '\\"')
        text = f'Encountered "{shown}" at line {line}, column {column}.'
        if expected:
            text += f"\nWas expecting: {expected}"
        return SqlError(text, token.span, error_type=_SYNTAX)

    def syntax_error(self, text: str, span: Span) -> SqlError:
        return SqlError(text, span, error_type=_SYNTAX)
