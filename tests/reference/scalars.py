"""Scalar functions in plain Python, one row at a time, as sql.md §7 and §11 define them.

A case is the name of a registry entry, an expression over the columns of tests/oracle/test_scalars.py, the columns that
it reads, and what it gives for a row in which none of them is NULL; STRICT ones are NULL for other rows, LAZY ones are
asked for those rows, too.
"""

from __future__ import annotations

import calendar
import datetime
import hashlib
import json
import math
import re
from collections.abc import Callable
from decimal import ROUND_DOWN, ROUND_HALF_EVEN, ROUND_HALF_UP, Decimal
from typing import Any

import xxhash

Case = tuple[str, str, str, Callable[..., Any]]

EPOCH = datetime.datetime(1970, 1, 1)
DAY = datetime.timedelta(days=1)


def truncated(a: int, b: int) -> int:
    return abs(a) // abs(b) * (1 if (a < 0) == (b < 0) else -1)


def digits(x: Decimal, n: int, mode: str) -> Decimal:
    return x.quantize(Decimal(1).scaleb(-n), mode)


def signed(word: int) -> int:
    return word - 2**64 if word >= 2**63 else word


def part(s: str, separator: str, n: int) -> str:
    parts = s.split(separator)
    return parts[n - 1 if n > 0 else n] if n and abs(n) <= len(parts) else ""


def window(s: str, i: int, n: int) -> str:
    return s[max(i - 1, 0) : max(i - 1 + max(n, 0), 0)]


def substr(s: str, i: int) -> str:
    return s[i:] if i < 0 and -i <= len(s) else s if i < 0 else s[max(i - 1, 0) :]


def overlay(s: str, r: str, i: int) -> str:
    return s if i <= 0 else s[: i - 1] + r + s[i - 1 + len(r) :]


def words(s: str, pattern: str) -> str:
    return re.sub(pattern, lambda m: m[0][0].upper() + m[0][1:].lower(), s)


def like(s: str, pattern: str) -> bool:
    regex = "".join({"%": ".*", "_": "."}.get(c, re.escape(c)) for c in pattern)
    return re.fullmatch(regex, s, re.DOTALL) is not None


def months(t: datetime.datetime, n: int) -> datetime.datetime:
    year, month = divmod(t.year * 12 + t.month - 1 + n, 12)
    return t.replace(year=year, month=month + 1, day=min(t.day, calendar.monthrange(year, month + 1)[1]))


def months_between(a: datetime.datetime, b: datetime.datetime) -> int:
    if a > b:
        return -months_between(b, a)
    count = (b.year - a.year) * 12 + b.month - a.month
    return count - ((b.day, b.time()) < (a.day, a.time()))


def midnight(d: datetime.date) -> datetime.datetime:
    return datetime.datetime.combine(d, datetime.time())


def micros(t: datetime.timedelta) -> int:
    return t // datetime.timedelta(microseconds=1)


def sunday(d: datetime.date) -> datetime.date:
    return d - DAY * (d.isoweekday() % 7)


