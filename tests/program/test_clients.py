"""Real clients: OpenSSL's s_client, curl, gnutls-cli, NSS's tstclnt, Python's ssl, and headless Chromium."""

from __future__ import annotations

import os
import socket
import ssl
import struct
import subprocess
import zlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.certs import Certs
from tests.harness import (
    ARTEFACTS,
    Collector,
    Listener,
    Program,
    duplex,
    require_peer,
)

KINDS = ["rsa2048", "p256"]
GREETING = "greetings from prog"


@pytest.fixture(params=KINDS)
def echo(request: pytest.FixtureRequest, program: Program, certs: Certs) -> Iterator[Listener]:
    """A listening wrapper around a prog that greets and echoes."""
    prog = ["sh", "-c", f"echo {GREETING}; cat"]
    with Listener([program.path, "-v", "-f", certs.server(request.param), *prog]) as listener:
        yield listener


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A small web site: a page that computes something, and a file of 5 MB."""
    folder = tmp_path / "site"
    folder.mkdir()
    (folder / "index.html").write_text(
        "<!doctype html><title>wrapped</title>"
        "<body style='background:#0a7d32;color:white;font:48px sans-serif'>"
        "<h1 id=a>not run</h1><img src=dot.svg width=100>"
        "<script>document.getElementById('a').textContent='page ' + 6 * 7 + ' over TLS'</script>"
    )
    (folder / "dot.svg").write_text(
        "<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 9 9'>"
        "<circle cx='4' cy='4' r='4' fill='gold'/></svg>"
    )
    (folder / "big").write_bytes(os.urandom(5_000_000))
    return folder


@pytest.fixture(params=KINDS)
def web(request: pytest.FixtureRequest, program: Program, certs: Certs, site: Path) -> Iterator[Listener]:
    """A listening wrapper around `busybox httpd -i`."""
    prog = [require_peer("busybox"), "httpd", "-i", "-h", site]
    with Listener([program.path, "-v", "-f", certs.server(request.param), *prog]) as listener:
        yield listener


def newest(program: Program) -> str:
    """What a handshake of today's clients is logged as."""
    return "SSL connection: TLS 1.3, " if program.ours else "SSL connection: TLS 1.2, "


def talk(argv: list[object], listener: Listener, program: Program) -> str:
    """Run a terminal-like client: wait for the greeting, send a line, wait for its echo, EOF on stdin."""
    keyboard, stdin = socket.socketpair()  # tstclnt spins for ever on the hang-up of a pipe
    read_end, write_end = os.pipe()
    popen = subprocess.Popen(list(map(str, argv)), stdin=stdin, stdout=write_end, stderr=write_end)
    stdin.close()
    os.close(write_end)
    output = Collector(read_end)
    try:
        assert output.wait(lambda text: GREETING in text, 10), output.text()
        keyboard.sendall(b"a line for prog\n")
        assert output.wait(lambda text: "a line for prog" in text, 10), output.text()
        keyboard.close()
        popen.wait(10)
    finally:
        popen.kill()
        popen.wait(10)
    assert listener.codes() == [0]
    assert listener.wait_stderr(newest(program))
    assert "error" not in listener.stderr and "fatal" not in listener.stderr
    return output.text()


def test_openssl(echo: Listener, certs: Certs, program: Program) -> None:
    argv = [require_peer("openssl"), "s_client", "-connect", f"localhost:{echo.port}", "-4"]
    argv += ["-CAfile", certs.ca, "-verify_return_error", "-verify_hostname", "localhost"]
    text = talk(argv, echo, program)
    assert "Verify return code: 0 (ok)" in text
    assert ("Secure Renegotiation IS supported" in text) != program.ours     # which TLS 1.3 has not
    assert "Server public key is" in text


def test_gnutls(echo: Listener, certs: Certs, program: Program) -> None:
    argv = [require_peer("gnutls-cli"), "--x509cafile", certs.ca, "--sni-hostname", "localhost"]
    argv += ["--verify-hostname", "localhost", "-p", echo.port, "127.0.0.1"]
    text = talk(argv, echo, program)
    assert "The certificate is trusted" in text
    assert "Handshake was completed" in text


