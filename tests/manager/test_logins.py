"""Tokens of a login provider: which hold, which do not, where keys come from, and what a login may do."""

from __future__ import annotations

import asyncio
import base64
import hmac
import json
import logging
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from joserfc import jws, jwt
from joserfc.jwk import RSAKey

from millstream.manager.access import TENANT_ID, Access
from millstream.manager.oidc import (
    FETCH_INTERVAL_S,
    KEYS_FRESH_S,
    KEYS_STALE_S,
    BadTokenError,
    KeysUnavailableError,
    LoginVerifier,
    fetcher,
)
from millstream.manager.services import Services
from tests.login_provider import AUDIENCE, CLIENT_ID, LoginProvider, published, signing_key
from tests.manager.access_support import Caller

DISCOVERY = "/.well-known/openid-configuration"


@pytest.fixture
def provider() -> Iterator[LoginProvider]:
    made = LoginProvider()
    yield made
    made.close()


@pytest.fixture
def access(provider: LoginProvider) -> Access:
    return Access(provider="generic-oidc", issuer=provider.issuer, client_id=CLIENT_ID)


class Logins:
    """A verifier with a clock that the test moves."""

    def __init__(self, access: Access) -> None:
        self.clock = 1000.0
        self.runner = asyncio.Runner()
        self._client = httpx.AsyncClient()
        self._verifier = LoginVerifier(access, fetcher(self._client), lambda: self.clock)

    def verify(self, *tokens: str) -> list[Any]:
        """What becomes of tokens that come at the same time: claims, or the text of the error."""

        async def one(token: str) -> Any:
            try:
                return await self._verifier.verify(token)
            except BadTokenError as error:
                return str(error)
            except KeysUnavailableError:
                return "unavailable"

        async def all_of_them() -> list[Any]:
            return await asyncio.gather(*map(one, tokens))

        return self.runner.run(all_of_them())

    def close(self) -> None:
        with self.runner:
            self.runner.run(self._client.aclose())


@pytest.fixture
def logins(access: Access) -> Iterator[Logins]:
    made = Logins(access)
    yield made
    made.close()


def encoded(value: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


def test_a_good_token_holds(provider: LoginProvider, logins: Logins) -> None:
    assert logins.verify(provider.token())[0]["sub"] == "ada"
    assert (
        logins.verify(provider.token(aud=["x", AUDIENCE], client_id=None, token_use=None, nbf=None))[0]["sub"] == "ada"
    )
    assert logins.verify(provider.token(header={"x-unknown": "ignored", "typ": "at+jwt"}))[0]["sub"] == "ada"


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"exp": 1}, "it has expired"),
        ({"exp": None}, "its 'exp' is not a time"),
        ({"exp": "never"}, "its 'exp' is not a time"),
        ({"exp": True}, "its 'exp' is not a time"),
        ({"exp": float("inf")}, "its 'exp' is not a time"),
        ({"nbf": 99999999999}, "it is not valid yet"),
        ({"nbf": "soon"}, "its 'nbf' is not a time"),
        ({"aud": "another-api"}, "it is for another audience"),
        ({"aud": ["a", "b"]}, "it is for another audience"),
        ({"aud": {AUDIENCE: 1}}, "it is for another audience"),
        ({"aud": None}, "it is for another audience"),
        ({"client_id": "other"}, "its 'client_id' is not the expected one"),
        ({"token_use": "id"}, "its 'token_use' is not the expected one"),
        ({"iss": "https://elsewhere.example"}, "its issuer is not registered here"),
        ({"iss": None}, "its issuer is not registered here"),
        ({"sub": None}, "it has no 'sub'"),
        ({"sub": ""}, "it has no 'sub'"),
        ({"sub": 7}, "it has no 'sub'"),
    ],
)
def test_claims_that_do_not_hold(provider: LoginProvider, logins: Logins, changes: dict[str, Any], reason: str) -> None:
    claims = provider.claims(**changes)
    header = {"alg": "RS256", "kid": "first"}
    token = jws.serialize_compact(header, json.dumps(claims), signing_key("first"), algorithms=["RS256"])
    assert logins.verify(token) == [reason]