NUMERIC: list[Case] = [
    ("+", "i + j", "i j", lambda i, j: i + j), ("-", "i - j", "i j", lambda i, j: i - j),
    ("*", "n * n", "n", lambda n: n * n), ("/", "i / (j * j + 1)", "i j", lambda i, j: truncated(i, j * j + 1)),
    ("%", "i % (j * j + 1)", "i j", lambda i, j: int(math.fmod(i, j * j + 1))),
    ("MOD", "MOD(i, 3)", "i", lambda i: int(math.fmod(i, 3))), ("NEG", "-i", "i", lambda i: -i),
    ("UNARY PLUS", "+i", "i", lambda i: i), ("ABS", "ABS(i)", "i", abs), ("ABS", "ABS(n)", "n", abs),
    ("SIGN", "SIGN(i)", "i", lambda i: (i > 0) - (i < 0)), ("CEIL", "CEIL(d)", "d", math.ceil),
    ("CEILING", "CEILING(n)", "n", math.ceil), ("FLOOR", "FLOOR(n)", "n", math.floor),
    ("ROUND", "ROUND(n, 1)", "n", lambda n: digits(n, 1, ROUND_HALF_UP)),
    ("TRUNCATE", "TRUNCATE(n, 1)", "n", lambda n: digits(n, 1, ROUND_DOWN)),
    ("TRUNC", "TRUNC(d)", "d", math.trunc), ("BROUND", "BROUND(n, 1)", "n", lambda n: digits(n, 1, ROUND_HALF_EVEN)),
    ("DIV_NULL", "DIV_NULL(i, j)", "i j", lambda i, j: None if j == 0 else truncated(i, j)),
    ("FINITE_OR_NULL", "FINITE_OR_NULL(d)", "d", lambda d: d), ("IS_INF", "IS_INF(d)", "d", math.isinf),
    ("IS_NAN", "IS_NAN(d)", "d", math.isnan), ("SQRT", "SQRT(d * d)", "d", abs),
    ("CBRT", "CBRT(d)", "d", lambda d: math.copysign(abs(d) ** (1 / 3), d)),
    ("LN", "LN(d * d + 1)", "d", lambda d: math.log(d * d + 1)),
    ("LOG10", "LOG10(d * d + 1)", "d", lambda d: math.log10(d * d + 1)),
    ("LOG", "LOG(d * d + 1, 3)", "d", lambda d: math.log(d * d + 1) / math.log(3)),
    ("POWER", "POWER(d, 2)", "d", lambda d: d**2), ("ATAN2", "ATAN2(d, e)", "d e", math.atan2),
    *((f.upper(), f"{f}(d)", "d", getattr(math, f))
      for f in ("exp", "sin", "cos", "tan", "atan", "sinh", "cosh", "tanh")),
    *((f.upper(), f"{f}(d)", "d", getattr(math, f)) for f in ("asinh", "degrees", "radians")),
    *((f"A{f.upper()}", f"A{f}({f}(d) / 2)", "d", lambda d, f=f: getattr(math, "a" + f)(getattr(math, f)(d) / 2))
      for f in ("sin", "cos", "tanh")),
    ("ACOSH", "ACOSH(d * d + 1)", "d", lambda d: math.acosh(d * d + 1)),
    ("SEC", "SEC(d)", "d", lambda d: 1 / math.cos(d)), ("CSC", "CSC(d + 9)", "d", lambda d: 1 / math.sin(d + 9)),
    ("COT", "COT(d + 9)", "d", lambda d: 1 / math.tan(d + 9)), ("SECH", "SECH(d)", "d", lambda d: 1 / math.cosh(d)),
    ("CSCH", "CSCH(d + 9)", "d", lambda d: 1 / math.sinh(d + 9)),
    ("COTH", "COTH(d + 9)", "d", lambda d: 1 / math.tanh(d + 9)), ("PI", "PI + d", "d", lambda d: math.pi + d),
    ("SEQUENCE", "SEQUENCE(i, j)", "i j", lambda i, j: list(range(i, j + 1))), ("BLACKBOX", "BLACKBOX(i)", "i", int),
    ("WRITELOG", "WRITELOG('%%', i)", "i", int),
]  # fmt: skip

