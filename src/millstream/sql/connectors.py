"""The `connectors` property: a JSON array of connector configurations, checked and completed with defaults.

What is checked here is what the compiler must refuse (api.md §9.5, connectors.md §1.5); options inside a transport or
format are read when the pipeline starts. Configurations keep the attribute order and the omission rules of the API.
"""

from __future__ import annotations

import difflib
import json
import math
import re
from typing import Any, NoReturn

from millstream.plan.program import Property
from millstream.plan.transports import INPUT_TRANSPORT_NAMES, INTERNAL_TRANSPORT_NAMES, OUTPUT_TRANSPORT_NAMES
from millstream.sql.context import Context
from millstream.sql.messages import SqlError
from millstream.sql.syntax import Identifier

_MAX_NAME = 100
_NAME = re.compile(r"[A-Za-z0-9_-]+")
_U64_MAX = 2**64 - 1
_COUNTS = (
    "max_queued_records", "max_queued_bytes", "max_batch_size", "max_worker_batch_size",
    "max_output_buffer_size_records", "max_output_buffer_time_millis",
)  # fmt: skip
_FORMATS = ("json", "csv", "avro", "parquet", "raw")
_OTHERS = ("name", "transport", "format", "index", "labels", "start_after", "preprocessor", "postprocessor",
           "skip_unused_columns")  # fmt: skip
_FLAGS = ("paused", "enable_output_buffer", "send_snapshot", "soft_delete")
#: What connectors of the other kind of relation ignore. `soft_delete` and processors are refused there.
_INERT = {
    "table": ("index", "send_snapshot", "enable_output_buffer", "max_output_buffer_time_millis",
              "max_output_buffer_size_records"),
    "view": ("paused", "labels", "start_after", "max_batch_size", "max_worker_batch_size", "max_queued_bytes"),
}  # fmt: skip


def parse_connectors(
    relation: Identifier,
    kind: str,
    properties: dict[str, Property],
    context: Context,
    *,
    has_key: bool = False,
) -> dict[str, dict[str, Any]]:
    """Endpoint name -> complete configuration. `kind`: table or view. Raises SqlError at the property's value."""
    value = properties.get("connectors")
    if value is None:
        return {}
    return _Parser(relation.name, kind, value, context, has_key).parse()


