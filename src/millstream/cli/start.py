"""The `millstream` script: what has to be settled before anything is loaded, then the command (main.py)."""

from __future__ import annotations

import os
import sys

from millstream.allocator import tuned_environment


def start() -> None:
    """Entry point. A process that is to run a program begins again if its memory is not tuned: that is decided when a
    process begins, so the few milliseconds that have passed are spent twice."""
    if sys.argv[1:2] == ["run"] and sys.executable and os.name == "posix":
        environment = tuned_environment(os.environ)
        if environment != dict(os.environ):
            os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], environment)
    from millstream.cli.main import run  # loads much, and not before the process is the one that stays

    run()
