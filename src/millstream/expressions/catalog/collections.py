"""Functions of arrays, maps and VARIANTs in the function catalog."""

from __future__ import annotations

from millstream.expressions.catalog.entry import NEVER, Entry, Family, entry

_OF_ARRAY = "NULL if the array is"
_OBJECT = """PARSE_JSON('{"b":1,"a":{"c":"x"}}')"""

ARRAYS = Family(
    "Array functions",
    "Positions count from 1. Elements are equal as in IS NOT DISTINCT FROM, and NULL is the smallest.",
    (
        entry("ARRAY", "`ARRAY[a, ...]`, `ARRAY(a, ...)`", "ARRAY", "An array of the common type of its elements.",
              "ARRAY[1, NULL]", "[1,null]", NEVER),
        entry("ITEM", "`a[i]`, `a[SAFE_OFFSET(i)]`, `m[k]`, `v[i]`, `v['k']`", "type of the element",
              "An element of an array, a map or a VARIANT; SAFE_OFFSET counts from 0.", "ARRAY[5, 6][2]", "6",
              "NULL if there is no such element"),
        entry("CARDINALITY, ARRAY_LENGTH, ARRAY_SIZE", "`CARDINALITY(c)`", "INTEGER",
              "The number of elements, also of a map.", "CARDINALITY(ARRAY[5, 6])", "2"),
        entry("ARRAY_APPEND", "`ARRAY_APPEND(a, x)`", "ARRAY", "The array and an element at its end.",
              "ARRAY_APPEND(ARRAY[1], 2)", "[1,2]", _OF_ARRAY),
        entry("ARRAY_PREPEND", "`ARRAY_PREPEND(a, x)`", "ARRAY", "The array and an element in front.",
              "ARRAY_PREPEND(ARRAY[1], 2)", "[2,1]", _OF_ARRAY),
        entry("ARRAY_CONCAT", "`ARRAY_CONCAT(a, ...)`", "ARRAY", "The elements of all arrays.",
              "ARRAY_CONCAT(ARRAY[1], ARRAY[2, 3])", "[1,2,3]"),
        entry("ARRAY_COMPACT", "`ARRAY_COMPACT(a)`", "ARRAY", "The elements that are not NULL.",
              "ARRAY_COMPACT(ARRAY[1, NULL])", "[1]"),
        entry("ARRAY_CONTAINS", "`ARRAY_CONTAINS(a, x)`", "BOOLEAN", "Whether x is an element.",
              "ARRAY_CONTAINS(ARRAY[1, 2], 2)", "true", _OF_ARRAY),
        entry("ARRAY_POSITION", "`ARRAY_POSITION(a, x)`", "BIGINT", "The first position of x, 0 if it is no element.",
              "ARRAY_POSITION(ARRAY[1, 2], 2)", "2", _OF_ARRAY),
        entry("ARRAY_REMOVE", "`ARRAY_REMOVE(a, x)`", "ARRAY", "The array without the elements that are x.",
              "ARRAY_REMOVE(ARRAY[1, 2, 1], 1)", "[2]", _OF_ARRAY),
        entry("ARRAY_DISTINCT", "`ARRAY_DISTINCT(a)`", "ARRAY", "Each element once, in the order of the array.",
              "ARRAY_DISTINCT(ARRAY[2, 1, 2])", "[2,1]"),
        entry("ARRAY_UNION", "`ARRAY_UNION(a, b)`", "ARRAY", "The elements of either, sorted, each once.",
              "ARRAY_UNION(ARRAY[2], ARRAY[1, 2])", "[1,2]"),
        entry("ARRAY_INTERSECT", "`ARRAY_INTERSECT(a, b)`", "ARRAY", "The elements of both, sorted, each once.",
              "ARRAY_INTERSECT(ARRAY[2], ARRAY[1, 2])", "[2]"),
        entry("ARRAY_EXCEPT", "`ARRAY_EXCEPT(a, b)`", "ARRAY", "The elements of a not in b, sorted, each once.",
              "ARRAY_EXCEPT(ARRAY[2, 1], ARRAY[2])", "[1]"),
        entry("ARRAYS_OVERLAP", "`ARRAYS_OVERLAP(a, b)`", "BOOLEAN", "Whether some element is in both.",
              "ARRAYS_OVERLAP(ARRAY[2], ARRAY[1, 2])", "true"),
        entry("ARRAY_INSERT", "`ARRAY_INSERT(a, i, x)`", "ARRAY",
              "The array with x at position i, padded with NULLs; -1 is the end.", "ARRAY_INSERT(ARRAY[1], 3, 9)",
              "[1,null,9]", "NULL if the array or the position is"),
        entry("ARRAY_MIN", "`ARRAY_MIN(a)`", "type of the element", "The least element.", "ARRAY_MIN(ARRAY[2, NULL])",
              "2", "NULL if there is no element but NULLs"),
        entry("ARRAY_MAX", "`ARRAY_MAX(a)`", "type of the element", "The greatest element.", "ARRAY_MAX(ARRAY[2, 3])",
              "3", "NULL if there is no element but NULLs"),
        entry("ARRAY_REPEAT", "`ARRAY_REPEAT(x, n)`", "ARRAY", "n times x.", "ARRAY_REPEAT('a', 2)", '["a","a"]',
              "NULL if n is"),
        entry("ARRAY_REVERSE", "`ARRAY_REVERSE(a)`", "ARRAY", "The elements in reverse order.",
              "ARRAY_REVERSE(ARRAY[1, 2])", "[2,1]"),
        entry("ARRAY_TO_STRING, ARRAY_JOIN", "`ARRAY_TO_STRING(a, separator [, null])`", "VARCHAR",
              "The texts of the elements, joined; NULLs are left out, or shown as given.",
              "ARRAY_TO_STRING(ARRAY[1, NULL, 2], '-')", '"1-2"'),
        entry("SORT_ARRAY", "`SORT_ARRAY(a [, ascending])`", "ARRAY", "The elements sorted.",
              "SORT_ARRAY(ARRAY[2, 1])", "[1,2]"),
        entry("ELEMENT", "`ELEMENT(a)`", "type of the element", "The only element; fails if there are several.",
              "ELEMENT(ARRAY[1])", "1", "NULL if the array is NULL or empty"),
        entry("TRANSFORM", "`TRANSFORM(a, x -> e)`", "ARRAY", "The results of a lambda for each element.",
              "TRANSFORM(ARRAY[1, 2], x -> x + 1)", "[2,3]", _OF_ARRAY),
        entry("ARRAY_EXISTS", "`ARRAY_EXISTS(a, x -> condition)`", "BOOLEAN",
              "Whether a lambda is TRUE for some element.", "ARRAY_EXISTS(ARRAY[1, 2], x -> x > 1)", "true",
              "NULL if the array is, or no result is TRUE but some is NULL"),
    ),
)  # fmt: skip