@pytest.mark.parametrize("kind", KINDS)
def test_nss(program: Program, certs: Certs, tmp_path: Path, kind: str) -> None:
    """tstclnt does not leave at the end of its input, so prog does, after one line."""
    tstclnt, certutil = require_peer("tstclnt"), require_peer("certutil")
    store = f"sql:{tmp_path}"
    add = ["-A", "-n", "ca", "-t", "C,,", "-i", str(certs.ca)]
    for command in (["-N", "--empty-password"], add):
        subprocess.run([certutil, *command, "-d", store], check=True, capture_output=True, timeout=20)
    prog = ["sh", "-c", f"echo {GREETING}; head -n 1"]
    with Listener([program.path, "-v", "-f", certs.server(kind), *prog]) as listener:
        argv = [tstclnt, "-h", "localhost", "-p", listener.port, "-d", store, "-4", "-V", "tls1.2:tls1.3"]
        talk(argv, listener, program)


@pytest.mark.parametrize("low", ["tls1.0", "tls1.1", "tls1.2"])
def test_nss_with_old_versions(program: Program, certs: Certs, tmp_path: Path, low: str) -> None:
    """Each version alone, with the one cipher all of them have."""
    tstclnt, certutil = require_peer("tstclnt"), require_peer("certutil")
    store = f"sql:{tmp_path}"
    subprocess.run(
        [certutil, "-N", "--empty-password", "-d", store], check=True, capture_output=True, timeout=20
    )
    options = ["-v", "-m", "tls10", "-c", "AES_128_CBC_SHA", "-f", certs.server("rsa2048")]
    with Listener([program.path, *options, "sh", "-c", f"echo {GREETING}; cat"]) as listener:
        argv = [
            tstclnt,
            "-h",
            "127.0.0.1",
            "-p",
            str(listener.port),
            "-d",
            store,
            "-o",
            "-Q",
            "-V",
            f"{low}:{low}",
        ]
        done = subprocess.run(argv, capture_output=True, timeout=20, check=False)
        if b"SSL_ERROR_PROTOCOL_VERSION" in done.stderr or b"Invalid version range" in done.stderr:
            pytest.skip(f"this NSS has no {low}")
        assert done.returncode == 0, done.stderr
        assert listener.wait_stderr(f"SSL connection: {low.upper().replace('TLS', 'TLS ')}, ")


def test_python(echo: Listener, certs: Certs) -> None:
    """As a program uses it: the default context, verification on."""
    context = ssl.create_default_context(cafile=str(certs.ca))
    payload = os.urandom(500_000)
    plain = socket.create_connection(("127.0.0.1", echo.port), timeout=10)
    with context.wrap_socket(plain, server_hostname="localhost", suppress_ragged_eofs=False) as tls:
        assert tls.recv(100) == GREETING.encode() + b"\n"
        assert duplex(tls, payload, len(payload)) == payload
    assert echo.codes() == [0]


def test_curl(web: Listener, certs: Certs, site: Path) -> None:
    """A page and 5 MB, verified, HTTP/1.0 and 1.1."""
    curl = require_peer("curl")
    for name in ("index.html", "big"):
        for version in ("--http1.0", "--http1.1"):
            done = subprocess.run(
                [curl, "-sS", "--fail", version, "--noproxy", "*", "--cacert", certs.ca,
                 "-w", "%{stderr}%{ssl_verify_result}",
                 f"https://localhost:{web.port}/{name}"],
                capture_output=True, timeout=30, check=False,
            )  # fmt: skip
            assert (done.returncode, done.stderr) == (0, b"0")
            assert done.stdout == (site / name).read_bytes()
    assert set(web.codes()) == {0}


