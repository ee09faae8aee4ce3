"""Vendoring: the lock, and what fetch.py does with good, bad and missing archives.

Each test runs a copy of fetch.py beside its own lock, so that the tree's BearSSL is never touched.
"""

from __future__ import annotations

import hashlib
import importlib.util
import io
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path
from types import ModuleType

import pytest

from tests.harness import ROOT

VENDOR = ROOT / "vendor" / "bearssl"
LOCK = json.loads((VENDOR / "lock.json").read_text())


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of what is committed under vendor/bearssl/."""
    top = tmp_path / "bearssl"
    top.mkdir()
    for name in ("fetch.py", "lock.json"):
        shutil.copy(VENDOR / name, top / name)
    return top


@pytest.fixture(scope="module")
def archive() -> Path:
    """The locked archive that this build was made from."""
    return next(path for path in (VENDOR / "archive").iterdir() if ".tar." in path.name)


def fetch(folder: Path, *arguments: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the copy; BEARSSL_ARCHIVE of the caller is not passed on."""
    known = {key: value for key, value in os.environ.items() if key != "BEARSSL_ARCHIVE"}
    command = [sys.executable, str(folder / "fetch.py"), *map(str, arguments)]
    return subprocess.run(command, env=known | environment, capture_output=True, text=True, check=False)


def module() -> ModuleType:
    """fetch.py as a module, for its pure functions."""
    spec = importlib.util.spec_from_file_location("fetch", VENDOR / "fetch.py")
    assert spec and spec.loader
    loaded = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(loaded)
    return loaded


def make_archive(path: Path, members: list[tarfile.TarInfo | tuple[str, bytes]]) -> str:
    """Write a tar archive; returns its SHA-256."""
    with tarfile.open(path, "w:gz") as tar:
        for member in members:
            if isinstance(member, tarfile.TarInfo):
                tar.addfile(member)
            else:
                info = tarfile.TarInfo(member[0])
                info.size = len(member[1])
                tar.addfile(info, io.BytesIO(member[1]))
    return hashlib.sha256(path.read_bytes()).hexdigest()


def accept(folder: Path, archive: Path, **more: object) -> None:
    """Let the copy's lock accept an archive."""
    entry = {"file": archive.name, "sha256": hashlib.sha256(archive.read_bytes()).hexdigest()}
    (folder / "lock.json").write_text(json.dumps(LOCK | {"archives": [entry]} | more))


def test_lock_is_complete() -> None:
    """Every hash is one, and the list names every C file of the source but the one that the shim includes."""
    assert LOCK["version"] == "0.6"
    assert LOCK["licence"] == "MIT"
    hashes = [entry["sha256"] for entry in LOCK["archives"]] + list(LOCK["pinned"].values())
    assert len(hashes) >= 3
    assert all(re.fullmatch("[0-9a-f]{64}", item) for item in hashes)
    source = VENDOR / "source"
    there = {str(path.relative_to(source)) for path in (source / "src").rglob("*.c")}
    assert there - set(LOCK["compiled"]) == set(LOCK["included_by_shim"]) == set(LOCK["pinned"])
    assert set(LOCK["compiled"]) <= there


def test_shim_includes_the_pinned_file() -> None:
    """The file that src/hs_server.c includes is the one whose hash the lock pins, and it has that hash."""
    included = re.findall(r'#include "([^"]+\.c)"', (ROOT / "src" / "hs_server.c").read_text())
    (pinned, digest) = next(iter(LOCK["pinned"].items()))
    assert [Path(name).name for name in included] == [Path(pinned).name]
    assert hashlib.sha256((VENDOR / "source" / pinned).read_bytes()).hexdigest() == digest


def test_local_archive(folder: Path, archive: Path) -> None:
    """A good local archive is unpacked and kept; a second run does nothing."""
    done = fetch(folder, "--archive", archive)
    assert done.returncode == 0, done.stderr
    assert "hash as locked" in done.stdout
    assert (folder / "source/inc/bearssl.h").exists()
    assert (folder / "archive" / archive.name).read_bytes() == archive.read_bytes()
    before = (folder / "source").stat().st_ctime_ns
    again = fetch(folder)
    assert (again.returncode, again.stdout, again.stderr) == (0, "", "")
    assert fetch(folder, "--archive", archive).returncode == 0
    assert (folder / "source").stat().st_ctime_ns == before


def test_archive_named_by_the_environment(folder: Path, archive: Path) -> None:
    """BEARSSL_ARCHIVE does what --archive does, whatever the file is called."""
    other = folder.parent / "any name.tar"
    shutil.copy(archive, other)
    assert fetch(folder, BEARSSL_ARCHIVE=str(other)).returncode == 0
    assert (folder / "archive" / archive.name).exists()


