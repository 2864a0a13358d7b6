"""The graph of a compiled program as JSON: what each view computes, node by node (api.md §9.6).

Two forms of the same plans. `mir` is one graph of the whole program: its nodes are tables, the distinct subplans of all
views, and views; equal subplans are one node, as they are one operator when the program runs. `calcite_plan` lists for
each view its plan alone, inputs before what reads them.
"""

from __future__ import annotations

import hashlib
from typing import Any

from millstream.plan.explain import describe, explain
from millstream.plan.nodes import Plan, Scan
from millstream.plan.program import Program


def dataflow_graph(program: Program) -> dict[str, Any]:
    """`{"calcite_plan": {view: {"rels"}}, "mir": {node: MirNode}}`. Costs O(nodes)."""
    graph = _Graph()
    for table in program.tables:
        graph.relations[table.name] = graph.add(operation="table", inputs=[], table=table.name)
    plans: dict[str, Any] = {}
    for view in program.views:
        rels: list[dict[str, Any]] = []
        _rel(view.plan, rels)
        plans[view.name] = {"rels": rels}
        source = graph.plan_node(view.plan)
        graph.relations[view.name] = graph.add(
            operation="view", inputs=[source], view=view.name, calcite={"final": len(rels) - 1}
        )
    return {"calcite_plan": plans, "mir": graph.nodes}


class _Graph:
    """Nodes by name, in an order in which each reads only earlier ones."""

    def __init__(self) -> None:
        self.nodes: dict[str, dict[str, Any]] = {}
        self.relations: dict[str, str] = {}
        self._plans: dict[Plan, str] = {}

    def add(self, *, operation: str, inputs: list[str], **more: Any) -> str:
        name = f"s{len(self.nodes)}"
        node = {"operation": operation, "inputs": [{"node": node, "output": 0} for node in inputs], "positions": []}
        self.nodes[name] = {**node, **more}
        return name

    def plan_node(self, plan: Plan) -> str:
        """The node of a plan, made with all below it if there is none yet."""
        if isinstance(plan, Scan) and plan.relation in self.relations:
            return self.relations[plan.relation]
        found = self._plans.get(plan)
        if found is None:
            inputs = [self.plan_node(child) for child in plan.inputs]
            found = self._plans[plan] = self.add(
                operation=_operation(plan),
                inputs=inputs,
                description=describe(plan),
                persistent_id=hashlib.sha256(explain(plan).encode()).hexdigest()[:32],
            )
        return found


def _operation(plan: Plan) -> str:
    return type(plan).__name__.lower()


def _rel(plan: Plan, rels: list[dict[str, Any]]) -> int:
    """Append a plan, inputs first; its number."""
    inputs = [_rel(child, rels) for child in plan.inputs]
    rel: dict[str, Any] = {
        "id": len(rels),
        "relOp": type(plan).__name__,
        "inputs": inputs,
        "fields": [column.name for column in plan.schema],
        "description": describe(plan),
    }
    if isinstance(plan, Scan):
        rel["table"] = [plan.relation]
    rels.append(rel)
    return int(rel["id"])
