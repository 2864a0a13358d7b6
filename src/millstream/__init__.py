"""Millstream: incremental SQL pipelines in Python.

`millstream.Pipeline` runs a program in this process; `millstream serve` runs a server. The engine is imported when it
is first asked for, so that `import millstream` is cheap.
"""

from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

from millstream.errors import EvaluationError, MillstreamError
from millstream.lasting import lasting
from millstream.zset.kernel_cache import place_kernel_cache

if TYPE_CHECKING:
    from millstream.embedded import Connector, Pipeline

__all__ = ["Connector", "EvaluationError", "MillstreamError", "Pipeline", "__version__"]

try:
    __version__ = version("millstream")
except PackageNotFoundError:  # running from a source tree that was never installed
    __version__ = "0.0.0"

place_kernel_cache()


def __getattr__(name: str) -> Any:
    if name in ("Pipeline", "Connector"):
        with lasting():
            from millstream import embedded

        return getattr(embedded, name)
    raise AttributeError(f"module 'millstream' has no attribute '{name}'")
