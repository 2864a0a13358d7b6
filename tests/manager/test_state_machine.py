"""Every request in every state of a deployment: what is answered, what it changes, and that a refusal changes nothing.

The table is the contract of api.md §6.4, §6.5 and §10. The states are records as the server's own functions make them;
what a process answers to pause and resume is given. `tests/pipeline/test_host_states.py` has the machine inside it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from millstream.manager import lifecycle, program
from millstream.manager.models import Pipeline
from millstream.manager.proxy import Target, require_deployed
from millstream.manager.services import Services
from tests.manager.http import PREFIX, Http
from tests.manager.support import (
    LATER,
    NOW,
    compiled,
    failed,
    initializing,
    new_pipeline,
    provisioning,
    running,
    stopped,
    stopping,
    wanted,
    with_error,
)

BOOM = {"message": "boom", "error_code": "RuntimeError.WorkerPanic", "details": None}

#: Requests by name: method, path below the pipeline, body.
REQUESTS: dict[str, tuple[str, str, dict[str, Any] | None]] = {
    "start": ("POST", "/start", None),
    "start_paused": ("POST", "/start?initial=paused", None),
    "start_standby": ("POST", "/start?initial=standby", None),
    "start_undismissed": ("POST", "/start?dismiss_error=false", None),
    "start_rejecting": ("POST", "/start?bootstrap_policy=reject", None),
    "pause": ("POST", "/pause", None),
    "resume": ("POST", "/resume", None),
    "stop": ("POST", "/stop", None),
    "stop_force": ("POST", "/stop?force=true", None),
    "clear": ("POST", "/clear", None),
    "dismiss": ("POST", "/dismiss_error", None),
    "patch_nothing": ("PATCH", "", {"program_code": "", "name": "p"}),
    "patch_tags": ("PATCH", "", {"tags": ["x"]}),
    "patch_code": ("PATCH", "", {"program_code": "-- changed"}),
    "patch_workers": ("PATCH", "", {"runtime_config": {"workers": 3}}),
    "rename": ("PATCH", "", {"name": "q"}),
    "put": ("PUT", "", {"name": "p", "program_code": "-- changed"}),
    "delete": ("DELETE", "", None),
    "update_runtime": ("POST", "/update_runtime", None),
}

CODES = {
    "ILL": (400, "IllegalPipelineAction"),
    "ERR": (400, "CannotStartWithUndismissedError"),
    "CLR": (400, "CannotStartWhileClearingStorage"),
    "CMP": (400, "CannotStartWithCompilationError"),
    "INI": (400, "InitialImmutableUnlessStopped"),
    "BOO": (400, "BootstrapPolicyImmutableUnlessStopped"),
    "STB": (400, "InitialStandbyNotAllowed"),
    "NOD": (503, "PipelineInteractionNotDeployed"),
    "UNA": (503, "PipelineUnavailable"),
    "ENT": (501, "EnterpriseFeature"),
    "STO": (400, "StorageStatusImmutableUnlessStopped"),
    "DIS": (400, "DismissErrorRestrictedToFullyStopped"),
    "UPD": (400, "UpdateRestrictedToStopped"),
    "EDI": (400, "EditRestrictedToClearedStorage"),
    "DEL": (400, "DeleteRestrictedToFullyStopped"),
    "DCS": (400, "DeleteRestrictedToClearedStorage"),
}

#: One line a state, one column a request in the order of `REQUESTS`; the blocks are the starts, what a process is
#: asked, the stops, storage and error, edits, deletion and recompilation.
TABLE = """
pending                202 202 STB 202 202   NOD NOD  202 202  202 200  200 200 200 200 200 200  200 200
compiling_sql          202 202 STB 202 202   NOD NOD  202 202  202 200  200 200 200 200 200 200  200 200
sql_compiled           202 202 STB 202 202   NOD NOD  202 202  202 200  200 200 200 200 200 200  200 200
compiling_rust         202 202 STB 202 202   NOD NOD  202 202  202 200  200 200 200 200 200 200  200 200
ready                  202 202 STB 202 202   NOD NOD  202 202  202 200  200 200 200 200 200 200  200 200
sql_error              CMP CMP CMP CMP CMP   NOD NOD  202 202  202 200  200 200 200 200 200 200  200 200
rust_error             CMP CMP CMP CMP CMP   NOD NOD  202 202  202 200  200 200 200 200 200 200  200 200
system_error           CMP CMP CMP CMP CMP   NOD NOD  202 202  202 200  200 200 200 200 200 200  200 200
early_start            202 INI INI 202 BOO   NOD NOD  202 202  STO 200  200 200 UPD UPD UPD UPD  DEL UPD
early_start_failed     CMP CMP CMP ERR CMP   NOD NOD  202 202  202 200  200 200 200 200 200 200  200 200
wanted                 202 INI INI 202 BOO   NOD NOD  202 202  STO 200  200 200 UPD UPD UPD UPD  DEL UPD
wanted_with_storage    202 INI INI 202 BOO   NOD NOD  202 202  STO 200  200 200 UPD UPD UPD UPD  DEL UPD
provisioning           202 INI INI 202 BOO   NOD NOD  202 202  STO 200  200 200 UPD UPD UPD UPD  DEL UPD
provisioning_paused    INI 202 INI INI INI   NOD NOD  202 202  STO 200  200 200 UPD UPD UPD UPD  DEL UPD
provisioning_to_stop   ILL ILL ILL ILL ILL   NOD NOD  202 202  STO 200  200 200 UPD UPD UPD UPD  DEL UPD
initializing           202 INI INI 202 BOO   202 202  ENT 202  STO 200  200 200 UPD UPD UPD UPD  DEL UPD
running                202 INI INI 202 BOO   202 202  ENT 202  STO 200  200 200 UPD UPD UPD UPD  DEL UPD
paused                 202 INI INI 202 BOO   202 202  ENT 202  STO 200  200 200 UPD UPD UPD UPD  DEL UPD
unavailable            202 INI INI 202 BOO   UNA UNA  ENT 202  STO 200  200 200 UPD UPD UPD UPD  DEL UPD
running_to_stop        ILL ILL ILL ILL ILL   202 202  202 202  STO 200  200 200 UPD UPD UPD UPD  DEL UPD
stopping               ILL ILL ILL ILL ILL   NOD NOD  202 202  STO 200  200 200 UPD UPD UPD UPD  DEL UPD
stopping_with_error    ILL ILL ILL ILL ILL   NOD NOD  202 202  STO DIS  200 200 UPD UPD UPD UPD  DEL UPD
stopped                202 202 STB 202 202   NOD NOD  202 202  202 200  200 200 200 EDI EDI 200  DCS 200
stopped_with_error     202 202 STB ERR 202   NOD NOD  202 202  202 200  200 200 200 EDI EDI 200  DCS 200
clearing               CLR CLR CLR CLR CLR   NOD NOD  202 202  202 200  200 200 200 EDI EDI 200  DCS 200
clearing_with_error    CLR CLR CLR ERR CLR   NOD NOD  202 202  202 200  200 200 200 EDI EDI 200  DCS 200
""".strip().splitlines()


def _sql_compiled(p: Pipeline) -> Pipeline:
    return replace(compiled(p), program_status="SqlCompiled")


def _early(p: Pipeline) -> Pipeline:
    return wanted(p)


def _paused(p: Pipeline) -> Pipeline:
    return lifecycle.set_runtime_desired(running(p), "Paused", True, LATER)


STATES: dict[str, Callable[[Pipeline], Pipeline]] = {
    "pending": lambda p: p,
    "compiling_sql": lambda p: program.begin_sql(p, p.program_version, NOW),
    "sql_compiled": _sql_compiled,
    "compiling_rust": lambda p: program.begin_rust(_sql_compiled(p), p.program_version, NOW),
    "ready": compiled,
    "sql_error": failed,
    "rust_error": lambda p: replace(compiled(p), program_status="RustError"),
    "system_error": lambda p: replace(p, program_status="SystemError"),
    "early_start": _early,
    "early_start_failed": lambda p: lifecycle.fail_early_start(failed(_early(p)), "no such table", LATER),
    "wanted": lambda p: wanted(compiled(p)),
    "wanted_with_storage": lambda p: lifecycle.use_storage(wanted(compiled(p))),
    "provisioning": lambda p: provisioning(compiled(p)),
    "provisioning_paused": lambda p: provisioning(compiled(p), initial="Paused"),
    "provisioning_to_stop": lambda p: lifecycle.stop(provisioning(compiled(p)), LATER),
    "initializing": lambda p: initializing(compiled(p)),
    "running": lambda p: running(compiled(p)),
    "paused": lambda p: _paused(compiled(p)),
    "unavailable": lambda p: lifecycle.observe_runtime(running(compiled(p)), "Unavailable", {}, LATER),
    "running_to_stop": lambda p: lifecycle.stop(running(compiled(p)), LATER),
    "stopping": lambda p: stopping(compiled(p)),
    "stopping_with_error": lambda p: lifecycle.stopping(lifecycle.stop(running(compiled(p)), LATER), BOOM, LATER),
    "stopped": lambda p: stopped(compiled(p)),
    "stopped_with_error": lambda p: with_error(compiled(p)),
    "clearing": lambda p: lifecycle.clear(stopped(compiled(p))),
    "clearing_with_error": lambda p: lifecycle.clear(with_error(compiled(p))),
}


def _cells() -> list[tuple[str, str, str]]:
    cells = []
    for line in TABLE:
        state, *answers = line.split()
        assert len(answers) == len(REQUESTS), state
        cells += [(state, request, answer) for request, answer in zip(REQUESTS, answers, strict=True)]
    return cells


def test_the_table_has_every_state() -> None:
    assert [line.split()[0] for line in TABLE] == list(STATES)


@pytest.mark.parametrize("state", STATES)
def test_every_request_in_a_state(http: Http, services: Services, monkeypatch: pytest.MonkeyPatch, state: str) -> None:
    async def answer(to: Target, method: str) -> str:
        require_deployed(to.pipeline)
        return f"Pipeline transitioning from Running to {'Paused' if to.target == '/pause' else 'Running'}"

    monkeypatch.setattr(services.proxy, "call", answer)
    for number, (request, expected) in enumerate((r, a) for s, r, a in _cells() if s == state):
        before = STATES[state](new_pipeline(pipeline_id=f"id-{number}"))
        services.store.insert(before)
        method, path, body = REQUESTS[request]
        response = http.request(method, f"{PREFIX}/p{path}", json=body)
        after = services.store.get(before.id)
        if expected in CODES:
            assert (response.status_code, response.json()["error_code"]) == CODES[expected], request
            assert after == before, request
        else:
            assert response.status_code == int(expected), (request, response.text)
            _check_effect(request, before, after)
        if after is not None:
            services.store.delete(after.name, lambda _: None)


def _check_effect(request: str, before: Pipeline, after: Pipeline | None) -> None:
    """What an accepted request must have changed."""
    if request == "delete":
        assert after is None
        return
    assert after is not None
    if request.startswith("start"):
        wish = "Paused" if request == "start_paused" else "Running"
        assert (after.resources_desired_status, after.deployment_initial) == ("Provisioned", wish)
        assert after.deployment_error is None
        assert after.refresh_version == before.refresh_version
    elif request.startswith("stop"):
        assert after.resources_desired_status == "Stopped"
        assert after.resources_status == before.resources_status
    elif request in ("pause", "resume"):
        assert after.runtime_desired_status == ("Paused" if request == "pause" else "Running")
    elif request == "clear":
        assert after.storage_status == ("Cleared" if before.storage_status == "Cleared" else "Clearing")
    elif request == "dismiss":
        assert after == replace(before, deployment_error=None)
    elif request == "patch_nothing":
        assert after == before
    elif request == "patch_tags":
        assert after == replace(before, tags=("x",))
    else:
        assert after.version == before.version + 1
        edits_program = request in ("patch_code", "put", "update_runtime")
        assert after.program_version == before.program_version + edits_program
        if edits_program:
            assert (after.program_status, after.program_info) == ("Pending", None)
            assert not any(after.program_error.values())