def test_curl_several_at_once(web: Listener, certs: Certs, site: Path, tmp_path: Path) -> None:
    curl = require_peer("curl")
    url = f"https://localhost:{web.port}/big"
    targets = [item for number in range(8) for item in ("-o", str(tmp_path / f"out{number}"), url)]
    argv = [curl, "-sS", "--fail", "--parallel", "--noproxy", "*", "--cacert", str(certs.ca), *targets]
    subprocess.run(argv, check=True, timeout=60)
    assert {(tmp_path / f"out{number}").read_bytes() for number in range(8)} == {(site / "big").read_bytes()}


CHROMIUM = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--disable-dev-shm-usage", "--ignore-certificate-errors", "--no-proxy-server", "--window-size=640,400",
]  # fmt: skip


def chromium(arguments: list[str], url: str, folder: Path) -> subprocess.CompletedProcess[bytes]:
    argv = [require_peer("chromium"), *CHROMIUM, f"--user-data-dir={folder}/profile", *arguments, url]
    env = {**os.environ, "HOME": str(folder), "XDG_CONFIG_HOME": str(folder), "XDG_CACHE_HOME": str(folder)}
    return subprocess.run(argv, capture_output=True, timeout=90, cwd=folder, env=env, check=False)


def test_chromium(program: Program, certs: Certs, site: Path, tmp_path: Path) -> None:
    """A browser loads the page, runs its script and paints it; the screenshot is kept as an artefact."""
    prog = [require_peer("busybox"), "httpd", "-i", "-h", site]
    picture = tmp_path / "page.png"
    with Listener([program.path, "-v", "-f", certs.server("p256"), *prog]) as listener:
        url = f"https://localhost:{listener.port}/"
        done = chromium(["--dump-dom"], url, tmp_path)
        assert b'<h1 id="a">page 42 over TLS</h1>' in done.stdout, done.stderr[-2000:]
        done = chromium([f"--screenshot={picture}"], url, tmp_path)
        assert picture.exists(), done.stderr[-2000:]
        assert newest(program) + ("" if program.ours else "ECDSA + ECDHE + ") in listener.stderr
        assert ", x25519, sni='localhost'" in listener.stderr
    ARTEFACTS.mkdir(parents=True, exist_ok=True)
    (ARTEFACTS / f"chromium-{program.label}.png").write_bytes(picture.read_bytes())
    assert (0x0A, 0x7D, 0x32) in colours(picture.read_bytes())


def colours(png: bytes) -> set[tuple[int, ...]]:
    """The colours of an 8-bit RGB or RGBA PNG, undoing the row filters (PNG specification, section 9)."""
    assert png[:8] == b"\x89PNG\r\n\x1a\n"
    width, height, depth, colour = struct.unpack(">IIBB", png[16:26])
    assert depth == 8 and colour in (2, 6)
    size, at, packed = {2: 3, 6: 4}[colour], 8, b""
    while at < len(png):
        length = int.from_bytes(png[at : at + 4], "big")
        if png[at + 4 : at + 8] == b"IDAT":
            packed += png[at + 8 : at + 8 + length]
        at += 12 + length
    raw, stride, found = zlib.decompress(packed), width * size, set()
    above = bytearray(stride)
    for y in range(height):
        kind = raw[y * (stride + 1)]
        row = bytearray(raw[y * (stride + 1) + 1 : (y + 1) * (stride + 1)])
        for x in range(stride):
            left = row[x - size] if x >= size else 0
            corner = above[x - size] if x >= size else 0
            row[x] = (row[x] + _predict(kind, left, above[x], corner)) & 255
        found |= {tuple(row[x : x + 3]) for x in range(0, stride, size)}
        above = row
    return found


def _predict(kind: int, left: int, up: int, corner: int) -> int:
    if kind == 4:
        estimate = left + up - corner
        return min(
            (abs(estimate - left), 0, left), (abs(estimate - up), 1, up), (abs(estimate - corner), 2, corner)
        )[2]
    return (0, left, up, (left + up) // 2)[kind]
