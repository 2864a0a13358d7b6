"""Expression grammar, by precedence climbing (sql.md §1, operators from high to low).

    or > and > not > IS > comparison > BETWEEN / IN / LIKE > + - > * / % || > unary > [i] :: . > primary

Primaries with syntax of their own (CAST, EXTRACT, TRIM, INTERVAL, ...) are in `primaries.py`.
"""

from __future__ import annotations

from collections.abc import Callable

from millstream.sql.dialect import TokenKind, union
from millstream.sql.parser.primaries import PrimaryParser
from millstream.sql.syntax import (
    Between,
    CastExpression,
    Constant,
    FieldAccess,
    Index,
    InList,
    InQuery,
    Name,
    Node,
    Operation,
    Quantified,
    RowExpression,
    TimeDifference,
)

_COMPARISONS = {"=": "=", "<>": "<>", "!=": "<>", "<": "<", "<=": "<=", ">": ">", ">=": ">=", "<=>": "<=>"}
_PERIOD = ("OVERLAPS", "CONTAINS", "EQUALS", "PRECEDES", "SUCCEEDS")


class ExpressionParser(PrimaryParser):
    """Adds `expression`."""

    def expression(self) -> Node:
        return self._chain("OR", self._and)

    def _and(self) -> Node:
        return self._chain("AND", self._not)

    def _chain(self, word: str, operand: Callable[[], Node]) -> Node:
        """Operands of one connective, side by side: conditions of thousands of terms are no deeper than two."""
        operands = [operand()]
        while self.accept(word):
            operands.append(operand())
        if len(operands) == 1:
            return operands[0]
        return Operation(union(operands[0].span, operands[-1].span), word, tuple(operands))

    def _not(self) -> Node:
        if self.at("NOT"):
            start = self.advance().span
            operand = self._not()
            return Operation(self.since(start), "NOT", (operand,))
        return self._is()

    def _is(self) -> Node:
        left = self._comparison()
        while self.accept("IS"):
            negated = "NOT " if self.accept("NOT") else ""
            if self.accept("DISTINCT", "FROM"):
                right = self._comparison()
                left = self._binary(f"IS {negated}DISTINCT FROM", left, right)
                continue
            word = self.accept_any("NULL", "TRUE", "FALSE", "UNKNOWN")
            if word is None:
                raise self.error(expected='"NULL"')
            left = Operation(self.since(left.span), f"IS {negated}{word}", (left,))
        return left

    def _comparison(self) -> Node:
        left = self._range()
        while self.token.kind is TokenKind.OPERATOR and self.token.text in _COMPARISONS:
            operator = _COMPARISONS[self.advance().text]
            if self.at_any("ANY", "SOME", "ALL") and self.peek().upper == "(":
                left = self._quantified(operator, left)
            else:
                left = self._binary(operator, left, self._range())
        return left

    def _quantified(self, operator: str, left: Node) -> Node:
        quantifier = self.advance().upper
        self.expect("(")
        query = self.query()
        self.expect(")")
        return Quantified(self.since(left.span), operator, quantifier, left, query)

    def _range(self) -> Node:
        left = self.additive()
        while True:
            negated = self.at("NOT") and self.peek().upper in ("BETWEEN", "IN", "LIKE", "ILIKE", "RLIKE", "SIMILAR")
            if negated:
                self.advance()
            if self.accept("BETWEEN"):
                symmetric = self.accept("SYMMETRIC")
                if not symmetric:
                    self.accept("ASYMMETRIC")
                low = self.additive()
                self.expect("AND")
                high = self.additive()
                left = Between(union(left.span, high.span), left, low, high, negated, symmetric)
            elif self.accept("IN"):
                left = self._in(left, negated)
            elif self.at_any("LIKE", "ILIKE", "RLIKE"):
                left = self._like(left, negated)
            elif self.at("SIMILAR", "TO"):
                self.index += 2
                left = self._binary("NOT SIMILAR TO" if negated else "SIMILAR TO", left, self.additive())
            elif self.at("IMMEDIATELY") and self.peek().upper in ("PRECEDES", "SUCCEEDS"):
                self.advance()
                operator = "IMMEDIATELY " + self.advance().upper
                left = self._binary(operator, left, self.additive())
            elif self.at_any(*_PERIOD) and isinstance(left, RowExpression):
                operator = self.advance().upper
                left = self._binary(operator, left, self.additive())
            else:
                return left

    def _in(self, left: Node, negated: bool) -> Node:
        self.expect("(")
        if self.at_query():
            query = self.query()
            self.expect(")")
            return InQuery(self.since(left.span), left, query, negated)
        items = self.comma_list(self.expression)
        self.expect(")")
        return InList(self.since(left.span), left, items, negated)

    def _like(self, left: Node, negated: bool) -> Node:
        operator = self.advance().upper
        operands = [left, self.additive()]
        if self.accept("ESCAPE"):
            operands.append(self.additive())
        name = f"NOT {operator}" if negated else operator
        return Operation(union(left.span, operands[-1].span), name, tuple(operands))

    def additive(self) -> Node:
        left = self._multiplicative()
        while self.at_any("+", "-"):
            operator = self.advance().text
            left = self._binary(operator, left, self._multiplicative())
        return left

    def _multiplicative(self) -> Node:
        left = self._unary()
        while self.at_any("*", "/", "%", "||"):
            operator = self.advance().text
            left = self._binary(operator, left, self._unary())
        return left

    def _unary(self) -> Node:
        if self.at_any("-", "+"):
            start = self.advance()
            operand = self._unary()
            if start.text == "+":
                return operand
            if isinstance(operand, Constant) and operand.kind == "NUMBER" and not operand.text.startswith("-"):
                return Constant(self.since(start.span), "NUMBER", "-" + operand.text)
            return Operation(self.since(start.span), "NEG", (operand,))
        return self._postfix()

    def _postfix(self) -> Node:
        left = self.primary()
        while True:
            if self.accept("["):
                index = self.expression()
                self.expect("]")
                left = Index(self.since(left.span), left, index)
            elif self.accept("::"):
                target = self.type_name()
                left = CastExpression(self.since(left.span), left, target, safe=False)
            elif self.at(".") and not isinstance(left, Name):
                self.advance()
                field = self.identifier_after_dot()
                left = FieldAccess(self.since(left.span), left, field)
            elif self.at_unit() and self._is_difference(left):
                left = self._time_difference(left)
            else:
                return left

    def _is_difference(self, left: Node) -> bool:
        """`(a - b) DAY`: the parentheses are part of the form; an alias may also be called day, but only after AS."""
        return isinstance(left, Operation) and left.name == "-" and self.tokens[self.index - 1].upper == ")"

    def _time_difference(self, left: Node) -> Node:
        assert isinstance(left, Operation)
        unit, to_unit, _ = self.interval_qualifier()
        first, second = left.operands
        return TimeDifference(self.since(left.span), first, second, unit, to_unit)

    def _binary(self, name: str, left: Node, right: Node) -> Node:
        return Operation(union(left.span, right.span), name, (left, right))
