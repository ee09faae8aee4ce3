"""tlswrapper-tcp: every byte arrives once, in both directions, whichever side ends first and however."""

from __future__ import annotations

import hashlib
import os
import random
import select
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.companions.tcp import SIZE, Tcp, accept, finish, host, in_thread, joined, noise, tool
from tests.harness import (
    LIMIT_S,
    Deadline,
    Program,
    ending,
    needs_root,
    read_exactly,
    require_peer,
    run_plain,
    wait_gone,
    wait_ready,
)

pytestmark = needs_root
FAMILIES = [("tcp", "tcp"), ("tcp", "tcp6"), ("tcp6", "unix"), ("unix", "tcp"), ("pipes", "tcp"), ("pipes", "unix")]


# --- half-close in every order ---


def client_first(client: socket.socket, peer: socket.socket) -> None:
    """The client has said all before the host says anything."""
    sent = in_thread(lambda: finish(client, noise(1)))
    assert ending(peer) == (noise(1), "eof")
    sent()
    answered = in_thread(lambda: finish(peer, noise(2)))
    assert ending(client) == (noise(2), "eof")
    answered()


def host_first(client: socket.socket, peer: socket.socket) -> None:
    client_first(peer, client)


def at_once(client: socket.socket, peer: socket.socket) -> None:
    """Both send, both end, both read, all at the same time."""
    senders = [in_thread(lambda: finish(client, noise(1))), in_thread(lambda: finish(peer, noise(2)))]
    reader = in_thread(lambda: ending(peer))
    assert ending(client) == (noise(2), "eof")
    assert reader() == (noise(1), "eof")
    for sender in senders:
        sender()


def client_reads_late(client: socket.socket, peer: socket.socket) -> None:
    """The host has sent all and ended, the client too, before anybody reads."""
    sender = in_thread(lambda: finish(peer, noise(2)))
    finishing = in_thread(lambda: finish(client, noise(1)))
    assert wait_ready(client)
    assert ending(peer) == (noise(1), "eof")
    finishing()
    assert ending(client) == (noise(2), "eof")
    sender()


def client_ends_at_once(client: socket.socket, peer: socket.socket) -> None:
    """Nothing but an end from the client; the host talks on."""
    client.shutdown(socket.SHUT_WR)
    assert ending(peer) == (b"", "eof")
    sender = in_thread(lambda: finish(peer, noise(2)))
    assert ending(client) == (noise(2), "eof")
    sender()


def host_ends_at_once(client: socket.socket, peer: socket.socket) -> None:
    client_ends_at_once(peer, client)


def by_turns(client: socket.socket, peer: socket.socket) -> None:
    """Pieces back and forth, then the ends."""
    for at in range(0, SIZE, 8192):
        client.sendall(noise(1)[at : at + 8192])
        assert read_exactly(peer, 8192) == noise(1)[at : at + 8192]
        peer.sendall(noise(2)[at : at + 8192])
        assert read_exactly(client, 8192) == noise(2)[at : at + 8192]
    peer.shutdown(socket.SHUT_WR)
    assert ending(client) == (b"", "eof")
    client.sendall(b"last words")
    client.shutdown(socket.SHUT_WR)
    assert ending(peer) == (b"last words", "eof")


def no_end_before_the_last_byte(client: socket.socket, peer: socket.socket) -> None:
    """An end that comes with the data still on its way waits for it."""
    sender = in_thread(lambda: finish(client, noise(1)))
    assert read_exactly(peer, 1000) == noise(1)[:1000]
    peer.sendall(noise(2))
    assert read_exactly(client, SIZE) == noise(2)
    assert ending(peer) == (noise(1)[1000:], "eof")
    sender()
    peer.shutdown(socket.SHUT_WR)
    assert ending(client) == (b"", "eof")


ORDERS = [client_first, host_first, at_once, client_reads_late, client_ends_at_once, host_ends_at_once, by_turns,
          no_end_before_the_last_byte]  # fmt: skip


