"""What lets the server, and nobody else, talk to pipeline processes: a token for each deployment, and a proof.

The processes listen on ports of the loopback address, which every user of the machine can reach. A token is the
HMAC-SHA256 of the deployment's identifier under the data directory's own secret, so it is kept nowhere: a process reads
it from its standard input when it is given its program, and each server on the directory finds it again.

When a process has ended, its port is free, and for the moment until the server notices anybody could listen there. So
every answer must carry the deployment's proof, made like the token and sent to nobody but the server.
"""

from __future__ import annotations

import hmac
import os
import secrets
from collections.abc import Mapping
from pathlib import Path

from millstream.errors import MillstreamError

SECRET_BYTES = 32
TOKEN_HEADER = "X-Millstream-Token"
PROOF_HEADER = "X-Millstream-Proof"


class DeploymentTokens:
    """The tokens of one data directory, whose secret is made at first use."""

    def __init__(self, path: Path) -> None:
        """Raises `DataDirectoryNotUsable` if the file is there, but no secret in it."""
        self._secret = _read_or_make(path)

    def of(self, deployment_id: str) -> str:
        """The token of a deployment: 64 hexadecimal digits."""
        return hmac.digest(self._secret, deployment_id.encode(), "sha256").hex()

    def proof_of(self, deployment_id: str) -> str:
        """What the answers of a deployment's process carry: 64 hexadecimal digits."""
        return hmac.digest(self._secret, b"proof of " + deployment_id.encode(), "sha256").hex()

    def proves(self, headers: Mapping[str, str], deployment_id: str) -> bool:
        """Whether an answer with these headers comes from the deployment's process."""
        given = headers.get(PROOF_HEADER, "")
        return hmac.compare_digest(given.encode(), self.proof_of(deployment_id).encode())


def _read_or_make(path: Path) -> bytes:
    if not path.exists():
        # Written beside it and moved into place, so that a crash does not leave half a secret.
        scratch = path.with_name(f"{path.name}.{os.getpid()}.tmp")
        scratch.unlink(missing_ok=True)
        with open(os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(secrets.token_bytes(SECRET_BYTES))
            file.flush()
            os.fsync(file.fileno())
        scratch.replace(path)
    secret = path.read_bytes()
    if len(secret) != SECRET_BYTES:
        text = f"'{path}' is damaged: stop the pipelines of this data directory, then remove the file"
        raise MillstreamError("DataDirectoryNotUsable", text, {"data_dir": str(path.parent)}, 500)
    return secret
