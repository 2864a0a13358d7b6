"""Kernels can be imported and are kept wherever the package is installed and whoever runs it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import millstream

PROGRAM = """
import json, sys
import numba
import numpy as np
from millstream.operators.kernels import sum_weights
sum_weights(np.zeros(1, np.int64), np.ones(1, np.int64), 1)
print(json.dumps([numba.config.CACHE_DIR, sum(sum_weights.stats.cache_hits.values())]))
"""


@pytest.fixture
def read_only(tmp_path):
    """A copy of the package beside which nothing can be written, and an environment without a home."""
    package = tmp_path / "site" / "millstream"
    shutil.copytree(Path(millstream.__file__).parent, package, ignore=shutil.ignore_patterns("__pycache__"))
    for directory in [package, *(p for p in package.rglob("*") if p.is_dir())]:
        (directory / "__pycache__").write_text("a file in the way, since permissions do not stop root")
    nowhere = tmp_path / "file"
    nowhere.write_text("")
    (tmp_path / "tmp").mkdir()
    environment = {**os.environ, "PYTHONPATH": str(tmp_path / "site"), "HOME": str(nowhere / "home")}
    environment.update(TMPDIR=str(tmp_path / "tmp"), PYTHONDONTWRITEBYTECODE="1")
    for name in ("NUMBA_CACHE_DIR", "XDG_CACHE_HOME", "PYTHONPYCACHEPREFIX"):
        environment.pop(name, None)
    return environment


def run(environment):
    done = subprocess.run([sys.executable, "-c", PROGRAM], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_a_read_only_installation_keeps_kernels_among_the_temporary_files(read_only):
    directory, hits = run(read_only)
    assert Path(directory).parent == Path(read_only["TMPDIR"])
    assert Path(directory).stat().st_mode & 0o777 == 0o700
    assert hits == 0
    assert run(read_only) == [directory, 1]


def test_a_directory_that_others_can_write_to_is_not_trusted(read_only):
    planted = Path(read_only["TMPDIR"]) / f"millstream-kernels-{os.getuid()}"
    planted.mkdir()
    planted.chmod(0o777)
    directory, _ = run(read_only)
    assert Path(directory) != planted
    assert not list(planted.iterdir())


def test_a_directory_chosen_by_the_user_stays(read_only, tmp_path):
    assert run({**read_only, "NUMBA_CACHE_DIR": str(tmp_path / "chosen")})[0] == str(tmp_path / "chosen")
