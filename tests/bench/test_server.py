"""What a peer is started with."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest

from tests.harness import require_peer

from .tools import bench_module

peers, prepare, server = bench_module("peers"), bench_module("prepare"), bench_module("server")
SYSTEM = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/"}


@pytest.mark.parametrize("more", [{}, {"KEYFILE": "key.pem", "HOME": "/nonexistent"}], ids=str)
def test_a_servers_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, more: dict[str, str]) -> None:
    """Nothing of whoever runs the benchmark, not even the PATH by which a super-server was found."""
    (tmp_path / "tcpserver").symlink_to(require_peer("tcpserver"))
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setenv("LANG", "C.UTF-8")
    (row,) = (peer for peer in peers.PEERS if peer.name == "tcpserver")
    peer = peers.Peer("plain", "a server", row.find, row.command, lambda setup: more, tls=False)
    certificate = prepare.Certificate("key", "chain", "both")
    setup = peers.Setup(server.free_port(), certificate, "default", ["/bin/cat"], True, 1, tmp_path)
    with server.Server(peer, setup) as running:
        words = Path(f"/proc/{running.pid}/cmdline").read_bytes().split(b"\0")
        seen = Path(f"/proc/{running.pid}/environ").read_bytes().split(b"\0")
    assert Path(words[0].decode()) == tmp_path / "tcpserver"
    assert dict(word.decode().split("=", 1) for word in seen if word) == {**SYSTEM, **more}


def test_a_programs_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same through run_json, which the clients, the stages and the load generator are started with."""
    monkeypatch.setenv("LC_ALL", "C.UTF-8")
    env = shutil.which("env") or "env"
    out = prepare.run_json([env], 10.0, {"CAFILE": sys.executable})
    assert dict(line.split("=", 1) for line in out.splitlines()) == {**SYSTEM, "CAFILE": sys.executable}
