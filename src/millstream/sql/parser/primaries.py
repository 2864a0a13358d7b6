"""Primary expressions: literals, names, calls, and the forms with a syntax of their own."""

from __future__ import annotations

from collections.abc import Callable

from millstream.sql.dialect import Token, TokenKind, decode_unicode, union
from millstream.sql.parser.calls import CallParser
from millstream.sql.parser.cursor import RESERVED
from millstream.sql.syntax import (
    Argument,
    ArrayExpression,
    CaseExpression,
    CastExpression,
    Constant,
    Exists,
    FunctionCall,
    Identifier,
    IntervalLiteral,
    MapExpression,
    Node,
    RowExpression,
    Star,
    Subquery,
    TableArgument,
)

_PREFIX_LITERALS = ("DATE", "TIME", "TIMESTAMP", "UUID", "REAL", "DOUBLE", "DECIMAL")
_NO_PARENTHESES = ("PI", "CURRENT_DATE", "CURRENT_TIME", "CURRENT_TIMESTAMP", "LOCALTIME", "LOCALTIMESTAMP")
_RESERVED_FUNCTIONS = ("LEFT", "RIGHT", "GROUPING", "CUBE", "ARRAY_AGG", "SOME", "ANY", "UNNEST")
#: Functions that take a unit as first argument, as a bare word.
_UNIT_FIRST = ("TIMESTAMPADD", "TIMESTAMPDIFF", "DATEDIFF", "DATE_PART")
#: Functions that take a unit as last argument.
_UNIT_LAST = ("DATE_TRUNC", "TIMESTAMP_TRUNC", "TIME_TRUNC")