@pytest.mark.parametrize(("seconds", "holds"), [(-30, True), (-90, False)])
def test_clocks_may_differ_by_a_minute(provider: LoginProvider, logins: Logins, seconds: int, holds: bool) -> None:
    now = provider.claims()["iat"]
    late = logins.verify(provider.token(exp=now + seconds))[0]
    early = logins.verify(provider.token(nbf=now - seconds))[0]
    assert (isinstance(late, dict), isinstance(early, dict)) == (holds, holds)


def test_tokens_without_signature_are_refused(provider: LoginProvider, logins: Logins) -> None:
    for alg in ("none", "None", "NONE", ""):
        claims = encoded(provider.claims())
        assert logins.verify(f"{encoded({'alg': alg, 'kid': 'first'})}.{claims}.") == ["its algorithm is not RS256"]
    stripped = provider.token().rpartition(".")[0] + "."
    assert logins.verify(stripped) == ["its signature is wrong"]
    assert provider.requests == [DISCOVERY, "/keys"]  # for the last token only


def test_the_public_key_is_no_secret_of_an_hmac(provider: LoginProvider, logins: Logins) -> None:
    public = signing_key("first").as_pem(private=False)
    signed = f"{encoded({'alg': 'HS256', 'kid': 'first'})}.{encoded(provider.claims())}"
    mac = base64.urlsafe_b64encode(hmac.digest(public, signed.encode(), "sha256")).rstrip(b"=").decode()
    forged = f"{signed}.{mac}"
    assert logins.verify(forged) == ["its algorithm is not RS256"]
    assert provider.requests == []


@pytest.mark.parametrize("alg", ["RS384", "RS512", "PS256"])
def test_other_algorithms_of_the_same_key_are_refused(provider: LoginProvider, logins: Logins, alg: str) -> None:
    key = RSAKey.import_key({k: v for k, v in signing_key("first").as_dict(private=True).items() if k != "alg"})
    token = jwt.encode({"alg": alg, "kid": "first"}, provider.claims(), key, algorithms=[alg])
    assert logins.verify(token) == ["its algorithm is not RS256"]


def test_headers_that_do_not_hold(provider: LoginProvider, logins: Logins) -> None:
    claims = encoded(provider.claims())
    cases = {
        "its header has no 'kid'": [{"alg": "RS256"}, {"alg": "RS256", "kid": ""}, {"alg": "RS256", "kid": 7}],
        "its header has critical extensions": [
            {"alg": "RS256", "kid": "first", "crit": ["x"], "x": 1},
            {"alg": "RS256", "kid": "first", "b64": True},
        ],
        "it is not a JSON Web Token": [{"kid": "first"}, [], {"alg": "RS256", "kid": "first", "b64": False}],
    }
    for reason, headers in cases.items():
        for header in headers:
            assert logins.verify(f"{encoded(header)}.{claims}.c2lnbmF0dXJl") == [reason], header
    assert provider.requests == []


@pytest.mark.parametrize("text", ["x", "a.b", "a.b.c", "..", "a.b.c.d.e", "é.é.é", "e30.e30.e30", "a" * 20000])
def test_what_is_no_token_at_all(provider: LoginProvider, logins: Logins, text: str) -> None:
    (reason,) = logins.verify(text)
    assert reason in ("it is not a JSON Web Token", "it is longer than 16384 bytes")
    assert provider.requests == []


def test_a_changed_token_is_refused(provider: LoginProvider, logins: Logins) -> None:
    header, claims, signature = provider.token().split(".")
    more = encoded({**json.loads(base64.urlsafe_b64decode(claims + "==")), "sub": "eve"})
    assert logins.verify(f"{header}.{more}.{signature}") == ["its signature is wrong"]


def test_keys_that_a_token_brings_along_are_not_used(provider: LoginProvider, logins: Logins) -> None:
    own = signing_key("attacker")
    header = {"alg": "RS256", "kid": "first", "jwk": published(own), "jku": f"{provider.issuer}/own"}
    token = jwt.encode(header, provider.claims(), own, algorithms=["RS256"])
    assert logins.verify(token) == ["its signature is wrong"]
    assert "/own" not in provider.requests


