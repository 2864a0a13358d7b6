"""API keys: made, listed, deleted and recognised; only a digest of each is stored (api.md §4.2, §25).

The keys are held in memory, so that recognising one costs a hash and a look-up. A key that is not among them may have
been made meanwhile on the command line (`millstream api-key create --data-dir`), so the database is read again before
it is refused; callers share such a reading, and there are at most five of them a second however many wrong keys come.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import re
import secrets
import string
import threading
import time
from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy import Engine, delete, insert, select
from sqlalchemy.exc import IntegrityError

from millstream.manager import errors
from millstream.manager.ids import uuid7
from millstream.manager.schema import api_keys

KEY_PREFIX = "apikey:"
KEY_LENGTH = 128
MAX_NAME_LENGTH = 100
NAME_PATTERN = "^[a-zA-Z0-9_-]+$"
NAME_DESCRIPTION = (
    "be non-empty and only contain lowercase (a-z), uppercase (A-Z), number (0-9), underscore (_) or hyphen (-) "
    "characters"
)
RELOAD_INTERVAL_S = 0.2

_ALPHABET = string.ascii_letters + string.digits
_KEY = re.compile(rf"{KEY_PREFIX}[a-zA-Z0-9]{{{KEY_LENGTH}}}")

KeyRole = Literal["read", "write"]


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A key as it is known without its secret."""

    id: str
    name: str
    role: KeyRole

    def to_json(self) -> dict[str, Any]:
        """The API's object."""
        return {"id": self.id, "name": self.name, "role": self.role}


def digest(key: str) -> str:
    """Base64 of the SHA-256 of the whole key: 128 random letters need nothing slower to protect them."""
    return base64.b64encode(hashlib.sha256(key.encode()).digest()).decode()


class ApiKeys:
    """The keys of a server. Thread-safe, but for `find`, which belongs to the event loop."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._lock = threading.Lock()
        self._reloading = asyncio.Lock()
        self._reloaded_at = 0.0
        self._by_digest: dict[str, ApiKey] = {}
        self._load()

    def _load(self) -> None:
        with self._lock, self._engine.begin() as connection:
            rows = connection.execute(select(api_keys).order_by(api_keys.c.id)).all()
            self._by_digest = {row.digest: ApiKey(row.id, row.name, row.role) for row in rows}

    async def find(self, key: str) -> ApiKey | None:
        """The key with this secret, or None. Finding the digest in a table tells nothing by the time it takes: who
        chooses a key does not choose its digest."""
        if not _KEY.fullmatch(key):
            return None
        wanted = digest(key)
        if wanted not in self._by_digest:
            await self._reload()
        return self._by_digest.get(wanted)

    async def _reload(self) -> None:
        """Return when the database has been read at a time after this call."""
        called_at = time.monotonic()
        async with self._reloading:
            if self._reloaded_at > called_at:
                return
            await asyncio.sleep(max(0.0, self._reloaded_at + RELOAD_INTERVAL_S - time.monotonic()))
            self._reloaded_at = time.monotonic()
            await asyncio.to_thread(self._load)

    def create(self, name: str, role: KeyRole) -> dict[str, Any]:
        """Make a key; the answer is the only time that it is seen. Raises `DuplicateName` and errors about the name."""
        if not name:
            raise errors.empty_name()
        if len(name) > MAX_NAME_LENGTH:
            raise errors.too_long_name(name, MAX_NAME_LENGTH)
        if not re.fullmatch(NAME_PATTERN, name):
            raise errors.name_does_not_match(name, NAME_PATTERN, NAME_DESCRIPTION)
        secret = KEY_PREFIX + "".join(secrets.choice(_ALPHABET) for _ in range(KEY_LENGTH))
        made = ApiKey(str(uuid7()), name, role)
        values = {**made.to_json(), "digest": digest(secret)}
        try:
            with self._lock, self._engine.begin() as connection:
                connection.execute(insert(api_keys).values(**values))
        except IntegrityError:
            raise errors.duplicate_name() from None
        self._load()
        return {"id": made.id, "name": name, "api_key": secret}

    def all(self) -> list[dict[str, Any]]:
        """`{"id", "name", "role"}` of every key, oldest first."""
        self._load()
        return [key.to_json() for key in self._by_digest.values()]

    def get(self, name: str) -> dict[str, Any]:
        """One key. Raises `UnknownApiKey`."""
        for key in self.all():
            if key["name"] == name:
                return key
        raise errors.unknown_api_key(name)

    def delete(self, name: str) -> None:
        """Forget a key: it is refused from now on. Raises `UnknownApiKey`."""
        with self._lock, self._engine.begin() as connection:
            if connection.execute(delete(api_keys).where(api_keys.c.name == name)).rowcount == 0:
                raise errors.unknown_api_key(name)
        self._load()
