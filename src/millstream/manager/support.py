"""Support bundles: what is known of a pipeline at some moments, in one archive (api.md §23).

A *collection* is what could be had at one moment, as files. The service takes one of every running pipeline at
intervals and keeps the latest few on disk; a request for a bundle takes another one. Each part is had on its own: one
that fails, or does not apply, is named in the metadata of the bundle and keeps no other one out.
"""

from __future__ import annotations

import asyncio
import gzip
import io
import logging
import shutil
import zipfile
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

from millstream.errors import MillstreamError
from millstream.manager.background import Background
from millstream.manager.ids import timestamp
from millstream.manager.models import Pipeline, selected_info
from millstream.manager.platform import configuration
from millstream.manager.process import read_json, write_json
from millstream.manager.proxy import Proxy, Target
from millstream.manager.runner import Runner
from millstream.manager.settings import Settings
from millstream.manager.store import Store

log = logging.getLogger("millstream.support")

PARTS = (
    "circuit_profile", "heap_profile", "metrics", "logs", "stats", "pipeline_config", "system_config", "dataflow_graph",
    "pipeline_events",
)  # fmt: skip
"""The switches of a bundle; all are on unless turned off."""

DIRECTORY = "support"
SUMMARY_FILE = "collection.json"
DATA_VERSION = 1
PART_TIMEOUT_S = 30.0

Dataflow = Callable[[Pipeline], Awaitable[dict[str, Any]]]


@dataclass
class Collection:
    """Files by name, and what became of each part."""

    time: str
    files: dict[str, bytes] = field(default_factory=dict)
    collected: list[str] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)
    skipped: list[str] = field(default_factory=list)

    @property
    def directory(self) -> str:
        """Its name in a bundle, and on disk."""
        return self.time.replace(":", "-")

    def summary(self) -> dict[str, Any]:
        """Its entry in the bundle's metadata."""
        return {
            "directory": self.directory,
            "time": self.time,
            "data_version": DATA_VERSION,
            "collected": self.collected,
            "failed": self.failed,
            "skipped": self.skipped,
        }


class Support:
    """Takes collections, keeps the latest, and packs bundles. Lives on the event loop."""

    def __init__(
        self, store: Store, runner: Runner, proxy: Proxy, data_dir: Path, dataflow: Dataflow, settings: Settings
    ) -> None:
        self._store = store
        self._runner = runner
        self._proxy = proxy
        self._directory = data_dir / DIRECTORY
        self._dataflow = dataflow
        self._interval_s = settings.support_interval_s
        self._kept = settings.support_kept
        self._settings = settings
        self._work = Background("support", self._run)
        store.listen(lambda before, after: None if after or before is None else self._forget(before))

    def start(self) -> None:
        """Begin to collect in the background, unless the interval is 0."""
        if self._interval_s > 0:
            self._work.start()

    async def close(self) -> None:
        """Stop collecting."""
        await self._work.close()

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(self._interval_s)
            for p in self._runner.running():
                try:
                    await self.keep(p)
                except OSError as error:
                    log.warning("what was collected of pipeline '%s' cannot be kept: %s", p.name, error)

    # Collecting.

    async def collect(self, p: Pipeline, parts: Iterable[str]) -> Collection:
        """What can be had of a pipeline now."""
        wanted = set(parts)
        collection = Collection(timestamp())
        for part in PARTS:
            if part not in wanted:
                collection.skipped.append(part)
                continue
            try:
                async with asyncio.timeout(PART_TIMEOUT_S):
                    collection.files.update(await self._part(p, part))
            except MillstreamError as error:
                collection.failed[part] = f"{error.error_code}: {error.message}"
            except TimeoutError:
                collection.failed[part] = f"it took longer than {PART_TIMEOUT_S:g} s"
            else:
                collection.collected.append(part)
        return collection

    async def _part(self, p: Pipeline, part: str) -> dict[str, bytes]:
        if part == "circuit_profile":
            return {
                "circuit_profile.zip": await self._ask(p, "/circuit_profile"),
                "circuit_profile.json": await self._ask(p, "/circuit_json_profile"),
            }
        if part == "heap_profile":
            return {"heap_profile.pb.gz": await self._ask(p, "/heap_profile")}
        if part == "metrics":
            return {"metrics.txt": await self._ask(p, "/metrics")}
        if part == "stats":
            return {"stats.json": await self._ask(p, "/stats?include_connector_errors=true")}
        if part == "logs":
            return {"logs.txt": self._runner.logs(p).content()}
        if part == "pipeline_config":
            return {"pipeline_config.json.gz": gzip.compress(_json(selected_info(p, "all")))}
        if part == "system_config":
            return {"system_config.json": _json(configuration(self._settings.unstable_features))}
        if part == "dataflow_graph":
            return {"dataflow_graph.json": _json(await self._dataflow(p))}
        events = await asyncio.to_thread(self._store.events, p)
        return {"pipeline_events.json": _json(events)}

    async def _ask(self, p: Pipeline, target: str) -> bytes:
        return await self._proxy.fetch(Target(p, target), "GET")

    # Keeping.

    async def keep(self, p: Pipeline) -> None:
        """Collect everything, and keep it; the oldest collections beyond those to be kept go."""
        collection = await self.collect(p, PARTS)
        await asyncio.to_thread(self._keep, p, collection)

    def _keep(self, p: Pipeline, collection: Collection) -> None:
        home = self._directory / p.id
        directory = home / collection.directory
        directory.mkdir(parents=True, mode=0o700)
        for name, content in collection.files.items():
            (directory / name).write_bytes(content)
        write_json(directory / SUMMARY_FILE, collection.summary())
        for old in sorted(home.iterdir(), reverse=True)[self._kept :]:
            shutil.rmtree(old, ignore_errors=True)

    def _forget(self, p: Pipeline) -> None:
        shutil.rmtree(self._directory / p.id, ignore_errors=True)

    def _kept_collections(self, p: Pipeline) -> list[Collection]:
        """Newest first."""
        home = self._directory / p.id
        found = []
        for directory in sorted(home.iterdir(), reverse=True) if home.is_dir() else ():
            summary = read_json(directory / SUMMARY_FILE)
            if summary is not None:  # else the server was killed while it wrote
                files = {f.name: f.read_bytes() for f in directory.iterdir() if f.name != SUMMARY_FILE}
                found.append(
                    Collection(summary["time"], files, summary["collected"], summary["failed"], summary["skipped"])
                )
        return found

    # Packing.

    async def bundle(self, p: Pipeline, parts: Iterable[str], *, collect: bool, limit: int | None) -> bytes:
        """The archive: the metadata, and the newest `limit` collections with the parts that are asked for, a new one
        first if `collect`."""
        wanted = list(parts)
        if not wanted:
            return _pack(p, [], wanted)
        collections = [await self.collect(p, wanted)] if collect else []
        collections += await asyncio.to_thread(self._kept_collections, p)
        return await asyncio.to_thread(_pack, p, collections[:limit], wanted)


