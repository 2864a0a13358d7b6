"""The `nexmark` input transport: an auction site's persons, auctions and bids as one reproducible stream."""

from millstream.connectors.nexmark.connector import NexmarkInput

__all__ = ["NexmarkInput"]
