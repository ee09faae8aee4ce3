"""What `make demo` shows: run as it is, quickly; nothing of it is left behind, and its errors are one line."""

from __future__ import annotations

import importlib.util
import os
import pty
import re
import signal
import socket
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from tests.harness import BIN, ROOT, Collector, marked, needs_root, read_all, require_peer, start_tls, wait_gone
from tests.procs import MARK, kill_marked

SCRIPT = ROOT / "build-aux" / "demo.py"


@pytest.fixture
def environment() -> Iterator[dict[str, str]]:
    """An environment with a mark that every process of the demo inherits; checks that nothing is left."""
    for name in ("tcpserver", "busybox", "curl", "openssl"):
        require_peer(name)
    mark = uuid.uuid4().hex
    # pytest's own folders are closed to others, and the wrapped server runs as nobody
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        yield {**os.environ, MARK: mark, "TMPDIR": folder, "BEARWRAP_BIN": str(BIN)}
        try:
            assert not wait_gone(marked(mark), 3)
            assert os.listdir(folder) == []
        finally:
            kill_marked(mark)


def demo(environment: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, SCRIPT, *arguments], env=environment, capture_output=True, text=True, timeout=60, check=False
    )


@needs_root
def test_the_story(environment: dict[str, str]) -> None:
    done = demo(environment)
    assert (done.returncode, done.stderr) == (0, "")
    text = done.stdout
    assert "\033" not in text
    assert "    <h1>This page came through TLS</h1>\n" in text
    for line in (
        "Protocol version: TLSv1.3",
        "Ciphersuite: TLS_CHACHA20_POLY1305_SHA256",
        "Verification: OK",
        "Server Temp Key: X25519, 253 bits",
    ):
        assert f"    {line}\n" in text
    rows = {name: row.split() for name, row in re.findall(r"^    (net|key|prog) +(\d.*)$", text, re.M)}
    assert list(rows) == ["net", "key", "prog"]
    pids = [int(row[0]) for row in rows.values()]
    uids = [int(row[1]) for row in rows.values()]
    assert uids[:2] == [141500000 + pid for pid in pids[:2]]
    assert uids[2] == 65534
    assert [row[2] for row in rows.values()] == ["yes", "no", "no"], "who holds the client's socket"
    assert [row[3] for row in rows.values()][:2] == ["0", "0"], "how many files a jailed process may open"
    assert [Path(row[4]).name for row in rows.values()] == ["empty", "empty", ""]
    assert rows["prog"][5:7] == ["busybox", "httpd"]
    assert re.search(r"^    tlswrapper: info: 127\.0\.0\.1: SSL connection: TLS 1\.3, ChaCha20", text, re.M)
    assert re.search(r"^    tlswrapper: debug: 127\.0\.0\.1: child exited with status 0 \{net\}", text, re.M)


@needs_root
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_serve_runs_until_it_is_interrupted(environment: dict[str, str], number: int) -> None:
    read_end, write_end = os.pipe()
    popen = subprocess.Popen(
        [sys.executable, SCRIPT, "--serve"], env=environment, stdout=write_end, stderr=write_end
    )
    os.close(write_end)
    output = Collector(read_end)
    try:
        assert output.wait(lambda text: "A browser will warn" in text, 30), output.text()
        found = re.search(r"Serving https://localhost:(\d+)/ until", output.text())
        assert found
        plain = socket.create_connection(("127.0.0.1", int(found[1])), timeout=10)
        with plain, start_tls(plain, sni="later.example") as tls:
            tls.sendall(b"GET / HTTP/1.0\r\n\r\n")
            assert b"This page came through TLS" in read_all(tls)
        assert output.wait(lambda text: "sni='later.example'" in text, 10), "the log goes on"
        popen.send_signal(number)
        assert popen.wait(20) == 0
    finally:
        popen.kill()
        popen.wait(10)


@needs_root
def test_colour_on_a_terminal(environment: dict[str, str]) -> None:
    for extra, coloured in (({}, True), ({"NO_COLOR": "1"}, False)):
        outer, inner = pty.openpty()
        popen = subprocess.Popen([sys.executable, SCRIPT], env={**environment, **extra}, stdout=inner)
        os.close(inner)
        output = Collector(outer)
        assert popen.wait(60) == 0
        assert output.wait_end(5)
        assert ("\033[1;32mThe page\033[0m" in output.text()) == coloured


@needs_root
def test_a_port_that_is_taken(environment: dict[str, str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        done = demo(environment, "--port", str(listener.getsockname()[1]))
    assert done.returncode == 1
    assert re.fullmatch(r"demo: the server did not start: .*address already used\n", done.stderr)


@needs_root
def test_what_is_missing_is_named(environment: dict[str, str]) -> None:
    done = demo({**environment, "BEARWRAP_BIN": "/nonexistent"})
    assert (done.returncode, done.stderr) == (1, "demo: /nonexistent/tlswrapper is missing: run make\n")
    done = demo({**environment, "PATH": "/nonexistent"})
    assert (done.returncode, done.stderr) == (1, "demo: busybox is missing (Debian: apt-get install busybox)\n")
    assert done.stdout == ""


def test_not_root(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    module = load()
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setattr(sys, "argv", ["demo.py"])
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    assert module.main() == 1
    said = capsys.readouterr()
    assert said.out == ""
    assert re.fullmatch(r"demo: run as root: [^\n]*\n", said.err)


def load() -> ModuleType:
    spec = importlib.util.spec_from_file_location("demo_script", SCRIPT)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
