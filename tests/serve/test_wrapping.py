"""The wrapper's own options behind the listener: -n, -p1, -a, -u, -T; and the same three jailed processes."""

from __future__ import annotations

import os
import pwd
import socket
from collections import Counter
from pathlib import Path

import pytest

from tests.certs import Certs
from tests.harness import LIMIT_S, client_context, needs_root, proc_status, read_all, read_exactly
from tests.isolation.descriptors import census, descriptors
from tests.isolation.test_jail import EPOLL, KEY_HOLDS, NET_HOLDS, SOCKET, check_process, limits
from tests.procs import children, cmdline

from .listening import Serving, closed

pytestmark = needs_root
JAIL = Path("/var/lib/tlswrapper/empty")


@pytest.fixture
def wrapper(certs: Certs) -> list[str]:
    return ["-f", str(certs.server("p256"))]


def test_delayed_encryption(wrapper: list[str]) -> None:
    """-n: the server speaks first, so nobody waits for the client; a session in clear is no failed handshake."""
    script = "echo 220 go; printf '\\0' >&5; head -c 1 <&6 >/dev/null; exec cat"
    with Serving(["-n", *wrapper], ["sh", "-c", script]) as server:
        with server.connect() as sock:
            assert sock.recv(7, socket.MSG_WAITALL) == b"220 go\n"
            with client_context().wrap_socket(sock) as tls:
                tls.sendall(b"hello")
                assert read_exactly(tls, 5) == b"hello"
        assert server.accounts(1)[0]["version"] == "TLSv1.2"
    with Serving(["-n", *wrapper], ["sh", "-c", "exec 5>&-; echo in clear"]) as server:
        with server.connect() as sock:
            assert read_all(sock) == b"in clear\n"
        line = server.accounts(1)[0]
        assert (line["version"], line["end"], line["code"]) == ("-", "clear", 0)
        found = server.wait_counter("bearwrap_served_total", 1)
        assert found['bearwrap_handshakes_total{result="failed"}'] == 0


def test_proxy_line(wrapper: list[str]) -> None:
    with Serving(["-p1", *wrapper], ["sh", "-c", "echo $TCPREMOTEIP $TCPREMOTEPORT"]) as server:
        with server.connect() as sock:
            sock.sendall(b"PROXY TCP4 192.0.2.7 192.0.2.8 4711 443\r\n")
            with client_context().wrap_socket(sock) as tls:
                assert read_all(tls) == b"192.0.2.7 4711\n"
        assert server.accounts(1)[0]["address"] == "192.0.2.7"
        with server.connect() as sock:  # the line of a bad one is whole, and names who it was
            sock.sendall(b"PROXY TCP4 not an address\r\n")
            port = sock.getsockname()[1]
            assert closed(sock)
        line = server.accounts(2)[1]
        assert (line["address"], line["port"], line["code"]) == ("127.0.0.1", port, 100)


def test_client_certificates_and_account(certs: Certs, wrapper: list[str]) -> None:
    words = [*wrapper, "-a", str(certs.client_ca), "-u", "nobody"]
    with Serving(words, ["sh", "-c", "id -u; echo $SSL_PEER_CERT_SUBJECT"]) as server:
        context = client_context()
        context.load_cert_chain(certs.client(common_name="alice"))
        with server.tls(context) as tls:
            uid, subject = read_all(tls).decode().splitlines()
        assert int(uid) == pwd.getpwnam("nobody").pw_uid and "CN=alice" in subject
        with pytest.raises(OSError), server.tls() as tls:
            tls.sendall(b"x")
            read_all(tls)
        found = server.wait_counter("bearwrap_served_total", 2)
        assert found['bearwrap_handshakes_total{result="failed"}'] == 1
        assert sum(count for name, count in found.items() if name.startswith("bearwrap_alerts_total")) == 1


def trio(worker: int) -> tuple[int, int, int]:
    """net, key and prog of a worker whose prog is `cat`."""
    kids = children(worker)
    prog = next(pid for pid in kids if cmdline(pid) == b"cat\0")
    (key,) = [pid for pid in kids if pid != prog]
    return worker, key, prog


def test_three_jailed_processes_for_each_connection(wrapper: list[str]) -> None:
    """As under tcpserver, but the socket is one descriptor; nothing of the listener's, nor of another connection's."""
    with Serving(wrapper, options=["--workers", "3"]) as server:
        server.wait_idle(3)
        first, second = server.tls(), server.tls()
        with first, second:
            for tls in (first, second):
                tls.sendall(b"x")
                assert read_exactly(tls, 1) == b"x"
            busy = [pid for pid in server.workers() if any(cmdline(kid) == b"cat\0" for kid in children(pid))]
            assert len(busy) == 2
            trios = [trio(pid) for pid in busy]
            assert len({pid for three in trios for pid in three}) == 6
            clients = set()
            for net, key, prog in trios:
                for pid in (net, key):
                    check_process(pid, None, JAIL)
                found = [descriptors(pid) for pid in (net, key, prog)]
                assert census(found[0]) == NET_HOLDS - Counter({SOCKET: 1}), list(map(str, found[0].values()))
                assert census(found[1]) == KEY_HOLDS, list(map(str, found[1].values()))
                assert sorted(found[2]) == [0, 1, 2]
                clients.add(found[0][0].target)
                assert limits(prog) == limits(os.getpid())
                own = proc_status(prog)
                assert int(own["SigBlk"], 16) == 0
                assert not int(own["SigIgn"], 16) & ~int(proc_status(os.getpid())["SigIgn"], 16)
            assert len(clients) == 2
            supervisor = descriptors(server.pid)
            listening = {fd.target for fd in supervisor.values() if fd.kind == "socket"}
            for net, _, _ in trios:
                assert not listening & {fd.target for fd in descriptors(net).values()}
            assert not clients & listening  # the supervisor has let go of them
            assert census(supervisor)[EPOLL] == 1


def test_a_handshake_has_its_deadline_from_accept_on(wrapper: list[str]) -> None:
    """The time in which a client was silent counts."""
    with Serving(["-T", "1", *wrapper]) as server, server.connect() as sock:
        sock.settimeout(LIMIT_S)
        sock.sendall(b"\x16")
        assert closed(sock)
        line = server.accounts(1)[0]
        assert (line["end"], line["code"], line["version"]) == ("deadline", 111, "-")
