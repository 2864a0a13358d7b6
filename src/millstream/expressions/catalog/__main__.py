"""`python -m millstream.expressions.catalog`: prints docs/functions.md."""

from __future__ import annotations

import sys

from millstream.expressions.catalog import functions_page

sys.stdout.write(functions_page())
