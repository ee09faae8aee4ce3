"""Rules that every file of the repository keeps."""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import sys
from pathlib import Path

from tests.harness import ROOT

LONGEST = 500  # lines of a source file
FORBIDDEN_NAMES = {"utils", "util", "helpers", "helper", "common", "manager", "misc"}


def tracked() -> list[str]:
    """Files of the repository; of the tree when there is no git (an unpacked sdist)."""
    done = subprocess.run(["git", "-C", ROOT, "ls-files"], capture_output=True, text=True, check=False)
    if done.returncode == 0 and done.stdout:
        return done.stdout.split("\n")[:-1]
    skip = ("build", "dist", "vendor/bearssl/source", "vendor/bearssl/archive")
    files = [str(path.relative_to(ROOT)) for path in ROOT.rglob("*") if path.is_file()]
    files = [name for name in files if not name.startswith(skip) and "__pycache__" not in name]
    return [name for name in files if "/." not in f"/{name}"]


def test_ruff() -> None:
    command = [sys.executable, "-m", "ruff", "check", "-q", ROOT]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-3000:]


def test_mypy() -> None:
    done = subprocess.run([sys.executable, "-m", "mypy"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-3000:]


def test_no_file_is_too_long_and_none_has_an_empty_name() -> None:
    for name in tracked():
        if re.search(r"\.(py|pyx|pxi|pxd|c|h)$", name) and (ROOT / name).exists():
            assert (ROOT / name).read_text().count("\n") <= LONGEST, name
            assert name.rpartition("/")[2].partition(".")[0] not in FORBIDDEN_NAMES, name


def test_no_text_of_bearssl_is_committed() -> None:
    assert not [name for name in tracked() if name.startswith(("vendor/bearssl/source", "vendor/bearssl/archive"))]
    for name in tracked():
        if name.endswith((".c", ".h", ".pxi", ".pxd", ".pyx")) and (ROOT / name).exists():
            assert "Thomas Pornin" not in (ROOT / name).read_text(), name


def of_this_machine() -> set[str]:
    """What would tell where the repository was worked on: its folder, and the mirrors that packages come from here."""
    public = ("pypi.org", "pythonhosted.org", "debian.org", "ubuntu.com")
    command = [sys.executable, "-m", "pip", "config", "list"]
    texts = [subprocess.run(command, capture_output=True, text=True, check=False).stdout]
    texts += [value for name, value in os.environ.items() if name.startswith("PIP_")]
    for pattern in ("*.list", "*/*.list", "*/*.sources"):
        texts += [path.read_text() for path in Path("/etc/apt").glob(pattern)]
    hosts = {host for text in texts for host in re.findall(r"https?://(?:[^/@\s]*@)?([^/:\s'\"]+)", text)}
    hosts = {host for host in hosts if not host.endswith(public) and "." in host}
    folders = {path for text in texts for path in re.findall(r"(?<![\w:/])(?:file:/{2})?(/opt/[\w/-]+)", text)}
    return hosts | folders | ({f"{ROOT}/"} if len(ROOT.parts) > 2 else set())


def test_nothing_of_this_machine_is_in_the_repository() -> None:
    """No folder of a developer's, no private mirror: neither in code nor in what was generated and kept."""
    names = of_this_machine()
    for name in tracked():
        if (ROOT / name).is_file():
            text = (ROOT / name).read_text(errors="replace")
            assert not [word for word in names if word in text], name
            assert not re.search(r"/(?:home|Users)/[a-z]", text), name


def test_the_shim_includes_the_file_it_was_written_for() -> None:
    """hs_server.c redirects two functions of this very file; another text needs another look."""
    lock = json.loads((ROOT / "vendor" / "bearssl" / "lock.json").read_text())
    digest = hashlib.sha256((ROOT / "vendor/bearssl/source/src/ssl/ssl_hs_server.c").read_bytes()).hexdigest()
    assert lock["included_by_shim"] == ["src/ssl/ssl_hs_server.c"]
    assert lock["pinned"]["src/ssl/ssl_hs_server.c"] == digest
