"""An OpenID Connect provider on a port of this machine: publishes its keys and signs tokens."""

from __future__ import annotations

import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from joserfc import jwt
from joserfc.jwk import RSAKey
from joserfc.jws import JWSRegistry

CLIENT_ID = "millstream-tests"
AUDIENCE = "feldera-api"

_KEYS: dict[str, RSAKey] = {}


def signing_key(kid: str) -> RSAKey:
    """The key of that identifier, made once for all tests."""
    if kid not in _KEYS:
        _KEYS[kid] = RSAKey.generate_key(2048, {"kid": kid, "alg": "RS256", "use": "sig"})
    return _KEYS[kid]


def published(key: RSAKey, **changes: Any) -> dict[str, Any]:
    """The public part of a key as a key set lists it; None as a value leaves a member out."""
    entry = {**key.as_dict(private=False), **changes}
    return {name: value for name, value in entry.items() if value is not None}


class LoginProvider:
    """See the module. `requests` are the paths that were asked for; `answers` can be changed."""

    def __init__(self) -> None:
        self.requests: list[str] = []
        self.answers: dict[str, Any] = {}
        provider = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                provider.requests.append(self.path)
                answer = provider.answers.get(self.path)
                if isinstance(answer, tuple):
                    status, headers, body = answer
                elif answer is None:
                    status, headers, body = 404, {}, b"no such document"
                else:
                    status, headers, body = 200, {}, json.dumps(answer).encode()
                self.send_response(status)
                for name, value in {**headers, "Content-Length": str(len(body))}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_arguments: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()
        self.issuer = f"http://127.0.0.1:{self._server.server_address[1]}"
        self.answers["/.well-known/openid-configuration"] = {"issuer": self.issuer, "jwks_uri": f"{self.issuer}/keys"}
        self.publish(published(signing_key("first")))

    def publish(self, *keys: dict[str, Any]) -> None:
        """Make these the keys of the provider."""
        self.answers["/keys"] = {"keys": list(keys)}

    def claims(self, **changes: Any) -> dict[str, Any]:
        """Claims that hold for an hour; None as a value leaves a claim out."""
        now = int(time.time())
        claims = {
            "iss": self.issuer, "sub": "ada", "aud": AUDIENCE, "client_id": CLIENT_ID, "token_use": "access",
            "iat": now, "nbf": now, "exp": now + 3600, **changes,
        }  # fmt: skip
        return {name: value for name, value in claims.items() if value is not None}

    def token(self, kid: str = "first", header: dict[str, Any] | None = None, **changes: Any) -> str:
        """A signed token with these claims."""
        made = {"alg": "RS256", "kid": kid, **(header or {})}
        lenient = JWSRegistry(algorithms=["RS256"], strict_check_header=False)
        return jwt.encode(made, self.claims(**changes), signing_key(kid), registry=lenient)

    def close(self) -> None:
        """Stop answering."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