def test_keys_are_fetched_once_for_many_tokens(provider: LoginProvider, logins: Logins) -> None:
    tokens = [provider.token(sub=str(number)) for number in range(5)]
    assert [claims["sub"] for claims in logins.verify(*tokens)] == ["0", "1", "2", "3", "4"]
    logins.clock += KEYS_FRESH_S - 1
    assert logins.verify(tokens[0])[0]["sub"] == "0"
    assert provider.requests == [DISCOVERY, "/keys"]


def test_a_new_key_is_found_when_its_first_token_comes(provider: LoginProvider, logins: Logins) -> None:
    logins.verify(provider.token())
    provider.publish(published(signing_key("first")), published(signing_key("second")))
    logins.clock += FETCH_INTERVAL_S
    assert logins.verify(provider.token("second"), provider.token("first"))[0]["sub"] == "ada"
    assert provider.requests.count("/keys") == 2


def test_a_key_that_is_taken_back_is_refused_once_keys_are_no_longer_fresh(
    provider: LoginProvider, logins: Logins
) -> None:
    logins.verify(provider.token())
    provider.publish(published(signing_key("second")))
    logins.clock += KEYS_FRESH_S + 1
    assert logins.verify(provider.token()) == ["it is signed with a key that the issuer does not list"]


def test_unknown_keys_do_not_have_the_issuer_asked_without_bound(provider: LoginProvider, logins: Logins) -> None:
    tokens = [provider.token(header={"kid": f"made-up-{number}"}) for number in range(20)]
    unlisted = "it is signed with a key that the issuer does not list"
    assert logins.verify(*tokens) == [unlisted] * 20
    assert provider.requests.count("/keys") == 1
    logins.clock += FETCH_INTERVAL_S
    assert logins.verify(*tokens) == [unlisted] * 20
    assert provider.requests.count("/keys") == 2


def test_an_issuer_that_does_not_answer(provider: LoginProvider, logins: Logins) -> None:
    token = provider.token()
    keys = provider.answers.pop("/keys")
    assert logins.verify(token) == ["unavailable"]
    assert logins.verify(token) == ["unavailable"]
    assert provider.requests == [DISCOVERY, "/keys"]  # not asked again so soon
    provider.answers["/keys"] = keys
    logins.clock += FETCH_INTERVAL_S
    assert logins.verify(token)[0]["sub"] == "ada"
    provider.answers["/keys"] = (500, {}, b"")
    logins.clock += KEYS_STALE_S - 1
    assert logins.verify(token)[0]["sub"] == "ada"  # for a while, keys that are no longer fresh do
    logins.clock += KEYS_FRESH_S
    assert logins.verify(token) == ["unavailable"]


@pytest.mark.parametrize(
    ("path", "answer"),
    [
        (DISCOVERY, {"issuer": "https://elsewhere.example", "jwks_uri": "https://elsewhere.example/keys"}),
        (DISCOVERY, {"issuer": "ISSUER", "jwks_uri": "http://keys.example/keys"}),
        (DISCOVERY, {"issuer": "ISSUER", "jwks_uri": 7}),
        (DISCOVERY, {"issuer": "ISSUER"}),
        (DISCOVERY, []),
        (DISCOVERY, (200, {}, b"<html>")),
        (DISCOVERY, (302, {"Location": "/moved"}, b"")),
        ("/keys", {"keys": "none"}),
        ("/keys", {}),
        ("/keys", (200, {}, b"\xff")),
        ("/keys", (200, {}, b"[" + b" " * (1 << 20) + b"]")),
    ],
)
def test_documents_of_no_use(
    provider: LoginProvider, logins: Logins, path: str, answer: Any, caplog: pytest.LogCaptureFixture
) -> None:
    if isinstance(answer, dict) and answer.get("issuer") == "ISSUER":
        answer = {**answer, "issuer": provider.issuer}
    provider.answers[path] = answer
    with caplog.at_level(logging.WARNING, "millstream.auth"):
        assert logins.verify(provider.token()) == ["unavailable"]
    assert f"cannot fetch the keys of the issuer {provider.issuer}: " in caplog.text
    assert "/moved" not in provider.requests


