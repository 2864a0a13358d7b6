"""Recursive views: which views refer to each other in circles, and the plan nodes that they become.

Views on a circle are one recursion (plan.nodes.Recursive). The declared ones are its members; LOCAL ones that lie on
the circle are written into the members' plans, and keep a plan of their own over the finished members.
"""

from __future__ import annotations

from dataclasses import replace

from millstream.plan.nodes import AsofJoin, Definition, Plan, Recursive, Scan, TopK, Window
from millstream.plan.program import Span, View
from millstream.plan.recursion import reads
from millstream.plan.walk import nodes, uses_now, with_inputs
from millstream.sql.context import Context
from millstream.sql.messages import NO_SPAN, SqlError, invalid, not_yet

_UNSUPPORTED = {Window: "OVER", TopK: "LIMIT", AsofJoin: "ASOF JOIN"}


def resolve_recursion(context: Context) -> None:
    """Give recursive views their plans, and put all views in an order in which each reads earlier ones only."""
    try:
        _Resolver(context).run()
    except SqlError as error:
        context.report(error)


class _Resolver:
    def __init__(self, context: Context) -> None:
        self._context = context
        self._declared = context.catalog.recursive
        self._views = context.catalog.views
        self._reads = {name: self._scanned(view.plan) for name, view in self._views.items()}

    def run(self) -> None:
        self._check_declarations()
        reach = {name: self._reachable(name) for name in self._views}
        done: set[str] = set()
        for name in list(self._views):
            if name not in reach[name]:
                if name in self._declared:
                    self._context.warn("View is not recursive", f"View '{name}' is not recursive", self._place(name))
            elif name not in done:
                circle = [other for other in self._views if other in reach[name] and name in reach[other]]
                done.update(circle)
                self._close(circle)
        self._order()

    def _scanned(self, plan: Plan) -> set[str]:
        known = self._views.keys() | self._declared.keys()
        return {node.relation for node in nodes(plan) if isinstance(node, Scan) and node.relation in known}

    def _check_declarations(self) -> None:
        used = set().union(*self._reads.values()) if self._reads else set()
        for name in self._declared:
            if name in self._views:
                continue
            if name in used:
                raise invalid(f"View '{name}' is declared as RECURSIVE but not created", self._place(name))
            text = f"View '{name}' is declared but not used"
            self._context.warn("Unused view declaration", text, self._place(name))

    def _place(self, name: str) -> Span:
        places = self._context.places
        return places.get(f"declaration of {name}") or places.get(name, NO_SPAN)

    def _reachable(self, name: str) -> set[str]:
        """All views that a view reads, directly or not."""
        found: set[str] = set()
        waiting = list(self._reads[name])
        while waiting:
            other = waiting.pop()
            if other not in found:
                found.add(other)
                waiting.extend(self._reads.get(other, ()))
        return found

    def _close(self, circle: list[str]) -> None:
        """Makes the views of a circle one recursion."""
        members = [name for name in circle if name in self._declared]
        inner = {name: self._views[name].plan for name in circle if name not in self._declared}
        for name in inner:
            if not self._views[name].local:
                text = f"View '{name}' must be declared either as LOCAL or as RECURSIVE"
                raise invalid(text, self._place(name))
        for name in circle:
            self._check_operations(self._views[name], circle)
        definitions = tuple(Definition(name, _inlined(self._views[name].plan, inner)) for name in members)
        outside = set().union(*(self._scanned(d.plan) for d in definitions)) - set(members)
        for position, name in enumerate(members):
            view = self._views[name]
            self._views[name] = replace(view, plan=Recursive(view.schema, definitions, position))
            self._reads[name] = outside

    def _check_operations(self, view: View, circle: list[str]) -> None:
        for node in nodes(view.plan):
            what = _UNSUPPORTED.get(type(node))
            if what is not None and reads(node, circle):
                raise not_yet(f"Unsupported operation '{what}' in recursive code", self._place(view.name))
        if uses_now(view.plan):
            raise not_yet("Unsupported operation 'NOW' in recursive code", self._place(view.name))

    def _order(self) -> None:
        """Puts the views in order, as they were declared where that is possible."""
        ordered: dict[str, View] = {}

        def visit(name: str) -> None:
            if name in ordered:
                return
            for other in self._views:
                if other in self._reads[name]:
                    visit(other)
            ordered[name] = self._views[name]

        for name in list(self._views):
            visit(name)
        self._context.catalog.views = ordered


def _inlined(plan: Plan, inner: dict[str, Plan]) -> Plan:
    """The plan with the scans of some views replaced by their plans."""
    if isinstance(plan, Scan) and plan.relation in inner:
        return replace(_inlined(inner[plan.relation], inner), schema=plan.schema)
    return with_inputs(plan, [_inlined(child, inner) for child in plan.inputs])
