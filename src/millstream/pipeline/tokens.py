"""Completion tokens: "the first `c` records of endpoint `e` of this process" as an opaque string (connectors.md §7)."""

from __future__ import annotations

import base64
import binascii
import json
import uuid
from typing import NamedTuple

from millstream.errors import MillstreamError


class Token(NamedTuple):
    """What a token says."""

    endpoint_id: int
    records: int


def encode_token(incarnation: uuid.UUID, token: Token) -> str:
    """base64url without padding of a small JSON object."""
    body = json.dumps({"u": str(incarnation), "e": token.endpoint_id, "c": token.records}, separators=(",", ":"))
    return base64.urlsafe_b64encode(body.encode()).rstrip(b"=").decode()


def decode_token(incarnation: uuid.UUID, text: str) -> Token:
    """The inverse. Raises `InvalidParam` (400) for anything else, `PipelineRestarted` (410) for another process's."""
    try:
        body = json.loads(base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True))
        origin, endpoint_id, records = uuid.UUID(body["u"]), body["e"], body["c"]
        valid = type(endpoint_id) is int and type(records) is int
    except (binascii.Error, ValueError, KeyError, TypeError, AttributeError):
        valid = False
    if not valid:
        error = f"invalid completion token '{text}'"
        raise MillstreamError("InvalidParam", error, {"error": error})
    if origin != incarnation:
        raise MillstreamError(
            "PipelineRestarted", "the pipeline has been restarted since the completion token was generated", None, 410
        )
    return Token(endpoint_id, records)
