"""Query grammar: SELECT, FROM with joins, set operations, WITH, VALUES, ORDER BY and LIMIT."""

from __future__ import annotations

from msgspec.structs import replace

from millstream.sql.dialect import TokenKind, union
from millstream.sql.parser.pivots import PivotParser
from millstream.sql.syntax import (
    CommonTable,
    Constant,
    DerivedTable,
    FunctionCall,
    GroupBy,
    GroupingSets,
    Identifier,
    Join,
    Node,
    Ordered,
    RowExpression,
    Select,
    SelectItem,
    SetOperation,
    SortItem,
    Star,
    TableAlias,
    TableFunction,
    TableReference,
    Unbuilt,
    UnnestTable,
    ValuesQuery,
    Window,
    WithQuery,
)

_NOT_ALIASES = frozenset(
    """ASOF PIVOT UNPIVOT SEMI ANTI CROSS OUTER MATCH_CONDITION TABLESAMPLE FETCH LATENESS DO""".split()  # noqa: SIM905
)


class QueryParser(PivotParser):
    """Adds `query`."""

    def query(self) -> Node:
        """[WITH ...] body [ORDER BY ...] [LIMIT ...] [OFFSET ...] [FETCH ...]."""
        start = self.token.span
        tables: tuple[CommonTable, ...] = ()
        if self.accept("WITH"):
            if self.at("RECURSIVE"):
                text = (
                    "RECURSIVE queries in WITH are not supported; use DECLARE RECURSIVE VIEW instead. "
                    "See https://docs.feldera.com/sql/recursion"
                )
                error = self.syntax_error(text, self.token.span)
                error.error_type = "Not supported"
                raise error
            tables = self.comma_list(self._common_table)
        result = self._modifiers(self._union())
        return WithQuery(self.since(start), tables, result) if tables else result

    def _common_table(self) -> CommonTable:
        name = self.identifier()
        columns = self.parenthesised(self.identifier) if self.at("(") else ()
        self.expect("AS")
        self.expect("(")
        query = self.query()
        self.expect(")")
        return CommonTable(self.since(name.span), name, columns, query)

    def _modifiers(self, query: Node) -> Node:
        order: tuple[SortItem, ...] = ()
        order_all = False
        limit: Node | None = None
        offset: Node | None = None
        if self.accept("ORDER", "BY"):
            start = self.token.span
            order_all = self.accept("ALL")
            order = (self.sort_item(Star(start)),) if order_all else self.sort_list()
        while True:
            if self.accept("LIMIT"):
                if self.accept("ALL"):
                    continue
                limit = self.additive()
                if self.accept(","):
                    offset, limit = limit, self.additive()
            elif self.accept("OFFSET"):
                offset = self.additive()
                self.accept_any("ROW", "ROWS")
            elif self.accept("FETCH"):
                if self.accept_any("FIRST", "NEXT") is None:
                    raise self.error(expected='"FIRST"')
                start = self.token.span
                limit = Constant(start, "NUMBER", "1") if self.at_any("ROW", "ROWS") else self.additive()
                if self.accept_any("ROW", "ROWS") is None:
                    raise self.error(expected='"ROWS"')
                self.expect("ONLY")
            else:
                break
        if not order and limit is None and offset is None:
            return query
        return Ordered(self.since(query.span), query, order, order_all, limit, offset)

    # ---- set operations ----

    def _union(self) -> Node:
        left = self._intersect()
        while self.at_any("UNION", "EXCEPT", "MINUS"):
            operator = self.advance().upper
            keep = self._set_quantifier()
            right = self._intersect()
            name = "EXCEPT" if operator == "MINUS" else operator
            left = SetOperation(union(left.span, right.span), name, keep, left, right)
        return left

    def _intersect(self) -> Node:
        left = self._query_term()
        while self.accept("INTERSECT"):
            keep = self._set_quantifier()
            right = self._query_term()
            left = SetOperation(union(left.span, right.span), "INTERSECT", keep, left, right)
        return left

    def _set_quantifier(self) -> bool:
        if self.accept("ALL"):
            return True
        self.accept("DISTINCT")
        return False

    def _query_term(self) -> Node:
        if self.accept("("):
            query = self.query()
            self.expect(")")
            return query
        if self.at("VALUES"):
            start = self.advance().span
            rows = self.comma_list(self._values_row)
            return ValuesQuery(self.since(start), rows)
        if self.at("SELECT"):
            return self._select()
        raise self.error(expected='"SELECT"', name_expected=True)

    def _values_row(self) -> tuple[Node, ...]:
        value = self.expression()
        return value.items if isinstance(value, RowExpression) else (value,)

    # ---- SELECT ----

    def _select(self) -> Select:
        start = self.expect("SELECT").span
        hints = self.hints()
        distinct = False
        distinct_on: tuple[Node, ...] = ()
        if self.accept("DISTINCT"):
            distinct = True
            if self.accept("ON"):
                distinct_on = self.parenthesised(self.expression)
        else:
            self.accept("ALL")
        items = self.comma_list(self._select_item)
        source = self._from() if self.accept("FROM") else None
        where = self.expression() if self.accept("WHERE") else None
        group = self._group() if self.at("GROUP", "BY") else None
        having = self.expression() if self.accept("HAVING") else None
        windows: tuple[tuple[Identifier, Window], ...] = ()
        if self.accept("WINDOW"):
            windows = self.comma_list(self._named_window)
        qualify = self.expression() if self.accept("QUALIFY") else None
        span = self.since(start)
        return Select(span, items, distinct, distinct_on, source, where, group, having, qualify, windows, hints)

    def _named_window(self) -> tuple[Identifier, Window]:
        name = self.identifier()
        self.expect("AS")
        return name, self.window()

    def _select_item(self) -> SelectItem:
        expression = self.expression()
        if isinstance(expression, Star):
            expression = self.star_modifiers(expression)
            return SelectItem(expression.span, expression)
        alias = self._column_alias()
        return SelectItem(self.since(expression.span), expression, alias)

    def _column_alias(self) -> Identifier | None:
        explicit = self.accept("AS")
        if explicit and self.token.kind is TokenKind.STRING:
            token = self.advance()
            return Identifier(token.span, token.text, True)
        if explicit or self.at_name():
            return self.identifier()
        return None

    def _group(self) -> GroupBy:
        start = self.expect("GROUP", "BY").span
        if self.accept("ALL"):
            return GroupBy(self.since(start), (), all=True)
        distinct = self.accept("DISTINCT")
        items = self.comma_list(self._group_item)
        return GroupBy(self.since(start), items, distinct=distinct)

    def _group_item(self) -> Node:
        start = self.token.span
        if self.at("GROUPING", "SETS", "("):
            self.index += 2
            items = self.parenthesised(self._group_item)
            return GroupingSets(self.since(start), "GROUPING SETS", items)
        if self.at("CUBE", "(") or self.at("ROLLUP", "("):
            kind = self.advance().upper
            items = self.parenthesised(self.expression)
            return GroupingSets(self.since(start), kind, items)
        return self.expression()

    def _skip_parentheses(self) -> None:
        """Read over a balanced parenthesis of a clause that is not built."""
        self.expect("(")
        depth = 1
        while depth:
            if self.token.kind is TokenKind.END:
                raise self.error(expected='")"')
            upper = self.advance().upper
            depth += (upper == "(") - (upper == ")")

    # ---- FROM ----

    def _from(self) -> Node:
        left = self._joined()
        while self.accept(","):
            left = _beside(left, self._joined())
        return left

    def _joined(self) -> Node:
        left = self._table()
        while True:
            kind, natural = self._join_kind()
            if not kind:
                return left
            right = self._table()
            left = self._join_condition(kind, natural, left, right)

    def _join_kind(self) -> tuple[str, bool]:
        """The words before a joined table; an empty kind: no join follows."""
        if self.at("CROSS", "APPLY") or self.at("OUTER", "APPLY"):
            kind = "LATERAL" if self.at("CROSS") else "OUTER APPLY"
            self.index += 2
            return kind, False
        natural = self.accept("NATURAL")
        if self.accept("CROSS", "JOIN"):
            return "CROSS", natural
        if self.accept("JOIN") or self.accept("INNER", "JOIN"):
            return "INNER", natural
        if self.at_any("LEFT", "RIGHT", "FULL"):
            kind = self.advance().upper
            modifier = self.accept_any("OUTER", "ASOF", "SEMI", "ANTI")
            self.expect("JOIN")
            if modifier in (None, "OUTER"):
                return kind, natural
            if kind != "LEFT":
                text = f"Currently only LEFT {modifier} joins are supported."
                raise self.syntax_error(text, self.tokens[self.index - 1].span)
            return str(modifier), natural
        if self.at("ASOF", "JOIN"):
            raise self.syntax_error("Currently only LEFT ASOF joins are supported.", self.token.span)
        if natural:
            raise self.error(expected='"JOIN"')
        return "", False

    def _join_condition(self, kind: str, natural: bool, left: Node, right: Node) -> Node:
        using: tuple[Identifier, ...] = ()
        condition: Node | None = None
        match: Node | None = None
        if kind == "ASOF":
            self.expect("MATCH_CONDITION")
            self.expect("(")
            match = self.expression()
            self.expect(")")
        if kind not in ("CROSS", "LATERAL", "OUTER APPLY") and not natural:
            if self.accept("USING"):
                using = self.parenthesised(self.identifier)
            elif self.accept("ON"):
                condition = self.expression()
            else:
                text = f"{kind} JOIN requires a condition (NATURAL keyword or ON or USING clause)"
                raise self.syntax_error(text, union(left.span, right.span))
        return Join(self.since(left.span), kind, left, right, natural, using, condition, match)

    def _table(self) -> Node:
        table = self.pivoted(self._table_primary())
        if self.at_any("MATCH_RECOGNIZE", "TABLESAMPLE") and self.peek().upper != ",":
            start = self.token.span
            what = self.advance().upper
            while not self.at("("):
                self.advance()
            self._skip_parentheses()
            return Unbuilt(self.since(start), what)
        return table

    def _table_primary(self) -> Node:
        start = self.token.span
        if self.at("UNNEST", "("):
            self.advance()
            items = self.parenthesised(self.expression)
            ordinality = self.accept("WITH", "ORDINALITY")
            alias = self.table_alias()
            return UnnestTable(self.since(start), items, ordinality, alias)
        if self.at("LATERAL"):
            self.advance()
            if self.at("TABLE") or self.at("UNNEST"):
                return self._table_primary()
            self.expect("(")
            query = self.query()
            self.expect(")")
            alias = self.table_alias()
            return DerivedTable(self.since(start), query, alias, lateral=True)
        if self.at("TABLE", "("):
            self.index += 2
            call = self._call()
            self.expect(")")
            if not isinstance(call, FunctionCall):
                raise self.error()
            alias = self.table_alias()
            return TableFunction(self.since(start), call, alias)
        if self.at("("):
            return self._parenthesised_table()
        name = self.name()
        hints = self.hints()
        alias = self.table_alias()
        return TableReference(self.since(start), name, alias, hints)

    def _parenthesised_table(self) -> Node:
        start = self.token.span
        if self.at_query():
            mark = self.index
            self.advance()
            query = self.query()
            if self.at(")"):
                self.advance()
                alias = self.table_alias()
                return DerivedTable(self.since(start), query, alias)
            self.index = mark
        self.expect("(")
        table = self._from()
        self.expect(")")
        return table

    def table_alias(self) -> TableAlias | None:
        explicit = self.accept("AS")
        if not explicit and (not self.at_name() or self.token.upper in _NOT_ALIASES):
            return None
        name = self.identifier()
        columns = self.parenthesised(self.identifier) if self.at("(") else ()
        return TableAlias(self.since(name.span), name, columns)


def _beside(left: Node, right: Node) -> Node:
    """The comma join. `a, LATERAL (q) JOIN b` is read as `(a, LATERAL (q)) JOIN b`, which has the same rows, so that q
    has a in sight."""
    if isinstance(right, Join) and _starts_laterally(right):
        return replace(right, span=union(left.span, right.span), left=_beside(left, right.left))
    return Join(union(left.span, right.span), "CROSS", left, right)


def _starts_laterally(node: Node) -> bool:
    """Whether the first relation of a join may refer to those before the join."""
    if isinstance(node, Join):
        movable = node.kind not in ("RIGHT", "FULL") and not node.natural and not node.using
        return movable and _starts_laterally(node.left)
    return isinstance(node, UnnestTable) or (isinstance(node, DerivedTable) and node.lateral)
