"""Peers written in Go, which is too large to be a peer that must be there: without it they are skipped."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.harness import ROOT


def go_program(source: Path, folder: Path) -> Path:
    """Compile `source` into `folder`. Go's library is compiled once, and kept in the build folder."""
    go = shutil.which("go")
    if go is None:
        pytest.skip("no Go compiler")
    cache = {"GOCACHE": str(ROOT / "build" / "go"), "GO111MODULE": "off", "GOPROXY": "off", "CGO_ENABLED": "0"}
    made = folder / source.stem
    subprocess.run([go, "build", "-o", made, source], env={**os.environ, **cache}, check=True, timeout=300)
    return made
