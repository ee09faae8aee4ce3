"""tlswrapper-tcp: resets, sinks that fail, idle time, signals - ends that are no half-close."""

from __future__ import annotations

import os
import signal
import socket

import pytest

from tests.companions.tcp import SIZE, Tcp, accept, host, in_thread, joined, noise, send_what_goes
from tests.harness import (
    Deadline,
    Program,
    ending,
    needs_root,
    read_exactly,
    reset,
    wait_ready,
)
from tests.waiting import wait_taken

pytestmark = needs_root


# --- resets and sinks that fail ---


def test_a_client_that_resets_ends_it(ours: Program) -> None:
    with joined() as (w, peer):
        w.client.sendall(b"x")
        assert peer.recv(1) == b"x"
        reset(w.client)
        assert ending(peer)[1] == "eof"
        assert w.wait(5) == 0
        assert w.no_process_left()


def test_a_host_that_resets_ends_it(ours: Program) -> None:
    """Within a second, though the client holds its side open."""
    with joined() as (w, peer):
        peer.sendall(noise(2))
        w.client.sendall(b"x")
        assert peer.recv(1) == b"x"
        assert read_exactly(w.client, SIZE) == noise(2)
        reset(peer)
        assert ending(w.client) == (b"", "eof")
        assert w.wait(5) == 0


def test_what_a_client_sent_before_it_stopped_reading_arrives(ours: Program) -> None:
    """Descriptor 1 has no reader, the host talks on: input that is at hand is delivered, then it ends by itself."""
    read_in, write_in = os.pipe()
    read_out, write_out = os.pipe()
    with host() as (listener, words), Tcp(words, stdin=read_in, stdout=write_out) as w:
        os.close(read_in)
        os.close(write_out)
        with accept(listener) as peer:
            os.write(write_in, b"order")
            peer.sendall(b"x")
            assert os.read(read_out, 1) == b"x"
            os.close(read_out)
            peer.sendall(b"y" * 1000)
            assert ending(peer) == (b"order", "eof")
            assert w.wait(5) == 0
    os.close(write_in)


def test_an_early_answer_survives_a_long_request(ours: Program) -> None:
    """The host answers, ends and resets in the middle of an upload; the client still gets the whole answer."""
    for _ in range(5):
        with joined() as (w, peer):
            upload = in_thread(lambda: send_what_goes(w.client, 64 << 20))
            assert peer.recv(1000)
            peer.sendall(noise(2))
            wait_taken(peer)  # closing with unread bytes sends a reset and forgets what is not
            peer.close()
            assert read_exactly(w.client, SIZE) == noise(2)
            w.client.close()
            upload()
            assert w.wait(5) == 0


def test_a_full_disk(ours: Program) -> None:
    with open("/dev/full", "wb") as full, host() as (listener, words), Tcp(["-vv", *words], stdout=full.fileno()) as w:
        with accept(listener) as peer:
            peer.sendall(b"x")
            assert ending(peer) == (b"", "eof")
        assert w.wait(5) == 0
        assert any(text.startswith("write to standard output failed") for text in w.texts("debug"))


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
    with joined("-vv", "-t1") as (w, _):
        assert w.wait() == 0
        assert w.texts("debug")[-1] == "finished, timed out"


def test_a_sink_that_takes_nothing_is_idle_too(ours: Program) -> None:
    with joined("-t1") as (w, peer):
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
