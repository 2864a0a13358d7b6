"""`program_info` of the API: the schema of a program's relations and its connectors (api.md §9.4)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from millstream.plan.nodes import Column
from millstream.plan.program import ERROR_VIEW, ERROR_VIEW_SCHEMA, Program, Property, Table, TableColumn, View
from millstream.sql.identifiers import quoted


def program_info(program: Program, text: str) -> dict[str, Any]:
    """The JSON object; `text` is the program that was compiled, of which nothing but names is repeated."""
    views = [view for view in program.views if not view.local]
    return {
        "schema": {
            "inputs": [_table(table) for table in program.tables],
            "outputs": [_error_view(), *map(_view, views)],
        },
        "input_connectors": _connectors(program.tables),
        "output_connectors": _connectors(views),
        "udf_stubs": "",
    }


def _table(table: Table) -> dict[str, Any]:
    key = [table.columns[index].name for index in table.primary_key]
    return {
        "name": table.name,
        "case_sensitive": table.case_sensitive,
        "fields": [_declared(column) for column in table.columns],
        "materialized": table.materialized,
        "properties": _properties(table.properties),
        "primary_key": key or None,
    }


def _view(view: View) -> dict[str, Any]:
    lateness = {delay.column: delay.text for delay in view.delays}
    return {
        "name": view.name,
        "case_sensitive": view.case_sensitive,
        "fields": [_computed(column, lateness.get(index)) for index, column in enumerate(view.schema)],
        "materialized": view.materialized,
        "properties": _properties(view.properties),
        "primary_key": None,
    }


def _error_view() -> dict[str, Any]:
    return {
        "name": ERROR_VIEW,
        "case_sensitive": False,
        "fields": [_computed(column) for column in ERROR_VIEW_SCHEMA],
        "materialized": False,
        "properties": {},
        "primary_key": None,
    }


def _declared(column: TableColumn) -> dict[str, Any]:
    return {
        "name": column.name,
        "case_sensitive": column.case_sensitive,
        "columntype": column.type.to_json(),
        "lateness": column.lateness_text,
        "default": column.default_text,
        "watermark": column.watermark_text,
        "unused": column.unused,
    }


def _computed(column: Column, lateness: str | None = None) -> dict[str, Any]:
    return _declared(TableColumn(column.name, column.type, column.case_sensitive, lateness_text=lateness))


def _properties(properties: Mapping[str, Property]) -> dict[str, Any]:
    return {
        key: {
            "value": value.value,
            "key_position": value.key_span.to_json(),
            "value_position": value.value_span.to_json(),
        }
        for key, value in properties.items()
    }


def _connectors(relations: Iterable[Table | View]) -> dict[str, Any]:
    return {
        endpoint: {"stream": quoted(relation.name, relation.case_sensitive), **config}
        for relation in relations
        for endpoint, config in relation.connectors.items()
    }
