"""Expressions as normalised SQL, the way DEFAULT, LATENESS and WATERMARK appear in the schema JSON (sql.md §14.3)."""

from __future__ import annotations

from decimal import Decimal

from millstream.sql.source import Source
from millstream.sql.syntax import Constant, IntervalLiteral, Node, Operation


def normal_text(node: Node, source: Source) -> str:
    """`1e0` as `1.0E0`, intervals in upper case with their text quoted; what has no normal form as it was written."""
    if isinstance(node, Constant):
        return _constant(node)
    if isinstance(node, IntervalLiteral) and isinstance(node.value, Constant):
        sign = "-" if node.sign < 0 else ""
        unit = node.unit + (f" TO {node.to_unit}" if node.to_unit else "")
        return f"INTERVAL {sign}'{_escaped(node.value.text)}' {unit}"
    if isinstance(node, Operation) and node.name == "NEG":
        return f"-{normal_text(node.operands[0], source)}"
    return " ".join(source.text_of(node.span).split())


def _constant(node: Constant) -> str:
    if node.kind == "NUMBER":
        return _number(node.text)
    if node.kind == "STRING":
        return f"'{_escaped(node.text)}'"
    if node.kind == "BINARY":
        return f"X'{node.text.upper()}'"
    if node.kind in ("BOOLEAN", "NULL", "UNKNOWN"):
        return node.kind if node.kind != "BOOLEAN" else node.text.upper()
    return f"{node.kind.replace('_TZ', ' WITH TIME ZONE')} '{_escaped(node.text)}'"


def _number(text: str) -> str:
    """Doubles in scientific notation with one digit before the point."""
    if "e" not in text and "E" not in text:
        return text
    value = Decimal(text)
    sign, digits, exponent = value.as_tuple()
    assert isinstance(exponent, int)
    shown = "".join(map(str, digits))
    exponent += len(shown) - 1
    fraction = shown[1:].rstrip("0") or "0"
    if value == 0:
        shown, fraction, exponent = "0", "0", 0
    return f"{'-' if sign else ''}{shown[0]}.{fraction}E{exponent}"


def _escaped(text: str) -> str:
    return text.replace("'", "''")
