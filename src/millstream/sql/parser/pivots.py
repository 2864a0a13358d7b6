"""Grammar of PIVOT and UNPIVOT, which follow a relation in FROM."""

from __future__ import annotations

from millstream.plan.program import Span
from millstream.sql.parser.expressions import ExpressionParser
from millstream.sql.syntax import (
    Identifier,
    Name,
    Node,
    Pivot,
    PivotValue,
    SelectItem,
    TableAlias,
    Unpivot,
    UnpivotColumns,
)


class PivotParser(ExpressionParser):
    """Adds `pivoted`."""

    def pivoted(self, source: Node) -> Node:
        """`source`, and all PIVOT and UNPIVOT clauses behind it."""
        while True:
            if self.at("PIVOT", "("):
                source = self._pivot(source)
            elif self.at_any("UNPIVOT") and self.peek().upper in ("(", "INCLUDE", "INCLUDING", "EXCLUDE", "EXCLUDING"):
                source = self._unpivot(source)
            else:
                return source

    def table_alias(self) -> TableAlias | None:
        """`[AS] name [(column, ...)]`. Defined by the class below in the chain."""
        raise NotImplementedError

    def _pivot(self, source: Node) -> Node:
        """`PIVOT (measure [AS a], ... FOR c | (c, ...) IN (value [AS n], ...))`."""
        start = self.advance().span
        self.expect("(")
        measures = self.comma_list(self._measure)
        self.expect("FOR")
        axes = self.parenthesised(self.name) if self.at("(") else (self.name(),)
        self.expect("IN")
        values = self.parenthesised(self._pivot_value)
        self.expect(")")
        return Pivot(self.since(start), source, measures, axes, values, self.table_alias())

    def _measure(self) -> SelectItem:
        expression = self.expression()
        return SelectItem(self.since(expression.span), expression, self._alias())

    def _alias(self) -> Identifier | None:
        return self.identifier() if self.accept("AS") or self.at_name() else None

    def _pivot_value(self) -> PivotValue:
        start = self.token.span
        parts = self.parenthesised(self._constant) if self.at("(") else (self._constant(),)
        constants = tuple(constant for constant, _ in parts)
        return PivotValue(self.since(start), constants, "_".join(text for _, text in parts), self._alias())

    def _constant(self) -> tuple[Node, str]:
        """An expression and its text."""
        start = self.token.span
        node = self.expression()
        return node, self.source.text_of(self.since(start))

    def _unpivot(self, source: Node) -> Node:
        """`UNPIVOT [INCLUDING | EXCLUDING NULLS] (measure FOR axis IN (column [AS constant], ...))`."""
        start = self.advance().span
        keep = self.accept_any("INCLUDE", "INCLUDING", "EXCLUDE", "EXCLUDING")
        if keep is not None:
            self.expect("NULLS")
        self.expect("(")
        measures = self._names()
        self.expect("FOR")
        axes = self._names()
        self.expect("IN")
        columns = self.parenthesised(self._unpivot_columns)
        self.expect(")")
        nulls = keep is not None and keep.startswith("INCLUD")
        return Unpivot(self.since(start), source, nulls, measures, axes, columns, self.table_alias())

    def _names(self) -> tuple[Identifier, ...]:
        return self.parenthesised(self.identifier) if self.at("(") else (self.identifier(),)

    def _unpivot_columns(self) -> UnpivotColumns:
        start: Span = self.token.span
        names: tuple[Name, ...] = self.parenthesised(self.name) if self.at("(") else (self.name(),)
        constants: tuple[Node, ...] = ()
        if self.accept("AS"):
            constants = self.parenthesised(self.expression) if self.at("(") else (self.expression(),)
        return UnpivotColumns(self.since(start), names, constants)
