"""The dialect as sqlglot sees it, and the tokens that the parser reads.

sqlglot supplies the tokenizer: comments, quoting, numbers, positions. Its keyword table is emptied down to operators,
so that every word arrives as a plain word: the grammar in `parser/` decides what a word means where it stands, which
is what lets `key`, `source` or `date` name columns. sqlglot's own grammar is not used for the statements: measured on
30.30 it accepts `SELECT FROM t` and `GROUP BY` with nothing after it, flattens `a, b RIGHT JOIN c` into a different
query, and keeps no positions for most nodes, while every diagnostic here must name a range of columns.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum
from typing import ClassVar

from sqlglot import tokens
from sqlglot.dialects.dialect import Dialect, NormalizationStrategy
from sqlglot.errors import TokenError
from sqlglot.tokens import TokenType

from millstream.plan.program import Span
from millstream.sql.messages import SqlError
from millstream.sql.source import Source


class Millstream(Dialect):
    """Calcite's "Oracle" lexical policy, with unquoted names folded to lower case."""

    NORMALIZATION_STRATEGY = NormalizationStrategy.LOWERCASE
    IDENTIFIERS_CAN_START_WITH_DIGIT = True
    NULL_ORDERING = "nulls_are_small"

    class Tokenizer(tokens.Tokenizer):
        NESTED_COMMENTS = False
        COMMENTS: ClassVar = ["--", "//", ("/*", "*/")]
        HEX_STRINGS: ClassVar = [("x'", "'"), ("X'", "'")]
        UNICODE_STRINGS: ClassVar = [("U&'", "'"), ("u&'", "'")]
        VAR_SINGLE_TOKENS: ClassVar = {"$"}
        COMMANDS: ClassVar[set[TokenType]] = set()
        KEYWORDS: ClassVar = {
            "::": TokenType.DCOLON,
            "||": TokenType.DPIPE,
            ">=": TokenType.GTE,
            "<=": TokenType.LTE,
            "<>": TokenType.NEQ,
            "!=": TokenType.NEQ,
            "<=>": TokenType.NULLSAFE_EQ,
            "->": TokenType.ARROW,
            "=>": TokenType.FARROW,
        }


class TokenKind(Enum):
    WORD = "word"
    QUOTED = "quoted identifier"
    STRING = "string"
    UNICODE = "unicode string"
    HEX = "binary string"
    NUMBER = "number"
    OPERATOR = "operator"
    END = "<EOF>"


@dataclass(frozen=True, slots=True)
class Token:
    """`text` is the value (quotes removed, escapes resolved), `upper` its upper-case form for words and operators
    and empty for everything else, so that no string or quoted name is ever mistaken for a keyword."""

    kind: TokenKind
    text: str
    upper: str
    start: int
    end: int
    span: Span


_KINDS = {
    TokenType.VAR: TokenKind.WORD,
    TokenType.IDENTIFIER: TokenKind.QUOTED,
    TokenType.STRING: TokenKind.STRING,
    TokenType.NATIONAL_STRING: TokenKind.STRING,
    TokenType.UNICODE_STRING: TokenKind.UNICODE,
    TokenType.HEX_STRING: TokenKind.HEX,
    TokenType.NUMBER: TokenKind.NUMBER,
}
#: A binary string with characters that are no hexadecimal digits, which the tokenizer cannot read
_HEX_STRING = re.compile(r"(?<![\w$'])[xX]'(?=[^'\n]*[^'\n0-9A-Fa-f])[^'\n]*'")


