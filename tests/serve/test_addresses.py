"""What it listens on, and that real clients are served there: IPv4, IPv6, Unix sockets, several, passed ones."""

from __future__ import annotations

import json
import os
import socket
import ssl
import subprocess
import sys
from pathlib import Path

import pytest

from tests.certs import Certs
from tests.harness import LIMIT_S, client_context, free_port, needs_root, read_all, require_peer, wait_listening

from .listening import PROGRAM, Serving

pytestmark = needs_root
ENVIRONMENT = ["sh", "-c", "env"]


@pytest.fixture
def wrapper(certs: Certs) -> list[str]:
    return ["-f", str(certs.server("p256"))]


def environment(tls: ssl.SSLSocket) -> dict[str, str]:
    """What `env` as prog says of its environment."""
    with tls:
        text = read_all(tls).decode()
    return dict(line.split("=", 1) for line in text.splitlines() if "=" in line)


def unix(path: Path) -> ssl.SSLSocket:
    sock = socket.socket(socket.AF_UNIX)
    sock.settimeout(LIMIT_S)
    sock.connect(str(path))
    return client_context().wrap_socket(sock)


def test_several_addresses(wrapper: list[str], tmp_path: Path) -> None:
    port, path = free_port(), tmp_path / "sock"
    with Serving(wrapper, ENVIRONMENT, address=f"127.0.0.1:{port},[::1]:{port},{path}") as server:
        server.port = port
        four = environment(server.tls())
        six = environment(server.tls(host="::1"))
        local = environment(unix(path))
        assert (four["TCPREMOTEIP"], four["TCPLOCALIP"], four["TCPLOCALPORT"]) == ("127.0.0.1", "127.0.0.1", str(port))
        assert (six["TCPREMOTEIP"], six["TCPLOCALIP"], six["TCPLOCALPORT"]) == ("::1", "::1", str(port))
        assert (local["TCPREMOTEIP"], local["TCPREMOTEPORT"]) == ("::", "0")
        assert {four["PROTO"], six["PROTO"]} == {"TCP"}
        said = server.accounts(3)
        assert [line["address"] for line in said] == ["127.0.0.1", "::1", "::"]
        assert said[0]["port"] == int(four["TCPREMOTEPORT"]) and said[2]["port"] == 0
        assert server.stop() == 0
        assert not path.exists() and not server.status_path.exists()


def test_a_unix_socket_alone(wrapper: list[str], tmp_path: Path) -> None:
    with Serving(wrapper, ENVIRONMENT, address=f"{tmp_path}/sock") as server:
        assert environment(unix(tmp_path / "sock"))["PROTO"] == "IPC"
        assert server.stop() == 0


def test_prog_inherits_nothing_of_another_connection(wrapper: list[str]) -> None:
    """A supervisor that runs under tcpserver or systemd itself: none of that is prog's."""
    stale = {name: "10.9.8.7" for name in ("TCPREMOTEIP", "TCPLOCALIP", "TCPREMOTEHOST", "TCPREMOTEINFO")}
    stale |= {"TCPREMOTEPORT": "1", "TCPLOCALPORT": "1", "TCPLOCALHOST": "x", "SSL_CIPHER": "x", "LOG_ID": "outer",
              "WATCHDOG_USEC": "60000000", "KEPT": "yes"}
    with Serving(wrapper, ENVIRONMENT, env=stale) as server:
        one, two = environment(server.tls()), environment(server.tls())
        assert "10.9.8.7" not in one.values() and one["TCPREMOTEIP"] == "127.0.0.1"
        for name in ("TCPREMOTEHOST", "TCPREMOTEINFO", "TCPLOCALHOST", "NOTIFY_SOCKET", "WATCHDOG_USEC"):
            assert name not in one, name
        assert one["KEPT"] == "yes" and one["SSL_CIPHER"].startswith("ECDHE-")
        ids = [line["id"] for line in server.accounts(2)]
        assert [one["LOG_ID"], two["LOG_ID"]] == ids and ids[0] != ids[1] and "outer" not in ids


SOCKETS = """
import os, socket, sys
four = socket.create_server(("127.0.0.1", int(sys.argv[1])))
six = socket.create_server(("::", int(sys.argv[2])), family=socket.AF_INET6, dualstack_ipv6=True)
os.dup2(four.fileno(), 10); os.dup2(six.fileno(), 11)
os.dup2(10, 3); os.dup2(11, 4)
os.environ |= {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": "2", "LISTEN_FDNAMES": "a:b"}
os.execv(sys.argv[3], sys.argv[3:])
"""