@pytest.mark.parametrize(
    ("changes", "usable"),
    [
        ({}, True),
        ({"alg": None, "use": None}, True),
        ({"alg": "RS512"}, False),
        ({"use": "enc"}, False),
        ({"kid": None}, False),
        ({"n": "AQAB"}, False),
        ({"n": None}, False),
        ({"n": 7}, False),
        ({"kty": "oct", "k": "c2VjcmV0"}, False),
    ],
)
def test_which_published_keys_are_used(
    provider: LoginProvider, logins: Logins, changes: dict[str, Any], usable: bool
) -> None:
    provider.publish({"kty": "EC"}, published(signing_key("first"), **changes), published(signing_key("second")))  # type: ignore[arg-type]
    first, second = logins.verify(provider.token("first"), provider.token("second"))
    assert (isinstance(first, dict), second["sub"]) == (usable, "ada")


def test_cognito_has_its_keys_elsewhere_and_no_audience(provider: LoginProvider, access: Access) -> None:
    provider.answers["/.well-known/jwks.json"] = provider.answers["/keys"]
    logins = Logins(replace(access, provider="aws-cognito", login_url="https://l", logout_url="https://o"))
    assert logins.verify(provider.token(aud=None))[0]["sub"] == "ada"
    assert logins.verify(provider.token(client_id=None)) == ["its 'client_id' is not the expected one"]
    assert logins.verify(provider.token(token_use=None)) == ["its 'token_use' is not the expected one"]
    assert provider.requests == ["/.well-known/jwks.json"]
    logins.close()


# What a login may do.


@pytest.fixture
def call(access: Access, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Caller]:
    caller = Caller(Services(tmp_path, replace(access, **getattr(request, "param", {}))))
    yield caller
    caller.close()


def session(role: str | None, *, member: bool = True) -> dict[str, Any]:
    if role is None:
        return {"tenant_id": None, "tenant_name": None, "role": None, "memberships": []}
    memberships = [{"tenant_id": TENANT_ID, "name": "default", "role": role}] if member else []
    return {"tenant_id": TENANT_ID, "tenant_name": "default", "role": role, "memberships": memberships}


def test_a_login_has_the_default_role(provider: LoginProvider, call: Caller) -> None:
    token = provider.token()
    assert call("GET", "/v0/config/session", token).json() == session("read")
    assert call("GET", "/v0/pipelines", token).status_code == 200
    assert call("GET", "/v0/api_keys", token).json()["details"] == {"required": "write", "actual": "read"}


@pytest.mark.parametrize("call", [{"default_role": "write"}], indirect=True)
def test_a_login_that_may_write_makes_keys(provider: LoginProvider, call: Caller) -> None:
    made = call("POST", "/v0/api_keys", provider.token(), json={"name": "k", "role": "write"})
    assert call("GET", "/v0/config/session", made.json()["api_key"]).json() == session("write", member=False)


@pytest.mark.parametrize("call", [{"owners": ("ada@example.com", "bob", "ISSUER carol")}], indirect=True)
@pytest.mark.parametrize(
    ("claims", "owner"),
    [
        ({"email": "ada@example.com", "email_verified": True}, True),
        ({"email": "ada@example.com", "email_verified": False}, False),
        ({"email": "ada@example.com", "email_verified": "true"}, False),
        ({"email": "ada@example.com"}, False),
        ({"sub": "bob"}, True),
        ({"sub": "carol"}, False),
    ],
)
def test_owners(provider: LoginProvider, call: Caller, claims: dict[str, Any], owner: bool) -> None:
    token = provider.token(**claims)
    assert call("GET", "/v0/config/session", token).json()["role"] == ("owner" if owner else "read")
    answer = call("GET", "/v0/config/owners", token)
    assert answer.status_code == (200 if owner else 403)
    if owner:
        assert answer.json() == {"owners": ["ada@example.com", "bob", "ISSUER carol"], "owner_trusts": []}
        for path in ("/v0/tenants", "/v0/tenant/users", "/v0/oidc_trust"):
            answer = call("GET", path, token)
            assert (answer.status_code, answer.json()["error_code"]) == (501, "NotSupported")


