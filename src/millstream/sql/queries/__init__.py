"""How each kind of query and FROM item is bound; importing the package registers all of them."""

from millstream.sql import calls, expressions
from millstream.sql.queries import from_clause, modifiers, pivots, select, set_operations, subqueries, table_functions

__all__ = [
    "calls",
    "expressions",
    "from_clause",
    "modifiers",
    "pivots",
    "select",
    "set_operations",
    "subqueries",
    "table_functions",
]
