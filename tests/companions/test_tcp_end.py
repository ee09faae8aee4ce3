"""tlswrapper-tcp: idle time, signals, many at once."""

from __future__ import annotations

import hashlib
import random
import signal
import socket

import pytest

from tests.companions.tcp import Tcp, accept, host, in_thread, tool
from tests.companions.test_tcp_relay import joined, send_what_goes
from tests.harness import (
    Deadline,
    Program,
    ending,
    needs_root,
    run_plain,
    wait_ready,
)

pytestmark = needs_root
SIZE = 131_072
FAMILIES = [("tcp", "tcp"), ("tcp", "tcp6"), ("tcp6", "unix"), ("unix", "tcp"), ("pipes", "tcp"), ("pipes", "unix")]


def noise(seed: int, size: int = SIZE) -> bytes:
    return random.Random(seed).randbytes(size)


def finish(sock: socket.socket, data: bytes) -> None:
    sock.sendall(data)
    sock.shutdown(socket.SHUT_WR)


# --- time and signals ---


def test_idle(program: Program) -> None:
    """-t without a byte ends it, with 0; a byte either way begins the time anew."""
    with host() as (listener, words), Tcp(["-t1", *words], program=program) as w, accept(listener) as peer:
        early, late = Deadline(1.5), Deadline(3.5)
        assert not wait_ready(peer, limit_s=0.6)
        w.client.sendall(b"x")
        assert peer.recv(1) == b"x"
        assert not wait_ready(w.client, limit_s=0.6)
        peer.sendall(b"y")
        assert w.client.recv(1) == b"y"
        assert ending(peer) == (b"", "eof")
        assert ending(w.client) == (b"", "eof")
        assert w.wait() == 0
        assert early.over()
        assert not late.over()
        assert w.no_process_left()


def test_idle_is_told(ours: Program) -> None:
    with joined(("tcp", "tcp"), "-vv", "-t1") as (w, _):
        assert w.wait() == 0
        assert w.texts("debug")[-1] == "finished, timed out"


def test_a_sink_that_takes_nothing_is_idle_too(ours: Program) -> None:
    with joined(("tcp", "tcp"), "-t1") as (w, peer):
        sender = in_thread(lambda: send_what_goes(peer, 64 << 20))
        assert w.wait(5) == 0
        sender()


@pytest.mark.parametrize("busy", [False, True])
def test_sigterm(program: Program, busy: bool) -> None:
    with host() as (listener, words), Tcp(["-vv", *words], program=program) as w, accept(listener) as peer:
        w.client.sendall(b"x")
        assert peer.recv(1) == b"x", "the original is killed before its relay runs"
        if busy:
            work = [in_thread(lambda: send_what_goes(w.client, 1 << 40)), in_thread(lambda: swallow(peer))]
            assert w.popen.poll() is None
        w.signal(signal.SIGTERM)
        assert w.wait(5) == 0
        assert w.no_process_left()
        if program.ours:
            assert w.texts("debug")[-1] == "signal received, tcp forwarding interrupted"
        if busy:
            for one in work:
                one()


def swallow(sock: socket.socket) -> None:
    buffer = bytearray(1 << 20)
    try:
        while sock.recv_into(buffer):
            pass
    except OSError:
        return


def test_kill_9(program: Program) -> None:
    with host() as (listener, words), Tcp(words, program=program) as w, accept(listener) as peer:
        w.client.sendall(b"x")
        assert peer.recv(1) == b"x"
        w.signal(signal.SIGKILL)
        assert w.wait() == -9
        assert ending(peer) == (b"", "eof")
        assert ending(w.client) == (b"", "eof")
        assert w.no_process_left()


def test_blocked_signals_of_the_caller_do_not_matter(ours: Program) -> None:
    """SIGTERM blocked and SIGPIPE and SIGCHLD ignored on entry: as otherwise."""

    def spoil() -> None:
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)

    with (
        host() as (listener, words),
        Tcp(["localhost", words[1]], program=ours, preexec=spoil) as w,
        accept(listener) as peer,
    ):
        w.client.sendall(b"x")
        assert peer.recv(1) == b"x"
        w.signal(signal.SIGTERM)
        assert w.wait(5) == 0


def test_a_hundred_at_once(ours: Program) -> None:
    """Each its own megabyte, byte-exact, and no process left."""
    with host() as (listener, words):
        listener.listen(128)
        runs = [Tcp(words, program=ours) for _ in range(100)]
        try:
            senders = [in_thread(lambda w=w, n=n: finish(w.client, noise(n, 1 << 18))) for n, w in enumerate(runs)]  # type: ignore[misc]
            seen = set()
            for _ in runs:
                with accept(listener) as peer:
                    data, end = ending(peer)
                    assert (len(data), end) == (1 << 18, "eof")
                    seen.add(hashlib.sha256(data).digest())
            for sender in senders:
                sender()
            assert seen == {hashlib.sha256(noise(n, 1 << 18)).digest() for n in range(100)}
            for w in runs:
                assert w.wait() == 0
                assert w.no_process_left()
        finally:
            for w in runs:
                w.close()


def test_started_by_hand(ours: Program) -> None:
    """`echo hello | tlswrapper-tcp host port`: pipes, and the whole answer before the end."""
    with host() as (listener, words):

        def echo() -> None:
            with accept(listener) as peer:
                finish(peer, ending(peer)[0])

        server = in_thread(echo)
        done = run_plain(words, executable=tool(ours), stdin=noise(1))
        assert (done.code, done.stdout, done.stderr) == (0, noise(1), "")
        server()
