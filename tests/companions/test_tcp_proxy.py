"""tlswrapper-tcp: PROXY v1 in and out, alone and with HAProxy on either side; real web clients and servers."""

from __future__ import annotations

import contextlib
import http.client
import os
import re
import socket
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.certs import Certs
from tests.companions.tcp import Tcp, accept, host, joined, tool
from tests.harness import (
    LIMIT_S,
    Deadline,
    Listener,
    Program,
    ServerProcess,
    Wrapped,
    ending,
    free_port,
    needs_root,
    read_all,
    require_peer,
    server_process,
)

pytestmark = needs_root
NAMES = ("TCPREMOTEIP", "TCPREMOTEPORT", "TCPLOCALIP", "TCPLOCALPORT")
IN, OUT = "unable to receive incoming proxy-protocol v1 string", "unable to create outgoing proxy-protocol v1 string"


def env(remote: str, remote_port: str, local: str, local_port: str) -> dict[str, str]:
    return dict(zip(NAMES, (remote, remote_port, local, local_port), strict=True))


def first_line(sock: socket.socket) -> bytes:
    line = b""
    while not line.endswith(b"\n") and (byte := sock.recv(1)):
        line += byte
    return line


# --- out ---


@pytest.mark.parametrize(
    ("addresses", "line"),
    [
        (("192.0.2.1", "1", "198.51.100.2", "65535"), "TCP4 192.0.2.1 198.51.100.2 1 65535"),
        (("2001:DB8::1", "0", "::1", "2"), "TCP6 2001:db8::1 ::1 0 2"),
        (("::ffff:192.0.2.1", "1", "192.0.2.2", "2"), "TCP4 192.0.2.1 192.0.2.2 1 2"),
        (("0.0.0.0", "0", "0.0.0.0", "0"), "TCP4 0.0.0.0 0.0.0.0 0 0"),
    ],
)
def test_the_line_out(program: Program, addresses: tuple[str, ...], line: str) -> None:
    """It comes first, and everything else after it."""
    with joined("-P1", program=program, extra_env=env(*addresses)) as (w, peer):
        w.client.sendall(b"hello")
        assert first_line(peer) == f"PROXY {line}\r\n".encode()
        assert peer.recv(5) == b"hello"


@pytest.mark.parametrize("addresses", [("192.0.2.1", "1", "::1", "2"), ("::1", "1", "192.0.2.1", "2")], ids=" ".join)
def test_mixed_families_make_a_legal_line(ours: Program, addresses: tuple[str, ...]) -> None:
    """The IPv4 address is written as IPv6; the original writes a line that receivers refuse."""
    with joined("-P1", program=ours, extra_env=env(*addresses)) as (w, peer):
        mapped = ["::ffff:" + one if "." in one else one for one in addresses]
        assert first_line(peer) == "PROXY TCP6 {0} {2} {1} {3}\r\n".format(*mapped).encode()
        assert w.popen.poll() is None


@pytest.mark.parametrize("family", ["tcp", "tcp6"])
def test_the_sockets_addresses(program: Program, family: str) -> None:
    with joined("-P1", families=(family, "tcp"), program=program) as (w, peer):
        remote, local = w.client.getsockname()[:2], w.client.getpeername()[:2]
        kind = "TCP6" if family == "tcp6" else "TCP4"
        assert first_line(peer) == f"PROXY {kind} {remote[0]} {local[0]} {remote[1]} {local[1]}\r\n".encode()


def test_one_bad_variable_spoils_all_four(program: Program) -> None:
    addresses = env("192.0.2.1", "1", "198.51.100.2", "x")
    with joined("-P1", program=program, extra_env=addresses) as (w, peer):
        assert first_line(peer).startswith(b"PROXY TCP4 127.0.0.1 127.0.0.1 ")
        assert w.popen.poll() is None


@pytest.mark.parametrize("addresses", [None, env("::", "0", "::", "0")], ids=["no socket", "zero"])
def test_nothing_is_known(program: Program, addresses: dict[str, str] | None) -> None:
    """No line is made up: 100, and the host gets no byte."""
    with host() as (listener, words), Tcp(["-P1", *words], program=program, family="unix", extra_env=addresses) as w:
        with contextlib.suppress(BrokenPipeError):
            w.client.sendall(b"secret")
        with accept(listener) as peer:
            assert ending(peer)[0] == b""
        assert w.wait() == 100
        assert w.texts("fatal") == [OUT]
        assert ending(w.client)[0] == b""


# --- in ---