MAPS = Family(
    "Map functions",
    "Entries are in the order of their keys.",
    (
        entry("MAP", "`MAP[k, v, ...]`, `MAP(keys, values)`", "MAP", "A map; the last of equal keys counts.",
              "MAP['a', 1]", '{"a":1}', "NULL if an array is"),
        entry("MAP_CONCAT", "`MAP_CONCAT(m, n)`", "MAP", "The entries of both; n wins.",
              "MAP_CONCAT(MAP['a', 1], MAP['a', 2, 'b', 3])", '{"a":2,"b":3}'),
        entry("MAP_CONTAINS_KEY", "`MAP_CONTAINS_KEY(m, k)`", "BOOLEAN", "Whether the map has the key.",
              "MAP_CONTAINS_KEY(MAP['a', 1], 'a')", "true"),
        entry("MAP_KEYS", "`MAP_KEYS(m)`", "ARRAY", "The keys.", "MAP_KEYS(MAP['b', 1, 'a', 2])", '["a","b"]'),
        entry("MAP_VALUES", "`MAP_VALUES(m)`", "ARRAY", "The values in the order of their keys.",
              "MAP_VALUES(MAP['b', 1, 'a', 2])", "[2,1]"),
    ),
)  # fmt: skip


def _each(sql_type: str, name: str, json: str, value: str) -> Entry:
    return entry(f"JSON_EACH_{name}", f"`JSON_EACH_{name}(v)`", f"MAP<VARCHAR, {sql_type}>",
                 f"The top-level fields of an object that hold {sql_type} values.",
                 f"JSON_EACH_{name}(PARSE_JSON('{json}'))", value)  # fmt: skip


