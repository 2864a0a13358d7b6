"""The API of a real server by plain HTTP, and waiting for what it says."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Protocol

import httpx

WAIT_S = 60.0


class HasUrl(Protocol):
    """A server."""

    url: str


def wait_for(what: str, condition: Callable[[], bool], timeout: float = WAIT_S) -> None:
    """Poll until `condition` holds; fail with `what` after `timeout` seconds."""
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline, f"waited {timeout:.0f} s for {what}"
        time.sleep(0.01)


class Rest:
    """The API of a server, without the client's patience."""

    def __init__(self, server: HasUrl) -> None:
        self.server = server
        self.http = httpx.Client(base_url=server.url + "/v0", timeout=60)

    def state(self, name: str, selector: str = "all") -> dict[str, Any]:
        found: dict[str, Any] = self.http.get(f"/pipelines/{name}", params={"selector": selector}).json()
        return found

    def wait(self, name: str, condition: Callable[[dict[str, Any]], bool], what: str) -> dict[str, Any]:
        """Poll a pipeline until the condition holds, and return it."""
        found: list[dict[str, Any]] = []

        def holds() -> bool:
            found[:] = [self.state(name)]
            return condition(found[0])

        wait_for(what, holds)
        return found[0]

    def reaches(self, name: str, status: str) -> dict[str, Any]:
        """Wait until the pipeline is in a status; fail at once, with its error, if it will not get there."""

        def there(p: dict[str, Any]) -> bool:
            if p["deployment_status"] == status:
                return True
            failed = p["deployment_error"] is not None and p["deployment_desired_status"] == "Stopped"
            assert not failed or status == "Stopped", f"{name} is to be {status}: {p['deployment_error']}"
            return False

        return self.wait(name, there, f"{name} to be {status}")

    def create(self, name: str, sql: str) -> None:
        """Create a pipeline and wait until its program is compiled."""
        assert self.http.put(f"/pipelines/{name}", json={"name": name, "program_code": sql}).is_success
        final = ("Success", "SqlError", "RustError", "SystemError")
        self.wait(name, lambda p: p["program_status"] in final, "compilation")

    def start(self, name: str, initial: str = "running") -> None:
        """Start a pipeline and wait until it has got there."""
        assert self.http.post(f"/pipelines/{name}/start", params={"initial": initial}).status_code == 202
        self.reaches(name, initial.capitalize())

    def pid(self, name: str) -> int:
        return int(self.state(name)["deployment_resources_status_details"]["pid"])

    def received(self, name: str) -> int:
        stats = self.http.get(f"/pipelines/{name}/stats").json()
        return int(stats["global_metrics"]["total_input_records"])

    def completed(self, name: str, token: str) -> bool:
        """Whether what a token stands for has been processed and delivered."""
        answer = self.http.get(f"/pipelines/{name}/completion_status", params={"token": token})
        return bool(answer.json()["status"] == "complete")

    def push(self, name: str, *numbers: int) -> httpx.Response:
        rows = "\n".join(f'{{"insert": {{"n": {n}}}}}' for n in numbers)
        return self.http.post(f"/pipelines/{name}/ingress/t?format=json", content=rows)

    def remove(self, name: str) -> None:
        """Stop, clear and delete a pipeline, whatever it is doing."""
        if self.http.post(f"/pipelines/{name}/stop?force=true").is_success:
            self.reaches(name, "Stopped")
            self.http.post(f"/pipelines/{name}/clear")
            self.wait(name, lambda p: p["storage_status"] == "Cleared", "cleared storage")
            assert self.http.delete(f"/pipelines/{name}").status_code == 200