@pytest.mark.parametrize(
    "header",
    [b"PROXY TCP4 192.0.2.1 198.51.100.2 56324 443\r\n", b"PROXY TCP6 2001:db8::1 ::1 1 2\n",
     b"PROXY TCP4 0.0.0.0 0.0.0.0 0 0\r\n"],
    ids=repr,
)
def test_in_and_out(program: Program, header: bytes) -> None:
    """What came in goes out, whatever the environment says, and stands in the log; what follows is untouched."""
    with host() as (listener, words), Tcp(
        ["-vp1", "-P1", *words], program=program, extra_env=env("203.0.113.9", "9", "203.0.113.8", "8")
    ) as w:
        w.client.sendall(header + b"PROXY TCP4 1.2.3.4 5.6.7.8 9 10\r\n\0\xff")
        w.client.shutdown(socket.SHUT_WR)
        with accept(listener) as peer:
            assert ending(peer)[0] == header.rstrip() + b"\r\nPROXY TCP4 1.2.3.4 5.6.7.8 9 10\r\n\0\xff"
        assert w.wait() == 0
        assert {line.ip for line in w.log("info")} == {header.split()[2].decode()}


def test_in_alone(program: Program) -> None:
    """The line is taken off; unknown addresses do no harm."""
    with host() as (listener, words), Tcp(["-p1", *words], program=program) as w:
        for byte in b"PROXY UNKNOWN whatever\r\nrest":
            w.client.sendall(bytes([byte]))
        with accept(listener) as peer:
            assert peer.recv(4, socket.MSG_WAITALL) == b"rest"


def test_unknown_in_has_no_line_out(program: Program) -> None:
    with host() as (listener, words), Tcp(["-p1", "-P1", *words], program=program) as w:
        w.client.sendall(b"PROXY UNKNOWN\r\nsecret")
        with accept(listener) as peer:
            assert ending(peer)[0] == b""
        assert (w.wait(), w.texts("fatal")) == (100, [OUT])


def quoted(text: str, header: bytes) -> str:
    return text.replace("%s", header.decode().replace("\r", r"\r").replace("\n", r"\n"))


BAD = [
    (b"GET / HTTP/1.0\r\n", "unable to parse proxy-protocol string '%s'"),
    (b"PROXY TCP4 ::1 198.51.100.2 1 2\r\n", "unable to parse remoteip from proxy-protocol string '%s'"),
    (b"PROXY TCP4 192.0.2.1 198.51.100.2 1 65536\r\n", "unable to parse localport from proxy-protocol string '%s'"),
    (b"PROXY UNKNOWN".ljust(127, b"x") + b"\n", "unable to read proxy-protocol string, no CRLF"),
]


@pytest.mark.parametrize(("header", "text"), BAD, ids=lambda value: repr(value)[:30])
@pytest.mark.parametrize("family", ["tcp", "unix"])
def test_a_bad_line_in(ours: Program, header: bytes, text: str, family: str) -> None:
    """100. A TCP host has not been connected to; a Unix socket has, but gets no byte."""
    with host(family) as (listener, words), Tcp(["-vp1", *words], program=ours) as w:
        w.client.sendall(header)
        assert w.wait() == 100
        assert ending(w.client)[0] == b""
        assert [(line.level, line.text) for line in w.log()] == [("error", quoted(text, header)), ("fatal", IN)]
        listener.settimeout(0)
        if family == "unix":
            assert ending(accept(listener))[0] == b""
        else:
            with pytest.raises(BlockingIOError):
                listener.accept()


@pytest.mark.parametrize(("header", "text"), BAD[:3], ids=lambda value: repr(value)[:30])
def test_a_bad_line_in_of_both(program: Program, header: bytes, text: str) -> None:
    with host() as (_, words), Tcp(["-vp1", *words], program=program) as w:
        w.client.sendall(header)
        assert (w.wait(), w.texts("fatal"), w.texts("error")) == (100, [IN], [quoted(text, header)])


@pytest.mark.parametrize("sent", [b"", b"PROXY TCP4 192.0.2.1"], ids=repr)
def test_an_early_end(program: Program, sent: bytes) -> None:
    with host() as (_, words), Tcp(["-p1", *words], program=program) as w:
        w.client.sendall(sent)
        w.client.shutdown(socket.SHUT_WR)
        assert (w.wait(), w.texts()) == (100, [IN])


def test_the_deadline_covers_the_line_in(ours: Program) -> None:
    deadline = Deadline(2)
    with host() as (_, words), Tcp(["-vp1", "-T1", *words], program=ours) as w:
        w.client.sendall(b"PROXY TCP4 192.0")
        assert w.wait() == 100
        assert not deadline.over()
        assert [(line.text, line.errno) for line in w.log()] == [
            ("unable to read proxy-protocol string", "timed out"), (IN, None)]  # fmt: skip


def test_sigterm_while_the_line_is_awaited(ours: Program) -> None:
    with host() as (_, words), Tcp(["-vvp1", *words], program=ours) as w:
        assert w.wait_stderr("debug: 127.0.0.1: 127.0.0.1")
        w.signal(15)
        assert w.wait(5) == 0


