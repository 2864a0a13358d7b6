"""Column types, and texts that are right for some and wrong for others."""

from __future__ import annotations

from millstream.types import Field, sql_type

COLUMN_TYPES = (
    sql_type.BOOLEAN,
    sql_type.TINYINT,
    sql_type.SMALLINT,
    sql_type.INTEGER,
    sql_type.BIGINT,
    sql_type.UTINYINT,
    sql_type.UBIGINT,
    sql_type.REAL,
    sql_type.DOUBLE,
    sql_type.decimal(10, 2),
    sql_type.decimal(38, 20),
    sql_type.VARCHAR,
    sql_type.VARBINARY,
    sql_type.DATE,
    sql_type.TIME,
    sql_type.TIMESTAMP,
    sql_type.TIMESTAMP_TZ,
    sql_type.UUID,
    sql_type.VARIANT,
    sql_type.array(sql_type.INTEGER),
    sql_type.map_of(sql_type.VARCHAR, sql_type.INTEGER),
    sql_type.struct((Field("x", sql_type.INTEGER), Field("y", sql_type.VARCHAR.with_nullable(False)))),
)
NESTED_TYPES = (
    sql_type.array(sql_type.VARCHAR),
    sql_type.array(sql_type.array(sql_type.DOUBLE.with_nullable(False))),
    sql_type.array(sql_type.struct((Field("a", sql_type.decimal(10, 2)), Field("b", sql_type.array(sql_type.BIGINT))))),
    sql_type.struct((Field("a", sql_type.VARIANT.with_nullable(False)), Field("B", sql_type.VARIANT, True))),
    sql_type.map_of(sql_type.VARCHAR, sql_type.array(sql_type.map_of(sql_type.VARCHAR, sql_type.DATE))),
    sql_type.map_of(sql_type.INTEGER, sql_type.VARIANT),
    sql_type.array(sql_type.VARBINARY),
)

_NUMBERS = (
    "0", "-0", "1", "-1", "127", "128", "-128", "-129", "255", "256", "32768", "2147483647", "2147483648",
    "-2147483648", "-2147483649", "9223372036854775807", "9223372036854775808", "-9223372036854775808",
    "-9223372036854775809", "18446744073709551615", "18446744073709551616", "1.0", "1.5", "-1.50", "0.005", "0.015",
    "0.025", "1e2", "1E-2", "1e400", "1e9999999", "-1.25e-9999999", "1e99999999999999999999",
    "1.7976931348623157e308", "0.1", "123456789.123456789", "3.4028236e38", "3.4e39", "9999999999.99",
    "99999999.99", "99999999.995", "99999999.994", "12345678901234567890123456789", "0.12345678901234567891",
    "1e-400", "-0.0", "5e-324", "9007199254740993", "123456789012345678901234567890.5e-10", "86400000",
    "1700000000000", "19000", "-719163", "2932897",
)  # fmt: skip
_STRINGS = (
    "", "a", "ab\\n\\\"c", "\\u00e9\\ud83d\\ude00", "é", "12", "+12", "-7", "1.5", " 1.5 ", "1e3", "NaN", "inf", "null",
    "0x10", "5.", ".5", "2024-01-02", "2024-1-2", " 2024-01-02 ", "2024-02-30", "2024-02-29", "2023-02-29",
    "1900-02-29",
    "0001-01-01", "0000-01-01", "9999-12-31", "2024-13-01", "2024-01-00", "1969-12-31", "10:11:12", "10:11:12.5",
    "10:11:12.123456789", "10:11:12.1234567891", "24:00:00", "10:60:00", "1:2:3", "10:11:12.", "2024-01-02 10:11:12",
    "2024-01-02T10:11:12Z", "2024-01-02T10:11:12.123456789Z", "2024-01-02t10:11:12+05:30", "2024-01-02 10:11:12.5-0800",
    "1969-12-31 23:59:59.999999", "2024-01-02 10:11:12 +01:00", "2024-01-02 10:11:60", "2024-01-02 10:11",
    "2024-01-02 10:11:12+24:00", "2024-01-02 10:11:12.Z", "12345678-1234-1234-1234-123456789abc",
    "12345678123412341234123456789ABC",
    "{12345678-1234-1234-1234-123456789abc}", "12345678-1234-1234-1234-123456789abg",
    "0xAB", "ab1", "3yZe7d", '{\\"b\\":1,\\"a\\":2}',
)  # fmt: skip
JSON_TEXTS = (
    "null", "true", "false", *_NUMBERS, *(f'"{text}"' for text in _STRINGS), "[]", "[1,2,255]", "[256]", "[1,null]",
    '["a"]', "[1.5]", "{}", '{"a":1}', '{"x":1,"y":"q"}', '{"X":1,"y":null}', '{"b":2,"a":null}',
    '{"b":1.50,"a":[{"z":1,"y":"\\u0041"}]}', "[ ]", "{ }", '[ 1 , 2 ]', '["a","b\\n",null,"é"]', "[[],[1.5,2],null]",
    "[[1,null]]", "[[[1]]]", '[{"a":1,"b":[1,2]},{"b":null},{},null]', '[{"a":1.005}]', '[{"a":"x"}]',
    "[[1,[2]]]", '{"a":null}', '{"a":1,"b":2,"B":3}', '{"a":1,"a":2}', '{"A":1,"a":2}', '{"\\u0061":1}',
    '{"b":[],"a":[{"d":"2024-01-02"}]}', '{"":1}', '{"a":{"x":[1,{"y":2}]}}', "[[[[[[1]]]]]]", '{"x":"1","y":"q"}',
    '{"z":[{"b":"2024-01-02","a":"1969-12-31"}],"é":[],"a":null}', '{"z":[{"b":"2024-13-02"}]}', '{"2":1,"10":2.50}',
    '{"a":1,"b":2,"a":3}', '[1,"q"]', "[1,2,3]",
)  # fmt: skip
CSV_TEXTS = (
    "", "a", "null", "NULL", "true", "false", '"a"', '"a""b"', '"a"b', '""', "0x1F", "0xZZ", "12", "-12", "+5",
    "1.5", "NaN", "Inf", "-inf", "1e400", "1e9999999", "-1.25e-9999999", "1e99999999999999999999", '"1,5"',
    '"x\ny"', '"{""a"":1}"', '"[1,2]"', "[1", "2024-01-02", "2024-01-02 10:11:12.5", "10:11:12", " 7 ",
    "12345678-1234-1234-1234-123456789abc", "é", 'a"b', '"\\"q"', "128", "1e39", '" "', '"{""x"":1,""y"":""q""}"',
    "12345678901234567890", "1.005",
)  # fmt: skip