TEXTS: list[Case] = [
    ("||", "s || u", "s u", lambda s, u: s + u), ("CONCAT", "CONCAT(s, i, u)", "s i u", lambda s, i, u: f"{s}{i}{u}"),
    ("LENGTH", "LENGTH(u)", "u", len), ("LEN", "LEN(s)", "s", len), ("CHAR_LENGTH", "CHAR_LENGTH(u)", "u", len),
    ("CHARACTER_LENGTH", "CHARACTER_LENGTH(u)", "u", len),
    ("OCTET_LENGTH", "OCTET_LENGTH(u)", "u", lambda u: len(u.encode())), ("UPPER", "UPPER(u)", "u", str.upper),
    ("LOWER", "LOWER(u)", "u", str.lower), ("INITCAP", "INITCAP(u)", "u", lambda u: words(u, r"[^\W_]+")),
    ("INITCAP_SPACES", "INITCAP_SPACES(u)", "u", lambda u: words(u, "[^ ]+")),
    ("TRIM", "TRIM(BOTH 'aé' FROM u)", "u", lambda u: u.strip("aé")),
    ("TRIM", "TRIM(LEADING 'a' FROM s)", "s", lambda s: s.lstrip("a")),
    ("SUBSTRING", "SUBSTRING(u, i, j)", "u i j", window), ("SUBSTR", "SUBSTR(u, i)", "u i", substr),
    ("LEFT", "LEFT(u, i)", "u i", lambda u, i: u[: max(i, 0)]),
    ("RIGHT", "RIGHT(u, i)", "u i", lambda u, i: u[-i:] if i > 0 else ""),
    ("POSITION", "POSITION(s IN u)", "s u", lambda s, u: u.find(s) + 1),
    ("OVERLAY", "OVERLAY(u PLACING s FROM i)", "u s i", overlay),
    ("REPLACE", "REPLACE(u, 'a', s)", "u s", lambda u, s: u.replace("a", s)),
    ("REPEAT", "REPEAT(s, i)", "s i", lambda s, i: s * max(i, 0)), ("REVERSE", "REVERSE(u)", "u", lambda u: u[::-1]),
    ("ASCII", "ASCII(u)", "u", lambda u: ord(u[0]) if u else 0),
    ("CHR", "CHR(i + 230)", "i", lambda i: chr(i + 230)),
    ("SPLIT", "SPLIT(u, 'a')", "u", lambda u: u.split("a") if u else []),
    ("SPLIT ITEM", "SPLIT(u, 'a')[i]", "u i",
     lambda u, i: u.split("a")[i - 1] if u and 1 <= i <= len(u.split("a")) else None),
    ("SPLIT_PART", "SPLIT_PART(u, 'a', i)", "u i", lambda u, i: part(u, "a", i)),
    ("LIKE", "u LIKE '%a_%'", "u", lambda u: like(u, "%a_%")), ("NOT LIKE", "u NOT LIKE 'a%'", "u",
                                                               lambda u: not like(u, "a%")),
    ("ILIKE", "u ILIKE '%É%'", "u", lambda u: "é" in u.lower()),
    ("NOT ILIKE", "u NOT ILIKE 'A%'", "u", lambda u: not u.lower().startswith("a")),
    ("RLIKE", "u RLIKE '[aé]b'", "u", lambda u: re.search("[aé]b", u) is not None),
    ("NOT RLIKE", "u NOT RLIKE '^a'", "u", lambda u: not u.startswith("a")),
    ("REGEXP_REPLACE", "REGEXP_REPLACE(u, '(a+)b', '<$1>')", "u", lambda u: re.sub("(a+)b", r"<\1>", u)),
    ("MD5", "MD5(u)", "u", lambda u: hashlib.md5(u.encode()).hexdigest()),
    ("XXHASH", "XXHASH(u, 7)", "u", lambda u: signed(xxhash.xxh64_intdigest(u.encode(), 7))),
    ("TO_HEX", "TO_HEX(b)", "b", bytes.hex), ("TO_INT", "TO_INT(b)", "b",
                                              lambda b: int.from_bytes(b[:4], "big", signed=len(b) >= 4)),
    ("BIN2UTF8", "BIN2UTF8(CAST(u AS VARBINARY))", "u", str),
    ("WIDEN", "CAST('a ' AS CHAR(2)) || s", "s", lambda s: "a " + s),
]  # fmt: skip

