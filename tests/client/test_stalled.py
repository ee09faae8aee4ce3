"""Ends of a connection that meet: a peer that reads late, a fault while something is on its way, a last record."""

from __future__ import annotations

import contextlib
import socket
import ssl
import sys

import pytest

from tests.companions.tcp import in_thread
from tests.harness import Wrapped, require_peer
from tests.waiting import wait_gone
from tests.wire.messages import message
from tests.wire.names import WARNING, Alert, Msg, Record
from tests.wire.records import Ended

from .material import Material
from .peers import server_context
from .scripted import identity
from .server import Server
from .tlsc import Tlsc

# Fills descriptor 7, or another, until nothing more goes in for half a second, then says how much that was.
FILL = """
import os, select, sys
fd, count = int(sys.argv[1]), 0
os.set_blocking(fd, False)
while select.select([], [fd], [], 0.5)[1]:
    try:
        count += os.write(fd, bytes(4096))
    except BlockingIOError:
        pass
os.write(2, b"filled %d\\n" % count)
"""
STALL_S = 2.5  # longer than any wait of a second
SMALL = 16384  # of a socket's buffer: the ring and prog's pipe fill as well


def small_connection() -> tuple[socket.socket, socket.socket]:
    """A TCP connection over loopback that holds little: the end for the client and ours."""
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SMALL)
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        local = socket.socket()
        local.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SMALL)
        local.connect(listener.getsockname())
        peer, _ = listener.accept()
    peer.settimeout(30)
    return local, peer


def filled(text: str) -> int:
    """How much FILL wrote."""
    return int(text.split("filled ")[1].split(maxsplit=1)[0])


def read_to_end(tls: ssl.SSLSocket) -> tuple[int, bool]:
    """Bytes up to the end, and whether a close_notify ended them."""
    count = 0
    while True:
        try:
            piece = tls.recv(65536)
        except ssl.SSLError:  # an end without close_notify
            return count, False
        if not piece:
            return count, True
        count += len(piece)


@contextlib.contextmanager
def served(material: Material, options: list[str], prog: list[str]):  # type: ignore[no-untyped-def]
    local, peer = small_connection()
    with Tlsc(["-k", "localhost", *options], prog, env={"CAFILE": material.path("ca")}, sock=local) as tlsc:
        tlsc.peer = peer
        yield tlsc, tlsc.serve(server_context(material.path("p256")))


@pytest.mark.parametrize("option", ["-s", "-S"])
def test_prog_has_ended_and_the_peer_reads_late(material: Material, option: str) -> None:
    """What prog wrote is delivered however long the peer lets it lie; the exit code is prog's."""
    prog = ["sh", "-c", f"'{sys.executable}' -ISc '{FILL}' 7; exit 7"]
    with served(material, [option], prog) as (tlsc, tls):
        assert tlsc.wait_stderr("^filled")
        assert wait_gone({tlsc.pid}, STALL_S), "it left before its data were taken"
        assert read_to_end(tls) == (filled(tlsc.stderr), option == "-S")
        tls.close()
        assert tlsc.wait() == 7 and tlsc.stderr.count("\n") == 1, tlsc.stderr
        assert tlsc.no_process_left()


@pytest.mark.parametrize("option", ["-s", "-S"])
def test_prog_has_closed_and_the_peer_reads_late(material: Material, option: str) -> None:
    """The end behind the data waits for them, and the answer that comes after it is read."""
    prog = ["sh", "-c", f"'{sys.executable}' -ISc '{FILL}' 7; exec 7>&-; cat <&6"]
    with served(material, [option], prog) as (tlsc, tls):
        assert tlsc.wait_stderr("^filled")
        assert wait_gone({tlsc.pid}, STALL_S)
        assert read_to_end(tls) == (filled(tlsc.stderr), option == "-S")
        if option == "-S":
            tls.sendall(b"answer")
            assert tlsc.wait_stdout("answer")
        tls.close()
        assert tlsc.wait() == 0, tlsc.stderr
        lines = tlsc.stderr.splitlines()[1:]
        assert not lines or (option == "-s" and "alert decode_error received" in lines[0]), lines  # OpenSSL's view
        assert tlsc.no_process_left()