def tokenize(source: Source) -> list[Token]:
    """The tokens of a program, ending with one END token. Raises SqlError for an unterminated string or comment."""
    dialect = Dialect.get_or_raise(Millstream)
    try:
        raw = dialect.tokenize(source.text)
    except TokenError as error:
        raise _lexical_error(source, error) from None
    result = []
    for token in raw:
        kind, text = _KINDS.get(token.token_type, TokenKind.OPERATOR), token.text
        if _is_word(kind, text, source.text[token.start]):
            kind, text = TokenKind.WORD, source.text[token.start : token.end + 1]
        upper = text.upper() if kind in (TokenKind.WORD, TokenKind.OPERATOR) else ""
        span = source.span(token.start, token.end)
        result.append(Token(kind, text, upper, token.start, token.end, span))
    size = len(source.text)
    result.append(Token(TokenKind.END, "<EOF>", "", size, size, source.end_span()))
    return _join_unicode_identifiers(result)


def _is_word(kind: TokenKind, text: str, first: str) -> bool:
    """Whether what the tokenizer takes for a number (`1e`, an exponent without digits) or for a binary string (`0x1f`)
    is a name that begins with a digit."""
    return (kind is TokenKind.NUMBER and text[-1] in "eE") or (kind is TokenKind.HEX and first == "0")


def _lexical_error(source: Source, error: TokenError) -> SqlError:
    """Position an unterminated quote or comment: at the last quote character that the text opens."""
    text = source.text
    malformed = _HEX_STRING.search(text)
    if malformed is not None:
        span = source.span(malformed.start(), malformed.end() - 1)
        message = "Binary literal string must contain only characters '0' - '9', 'A' - 'F'"
        return SqlError(message, span, error_type="Error parsing SQL")
    offset = max(text.rfind("'"), text.rfind('"'), text.rfind("/*"), 0)
    span = source.span(offset, offset)
    message = f"Lexical error at line {span.start_line}, column {span.start_column}.  Encountered: <EOF>"
    return SqlError(message, span, error_type="Error parsing SQL")


def _join_unicode_identifiers(raw: list[Token]) -> list[Token]:
    """`U&"d\\0061t\\0061" [UESCAPE 'c']` reaches us as the word U, an operator & and a quoted name that touch: make
    them one name."""
    result: list[Token] = []
    skip = 0
    for position, token in enumerate(raw):
        if skip:
            skip -= 1
            continue
        if (
            token.kind is TokenKind.QUOTED
            and len(result) >= 2
            and result[-1].text == "&"
            and result[-2].upper == "U"
            and result[-1].end + 1 == token.start
            and result[-2].end + 1 == result[-1].start
        ):
            first, last, escape = result[-2], token, "\\"
            del result[-2:]
            following = raw[position + 1 : position + 3]
            if len(following) == 2 and following[0].upper == "UESCAPE" and following[1].kind is TokenKind.STRING:
                last, escape, skip = following[1], following[1].text, 2
            span = union(first.span, last.span)
            if len(escape) != 1:
                raise SqlError("UESCAPE must be a single character", last.span, error_type="Error parsing SQL")
            text = decode_unicode(token.text, escape, span)
            token = Token(TokenKind.QUOTED, text, "", first.start, last.end, span)
        result.append(token)
    return result


def union(first: Span, last: Span) -> Span:
    """From the start of `first` to the end of `last`."""
    return Span(first.start_line, first.start_column, last.end_line, last.end_column)


def decode_unicode(text: str, escape: str, span: Span) -> str:
    """Resolve `<escape>hhhh` and doubled escapes; two halves of a surrogate pair make one character."""
    pattern = re.compile(re.escape(escape) + r"(?:([0-9A-Fa-f]{4})|(" + re.escape(escape) + r")|)")

    def replace(match: re.Match[str]) -> str:
        if match[1]:
            return chr(int(match[1], 16))
        if match[2]:
            return escape
        raise SqlError("Unicode escape sequence starting at this position is not exactly four hex digits", span)

    decoded = pattern.sub(replace, text)
    try:
        return decoded.encode("utf-16", "surrogatepass").decode("utf-16")
    except UnicodeDecodeError:
        raise SqlError("Unicode escape sequence denotes half of a surrogate pair", span) from None