# --- HAProxy ---


@contextmanager
def haproxy(folder: Path, text: str, port: int) -> Iterator[ServerProcess]:
    """A real HAProxy with these sections behind the defaults."""
    program = require_peer("haproxy")
    configuration = folder / "haproxy.cfg"
    limits = "".join(f"    timeout {what} 10s\n" for what in ("connect", "client", "server"))
    configuration.write_text(f"defaults\n{limits}{text}")
    with server_process([program, "-db", "-q", "-f", configuration], port) as server:
        yield server


def addresses_by_http(sock: socket.socket) -> str:
    """What the server at the other end answers to a request."""
    sock.sendall(b"GET / HTTP/1.0\r\n\r\n")
    answer = read_all(sock)
    assert answer.split()[1] == b"200", answer
    return answer.partition(b"\r\n\r\n")[2].decode()


TELLS_ADDRESSES = """
frontend web
    mode http
    bind {where} accept-proxy
    http-request return status 200 content-type text/plain lf-string "%[src] %[src_port] %[dst] %[dst_port]"
"""


@pytest.mark.parametrize(
    "addresses",
    [("192.0.2.1", "56324", "198.51.100.2", "443"), ("2001:db8::1", "1", "2001:db8::2", "65535"),
     ("192.0.2.1", "1", "2001:db8::2", "2"), ("2001:db8::1", "1", "198.51.100.2", "2")],
    ids=" ".join,
)  # fmt: skip
def test_haproxy_takes_our_line(ours: Program, tmp_path: Path, addresses: tuple[str, ...]) -> None:
    """accept-proxy: the addresses arrive; of mixed families as IPv6, which older originals could not say at all."""
    port = free_port()
    with (
        haproxy(tmp_path, TELLS_ADDRESSES.format(where=f"127.0.0.1:{port}"), port),
        Tcp(["-P1", "127.0.0.1", port], program=ours, extra_env=env(*addresses)) as w,
    ):
        seen = addresses_by_http(w.client).replace("::ffff:", "").split()
        assert seen == list(addresses)
        w.client.close()
        assert w.wait() == 0


def test_haproxy_over_a_unix_socket(ours: Program, tmp_path: Path) -> None:
    port = free_port()
    with host("unix") as (listener, words):
        listener.close()
        path = words[0].removeprefix("unix:")
        os.unlink(path)
        text = TELLS_ADDRESSES.format(where=f"{path} mode 666") + f"    bind 127.0.0.1:{port}\n"
        addresses = env("192.0.2.1", "5", "198.51.100.2", "443")
        with haproxy(tmp_path, text, port), Tcp(["-P1", *words], program=ours, extra_env=addresses) as w:
            assert addresses_by_http(w.client) == "192.0.2.1 5 198.51.100.2 443"
            w.client.close()
            assert w.wait() == 0
        Path(path).touch()


def sends_proxy(front: int, back: int) -> str:
    return f"\nlisten front\n    mode tcp\n    bind 127.0.0.1:{front}\n    server back 127.0.0.1:{back} send-proxy\n"


def test_behind_haproxy(ours: Program, tmp_path: Path) -> None:
    """send-proxy in front, and a second HAProxy behind: the client's own address arrives at the far end."""
    front, far = free_port(), free_port()
    with Listener([tool(ours), "-p1", "-P1", "127.0.0.1", str(far)]) as relay:
        text = sends_proxy(front, relay.port) + TELLS_ADDRESSES.format(where=f"127.0.0.1:{far}")
        with haproxy(tmp_path, text, front), socket.create_connection(("127.0.0.1", front), LIMIT_S) as client:
            own = client.getsockname()
            assert addresses_by_http(client) == f"127.0.0.1 {own[1]} 127.0.0.1 {front}"
        assert relay.codes() == [0]


def test_the_wrapper_behind_haproxy(ours: Program, tmp_path: Path, certs: Certs) -> None:
    """send-proxy in front of `tlswrapper -p1`: the environment has the client's address, unchanged."""
    front = free_port()
    with Listener([ours.path, "-p1", "-f", certs.server("p256"), "env"]) as wrapper:
        with haproxy(tmp_path, sends_proxy(front, wrapper.port), front):
            done = curl("--insecure", "--http0.9", f"https://127.0.0.1:{front}/", check=False)
        wanted = {f"{name}=127.0.0.1" for name in ("TCPREMOTEIP", "TCPLOCALIP")} | {f"TCPLOCALPORT={front}"}
        lines = set(done.stdout.decode().splitlines())
        assert wanted <= lines
        assert any(re.fullmatch(r"TCPREMOTEPORT=\d+", line) for line in lines)
        assert wrapper.codes() == [0]