TIMES: list[Case] = [
    ("EXTRACT", "EXTRACT(MICROSECOND FROM ts)", "ts", lambda t: t.second * 1_000_000 + t.microsecond),
    ("DATE_PART", "DATE_PART(EPOCH, dt)", "dt", lambda d: (midnight(d) - EPOCH) // DAY * 86400),
    ("YEAR", "YEAR(ts)", "ts", lambda t: t.year), ("QUARTER", "QUARTER(dt)", "dt", lambda d: (d.month + 2) // 3),
    ("MONTH", "MONTH(dt)", "dt", lambda d: d.month), ("WEEK", "WEEK(dt)", "dt", lambda d: d.isocalendar()[1]),
    ("DAY", "DAY(dt)", "dt", lambda d: d.day), ("DAYOFMONTH", "DAYOFMONTH(ts)", "ts", lambda t: t.day),
    ("DOY", "DOY(dt)", "dt", lambda d: d.timetuple().tm_yday),
    ("DAYOFYEAR", "DAYOFYEAR(ts)", "ts", lambda t: t.timetuple().tm_yday),
    ("DOW", "DOW(dt)", "dt", lambda d: d.isoweekday() % 7 + 1),
    ("DAYOFWEEK", "DAYOFWEEK(ts)", "ts", lambda t: t.isoweekday() % 7 + 1),
    ("HOUR", "HOUR(ts)", "ts", lambda t: t.hour), ("MINUTE", "MINUTE(ts)", "ts", lambda t: t.minute),
    ("SECOND", "SECOND(ts)", "ts", lambda t: t.second),
    ("FLOOR TO", "FLOOR(ts TO HOUR)", "ts", lambda t: t.replace(minute=0, second=0, microsecond=0)),
    ("CEIL TO", "CEIL(dt TO MONTH)", "dt",
     lambda d: d if d.day == 1 else months(midnight(d).replace(day=1), 1).date()),
    ("TRUNC TO", "DATE_TRUNC(dt, WEEK)", "dt", sunday), ("DATE_TRUNC", "DATE_TRUNC(dt, YEAR)", "dt",
                                                         lambda d: d.replace(month=1, day=1)),
    ("TIMESTAMP_TRUNC", "TIMESTAMP_TRUNC(ts, DAY)", "ts", lambda t: midnight(t.date())),
    ("TIME_TRUNC", "TIME_TRUNC(tm, MINUTE)", "tm", lambda t: t.replace(second=0, microsecond=0)),
    ("TIMESTAMPADD", "TIMESTAMPADD(MONTH, i, ts)", "ts i", months),
    ("UNITS", "TIMESTAMPADD(DAY, i, dt)", "dt i", lambda d, i: d + DAY * i),
    ("DATE_ADD", "DATE_ADD(ts, INTERVAL '25' HOUR)", "ts", lambda t: t + datetime.timedelta(hours=25)),
    ("DATE_SUB", "DATE_SUB(dt, INTERVAL '1' DAY)", "dt", lambda d: d - DAY),
    ("TIMESTAMPDIFF", "TIMESTAMPDIFF(MONTH, dt, ts)", "dt ts", lambda d, t: months_between(midnight(d), t)),
    ("DATEDIFF", "DATEDIFF(DAY, dt, ts)", "dt ts", lambda d, t: truncated(micros(t - midnight(d)), micros(DAY))),
    ("TIMESTAMP_DIFF_INTERVAL", "CAST((ts - dt) HOUR AS BIGINT)", "ts dt",
     lambda t, d: truncated(micros(t - midnight(d)), 3_600_000_000)),
    ("MAKE_DATE", "MAKE_DATE(2019 + i, 2, 29)", "i",
     lambda i: datetime.date(2019 + i, 2, 29) if calendar.isleap(2019 + i) else None),
    ("MAKE_TIME", "MAKE_TIME(i, 1, 2.5)", "i", lambda i: datetime.time(i, 1, 2, 500_000) if i >= 0 else None),
    ("MAKE_TIMESTAMP", "MAKE_TIMESTAMP(2020, 1, i, 3, 4, 5)", "i",
     lambda i: datetime.datetime(2020, 1, i, 3, 4, 5) if i > 0 else None),
    ("CONVERT_TIMEZONE", "CONVERT_TIMEZONE('+02:00', 'UTC', ts)", "ts", lambda t: t - datetime.timedelta(hours=2)),
    ("FORMAT_DATE", "FORMAT_DATE('%d/%m/%Y', dt)", "dt", lambda d: f"{d.day:02}/{d.month:02}/{d.year:04}"),
    ("FORMAT_TIME", "FORMAT_TIME('%H:%M:%S', tm)", "tm", lambda t: t.strftime("%H:%M:%S")),
    ("FORMAT_TIMESTAMP", "FORMAT_TIMESTAMP('%F %T%.6f', ts)", "ts", lambda t: t.isoformat(" ", "microseconds")),
    ("PARSE_DATE", "PARSE_DATE('%Y-%m-%d', CAST(dt AS VARCHAR))", "dt", lambda d: d),
    ("PARSE_TIME", "PARSE_TIME('%H:%M', FORMAT_TIME('%H:%M', tm))", "tm", lambda t: t.replace(second=0, microsecond=0)),
    ("PARSE_TIMESTAMP", "PARSE_TIMESTAMP('%F %T%.f', FORMAT_TIMESTAMP('%F %T%.6f', ts))", "ts", lambda t: t),
    ("CONTAINS", "(dt, INTERVAL '9' DAY) CONTAINS CAST(ts AS DATE)", "dt ts",
     lambda d, t: d <= t.date() <= d + DAY * 9),
    ("OVERLAPS", "(dt, INTERVAL '9' DAY) OVERLAPS (CAST(ts AS DATE), INTERVAL '9' DAY)", "dt ts",
     lambda d, t: d <= t.date() + DAY * 9 and d + DAY * 9 >= t.date()),
    ("EQUALS", "(dt, dt) EQUALS (CAST(ts AS DATE), dt)", "dt ts", lambda d, t: d == t.date()),
    ("PRECEDES", "(dt, dt) PRECEDES (CAST(ts AS DATE), INTERVAL '9' DAY)", "dt ts", lambda d, t: d <= t.date()),
    ("SUCCEEDS", "(dt, dt) SUCCEEDS (CAST(ts AS DATE), INTERVAL '-9' DAY)", "dt ts", lambda d, t: d >= t.date()),
    ("IMMEDIATELY PRECEDES", "(dt, dt) IMMEDIATELY PRECEDES (CAST(ts AS DATE), INTERVAL '9' DAY)", "dt ts",
     lambda d, t: d == t.date()),
    ("IMMEDIATELY SUCCEEDS", "(dt, dt) IMMEDIATELY SUCCEEDS (CAST(ts AS DATE), INTERVAL '-9' DAY)", "dt ts",
     lambda d, t: d == t.date()),
]  # fmt: skip

LISTS: list[Case] = [
    ("ITEM", "a[i]", "a i",
                                                           lambda a, i: a[i - 1] if 1 <= i <= len(a) else None),
    ("ARRAY_LENGTH", "ARRAY_LENGTH(a)", "a", len), ("ARRAY_SIZE", "ARRAY_SIZE(a)", "a", len),
    ("ELEMENT", "ELEMENT(ARRAY[i])", "i", int), ("ARRAY_JOIN", "ARRAY_JOIN(a, '-', '*')", "a",
                                                 lambda a: "-".join("*" if x is None else str(x) for x in a)),
    ("TRANSFORM", "TRANSFORM(a, x -> x + 1)", "a", lambda a: [None if x is None else x + 1 for x in a]),
    ("ARRAY_EXISTS", "ARRAY_EXISTS(a, x -> x > 2)", "a",
     lambda a: any(x is not None and x > 2 for x in a) or (None if None in a else False)),
]  # fmt: skip

VARIANTS: list[Case] = [
    ("TO_JSON", "TO_JSON(PARSE_JSON(js))", "js",
     lambda s: json.dumps(json.loads(s), sort_keys=True, separators=(",", ":"))),
    ("PARSE_JSON", "TYPEOF(PARSE_JSON(js))", "js", lambda s: "ARRAY" if s[0] == "[" else "MAP"),
    ("TYPEOF", "TYPEOF(PARSE_JSON(js)['a'])", "js", lambda s: {
        int: "BIGINT UNSIGNED", str: "VARCHAR", bool: "BOOLEAN"}[type(json.loads(s)["a"])] if '"a"' in s else None),
    ("JSON_OBJECT_KEYS", "JSON_OBJECT_KEYS(PARSE_JSON(js))", "js",
     lambda s: sorted(json.loads(s)) if s[0] == "{" else []),
    ("JSON_KEYS", "JSON_KEYS(PARSE_JSON(js))", "js", lambda s: sorted(json.loads(s)) if s[0] == "{" else []),
    *((f"JSON_EACH_{kind}", f"JSON_EACH_{kind}(PARSE_JSON(js))", "js",
       lambda s, t=t: [(k, v) for k, v in sorted(json.loads(s).items()) if type(v) is t] if s[0] == "{" else [])
      for kind, t in (("BIGINT", int), ("STRING", str), ("BOOLEAN", bool), ("DATE", bytes), ("TIME", bytes),
                      ("TIMESTAMP", bytes))),
    ("VARIANT_MERGE", "TO_JSON(VARIANT_MERGE(PARSE_JSON(js), PARSE_JSON('{\"z\":0}')))", "js",
     lambda s: json.dumps({**(json.loads(s) if s[0] == "{" else {}), "z": 0}, sort_keys=True, separators=(",", ":"))),
    ("VARIANT_FILTER", "TO_JSON(VARIANT_FILTER(PARSE_JSON(js), (k, x) -> TYPEOF(x) = 'BOOLEAN'))", "js", lambda s: (
        json.dumps({k: v for k, v in sorted(json.loads(s).items()) if v is True}, separators=(",", ":"))
        if s[0] == "{" else "[]")),
    ("VARIANT_DEEP_FILTER", "TO_JSON(VARIANT_DEEP_FILTER(PARSE_JSON(js), (k, x) -> TRUE))", "js",
     lambda s: json.dumps(json.loads(s), sort_keys=True, separators=(",", ":"))),
    ("VARIANT_MAP", "TO_JSON(VARIANT_MAP(PARSE_JSON(js), (k, x) -> 1))", "js", lambda s: (
        json.dumps(dict.fromkeys(sorted(json.loads(s)), 1), separators=(",", ":")) if s[0] == "{"
        else json.dumps([1] * len(json.loads(s)), separators=(",", ":")))),
    ("VARIANT_DEEP_MAP", "TO_JSON(VARIANT_DEEP_MAP(PARSE_JSON(js), (k, x) -> x))", "js",
     lambda s: json.dumps(json.loads(s), sort_keys=True, separators=(",", ":"))),
]  # fmt: skip

COMPARED: list[Case] = [
    ("=", "i = j", "i j", lambda i, j: i == j), ("<>", "u <> s", "u s", lambda u, s: u != s),
    ("!=", "i != j", "i j", lambda i, j: i != j), ("<", "u < s", "u s", lambda u, s: u < s),
    ("<=", "d <= e", "d e", lambda d, e: d <= e), (">", "dt > CAST(ts AS DATE)", "dt ts", lambda d, t: d > t.date()),
    (">=", "n >= i", "n i", lambda n, i: n >= i), ("NOT", "NOT o", "o", lambda o: not o),
    ("GREATEST", "GREATEST(i, j)", "i j", max), ("LEAST", "LEAST(u, s)", "u s", min),
]  # fmt: skip

STRICT = [*NUMERIC, *TEXTS, *TIMES, *LISTS, *VARIANTS, *COMPARED]


def kleene_and(o: bool | None, p: bool | None) -> bool | None:
    return False if False in (o, p) else None if None in (o, p) else True


def kleene_or(o: bool | None, p: bool | None) -> bool | None:
    return True if True in (o, p) else None if None in (o, p) else False


def present(values: list[Any], pick: Callable[..., Any]) -> Any:
    return pick((v for v in values if v is not None), default=None)


LAZY: list[Case] = [
    ("ARRAY", "ARRAY[i, j]", "i j", lambda i, j: [i, j]),
    ("ROW", "ROW(i, j)", "i j", lambda i, j: {"EXPR$0": i, "EXPR$1": j}),
    ("FIELD", "ROW(i, j)[2]", "i j", lambda i, j: j),
    ("<=>", "i <=> j", "i j", lambda i, j: i == j),
    ("IS DISTINCT FROM", "u IS DISTINCT FROM s", "u s", lambda u, s: u != s),
    ("IS NOT DISTINCT FROM", "i IS NOT DISTINCT FROM j", "i j", lambda i, j: i == j),
    ("IN", "i IN (1, j)", "i j",
     lambda i, j: None if i is None else True if i in (1, j) else None if j is None else False),
    ("NOT IN", "i NOT IN (1, j)", "i j",
     lambda i, j: None if i is None else False if i in (1, j) else None if j is None else True),
    ("AND", "o AND p", "o p", kleene_and), ("OR", "o OR p", "o p", kleene_or),
    ("IS NULL", "i IS NULL", "i", lambda i: i is None), ("IS NOT NULL", "i IS NOT NULL", "i", lambda i: i is not None),
    ("IS TRUE", "o IS TRUE", "o", lambda o: o is True), ("IS NOT TRUE", "o IS NOT TRUE", "o", lambda o: o is not True),
    ("IS FALSE", "o IS FALSE", "o", lambda o: o is False),
    ("IS NOT FALSE", "o IS NOT FALSE", "o", lambda o: o is not False),
    ("IS UNKNOWN", "o IS UNKNOWN", "o", lambda o: o is None),
    ("IS NOT UNKNOWN", "o IS NOT UNKNOWN", "o", lambda o: o is not None),
    ("COALESCE", "COALESCE(i, j)", "i j", lambda i, j: j if i is None else i),
    ("IFNULL", "IFNULL(u, s)", "u s", lambda u, s: s if u is None else u),
    ("NULLIF", "NULLIF(i, j)", "i j", lambda i, j: None if i == j else i),
    ("IF", "IF(o, i, j)", "o i j", lambda o, i, j: i if o else j),
    ("GREATEST_IGNORE_NULLS", "GREATEST_IGNORE_NULLS(i, j)", "i j", lambda i, j: present([i, j], max)),
    ("LEAST_IGNORE_NULLS", "LEAST_IGNORE_NULLS(u, s)", "u s", lambda u, s: present([u, s], min)),
    ("CONCAT_WS", "CONCAT_WS('-', s, u)", "s u", lambda s, u: (s or "") + ("" if u is None else "-" + u)),
]  # fmt: skip
