"""One line for each connection, as text or JSON, that no client can shape; and the counters."""

from __future__ import annotations

import json
import re
import socket
import ssl
import subprocess
from pathlib import Path

import pytest

from tests.certs import Certs
from tests.harness import LIMIT_S, client_context, needs_root, read_all
from tests.wire.messages import Hello, vec

from .listening import Serving

pytestmark = needs_root
TEXT = re.compile(
    r"bearwrap: connection (?P<id>[0-9A-Za-z]{16}) (?P<address>\[[0-9a-f:]+\]|[0-9.]+):(?P<port>\d+) sni=(?P<sni>\S+) "
    r"(?P<version>\S+) (?P<cipher>\S+) (?P<group>\S+) resumed=(?P<resumed>\S+) "
    r"in=(?P<bytes_in>\d+) out=(?P<bytes_out>\d+) ms=(?P<ms>\d+) "
    r"code=(?P<code>\d+) end=(?P<end>[a-z_ ]+)"
)
FIELDS = list(TEXT.groupindex)


@pytest.fixture
def wrapper(certs: Certs) -> list[str]:
    return ["-f", str(certs.server("p256"))]


def test_text(wrapper: list[str], tmp_path: Path) -> None:
    log = tmp_path / "log"
    with Serving(wrapper, ["sh", "-c", "head -c 100000 /dev/zero; exit 3"],
                 options=["--log", "text", "--log-file", str(log)], address="[::1]:{port}") as server:  # fmt: skip
        with server.tls(sni="test.example", host="::1") as tls:
            port = tls.getsockname()[1]
            assert len(read_all(tls)) == 100000
        with pytest.raises(ssl.SSLError):
            server.tls(no_common_cipher(), host="::1")
        server.wait_counter("bearwrap_served_total", 2)
    found = [TEXT.fullmatch(line) for line in log.read_text().splitlines()]
    assert len(found) == 2 and all(found), log.read_text()
    good, bad = sorted(filter(None, found), key=lambda line: int(line["port"]) != port)     # which ended first is open
    assert good["address"] == "[::1]" and int(good["port"]) == port and good["sni"] == "test.example"
    assert (good["version"], good["cipher"]) == ("TLSv1.2", "ECDHE-ECDSA-CHACHA20-POLY1305")
    assert (good["group"], good["code"], good["end"]) == ("x25519", "3", "finished")
    assert 100000 < int(good["bytes_out"]) < 105000 and 30 < int(good["bytes_in"]) < 200
    assert (bad["version"], bad["cipher"], bad["group"], bad["sni"]) == ("TLSv1.2", "-", "-", "-")
    assert (bad["code"], bad["end"]) == ("111", "sent handshake_failure")


def no_common_cipher() -> ssl.SSLContext:
    context = client_context()
    context.set_ciphers("AES128-SHA256")
    return context


def test_json(wrapper: list[str]) -> None:
    with Serving(wrapper, ["sh", "-c", "exit 7"]) as server:
        with server.tls(sni="test.example") as tls:
            read_all(tls)
        line = server.accounts(1)[0]
        assert list(line) == FIELDS
        assert (line["sni"], line["code"], line["address"]) == ("test.example", 7, "127.0.0.1")
        assert all(isinstance(line[name], int) for name in ("port", "bytes_in", "bytes_out", "ms", "code"))


@pytest.mark.parametrize("how", ["text", "json"])
@pytest.mark.parametrize(
    "name", [b'x","code":0,"x":"', b"a\nbearwrap: fatal: forged", b"a b", b"%s%n%s", b"\xff\xfe", b"\x1b[2J", b"a" * 64,
             b".".join([b"a" * 63] * 4) + b"a" * 20], ids=repr)  # fmt: skip
def test_a_hostile_server_name(wrapper: list[str], tmp_path: Path, how: str, name: bytes) -> None:
    """Whatever it holds, the line is one line, with its fields where they belong."""
    log = tmp_path / "log"
    with Serving(wrapper, options=["--log", how, "--log-file", str(log), "--workers", "1"]) as server:
        with server.connect() as sock:
            sock.sendall(record(Hello().ext(0, vec(2, b"\0" + vec(2, name)))))
            sock.settimeout(LIMIT_S)
            sock.recv(65536)
        server.wait_counter("bearwrap_served_total", 1)
    (line,) = log.read_text().splitlines()
    if how == "json":
        found = json.loads(line)
        assert list(found) == FIELDS and found["sni"] == ""
    else:
        match = TEXT.fullmatch(line)
        assert match and match["sni"] == "-"


