"""Tokens of deployments: one for each, the same for every server on the directory, and kept nowhere."""

from __future__ import annotations

from pathlib import Path

import pytest

from millstream.errors import MillstreamError
from millstream.manager.tokens import DeploymentTokens


def test_each_deployment_has_its_token_and_each_directory_its_own(tmp_path: Path) -> None:
    tokens, others = DeploymentTokens(tmp_path / "a"), DeploymentTokens(tmp_path / "b")
    assert len({tokens.of("1"), tokens.of("2"), others.of("1"), others.of("2")}) == 4
    assert len(tokens.of("1")) == 64
    assert DeploymentTokens(tmp_path / "a").of("1") == tokens.of("1")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b"]


def test_the_secret_is_for_its_owner_only(tmp_path: Path) -> None:
    DeploymentTokens(tmp_path / "secret")
    assert (tmp_path / "secret").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("content", [b"", b"short", b"x" * 33])
def test_a_damaged_secret_is_not_used(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "secret").write_bytes(content)
    with pytest.raises(MillstreamError, match="is damaged: stop the pipelines of this data directory"):
        DeploymentTokens(tmp_path / "secret")
