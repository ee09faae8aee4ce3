"""Real super-servers start the wrapper: tcpserver, busybox tcpsvd, openbsd-inetd, systemd-socket-activate."""

from __future__ import annotations

import contextlib
import os
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.certs import Certs
from tests.harness import (
    Program,
    ServerProcess,
    client_context,
    ending,
    free_port,
    needs_root,
    read_exactly,
    require_peer,
    server_process,
    start_tls,
)
from tests.procs import MARK
from tests.program.busybox import busybox_with_tcpsvd

pytestmark = needs_root  # inetd switches users; the wrapper's jail needs root under each of them

Command = list[str]
Start = Callable[[Command, int, Path], contextlib.AbstractContextManager[ServerProcess]]


def tcpserver(command: Command, port: int, folder: Path) -> contextlib.AbstractContextManager[ServerProcess]:
    path = require_peer("tcpserver")
    return server_process([path, "-v", "-RHl0", "127.0.0.1", str(port), *command], port)


def tcpsvd(command: Command, port: int, folder: Path) -> contextlib.AbstractContextManager[ServerProcess]:
    path = busybox_with_tcpsvd()
    return server_process([path, "tcpsvd", "-v", "127.0.0.1", str(port), *command], port)


@contextlib.contextmanager
def inetd(command: Command, port: int, folder: Path) -> Iterator[ServerProcess]:
    """Its own configuration file on a loopback port; it writes a pid file, which is put back as it was.

    Descriptor 2 is the connection too, so a log line above the default level would be read by the client.
    """
    path = require_peer("inetd")
    config = folder / "inetd.conf"
    words = " ".join([command[0], Path(command[0]).name, *command[1:]])
    assert not any(character in words for character in "\t\n'\"")
    config.write_text(f"127.0.0.1:{port} stream tcp nowait root {words}\n")
    pid_file = Path("/run/inetd.pid")
    before = pid_file.read_bytes() if pid_file.exists() else None
    try:
        with server_process([path, "-i", "-E", str(config)], port) as server:
            yield server
    finally:
        if before is not None:
            pid_file.write_bytes(before)
        else:
            pid_file.unlink(missing_ok=True)


def systemd(command: Command, port: int, folder: Path) -> contextlib.AbstractContextManager[ServerProcess]:
    path = require_peer("systemd-socket-activate")
    argv = [path, "--inetd", "-a", "-l", f"127.0.0.1:{port}", "-E", MARK, *command]
    return server_process(argv, port)


SERVERS = {"tcpserver": tcpserver, "tcpsvd": tcpsvd, "inetd": inetd, "systemd": systemd}


@pytest.fixture(params=SERVERS)
def start(request: pytest.FixtureRequest) -> Start:
    return SERVERS[request.param]


@pytest.fixture
def script(tmp_path: Path) -> Path:
    """A prog without blanks or quotes in its command line: says who calls, then echoes, exit code 7."""
    path = tmp_path / "prog"
    path.write_text('#!/bin/sh\necho "$TCPREMOTEIP $TCPREMOTEPORT $TCPLOCALPORT"\ncat\nexit 7\n')
    path.chmod(0o755)
    return path


def connect(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), timeout=10)


def one_connection(port: int, certs: Certs, payload: bytes) -> None:
    """Verified handshake, addresses, echo, orderly end."""
    context = client_context(ca=certs.ca)
    context.check_hostname = True
    with connect(port) as plain:
        own = plain.getsockname()[1]
        with start_tls(plain, context, "localhost") as tls:
            greeting = f"127.0.0.1 {own} {port}\n".encode()
            assert read_exactly(tls, len(greeting)) == greeting
            tls.sendall(payload)
            assert read_exactly(tls, len(payload)) == payload


def test_connections(start: Start, program: Program, certs: Certs, tmp_path: Path, script: Path) -> None:
    """Several in a row, several at once; then only the super-server is left."""
    port = free_port()
    command = [str(program.path), "-f", str(certs.server("p256")), str(script)]
    with start(command, port, tmp_path) as server:
        for number in range(3):
            one_connection(port, certs, os.urandom(100_000 * number + 1))
        failures: list[BaseException] = []

        def run() -> None:
            try:
                one_connection(port, certs, os.urandom(300_000))
            except BaseException as error:
                failures.append(error)

        threads = [threading.Thread(target=run) for _ in range(5)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(20)
        assert failures == []
        assert server.no_process_left()


def test_a_failed_handshake_does_not_disturb_it(
    start: Start, program: Program, certs: Certs, tmp_path: Path, script: Path
) -> None:
    port = free_port()
    command = [str(program.path), "-f", str(certs.server("p256")), str(script)]
    with start(command, port, tmp_path) as server:
        for garbage in (b"", b"GET / HTTP/1.0\r\n\r\n", b"\x16\x03\x01\x00\x05"):
            with connect(port) as plain:
                plain.sendall(garbage)
                plain.shutdown(socket.SHUT_WR)
                ending(plain)
        one_connection(port, certs, b"still served")
        assert server.no_process_left()


def test_tcpserver_learns_the_exit_code(program: Program, certs: Certs, tmp_path: Path, script: Path) -> None:
    """`end PID status N` in its log carries the wait status: prog's code, or 111."""
    port = free_port()
    command = [str(program.path), "-f", str(certs.server("p256")), str(script)]
    with tcpserver(command, port, tmp_path) as server:
        one_connection(port, certs, b"x")
        assert server.wait_output(rf"^tcpserver: end \d+ status {7 * 256}$")
        connect(port).close()
        assert server.wait_output(rf"^tcpserver: end \d+ status {111 * 256}$")


def test_tcpservers_limit_counts_whole_connections(
    program: Program, certs: Certs, tmp_path: Path, script: Path
) -> None:
    """-c 1: the next client is served when the wrapper of the first has ended."""
    path = require_peer("tcpserver")
    port = free_port()
    command = [str(program.path), "-f", str(certs.server("p256")), str(script)]
    with server_process([path, "-RHl0", "-c1", "127.0.0.1", str(port), *command], port):
        for _ in range(3):
            one_connection(port, certs, b"x")


def test_the_script_form_under_tcpserver(ours: Program, certs: Certs, tmp_path: Path, script: Path) -> None:
    """The `python3 -I -S` form of the program does the same."""
    form = ours.path.parent.with_name("bin-script") / "tlswrapper"
    if not form.exists():
        pytest.skip("no script form beside the programs under test")
    port = free_port()
    command = [str(form), "-f", str(certs.server("p256")), str(script)]
    with tcpserver(command, port, tmp_path) as server:
        one_connection(port, certs, os.urandom(200_000))
        assert server.wait_output(rf"^tcpserver: end \d+ status {7 * 256}$")
        assert server.no_process_left()


def test_tcpservers_environment_is_believed(program: Program, certs: Certs, tmp_path: Path) -> None:
    """Its variables win over the socket, and its others (PROTO, TCPLOCALHOST) pass through."""
    path = require_peer("tcpserver")
    port = free_port()
    env = require_peer("env")
    command = [str(program.path), "-f", str(certs.server("p256")), env, "-0"]
    argv = [path, "-RHl", "name.example", "127.0.0.1", str(port), *command]
    with server_process(argv, port), connect(port) as plain, start_tls(plain) as tls:
        seen = dict(item.split("=", 1) for item in ending(tls)[0].decode().split("\0") if item)
        assert (seen["PROTO"], seen["TCPLOCALHOST"], seen["TCPREMOTEIP"]) == (
            "TCP",
            "name.example",
            "127.0.0.1",
        )
        assert "TCPREMOTEHOST" not in seen
