"""The three tables of Nexmark."""

from __future__ import annotations

from millstream.types import Relation
from millstream.types.sql_type import BIGINT, TIMESTAMP, VARCHAR

from .support import relation


def persons() -> Relation:
    return relation(
        id=BIGINT, name=VARCHAR, email_address=VARCHAR, credit_card=VARCHAR, city=VARCHAR, state=VARCHAR,
        date_time=TIMESTAMP, extra=VARCHAR,
    )  # fmt: skip


def auctions() -> Relation:
    return relation(
        id=BIGINT, item_name=VARCHAR, description=VARCHAR, initial_bid=BIGINT, reserve=BIGINT, date_time=TIMESTAMP,
        expires=TIMESTAMP, seller=BIGINT, category=BIGINT, extra=VARCHAR,
    )  # fmt: skip


def bids() -> Relation:
    return relation(
        auction=BIGINT, bidder=BIGINT, price=BIGINT, channel=VARCHAR, url=VARCHAR, date_time=TIMESTAMP, extra=VARCHAR
    )


TABLES = {"person": persons(), "auction": auctions(), "bid": bids()}
