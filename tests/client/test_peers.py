"""s6-tlsc with real servers and under a real tcpclient: pages from nginx, client certificates, execlineb scripts."""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.harness import BIN, LIMIT_S, ServerProcess, free_port, require_peer, server_process
from tests.servers import wait_listening

from .material import Material
from .peers import gnutls_server, openssl_server, tlswrapper
from .tlsc import TLSC, Tlsc, Value

LOCAL = ["-k", "localhost"]
PAGE = b"a page\n" * 4000
HTTP = """
import os, sys
request = "GET /%s HTTP/1.0\\r\\nHost: localhost\\r\\n\\r\\n" % sys.argv[1]
os.write(7, request.encode())
answer = b""
while piece := os.read(6, 65536):
    answer += piece
head, _, body = answer.partition(b"\\r\\n\\r\\n")
print(head.split(b"\\r\\n")[0].decode(), len(body), body[:7], file=sys.stdout)
"""
FETCH = ["/usr/bin/python3", "-I", "-S", "-c", HTTP, "page"]
FETCHED = f"HTTP/1.1 200 OK {len(PAGE)} {PAGE[:7]!r}\n"
PAIRS = {  # KEYFILE and CERTFILE by name
    "ec": ("key_p256", "cert_p256"),
    "ec-der": ("key_p256_der", "cert_p256"),
    "rsa": ("key_rsa", "cert_rsa"),
    "rsa-der": ("key_rsa_pkcs8_der", "cert_rsa"),
}


def variables(material: Material, pair: str = "") -> dict[str, Value]:
    found: dict[str, Value] = {"CAFILE": material.path("ca")}
    if pair:
        key, certificate = PAIRS[pair]
        found |= {"KEYFILE": material.path(key), "CERTFILE": material.path(certificate)}
    return found


def connected(port: int) -> socket.socket:
    sock = socket.create_connection(("127.0.0.1", port), timeout=LIMIT_S)
    sock.settimeout(None)
    return sock


# --- nginx ---


@dataclass
class Nginx:
    """Ports of one nginx: `plain` asks for no certificate, `asks` for one, `old` too and has TLS 1.1 alone."""

    server: ServerProcess
    plain: int
    asks: int
    old: int


