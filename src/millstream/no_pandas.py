"""Importing this module keeps pandas out of the process: import it before anything that imports pyarrow.

pyarrow loads pandas, if it is installed, as soon as a Python value becomes an Arrow one, to see whether it is one of
pandas' types. That costs a second of start time and some 50 MB in processes that never see a data frame.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType


class _NoPandas(MetaPathFinder):
    """Answers for pandas, and for nothing else, that there is no such module."""

    def find_spec(
        self, fullname: str, _path: Sequence[str] | None = None, _target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname == "pandas":
            raise ModuleNotFoundError("pandas is kept out of this process", name=fullname)
        return None


def allow() -> None:
    """Let pandas in: code that users bring may want it."""
    sys.meta_path[:] = [finder for finder in sys.meta_path if not isinstance(finder, _NoPandas)]


sys.meta_path.insert(0, _NoPandas())
