"""The worker process of `compiler.py`: `python -m millstream.manager.compile_worker`.

It reads requests from standard input and writes answers to standard output, each a JSON text behind its length
(`framing.py`): `{"text"}` gives `{"messages", "info"}` with info null if the program has errors, or `{"system_error"}`.
With `"dataflow": true` the answer has the graph of the program as `dataflow`, too, and with `"baseline"`, text and
Python code of another program that compiles, what differs from that as `differences`. The first answer, to nothing,
says that it is ready. It ends with its input, so it never outlives the server.

With `"udf_python"`, a text, the Python functions of the program are checked, too. Their code is never executed here but
in a process of its own (udf/describe.py), and only if the SQL is well.
"""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import sys
import traceback
from typing import Any, BinaryIO

import orjson

from millstream import no_pandas  # noqa: F401 - before pyarrow
from millstream.manager.framing import LENGTH
from millstream.plan.dataflow import dataflow_graph
from millstream.plan.differences import program_differences
from millstream.plan.program import Program
from millstream.sql.compile import CompileResult, compile_program
from millstream.sql.info import program_info
from millstream.sql.messages import NO_SPAN, Message
from millstream.udf.checks import ERROR_TYPE
from millstream.udf.describe import inspect_source
from millstream.udf.library import SourceError, unchecked

MAX_MEMORY_BYTES = 4 << 30
"""Address space of the worker: a program that makes it grow beyond fails by itself instead of starving the machine."""

_SAMPLE = """CREATE TABLE t (a BIGINT NOT NULL PRIMARY KEY, b VARCHAR, c DECIMAL(10, 2), d TIMESTAMP);
CREATE VIEW v AS SELECT b, COUNT(*), SUM(c) FROM t WHERE a > 1 GROUP BY b;
CREATE VIEW w AS SELECT t.a, v.b FROM t LEFT JOIN v ON t.b = v.b;"""


def check_program(request: dict[str, Any]) -> dict[str, Any]:
    """The answer to a request."""
    text = request["text"]
    try:
        result = _compile(text, request.get("udf_python"))
        answer = {} if result.program is None else _describe(result.program, request)
    except MemoryError:
        return {"system_error": "The program needs more memory to compile than the compiler may use"}
    except Exception as error:  # noqa: BLE001 - a defect of the compiler must not end the service
        traceback.print_exc()
        return {"system_error": f"The compiler failed: {type(error).__name__}: {error}"}
    return {"messages": [message.to_json() for message in result.messages], "info": None, **answer}


def _compile(text: str, udf_python: str | None) -> CompileResult:
    first = compile_program(text, udf=unchecked(udf_python or ""))
    if udf_python is None or first.program is None or not (udf_python.strip() or first.external):
        return first
    if not udf_python.strip():
        return compile_program(text)
    try:
        return compile_program(text, udf=inspect_source(udf_python))
    except SourceError as error:
        failure = Message(NO_SPAN, False, ERROR_TYPE, error.message, error.snippet)
        return CompileResult(None, (failure, *first.messages))


def _describe(program: Program, request: dict[str, Any]) -> dict[str, Any]:
    """What is asked about a program that compiles."""
    answer: dict[str, Any] = {"info": program_info(program, request["text"])}
    if request.get("dataflow"):
        answer["dataflow"] = dataflow_graph(program)
    if request.get("baseline") is not None:
        text, udf_python = request["baseline"]
        baseline = compile_program(text, udf=unchecked(udf_python)).program
        assert baseline is not None, "the baseline of a comparison compiles"
        answer["differences"] = program_differences(baseline, program)
    return answer


def serve(requests: BinaryIO, answers: BinaryIO) -> None:
    """Answer requests until there are no more."""

    def send(answer: dict[str, Any]) -> None:
        body = orjson.dumps(answer, option=orjson.OPT_NON_STR_KEYS)
        answers.write(LENGTH.pack(len(body)) + body)
        answers.flush()

    check_program({"text": _SAMPLE})
    send({"ready": True})
    while len(header := requests.read(LENGTH.size)) == LENGTH.size:
        send(check_program(orjson.loads(requests.read(LENGTH.unpack(header)[0]))))


def main() -> None:
    """Entry of the process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the server, which ends this process
    with contextlib.suppress(ValueError, OSError):  # a lower limit is in force already
        resource.setrlimit(resource.RLIMIT_AS, (MAX_MEMORY_BYTES, MAX_MEMORY_BYTES))
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever libraries print must not mix with the answers
    serve(sys.stdin.buffer, answers)


if __name__ == "__main__":
    main()
