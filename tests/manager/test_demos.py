"""Programs to try: those of the package, and those of directories that the operator names (api.md §24)."""

from __future__ import annotations

from pathlib import Path

import pytest

from millstream.cli import main
from millstream.errors import MillstreamError
from millstream.manager import demos
from millstream.manager.services import Services
from tests.manager.http import Http

PREAMBLE = "-- A title, with (brackets) (its-name_1)\n--\n-- What it shows,\n-- in two lines.\n--\n"


def write(directory: Path, **files: str) -> None:
    for name, text in files.items():
        (directory / name.replace("__", ".")).write_text(text, "utf-8")


def test_a_program_is_described_by_how_it_begins(tmp_path: Path) -> None:
    program = PREAMBLE + "\nCREATE TABLE größe (n INT);\n"
    write(tmp_path, one__sql=program)
    (demo,) = demos.load(tmp_path)
    assert demo == {
        "name": "its-name_1",
        "title": "A title, with (brackets)",
        "description": "What it shows, in two lines.",
        "program_code": program,
        "udf_rust": "",
        "udf_toml": "",
    }


def test_companions_and_order(tmp_path: Path) -> None:
    for name in ("b", "a", "c"):
        (tmp_path / f"{name}.sql").write_text(f"-- {name.upper()} ({name})\n--\n-- Text.\n--")
    write(tmp_path, b__udf__py="def f(): ...\n", c__udf__rs="fn f() {}\n", c__udf__toml="[x]\n", d__udf__py="alone")
    write(tmp_path, readme__txt="not a program")
    (tmp_path / "directory.sql").mkdir()
    found = {demo.pop("name"): demo for demo in demos.load(tmp_path)}
    assert list(found) == ["a", "b", "c"]
    udfs = {name: {key: text for key, text in demo.items() if key.startswith("udf")} for name, demo in found.items()}
    assert udfs == {
        "a": {"udf_rust": "", "udf_toml": ""},
        "b": {"udf_rust": "", "udf_toml": "", "udf_python": "def f(): ...\n"},
        "c": {"udf_rust": "fn f() {}\n", "udf_toml": "[x]\n"},
    }


def test_an_empty_directory_has_no_demos(tmp_path: Path) -> None:
    assert demos.load(tmp_path) == ()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "CREATE TABLE t (n INT);",
        "-- Title\n--\n-- Text.\n--\n",
        "-- Title (a name)\n--\n-- Text.\n--\n",
        "-- Title ()\n--\n-- Text.\n--\n",
        "--Title (name)\n--\n-- Text.\n--\n",
        "-- Title (name)\n-- Text.\n--\n",
        "-- Title (name)\n--\n--\n",
        "-- Title (name)\n--\n-- Text.\nCREATE TABLE t (n INT);",
        "-- Title (name)\n--\n-- Text.\n--x\n",
        "\n-- Title (name)\n--\n-- Text.\n--\n",
    ],
)
def test_a_file_that_does_not_fit_is_named(tmp_path: Path, text: str) -> None:
    write(tmp_path, odd__sql=text)
    with pytest.raises(MillstreamError, match=r"odd\.sql.*must begin with the lines") as caught:
        demos.load(tmp_path)
    assert caught.value.error_code == "InvalidDemo"


def test_names_are_unique_in_a_directory(tmp_path: Path) -> None:
    write(tmp_path, a__sql=PREAMBLE, b__sql=PREAMBLE)
    with pytest.raises(MillstreamError, match=r"b\.sql' has the name 'its-name_1', which 'a\.sql' has, too"):
        demos.load(tmp_path)


def test_text_must_be_utf_8(tmp_path: Path) -> None:
    (tmp_path / "a.sql").write_bytes(PREAMBLE.encode() + b"-- \xff\n")
    with pytest.raises(MillstreamError, match=r"a\.sql' is not UTF-8"):
        demos.load(tmp_path)


def test_the_server_offers_them_after_its_own(tmp_path: Path, http: Http) -> None:
    own = http.get("/v0/config/demos").json()
    assert [demo["name"] for demo in own] == ["best-sellers", "card-alerts", "shared-folders"]
    (tmp_path / "demos").mkdir()
    write(tmp_path / "demos", a__sql=PREAMBLE, a__udf__py="def f(): ...\n")
    services = Services(tmp_path, more_demos=demos.load(tmp_path / "demos"))
    other = Http(services)
    with other.runner:
        *before, added = other.get("/v0/config/demos").json()
        other.runner.run(services.client.aclose())
    services.store.close()
    assert before == own
    assert (added["title"], added["udf_python"]) == ("A title, with (brackets)", "def f(): ...\n")


@pytest.mark.parametrize("missing", [True, False])
def test_serve_refuses_a_directory_that_does_not_fit(
    tmp_path: Path, missing: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    good, bad = tmp_path / "good", tmp_path / "bad"
    good.mkdir()
    if not missing:
        bad.mkdir()
        write(bad, a__sql="SELECT 1")
    arguments = ["serve", "--data-dir", str(tmp_path / "data"), "--demos-dir", str(good), "--demos-dir", str(bad)]
    monkeypatch.setattr("sys.argv", ["millstream", *arguments])
    with pytest.raises(SystemExit) as ended:
        main.run()
    said = capsys.readouterr().err
    assert ended.value.code == 1
    assert ("is not a directory" if missing else "must begin with") in said
    assert "Traceback" not in said
    assert not (tmp_path / "data").exists()