def test_passed_sockets(wrapper: list[str], tmp_path: Path) -> None:
    """LISTEN_FDS, with one that takes IPv4 and IPv6: the limit for each address counts clients of IPv4 apart."""
    ports = free_port(), free_port()
    log = tmp_path / "log"
    words = [sys.executable, "-c", SOCKETS, *map(str, ports), PROGRAM, "serve", "--max-per-address", "2",
             "--log", "json", "--log-file", log, "systemd", *wrapper, *ENVIRONMENT]
    with subprocess.Popen(list(map(str, words)), stderr=subprocess.PIPE) as popen:
        try:
            wait_listening(ports[1], popen)
            for port in ports:
                with socket.create_connection(("127.0.0.1", port), timeout=LIMIT_S) as sock:
                    seen = environment(client_context().wrap_socket(sock))
                assert not {"LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"} & set(seen)
                assert (seen["TCPREMOTEIP"], seen["TCPLOCALPORT"]) == ("127.0.0.1", str(port))
            held = []
            for host in ("127.0.0.1", "127.0.0.1", "127.0.0.2", "::1"):
                family = socket.AF_INET6 if ":" in host else socket.AF_INET
                sock = socket.socket(family)
                sock.settimeout(LIMIT_S)
                sock.bind((host, 0))
                sock.connect(("::1" if ":" in host else "127.0.0.1", ports[1]))
                held.append(sock)
            with client_context().wrap_socket(held[2]) as tls:
                assert read_all(tls)
            with client_context().wrap_socket(held[3]) as tls:
                assert read_all(tls)
            for sock in held:
                sock.close()
        finally:
            popen.terminate()
            assert popen.wait(LIMIT_S) == 0
    lines = [line for line in log.read_text().splitlines() if line.startswith("{")]
    assert {json.loads(line)["address"] for line in lines} == {"127.0.0.1", "127.0.0.2", "::1"}


def test_systemd_socket_activate(wrapper: list[str]) -> None:
    """The real thing; it starts the listener at the first connection, which waits in the kernel."""
    tool, port = require_peer("systemd-socket-activate"), free_port()
    words = [tool, "-l", f"127.0.0.1:{port}", PROGRAM, "serve", "systemd", *wrapper, "cat"]
    with subprocess.Popen(list(map(str, words)), stderr=subprocess.PIPE) as popen:
        try:
            wait_listening(port, popen)
            sock = socket.create_connection(("127.0.0.1", port), timeout=LIMIT_S)
            with client_context().wrap_socket(sock) as tls:
                tls.sendall(b"x")
                assert tls.recv(1) == b"x"
        finally:
            popen.terminate()
            assert popen.wait(LIMIT_S) == 0


def test_curl(certs: Certs, wrapper: list[str]) -> None:
    curl = require_peer("curl")
    answer = "printf 'HTTP/1.0 200 OK\\r\\n\\r\\nserved %s' \"$SSL_TLS_SNI_SERVERNAME\""
    with Serving(wrapper, ["sh", "-c", answer]) as server:
        words = [curl, "-sS", "--cacert", certs.ca, "--connect-to", f"::127.0.0.1:{server.port}", "https://test.example/"]
        done = subprocess.run(list(map(str, words)), capture_output=True, text=True, timeout=LIMIT_S, check=False)
        assert done.stdout == "served test.example", done.stderr
        assert server.accounts(1)[0]["sni"] == "test.example"
        words = [curl, "-sS", "--unix-socket", str(server.status_path), "http://x/metrics"]
        done = subprocess.run(words, capture_output=True, text=True, timeout=LIMIT_S, check=False)
        assert 'bearwrap_handshakes_total{result="done"} 1\n' in done.stdout, done.stderr
        assert os.stat(server.status_path).st_mode & 0o777 == 0o600


def test_openssl(wrapper: list[str]) -> None:
    openssl = require_peer("openssl")
    with Serving(wrapper, ["echo", "through openssl"]) as server:
        words = [openssl, "s_client", "-quiet", "-connect", f"127.0.0.1:{server.port}"]
        done = subprocess.run(words, capture_output=True, timeout=LIMIT_S, check=False, stdin=subprocess.DEVNULL)
        assert done.stdout == b"through openssl\n", done.stderr
