"""Grammar of function calls: arguments, lambdas, what may follow them, and windows."""

from __future__ import annotations

from millstream.sql.dialect import TokenKind
from millstream.sql.parser.types import TypeParser
from millstream.sql.syntax import Argument, Frame, FunctionCall, Identifier, Lambda, Node, SortItem, Subquery, Window


class CallParser(TypeParser):
    """Adds `_call`, `window` and `sort_list`. `expression`, `query` and others come from the classes below in the
    chain."""

    def expression(self) -> Node:
        raise NotImplementedError

    def query(self) -> Node:
        raise NotImplementedError

    def at_query(self) -> bool:
        """Whether a query starts here, behind any number of opening parentheses."""
        distance = 0
        while self.peek(distance).upper == "(":
            distance += 1
        return self.peek(distance).upper in ("SELECT", "VALUES", "WITH")

    def _function_name(self) -> Identifier:
        token = self.advance()
        if token.kind is TokenKind.QUOTED:
            return Identifier(token.span, token.text, True)
        return Identifier(token.span, token.text.lower())

    def _call(self) -> Node:
        name = self._function_name()
        self.expect("(")
        distinct, star = False, False
        arguments: tuple[Argument, ...] = ()
        order: tuple[SortItem, ...] = ()
        nulls: str | None = None
        if self.at("*", ")"):
            self.advance()
            star = True
        elif not self.at(")"):
            distinct = self.accept("DISTINCT")
            if not distinct:
                self.accept("ALL")
            arguments = self.comma_list(self._argument)
            nulls = self._nulls_treatment()
            if self.accept("ORDER", "BY"):
                order = self.sort_list()
        self.expect(")")
        return self._finish(name, arguments, star=star, distinct=distinct, order=order, nulls=nulls)

    def _argument(self) -> Argument:
        start = self.token.span
        if self._at_lambda():
            function = self._lambda()
            return Argument(function.span, function)
        if self.at_name() and self.peek().upper == "=>":
            name = self.identifier()
            self.advance()
            value = self.expression()
            return Argument(self.since(start), value, name)
        if self.at_query() and not self.at("("):
            value = self.query()
            return Argument(self.since(start), Subquery(self.since(start), value))
        value = self.expression()
        return Argument(value.span, value)

    def _nulls_treatment(self) -> str | None:
        word = self.accept_any("IGNORE", "RESPECT")
        if word is not None:
            self.expect("NULLS")
        return word

    def _finish(
        self,
        name: Identifier,
        arguments: tuple[Argument, ...],
        options: tuple[str, ...] = (),
        *,
        star: bool = False,
        distinct: bool = False,
        order: tuple[SortItem, ...] = (),
        nulls: str | None = None,
    ) -> FunctionCall:
        """The clauses that may follow a call: IGNORE NULLS, WITHIN GROUP, WITHIN DISTINCT, FILTER, OVER."""
        nulls = self._nulls_treatment() or nulls
        if self.accept("WITHIN", "GROUP"):
            self.expect("(")
            self.expect("ORDER", "BY")
            order = self.sort_list()
            self.expect(")")
        within = self.parenthesised(self.expression) if self.accept("WITHIN", "DISTINCT") else ()
        condition: Node | None = None
        if self.accept("FILTER"):
            self.expect("(")
            self.expect("WHERE")
            condition = self.expression()
            self.expect(")")
        nulls = self._nulls_treatment() or nulls
        over = self.window() if self.accept("OVER") else None
        span = self.since(name.span)
        return FunctionCall(span, name, arguments, options, star, distinct, condition, order, nulls, over, within)

    def window(self) -> Window:
        """After OVER, or after `WINDOW w AS`: a name or a specification."""
        start = self.token.span
        if not self.at("("):
            return Window(start, self.identifier())
        self.advance()
        name = None
        if self.at_name() and not self.at_any("PARTITION", "ORDER", "RANGE", "ROWS"):
            name = self.identifier()
        partition = self.comma_list(self.expression) if self.accept("PARTITION", "BY") else ()
        order = self.sort_list() if self.accept("ORDER", "BY") else ()
        frame = self._frame() if self.at_any("RANGE", "ROWS") else None
        self.expect(")")
        return Window(self.since(start), name, partition, order, frame)

    def _frame(self) -> Frame:
        token = self.advance()
        if self.accept("BETWEEN"):
            low = self._bound()
            self.expect("AND")
            high = self._bound()
        else:
            low, high = self._bound(), ("CURRENT ROW", None)
        exclude = False
        if self.accept("EXCLUDE"):
            exclude = True
            while not self.at(")"):
                self.advance()
        return Frame(self.since(token.span), token.upper, low, high, exclude)

    def _bound(self) -> tuple[str, Node | None]:
        if self.accept("CURRENT", "ROW"):
            return "CURRENT ROW", None
        offset = None if self.accept("UNBOUNDED") else self.expression()
        direction = self.accept_any("PRECEDING", "FOLLOWING")
        if direction is None:
            raise self.error(expected='"PRECEDING"')
        return ("UNBOUNDED " if offset is None else "") + direction, offset

    def sort_list(self) -> tuple[SortItem, ...]:
        return self.comma_list(self._sort_item)

    def _sort_item(self) -> SortItem:
        return self.sort_item(self.expression())

    def sort_item(self, expression: Node) -> SortItem:
        """`expression [ASC | DESC] [NULLS FIRST | LAST]` from behind the expression."""
        descending = self.accept("DESC")
        if not descending:
            self.accept("ASC")
        nulls_first = not descending
        if self.accept("NULLS"):
            word = self.accept_any("FIRST", "LAST")
            if word is None:
                raise self.error(expected='"FIRST"')
            nulls_first = word == "FIRST"
        return SortItem(self.since(expression.span), expression, descending, nulls_first)

    def _at_lambda(self) -> bool:
        if self.peek().upper == "->":
            return self.at_name()
        if not self.at("("):
            return False
        distance = 1
        while self.peek(distance).kind in (TokenKind.WORD, TokenKind.QUOTED) or self.peek(distance).upper == ",":
            distance += 1
        return self.peek(distance).upper == ")" and self.peek(distance + 1).upper == "->"

    def _lambda(self) -> Lambda:
        start = self.token.span
        parameters: tuple[Identifier, ...] = ()
        if self.accept("("):
            if not self.at(")"):
                parameters = self.comma_list(self.identifier)
            self.expect(")")
        else:
            parameters = (self.identifier(),)
        self.expect("->")
        body = self.expression()
        return Lambda(self.since(start), parameters, body)
