"""Tokens of the login provider: JSON Web Tokens signed by its keys (api.md §4.2; OpenID Connect Core §3.1.3.7,
RFC 8725).

The algorithm is fixed, not taken from the token: RS256 with an RSA key of the issuer. So tokens that claim to need no
signature, or that use the public key as the secret of an HMAC, fail before any key is looked at. Nothing that a token
says of where keys are (`jku`, `x5u`, `jwk`) is followed; keys come from the configured issuer only.
"""

from __future__ import annotations

import asyncio
import json
import logging
import math
import time
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
from joserfc import jws, jwt
from joserfc.errors import JoseError
from joserfc.jwk import RSAKey
from joserfc.jws import JWSRegistry
from joserfc.util import urlsafe_b64decode

from millstream.manager.access import Access, is_trustworthy

log = logging.getLogger("millstream.auth")

ALGORITHM = "RS256"
MIN_KEY_BITS = 2048
LEEWAY_S = 60.0
"""How much the clocks of issuer and server may differ."""
MAX_TOKEN_BYTES = 16 << 10
KEYS_FRESH_S = 120.0
KEYS_STALE_S = 600.0
"""How old keys may be while the issuer does not answer."""
FETCH_INTERVAL_S = 5.0
"""The issuer is asked at most so often, whatever tokens come."""
FETCH_TIMEOUT_S = 5.0
MAX_DOCUMENT_BYTES = 1 << 20

_REGISTRY = JWSRegistry(algorithms=[ALGORITHM], strict_check_header=False)
"""Header parameters that nobody knows are ignored, as RFC 7515 §4 has it; critical ones are refused below."""
_REGISTRY.max_header_length = _REGISTRY.max_payload_length = MAX_TOKEN_BYTES

Fetch = Callable[[str], Awaitable[bytes]]


class BadTokenError(Exception):
    """A token that does not hold; the text says why, without any part of the token."""


class KeysUnavailableError(Exception):
    """The issuer's keys cannot be had; the text is for the log."""


class _BadDocumentError(Exception):
    """What the issuer publishes is of no use; the text is for the log."""


class IssuerKeys:
    """The signing keys of an issuer by their identifier, fetched when needed. Lives on the event loop.

    `keys_url` None: the issuer's discovery document tells where the keys are.
    """

    def __init__(self, issuer: str, keys_url: str | None, fetch: Fetch, clock: Callable[[], float]) -> None:
        self._issuer = issuer
        self._keys_url = keys_url
        self._fetch = fetch
        self._clock = clock
        self._keys: dict[str, RSAKey] = {}
        self._fetched_at = -math.inf
        self._asked_at = -math.inf
        self._lock = asyncio.Lock()

    async def get(self, kid: str) -> RSAKey | None:
        """The key, or None if the issuer has none of that identifier. A key that is not known, and keys that are no
        longer fresh, have the issuer asked. Raises `KeysUnavailableError`."""
        if self._wanting(kid):
            async with self._lock:  # held while the issuer is asked: who comes meanwhile waits for the same answer
                if self._wanting(kid) and self._clock() - self._asked_at >= FETCH_INTERVAL_S:
                    await self._refresh()
        if self._clock() - self._fetched_at > KEYS_STALE_S:
            raise KeysUnavailableError(f"the issuer {self._issuer} has not answered for too long")
        return self._keys.get(kid)

    def _wanting(self, kid: str) -> bool:
        return kid not in self._keys or self._clock() - self._fetched_at > KEYS_FRESH_S

    async def _refresh(self) -> None:
        self._asked_at = self._clock()
        try:
            url = self._keys_url or await self._discover()
            self._keys = _signing_keys(await self._document(url))
        except (httpx.HTTPError, TimeoutError, _BadDocumentError) as error:
            log.warning("cannot fetch the keys of the issuer %s: %s", self._issuer, error or type(error).__name__)
            return
        self._fetched_at = self._asked_at

    async def _discover(self) -> str:
        """Where the keys are (OpenID Connect Discovery §4)."""
        document = await self._document(self._issuer.rstrip("/") + "/.well-known/openid-configuration")
        if document.get("issuer") != self._issuer:
            raise _BadDocumentError(f"its discovery document names another issuer: {document.get('issuer')!r}")
        url = document.get("jwks_uri")
        if not isinstance(url, str) or not is_trustworthy(url.partition("?")[0]):
            raise _BadDocumentError(f"its discovery document has no usable 'jwks_uri': {url!r}")
        return url

    async def _document(self, url: str) -> dict[str, Any]:
        try:
            document = json.loads(await self._fetch(url))
        except (json.JSONDecodeError, UnicodeDecodeError):
            raise _BadDocumentError(f"{url} is not JSON") from None
        if not isinstance(document, dict):
            raise _BadDocumentError(f"{url} is not a JSON object")
        return document


