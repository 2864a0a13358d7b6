"""The quick selection for `python -m benchmarks`: a few queries, a million events in steps of 10,000."""

from __future__ import annotations

from benchmarks.harness import Measurements, case
from benchmarks.nexmark.measure import measure

EVENTS, STEP = 1_000_000, 10_000


def throughput(query: str) -> Measurements:
    """Events per second, which is all that a case of one unit can show; the rest: `python -m benchmarks.nexmark`."""
    return {"Millstream, incremental, one thread": measure(query, EVENTS, STEP)["events/s"]}


@case("Nexmark q1: calculation", "events/s", target=8_000_000)
def nexmark_q1() -> Measurements:
    """A million events in steps of 10,000: the price of every bid in another currency."""
    return throughput("q1")


@case("Nexmark q3: join", "events/s", target=2_500_000)
def nexmark_q3() -> Measurements:
    """A million events in steps of 10,000: sellers of some states with their auctions of one category."""
    return throughput("q3")


@case("Nexmark q4: join, maximum and average", "events/s", target=2_000_000)
def nexmark_q4() -> Measurements:
    """A million events in steps of 10,000: the average price of winning bids by category, all state kept."""
    return throughput("q4")


@case("Nexmark q5: hopping windows", "events/s", target=2_000_000)
def nexmark_q5() -> Measurements:
    """A million events in steps of 10,000: the auctions with most bids in windows of ten seconds, two apart."""
    return throughput("q5")


@case("Nexmark q18: last row of each key", "events/s", target=1_000_000)
def nexmark_q18() -> Measurements:
    """A million events in steps of 10,000: the last bid of every bidder on every auction, with its texts."""
    return throughput("q18")
