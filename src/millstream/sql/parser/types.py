"""Types as written: names and synonyms, sizes, suffix ARRAY, MAP<K, V>, ROW(...), nullability."""

from __future__ import annotations

from msgspec.structs import replace

from millstream.sql.dialect import TokenKind
from millstream.sql.messages import SqlError
from millstream.sql.parser.cursor import Cursor
from millstream.sql.syntax import DEFAULT_INTERVAL_DIGITS, Identifier, TypeName

_SYNONYMS = {
    "BOOL": "BOOLEAN", "INT": "INTEGER", "INT4": "INTEGER", "SIGNED": "INTEGER", "INT2": "SMALLINT",
    "INT8": "BIGINT", "INT64": "BIGINT", "DEC": "DECIMAL", "NUMERIC": "DECIMAL", "NUMBER": "DECIMAL",
    "FLOAT4": "REAL", "FLOAT32": "REAL", "FLOAT8": "DOUBLE", "FLOAT64": "DOUBLE", "CHARACTER": "CHAR",
    "STRING": "VARCHAR", "TEXT": "VARCHAR", "BYTEA": "VARBINARY", "DATETIME": "TIMESTAMP",
}  # fmt: skip
_BUILT_IN = frozenset(
    """BOOLEAN TINYINT SMALLINT INTEGER BIGINT DECIMAL REAL DOUBLE CHAR VARCHAR BINARY VARBINARY DATE TIME TIMESTAMP
    UUID VARIANT GEOMETRY FLOAT UNSIGNED MULTISET NULL""".split()  # noqa: SIM905 - a table of words
)
#: The types that a size may follow
_WITH_SIZE = ("DECIMAL", "CHAR", "VARCHAR", "BINARY", "VARBINARY", "TIME", "TIMESTAMP", "FLOAT")
_INTEGERS = ("TINYINT", "SMALLINT", "INTEGER", "BIGINT")
UNITS = {
    "YEARS": "YEAR", "MONTHS": "MONTH", "DAYS": "DAY", "HOURS": "HOUR", "MINUTES": "MINUTE", "SECONDS": "SECOND",
    "WEEKS": "WEEK", "QUARTERS": "QUARTER",
    "YEAR": "YEAR", "MONTH": "MONTH", "DAY": "DAY", "HOUR": "HOUR", "MINUTE": "MINUTE", "SECOND": "SECOND",
    "WEEK": "WEEK", "QUARTER": "QUARTER",
}  # fmt: skip


class TypeParser(Cursor):
    """Adds `type_name`."""

    def type_name(self) -> TypeName:
        """A type with its suffixes and [NOT] NULL."""
        start = self.token.span
        result = self._base_type()
        while self.at("ARRAY"):
            self.advance()
            result = TypeName(self.since(start), "ARRAY", element=result)
        if self.at_any("MULTISET"):
            raise SqlError("MULTISET type not supported", self.token.span, error_type="Not supported")
        nullable: bool | None = None
        if self.accept("NOT", "NULL"):
            nullable = False
        elif self.accept("NULL"):
            nullable = True
        return replace(result, span=self.since(start), nullable=nullable)

    def _base_type(self) -> TypeName:
        start = self.token.span
        token = self.token
        word = _SYNONYMS.get(token.upper, token.upper)
        if word == "MAP":
            return self._map_type()
        if word == "ROW":
            self.advance()
            fields = self.parenthesised(self._field)
            return TypeName(self.since(start), "ROW", fields=fields)
        if word == "INTERVAL":
            self.advance()
            unit, to_unit, _ = self.interval_qualifier()
            name = f"INTERVAL_{unit}" + (f"_{to_unit}" if to_unit else "")
            return TypeName(self.since(start), name)
        if token.kind is TokenKind.WORD and word in _BUILT_IN:
            self.advance()
            return self._built_in(word)
        user = self.identifier()
        return TypeName(user.span, user.name, user=user)

    def _built_in(self, word: str) -> TypeName:
        start = self.tokens[self.index - 1].span
        if word == "DOUBLE":
            self.accept("PRECISION")
        elif word in ("CHAR", "BINARY") and self.accept("VARYING"):
            word = "VARCHAR" if word == "CHAR" else "VARBINARY"
        elif word == "UNSIGNED":
            self.accept_any("INTEGER", "INT")
            return TypeName(self.since(start), "INTEGER UNSIGNED")
        arguments: tuple[int, ...] = ()
        if self.at("(") and word in _WITH_SIZE:
            arguments = self.parenthesised(self.integer)
        if word in _INTEGERS and self.accept("UNSIGNED"):
            word += " UNSIGNED"
        if word in ("TIME", "TIMESTAMP"):
            word = self._time_zone(word)
        return TypeName(self.since(start), word, arguments)

    def _time_zone(self, word: str) -> str:
        if self.accept("WITHOUT", "TIME", "ZONE"):
            return word
        if self.at("WITH", "LOCAL", "TIME", "ZONE") or (word == "TIME" and self.at("WITH", "TIME", "ZONE")):
            local = "LOCAL " if self.at("WITH", "LOCAL") else ""
            message = f"Type {word} WITH {local}TIME ZONE not supported"
            raise SqlError(message, self.tokens[self.index - 1].span, error_type="Not supported")
        if self.accept("WITH", "TIME", "ZONE"):
            return "TIMESTAMP_TZ"
        return word

    def _map_type(self) -> TypeName:
        start = self.token.span
        self.advance()
        self.expect("<")
        key = self.type_name()
        self.expect(",")
        value = self.type_name()
        self._close_angle()
        return TypeName(self.since(start), "MAP", key=key, value=value)

    def _close_angle(self) -> None:
        self.expect(">")

    def _field(self) -> tuple[Identifier, TypeName]:
        return self.identifier(), self.type_name()

    def field_list(self) -> tuple[tuple[Identifier, TypeName], ...]:
        """`(name type, ...)`."""
        return self.parenthesised(self._field)

    def at_unit(self) -> bool:
        return self.token.upper in UNITS

    def interval_qualifier(self) -> tuple[str, str | None, int]:
        """`unit[(p[, s])] [TO unit[(s)]]`: the units, and how many digits the leading field may have."""
        unit, precision = self._unit()
        to_unit = self._unit()[0] if self.accept("TO") else None
        return unit, to_unit, precision

    def _unit(self) -> tuple[str, int]:
        if not self.at_unit():
            raise self.error(expected='"DAY"')
        unit = UNITS[self.advance().upper]
        if self.at("(") and self.peek().kind is TokenKind.NUMBER:
            return unit, self.parenthesised(self.integer)[0]
        return unit, DEFAULT_INTERVAL_DIGITS
