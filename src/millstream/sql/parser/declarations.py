"""Grammar of the small statements: functions, aggregates, indexes, lateness of views, DROP and SET."""

from __future__ import annotations

from millstream.plan.program import Span
from millstream.sql.dialect import TokenKind
from millstream.sql.messages import SqlError
from millstream.sql.parser.cursor import RESERVED
from millstream.sql.parser.queries import QueryParser
from millstream.sql.syntax import (
    Constant,
    CreateAggregate,
    CreateFunction,
    CreateIndex,
    DropStatement,
    Identifier,
    Name,
    Node,
    SetOption,
    TypeName,
    ViewLateness,
)


class DeclarationParser(QueryParser):
    """Adds a method for each of the statements; those of CREATE begin behind the words that name the object's kind."""

    def create_function(self, start: Span) -> Node:
        """`name (parameter type, ...) RETURNS type [AS expression]`."""
        name, parameters, returns = self._signature()
        body = self.expression() if self.accept("AS") else None
        return CreateFunction(self.since(start), name, parameters, returns, body)

    def create_aggregate(self, start: Span, *, linear: bool) -> Node:
        """`name (parameter type, ...) RETURNS type`."""
        name, parameters, returns = self._signature()
        return CreateAggregate(self.since(start), name, parameters, returns, linear)

    def _signature(self) -> tuple[Identifier, tuple[tuple[Identifier, TypeName], ...], TypeName]:
        name = self.identifier()
        parameters: tuple[tuple[Identifier, TypeName], ...] = ()
        if not self.accept("(", ")"):
            parameters = self.field_list()
        self.expect("RETURNS")
        return name, parameters, self.type_name()

    def create_index(self, start: Span) -> Node:
        """`name ON relation (column, ...)`."""
        name = self.identifier()
        self.expect("ON")
        relation = self.identifier()
        columns = self.parenthesised(self.identifier)
        return CreateIndex(self.since(start), name, relation, columns)

    def view_lateness(self) -> Node:
        """`LATENESS view.column value`."""
        start = self.expect("LATENESS").span
        view = self.identifier()
        self.expect(".")
        column = self.identifier_after_dot()
        value = self.expression()
        return ViewLateness(self.since(start), view, column, value)

    def drop(self) -> Node:
        """`DROP TABLE | VIEW [IF EXISTS] name`."""
        start = self.expect("DROP").span
        kind = self.accept_any("TABLE", "VIEW")
        if kind is None:
            raise self.error(expected='"TABLE"')
        if_exists = self.accept("IF", "EXISTS")
        name = self.identifier()
        return DropStatement(self.since(start), kind, name, if_exists)

    def set_option(self) -> Node:
        """`SET name = value`: a literal or a word."""
        start = self.expect("SET").span
        name = self.identifier()
        self.expect("=")
        value = self._setting()
        return SetOption(self.since(start), name, value)

    def _setting(self) -> Node:
        token = self.token
        if token.kind is TokenKind.STRING:
            return self.string_literal()
        if token.kind is TokenKind.NUMBER:
            self.advance()
            return Constant(token.span, "NUMBER", token.text)
        if token.kind is TokenKind.WORD:
            self.advance()
            return Name(token.span, (Identifier(token.span, token.text.lower()),))
        raise self.error(expected='"ON"')

    def no_query(self) -> SqlError:
        """The syntax error where a query or statement should begin: anything that could be an expression is one."""
        token = self.token
        if token.kind in (TokenKind.OPERATOR, TokenKind.END) or token.upper in RESERVED:
            return self.error(name_expected=True)
        return self.syntax_error("Non-query expression encountered in illegal context", token.span)
