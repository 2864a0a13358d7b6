"""Loading UDF source: what is in it, and what is said when it is no Python or cannot be executed."""

from __future__ import annotations

import sys
from typing import Any

import pyarrow as pa
import pytest

from millstream import udf
from millstream.sql.compile import compile_program
from millstream.udf.describe import inspect_source
from millstream.udf.library import (
    Library,
    SourceError,
    described,
    description,
    library_of,
    load_source,
    unchecked,
)

SQL = "CREATE TABLE t (a INT); CREATE FUNCTION f(a INT) RETURNS INT; CREATE VIEW v AS SELECT f(a) AS x FROM t;"


def refusal(source: str) -> SourceError:
    with pytest.raises(SourceError) as caught:
        load_source(source)
    return caught.value


def test_a_syntax_error_is_shown_in_its_line() -> None:
    error = refusal("import math\ndef f(a)\n    return a\n")
    assert error.message == "udf_python, line 2: SyntaxError: expected ':'"
    assert error.snippet == "    1|import math\n    2|def f(a)\n              ^\n"


def test_an_import_that_fails_is_shown_in_its_line() -> None:
    error = refusal("x = 1\n\n  \nimport no_such_module\n")
    assert error.message == "udf_python, line 4: ModuleNotFoundError: No module named 'no_such_module'"
    assert error.snippet == "    3|  \n    4|import no_such_module\n      ^^^^^^^^^^^^^^^^^^^^^\n"


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("1 / 0", "udf_python, line 1: ZeroDivisionError: division by zero"),
        ("def f():\n    raise ValueError('x')\nf()", "udf_python, line 2: ValueError: x"),
        ("import sys\nsys.exit(2)", "udf_python, line 2: SystemExit: 2"),
        ("a\0b", "udf_python: "),
        ("def f(:", "udf_python, line 1: SyntaxError: invalid syntax"),
        ("if True:\nx = 1", "udf_python, line 2: IndentationError: "),
    ],
)
def test_other_failures(source: str, message: str) -> None:
    assert refusal(source).message.startswith(message)


def test_a_module_that_failed_leaves_nothing_behind() -> None:
    before = [name for name in sys.modules if name.startswith("millstream_udf_")]
    refusal("1 / 0")
    assert [name for name in sys.modules if name.startswith("millstream_udf_")] == before


def test_modules_may_hold_dataclasses_and_postponed_annotations() -> None:
    library = load_source(
        "from __future__ import annotations\nfrom dataclasses import dataclass\n@dataclass\nclass P:\n    x: int\n"
        "def f(a: P) -> P:\n    return P(1)\n"
    )
    assert library.namespace["f"](0).x == 1


def test_names_are_described_without_being_called() -> None:
    library = load_source(
        "import math, pyarrow as pa\nfrom millstream import udf\ndef f(a, b=1): ...\n@udf.row\ndef g(*a): ...\n"
        "N = 3\nT = pa.int64()\nTS = (pa.int64(), pa.float64())\n"
    )
    items = library.items
    assert "math" not in items
    assert (items["f"].least, items["f"].most, items["f"].line) == (1, 2, 3)
    assert (items["g"].least, items["g"].most, items["g"].style) == (0, None, "row")
    assert not items["N"].is_callable
    assert items["N"].types is None
    assert items["T"].types == ("int64",)
    assert items["TS"].types == ("int64", "double")


def test_a_description_carries_all_that_is_known() -> None:
    library = load_source("import pyarrow as pa\ndef f(a): ...\nT = (pa.int64(),)\nU = 1\n")
    assert described(description(library), "").items == library.items


# ---- in a process of its own ----


def test_a_process_of_its_own_describes_the_module() -> None:
    source = "print('noise')\ndef f(a, b): ...\n"
    assert inspect_source(source).items == load_source(source).items
    assert inspect_source(source).fingerprint == load_source(source).fingerprint
    assert inspect_source(source).namespace == {}


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("def f(:", "udf_python, line 1: SyntaxError: invalid syntax"),
        ("import os\nprint('last words', flush=True)\nos._exit(5)",
         "udf_python: executing the module ended its process with status 5:\nlast words"),
        ("import os, signal\nos.kill(os.getpid(), signal.SIGKILL)",
         "udf_python: executing the module was killed by signal 9"),
        ("while True: pass", "udf_python: executing the module took longer than 1 s and was ended"),
    ],
)  # fmt: skip
def test_what_a_module_does_to_its_process_becomes_a_message(source: str, message: str) -> None:
    with pytest.raises(SourceError) as caught:
        inspect_source(source, 1.0 if "while" in source else 60.0)
    assert caught.value.message == message


def test_threads_and_processes_that_a_module_starts_do_not_hold_it_up() -> None:
    source = (
        "import subprocess, sys, threading, time\n"
        "threading.Thread(target=time.sleep, args=(1000,)).start()\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(1000)'])\n"
        "def f(a): ...\n"
    )
    assert "f" in inspect_source(source).items


# ---- compiling ----


def test_compiling_calls_nothing() -> None:
    calls: list[Any] = []

    def f(a: Any) -> Any:
        calls.append(a)
        return a

    sql = SQL + "CREATE VIEW w AS SELECT f(1) AS x FROM t WHERE f(2) = 2 AND f(a) = f(3);"
    sql += "CREATE VIEW u AS SELECT TRANSFORM(ARRAY[1], x -> f(x)) AS y FROM t "
    sql += "WHERE ARRAY_EXISTS(ARRAY[1], x -> f(x) > 0);"
    result = compile_program(sql, udf=library_of({"f": f}))
    assert result.program is not None
    assert result.external == ("f",)
    assert calls == []


def test_a_first_look_at_a_program_needs_no_code() -> None:
    result = compile_program(SQL, udf=unchecked(""))
    assert result.program is not None
    assert result.external == ("f",)
    assert compile_program("CREATE TABLE t (a INT);", udf=unchecked("")).external == ()


def test_equal_programs_over_equal_source_have_equal_plans() -> None:
    def plan(library: Library) -> object:
        program = compile_program(SQL, udf=library).program
        assert program is not None
        return program.views[0].plan

    one = load_source("def f(a): return a")
    assert plan(one) == plan(load_source("def f(a): return a"))
    assert plan(one) == plan(described(description(one), "def f(a): return a"))
    assert plan(one) != plan(load_source("def f(a): return -a"))
    assert plan(library_of({"f": udf.row(abs)})) != plan(library_of({"f": abs}))


def test_arrow_types_of_a_message_are_those_that_a_function_gets() -> None:
    result = compile_program("CREATE FUNCTION f(a DECIMAL(5, 2), b INT ARRAY) RETURNS TIMESTAMP;")
    (message,) = result.messages
    wanted = (pa.decimal128(5, 2), pa.large_list(pa.field("item", pa.int32())), pa.timestamp("us"))
    assert message.message.endswith(
        f"def f(a, b):  # takes Arrow arrays (a: {wanted[0]}, b: {wanted[1]}), returns {wanted[2]}"
    )