def test_prog_has_ended_and_the_peer_floods(material: Material) -> None:
    """A peer that sends without end and reads slowly gets all that prog wrote before it went."""
    prog = ["sh", "-c", f"'{sys.executable}' -ISc '{FILL}' 7"]
    local, peer = small_connection()
    with peer, Tlsc(["-k", "localhost"], prog, env={"CAFILE": material.path("ca")}, sock=local) as tlsc:
        server = Server(peer, identity(material.path("p256").read_text()))
        server.handshake()
        assert tlsc.wait_stderr("^filled")

        def flood() -> None:
            with contextlib.suppress(Ended, OSError):
                while True:
                    server.send_data(bytes(16384))

        join = in_thread(flood)
        want = filled(tlsc.stderr)
        while want:
            want -= len(server.read_data(min(want, 1000)))
        assert tlsc.wait() == 0
        peer.close()
        join()


def test_server_whose_client_reads_late(material: Material) -> None:
    """The wrapper on the server's side has the same duty."""
    prog = ["sh", "-c", f"'{sys.executable}' -ISc '{FILL}' 1"]
    peer, local = small_connection()  # the wrapper has the end whose sending side is small
    fd = peer.fileno()
    with peer, Wrapped(["-f", str(material.path("p256"))], prog, stdin=fd, stdout=fd) as wrapped:
        context = ssl.create_default_context(cafile=str(material.path("ca")))
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        local.settimeout(30)
        with context.wrap_socket(local, server_hostname="localhost", suppress_ragged_eofs=False) as tls:
            assert wrapped.wait_stderr("^filled")
            assert wait_gone({wrapped.popen.pid}, STALL_S)
            assert read_to_end(tls) == (filled(wrapped.stderr), True)
        assert wrapped.wait() == 0


@pytest.mark.parametrize("option", ["-s", "-S"])
def test_hello_request_behind_our_end(material: Material, option: str) -> None:
    """Nothing can be answered any more, so a wish for another handshake is passed over."""
    prog = ["sh", "-c", "exec 7>&-; cat <&6"]
    with Tlsc(["-k", "localhost", option], prog, env={"CAFILE": material.path("ca")}) as tlsc:
        server = Server(tlsc.peer, identity(material.path("p256").read_text()))
        server.handshake()
        assert server.drain() == "eof"
        alerts = [(alert.level, alert.description) for alert in server.alerts]
        assert alerts == ([(WARNING, Alert.CLOSE_NOTIFY)] if option == "-S" else [])
        server.send(Record.HANDSHAKE, message(Msg.HELLO_REQUEST, b""))
        server.send_data(b"hello")
        server.send_alert(Alert.CLOSE_NOTIFY, WARNING)
        assert tlsc.wait() == 0
        assert (tlsc.stdout, tlsc.stderr) == (b"hello", "")


def test_close_notify_is_heard_however_slow_key_is(material: Material) -> None:
    """close_notify and EOF come together, and key's word of the first comes late: -J is content (strace slows it)."""
    launcher = [require_peer("strace"), "-f", "-qq", "-o", "/dev/null", "-e", "trace=writev",
                "-e", "inject=writev:delay_enter=50000"]  # fmt: skip
    options = ["-J", "-k", "localhost"]
    with Tlsc(options, ["cat", "/dev/fd/6"], env={"CAFILE": material.path("ca")}, launcher=launcher) as tlsc:
        server = Server(tlsc.peer, identity(material.path("p256").read_text()))
        server.handshake()
        server.send_data(b"hello")
        server.send_alert(Alert.CLOSE_NOTIFY, WARNING)
        server.sock.shutdown(socket.SHUT_WR)
        assert tlsc.wait() == 0
        assert (tlsc.stdout, tlsc.stderr) == (b"hello", "")


def test_finished_that_cannot_be_sent(material: Material) -> None:
    """A reset that our Finished meets is told as such, at once (strace makes the write fail, the ninth of net)."""
    launcher = [require_peer("strace"), "-f", "-qq", "-o", "/dev/null", "-e", "trace=writev",
                "-e", "inject=writev:error=ECONNRESET:when=9"]  # fmt: skip
    with Tlsc(["-k", "localhost"], ["cat"], env={"CAFILE": material.path("ca")}, launcher=launcher) as tlsc:
        server = Server(tlsc.peer, identity(material.path("p256").read_text()))
        server.read_hello()
        server.send_flight()
        assert tlsc.wait() == 111
        assert tlsc.stderr == "s6-tlsc: fatal: unable to write to remote: Connection reset by peer\n"
        assert tlsc.no_process_left()
