"""The compiler service with its real worker process."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

from millstream.manager import edits, program
from millstream.manager.compiler import Compiler
from millstream.manager.edits import PatchBody, check_delete
from millstream.manager.models import Pipeline
from millstream.manager.store import Store, open_database
from tests.manager.support import LATER, NOW, VERSION, new_pipeline

GOOD = "CREATE TABLE t (a INT); CREATE VIEW v AS SELECT a FROM t;"
BAD = "CREATE VIEW v AS SELECT a FROM blah;"
FINAL = ("Success", "SqlError", "RustError", "SystemError")


@contextlib.asynccontextmanager
async def compiling(path: Path, *made: Pipeline, timeout_s: float = 60.0) -> AsyncIterator[tuple[Store, Compiler]]:
    """A compiler at work on a store that holds `made`."""
    store = Store(open_database(path / "test.db"))
    for p in made:
        store.insert(p)
    compiler = Compiler(store, timeout_s=timeout_s)
    await compiler.start()
    try:
        yield store, compiler
    finally:
        await compiler.close()
        store.close()


async def until(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline, f"waited for {what}"
        await asyncio.sleep(0.01)


def done(store: Store, name: str = "p") -> bool:
    return store.named(name).program_status in FINAL


def edit(store: Store, code: str) -> None:
    body = edits.parse_patch(PatchBody(program_code=code))
    store.apply("p", lambda p: edits.edit_pipeline(p, body, VERSION, LATER))


def worker_pid(compiler: Compiler) -> int:
    process = compiler.worker._process
    assert process is not None
    return process.pid


def test_programs_are_compiled_in_turn_through_every_status(tmp_path: Path) -> None:
    async def scenario() -> None:
        left = [new_pipeline("q", "2", program_code=BAD), new_pipeline("r", "3", program_code="-- nothing")]
        interrupted = program.begin_sql(new_pipeline(program_code=GOOD), 1, NOW)
        async with compiling(tmp_path, interrupted, *left) as (store, compiler):
            await until(lambda: all(done(store, name) for name in "pqr"), "all three")
            assert [store.named(name).program_status for name in "pqr"] == ["Success", "SqlError", "Success"]
            statuses = [e["program_status"] for e in reversed(store.events(store.named("p")))]
            assert statuses == ["CompilingSql", "Pending", "CompilingSql", "SqlCompiled", "CompilingRust", "Success"]
            info = store.named("p").program_info
            assert info is not None
            assert set(info) == {"schema", "input_connectors", "output_connectors", "udf_stubs"}
            error = store.named("q").program_error["sql_compilation"]
            assert error["exit_code"] == 1
            assert "Object 'blah' not found" in error["messages"][0]["message"]
            # The worker is warm now: fifty lines in less than 0.3 s.
            edit(store, GOOD + "".join(f"\nCREATE VIEW v{n} AS SELECT a + {n} AS b FROM t WHERE a > {n};"
                                       for n in range(49)))  # fmt: skip
            started = time.perf_counter()
            await until(lambda: done(store), "fifty lines")
            assert store.named("p").program_status == "Success"
            assert time.perf_counter() - started < 2.0  # 0.3 on an idle machine
            assert compiler.healthy

    asyncio.run(scenario())


def test_a_worker_that_is_killed_is_replaced(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with compiling(tmp_path) as (store, compiler):
            await until(lambda: compiler.worker.healthy, "the worker")
            os.kill(worker_pid(compiler), signal.SIGKILL)
            store.insert(new_pipeline(program_code=GOOD))
            await until(lambda: done(store), "compilation after the worker was killed")
            assert store.named("p").program_status == "Success"

    asyncio.run(scenario())


def test_an_endless_compilation_is_ended(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with compiling(tmp_path) as (store, compiler):
            await compiler.worker.warm()
            compiler.worker.timeout_s = 0.3
            pid = worker_pid(compiler)
            os.kill(pid, signal.SIGSTOP)  # it will not answer
            store.insert(new_pipeline(program_code=GOOD))
            await until(lambda: done(store), "the end")
            p = store.named("p")
            assert p.program_status == "SystemError"
            assert "took longer than 0.3 s" in p.program_error["system_error"]
            compiler.worker.timeout_s = 60.0
            edit(store, "-- fine")
            await until(lambda: done(store), "the next program")
            assert store.named("p").program_status == "Success"
            assert worker_pid(compiler) != pid

    asyncio.run(scenario())


def test_an_edit_or_a_deletion_ends_a_compilation_nobody_waits_for(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with compiling(tmp_path) as (store, compiler):
            for action in (lambda: edit(store, GOOD), lambda: store.delete("p", check_delete)):
                await compiler.worker.warm()
                os.kill(worker_pid(compiler), signal.SIGSTOP)
                if store.find("p") is None:
                    store.insert(new_pipeline(program_code=BAD))
                else:
                    edit(store, BAD)
                await until(lambda: compiler._working is not None, "the compilation to begin")
                action()
                if store.find("p") is not None:
                    await until(lambda: done(store), "the new program")
                    assert store.named("p").program_status == "Success"
                else:
                    await until(lambda: compiler._job is None, "the compiler to let go")

    asyncio.run(scenario())


def test_a_worker_that_dies_idle_is_replaced_before_it_is_needed(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with compiling(tmp_path) as (_store, compiler):
            await until(lambda: compiler.worker.healthy, "the worker")
            await compiler.worker.warm()
            pid = worker_pid(compiler)
            os.kill(pid, signal.SIGKILL)
            await until(lambda: compiler.worker.healthy and worker_pid(compiler) != pid, "another worker")

    asyncio.run(scenario())


def test_a_program_that_comes_again_is_not_checked_again(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with compiling(tmp_path, new_pipeline(program_code=GOOD)) as (store, compiler):
            await until(lambda: done(store), "the first one")
            checked: list[str] = []
            check = compiler.worker.check

            async def counted(text: str, **asked: object) -> program.CompileOutcome:
                checked.append(text)
                return await check(text, **asked)  # type: ignore[arg-type]

            compiler.worker.check = counted  # type: ignore[method-assign, assignment]
            same = new_pipeline("same", "id-2", program_code=GOOD)
            store.insert(same)
            await until(lambda: done(store, "same"), "the second one")
            assert checked == []
            assert store.named("same").program_info == store.named("p").program_info
            # Clients see it pass through the same statuses.
            seen = [event["program_status"] for event in store.events(store.named("same"))]
            assert seen[::-1] == ["Pending", "CompilingSql", "SqlCompiled", "CompilingRust", "Success"]
            store.insert(new_pipeline("fresh", "id-3", program_code=GOOD, program_config={"cache": False}))
            store.insert(new_pipeline("other", "id-4", program_code=BAD))
            await until(lambda: done(store, "fresh") and done(store, "other"), "the others")
            assert sorted(checked) == sorted([GOOD, BAD])

    asyncio.run(scenario())


def test_compiling_moves_the_counter_that_clients_watch(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with compiling(tmp_path, new_pipeline(program_code=GOOD)) as (store, _):
            await until(lambda: done(store), "the program")
            assert (store.named("p").version, store.named("p").refresh_version) == (1, 3)
            edit(store, GOOD + " -- changed")
            assert store.named("p").refresh_version >= 4
            await until(lambda: done(store), "the changed program")
            p = store.named("p")
            assert (p.version, p.program_version, p.refresh_version) == (2, 2, 6)

    asyncio.run(scenario())
