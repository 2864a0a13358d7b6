"""Statement grammar: the DDL of the dialect, and the program as a list of statements.

A syntax error ends its statement only: the parser goes on behind the next semicolon, so that one compilation reports
the errors of several statements.
"""

from __future__ import annotations

from millstream.plan.program import Span
from millstream.sql.dialect import TokenKind, tokenize
from millstream.sql.messages import SqlError
from millstream.sql.parser.declarations import DeclarationParser
from millstream.sql.source import Source
from millstream.sql.syntax import (
    ColumnAttribute,
    ColumnDeclaration,
    Constant,
    CreateTable,
    CreateType,
    CreateView,
    DeclareRecursiveView,
    ForeignKey,
    Identifier,
    IgnoredStatement,
    KeyDeclaration,
    Node,
    OtherStatement,
    PropertyItem,
    QueryStatement,
)

_DECLARATIONS = ("TABLE", "VIEW", "TYPE", "FUNCTION", "AGGREGATE", "INDEX")
#: Statements of SQL that a program has no use for.
_FOREIGN = (
    "DECLARE", "DROP", "UPDATE", "DELETE", "ALTER", "MERGE", "UPSERT", "TRUNCATE", "EXPLAIN", "DESCRIBE", "BEGIN",
    "COMMIT", "ROLLBACK", "RESET", "CALL",
)  # fmt: skip


def parse_program(source: Source) -> tuple[list[Node], list[SqlError]]:
    """The statements of a program and its syntax errors."""
    try:
        tokens = tokenize(source)
    except SqlError as error:
        return [], [error]
    parser = StatementParser(source, tokens)
    return parser.program()


