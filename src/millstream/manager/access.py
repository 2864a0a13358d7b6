"""Who may use a server: what its settings say (api.md §4.1), checked before it starts.

Four ways: `none` (every caller is admin; only on loopback, or where that was asked for), `api-keys` (API keys alone),
and the two login providers `generic-oidc` and `aws-cognito`, whose tokens are taken besides API keys. A server has one
tenant, so settings that would make more of them are refused instead of ignored.
"""

from __future__ import annotations

import ipaddress
import os
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args
from urllib.parse import urlsplit

from millstream.errors import MillstreamError

Provider = Literal["none", "api-keys", "generic-oidc", "aws-cognito"]
PROVIDERS: tuple[str, ...] = get_args(Provider)
DEFAULT_AUDIENCE = "feldera-api"

TENANT_ID = "00000000-0000-0000-0000-000000000000"
TENANT_NAME = "default"


@dataclass(frozen=True, slots=True)
class Access:
    """Settings of authentication. `issuer` and what follows it matter for login providers only; `default_role` is what
    a login may do unless it is one of `owners` (a verified e-mail address, a `sub`, or `<iss> <sub>`)."""

    provider: Provider = "none"
    issuer: str = ""
    client_id: str = ""
    audience: str = DEFAULT_AUDIENCE
    authorized_groups: tuple[str, ...] = ()
    default_role: Literal["read", "write"] = "read"
    #: Has no effect, as there is one tenant and no login creates it; only its value is checked.
    first_user_role: str = ""
    owners: tuple[str, ...] = ()
    login_url: str = ""
    logout_url: str = ""
    ca_file: str | None = None
    #: Origins whose web pages may use the API; `any_origin` is for development.
    allowed_origins: tuple[str, ...] = ()
    any_origin: bool = False
    #: Names by which an unauthenticated server may be addressed (None: by any).
    host_names: frozenset[str] | None = None

    @property
    def open(self) -> bool:
        """Whether nobody is asked who they are."""
        return self.provider == "none"

    @property
    def has_logins(self) -> bool:
        """Whether tokens of a login provider are taken."""
        return self.provider in ("generic-oidc", "aws-cognito")

    def configuration(self) -> dict[str, Any]:
        """The answer of `GET /config/authentication`. A server with API keys alone has no login to offer."""
        if self.provider == "generic-oidc":
            scopes = ["groups"] if self.authorized_groups else []
            answer = {"issuer": self.issuer, "client_id": self.client_id, "extra_oidc_scopes": scopes}
            return {"GenericOidc": answer}
        if self.provider == "aws-cognito":
            answer = {"issuer": self.issuer, "login_url": self.login_url, "logout_url": self.logout_url}
            return {"AwsCognito": answer}
        return {}


def check(access: Access) -> None:
    """Raise `InvalidAuthenticationSettings` if the settings cannot work."""
    if access.provider not in PROVIDERS:
        raise invalid(f"unknown --auth-provider '{access.provider}': choose one of {', '.join(PROVIDERS)}")
    if access.default_role not in ("read", "write"):
        raise invalid(f"--auth-default-role is '{access.default_role}', but must be 'read' or 'write'")
    if access.first_user_role not in ("", "read", "write", "admin"):
        text = f"--auth-first-user-role is '{access.first_user_role}', but must be 'read', 'write' or 'admin'"
        raise invalid(text)
    for origin in access.allowed_origins:
        parts = urlsplit(origin)
        if parts.scheme not in ("http", "https") or not parts.netloc or origin != f"{parts.scheme}://{parts.netloc}":
            raise invalid(f"--allowed-origins has '{origin}', which is not of the form https://host[:port]")
    if not access.has_logins:
        if access.issuer or access.client_id:
            text = "--auth-issuer and --auth-client-id are of use only with --auth-provider generic-oidc or aws-cognito"
            raise invalid(text)
        return
    needed = {"--auth-issuer": access.issuer, "--auth-client-id": access.client_id}
    if access.provider == "aws-cognito":
        needed |= {"--auth-login-url": access.login_url, "--auth-logout-url": access.logout_url}
    elif not access.audience:
        raise invalid("--auth-audience must not be empty: tokens made for other services would be taken")
    missing = [name for name, value in needed.items() if not value]
    if missing:
        raise invalid(f"--auth-provider {access.provider} needs {' and '.join(missing)}")
    if not is_trustworthy(access.issuer):
        raise invalid(
            f"--auth-issuer is '{access.issuer}', but must be a URL that starts with https:// and has no query and no "
            "fragment (http:// is taken for loopback addresses)"
        )


#: Settings of servers with many tenants: the values that one tenant can honour.
_ONE_TENANT = {
    "FELDERA_AUTH_ISSUER_TENANT": "false",
    "FELDERA_AUTH_INDIVIDUAL_TENANT": "false",
    "FELDERA_AUTH_PROVISION_ON_LOGIN": "true",
    "FELDERA_OWNER_TRUSTS": "[]",
    "FELDERA_ALLOW_INTERNAL_TENANT_TRUST_ISSUERS": "false",
}


def refuse_other_tenants(environment: Mapping[str, str] = os.environ) -> None:
    """Raise `InvalidAuthenticationSettings` if the environment asks for what needs more than one tenant, or trust in
    other issuers: who set that up would rely on a separation that is not there."""
    for name, honoured in _ONE_TENANT.items():
        value = environment.get(name, "").strip()
        if value and value.lower() != honoured:
            raise invalid(
                f"{name} is set to '{value}', which is not supported: a server has one tenant, and takes tokens of its "
                f"login provider only. Unset it, or set it to '{honoured}'"
            )


def is_trustworthy(url: str) -> bool:
    """Whether what is read from `url` comes from whom it names: over https, or from this machine."""
    try:
        parts = urlsplit(url)
        host = parts.hostname
    except ValueError:
        return False
    if not host or parts.query or parts.fragment or parts.username is not None:
        return False
    return parts.scheme == "https" or (parts.scheme == "http" and is_loopback_name(host))


def is_loopback_name(host: str) -> bool:
    """Whether a host as written in a URL is this machine by its form alone."""
    host = host.strip("[]").lower().rstrip(".")
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def listens_on_loopback(host: str) -> bool:
    """Whether everything that `host` resolves to is reachable from this machine only; False if it does not resolve."""
    try:
        addresses = {info[4][0] for info in socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)}
    except OSError:
        return False
    return all(ipaddress.ip_address(str(address).partition("%")[0]).is_loopback for address in addresses)


def require_protection(host: str, access: Access, *, allow_unauthenticated: bool) -> None:
    """Raise `AuthenticationRequired` if anybody on the network could use the server unasked."""
    if not access.open or allow_unauthenticated or listens_on_loopback(host):
        return
    raise MillstreamError(
        "AuthenticationRequired",
        f"{host} can be reached from other machines, and without authentication everybody there could run programs on "
        "this one. Choose: --auth-provider api-keys (make the first key with `millstream api-key create NAME "
        "--role write --data-dir DIR`); --auth-provider generic-oidc with --auth-issuer and --auth-client-id; "
        "--host 127.0.0.1; or, where the network itself keeps others out, --allow-unauthenticated",
        {"host": host},
    )


def invalid(text: str) -> MillstreamError:
    """The error about a setting."""
    return MillstreamError("InvalidAuthenticationSettings", text, None)
