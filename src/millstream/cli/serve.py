"""`millstream serve`: the options of the server, from flags or the environment (api.md §4.1)."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

_AUTH = "Authentication"
_TLS = "HTTPS"
_WEB = "Web pages"

_OTHERS = "Accepted without effect"
_NO_EFFECT = "No effect: "

DataDir = Annotated[Path, typer.Option(help="Where pipelines and their state are kept.")]
DEFAULT_DATA_DIR = Path("~/.millstream")


def serve(
    host: Annotated[str, typer.Option("--host", "--bind-address", help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", "--api-port", help="Port to listen on.")] = 8080,
    data_dir: Annotated[
        Path,
        typer.Option("--data-dir", "--pg-embed-working-directory", help="Where pipelines and their state are kept."),
    ] = DEFAULT_DATA_DIR,
    demos_dir: Annotated[
        list[Path] | None, typer.Option(help="Directory of more programs to try (docs/api.md); may be repeated.")
    ] = None,
    auth_provider: Annotated[
        str,
        typer.Option(
            envvar="AUTH_PROVIDER", rich_help_panel=_AUTH, help="none, api-keys, generic-oidc or aws-cognito."
        ),
    ] = "none",
    auth_issuer: Annotated[
        str, typer.Option(envvar="FELDERA_AUTH_ISSUER", rich_help_panel=_AUTH, help="URL of the login provider.")
    ] = "",
    auth_client_id: Annotated[
        str, typer.Option(envvar="FELDERA_AUTH_CLIENT_ID", rich_help_panel=_AUTH, help="What the provider calls us.")
    ] = "",
    auth_audience: Annotated[
        str, typer.Option(envvar="FELDERA_AUTH_AUDIENCE", rich_help_panel=_AUTH, help="Whom tokens must be made for.")
    ] = "feldera-api",
    auth_authorized_groups: Annotated[
        str,
        typer.Option(
            envvar="FELDERA_AUTH_AUTHORIZED_GROUPS",
            rich_help_panel=_AUTH,
            help="Groups, with commas between them, of which a user must be in one.",
        ),
    ] = "",
    auth_default_role: Annotated[
        str,
        typer.Option(
            envvar="FELDERA_AUTH_DEFAULT_ROLE", rich_help_panel=_AUTH, help="What users may do: read or write."
        ),
    ] = "read",
    auth_first_user_role: Annotated[
        str,
        typer.Option(
            envvar="FELDERA_AUTH_FIRST_USER_ROLE",
            rich_help_panel=_OTHERS,
            help=_NO_EFFECT + "no login creates a tenant here. What users may do say the default role and the owners.",
        ),
    ] = "",
    owners: Annotated[
        str,
        typer.Option(
            envvar="FELDERA_OWNERS",
            rich_help_panel=_AUTH,
            help="Users who may do everything, with commas between them: verified e-mail, sub, or '<iss> <sub>'.",
        ),
    ] = "",
    auth_login_url: Annotated[
        str, typer.Option(envvar="AWS_COGNITO_LOGIN_URL", rich_help_panel=_AUTH, help="Login page (aws-cognito).")
    ] = "",
    auth_logout_url: Annotated[
        str, typer.Option(envvar="AWS_COGNITO_LOGOUT_URL", rich_help_panel=_AUTH, help="Logout page (aws-cognito).")
    ] = "",
    allow_unauthenticated: Annotated[
        bool,
        typer.Option(
            "--allow-unauthenticated",
            rich_help_panel=_AUTH,
            help="Let everybody who can reach a server without authentication use it.",
        ),
    ] = False,
    enable_https: Annotated[
        bool, typer.Option("--enable-https", envvar="FELDERA_ENABLE_HTTPS", rich_help_panel=_TLS, help="Serve HTTPS.")
    ] = False,
    https_tls_cert_path: Annotated[
        str,
        typer.Option(envvar="FELDERA_HTTPS_TLS_CERT_PATH", rich_help_panel=_TLS, help="Certificate chain (PEM file)."),
    ] = "",
    https_tls_key_path: Annotated[
        str, typer.Option(envvar="FELDERA_HTTPS_TLS_KEY_PATH", rich_help_panel=_TLS, help="Private key (PEM file).")
    ] = "",
    private_ca_cert_path: Annotated[
        str,
        typer.Option(
            envvar="FELDERA_PRIVATE_CA_CERT_PATH",
            rich_help_panel=_TLS,
            help="More root certificates to trust a login provider by (PEM file).",
        ),
    ] = "",
    allowed_origins: Annotated[
        str,
        typer.Option(
            envvar="FELDERA_ALLOWED_ORIGINS",
            rich_help_panel=_WEB,
            help="Origins, with commas between them, whose web pages may use the API.",
        ),
    ] = "",
    dev_mode: Annotated[
        bool,
        typer.Option("--dev-mode", envvar="FELDERA_DEV_MODE", rich_help_panel=_WEB, help="Let all web pages use it."),
    ] = False,
    compiler_port: Annotated[
        int | None, typer.Option(rich_help_panel=_OTHERS, help=_NO_EFFECT + "the compiler listens on no port.")
    ] = None,
    runner_port: Annotated[
        int | None, typer.Option(rich_help_panel=_OTHERS, help=_NO_EFFECT + "the runner listens on no port.")
    ] = None,
    compiler_working_directory: Annotated[
        Path | None, typer.Option(rich_help_panel=_OTHERS, help=_NO_EFFECT + "compiling leaves no files.")
    ] = None,
    runner_working_directory: Annotated[
        Path | None,
        typer.Option(rich_help_panel=_OTHERS, help=_NO_EFFECT + "pipelines keep theirs in the data directory."),
    ] = None,
) -> None:
    """Start the server: the REST API under /v0."""
    del compiler_port, runner_port, compiler_working_directory, runner_working_directory  # help says why
    from millstream.manager import access, tls  # the server's libraries only where they are needed
    from millstream.manager.serve import serve as serve_manager

    settings = access.Access(
        provider=auth_provider,  # type: ignore[arg-type]  # checked just below
        issuer=auth_issuer,
        client_id=auth_client_id,
        audience=auth_audience,
        authorized_groups=_listed(auth_authorized_groups),
        first_user_role=auth_first_user_role,
        default_role=auth_default_role,  # type: ignore[arg-type]  # checked just below
        owners=_listed(owners),
        login_url=auth_login_url,
        logout_url=auth_logout_url,
        ca_file=private_ca_cert_path or None,
        allowed_origins=_listed(allowed_origins),
        any_origin=dev_mode,
        host_names=None if allow_unauthenticated else frozenset((host.lower(),)),
    )
    access.check(settings)
    access.refuse_other_tenants()
    access.require_protection(host, settings, allow_unauthenticated=allow_unauthenticated)
    if private_ca_cert_path:
        tls.check_ca_file(private_ca_cert_path)
    secured = tls.from_options(enable_https, https_tls_cert_path, https_tls_key_path)
    demos = [directory.expanduser() for directory in demos_dir or ()]
    serve_manager(host, port, data_dir.expanduser(), settings, secured, demos)


def _listed(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())
