"""`millstream.Pipeline` with functions of its own: how they are given, run and fail."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from millstream import MillstreamError, Pipeline, udf

SQL = """
CREATE TABLE t (a INT, s VARCHAR);
CREATE FUNCTION twice(a INT) RETURNS INT;
CREATE VIEW v AS SELECT twice(a) AS x, s FROM t;
"""
SOURCE = "import pyarrow.compute as pc\ndef twice(a):\n    return pc.multiply(a, 2)\n"


def twice(a: pa.Array) -> pa.Array:
    return pc.multiply(a, 2)


def values(pipeline: Pipeline) -> list[Any]:
    return sorted(row["x"] for row in pipeline.snapshot("v", "dicts"))


@pytest.mark.parametrize("form", ["source", "path", "path text", "functions"])
def test_code_is_given_as_source_file_or_functions(form: str, tmp_path: Path) -> None:
    path = tmp_path / "some.udf.py"
    path.write_text(SOURCE)
    forms: dict[str, Any] = {"source": SOURCE, "path": path, "path text": str(path), "functions": {"twice": twice}}
    with Pipeline(SQL, udf=forms[form]) as pipeline:
        pipeline.push("t", [{"a": 1}, {"a": 2}])
        pipeline.step()
        assert values(pipeline) == [2, 4]
        pipeline.push("t", [{"a": 1}], delete=True)
        pipeline.step()
        assert values(pipeline) == [4]


def test_two_pipelines_have_functions_of_their_own() -> None:
    with Pipeline(SQL, udf=SOURCE) as one, Pipeline(SQL, udf=SOURCE.replace("2", "3")) as other:
        for pipeline in (one, other):
            pipeline.push("t", [{"a": 1}])
            pipeline.step()
        assert (values(one), values(other)) == ([2], [3])


def test_a_function_that_fails_ends_the_pipeline_with_its_row_and_line() -> None:
    source = "from millstream import udf\n@udf.row\ndef twice(a):\n    return {1: 2}[a]\n"
    with Pipeline(SQL, udf=source) as pipeline:
        pipeline.push("t", [{"a": 1}])
        pipeline.step()
        pipeline.push("t", [{"a": 1}, {"a": 5}])
        with pytest.raises(MillstreamError) as caught:
            pipeline.step()
        assert caught.value.error_code == "RuntimeError.WorkerPanic"
        text = "User-defined function 'twice' failed for twice(5): KeyError: 5 (udf_python, line 4: return {1: 2}[a])"
        assert caught.value.message == text
        assert pipeline.error is caught.value


def test_a_given_function_that_fails_names_its_own_file() -> None:
    def broken(_: Any) -> Any:
        raise ValueError("no")

    with Pipeline(SQL, udf={"twice": udf.row(broken)}) as pipeline:
        pipeline.push("t", [{"a": 1}])
        with pytest.raises(
            MillstreamError, match=r"failed for twice\(1\): ValueError: no \(.*test_udf\.py, line \d+\)"
        ):
            pipeline.step()


def test_rows_that_cancel_within_a_step_do_not_reach_a_function_that_would_fail() -> None:
    with Pipeline(SQL, udf={"twice": udf.row(lambda a: 10 // a)}) as pipeline:
        pipeline.push("t", [{"a": 0}, {"a": 5}])
        pipeline.push("t", [{"a": 0}], delete=True)
        pipeline.step()
        assert values(pipeline) == [2]


@pytest.mark.parametrize(
    ("code", "message"),
    [
        (None, "the program comes without udf_python to define it"),
        ({}, "it is missing in the given functions"),
        ("def twice(:", "udf_python, line 1: SyntaxError: invalid syntax\n    1|def twice(:"),
        ("def twice(): ...", "Function 'twice' is declared with 1 parameters, but takes 0 (in udf_python, line 1)"),
    ],
)
def test_code_that_does_not_fit_is_a_program_error(code: Any, message: str) -> None:
    with pytest.raises(MillstreamError) as caught:
        Pipeline(SQL, udf=code)
    assert caught.value.error_code == "ProgramError"
    assert message in caught.value.message


def test_a_file_that_is_not_there_is_a_program_error(tmp_path: Path) -> None:
    with pytest.raises(MillstreamError, match=r"cannot read '.*absent\.py'"):
        Pipeline(SQL, udf=tmp_path / "absent.py")


def test_a_file_is_called_by_its_name(tmp_path: Path) -> None:
    path = tmp_path / "shop.udf.py"
    path.write_text("def twice(a):\n    raise ValueError\n")
    with Pipeline(SQL, udf=path) as pipeline:
        pipeline.push("t", [{"a": 1}])
        with pytest.raises(MillstreamError, match=r"\(shop\.udf\.py, line 2: raise ValueError\)"):
            pipeline.step()
