"""Connections in sequence leave nothing and grow nothing: `make soak`, shorter."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.bench.tools import bench_module
from tests.harness import ROOT, needs_root, require_peer, wait_gone

soak = bench_module("soak")


@needs_root
@pytest.mark.parametrize(("option", "name", "count"), [("--serve", "serve", 500), ("--wrapped", "ours", 100)])
def test_soak(option: str, name: str, count: int, tmp_path: Path) -> None:
    require_peer("openssl")
    require_peer("tcpserver")
    written = tmp_path / "soak.json"
    numbers = {"--serve": "0", "--wrapped": "0", option: str(count)}
    command = [sys.executable, ROOT / "bench/soak.py", *(word for pair in numbers.items() for word in pair)]
    done = subprocess.run(
        [*command, "--json", written], capture_output=True, text=True, check=False, timeout=110, cwd="/"
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "leave nothing and grow nothing: holds\n" in done.stdout
    (found,) = json.loads(written.read_text())
    assert found["peer"] == name and found["holds"]
    assert [look["connections"] for look in found["looks"]] == [count * part // 10 for part in range(11)]


def look(**more: int) -> object:
    usual = {"connections": 0, "processes": 25, "zombies": 0, "astray": 0, "descriptors": 14, "own_kib": 2000}
    return soak.Look(**{**usual, "pss_kib": 7500, **more})


@pytest.mark.parametrize(
    ("last", "wrong"),
    [
        ({}, []),
        ({"own_kib": 2000 + soak.KIB_ALLOWED, "processes": 24, "pss_kib": 9000}, []),
        ({"zombies": 1, "processes": 26}, ["1 zombies", "1 more processes"]),
        ({"astray": 2}, ["2 astray"]),
        ({"descriptors": 17}, ["3 more descriptors"]),
        ({"own_kib": 2001 + soak.KIB_ALLOWED}, [f"{soak.KIB_ALLOWED + 1} KiB more memory"]),
    ],
    ids=str,
)
def test_what_falls_short(last: dict[str, int], wrong: list[str]) -> None:
    assert soak.judge([look(), look(zombies=9), look(**last)]) == wrong


@needs_root
def test_a_process_that_is_left_is_seen(tmp_path: Path) -> None:
    """A server whose program leaves a child behind for each connection."""
    require_peer("tcpserver")
    peers, server = bench_module("peers"), bench_module("server")
    prepare, run = bench_module("prepare"), bench_module("run")
    tools = prepare.find_tools(tmp_path)
    prog = ["sh", "-c", "sleep 60 </dev/null >/dev/null 2>&1 & exec cat"]

    def command(binary: str, setup: object) -> list[str]:
        return [binary, "-HRl0", "127.0.0.1", str(port), *prog]

    port = server.free_port()
    certificate = prepare.make_certificates(tmp_path)["ecdsa"]
    leaky = peers.Peer("leaky", "a server", lambda: require_peer("tcpserver"), command, tls=False)
    setup = peers.Setup(port, certificate, "default", prog, True, 10, tmp_path)
    looks: list[object] = []
    with server.Server(leaky, setup) as running:
        soak.soak(running, tools.load, 10, looks, run.Progress(1), "--plain")
        members = [process.pid for process in server.everything() if process.session == running.pid]
        assert len(members) > 10
    assert soak.judge(looks) == ["30 astray"]
    assert not wait_gone(members), "the benchmark ended them"