def test_kept_archive_needs_no_network(folder: Path, archive: Path) -> None:
    """With the archive in archive/, as in an sdist, apt-get is not called."""
    (folder / "archive").mkdir()
    shutil.copy(archive, folder / "archive")
    assert fetch(folder, PATH="/nonexistent").returncode == 0
    assert (folder / "source/LICENSE.txt").exists()


@pytest.mark.parametrize("damage", ["bit", "cut", "empty"])
def test_mismatch(folder: Path, archive: Path, damage: str) -> None:
    """A file of another hash is refused: both hashes are named, and how to give a local archive."""
    data = bytearray(archive.read_bytes())
    if damage == "bit":
        data[len(data) // 2] ^= 1
    else:
        del data[0 if damage == "empty" else -1 :]
    bad = folder.parent / archive.name
    bad.write_bytes(data)
    done = fetch(folder, "--archive", bad)
    assert done.returncode == 1
    assert "SHA-256 mismatch" in done.stderr
    assert hashlib.sha256(data).hexdigest() in done.stderr
    assert all(entry["sha256"] in done.stderr for entry in LOCK["archives"])
    assert "--archive PATH" in done.stderr
    assert not (folder / "source").exists()
    assert not (folder / "archive").exists()


def test_mismatch_keeps_what_is_there(folder: Path, archive: Path) -> None:
    """A refused archive leaves a good source alone."""
    assert fetch(folder, "--archive", archive).returncode == 0
    bad = folder.parent / "bad.tar.xz"
    bad.write_bytes(b"no archive")
    assert fetch(folder, "--archive", bad).returncode == 1
    assert fetch(folder, "--check").returncode == 0


def test_archive_that_is_not_there(folder: Path) -> None:
    """A path that cannot be read is named."""
    done = fetch(folder, "--archive", "/nonexistent/x.tar")
    assert done.returncode == 1
    assert "/nonexistent/x.tar: No such file" in done.stderr


def _link(name: str, kind: bytes, target: str) -> tarfile.TarInfo:
    """A link as a member of an archive."""
    info = tarfile.TarInfo(name)
    info.type = kind
    info.linkname = target
    return info


@pytest.mark.parametrize(
    "member",
    [
        ("top/../../escaped", b"x"),
        ("/top/escaped", b"x"),
        _link("top/link", tarfile.SYMTYPE, "/etc/passwd"),
        _link("top/link", tarfile.LNKTYPE, "top/file"),
        _link("top/fifo", tarfile.FIFOTYPE, ""),
    ],
    ids=["dots", "absolute", "symlink", "hardlink", "fifo"],
)
def test_unsafe_member(folder: Path, member: tarfile.TarInfo | tuple[str, bytes]) -> None:
    """Even an archive that the lock accepts cannot write outside its folder or bring links."""
    bad = folder.parent / "bad.tar.gz"
    make_archive(bad, [("top/file", b"x"), member])
    accept(folder, bad)
    done = fetch(folder, "--archive", bad)
    assert done.returncode == 1
    assert "unsafe member" in done.stderr
    assert sorted(path.name for path in folder.iterdir()) == ["archive", "fetch.py", "lock.json"]
    assert not (folder.parent / "escaped").exists()


def test_incomplete_archive(folder: Path) -> None:
    """An accepted archive must hold every file of the list."""
    bad = folder.parent / "bad.tar.gz"
    make_archive(bad, [("top/LICENSE.txt", b"x")])
    accept(folder, bad)
    done = fetch(folder, "--archive", bad)
    assert done.returncode == 1
    assert "is missing" in done.stderr
    assert not (folder / "source").exists()


def test_pinned_file_changed(folder: Path) -> None:
    """An archive whose handshake file differs from the one the shim was written for is refused."""
    bad = folder.parent / "bad.tar.gz"
    name = next(iter(LOCK["pinned"]))
    make_archive(bad, [("top/LICENSE.txt", b"x"), (f"top/{name}", b"other")])
    accept(folder, bad, compiled=[])
    done = fetch(folder, "--archive", bad)
    assert done.returncode == 1
    assert f"{name} is not the file the shim was written for" in done.stderr


def test_check_sees_an_edit(folder: Path, archive: Path) -> None:
    """--check compares source/ with the archive, file by file."""
    assert fetch(folder, "--check").returncode == 1
    assert fetch(folder, "--archive", archive).returncode == 0
    assert fetch(folder, "--check").returncode == 0
    with (folder / "source/src/inner.h").open("a") as stream:
        stream.write("\n")
    done = fetch(folder, "--check")
    assert done.returncode == 1
    assert "src/inner.h: differs" in done.stdout


APT = """#!/bin/sh
echo "$*" >>{log}
grep -q 'SourceList "/dev/null"' "$APT_CONFIG" || exit 99
parts=$(sed -n 's/^Dir::Etc::SourceParts "\\(.*\\)";/\\1/p' "$APT_CONFIG")
grep -q '^Types: deb-src' "$parts"/*.sources || exit 98
{action}
"""


@pytest.fixture
def apt(folder: Path) -> tuple[Path, Path]:
    """(folder for a stand-in of apt-get, its log), as a network that fails cannot be had on demand."""
    programs = folder.parent / "programs"
    programs.mkdir()
    return programs, folder.parent / "apt.log"


def _apt(apt: tuple[Path, Path], action: str) -> str:
    """Write the stand-in; returns the PATH that finds it."""
    path = apt[0] / "apt-get"
    path.write_text(APT.format(log=apt[1], action=action))
    path.chmod(0o755)
    return f"{apt[0]}:/usr/bin:/bin"


def test_apt_route(folder: Path, archive: Path, apt: tuple[Path, Path]) -> None:
    """apt-get is called with its own configuration, for the index and for the source package only."""
    action = f'case "$*" in *source*) cp {archive} . ;; esac'
    done = fetch(folder, PATH=_apt(apt, action))
    assert done.returncode == 0, done.stderr
    assert apt[1].read_text().splitlines() == ["-q update", "-q source --download-only bearssl"]
    assert (folder / "source/inc/bearssl.h").exists()


def test_without_network(folder: Path, apt: tuple[Path, Path]) -> None:
    """What apt-get said is shown, and how to go on without it."""
    done = fetch(folder, PATH=_apt(apt, "echo 'E: Could not resolve'; exit 100"))
    assert done.returncode == 1
    assert "is there a network?" in done.stderr
    assert "E: Could not resolve" in done.stderr
    assert "--archive PATH" in done.stderr
    assert "BEARSSL_ARCHIVE=PATH" in done.stderr


def test_without_apt(folder: Path) -> None:
    """A machine without apt-get is told the same."""
    done = fetch(folder, PATH="/nonexistent")
    assert done.returncode == 1
    assert "apt-get is not here" in done.stderr
    assert "--archive PATH" in done.stderr


def test_apt_gives_another_version(folder: Path, apt: tuple[Path, Path]) -> None:
    """A source package of another content is refused and not kept."""
    action = 'case "$*" in *source*) echo other >bearssl_0.7.orig.tar.gz ;; esac'
    done = fetch(folder, PATH=_apt(apt, action))
    assert done.returncode == 1
    assert "SHA-256 mismatch" in done.stderr
    assert not (folder / "archive").exists()


@pytest.mark.parametrize(
    ("line", "stanza"),
    [
        ("deb file:/m sid main", "Types: deb-src\nURIs: file:/m\nSuites: sid\nComponents: main\n"),
        ("deb-src file:/m sid main x", "Types: deb-src\nURIs: file:/m\nSuites: sid\nComponents: main x\n"),
        ("deb file:/m ./", "Types: deb-src\nURIs: file:/m\nSuites: ./\n"),
        (
            "deb [ arch=amd64 signed-by=/k.gpg ] file:/m sid main # note",
            "Types: deb-src\nURIs: file:/m\nSuites: sid\nComponents: main\nSigned-By: /k.gpg\n",
        ),
        (
            "deb [signed-by=/k.gpg] file:/m sid",
            "Types: deb-src\nURIs: file:/m\nSuites: sid\nSigned-By: /k.gpg\n",
        ),
        ("# deb file:/m sid main", None),
        ("", None),
        ("rpm file:/m sid", None),
        ("deb [unclosed file:/m sid", None),
    ],
)
def test_one_line_sources(line: str, stanza: str | None) -> None:
    """One-line entries become source stanzas; anything else is left out."""
    assert module().from_one_line(line) == stanza


@pytest.mark.parametrize(
    ("stanza", "wanted"),
    [
        ("Types: deb\nURIs: file:/m\nSuites: sid", "Types: deb-src\nURIs: file:/m\nSuites: sid\n"),
        ("Types: deb deb-src\nURIs: file:/m\nArchitectures: amd64", "Types: deb-src\nURIs: file:/m\n"),
        ("# note\nTypes: deb\n# note\nURIs: file:/m\n", "Types: deb-src\nURIs: file:/m\n"),
        (
            "URIs: file:/m\nSigned-By:\n KEY\n .\n MORE",
            "Types: deb-src\nURIs: file:/m\nSigned-By:\n KEY\n .\n MORE\n",
        ),
        ("Types: deb\nURIs: file:/m\nEnabled: no", None),
        ("Types: deb\nURIs: file:/m\nEnabled: yes", "Types: deb-src\nURIs: file:/m\n"),
        ("", None),
        ("# nothing", None),
    ],
)
def test_deb822_sources(stanza: str, wanted: str | None) -> None:
    """deb822 stanzas become source stanzas, with their keys; a disabled one is left out."""
    assert module().from_deb822(stanza) == wanted