class PrimaryParser(CallParser):
    """Adds `primary`. `additive` comes from the classes below in the chain."""

    def additive(self) -> Node:
        raise NotImplementedError

    def primary(self) -> Node:
        token = self.token
        if token.kind is TokenKind.NUMBER:
            self.advance()
            return Constant(token.span, "NUMBER", token.text)
        if token.kind in (TokenKind.STRING, TokenKind.UNICODE, TokenKind.HEX):
            return self.string_literal()
        if token.upper == "(":
            return self._parenthesis()
        if token.upper == "." and self.peek().kind is TokenKind.NUMBER and self.peek().start == token.end + 1:
            self.advance()
            return Constant(self.since(token.span), "NUMBER", "." + self.advance().text)
        if token.upper == "*":
            self.advance()
            return Star(token.span)
        special = self._special(token)
        if special is not None:
            return special
        if token.kind is TokenKind.WORD and self.peek().upper == "(" and self._callable(token):
            return self._call()
        if token.kind is TokenKind.QUOTED and self.peek().upper == "(":
            return self._call()
        if token.upper in _NO_PARENTHESES:
            self.advance()
            return FunctionCall(token.span, Identifier(token.span, token.text.lower()))
        return self._name_or_star()

    def _callable(self, token: Token) -> bool:
        return token.upper not in RESERVED or token.upper in _RESERVED_FUNCTIONS

    # ---- literals ----

    def string_literal(self) -> Constant:
        """A string or binary literal; neighbours separated by a newline continue it."""
        first = token = self.advance()
        text = self._decoded(token)
        while (
            self.token.kind in (TokenKind.STRING, TokenKind.HEX)
            and "\n" in self.source.text[token.end + 1 : self.token.start]
            and (self.token.kind is TokenKind.HEX) <= (first.kind is TokenKind.HEX)
        ):
            token = self.advance()
            text += token.text
        span = union(first.span, token.span)
        if first.kind is TokenKind.HEX:
            if len(text) % 2 or any(c not in "0123456789abcdefABCDEF" for c in text):
                raise self.syntax_error("Binary literal string must contain an even number of hexits", span)
            return Constant(span, "BINARY", text)
        return Constant(span, "STRING", text)

    def _decoded(self, token: Token) -> str:
        if token.kind is not TokenKind.UNICODE:
            return token.text
        escape = self.advance_escape() if self.accept("UESCAPE") else "\\"
        return decode_unicode(token.text, escape, token.span)

    def advance_escape(self) -> str:
        if self.token.kind is not TokenKind.STRING or len(self.token.text) != 1:
            raise self.error(expected="<QUOTED_STRING>")
        return self.advance().text

    def _special(self, token: Token) -> Node | None:
        """Forms that a keyword introduces; None: the word is an ordinary name here."""
        upper, following = token.upper, self.peek()
        if upper in ("TRUE", "FALSE"):
            self.advance()
            return Constant(token.span, "BOOLEAN", upper)
        if upper in ("NULL", "UNKNOWN"):
            self.advance()
            return Constant(token.span, "NULL" if upper == "NULL" else "UNKNOWN", upper)
        if upper in _PREFIX_LITERALS and following.kind is TokenKind.STRING:
            self.advance()
            literal = self.string_literal()
            return Constant(union(token.span, literal.span), upper, literal.text)
        if upper == "TIMESTAMP" and self.at("TIMESTAMP", "WITH", "TIME", "ZONE"):
            self.index += 4
            literal = self.string_literal()
            return Constant(union(token.span, literal.span), "TIMESTAMP_TZ", literal.text)
        if upper == "INTERVAL" and following.upper not in (",", ")", ".", "::"):
            return self._interval()
        if upper == "ARRAY" and following.upper in ("[", "("):
            return self._array()
        if upper == "MAP" and following.upper in ("[", "("):
            return self._map()
        if following.upper == "(" and upper in _FORMS:
            return _FORMS[upper](self)
        if upper == "CASE":
            return self._case()
        if upper == "TABLE":
            self.advance()
            if self.at("("):
                self.advance()
                name = self.name()
                self.expect(")")
            else:
                name = self.name()
            return TableArgument(self.since(token.span), name)
        return None

    def _interval(self) -> Node:
        start = self.advance().span
        sign = 1
        while self.at_any("-", "+"):
            sign = -sign if self.advance().text == "-" else sign
        value: Node
        if self.token.kind is TokenKind.STRING:
            value = self.string_literal()
        else:
            value = self.primary()
        unit, to_unit, digits = self.interval_qualifier()
        return IntervalLiteral(self.since(start), value, unit, to_unit, sign, digits)

    def _array(self) -> Node:
        start = self.advance().span
        closing = "]" if self.advance().text == "[" else ")"
        if closing == ")" and self.at_query():
            query = self.query()
            self.expect(")")
            return Subquery(self.since(start), query, "ARRAY")
        items = () if self.at(closing) else self.comma_list(self.expression)
        self.expect(closing)
        return ArrayExpression(self.since(start), items)

    def _map(self) -> Node:
        start = self.advance().span
        if self.at("("):
            self.advance()
            if self.at_query():
                query = self.query()
                self.expect(")")
                return Subquery(self.since(start), query, "MAP")
            arguments = () if self.at(")") else self.comma_list(self._argument)
            self.expect(")")
            return FunctionCall(self.since(start), Identifier(start, "map"), arguments)
        self.advance()
        items = () if self.at("]") else self.comma_list(self.expression)
        self.expect("]")
        return MapExpression(self.since(start), items)

    def _parenthesis(self) -> Node:
        start = self.token.span
        if self._at_lambda():
            return self._lambda()
        if self.at_query():
            self.advance()
            query = self.query()
            self.expect(")")
            return Subquery(self.since(start), query)
        self.advance()
        if self.accept(")"):
            return RowExpression(self.since(start), ())
        items = self.comma_list(self.expression)
        self.expect(")")
        if len(items) > 1:
            return RowExpression(self.since(start), items)
        return items[0]

    # ---- CASE, CAST and other forms ----

    def _case(self) -> Node:
        start = self.advance().span
        operand = None if self.at("WHEN") else self.expression()
        branches: list[tuple[Node, Node]] = []
        while self.accept("WHEN"):
            conditions = self.comma_list(self.expression)
            self.expect("THEN")
            result = self.expression()
            branches.extend((condition, result) for condition in conditions)
        if not branches:
            raise self.error(expected='"WHEN"')
        otherwise = self.expression() if self.accept("ELSE") else None
        self.expect("END")
        return CaseExpression(self.since(start), operand, tuple(branches), otherwise)

    def _cast(self) -> Node:
        token = self.advance()
        self.expect("(")
        operand = self.expression()
        self.expect("AS")
        target = self.type_name()
        self.expect(")")
        return CastExpression(self.since(token.span), operand, target, safe=token.upper != "CAST")

    def _exists(self) -> Node:
        start = self.advance().span
        self.expect("(")
        query = self.query()
        self.expect(")")
        return Exists(self.since(start), query)

    def _row(self) -> Node:
        start = self.advance().span
        items = self.parenthesised(self._row_item)
        return RowExpression(self.since(start), items)

    def _row_item(self) -> Node:
        item = self.expression()
        return self.star_modifiers(item) if isinstance(item, Star) else item

    def star_modifiers(self, star: Star) -> Star:
        """EXCLUDE, EXCEPT and REPLACE behind a star."""
        exclude: tuple[Identifier, ...] = ()
        replace: tuple[tuple[Node, Identifier], ...] = ()
        while True:
            if self.at("EXCLUDE", "(") or self.at("EXCEPT", "("):
                self.advance()
                exclude = self.parenthesised(self._excluded)
            elif self.at("REPLACE", "("):
                self.advance()
                replace = self.parenthesised(self._replacement)
            else:
                return Star(self.since(star.span), star.qualifier, exclude, replace)

    def _excluded(self) -> Identifier:
        return self.name().parts[-1]

    def _replacement(self) -> tuple[Node, Identifier]:
        expression = self.expression()
        self.expect("AS")
        return expression, self.identifier()

    def _extract(self) -> Node:
        name = self._function_name()
        self.expect("(")
        unit = self._unit_word()
        self.expect("FROM")
        value = self.expression()
        self.expect(")")
        return self._finish(name, (Argument(value.span, value),), (unit,))

    def _unit_word(self) -> str:
        if self.token.kind is TokenKind.STRING:
            return self.advance().text.upper()
        if self.token.kind is not TokenKind.WORD:
            raise self.error(expected="<IDENTIFIER>")
        return self.advance().upper.removeprefix("SQL_TSI_")

    def _trim(self) -> Node:
        name = self._function_name()
        self.expect("(")
        side = self.accept_any("BOTH", "LEADING", "TRAILING")
        values: list[Node] = []
        if not self.at("FROM"):
            values.append(self.expression())
        if self.accept("FROM"):
            values.insert(0, self.expression())
        self.expect(")")
        arguments = tuple(Argument(v.span, v) for v in values)
        return self._finish(name, arguments, (side or "BOTH",))

    def _position(self) -> Node:
        name = self._function_name()
        self.expect("(")
        first = self.additive()
        if not self.accept("IN"):
            self.expect(",")
        second = self.expression()
        self.expect(")")
        return self._finish(name, (Argument(first.span, first), Argument(second.span, second)))

    def _substring(self) -> Node:
        """SUBSTRING(s FROM i [FOR n]) and OVERLAY(s PLACING r FROM i [FOR n]), or with commas."""
        name = self._function_name()
        self.expect("(")
        arguments = [self._argument()]
        while self.accept_any(",", "FROM", "FOR", "PLACING"):
            arguments.append(self._argument())
        self.expect(")")
        return self._finish(name, tuple(arguments))

    def _floor(self) -> Node:
        name = self._function_name()
        self.expect("(")
        arguments = [self._argument()]
        options: tuple[str, ...] = ()
        if self.accept("TO"):
            options = (self._unit_word(),)
        while self.accept(","):
            arguments.append(self._argument())
        self.expect(")")
        return self._finish(name, tuple(arguments), options)

    def _unit_first(self) -> Node:
        name = self._function_name()
        self.expect("(")
        unit = self._unit_word()
        self.expect(",")
        arguments = self.comma_list(self._argument)
        self.expect(")")
        return self._finish(name, arguments, (unit,))

    def _unit_last(self) -> Node:
        name = self._function_name()
        self.expect("(")
        argument = self._argument()
        self.expect(",")
        unit = self._unit_word()
        self.expect(")")
        return self._finish(name, (argument,), (unit,))

    def _descriptor(self) -> Node:
        name = self._function_name()
        arguments = self.parenthesised(self._argument)
        return FunctionCall(self.since(name.span), name, arguments)

    # ---- names, stars, lambdas ----

    def _name_or_star(self) -> Node:
        start = self.token.span
        if not self.at_name():
            raise self.error(expected="<EXPRESSION>", name_expected=True)
        name = self.name()
        if self.at(".", "*"):
            self.index += 2
            return Star(self.since(start), name.parts)
        return name


_FORMS: dict[str, Callable[[PrimaryParser], Node]] = {
    "CAST": PrimaryParser._cast,
    "SAFE_CAST": PrimaryParser._cast,
    "TRY_CAST": PrimaryParser._cast,
    "EXISTS": PrimaryParser._exists,
    "ROW": PrimaryParser._row,
    "EXTRACT": PrimaryParser._extract,
    "TRIM": PrimaryParser._trim,
    "POSITION": PrimaryParser._position,
    "SUBSTRING": PrimaryParser._substring,
    "OVERLAY": PrimaryParser._substring,
    "FLOOR": PrimaryParser._floor,
    "CEIL": PrimaryParser._floor,
    "CEILING": PrimaryParser._floor,
    "DESCRIPTOR": PrimaryParser._descriptor,
    **dict.fromkeys(_UNIT_FIRST, PrimaryParser._unit_first),
    **dict.fromkeys(_UNIT_LAST, PrimaryParser._unit_last),
}