class StatementParser(DeclarationParser):
    """Adds `program`."""

    def program(self) -> tuple[list[Node], list[SqlError]]:
        statements: list[Node] = []
        errors: list[SqlError] = []
        while not self.at_end():
            if self.accept(";"):
                continue
            start = self.index
            try:
                statement = self._statement()
                if not self.at_end() and not self.at(";"):
                    raise self.error()
                statements.append(statement)
            except (SqlError, RecursionError) as failure:
                error = failure if isinstance(failure, SqlError) else self._too_deep(start)
                error.declares = self._declared_name(start)
                errors.append(error)
                while not self.at_end() and not self.at(";"):
                    self.advance()
        return statements, errors

    def _too_deep(self, start: int) -> SqlError:
        return SqlError("Statement is nested too deeply", self.tokens[start].span, error_type="Not supported")

    def _declared_name(self, start: int) -> str | None:
        """The name that the statement beginning at a token would have declared."""
        words = self.tokens[start : start + 6]
        if not words or words[0].upper not in ("CREATE", "DECLARE"):
            return None
        for position, token in enumerate(words[:-1]):
            if token.upper in _DECLARATIONS:
                name = words[position + 1]
                return name.text if name.kind is TokenKind.QUOTED else name.text.lower()
        return None

    def _statement(self) -> Node:
        start = self.token.span
        if self.at_query():
            query = self.query()
            return QueryStatement(self.since(start), query)
        if self.at("CREATE"):
            return self._create()
        if self.at("SET"):
            return self.set_option()
        if self.at_any("INSERT", "REMOVE"):
            return self._skip(IgnoredStatement)
        if self.at("DECLARE", "RECURSIVE", "VIEW"):
            return self._declare_recursive()
        if self.at("LATENESS"):
            return self.view_lateness()
        if self.at_any("DROP") and self.peek().upper in ("TABLE", "VIEW"):
            return self.drop()
        if self.at_any(*_FOREIGN):
            return self._skip(OtherStatement)
        raise self.no_query()

    def _skip(self, make: type[IgnoredStatement] | type[OtherStatement]) -> Node:
        """Read to the end of a statement that has no meaning here."""
        start = self.token.span
        what = self.token.upper
        if what in ("ALTER", "DECLARE", "DROP", "TRUNCATE") and self.peek().kind is TokenKind.WORD:
            what += " " + self.peek().upper
        while not self.at_end() and not self.at(";"):
            self.advance()
        return make(self.since(start), what)

    def _declare_recursive(self) -> Node:
        start = self.token.span
        self.index += 3
        name = self.identifier()
        foreign_keys: list[ForeignKey] = []
        columns = self.parenthesised(lambda: self._column(foreign_keys))
        span = self.since(start)
        for column in columns:
            if column.attributes or foreign_keys:
                text = f"Column '{column.name.name}' of recursive view '{name.name}' may only have a type"
                raise SqlError(text, column.span, error_type="Not supported")
        return DeclareRecursiveView(span, name, columns)

    # ---- CREATE ----

    def _create(self) -> Node:
        start = self.expect("CREATE").span
        replace = self.at("OR", "REPLACE")
        replace_span = self.token.span
        if replace:
            self.index += 2
            replace_span = self.since(replace_span)
        kind = ""
        if self.at_any("LOCAL", "MATERIALIZED") and self.peek().upper == "VIEW":
            kind = self.advance().upper
        what = self.token.upper
        linear = self.at("LINEAR", "AGGREGATE")
        if linear:
            self.advance()
            what = "AGGREGATE"
        if what not in ("TABLE", "VIEW", "TYPE", "FUNCTION", "AGGREGATE", "INDEX"):
            raise self.error(expected='"TABLE"')
        self.advance()
        if replace:
            prefix = "REPLACE" if what in ("TABLE", "AGGREGATE", "TYPE") else "OR REPLACE"
            text = f"{prefix} not supported for CREATE {what}"
            raise SqlError(text, replace_span, error_type="Not supported")
        if self.at("IF", "NOT", "EXISTS"):
            span = self.token.span
            self.index += 3
            text = f"IF NOT EXISTS not supported for CREATE {what}"
            raise SqlError(text, self.since(span), error_type="Not supported")
        if what == "TABLE":
            return self._create_table(start)
        if what == "VIEW":
            return self._create_view(start, kind)
        if what == "TYPE":
            return self._create_type(start)
        if what == "FUNCTION":
            return self.create_function(start)
        if what == "AGGREGATE":
            return self.create_aggregate(start, linear=linear)
        return self.create_index(start)

    def _create_table(self, start: Span) -> Node:
        name = self.identifier()
        columns: list[ColumnDeclaration] = []
        keys: list[KeyDeclaration] = []
        foreign_keys: list[ForeignKey] = []
        self.expect("(")
        while True:
            self._table_element(columns, keys, foreign_keys)
            if not self.accept(","):
                break
        self.expect(")")
        properties = self._properties()
        span = self.since(start)
        return CreateTable(span, name, tuple(columns), tuple(keys), tuple(foreign_keys), properties)

    def _table_element(
        self, columns: list[ColumnDeclaration], keys: list[KeyDeclaration], foreign_keys: list[ForeignKey]
    ) -> None:
        start = self.token.span
        if self.accept("CONSTRAINT"):
            self.identifier()
        if self.accept("PRIMARY", "KEY"):
            names = self.parenthesised(self.identifier)
            keys.append(KeyDeclaration(self.since(start), names))
        elif self.accept("FOREIGN", "KEY"):
            names = self.parenthesised(self.identifier)
            foreign_keys.append(self._references(start, names))
        else:
            columns.append(self._column(foreign_keys))

    def _references(self, start: Span, columns: tuple[Identifier, ...]) -> ForeignKey:
        self.expect("REFERENCES")
        table = self.identifier()
        targets = self.parenthesised(self.identifier)
        return ForeignKey(self.since(start), columns, table, targets)

    def _column(self, foreign_keys: list[ForeignKey]) -> ColumnDeclaration:
        name = self.identifier()
        type_name = self.type_name()
        attributes: list[ColumnAttribute] = []
        while True:
            start = self.token.span
            if self.accept("PRIMARY", "KEY"):
                attributes.append(ColumnAttribute(self.since(start), "PRIMARY KEY"))
            elif self.accept("FOREIGN", "KEY"):
                foreign_keys.append(self._references(start, (name,)))
            elif self.at_any("DEFAULT", "LATENESS", "WATERMARK"):
                kind = self.advance().upper
                value = self.expression()
                attributes.append(ColumnAttribute(self.since(start), kind, value))
            elif self.accept("INTERNED"):
                attributes.append(ColumnAttribute(self.since(start), "INTERNED"))
            else:
                return ColumnDeclaration(self.since(name.span), name, type_name, tuple(attributes))

    def _create_view(self, start: Span, kind: str) -> Node:
        name = self.identifier()
        columns = self.parenthesised(self.identifier) if self.at("(") else ()
        properties = self._properties()
        self.expect("AS")
        if not self.at_query():
            raise self.no_query()
        query = self.query()
        return CreateView(self.since(start), name, query, kind, columns, properties)

    def _create_type(self, start: Span) -> Node:
        name = self.identifier()
        self.expect("AS")
        if self.at("("):
            fields = self.field_list()
            return CreateType(self.since(start), name, fields=fields)
        type_name = self.type_name()
        return CreateType(self.since(start), name, type_name)

    def _properties(self) -> tuple[PropertyItem, ...]:
        if not self.accept("WITH"):
            return ()
        return self.parenthesised(self._property)

    def _property(self) -> PropertyItem:
        key = self._property_text()
        self.expect("=")
        value = self._property_text()
        return PropertyItem(self.since(key.span), key, value)

    def _property_text(self) -> Constant:
        if self.token.kind is not TokenKind.STRING:
            raise self.error(expected="<QUOTED_STRING>")
        return self.string_literal()
