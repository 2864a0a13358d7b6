"""`millstream serve`: one server on one data directory, until it is asked to end.

SIGINT and SIGTERM end the server, not the pipelines: their processes go on working, and the next server on the same
data directory finds them again, exactly as it does after the server was killed. What a pipeline has computed lives in
its process, so ending it is something that its user asks for (`millstream stop`).
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import fcntl
import logging
import os
import signal
import socket
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import uvicorn
import uvloop

from millstream.errors import MillstreamError
from millstream.manager import demos
from millstream.manager.access import Access, is_loopback_name
from millstream.manager.app import create_app
from millstream.manager.services import Services
from millstream.manager.settings import Settings, from_environment
from millstream.manager.tls import Tls

log = logging.getLogger("millstream.api")

LOCK_FILE = "lock"
BACKLOG = 1024
KEEP_ALIVE_S = 75
GRACE_S = 3
"""How long answers that are under way may take when the server ends."""


def serve(
    host: str,
    port: int,
    data_dir: Path,
    access: Access | None = None,
    tls: Tls | None = None,
    demos_dirs: Sequence[Path] = (),
) -> None:
    """Serve the API on `host`:`port` (0: any free port) until SIGINT or SIGTERM. `access` says who may use it (default:
    everybody), `tls` None means plain HTTP, `demos_dirs` hold more programs to try.

    Raises `InvalidSetting`, `InvalidDemo`, `AddressNotAvailable` if it cannot listen there, `DataDirectoryLocked` if
    another server uses `data_dir`, and `DataDirectoryNotUsable` if that cannot be written.
    """
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)-7s %(name)s: %(message)s")
    for noisy in ("httpx", "httpcore", "uvicorn.error"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    settings = from_environment()
    more_demos = tuple(demo for directory in demos_dirs for demo in demos.load(directory))
    data_dir = data_dir.absolute()
    with _locked(data_dir), _listening(host, port) as listener:
        uvloop.run(_serve(listener, data_dir, access or Access(), tls, more_demos, settings))


@contextlib.contextmanager
def _locked(data_dir: Path) -> Iterator[None]:
    """Hold the data directory: two servers on the same one would fight over its pipelines."""
    try:
        data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor = os.open(data_dir / LOCK_FILE, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        text = f"cannot use the data directory '{data_dir}': {error.strerror}"
        raise MillstreamError("DataDirectoryNotUsable", text, {"data_dir": str(data_dir)}, 500) from None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        holder = os.read(descriptor, 32).decode("ascii", "replace").strip()
        os.close(descriptor)
        text = (
            f"another server{f' (process {holder})' if holder else ''} uses the data directory '{data_dir}': "
            "stop it, or choose another --data-dir"
        )
        raise MillstreamError("DataDirectoryLocked", text, {"data_dir": str(data_dir)}, 500) from None
    try:
        os.truncate(descriptor, 0)
        os.write(descriptor, f"{os.getpid()}\n".encode())
        yield
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def _listening(host: str, port: int) -> Iterator[socket.socket]:
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listener = socket.socket(family, kind, protocol)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(address)
            listener.listen(BACKLOG)
        except OSError:
            listener.close()
            raise
    except OSError as error:
        reason = (
            f"port {port} is in use by another program; choose another one with --port"
            if error.errno == errno.EADDRINUSE
            else error.strerror
        )
        text = f"cannot listen on {host}:{port}: {reason}"
        raise MillstreamError("AddressNotAvailable", text, {"host": host, "port": port}, 500) from None
    with listener:
        yield listener


class _Server(uvicorn.Server):
    """uvicorn, with signals handled by `_serve`."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


async def _serve(
    listener: socket.socket,
    data_dir: Path,
    access: Access,
    tls: Tls | None,
    more_demos: tuple[demos.Demo, ...],
    settings: Settings,
) -> None:
    services = Services(data_dir, access, more_demos, settings)
    config = uvicorn.Config(
        create_app(services),
        log_config=None,
        access_log=False,
        lifespan="off",
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=GRACE_S,
        server_header=False,
        ssl_certfile=None if tls is None else tls.certificate,
        ssl_keyfile=None if tls is None else tls.key,
    )
    server = _Server(config)

    def end() -> None:
        server.should_exit = True
        services.end_streams()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, end)
    try:
        await services.start()
        host, port = listener.getsockname()[:2]
        shown = f"[{host}]" if ":" in host else host
        scheme = "http" if tls is None else "https"
        who = "no authentication" if access.open else f"authentication by {access.provider}"
        _say(f"millstream listens on {scheme}://{shown}:{port} with {who}, its data in {data_dir}")
        if tls is None and not access.open and not is_loopback_name(host):
            log.warning("credentials travel unprotected over plain HTTP: use --enable-https, or a proxy that does TLS")
        await server.serve(sockets=[listener])
    finally:
        await services.close()
        left = [p.name for p in services.runner.running()]
        await loop.shutdown_default_executor()
        services.store.close()
    if left:
        _say(f"millstream ends; still running: {', '.join(left)}. The next server on {data_dir} finds them again.")


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()
