"""HTTPS: the server's certificate and key, checked before it listens."""

from __future__ import annotations

import logging
import os
import ssl
from dataclasses import dataclass

from millstream.errors import MillstreamError

log = logging.getLogger("millstream.api")


@dataclass(frozen=True, slots=True)
class Tls:
    """PEM files: the certificate, followed by those between it and its root, and its private key."""

    certificate: str
    key: str


def from_options(enabled: bool, certificate: str, key: str) -> Tls | None:
    """The setting that the options make, checked; None for plain HTTP. A path alone asks for HTTPS, too, so that a
    forgotten `--enable-https` cannot leave a server without it. Raises `InvalidTlsSettings`."""
    if not (enabled or certificate or key):
        return None
    given = {"--https-tls-cert-path": certificate, "--https-tls-key-path": key}
    missing = [name for name, path in given.items() if not path]
    if missing:
        raise _invalid(f"HTTPS needs {' and '.join(missing)}")
    for name, path in given.items():
        try:
            with open(path, "rb"):
                pass
        except OSError as error:
            raise _invalid(f"cannot read '{path}' ({name}): {error.strerror}") from None
    tls = Tls(certificate, key)
    _check(tls)
    if os.stat(key).st_mode & 0o077:
        log.warning("the private key '%s' can be read by others than its owner", key)
    return tls


def _check(tls: Tls) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        # The function keeps OpenSSL from asking the terminal for the passphrase of an encrypted key.
        context.load_cert_chain(tls.certificate, tls.key, password=_no_passphrase)
    except _EncryptedKeyError:
        raise _invalid(f"the private key '{tls.key}' is encrypted: give one that is not") from None
    except ssl.SSLError as error:
        if error.reason == "KEY_VALUES_MISMATCH":
            raise _invalid(f"the private key '{tls.key}' does not belong to '{tls.certificate}'") from None
        raise _invalid(
            f"'{tls.certificate}' and '{tls.key}' must be a certificate and its private key in PEM form "
            f"({error.reason or error})"
        ) from None


class _EncryptedKeyError(Exception):
    pass


def _no_passphrase() -> str:
    raise _EncryptedKeyError


def check_ca_file(path: str) -> None:
    """Raise `InvalidTlsSettings` if the file of further root certificates is of no use."""
    try:
        ssl.create_default_context().load_verify_locations(path)
    except ssl.SSLError as error:
        raise _invalid(f"'{path}' (--private-ca-cert-path) has no certificates in PEM form ({error.reason})") from None
    except OSError as error:
        raise _invalid(f"cannot read '{path}' (--private-ca-cert-path): {error.strerror}") from None


def _invalid(text: str) -> MillstreamError:
    return MillstreamError("InvalidTlsSettings", text, None)
