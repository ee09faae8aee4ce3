"""The sdist and the wheel hold what they need: built, installed and run, without a network if possible."""

from __future__ import annotations

import subprocess
import sys
import tarfile
import zipfile

import pytest

from tests.harness import ROOT


@pytest.mark.timeout(400)
def test_sdist_and_wheel() -> None:
    """build-aux/dist.py tries them; here, what is in them."""
    command = [sys.executable, str(ROOT / "build-aux/dist.py")]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=390)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "imported" in done.stdout
    with tarfile.open(next((ROOT / "dist").glob("*.tar.gz"))) as tar:
        names = {name.partition("/")[2] for name in tar.getnames()}
    assert any(name.startswith("vendor/bearssl/archive/") for name in names)
    assert {"src/_bear.pyx", "src/launcher.c", "src/importer.py", "Makefile", "build-aux/native.py"} <= names
    assert {str(path.relative_to(ROOT)) for path in (ROOT / "src").iterdir() if path.is_file()} <= names
    assert not any(name.startswith(("build/", "vendor/bearssl/source")) for name in names)
    assert not any(name.endswith((".so", ".pyc")) for name in names)
    with zipfile.ZipFile(next((ROOT / "dist").glob("*.whl"))) as wheel:
        names = set(wheel.namelist())
    assert any(name.startswith("bearwrap/_bear.") and name.endswith(".so") for name in names)
    assert "bearwrap/programs/__init__.py" in names
    data = "data/lib/bearwrap/bench/"
    assert {"bench.py", "load.c", "wire.h"} <= {name.rpartition(data)[2] for name in names if data in name}
    library = "data/lib/bearwrap/listener-"
    if any(name.endswith("scripts/bearwrap") for name in names):
        assert [name for name in names if library in name], "a static program comes with its listener"
    assert not any("__pycache__" in name or name.startswith(("tests", "src")) for name in names)