@pytest.fixture(scope="module")
def nginx(material: Material, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nginx]:
    """nginx in the foreground, all its files in one folder."""
    program = require_peer("nginx")
    folder: Path = tmp_path_factory.mktemp("nginx")
    (folder / "page").write_bytes(PAGE)
    ports = [free_port() for _ in range(3)]
    certificate = material.path("p256")
    common = f"ssl_certificate {certificate}; ssl_certificate_key {certificate}; root {folder};"
    asks = f"ssl_verify_client on; ssl_client_certificate {material.path('client_ca')};"
    asks += 'add_header X-Client "$ssl_client_s_dn $ssl_protocol" always;'
    versions = "ssl_protocols TLSv1.2 TLSv1.3;"
    old = "ssl_protocols TLSv1.1; ssl_ciphers ALL:@SECLEVEL=0;"
    blocks = "".join(
        f"server {{ listen 127.0.0.1:{port} ssl; {common} {more} }}\n"
        for port, more in zip(ports, (versions, asks + versions, asks + old), strict=True)
    )
    user = "user root;" if os.geteuid() == 0 else ""
    temporary = "".join(
        f"{name}_temp_path {folder}/{name};" for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    (folder / "nginx.conf").write_text(
        f"daemon off; master_process off; {user} pid {folder}/pid; error_log stderr;\n"
        f"events {{ }}\nhttp {{ access_log off; {temporary}\n{blocks} }}\n"
    )
    command = [program, "-c", folder / "nginx.conf", "-p", folder]
    with server_process(command, ports[0]) as server:
        for port in ports:
            wait_listening(port, server.popen)
        yield Nginx(server, *ports)


@pytest.mark.parametrize("style", ["-s", "-S"])
def test_a_page_of_nginx(nginx: Nginx, material: Material, style: str) -> None:
    """prog speaks HTTP on 6 and 7, and knows nothing of TLS."""
    with Tlsc([style, *LOCAL], FETCH, env=variables(material), sock=connected(nginx.plain)) as run:
        assert run.wait() == 0
        assert (run.stdout.decode(), run.stderr) == (FETCHED, "")
        assert run.no_process_left()


@pytest.mark.parametrize("pair", PAIRS)
@pytest.mark.parametrize("version", ["TLSv1.3", "TLSv1.1"])
def test_a_client_certificate_for_nginx(nginx: Nginx, material: Material, pair: str, version: str) -> None:
    port = nginx.asks if version == "TLSv1.3" else nginx.old
    prog = ["sh", "-c", "printf 'GET /page HTTP/1.0\\r\\n\\r\\n' >&7; head -n 20 <&6 | tr -d '\\r' | grep X-Client"]
    with Tlsc(["-y", *LOCAL], prog, env=variables(material, pair), sock=connected(port)) as run:
        assert run.wait() == 0
        assert run.stdout.decode() == f"X-Client: CN=nobody {version}\n"


@pytest.mark.parametrize("options", [[], ["-Y"]], ids=str)
def test_nginx_without_a_client_certificate(nginx: Nginx, material: Material, options: list[str]) -> None:
    """Not given, it is not shown: nginx finishes the handshake and refuses the request with its own words."""
    environment = variables(material, "ec")
    with Tlsc([*options, *LOCAL], FETCH, env=environment, sock=connected(nginx.asks)) as run:
        assert run.wait() == 0
        assert run.stdout.startswith(b"HTTP/1.1 400 Bad Request")


# --- openssl s_server, gnutls-serv, our own ---


@pytest.mark.parametrize("pair", ["ec", "rsa", ""])
def test_openssl_s_server_that_needs_a_certificate(material: Material, pair: str) -> None:
    words = ["-Verify", "2", "-CAfile", str(material.path("client_ca")), "-verify_return_error", "-rev", "-quiet"]
    prog = ["sh", "-c", "echo abc >&7; read x <&6; echo $x"]
    options = ["-y", *LOCAL] if pair else LOCAL
    with (
        openssl_server(material.path("p256"), *words) as server,
        Tlsc(options, prog, env=variables(material, pair), sock=connected(server.port)) as run,
    ):
        assert run.wait() == (0 if pair else 98)
        assert run.stdout == (b"cba\n" if pair else b"")
        if not pair:
            line = "the TLS engine closed the connection during the handshake: alert handshake_failure received"
            assert run.stderr == f"s6-tlsc: fatal: {line}\n"


@pytest.mark.parametrize("pair", ["ec", "rsa", ""])
def test_gnutls_that_needs_a_certificate(material: Material, pair: str) -> None:
    words = ["--echo", "--require-client-cert", "--verify-client-cert", f"--x509cafile={material.path('client_ca')}"]
    prog = ["sh", "-c", "echo abc >&7; read x <&6; echo $x"]
    options = ["-S", *(["-y"] if pair else []), *LOCAL]
    with (
        gnutls_server(material.path("p256"), *words) as server,
        Tlsc(options, prog, env=variables(material, pair), sock=connected(server.port)) as run,
    ):
        code = run.wait()
        assert (code, run.stdout) == ((0, b"abc\n") if pair else (98, b"")), run.stderr


def test_gnutls_http(material: Material) -> None:
    with (
        gnutls_server(material.path("rsa2048"), "--http") as server,
        Tlsc(LOCAL, FETCH, env=variables(material), sock=connected(server.port)) as run,
    ):
        assert run.wait() == 0
        assert run.stdout.startswith(b"HTTP/1.0 200 OK")


@pytest.mark.parametrize("version", ["tls12", "tls13"])
@pytest.mark.parametrize("pair", ["ec", "rsa", ""])
def test_our_own_server_that_needs_a_certificate(material: Material, pair: str, version: str) -> None:
    """In TLS 1.3 a client is done when its Finished is out: it hears of a refusal after prog has started, and says so
    unless prog has closed its side by then."""
    options = ["-y", *LOCAL] if pair else LOCAL
    words = ["-a", str(material.path("client_ca")), "-M", version]
    prog = ["sh", "-c", f"trap '' PIPE; echo abc >&7; {'exec 7>&-; ' if pair else ''}cat <&6"]
    with tlswrapper(material.path("p256"), ["sh", "-c", "cat; echo $SSL_PEER_CERT_SUBJECT"], *words) as server:
        with Tlsc(options, prog, env=variables(material, pair), sock=connected(server.port)) as run:
            code = run.wait()
            refused = (98, b"") if version == "tls12" else (0, b"")
            assert (code, run.stdout) == ((0, b"abc\nCN=nobody\n") if pair else refused), run.stderr
            if not pair:
                heard = "during the handshake: alert handshake_failure received"
                assert (heard if version == "tls12" else "alert certificate_required received") in run.stderr
        assert server.codes() == [0 if pair else 111]


# --- under tcpclient ---


def under_tcpclient(port: int, *command: object, env: dict[str, Value], stack: contextlib.ExitStack) -> Tlsc:
    """ucspi-tcp's tcpclient, which makes the connection and leaves it on 6 and 7."""
    launcher = [require_peer("tcpclient"), "-RH", "-l0", "127.0.0.1", str(port)]
    words = list(map(str, command))
    return stack.enter_context(
        Tlsc([], words, env={**env, "PATH": f"{BIN}:{os.environ['PATH']}"}, network={}, launcher=launcher)
    )


def test_under_tcpclient(nginx: Nginx, material: Material) -> None:
    """tcpclient execs s6-tlsc, which hands on the variables that describe the connection."""
    prog = ["sh", "-c", 'echo $PROTO $TCPREMOTEIP $TCPREMOTEPORT; exec "$@"', "sh", *FETCH]
    with contextlib.ExitStack() as stack:
        run = under_tcpclient(nginx.plain, *LOCAL, *prog, env=variables(material), stack=stack)
        assert run.wait() == 0
        assert run.stdout.decode() == f"TCP 127.0.0.1 {nginx.plain}\n{FETCHED}"
        assert (run.stderr, run.no_process_left()) == ("", True)


def test_an_execlineb_script(nginx: Nginx, material: Material, tmp_path: Path) -> None:
    """All of it as one script: connect, TLS, and a prog made of execline's commands."""
    execlineb = require_peer("execlineb")
    script = tmp_path / "fetch"
    script.write_text(
        f"#!{execlineb} -P\n"
        f"export CAFILE {material.path('ca')}\n"
        f"{require_peer('tcpclient')} -RH -l0 127.0.0.1 {nginx.plain}\n"
        f"{TLSC.path} -S -k localhost\n"
        'foreground { fdmove -c 1 7 printf "GET /page HTTP/1.0\\r\\n\\r\\n" }\n'
        "fdclose 7\n"
        "fdmove -c 0 6 wc -c\n"
    )
    script.chmod(0o755)
    with Tlsc([], [], network={}, executable=script) as run:
        assert run.wait() == 0, run.stderr
        assert int(run.stdout) > len(PAGE)
        assert (run.stderr, run.no_process_left()) == ("", True)


def test_a_client_under_another(material: Material) -> None:
    """prog may be anything, also a shell that starts more: code and output are the last one's."""
    with tlswrapper(material.path("p256"), ["cat"]) as server:
        prog = ["sh", "-c", "echo one >&7; read a <&6; echo two >&7; read b <&6; echo $a $b; exit 9"]
        with Tlsc(LOCAL, prog, env=variables(material), sock=connected(server.port)) as run:
            assert run.wait() == 9
            assert run.stdout == b"one two\n"