@pytest.mark.parametrize("call", [{"owners": ("bob",)}], indirect=True)
@pytest.mark.parametrize(
    ("sub", "selector", "status", "code"),
    [
        ("ada", "default", 200, None),
        ("ada", TENANT_ID, 200, None),
        ("ada", "other", 403, "NotATenantMember"),
        ("bob", "default", 200, None),
        ("bob", "other", 404, "UnknownTenantName"),
    ],
)
def test_the_tenant_header(
    provider: LoginProvider, call: Caller, sub: str, selector: str, status: int, code: str | None
) -> None:
    for path in ("/v0/pipelines", "/v0/config/session"):
        answer = call("GET", path, provider.token(sub=sub), headers={"Feldera-Tenant": selector})
        if path == "/v0/pipelines" or status != 403:
            assert (answer.status_code, code and answer.json()["error_code"]) == (status, code)
        else:
            assert answer.json() == session(None)


@pytest.mark.parametrize(
    ("claims", "enters"),
    [
        ({"tenants": ["default", "b"]}, True),
        ({"tenants": "a, default"}, True),
        ({"tenants": [" ", ""], "tenant": "default"}, True),
        ({"tenants": []}, True),
        ({"tenants": ["a"]}, False),
        ({"tenant": "a"}, False),
    ],
)
def test_tenants_that_a_token_claims(
    provider: LoginProvider, call: Caller, claims: dict[str, Any], enters: bool
) -> None:
    token = provider.token(**claims)
    answer = call("GET", "/v0/pipelines", token)
    assert answer.status_code == (200 if enters else 403)
    assert enters or answer.json()["error_code"] == "NoTenantMemberships"
    assert call("GET", "/v0/config/session", token).json() == session("read" if enters else None)
    assert call("GET", "/v0/nothing", token).status_code == 404


@pytest.mark.parametrize("call", [{"authorized_groups": ("a", "b")}], indirect=True)
@pytest.mark.parametrize(
    ("groups", "enters"), [(["b", "c"], True), ("a", True), (["c"], False), ([], False), (None, False), (7, False)]
)
def test_groups(provider: LoginProvider, call: Caller, groups: Any, enters: bool) -> None:
    answer = call("GET", "/v0/pipelines", provider.token(groups=groups))
    assert answer.status_code == (200 if enters else 401)
    if not enters:
        assert answer.json().keys() == {"message", "error_code"}
        assert answer.json()["error_code"] == "AuthenticationFailed"


def test_a_bad_token_is_challenged_with_the_reason(provider: LoginProvider, call: Caller) -> None:
    token = provider.token(exp=1)
    answer = call("GET", "/v0/pipelines", token)
    assert answer.status_code == 401
    expected = 'Bearer error="invalid_token", error_description="it has expired"'
    assert answer.headers["www-authenticate"] == expected
    assert answer.text == "invalid token: it has expired"
    assert answer.headers["content-type"].startswith("text/plain")


def test_keys_that_cannot_be_had_are_not_the_callers_fault(provider: LoginProvider, call: Caller) -> None:
    provider.answers.clear()
    answer = call("GET", "/v0/pipelines", provider.token())
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
    assert answer.json().keys() == {"message", "error_code"}


@pytest.mark.parametrize(
    ("settings", "answer"),
    [
        (Access(), {}),
        (Access(provider="api-keys"), {}),
        (
            Access(provider="generic-oidc", issuer="https://i", client_id="c"),
            {"GenericOidc": {"issuer": "https://i", "client_id": "c", "extra_oidc_scopes": []}},
        ),
        (
            Access(provider="generic-oidc", issuer="https://i", client_id="c", authorized_groups=("g",)),
            {"GenericOidc": {"issuer": "https://i", "client_id": "c", "extra_oidc_scopes": ["groups"]}},
        ),
        (
            Access(provider="aws-cognito", issuer="https://i", client_id="c", login_url="https://l", logout_url="o"),
            {"AwsCognito": {"issuer": "https://i", "login_url": "https://l", "logout_url": "o"}},
        ),
    ],
)
def test_what_clients_are_told_of_the_login(settings: Access, answer: dict[str, Any], tmp_path: Path) -> None:
    caller = Caller(Services(tmp_path, settings))
    assert caller("GET", "/config/authentication").json() == answer
    caller.close()