# --- web clients and servers ---


def curl(*words: str, check: bool = True) -> subprocess.CompletedProcess[bytes]:
    command = [require_peer("curl"), "-sS", "--max-time", str(LIMIT_S), "--noproxy", "*", *words]
    return subprocess.run(command, capture_output=True, check=check)


@contextmanager
def httpd(folder: Path) -> Iterator[int]:
    """busybox httpd on a port of its own, with a file of 3 MiB."""
    busybox, port = require_peer("busybox"), free_port()
    (folder / "www").mkdir()
    (folder / "www" / "file").write_bytes(bytes(range(256)) * 12288)
    with server_process([busybox, "httpd", "-f", "-p", f"127.0.0.1:{port}", "-h", folder / "www"], port):
        yield port


def fetched(folder: Path, done: subprocess.CompletedProcess[bytes]) -> bool:
    return done.stdout == (folder / "www" / "file").read_bytes()


def test_curl_through_the_relay_to_httpd(program: Program, tmp_path: Path) -> None:
    with httpd(tmp_path) as port, Listener([tool(program), "localhost", str(port)]) as relay:
        for _ in range(3):
            assert fetched(tmp_path, curl(f"http://127.0.0.1:{relay.port}/file"))
        assert relay.codes() == [0, 0, 0]


@pytest.mark.parametrize("options", [[], ["-t5", "-T5"], ["-j", "nobody"]], ids=" ".join)
def test_https_to_http(ours: Program, tmp_path: Path, certs: Certs, options: Sequence[str]) -> None:
    """`tlswrapper ... tlswrapper-tcp host port`: TLS for a server that has none."""
    with httpd(tmp_path) as port:
        command = [ours.path, "-v", "-f", certs.server("p256"), tool(ours), "-v", *options, "127.0.0.1", str(port)]
        with Listener(command) as relay:
            assert fetched(tmp_path, curl("--insecure", f"https://127.0.0.1:{relay.port}/file"))
            assert relay.codes() == [0]
            assert len(set(re.findall(r"\[(\w+)\]$", relay.stderr, re.M))) == 1, "one identifier for both"
            assert relay.stderr.count("127.0.0.1: connected to") == 1
            assert not relay.living()


def test_https_to_http_tells_the_clients_address(ours: Program, tmp_path: Path, certs: Certs) -> None:
    """-P1 behind the wrapper, which hands the addresses over in the environment."""
    port = free_port()
    command = [ours.path, "-f", certs.server("p256"), tool(ours), "-P1", "127.0.0.1", str(port)]
    with haproxy(tmp_path, TELLS_ADDRESSES.format(where=f"127.0.0.1:{port}"), port), Listener(command) as relay:
        done = curl("--insecure", "-w", "\n%{local_ip} %{local_port}", f"https://127.0.0.1:{relay.port}/")
        body, own = done.stdout.decode().splitlines()
        assert body == f"{own} 127.0.0.1 {relay.port}"


def test_a_keep_alive_connection(ours: Program, tmp_path: Path) -> None:
    """Many requests on one connection."""
    port = free_port()
    text = TELLS_ADDRESSES.format(where=f"127.0.0.1:{port}").replace(" accept-proxy", "")
    with haproxy(tmp_path, text, port), Listener([tool(ours), "127.0.0.1", str(port)]) as relay:
        web = http.client.HTTPConnection("127.0.0.1", relay.port, timeout=LIMIT_S)
        for _ in range(50):
            web.request("GET", "/")
            answer = web.getresponse()
            assert (answer.status, answer.read().split()[0]) == (200, b"127.0.0.1")
        web.close()
        assert relay.codes() == [0]


def test_the_wrapper_reports_a_host_that_is_not_there(ours: Program, certs: Certs) -> None:
    """Exit code and fatal line come through the wrapper."""
    options = ["-f", certs.server("p256")]
    with Wrapped(options, [tool(ours), "127.0.0.1", "1"], program=ours) as w:
        assert ending(w.tls()) == (b"", "close_notify")
        assert w.wait() == 111
        (line,) = w.log("fatal")
        assert (line.tool, line.text) == ("tlswrapper-tcp", "unable to connect to 127.0.0.1:1")
        assert w.no_process_left()


def test_the_wrapper_without_rights(ours: Program, certs: Certs) -> None:
    """Below `tlswrapper -u account` there is no root for the jail."""
    with Wrapped(["-u", "nobody", "-f", certs.server("p256")], [tool(ours), "localhost", "1"], program=ours) as w:
        assert ending(w.tls()) == (b"", "close_notify")
        assert w.wait(5) == 111
        assert w.texts("fatal") == ["unable to create jail: not started as root"]
