"""The systemd units: they verify, their sandbox leaves what the programs need, and it is not looser than it says."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from tests.building.tools import build_module
from tests.certs import Certs
from tests.harness import ROOT, needs_root, require_peer
from tests.serve.listening import PROGRAM, Serving

install = build_module("install")
SERVICES = ["bearwrap@.service", "bearwrap-serve.service"]
WORST = 4.0  # exposure, of 10; what prog may need is most of it


def settings(name: str) -> dict[str, str]:
    lines = (ROOT / "systemd" / name).read_text().splitlines()
    return dict(line.split("=", 1) for line in lines if "=" in line and line[0] not in "#[")


@pytest.fixture
def units(tmp_path: Path) -> Path:
    """The units as they are installed, for the programs that were built here."""
    for unit in install.UNITS:
        text = install.unit_text(unit, ROOT / "build")
        (tmp_path / unit.name.replace("@.", "@443.")).write_text(text)
        (tmp_path / unit.name).write_text(text)
    return tmp_path


def analyze(*words: str | Path) -> subprocess.CompletedProcess[str]:
    tool = require_peer("systemd-analyze")
    return subprocess.run([tool, *words], capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.parametrize("name", ["bearwrap@443.socket", "bearwrap@443.service", "bearwrap-serve.service"])
def test_verify(units: Path, name: str) -> None:
    done = analyze("verify", "--man=no", "--recursive-errors=no", units / name)
    assert done.returncode == 0, done.stderr
    assert not [line for line in done.stderr.splitlines() if str(units) in line or "bearwrap" in line], done.stderr


@pytest.mark.parametrize("name", ["bearwrap@443.service", "bearwrap-serve.service"])
def test_security(units: Path, name: str) -> None:
    done = analyze("security", "--offline=yes", "--no-pager", units / name)
    assert done.returncode == 0, done.stderr
    score = re.search(r"Overall exposure level for \S+: ([\d.]+)", done.stdout)
    assert score, done.stdout[-300:]
    print(f"{name}: exposure {score[1]}")
    assert float(score[1]) < WORST


def test_a_prefix_with_blanks(tmp_path: Path) -> None:
    unit = next(path for path in install.UNITS if path.name == "bearwrap-serve.service")
    assert r"ExecStart=/opt/a\sb%%c/bin/bearwrap serve" in install.unit_text(unit, Path("/opt/a b%c"))


def test_what_the_listener_needs_of_systemd() -> None:
    """Its signals, its notifications, and that one connection is not all of them."""
    unit = settings("bearwrap-serve.service")
    assert (unit["Type"], unit["KillMode"], unit["OOMPolicy"]) == ("notify", "mixed", "continue")
    assert int(unit["TimeoutStopSec"]) >= 60 + 5, "--drain and what follows it"
    assert int(unit["TasksMax"]) > 3 * (500 + 8)


@needs_root
def test_the_capabilities_are_enough(certs: Certs) -> None:
    """A listener without any other capability serves, drops prog's privileges, and ends workers that do not end."""
    unit = settings("bearwrap-serve.service")
    kept = [name.removeprefix("CAP_").lower() for name in unit["CapabilityBoundingSet"].split()]
    bounds = ",".join(["-all", *(f"+{cap}" for cap in kept)])
    under = [require_peer("setpriv"), "--no-new-privs", "--bounding-set", bounds]
    words = ["-f", str(certs.server("p256")), "-u", "nobody"]
    with Serving(words, ["sh", "-c", "id -un; exec sleep 100"], options=["--drain", "0"],
                 under=under) as server:  # fmt: skip
        with server.tls() as tls:
            assert tls.recv(100) == b"nobody\n"
            assert server.stop() == 0
        assert server.accounts(1)[-1]["end"] == "signal", "CAP_KILL"


@needs_root
def test_the_system_calls_are_allowed(certs: Certs, tmp_path: Path) -> None:
    """What the supervisor, net, key and a small prog call is in the unit's filter."""
    allowed = set()
    for word in settings("bearwrap-serve.service")["SystemCallFilter"].split():
        allowed |= names(word) if word.startswith("@") else {word}
    traces = tmp_path / "trace"
    under = [require_peer("strace"), "-f", "-qq", "-o", str(traces)]
    with Serving(["-f", str(certs.server("p256")), "-u", "nobody"], options=["--workers", "1"], under=under) as server:
        server.echo()
        server.accounts(1)
        server.wait_idle(1)
    called = set(re.findall(r"^\d+ +(\w+)\(", traces.read_text(), re.M))
    assert {"chroot", "setuid", "setgroups", "execve", "epoll_wait"} <= called
    assert called <= allowed, called - allowed


def names(group: str) -> set[str]:
    """The system calls of a group, and of the groups in it."""
    done = analyze("syscall-filter", "--no-pager", group)
    assert done.returncode == 0, done.stderr
    found = set()
    for word in re.findall(r"^    (@?[a-z0-9_-]+)$", done.stdout, re.M):
        found |= names(word) if word.startswith("@") else {word}
    return found


def test_the_programs_are_where_the_units_say() -> None:
    for name in SERVICES:
        path = settings(name)["ExecStart"].split()[0].replace("@BINDIR@", str(PROGRAM.parent))
        assert Path(path).exists(), name