def record(hello: Hello) -> bytes:
    message = hello.message()
    return b"\x16\x03\x01" + len(message).to_bytes(2, "big") + message


def test_no_lines(wrapper: list[str]) -> None:
    with Serving(wrapper, options=["--log", "none"]) as server:
        server.echo()
        server.wait_counter("bearwrap_served_total", 1)
        assert server.stop() == 0
        assert server.stderr == ""


def test_the_counters_are_what_the_lines_say(wrapper: list[str]) -> None:
    with Serving([*wrapper, "-m", "tls10", "-c", "AES_128_CBC_SHA", "-c", "AES_128_GCM_SHA256"]) as server:
        for version, cipher in ((ssl.TLSVersion.TLSv1, "AES128-SHA"), (ssl.TLSVersion.TLSv1_2, "AES128-GCM-SHA256")):
            context = client_context()
            context.set_ciphers(f"ECDHE-ECDSA-{cipher}:@SECLEVEL=0")
            context.minimum_version = context.maximum_version = version
            with server.tls(context) as tls:
                tls.sendall(b"x" * 1000)
                tls.recv(1000)
        with pytest.raises(ssl.SSLError):
            server.tls(no_common_cipher())
        lines = server.accounts(3)
        found = server.wait_counter("bearwrap_served_total", 3)
        for direction in ("in", "out"):
            total = sum(int(str(line[f"bytes_{direction}"])) for line in lines)
            assert found[f'bearwrap_bytes_total{{direction="{direction}"}}'] == total
        for name, label in (("version", "version"), ("cipher", "cipher")):
            for value in {line[name] for line in lines if line["code"] == 0}:
                count = sum(line[name] == value and line["code"] == 0 for line in lines)
                assert found[f'bearwrap_{name}_total{{{label}="{value}"}}'] == count
        assert found['bearwrap_handshakes_total{result="done"}'] == 2
        assert found['bearwrap_handshakes_total{result="failed"}'] == 1
        assert found['bearwrap_alerts_total{alert="handshake_failure"}'] == 1
        assert found["bearwrap_accepted_total"] == 3


def test_the_counters_are_prometheus_text(wrapper: list[str]) -> None:
    """Every sample behind its TYPE, each name once (exposition format 0.0.4)."""
    with Serving(wrapper) as server:
        server.echo()
        words = ["curl", "-sSi", "--unix-socket", str(server.status_path), "http://x/"]
        done = subprocess.run(words, capture_output=True, text=True, timeout=LIMIT_S, check=True)
    head, _, body = done.stdout.partition("\n\n")
    assert "Content-Type: text/plain; version=0.0.4" in head
    kinds: dict[str, str] = {}
    for line in body.splitlines():
        if match := re.fullmatch(r"# TYPE (\w+) (counter|gauge)", line):
            assert match[1] not in kinds
            kinds[match[1]] = match[2]
        else:
            sample = re.fullmatch(r'(\w+)(\{\w+="[^"]+"\})? \d+', line)
            assert sample and sample[1] == list(kinds)[-1], line
            assert sample[1].endswith("_total") == (kinds[sample[1]] == "counter")


def test_those_who_ask_and_do_not_speak(wrapper: list[str]) -> None:
    """Open questions of others take no answer away, nor any time of the listener's."""
    with Serving(wrapper) as server:
        mute = [socket.socket(socket.AF_UNIX) for _ in range(20)]
        for sock in mute:
            sock.connect(str(server.status_path))
        assert server.counters()["bearwrap_accepted_total"] == 0
        before = Path(f"/proc/{server.pid}/stat").read_text().split()[13:15]
        server.echo()
        assert server.wait_counter("bearwrap_served_total", 1)["bearwrap_served_total"] == 1
        after = Path(f"/proc/{server.pid}/stat").read_text().split()[13:15]
        assert sum(map(int, after)) - sum(map(int, before)) < 20
        for sock in mute:
            sock.close()
