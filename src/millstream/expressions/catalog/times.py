"""Date, time and period functions in the function catalog."""

from __future__ import annotations

from millstream.expressions.catalog.entry import Entry, Family, entry

_PARTS = [
    ("YEAR", "The year.", "2020"), ("QUARTER", "The quarter, 1 to 4.", "1"), ("MONTH", "The month, 1 to 12.", "3"),
    ("WEEK", "The ISO week.", "10"), ("HOUR", "The hour.", "13"), ("MINUTE", "The minute.", "14"),
    ("SECOND", "The whole seconds.", "15"),
]  # fmt: skip
_MOMENT = "TIMESTAMP '2020-03-04 13:14:15.25'"


def _part(names: str, description: str, value: str) -> Entry:
    first = names.split(", ")[0]
    return entry(names, f"`{first}(x)`", "BIGINT", description, f"{first}({_MOMENT})", value)


TIMES = Family(
    "Date and time functions",
    "Units: MILLENNIUM CENTURY DECADE YEAR QUARTER MONTH WEEK DAY DOY DOW ISODOW HOUR MINUTE SECOND MILLISECOND "
    "MICROSECOND NANOSECOND EPOCH and their SQL_TSI synonyms. Formats are those of Rust's chrono.",
    (
        entry("EXTRACT, DATE_PART", "`EXTRACT(unit FROM x)`, `DATE_PART(unit, x)`", "BIGINT",
              "A part of a date, time, timestamp or interval.", f"EXTRACT(MILLISECOND FROM {_MOMENT})", "15250"),
        *(_part(*part) for part in _PARTS),
        _part("DAYOFMONTH, DAY", "The day of the month.", "4"),
        _part("DOY, DAYOFYEAR", "The day of the year.", "64"),
        _part("DOW, DAYOFWEEK", "The day of the week: Sunday is 1.", "4"),
        entry("FLOOR TO", "`FLOOR(x TO unit)`", "type of x", "The start of the unit that x is in.",
              f"FLOOR({_MOMENT} TO HOUR)", '"2020-03-04 13:00:00"'),
        entry("CEIL TO", "`CEIL(x TO unit)`", "type of x", "The end of the unit that x is in.",
              f"CEIL({_MOMENT} TO DAY)", '"2020-03-05 00:00:00"'),
        entry("DATE_TRUNC", "`DATE_TRUNC(x, unit)`", "type of x", "The start of the unit; centuries begin in years 01.",
              "DATE_TRUNC(DATE '2020-03-04', MONTH)", '"2020-03-01"'),
        entry("TIMESTAMP_TRUNC", "`TIMESTAMP_TRUNC(x, unit)`", "TIMESTAMP", "The same, as a timestamp.",
              "TIMESTAMP_TRUNC(DATE '2020-03-04', YEAR)", '"2020-01-01 00:00:00"'),
        entry("TIME_TRUNC", "`TIME_TRUNC(t, unit)`", "TIME", "The start of the hour, minute or second.",
              "TIME_TRUNC(TIME '13:14:15', MINUTE)", '"13:14:00"'),
        entry("TIMESTAMPADD", "`TIMESTAMPADD(unit, n, x)`", "type of x; TIMESTAMP for parts of days",
              "x and n units; months keep within their days.", "TIMESTAMPADD(MONTH, 1, DATE '2020-01-31')",
              '"2020-02-29"'),
        entry("DATE_ADD", "`DATE_ADD(x, interval)`", "as TIMESTAMPADD", "x plus an interval.",
              "DATE_ADD(DATE '2020-03-04', INTERVAL 1 DAY)", '"2020-03-05"'),
        entry("DATE_SUB", "`DATE_SUB(x, interval)`", "as TIMESTAMPADD", "x minus an interval.",
              "DATE_SUB(DATE '2020-03-04', INTERVAL 1 YEAR)", '"2019-03-04"'),
        entry("TIMESTAMPDIFF", "`TIMESTAMPDIFF(unit, a, b)`", "INTEGER; BIGINT for MINUTE and finer",
              "b - a in whole units.", "TIMESTAMPDIFF(MONTH, DATE '2020-01-31', DATE '2020-03-30')", "1"),
        entry("DATEDIFF", "`DATEDIFF(unit, a, b)`", "INTEGER", "The same for HOUR and longer.",
              "DATEDIFF(DAY, DATE '2020-03-04', DATE '2020-03-01')", "-3"),
        entry("MAKE_DATE", "`MAKE_DATE(y, m, d)`", "DATE", "The date.", "MAKE_DATE(2020, 2, 30)", "null",
              "NULL if an argument is NULL, or there is no such date"),
        entry("MAKE_TIME", "`MAKE_TIME(h, m, s)`", "TIME", "The time; seconds may have a fraction.",
              "MAKE_TIME(1, 2, 3.5)", '"01:02:03.500000000"', "NULL if an argument is NULL, or there is no such time"),
        entry("MAKE_TIMESTAMP", "`MAKE_TIMESTAMP(y, mo, d, h, mi, s)`", "TIMESTAMP", "The timestamp.",
              "MAKE_TIMESTAMP(2020, 3, 4, 1, 2, 3)", '"2020-03-04 01:02:03"',
              "NULL if an argument is NULL, or there is no such time"),
        entry("CONVERT_TIMEZONE", "`CONVERT_TIMEZONE(from, to, ts)`", "TIMESTAMP",
              "A wall-clock time of one zone as that of another; zones are IANA names or `+HH:MM`.",
              "CONVERT_TIMEZONE('UTC', 'America/New_York', TIMESTAMP '2020-03-04 12:00:00')",
              '"2020-03-04 07:00:00"', "NULL if an argument is NULL, a zone unknown or the time skipped"),
        entry("FORMAT_DATE", "`FORMAT_DATE(format, x)`", "VARCHAR", "A date in a format.",
              "FORMAT_DATE('%d.%m.%Y', DATE '2020-03-04')", '"04.03.2020"'),
        entry("FORMAT_TIME", "`FORMAT_TIME(format, x)`", "VARCHAR", "A time in a format.",
              "FORMAT_TIME('%I:%M %p', TIME '13:14:15')", '"01:14 PM"'),
        entry("FORMAT_TIMESTAMP", "`FORMAT_TIMESTAMP(format, x)`", "VARCHAR", "A timestamp in a format.",
              f"FORMAT_TIMESTAMP('%H:%M:%S%.3f', {_MOMENT})", '"13:14:15.250"'),
        entry("PARSE_DATE", "`PARSE_DATE(format, s)`", "DATE", "The date that a text in a format says.",
              "PARSE_DATE('%d.%m.%Y', '04.03.2020')", '"2020-03-04"', "NULL if an argument is NULL, or s does not fit"),
        entry("PARSE_TIME", "`PARSE_TIME(format, s)`", "TIME", "The time that a text in a format says.",
              "PARSE_TIME('%H:%M', '13:14')", '"13:14:00"', "NULL if an argument is NULL, or s does not fit"),
        entry("PARSE_TIMESTAMP", "`PARSE_TIMESTAMP(format, s)`", "TIMESTAMP",
              "The timestamp that a text in a format says.", "PARSE_TIMESTAMP('%Y-%m-%d %H:%M', '2020-03-04 13:14')",
              '"2020-03-04 13:14:00"', "NULL if an argument is NULL, or s does not fit"),
    ),
)  # fmt: skip

