"""Where compiled kernels are kept between processes.

numba keeps them beside the source or, where that cannot be written to, in the user's cache directory. Where neither can
(a read-only image, a service account without a home) it refuses to import the kernels; then they go to a directory of
this user's own among the temporary files. Imports the standard library only; `import millstream` calls it.
"""

from __future__ import annotations

import os
import stat
import sys
import tempfile
from pathlib import Path


def place_kernel_cache() -> None:
    """Sets NUMBA_CACHE_DIR, unless numba finds a place by itself. Costs a few system calls."""
    if os.environ.get("NUMBA_CACHE_DIR"):
        return
    if _is_writable(Path(__file__).parent / "__pycache__"):
        return
    caches = Path(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"))
    if caches.is_absolute() and _is_writable(caches / "numba"):  # relative: this user has no home
        return
    directory = str(_private_directory())
    os.environ["NUMBA_CACHE_DIR"] = directory
    numba = sys.modules.get("numba")
    if numba is not None:  # it has read the environment already
        numba.config.CACHE_DIR = directory


def _is_writable(directory: Path) -> bool:
    try:
        directory.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=directory):
            return True
    except OSError:
        return False


def _private_directory() -> Path:
    """The cache holds code: nobody else may be able to put something there."""
    if not hasattr(os, "getuid"):
        return Path(tempfile.mkdtemp(prefix="millstream-kernels-"))
    directory = Path(tempfile.gettempdir()) / f"millstream-kernels-{os.getuid()}"
    try:
        directory.mkdir(mode=0o700, exist_ok=True)
        found = directory.lstat()
    except OSError:
        return Path(tempfile.mkdtemp(prefix="millstream-kernels-"))
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o077:
        return Path(tempfile.mkdtemp(prefix="millstream-kernels-"))
    return directory
