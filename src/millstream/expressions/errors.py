"""Type errors of expressions, and the way types are written in their messages (sql.md §15.1, §18)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from millstream.expressions.nodes import Expression, Lambda
from millstream.types import Kind, SqlType

UNARY_SPELLING = {"NEG": "-", "UNARY PLUS": "+", "NOT": "NOT "}
INFIX = frozenset(
    ("+", "-", "*", "/", "%", "=", "<>", "<", "<=", ">", ">=", "<=>", "||", "AND", "OR", "LIKE", "NOT LIKE",
     "ILIKE", "NOT ILIKE", "RLIKE", "NOT RLIKE", "IS DISTINCT FROM", "IS NOT DISTINCT FROM")
)  # fmt: skip
_FAMILIES = {
    Kind.BOOLEAN: "BOOLEAN", Kind.CHAR: "CHARACTER", Kind.VARCHAR: "CHARACTER", Kind.BINARY: "BINARY",
    Kind.VARBINARY: "BINARY", Kind.DATE: "DATE", Kind.TIME: "TIME", Kind.TIMESTAMP: "TIMESTAMP",
}  # fmt: skip


class TypeCheckError(Exception):
    """An expression that the type rules refuse; `error_type` is the heading of the compiler message."""

    def __init__(self, message: str, error_type: str = "Compilation error") -> None:
        super().__init__(message)
        self.message = message
        self.error_type = error_type


def type_text(sql_type: SqlType) -> str:
    """A type as it is written between `<` and `>` in messages."""
    kind = sql_type.kind
    if kind in (Kind.TIME, Kind.TIMESTAMP):
        return f"{kind.value}(0)"
    if kind is Kind.TIMESTAMP_TZ:
        return "TIMESTAMP WITH TIME ZONE(0)"
    if kind is Kind.ARRAY and sql_type.component is not None:
        return f"{type_text(sql_type.component)} ARRAY"
    if kind is Kind.MAP and sql_type.key is not None and sql_type.value is not None:
        return f"({type_text(sql_type.key)}, {type_text(sql_type.value)}) MAP"
    if kind is Kind.STRUCT:
        return "ROW(" + ", ".join(f"{type_text(f.type)} {f.name}" for f in sql_type.fields) + ")"
    return sql_type.sql()


def family_text(sql_type: SqlType) -> str:
    """The family of a type, as signatures of unknown functions show it: `NUMERIC`, `CHARACTER`, ..."""
    if sql_type.is_numeric:
        return "NUMERIC"
    return _FAMILIES.get(sql_type.kind, type_text(sql_type))


def signature_text(name: str, types: Sequence[str]) -> str:
    """A use of `name` over argument type texts, in the operator's own syntax."""
    marked = [f"<{text}>" for text in types]
    if name in UNARY_SPELLING and len(marked) == 1:
        return f"{UNARY_SPELLING[name]}{marked[0]}"
    if name in INFIX and len(marked) == 2:
        return f"{marked[0]} {name} {marked[1]}"
    if name.startswith("IS ") and len(marked) == 1:
        return f"{marked[0]} {name}"
    if "BETWEEN" in name and len(marked) == 3:
        return f"{marked[0]} {name} {marked[1]} AND {marked[2]}"
    return f"{name}({', '.join(marked)})"


def _argument_text(argument: Expression | SqlType) -> str:
    if isinstance(argument, Lambda):
        parameters = ", ".join(type_text(t) for t in argument.parameters)
        return f"FUNCTION({parameters})-><{type_text(argument.type)}>"
    return type_text(argument if isinstance(argument, SqlType) else argument.type)


def cannot_apply(name: str, arguments: Iterable[Expression | SqlType], forms: Sequence[str] = ()) -> TypeCheckError:
    """`Cannot apply 'F' to arguments of type 'F(<...>)'`, with the supported forms when given."""
    types = [_argument_text(a) for a in arguments]
    shown = UNARY_SPELLING.get(name, name).strip()
    message = f"Cannot apply '{shown}' to arguments of type '{signature_text(name, types)}'"
    if forms:
        message += ". Supported form(s): " + "\n".join(f"'{form}'" for form in forms)
    return TypeCheckError(message)


def no_match(name: str, arguments: Sequence[Expression]) -> TypeCheckError:
    """`No match found for function signature f(<NUMERIC>)`."""
    families = ", ".join(f"<{family_text(a.type)}>" for a in arguments)
    return TypeCheckError(f"No match found for function signature {name}({families})")


def wrong_count(name: str, expected: str) -> TypeCheckError:
    """`Invalid number of arguments to function 'F'. Was expecting n arguments`."""
    return TypeCheckError(f"Invalid number of arguments to function '{name}'. Was expecting {expected} arguments")


def not_implemented(name: str) -> TypeCheckError:
    """A known function that this compiler does not have."""
    return TypeCheckError(
        f"Function '{name}' not yet implemented\n"
        "You can suggest support for this feature by filing an issue at https://github.com/feldera/feldera/issues",
        "Not yet implemented",
    )