class _Parser:
    """One `connectors` property being read."""

    def __init__(self, relation: str, kind: str, value: Property, context: Context, has_key: bool) -> None:
        self.relation = relation
        self.kind = kind
        self.value = value
        self.context = context
        self.has_key = has_key

    def parse(self) -> dict[str, dict[str, Any]]:
        try:
            entries = json.loads(self.value.value, parse_int=_integer, parse_float=_number, parse_constant=_number)
        except ValueError as error:
            self._bad_json(str(error), f"'connectors' is not legal JSON: {error}")
        if not isinstance(entries, list):
            reason = f"invalid type: {_json_type(entries)}, expected a sequence"
            self._bad_json(reason, "Expected an array value for 'connectors'")
        found: dict[str, dict[str, Any]] = {}
        for position, entry in enumerate(entries):
            if not isinstance(entry, dict):
                self._bad_json(f"invalid type: {_json_type(entry)}, expected a connector object")
            name = self._name(entry, position)
            endpoint = f"{self.relation}.{name}"
            if endpoint in found:
                text = f"Two connectors for the same {self.kind} '{self.relation}' cannot have the same name: '{name}'"
                self._fail(f"relation '{self.relation}': connector name '{endpoint}' is not unique\n{text}")
            found[endpoint] = _in_64_bits(self._complete(entry))
        return found

    def _fail(self, message: str) -> NoReturn:
        raise SqlError(message, self.value.value_span, error_type="ConnectorGenerationError")

    def _invalid(self, reason: str) -> NoReturn:
        self._fail(
            f"relation '{self.relation}': property 'connectors' has value '{self.value.value}' "
            f"which is invalid: {reason}"
        )

    def _bad_json(self, reason: str, summary: str = "") -> NoReturn:
        """`summary`: the same in the words of the SQL compiler, where both compiler and manager find the mistake."""
        text = f"deserialization failed: {reason} (position is within the string itself)"
        self._invalid(f"{text}\n{summary}" if summary else text)

    def _name(self, entry: dict[str, Any], position: int) -> str:
        if entry.get("name") is None:
            text = f"Connector {position} of {self.kind} '{self.relation}' does not have a name"
            self.context.warn("Unnamed connector", text, self.value.value_span)
            return f"unnamed-{position}"
        name = entry["name"]
        if not isinstance(name, str):
            reason = f"invalid type for 'name': {_json_type(name)}, expected a string"
            self._bad_json(reason, 'Expected a string value for the connector "name" property')
        if not name:
            self._invalid(f"connector name '{name}' is not valid: name must not be empty")
        if len(name) > _MAX_NAME:
            self._invalid(f"connector name '{name}' is not valid: name is longer than {_MAX_NAME} characters")
        if not _NAME.fullmatch(name):
            self._invalid(
                f"connector name '{name}' is not valid: name may only contain letters, digits, underscores and hyphens"
            )
        return name

    def _complete(self, entry: dict[str, Any]) -> dict[str, Any]:
        """The configuration with every default, in the API's order (api.md §11.3)."""
        self._warn_of_useless_keys(entry)
        for key in _COUNTS:
            count = entry.get(key)
            if count is not None and (type(count) is not int or not 0 <= count <= _U64_MAX):
                self._bad_json(f"invalid value for '{key}': {json.dumps(count)}, expected an unsigned integer")
        for key in _FLAGS:
            if not isinstance(entry.get(key, False), bool):
                self._bad_json(f"invalid value for '{key}': {json.dumps(entry[key])}, expected a boolean")
        if entry.get("soft_delete") and self.has_key:
            self._fail(f"'soft_delete' property cannot be used for table '{self.relation}', which has a primary key")
        config: dict[str, Any] = {
            "transport": self._transport(entry),
            "format": self._format(entry),
            "index": self._optional_text(entry, "index"),
        }
        for key in ("preprocessor", "postprocessor"):
            if entry.get(key) is not None:
                config[key] = self._processor(entry, key)
        config["enable_output_buffer"] = entry.get("enable_output_buffer", False)
        config["max_output_buffer_time_millis"] = _given(entry, "max_output_buffer_time_millis", _U64_MAX)
        config["max_output_buffer_size_records"] = _given(entry, "max_output_buffer_size_records", 10_000_000)
        config["max_queued_records"] = _given(entry, "max_queued_records", 1_000_000)
        for key in ("max_queued_bytes", "max_batch_size", "max_worker_batch_size"):
            if entry.get(key) is not None:
                config[key] = entry[key]
        config["paused"] = entry.get("paused", False)
        config["labels"] = self._labels(entry)
        config["start_after"] = self._start_after(entry)
        for key in ("send_snapshot", "soft_delete"):
            if entry.get(key):
                config[key] = True
        return config

    def _warn_of_useless_keys(self, entry: dict[str, Any]) -> None:
        known = (*_OTHERS, *_COUNTS, *_FLAGS)
        for key in entry.keys() - set(known):
            near = difflib.get_close_matches(key, known, 1)
            hint = f"; did you mean '{near[0]}'?" if near else ""
            shown = entry.get("name") or "<unnamed>"
            text = f"Connector '{shown}' of {self.kind} '{self.relation}' has the unknown property '{key}'{hint}"
            self.context.warn("Invalid configuration", text, self.value.value_span)
        for key in _INERT[self.kind]:
            if entry.get(key) not in (None, False, []):
                direction = "input" if self.kind == "table" else "output"
                shown = entry.get("name") or "<unnamed>"
                text = (
                    f"Property '{key}' of connector '{shown}' of {self.kind} '{self.relation}' has no effect "
                    f"on an {direction} connector"
                )
                self.context.warn("Invalid configuration", text, self.value.value_span)

    def _transport(self, entry: dict[str, Any]) -> dict[str, Any]:
        transport = entry.get("transport")
        if not isinstance(transport, dict):
            reason = "missing field `transport`" if transport is None else "field `transport` must be an object"
            self._bad_json(reason)
        name = transport.get("name")
        if not isinstance(name, str):
            self._bad_json("missing field `name` of `transport`")
        wanted = INPUT_TRANSPORT_NAMES if self.kind == "table" else OUTPUT_TRANSPORT_NAMES
        if name not in INPUT_TRANSPORT_NAMES | OUTPUT_TRANSPORT_NAMES | INTERNAL_TRANSPORT_NAMES:
            near = difflib.get_close_matches(name, wanted, 1)
            right = f"did you mean `{near[0]}`?" if near else f"expected one of {', '.join(sorted(wanted))}"
            self._bad_json(f"unknown variant `{name}` of `transport`: {right}")
        if name not in wanted:
            expected, got = ("input", "output") if self.kind == "table" else ("output", "input")
            shown = entry.get("name") or "<unnamed>"
            self._fail(
                f"relation '{self.relation}': expected an {expected} variant but got an {got} variant "
                f"for connector '{shown}'"
            )
        if not isinstance(transport.get("config", {}), (dict, type(None))):
            self._bad_json("field `config` of `transport` must be an object")
        if "skip_unused_columns" in (transport.get("config") or {}) or "skip_unused_columns" in entry:
            text = f"'skip_unused_columns' of a connector is deprecated; use the property of table '{self.relation}'"
            self.context.warn("Deprecated connector property", text, self.value.value_span)
        return transport

    def _format(self, entry: dict[str, Any]) -> dict[str, Any] | None:
        chosen = entry.get("format")
        if chosen is None:
            return None
        if not isinstance(chosen, dict) or not isinstance(chosen.get("name"), str):
            self._bad_json("field `format` must be an object with a `name`")
        if chosen["name"] not in _FORMATS:
            shown = entry.get("name") or "<unnamed>"
            text = f"Connector '{shown}' of {self.kind} '{self.relation}' has the unknown format '{chosen['name']}'"
            self.context.warn("Unknown format", text, self.value.value_span)
        return {"name": chosen["name"], "config": chosen.get("config") or {}}

    def _optional_text(self, entry: dict[str, Any], key: str) -> str | None:
        value = entry.get(key)
        if value is not None and not isinstance(value, str):
            self._bad_json(f"invalid value for '{key}': {json.dumps(value)}, expected a string")
        return value

    def _processor(self, entry: dict[str, Any], key: str) -> NoReturn:
        wanted = "table" if key == "preprocessor" else "view"
        owner = f"\"{key}\" property for {self.kind} '{self.relation}'"
        if self.kind != wanted:
            self._fail(f"{owner} must be attached to a {wanted}")
        value = entry[key]
        if not isinstance(value, list):
            self._fail(f"{owner} must be an array")
        if len(value) != 1:
            self._fail(f"{owner} must be an array with exactly 1 element")
        if not isinstance(value[0], dict) or not isinstance(value[0].get("name"), str):
            self._fail(f'{key.capitalize()} must have a field "name"')
        self._fail(f"{owner}: {key}s are not supported")

    def _labels(self, entry: dict[str, Any]) -> list[str]:
        labels = entry.get("labels") or []
        if not isinstance(labels, list) or not all(isinstance(label, str) for label in labels):
            self._bad_json("invalid value for 'labels': expected an array of strings")
        return labels

    def _start_after(self, entry: dict[str, Any]) -> list[str] | None:
        value = entry.get("start_after")
        if isinstance(value, str):
            return [value]
        if value is not None and not (isinstance(value, list) and all(isinstance(label, str) for label in value)):
            self._bad_json("invalid 'start_after' property: expected a string, an array of strings, or null")
        return value


def _given(entry: dict[str, Any], key: str, default: int) -> int:
    value = entry.get(key)
    return default if value is None else int(value)


def _json_type(value: Any) -> str:
    names = {dict: "map", list: "sequence", str: "string", bool: "boolean", int: "integer", float: "floating point"}
    return "null" if value is None else names.get(type(value), "value")


def _number(text: str) -> float:
    """A number with a fraction or exponent. Raises ValueError where JSON has no such number, or a double does not."""
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"number out of range: {text[:40]}")
    return value


def _integer(text: str) -> int:
    """An integer, if a double can at least come near it; raises like `_number`."""
    _number(text)
    return int(text)


def _in_64_bits(value: Any) -> Any:
    """The value with floats in place of integers beyond 64 bits, as in the API."""
    if isinstance(value, dict):
        return {key: _in_64_bits(member) for key, member in value.items()}
    if isinstance(value, list):
        return [_in_64_bits(member) for member in value]
    if isinstance(value, int) and not -(1 << 63) <= value < 1 << 64:
        return float(value)
    return value
