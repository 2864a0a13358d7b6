"""Executes UDF source in a process of its own and says what is in it: `python -m millstream.udf.describe ANSWER`.

Nothing that the source does, be it an endless loop, `os._exit`, or eating memory, reaches the compiler. The source
comes on standard input, behind its length; the answer, a JSON object with `items` (`library.description`) or `error`,
goes into the file ANSWER. The process ends when its input does, so it does not outlive the one that asked.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from typing import Any, BinaryIO

from millstream.udf.library import LABEL, Library, SourceError, described, description, load_source

TIME_LIMIT_S = 60.0
_LENGTH_BYTES = 8
_OUTPUT_SHOWN = 2000


def inspect_source(source: str, time_limit_s: float = TIME_LIMIT_S) -> Library:
    """What is in UDF source, found out in a new process: about 0.2 s, and what its imports cost. Raises SourceError."""
    with tempfile.TemporaryDirectory(prefix="millstream-udf-") as scratch:
        answer, output = Path(scratch, "answer"), Path(scratch, "output")
        with output.open("wb") as sink:
            process = subprocess.Popen(
                [sys.executable, "-m", "millstream.udf.describe", str(answer)],
                stdin=subprocess.PIPE, stdout=sink, stderr=sink, process_group=0,
            )  # fmt: skip
        try:
            assert process.stdin is not None
            _send(process.stdin, source)
            process.wait(time_limit_s)
        except subprocess.TimeoutExpired:
            text = f"{LABEL}: executing the module took longer than {time_limit_s:g} s and was ended"
            raise SourceError(text) from None
        finally:
            _end(process)
        if not answer.exists():
            raise SourceError(_death(process.returncode, output))
        told: dict[str, Any] = json.loads(answer.read_bytes())
    if told.get("error") is not None:
        raise SourceError(told["error"]["message"], told["error"]["snippet"])
    return described(told["items"], source)


def _send(pipe: BinaryIO | Any, source: str) -> None:
    data = source.encode("utf-8", "surrogatepass")
    with contextlib.suppress(BrokenPipeError):  # it has ended: what it left behind tells why
        pipe.write(len(data).to_bytes(_LENGTH_BYTES) + data)
        pipe.flush()


def _end(process: subprocess.Popen[bytes]) -> None:
    """End the process and those that it has started."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert process.stdin is not None
    with contextlib.suppress(BrokenPipeError):
        process.stdin.close()


def _death(status: int, output: Path) -> str:
    how = f"was killed by signal {-status}" if status < 0 else f"ended its process with status {status}"
    tail = output.read_text(errors="replace")[-_OUTPUT_SHOWN:].strip()
    return f"{LABEL}: executing the module {how}" + (f":\n{tail}" if tail else "")


# ---- the other side ----------------------------------------------------------------------------------------------


def answer_for(source: str) -> dict[str, Any]:
    """What the process answers."""
    try:
        return {"items": description(load_source(source)), "error": None}
    except SourceError as error:
        return {"items": None, "error": {"message": error.message, "snippet": error.snippet}}


def _die_with(pipe: BinaryIO) -> None:
    pipe.read()
    os.killpg(0, signal.SIGKILL)


def main() -> None:
    """Entry of the process."""
    pipe = sys.stdin.buffer
    source = pipe.read(int.from_bytes(pipe.read(_LENGTH_BYTES))).decode("utf-8", "surrogatepass")
    threading.Thread(target=_die_with, args=(pipe,), daemon=True).start()
    scratch = Path(sys.argv[1] + ".part")
    scratch.write_text(json.dumps(answer_for(source)))
    scratch.rename(sys.argv[1])
    os._exit(0)  # threads that the module left running do not matter


if __name__ == "__main__":
    main()
