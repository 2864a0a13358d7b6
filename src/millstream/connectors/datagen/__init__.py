"""The `datagen` input transport: configurable, reproducible rows."""

from millstream.connectors.datagen.connector import DatagenInput

__all__ = ["DatagenInput"]
