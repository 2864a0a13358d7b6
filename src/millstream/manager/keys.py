"""API keys: made, listed and deleted; only a digest of each is stored (api.md §4.2, §25)."""

from __future__ import annotations

import base64
import hashlib
import re
import secrets
import string
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

Role = Literal["read", "write"]


def digest(key: str) -> str:
    """Base64 of the SHA-256 of the whole key."""
    return base64.b64encode(hashlib.sha256(key.encode()).digest()).decode()


class ApiKeys:
    """The keys of a server. Thread-safe."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def create(self, name: str, role: Role) -> dict[str, Any]:
        """Make a key; the answer is the only time that it is seen. Raises `DuplicateName` and errors about the name."""
        if not name:
            raise errors.empty_name()
        if len(name) > MAX_NAME_LENGTH:
            raise errors.too_long_name(name, MAX_NAME_LENGTH)
        if not re.fullmatch(NAME_PATTERN, name):
            raise errors.name_does_not_match(name, NAME_PATTERN, NAME_DESCRIPTION)
        alphabet = string.ascii_letters + string.digits
        key = KEY_PREFIX + "".join(secrets.choice(alphabet) for _ in range(KEY_LENGTH))
        key_id = str(uuid7())
        try:
            with self._engine.begin() as connection:
                connection.execute(insert(api_keys).values(id=key_id, name=name, role=role, digest=digest(key)))
        except IntegrityError:
            raise errors.duplicate_name() from None
        return {"id": key_id, "name": name, "api_key": key}

    def all(self) -> list[dict[str, Any]]:
        """`{"id", "name", "role"}` of every key, oldest first."""
        with self._engine.begin() as connection:
            rows = connection.execute(select(api_keys).order_by(api_keys.c.id)).all()
        return [{"id": row.id, "name": row.name, "role": row.role} for row in rows]

    def get(self, name: str) -> dict[str, Any]:
        """One key. Raises `UnknownApiKey`."""
        for key in self.all():
            if key["name"] == name:
                return key
        raise errors.unknown_api_key(name)

    def delete(self, name: str) -> None:
        """Forget a key. Raises `UnknownApiKey`."""
        with self._engine.begin() as connection:
            if connection.execute(delete(api_keys).where(api_keys.c.name == name)).rowcount == 0:
                raise errors.unknown_api_key(name)
