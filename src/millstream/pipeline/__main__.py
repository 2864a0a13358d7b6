"""Entry of a pipeline process: `python -m millstream.pipeline --spec FILE` or `--wait`.

With `--wait` the process loads everything heavy, warms up (`warm.py`) and waits for a line on standard input that names
the spec file: a pipeline that starts in a process kept warm skips all of that. The last two lines of standard input are
the token that requests must carry and the proof in answers: unlike arguments and environment, no other user of the
machine can read them.
"""

from __future__ import annotations

import argparse
import io
import logging
import os
import socket
import sys
import threading
from pathlib import Path

import msgspec
import uvicorn

from millstream import no_pandas  # noqa: F401 - before pyarrow
from millstream.allocator import keep_freed_memory
from millstream.lasting import keep_loaded
from millstream.pipeline import precompile
from millstream.pipeline.host import Host, Spec, write_atomically
from millstream.pipeline.server import create_app
from millstream.pipeline.warm import warm_up

LOOPBACK = "127.0.0.1"
KEEP_ALIVE_S = 75
SWITCH_INTERVAL_S = 0.001
"""How long a thread that works may keep the interpreter from one that has a request to answer."""


def main() -> None:
    """Serve one pipeline until it is shut down or fails; the exit status tells which (0 or 1)."""
    parser = argparse.ArgumentParser(prog="millstream.pipeline")
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--spec", help="path of the pipeline's spec file (JSON)")
    source.add_argument("--wait", action="store_true", help="read that path from standard input")
    arguments = parser.parse_args()
    keep_freed_memory()
    keep_loaded()
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    precompile.start(precompile.ALL)
    threading.Thread(target=warm_up, name="warm-up", daemon=True).start()
    path = sys.stdin.readline().strip() if arguments.wait else arguments.spec
    if not path:
        return  # the manager went away without a task for this process
    token = sys.stdin.readline().strip()
    proof = sys.stdin.readline().strip()
    if not token or not proof:
        sys.exit("the lines with the token and the proof are missing on standard input")
    spec = msgspec.json.decode(Path(path).read_bytes(), type=Spec)
    os.environ.update(spec.runtime_config.get("env") or {})
    assert isinstance(sys.stdout, io.TextIOWrapper)
    sys.stdout.reconfigure(line_buffering=True)  # what functions of users print appears among the log lines
    logging.basicConfig(
        stream=sys.stdout, level=logging.INFO, format="%(asctime)s %(levelname)-5s %(name)s: %(message)s", force=True
    )
    logging.getLogger("uvicorn").setLevel(logging.WARNING)
    # Its lines show whole URLs, and those of connectors may hold secrets.
    logging.getLogger("httpx").setLevel(logging.WARNING)
    sys.exit(serve(spec, token, proof))


def serve(spec: Spec, token: str, proof: str) -> int:
    """Run the pipeline and its HTTP server until either ends; returns the exit status. Requests must carry `token`;
    answers carry `proof`."""
    status = 0
    listener = socket.create_server((LOOPBACK, 0), backlog=256)

    def on_exit(code: int) -> None:
        nonlocal status
        status = code
        server.should_exit = True
        server.force_exit = True  # endless egress streams must not hold the process

    host = Host(spec, on_exit=on_exit)
    config = uvicorn.Config(
        create_app(host, token, proof),
        log_config=None,
        access_log=False,
        lifespan="off",
        timeout_keep_alive=KEEP_ALIVE_S,
    )
    server = uvicorn.Server(config)
    endpoint = {"port": listener.getsockname()[1], "pid": os.getpid(), "incarnation_uuid": str(host.incarnation)}
    write_atomically(Path(spec.directory) / "endpoint.json", endpoint)
    threading.Thread(target=host.initialize, name="initialize", daemon=True).start()
    server.run(sockets=[listener])
    sys.stdout.flush()
    os._exit(status)  # reader threads may be blocked in system calls: nothing is left to save


if __name__ == "__main__":
    main()