def _signing_keys(document: dict[str, Any]) -> dict[str, RSAKey]:
    """The RSA keys of a JWK set (RFC 7517 §5) that may sign tokens; keys of other kinds are passed over."""
    listed = document.get("keys")
    if not isinstance(listed, list):
        raise _BadDocumentError("the key set has no list 'keys'")
    found: dict[str, RSAKey] = {}
    for entry in listed:
        if not isinstance(entry, dict) or entry.get("kty") != "RSA" or not isinstance(entry.get("kid"), str):
            continue
        if entry.get("alg", ALGORITHM) != ALGORITHM or entry.get("use", "sig") != "sig":
            continue
        try:
            bits = int.from_bytes(urlsafe_b64decode(entry["n"].encode())).bit_length()
            if bits < MIN_KEY_BITS:
                raise _BadDocumentError(f"{bits} bits are too few")
            found[entry["kid"]] = RSAKey.import_key({name: entry[name] for name in ("kty", "n", "e")})
        except (JoseError, _BadDocumentError, ValueError, TypeError, KeyError, AttributeError) as error:
            log.warning("passing over the issuer's key '%s': %s", entry["kid"], error)
    return found


class LoginVerifier:
    """Checks the tokens of the configured provider. Lives on the event loop. `clock` counts for ages, `now` is the time
    of day in seconds since 1970, which tokens are compared with."""

    def __init__(
        self,
        access: Access,
        fetch: Fetch,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._access = access
        self._now = now
        cognito = access.provider == "aws-cognito"
        keys_url = access.issuer.rstrip("/") + "/.well-known/jwks.json" if cognito else None
        self._keys = IssuerKeys(access.issuer, keys_url, fetch, clock)

    async def verify(self, token: str) -> dict[str, Any]:
        """The claims of a token that holds, with `iss` and `sub`. Raises `BadTokenError`, `KeysUnavailableError`."""
        kid = self._peek(token)
        key = await self._keys.get(kid)
        if key is None:
            raise BadTokenError("it is signed with a key that the issuer does not list")
        try:
            claims = jwt.decode(token, key, registry=_REGISTRY).claims
        except (JoseError, ValueError):
            raise BadTokenError("its signature is wrong") from None
        self._check(claims)
        return claims

    def _peek(self, token: str) -> str:
        """What must be right before a key is looked for; the key's identifier."""
        if len(token) > MAX_TOKEN_BYTES:
            raise BadTokenError(f"it is longer than {MAX_TOKEN_BYTES} bytes")
        try:
            parts = jws.extract_compact(token.encode(), registry=_REGISTRY)
            header, claims = parts.headers(), json.loads(parts.payload or b"")
        except (JoseError, ValueError, TypeError, RecursionError):
            raise BadTokenError("it is not a JSON Web Token") from None
        if header.get("alg") != ALGORITHM:
            raise BadTokenError(f"its algorithm is not {ALGORITHM}")
        if "crit" in header or "b64" in header:
            raise BadTokenError("its header has critical extensions")
        kid = header.get("kid")
        if not isinstance(kid, str) or not kid:
            raise BadTokenError("its header has no 'kid'")
        if not isinstance(claims, dict) or claims.get("iss") != self._access.issuer:
            raise BadTokenError("its issuer is not registered here")
        return kid

    def _check(self, claims: dict[str, Any]) -> None:
        access, now = self._access, self._now()
        if not isinstance(claims.get("sub"), str) or not claims["sub"]:
            raise BadTokenError("it has no 'sub'")
        if _seconds(claims, "exp") <= now - LEEWAY_S:
            raise BadTokenError("it has expired")
        if "nbf" in claims and _seconds(claims, "nbf") > now + LEEWAY_S:
            raise BadTokenError("it is not valid yet")
        cognito = access.provider == "aws-cognito"
        if not cognito:
            audience = claims.get("aud")
            if access.audience not in (audience if isinstance(audience, list) else [audience]):
                raise BadTokenError("it is for another audience")
        for name, expected in (("client_id", access.client_id), ("token_use", "access")):
            if (cognito or name in claims) and claims.get(name) != expected:
                raise BadTokenError(f"its '{name}' is not the expected one")


def _seconds(claims: dict[str, Any], name: str) -> float:
    value = claims.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise BadTokenError(f"its '{name}' is not a time")
    return float(value)


def fetcher(client: httpx.AsyncClient) -> Fetch:
    """Fetches documents of bounded size in bounded time; redirects are errors, as they would leave the issuer."""

    async def fetch(url: str) -> bytes:
        async with asyncio.timeout(FETCH_TIMEOUT_S), client.stream("GET", url, follow_redirects=False) as response:
            if response.status_code != 200:
                raise _BadDocumentError(f"{url} answers with status {response.status_code}")
            content = b""
            async for part in response.aiter_bytes():
                content += part
                if len(content) > MAX_DOCUMENT_BYTES:
                    raise _BadDocumentError(f"{url} is larger than {MAX_DOCUMENT_BYTES} bytes")
            return content

    return fetch
