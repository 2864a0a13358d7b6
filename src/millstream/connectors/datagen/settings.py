"""`datagen` configuration as data: plans, and what each field is filled with (connectors.md §11.13).

Parsing checks shapes and names; whether a range or strategy suits a column's type is checked where its generator is
built. Both happen in the connector's constructor, so that a wrong configuration fails the start of the pipeline.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from millstream.connectors.options import OptionError, Options, shown

NUMERIC_STRATEGIES = ("increment", "uniform", "zipf")
STRING_STRATEGIES = (
    "word", "words", "sentence", "sentences", "paragraph", "paragraphs",
    "first_name", "last_name", "title", "suffix", "name", "name_with_title",
    "domain_suffix", "email", "username", "password",
    "field", "position", "seniority", "job_title",
    "ipv4", "ipv6", "ip", "mac_address", "user_agent", "rfc_status_code", "valid_status_code",
    "company_suffix", "company_name", "buzzword", "buzzword_middle", "buzzword_tail", "catch_phrase",
    "bs_verb", "bs_adj", "bs_noun", "bs", "profession", "industry",
    "currency_code", "currency_name", "currency_symbol", "credit_card_number",
    "city_prefix", "city_suffix", "city_name", "country_name", "country_code", "street_suffix", "street_name",
    "time_zone", "state_name", "state_abbr", "secondary_address_type", "secondary_address", "zip_code", "post_code",
    "building_number", "latitude", "longitude", "isbn", "isbn13", "isbn10", "phone_number", "cell_number",
    "file_path", "file_name", "file_extension", "dir_path",
)  # fmt: skip
MAX_UNSIGNED_32 = 2**32 - 1
#: Largest chunk of an unlimited plan, and how long a slow plan gathers rows.
MAX_CHUNK_ROWS = 10_000


@dataclass(frozen=True)
class FieldSettings:
    """How the values of one column, struct member, list element, or map key or value are made. `path` is for errors;
    `range` is still JSON: its meaning depends on the type."""

    path: str
    strategy: str = "increment"
    range: tuple[Any, Any] | None = None
    scale: int = 1
    values: tuple[Any, ...] | None = None
    null_percentage: int = 0
    exponent: float = 1.0
    fields: Mapping[str, FieldSettings] = field(default_factory=dict)
    key: FieldSettings | None = None
    value: FieldSettings | None = None

    def error(self, reason: str) -> OptionError:
        """An error about these settings."""
        return OptionError(f"{self.path}: {reason}")


@dataclass(frozen=True)
class Plan:
    """A sequence of rows. `limit` None: endless; `rate` None: as fast as possible (rows per second)."""

    limit: int | None
    rate: int | None
    chunk_rows: int
    fields: Mapping[str, FieldSettings]


@dataclass(frozen=True)
class DatagenConfig:
    """The transport's options; `seed` None: a random one."""

    plans: tuple[Plan, ...]
    seed: int | None
    workers: int
    transaction_size: int | None


def parse_config(config: object) -> DatagenConfig:
    """Raises OptionError."""
    options = Options(config)
    plans = options.take("plan")
    seed = options.integer("seed")
    workers = options.sure_integer("workers", 1, minimum=1)
    transaction_size = options.integer("transaction_size", minimum=1)
    options.finish()
    if plans is None:
        plans = [{}]
    if not isinstance(plans, list):
        raise OptionError(f"option `plan` must be an array of plans, not {shown(plans)}")
    return DatagenConfig(
        tuple(_parse_plan(plan, f"plan[{i}]") for i, plan in enumerate(plans)), seed, workers, transaction_size
    )


def _parse_plan(plan: object, where: str) -> Plan:
    options = Options(plan, where)
    limit = options.integer("limit")
    rate = options.integer("rate", minimum=1, maximum=MAX_UNSIGNED_32)
    chunk = options.integer("worker_chunk_size", minimum=1)
    fields = _parse_fields(options.take("fields"), f"{where}.fields")
    options.finish()
    if chunk is None:
        chunk = MAX_CHUNK_ROWS if rate is None else min(rate, MAX_CHUNK_ROWS)
    return Plan(limit, rate, chunk, fields)


def _parse_fields(value: object, where: str) -> dict[str, FieldSettings]:
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise OptionError(f"option `{where}` must be an object of field settings, not {shown(value)}")
    return {name: parse_field(settings, f"{where}.{name}") for name, settings in value.items()}


def parse_field(value: object, where: str) -> FieldSettings:
    """The settings of one field. Raises OptionError."""
    options = Options(value, where)
    strategy = options.choice("strategy", NUMERIC_STRATEGIES + STRING_STRATEGIES, "increment")
    bounds = options.take("range")
    if bounds is not None and not (isinstance(bounds, list) and len(bounds) == 2):
        raise OptionError(f"option `{where}.range` must be an array [min, max), not {shown(bounds)}")
    scale = options.sure_integer("scale", 1, minimum=-(2**63), maximum=2**63 - 1)
    values = options.take("values")
    if values is not None and not (isinstance(values, list) and values):
        raise OptionError(f"option `{where}.values` must be a non-empty array, not {shown(values)}")
    null_percentage = options.sure_integer("null_percentage", 0, maximum=100)
    exponent = options.take("e")
    exponent = 1 if exponent is None else exponent
    if isinstance(exponent, bool) or not isinstance(exponent, int | float) or not 0 <= exponent < 1e6:
        raise OptionError(f"option `{where}.e` must be a number of at least 0, not {shown(exponent)}")
    fields = _parse_fields(options.take("fields"), f"{where}.fields")
    key, item = options.take("key"), options.take("value")
    options.finish()
    return FieldSettings(
        path=where,
        strategy=strategy,
        range=None if bounds is None else (bounds[0], bounds[1]),
        scale=scale,
        values=None if values is None else tuple(values),
        null_percentage=null_percentage,
        exponent=float(exponent),
        fields=fields,
        key=None if key is None else parse_field(key, f"{where}.key"),
        value=None if item is None else parse_field(item, f"{where}.value"),
    )