@pytest.mark.parametrize("order", ORDERS, ids=lambda order: order.__name__)
@pytest.mark.parametrize("families", FAMILIES, ids="-".join)
def test_half_close(families: tuple[str, str], order: Callable[[socket.socket, socket.socket], None]) -> None:
    with joined("-vv", families=families) as (w, peer):
        order(w.client, peer)
        w.client.close()
        peer.close()
        assert w.wait() == 0
        assert w.texts("debug")[-1] == "finished"
        assert w.no_process_left()


def test_the_descriptor_of_a_pipe_ends_without_the_other(ours: Program) -> None:
    """Two real pipes: the host's end closes descriptor 1 while descriptor 0 stays open, and the other way round."""
    read_in, write_in = os.pipe()
    read_out, write_out = os.pipe()
    with host() as (listener, words), Tcp(words, stdin=read_in, stdout=write_out) as w:
        os.close(read_in)
        os.close(write_out)
        with accept(listener) as peer:
            finish(peer, b"all")
            assert os.read(read_out, 100) == b"all"
            assert os.read(read_out, 100) == b""
            os.write(write_in, b"still")
            assert peer.recv(100) == b"still"
            assert w.popen.poll() is None
            os.close(write_in)
            assert peer.recv(100) == b""
            assert w.wait() == 0
    os.close(read_out)


def test_it_stays_while_one_way_is_open(ours: Program) -> None:
    with joined() as (w, peer):
        peer.shutdown(socket.SHUT_WR)
        assert ending(w.client) == (b"", "eof")
        with pytest.raises(TimeoutError):
            w.wait(0.3)
        w.client.sendall(b"x")
        assert peer.recv(1) == b"x"


# --- much, slowly, in small pieces ---


@pytest.mark.parametrize("families", FAMILIES, ids="-".join)
def test_bulk_both_ways(ours: Program, families: tuple[str, str]) -> None:
    """24 MiB each way at the same time, one reader slow, pieces of any size."""
    parts = [noise(seed, 1 << 20) for seed in range(4)]
    total = 6

    def send(sock: socket.socket, order: list[int]) -> None:
        dice = random.Random(len(order))
        for number in order * total:
            at = 0
            while at < 1 << 20:
                step = dice.choice([1, 100, 1460, 4096, 65536, 1 << 20])
                sock.sendall(parts[number][at : at + step])
                at += step
        sock.shutdown(socket.SHUT_WR)

    def digest(sock: socket.socket, piece: int) -> str:
        seen = hashlib.sha256()
        while data := sock.recv(piece):
            seen.update(data)
        return seen.hexdigest()

    def expected(order: list[int]) -> str:
        return hashlib.sha256(b"".join(parts[number] for number in order * total)).hexdigest()

    up, down = [0, 1, 2, 3], [3, 1, 0, 2]
    with joined(families=families) as (w, peer):
        for sock in (w.client, peer):
            sock.settimeout(60)
        senders = [in_thread(lambda: send(w.client, up)), in_thread(lambda: send(peer, down))]
        reader = in_thread(lambda: digest(peer, 3000))
        assert digest(w.client, 1 << 16) == expected(down)
        assert reader() == expected(up)
        for sender in senders:
            sender()
        assert w.wait() == 0


def test_single_bytes_are_not_held_back(ours: Program) -> None:
    with joined() as (w, peer):
        peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        deadline = Deadline(20)
        for number in range(1000):
            w.client.sendall(bytes([number % 256]))
            assert peer.recv(1) == bytes([number % 256])
            peer.sendall(b"a")
            peer.sendall(b"b")
            assert read_exactly(w.client, 2) == b"ab"
        assert not deadline.over(), "1,000 round trips; a delayed acknowledgement would take 40 ms of each"