_FILES = {
    "circuit_profile": ("circuit_profile.zip", "circuit_profile.json"),
    "heap_profile": ("heap_profile.pb.gz",),
    "metrics": ("metrics.txt",),
    "logs": ("logs.txt",),
    "stats": ("stats.json",),
    "pipeline_config": ("pipeline_config.json.gz",),
    "system_config": ("system_config.json",),
    "dataflow_graph": ("dataflow_graph.json",),
    "pipeline_events": ("pipeline_events.json",),
}


def _pack(p: Pipeline, collections: list[Collection], wanted: list[str]) -> bytes:
    names = {name for part in wanted for name in _FILES[part]}
    metadata = {
        "metadata_version": 1,
        "requested_at": timestamp(),
        "pipeline": {
            "name": p.name,
            "status": p.deployment_status,
            "status_since": max(p.resources_status_since, p.runtime_status_since or ""),
            "desired_status": p.deployment_desired_status,
        },
        "collections": [collection.summary() for collection in collections],
    }
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("metadata.txt", _readable(metadata))
        archive.writestr("metadata.json", orjson.dumps(metadata, option=orjson.OPT_INDENT_2))
        for collection in collections:
            for name, content in collection.files.items():
                if name in names:
                    archive.writestr(f"{collection.directory}/{name}", content)
    return buffer.getvalue()


def _readable(metadata: dict[str, Any]) -> str:
    """The metadata for people."""
    pipeline = metadata["pipeline"]
    lines = [
        f"Support bundle of pipeline '{pipeline['name']}', requested at {metadata['requested_at']}",
        f"Status: {pipeline['status']} since {pipeline['status_since']} (desired: {pipeline['desired_status']})",
    ]
    for collection in metadata["collections"]:
        lines += ["", f"{collection['directory']}/ (collected at {collection['time']})"]
        lines += [f"  collected: {part}" for part in collection["collected"]]
        lines += [f"  failed: {part}: {reason}" for part, reason in collection["failed"].items()]
        lines += [f"  skipped: {part}" for part in collection["skipped"]]
    return "\n".join(lines) + "\n"


def _json(content: Any) -> bytes:
    return orjson.dumps(content, option=orjson.OPT_INDENT_2 | orjson.OPT_NON_STR_KEYS)