_JANUARY = "(DATE '2020-01-01', DATE '2020-01-31')"
_FEBRUARY = "(DATE '2020-02-01', DATE '2020-02-29')"


_ENDS = "three-valued: a conjunction of comparisons of the ends"


def _period(name: str, description: str, value: str) -> Entry:
    return entry(
        name, f"`(s, e) {name} (s, e)`", "BOOLEAN", description, f"{_JANUARY} {name} {_FEBRUARY}", value, _ENDS
    )


PERIODS = Family(
    "Predicates of periods",
    "A period is a pair of dates, times or timestamps; its end may be given as an interval.",
    (
        entry("CONTAINS", "`(s, e) CONTAINS x`", "BOOLEAN", "Whether a period contains a point or period.",
              f"{_JANUARY} CONTAINS DATE '2020-01-05'", "true", _ENDS),
        _period("OVERLAPS", "Whether the periods have a point in common.", "false"),
        _period("EQUALS", "Whether the periods are the same.", "false"),
        _period("PRECEDES", "Whether the first ends before or when the second starts.", "true"),
        _period("SUCCEEDS", "Whether the first starts when or after the second ends.", "false"),
        _period("IMMEDIATELY PRECEDES", "Whether the second starts where the first ends.", "false"),
        _period("IMMEDIATELY SUCCEEDS", "Whether the first starts where the second ends.", "false"),
    ),
)  # fmt: skip