def test_many_small_pieces_at_rest(ours: Program) -> None:
    """Pieces that fill a pipe's slots long before its size: none is lost, and nothing spins meanwhile."""
    with joined() as (w, peer):
        w.client.settimeout(0.5)
        sent = 0
        with pytest.raises(TimeoutError):
            while sent < 1 << 24:
                w.client.sendall(bytes([sent % 251]))
                sent += 1
                if sent % 2000 == 0 and not wait_ready(w.client, select.POLLOUT, 0):
                    raise TimeoutError
                if sent == 200_000:
                    raise TimeoutError
        ticks = busy_ticks(w.popen.pid)
        assert not wait_ready(w.client, select.POLLIN, 0.5)
        assert busy_ticks(w.popen.pid) - ticks <= 2, "it waits"
        w.client.settimeout(LIMIT_S)
        w.client.shutdown(socket.SHUT_WR)
        assert ending(peer) == (bytes(number % 251 for number in range(sent)), "eof")


def busy_ticks(pid: int) -> int:
    """Processor time used so far, in ticks of a hundredth of a second."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])


def test_it_does_not_spin_when_a_side_is_over(ours: Program) -> None:
    """An end, a full sink and a silent host are all waited for."""
    with joined() as (w, peer):
        w.client.shutdown(socket.SHUT_WR)
        assert ending(peer) == (b"", "eof")
        peer.settimeout(0.3)
        with pytest.raises(TimeoutError):
            while True:
                peer.sendall(bytes(65536))
        ticks = busy_ticks(w.popen.pid)
        assert wait_gone([w.popen.pid], 0.5), "it runs on"
        assert busy_ticks(w.popen.pid) - ticks <= 2


# --- descriptors that are not sockets ---


@pytest.mark.parametrize("append", [False, True])
def test_files(ours: Program, tmp_path: Path, append: bool) -> None:
    """From a file to a file; one opened to append cannot be spliced to."""
    (tmp_path / "in").write_bytes(noise(1, 1 << 20))
    with open(tmp_path / "in", "rb") as source, open(tmp_path / "out", "ab" if append else "wb") as sink:
        sink.write(b"before ")
        sink.flush()
        with joined(stdin=source.fileno(), stdout=sink.fileno()) as (w, peer):
            assert ending(peer) == (noise(1, 1 << 20), "eof")
            finish(peer, noise(2))
            assert w.wait() == 0
    assert (tmp_path / "out").read_bytes() == b"before " + noise(2)


def test_a_terminal_is_given_back_as_it_was(ours: Program) -> None:
    """The flags of descriptors 0 and 1 belong to whoever shares them."""
    main, terminal = os.openpty()
    before = [os.get_blocking(fd) for fd in (main, terminal)]
    with host() as (listener, words), Tcp(words, stdin=terminal, stdout=terminal) as w, accept(listener) as peer:
        os.write(main, b"hello\n")
        assert peer.recv(100) == b"hello\n"
        assert not os.get_blocking(terminal)
        peer.sendall(b"there\n")
        os.write(main, b"\x04")
        assert peer.recv(100) == b""
        peer.close()
        assert w.wait() == 0
        assert b"there" in os.read(main, 1000)
    assert [os.get_blocking(fd) for fd in (main, terminal)] == before
    os.close(main)
    os.close(terminal)


@pytest.mark.parametrize("failure", ["EINVAL", "ENOSYS", "EINVAL:when=7+", "EINTR:when=1+3", "ENOSYS:when=2"])
def test_a_kernel_without_splice(ours: Program, failure: str) -> None:
    """The same bytes by read and write, wherever splice gives up."""
    strace = require_peer("strace")
    before = [strace, "-f", "-o", "/dev/null", "-e", "trace=splice", "-e", f"inject=splice:error={failure}"]
    with host() as (listener, words), Tcp(["-P1", *words], before=before) as w, accept(listener) as peer:
        line = peer.recv(16, socket.MSG_WAITALL)
        assert line.startswith(b"PROXY TCP4 ")
        while not line.endswith(b"\n"):
            line += peer.recv(1)
        at_once(w.client, peer)
        assert w.wait() == 0


# --- many, and by hand ---


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
