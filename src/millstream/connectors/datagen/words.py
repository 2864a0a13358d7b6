"""Word tables of the string strategies, and the templates that combine them.

Calling a fake-data library for every value would cap generation at some ten thousand rows per second. Instead its
word lists become Arrow tables once, and a value is one pick from each table of a template. Numbers in templates are
picks too: "000" .. "999" is a table like any other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import cache

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

TEXT = pa.large_string()
Template = tuple[pa.Array | str, ...]

#: How many sentences, paragraphs and user agents are drawn in advance, and with which seed.
PREPARED_TEXTS = 1000
PREPARED_SEED = 20_240_229

#: The table that a counted strategy joins entries of.
PARTS_OF = {"words": "word", "sentences": "sentence", "paragraph": "sentence", "paragraphs": "paragraph"}

_FIELDS = (
    "Accounting", "Administration", "Advertising", "Banking", "Community", "Construction", "Consulting", "Design",
    "Education", "Engineering", "Farming", "Government", "Healthcare", "Hospitality", "IT", "Legal", "Logistics",
    "Manufacturing", "Marketing", "Mining", "Research", "Retail", "Sales", "Security", "Technology",
)  # fmt: skip
_POSITIONS = (
    "Administrator", "Agent", "Analyst", "Architect", "Assistant", "Associate", "Consultant", "Coordinator",
    "Designer", "Developer", "Director", "Engineer", "Executive", "Facilitator", "Liaison", "Manager", "Officer",
    "Orchestrator", "Planner", "Producer", "Representative", "Specialist", "Strategist", "Supervisor", "Technician",
)  # fmt: skip
_SENIORITIES = ("Chief", "Corporate", "Graduate", "Internal", "Junior", "Lead", "Principal", "Regional", "Senior")
_INDUSTRIES = (
    "Aerospace", "Agriculture", "Automotive", "Banking", "Biotechnology", "Chemicals", "Construction", "Education",
    "Electronics", "Energy", "Entertainment", "Fashion", "Fishing", "Food Processing", "Forestry", "Gaming",
    "Health Care", "Hospitality", "Insurance", "Logistics", "Machinery", "Maritime", "Media", "Mining", "Music",
    "Pharmaceuticals", "Publishing", "Real Estate", "Retail", "Shipbuilding", "Software", "Steel",
    "Telecommunications", "Textiles", "Tourism", "Transport", "Utilities", "Wholesale",
)  # fmt: skip
_RFC_STATUS_CODES = (
    *range(100, 104), *range(200, 209), 226, *range(300, 309), *range(400, 419), *range(421, 427), 428, 429, 431, 451,
    *range(500, 509), 510, 511,
)  # fmt: skip


def _texts(entries: Iterable[object]) -> pa.Array:
    return pa.array([str(entry) for entry in entries], TEXT)


def _digits(count: int, first: int = 0) -> pa.Array:
    """The numbers first .. 10**count - 1 with leading zeros."""
    return _texts(f"{number:0{count}}" for number in range(first, 10**count))


@cache
def table(name: str) -> pa.Array:
    """The word table of that name. Cost: a few milliseconds at first use."""
    own = _OWN_TABLES.get(name)
    return _texts(own) if own is not None else _texts(_library_words(name))


_OWN_TABLES: dict[str, Iterable[object]] = {
    "field": _FIELDS,
    "position": _POSITIONS,
    "seniority": _SENIORITIES,
    "industry": _INDUSTRIES,
    "rfc_status_code": _RFC_STATUS_CODES,
    "valid_status_code": range(100, 600),
    "domain_suffix": ("biz", "com", "info", "name", "net", "org"),
    "secondary_address_type": ("Apt.", "Suite"),
    "title": ("Dr.", "Miss", "Mr.", "Mrs.", "Ms."),
    "byte": range(256),
    "hex byte": (f"{number:02x}" for number in range(256)),
    "hex word": (f"{number:04x}" for number in range(65536)),
    "file_extension": (
        "css", "csv", "doc", "docx", "flac", "gif", "html", "jpg", "js", "json", "mov", "mp3", "mp4", "odt", "pdf",
        "png", "pptx", "txt", "wav", "xlsx",
    ),
}  # fmt: skip


def _library_words(name: str) -> Iterable[object]:
    """Word lists of faker, English."""
    # Imported here because it takes a tenth of a second, and most pipelines generate no text.
    from faker import Faker
    from faker.providers.address.en_US import Provider as Address
    from faker.providers.company.en_US import Provider as Company
    from faker.providers.currency import Provider as Currency
    from faker.providers.date_time import Provider as DateTime
    from faker.providers.job.en_US import Provider as Job
    from faker.providers.lorem.en_US import Provider as Lorem
    from faker.providers.person.en_US import Provider as Person

    fake = Faker("en_US")
    fake.seed_instance(PREPARED_SEED)
    lists: dict[str, Callable[[], Iterable[object]]] = {
        "word": lambda: Lorem.word_list,
        "sentence": lambda: [fake.sentence() for _ in range(PREPARED_TEXTS)],
        "paragraph": lambda: [fake.paragraph() for _ in range(PREPARED_TEXTS)],
        "user_agent": lambda: [fake.user_agent() for _ in range(PREPARED_TEXTS)],
        "first_name": lambda: Person.first_names,
        "last_name": lambda: Person.last_names,
        "first_login": lambda: [_login(word) for word in Person.first_names],
        "last_login": lambda: [_login(word) for word in Person.last_names],
        "suffix": lambda: sorted({*Person.suffixes_female, *Person.suffixes_male}),
        "company_suffix": lambda: Company.company_suffixes,
        "buzzword": lambda: Company.catch_phrase_words[0],
        "buzzword_middle": lambda: Company.catch_phrase_words[1],
        "buzzword_tail": lambda: Company.catch_phrase_words[2],
        "bs_verb": lambda: Company.bsWords[0],
        "bs_adj": lambda: Company.bsWords[1],
        "bs_noun": lambda: Company.bsWords[2],
        "profession": lambda: Job.jobs,
        "currency_code": lambda: [code for code, _ in Currency.currencies],
        "currency_name": lambda: [text for _, text in Currency.currencies],
        "currency_symbol": lambda: Currency.currency_symbols.values(),
        "city_prefix": lambda: Address.city_prefixes,
        "city_suffix": lambda: Address.city_suffixes,
        "country_name": lambda: Address.countries,
        "country_code": lambda: Address.alpha_2_country_codes,
        "street_suffix": lambda: Address.street_suffixes,
        "time_zone": lambda: sorted({zone for country in DateTime.countries for zone in country.timezones}),
        "state_name": lambda: Address.states,
        "state_abbr": lambda: Address.states_abbr,
    }
    return lists[name]()


def _login(word: str) -> str:
    return "".join(letter for letter in word.lower() if letter.isascii() and letter.isalnum())


@cache
def templates(strategy: str) -> tuple[Template, ...]:
    """The templates of a strategy: each is a sequence of tables to pick from and literal texts."""
    if strategy not in _TEMPLATES:
        return ((table(strategy),),)
    return _TEMPLATES[strategy]()


def _ipv4() -> Template:
    byte = table("byte")
    return (byte, ".", byte, ".", byte, ".", byte)


def _ipv6() -> Template:
    return _separated(table("hex word"), ":", 8)


def _separated(part: pa.Array, separator: str, count: int) -> Template:
    return (part, *[separator, part] * (count - 1))


def _catch_phrase() -> Template:
    return (table("buzzword"), " ", table("buzzword_middle"), " ", table("buzzword_tail"))


def _name() -> Template:
    return (table("first_name"), " ", table("last_name"))


def _coordinate(limit: int) -> tuple[Template, ...]:
    whole = _texts([f"-{n}" for n in range(limit)] + [str(n) for n in range(limit)])
    return ((whole, ".", _digits(3), _digits(3)),)


def _cities() -> tuple[Template, ...]:
    prefix, suffix, first, last = (table(n) for n in ("city_prefix", "city_suffix", "first_name", "last_name"))
    return ((prefix, " ", first, suffix), (prefix, " ", first), (first, suffix), (last, suffix))


_TEMPLATES: dict[str, Callable[[], tuple[Template, ...]]] = {
    "name": lambda: (_name(),),
    "name_with_title": lambda: ((table("title"), " ", *_name()),),
    "username": lambda: (
        (table("first_login"), "_", table("last_login")),
        (table("first_login"), _digits(2)),
    ),
    "email": lambda: ((table("first_login"), ".", table("last_login"), "@example.", table("domain_suffix")),),
    "job_title": lambda: ((table("seniority"), " ", table("field"), " ", table("position")),),
    "ipv4": lambda: (_ipv4(),),
    "ipv6": lambda: (_ipv6(),),
    "ip": lambda: (_ipv4(), _ipv6()),
    "mac_address": lambda: (_separated(table("hex byte"), ":", 6),),
    "company_name": lambda: (
        (table("last_name"), " ", table("company_suffix")),
        (table("last_name"), "-", table("last_name")),
        (table("last_name"), ", ", table("last_name"), " and ", table("last_name")),
    ),
    "catch_phrase": lambda: (_catch_phrase(),),
    "bs": lambda: ((table("bs_verb"), " ", table("bs_adj"), " ", table("bs_noun")),),
    "credit_card_number": lambda: (("4", _digits(4), _digits(4), _digits(3), _digits(3)),),
    "city_name": _cities,
    "street_name": lambda: ((table("last_name"), " ", table("street_suffix")),),
    "secondary_address": lambda: ((table("secondary_address_type"), " ", _digits(3)),),
    "zip_code": lambda: ((_digits(2), _digits(3)),),
    "post_code": lambda: ((_digits(2), _digits(3)),),
    "building_number": lambda: ((_digits(3, 100),), (_digits(4, 1000),), (_digits(2, 10), _digits(3))),
    "latitude": lambda: _coordinate(90),
    "longitude": lambda: _coordinate(180),
    "isbn": lambda: templates("isbn13"),
    "isbn13": lambda: (("978", _digits(3), _digits(3), _digits(3)), ("979", _digits(3), _digits(3), _digits(3))),
    "isbn10": lambda: ((_digits(3), _digits(3), _digits(3)),),
    "phone_number": lambda: (
        (_digits(3, 200), "-", _digits(3, 200), "-", _digits(4)),
        ("(", _digits(3, 200), ") ", _digits(3, 200), "-", _digits(4)),
    ),
    "cell_number": lambda: ((_digits(3, 200), "-", _digits(3, 200), "-", _digits(4)),),
    "file_path": lambda: (("/", table("word"), "/", table("word"), ".", table("file_extension")),),
    "file_name": lambda: ((table("word"), ".", table("file_extension")),),
    "dir_path": lambda: (("/", table("word"), "/", table("word")),),
}


def _with_check_digit(texts: pa.Array, weights: tuple[int, ...], modulus: int, luhn: bool = False) -> pa.Array:
    """Append to each text of len(weights) digits the digit that makes the weighted sum 0 modulo `modulus`."""
    width = len(weights)
    data = pc.binary_join(_one_list(texts), pa.scalar("", TEXT))[0].as_py() if len(texts) else ""
    digits = np.frombuffer(data.encode(), np.uint8).reshape(-1, width).astype(np.int64) - ord("0")
    weighted = digits * np.array(weights)
    if luhn:
        weighted -= 9 * (weighted > 9)
    check = -weighted.sum(axis=1) % modulus
    last = _CHECK_DIGITS.take(pa.array(check))
    return pc.binary_join_element_wise(texts, last, pa.scalar("", TEXT))


def _one_list(texts: pa.Array) -> pa.Array:
    return pa.LargeListArray.from_arrays(pa.array([0, len(texts)], pa.int64()), texts)


_CHECK_DIGITS = _texts([*range(10), "X"])

#: What remains to be done with the joined text of a strategy.
FINISHERS: dict[str, Callable[[pa.Array], pa.Array]] = {
    "credit_card_number": lambda texts: _with_check_digit(texts, (2, 1) * 7 + (2,), 10, luhn=True),
    "isbn": lambda texts: _with_check_digit(texts, (1, 3) * 6, 10),
    "isbn13": lambda texts: _with_check_digit(texts, (1, 3) * 6, 10),
    "isbn10": lambda texts: _with_check_digit(texts, (10, 9, 8, 7, 6, 5, 4, 3, 2), 11),
}