VARIANTS = Family(
    "VARIANT and JSON functions",
    "A VARIANT is a value together with its run-time type. `CAST(x AS VARIANT)` makes one of any value, "
    "`CAST(v AS T)` gives the value back, or NULL if it is no T.",
    (
        entry("PARSE_JSON", "`PARSE_JSON(s)`", "VARIANT", "The value of JSON text.", "PARSE_JSON('[1, 2.50]')",
              "[1,2.5]", "NULL if s is NULL or no JSON"),
        entry("TO_JSON", "`TO_JSON(v)`", "VARCHAR", "Compact JSON with sorted keys.", "TO_JSON(MAP['a', 1])",
              '"{\\"a\\":1}"', "NULL if v is NULL, or a map has keys that are no text"),
        entry("VARIANTNULL", "`VARIANTNULL()`", "VARIANT", "The JSON null, which is not SQL's NULL.",
              "VARIANTNULL() IS NULL", "false", NEVER),
        entry("TYPEOF", "`TYPEOF(v)`", "VARCHAR", "The name of the run-time type.", "TYPEOF(CAST(1 AS VARIANT))",
              '"INTEGER"'),
        _each("BIGINT", "BIGINT", '{"a":1,"b":"x"}', '{"a":1}'),
        _each("VARCHAR", "STRING", '{"a":1,"b":"x"}', '{"b":"x"}'),
        _each("BOOLEAN", "BOOLEAN", '{"a":true,"b":"x"}', '{"a":true}'),
        _each("DATE", "DATE", '{"a":"2020-03-04","b":"x"}', '{"a":"2020-03-04"}'),
        _each("TIME", "TIME", '{"a":"13:14:15","b":"x"}', '{"a":"13:14:15"}'),
        _each("TIMESTAMP", "TIMESTAMP", '{"a":"2020-03-04 13:14:15"}', '{"a":"2020-03-04 13:14:15"}'),
        entry("JSON_OBJECT_KEYS", "`JSON_OBJECT_KEYS(v)`", "VARCHAR ARRAY", "The sorted top-level keys of an object.",
              f"JSON_OBJECT_KEYS({_OBJECT})", '["a","b"]'),
        entry("JSON_KEYS", "`JSON_KEYS(v)`", "VARCHAR ARRAY", "The sorted paths of all keys of nested objects.",
              f"JSON_KEYS({_OBJECT})", '["a","a.c","b"]'),
        entry("VARIANT_MERGE", "`VARIANT_MERGE(v, w)`", "VARIANT", "Objects merged recursively; w wins.",
              """VARIANT_MERGE(PARSE_JSON('{"a":1}'), PARSE_JSON('{"b":2}'))""", '{"a":1,"b":2}'),
        entry("VARIANT_FILTER", "`VARIANT_FILTER(v, (k, x) -> condition)`", "VARIANT",
              "The members, by key or position k, for which a lambda is TRUE.",
              f"VARIANT_FILTER({_OBJECT}, (k, x) -> TYPEOF(x) = 'MAP')", '{"a":{"c":"x"}}',
              "NULL if v is, or is a scalar that does not fit"),
        entry("VARIANT_DEEP_FILTER", "`VARIANT_DEEP_FILTER(v, (path, x) -> condition)`", "VARIANT",
              "The members at any depth for which a lambda is TRUE.",
              f"VARIANT_DEEP_FILTER({_OBJECT}, (p, x) -> p <> 'a.c')", '{"a":{},"b":1}',
              "NULL if v is, or is a scalar that does not fit"),
        entry("VARIANT_MAP", "`VARIANT_MAP(v, (k, x) -> e)`", "VARIANT", "Each member replaced by a result.",
              f"VARIANT_MAP({_OBJECT}, (k, x) -> TYPEOF(x))", '{"a":"MAP","b":"BIGINT UNSIGNED"}', "NULL if v is"),
        entry("VARIANT_DEEP_MAP", "`VARIANT_DEEP_MAP(v, (path, x) -> e)`", "VARIANT",
              "Each leaf replaced by a result.", f"VARIANT_DEEP_MAP({_OBJECT}, (p, x) -> p)",
              '{"a":{"c":"a.c"},"b":"b"}', "NULL if v is"),
    ),
)  # fmt: skip
