"""What changed from one program to another: relations and connectors by name (api.md §9.8).

A table is modified if its columns, primary key, `materialized` or `append_only` differ; a view if its plan or
`MATERIALIZED` differs, or if it reads, directly or not, a relation that has changed. How a program is written does not
count. LOCAL views are no relations that users see: they are not listed, yet what reads a changed one has changed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from millstream.plan.nodes import Scan
from millstream.plan.program import Program, Table, View
from millstream.plan.walk import nodes


def program_differences(old: Program, new: Program) -> dict[str, Any]:
    """The API's `PipelineDiff`. Costs O(size of both programs)."""
    before, after = {t.name: t for t in old.tables}, {t.name: t for t in new.tables}
    tables = _sorted_out(before, after, lambda name: _shape(before[name]) != _shape(after[name]))
    changed = set(tables["modified"] + tables["added"] + tables["removed"])
    old_views = {view.name: view for view in old.views}
    for view in new.views:
        known = old_views.get(view.name)
        reads = {node.relation for node in nodes(view.plan) if isinstance(node, Scan)}
        if known is None or _definition(known) != _definition(view) or reads & changed:
            changed.add(view.name)
    views = _sorted_out(_visible(old), _visible(new), changed.__contains__)
    return {
        "program_diff": {
            **{f"{how}_tables": names for how, names in tables.items()},
            **{f"{how}_views": names for how, names in views.items()},
        },
        "program_diff_error": None,
        **_connector_differences("input", old.tables, new.tables),
        **_connector_differences("output", old.views, new.views),
    }


def _sorted_out(before: Mapping[str, Any], after: Mapping[str, Any], is_modified: Any) -> dict[str, list[str]]:
    return {
        "added": [name for name in after if name not in before],
        "removed": [name for name in before if name not in after],
        "modified": [name for name in after if name in before and is_modified(name)],
    }


def _shape(table: Table) -> Any:
    columns = [(c.name, c.type) for c in table.columns]
    return columns, table.primary_key, table.materialized, table.append_only


def _definition(view: View) -> Any:
    return view.plan, view.materialized


def _visible(program: Program) -> dict[str, View]:
    return {view.name: view for view in program.views if not view.local}


def _connector_differences(kind: str, old: Iterable[Table | View], new: Iterable[Table | View]) -> dict[str, list[str]]:
    before = {name: config for relation in old for name, config in relation.connectors.items()}
    after = {name: config for relation in new for name, config in relation.connectors.items()}
    found = _sorted_out(before, after, lambda name: before[name] != after[name])
    return {f"{how}_{kind}_connectors": names for how, names in found.items()}
