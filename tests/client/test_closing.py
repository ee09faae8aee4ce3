"""The ends of a connection: each side closes in each way it can, and nobody loses what the other had sent.

-s and -S say how prog's EOF is passed on, -j and -J how the peer's EOF without close_notify is taken.
"""

from __future__ import annotations

import contextlib
import hashlib
import random
import socket
import ssl
from pathlib import Path

import pytest

from tests.companions.tcp import in_thread
from tests.harness import Mailbox, duplex, ending, read_exactly, wait_gone
from tests.wire.names import FATAL, WARNING, Alert, Record
from tests.wire.records import Ended

from .material import Material
from .peers import IGNORE_UNEXPECTED_EOF, gnutls_server, server_context, tlswrapper
from .scripted import identity
from .server import Server
from .tlsc import Tlsc

MIB = 1 << 20
SIZE = 300_000  # more than a pipe and a ring hold together
AFTER = "s6-tlsc: fatal: the TLS engine closed the connection after the handshake: "
STYLES = [["-s"], ["-S"]]
EOFS = [["-j"], ["-J"]]
ASK = "echo question >&7; exec 7>&-; wc -c <&6; exit 7"  # prog says all it has to, then reads the answer
styles = pytest.mark.parametrize("style", STYLES, ids=lambda style: style[0])
eofs = pytest.mark.parametrize("eof", EOFS, ids=lambda eof: eof[0])


@pytest.fixture(scope="module")
def payload() -> bytes:
    """64 MiB that do not repeat; the seed makes a failure repeatable."""
    return random.Random(4).randbytes(64 * MIB)


def start(material: Material, options: list[str], prog: str, *words: object, **more: object) -> Tlsc:
    """s6-tlsc with sh for its prog; `words` are $0 and what follows."""
    command = ["sh", "-c", prog, *map(str, words)]
    env = {"CAFILE": material.path("ca")}
    return Tlsc([*options, "-k", "localhost"], command, env=env, **more)  # type: ignore[arg-type]


def scripted(run: Tlsc, material: Material) -> Server:
    """The handshake of a scripted server."""
    server = Server(run.peer, identity(material.path("p256").read_text()))
    server.handshake()
    return server


def openssl(material: Material, forgiving: bool = False) -> ssl.SSLContext:
    """OpenSSL as it is, or with SSL_OP_IGNORE_UNEXPECTED_EOF."""
    context = server_context(material.path("p256"))
    if forgiving:
        context.options |= IGNORE_UNEXPECTED_EOF
    return context


def finished(run: Tlsc, code: int, out: bytes = b"", stderr: str = "") -> None:
    """The end of a run."""
    assert run.wait() == code
    assert (run.stdout, run.stderr) == (out, stderr)
    assert run.no_process_left()


# --- prog closes 7 ---


@eofs
def test_half_close_goes_to_the_peer_as_a_bare_fin(material: Material, eof: list[str]) -> None:
    """-s: no alert; the peer's answer still comes, its close_notify is answered no more."""
    with start(material, ["-s", *eof], ASK) as run:
        server = scripted(run, material)
        assert server.read_data(9) == b"question\n"
        with pytest.raises(Ended, match="eof"):
            server.read()
        server.send_data(bytes(SIZE))
        server.send_alert(Alert.CLOSE_NOTIFY, WARNING)
        finished(run, 7, b"%d\n" % SIZE)
        assert not server.alerts


@eofs
def test_close_notify_is_sent_and_the_answer_is_read(material: Material, eof: list[str]) -> None:
    """-S."""
    with start(material, ["-S", *eof], ASK) as run:
        server = scripted(run, material)
        assert server.read_data(9) == b"question\n"
        assert server.read().kind == Record.ALERT
        assert (server.alerts[0].level, server.alerts[0].description) == (WARNING, Alert.CLOSE_NOTIFY)
        server.send_data(bytes(SIZE))
        server.send_alert(Alert.CLOSE_NOTIFY, WARNING)
        finished(run, 7, b"%d\n" % SIZE)
        assert len(server.alerts) == 1


def test_close_notify_to_openssl(material: Material) -> None:
    """-S: OpenSSL can still answer."""
    with start(material, ["-S"], ASK) as run, run.serve(openssl(material)) as tls:
        assert ending(tls) == (b"question\n", "close_notify")
        tls.sendall(bytes(SIZE))
        with contextlib.suppress(ssl.SSLError):
            tls.unwrap()
        finished(run, 7, b"%d\n" % SIZE)


def test_half_close_to_openssl(material: Material) -> None:
    """-s: OpenSSL 3 takes it for an attack, says so with an alert, and has no answer; prog's code stays."""
    with start(material, ["-s"], ASK) as run, run.serve(openssl(material)) as tls:
        assert ending(tls) == (b"question\n", "eof")
        finished(run, 7, b"0\n", AFTER + "alert decode_error received\n")


def test_half_close_to_openssl_that_forgives(material: Material) -> None:
    with start(material, ["-s"], ASK) as run, run.serve(openssl(material, forgiving=True)) as tls:
        assert ending(tls) == (b"question\n", "close_notify")
        tls.sendall(bytes(SIZE))
        with contextlib.suppress(OSError):
            tls.unwrap()
        finished(run, 7, b"%d\n" % SIZE)


@styles
@eofs
def test_gnutls(material: Material, style: list[str], eof: list[str]) -> None:
    """gnutls-serv sends back what it got, and closes when we do; a bare FIN it takes for an error of ours."""
    prog = "yes | head -c 5000 >&7; head -c 5000 <&6 | wc -c; exec 7>&-; cat <&6 | wc -c; exit 7"
    with gnutls_server(material.path("p256"), "--echo") as server:
        sock = socket.create_connection(("127.0.0.1", server.port))
        with start(material, style + eof, prog, sock=sock) as run:
            assert run.wait() == 7
            assert run.stdout == b"5000\n0\n"
            assert run.no_process_left()
            if style == ["-S"]:
                assert run.stderr == ""


@styles
@eofs
@pytest.mark.parametrize("version", ["tls12", "tls13"])
def test_our_own_server(material: Material, style: list[str], eof: list[str], version: str) -> None:
    """-s: tlswrapper's prog sees EOF and answers. -S: so it does in TLS 1.3; 1.2 answers close_notify and is silent."""
    answer = ["sh", "-c", f"cat >/dev/null; head -c {SIZE} /dev/zero"]
    with tlswrapper(material.path("p256"), answer, "-M", version) as server:
        sock = socket.create_connection(("127.0.0.1", server.port))
        with start(material, style + eof, ASK, sock=sock) as run:
            finished(run, 7, b"%d\n" % (SIZE if style == ["-s"] or version == "tls13" else 0))
        assert server.codes() == [0]


# --- the peer closes ---


@styles
@eofs
def test_close_notify_of_the_peer(material: Material, mailbox: Mailbox, style: list[str], eof: list[str]) -> None:
    """All that came before it is delivered, however slowly; it is answered, and then nothing goes either way."""
    prog = f"trap '' PIPE; read go < {mailbox.path}; wc -c <&6; echo more >&7 || echo broken; exit 7"
    with start(material, style + eof, prog) as run, run.serve(openssl(material)) as tls:

        def send() -> bytes:
            tls.sendall(bytes(SIZE))
            return ending(tls.unwrap())[0]

        sent = in_thread(send)
        with open(mailbox.path, "w") as go:
            go.write("go\n")
        assert sent() == b""
        assert run.wait() == 7
        assert run.stdout == b"%d\nbroken\n" % SIZE
        assert [line for line in run.stderr.splitlines() if line.startswith("s6-tlsc")] == []


def test_eof_of_the_peer_without_close_notify(material: Material) -> None:
    """-j: EOF on 6 after all data; what prog says then still reaches the peer."""
    prog = "wc -c <&6; head -c 80 /dev/zero >&7; exit 7"
    with start(material, ["-j"], prog) as run:
        server = scripted(run, material)
        server.send_data(bytes(SIZE))
        server.sock.shutdown(socket.SHUT_WR)
        assert server.read_data(80) == bytes(80)
        assert server.drain() == "eof"
        finished(run, 7, b"%d\n" % SIZE)


def test_eof_of_the_peer_is_a_truncation(material: Material) -> None:
    """-J: a line; prog sees EOF after all data and can say no more."""
    prog = "trap '' PIPE; wc -c <&6; read x <&6; sleep 0.1; echo more 2>/dev/null >&7 || echo broken; exit 7"
    with start(material, ["-J"], prog) as run:
        server = scripted(run, material)
        server.send_data(bytes(SIZE))
        server.sock.shutdown(socket.SHUT_WR)
        finished(run, 7, b"%d\nbroken\n" % SIZE, "s6-tlsc: fatal: remote closed connection without a close_notify\n")


def test_close_notify_and_fin_in_one_segment(material: Material) -> None:
    """-J: what came whole is no truncation, in none of many runs."""
    said = []
    for _ in range(30):
        with start(material, ["-J"], "cat <&6; exit 7") as run:
            server = scripted(run, material)
            end = server.seal(Record.ALERT, bytes([WARNING, Alert.CLOSE_NOTIFY]))
            server.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_CORK, 1)
            server.send_raw(end)
            server.sock.shutdown(socket.SHUT_WR)
            assert server.drain() == "eof"
            assert run.wait() == 7
            said.append(run.stderr)
    assert set(said) == {""}, f"{sum(map(bool, said))} of {len(said)} runs"


@eofs
def test_eof_inside_a_record(material: Material, eof: list[str]) -> None:
    with start(material, eof, "cat <&6; exit 7") as run:
        server = scripted(run, material)
        server.send_data(b"whole")
        server.send_raw(server.seal(Record.DATA, b"half")[:-3])
        server.sock.shutdown(socket.SHUT_WR)
        line = AFTER + "connection closed by the peer in the middle of a record (BR_ERR_IO)\n"
        finished(run, 7, b"whole", line)


@eofs
def test_eof_inside_a_header(material: Material, eof: list[str]) -> None:
    with start(material, eof, "cat <&6; exit 7") as run:
        server = scripted(run, material)
        server.send_data(b"whole")
        server.send_raw(server.seal(Record.DATA, b"half")[:2])
        server.sock.shutdown(socket.SHUT_WR)
        line = AFTER + "connection closed by the peer in the middle of a record (BR_ERR_IO)\n"
        finished(run, 7, b"whole", line)


@pytest.mark.parametrize("number", [Alert.INTERNAL_ERROR, Alert.UNEXPECTED_MESSAGE, Alert.BAD_RECORD_MAC])
def test_alert_of_the_peer(material: Material, number: int) -> None:
    with start(material, [], "cat <&6; exit 7") as run:
        server = scripted(run, material)
        server.send_data(b"data")
        server.send_alert(number, FATAL)
        finished(run, 7, b"data", f"{AFTER}alert {Alert(number).name.lower()} received\n")


# --- prog closes 6, both, or exits ---


@styles
def test_prog_closes_6_only(material: Material, mailbox: Mailbox, style: list[str]) -> None:
    """What the peer sends is dropped; what prog sends arrives whole."""
    prog = f"exec 6<&-; echo closed; head -c {4 * MIB} /dev/zero >&7; read go < {mailbox.path}; exit 7"
    with start(material, style, prog) as run, run.serve(openssl(material, forgiving=True)) as tls:
        assert run.wait_stdout("closed")
        assert duplex(tls, bytes(4 * MIB), 4 * MIB) == bytes(4 * MIB)
        mailbox_write(mailbox, "go")
        assert ending(tls) == (b"", "close_notify")
        finished(run, 7, b"closed\n")


@styles
def test_prog_closes_both_and_runs_on(material: Material, mailbox: Mailbox, style: list[str]) -> None:
    """The connection ends at once, also when the peer would go on; the exit code waits for prog."""
    prog = f"echo last >&7; exec 6<&- 7>&-; read go < {mailbox.path}; exit 7"
    with start(material, style, prog) as run:
        server = scripted(run, material)
        assert server.read_data(5) == b"last\n"
        assert server.drain() == "eof"
        assert [alert.description for alert in server.alerts] == ([Alert.CLOSE_NOTIFY] if style == ["-S"] else [])
        assert run.running()
        mailbox_write(mailbox, "go")
        finished(run, 7)


def mailbox_write(mailbox: Mailbox, word: str) -> None:
    with open(mailbox.path, "w") as pipe:
        pipe.write(word + "\n")


@styles
@pytest.mark.parametrize("size", [1, 50_000, 4 * MIB])
def test_what_prog_wrote_before_its_exit_arrives(material: Material, style: list[str], size: int) -> None:
    """The peer keeps the connection open, and s6-tlsc does not wait for it."""
    with start(material, style, f"head -c {size} /dev/zero >&7; exit 7") as run:
        server = scripted(run, material)
        assert server.read_data(size) == bytes(size)
        assert server.drain() == "eof"
        assert [alert.description for alert in server.alerts] == ([Alert.CLOSE_NOTIFY] if style == ["-S"] else [])
        finished(run, 7)


def test_prog_exits_at_once(material: Material) -> None:
    with start(material, [], "exit 7") as run:
        server = scripted(run, material)
        assert server.drain() == "eof"
        finished(run, 7)


@styles
def test_prog_exits_while_the_peer_floods(material: Material, style: list[str]) -> None:
    """The exit code is prog's, and it comes at once."""
    with start(material, style, "head -c 100000 <&6 >/dev/null; exit 7") as run:
        server = scripted(run, material)
        with contextlib.suppress(Ended):
            for _ in range(1000):
                server.send_data(bytes(MIB // 4))
        assert run.wait() == 7
        assert run.no_process_left()


@styles
@pytest.mark.parametrize("pause_s", [0, 0.3])
def test_what_prog_wrote_arrives_though_the_peer_floods(material: Material, style: list[str], pause_s: float) -> None:
    """A reset for what nobody reads any more must not take prog's last words out of the peer's hands.

    A peer that pauses when prog ends is waited for, one that was silent is not.
    """
    size = MIB // 2  # fits the buffers on the way, so that prog and s6-tlsc end before the peer has read any of it
    with start(material, style, f"head -c 1 <&6; head -c {size} /dev/zero >&7; echo all; exit 7") as run:
        server = scripted(run, material)
        server.send_data(b"x")
        if pause_s:
            assert run.wait_stdout("all")
            wait_gone({run.pid}, pause_s)

        def flood() -> None:
            with contextlib.suppress(Ended):
                for _ in range(400):
                    server.send_data(bytes(1 << 16))

        in_thread(flood)()
        assert server.read_data(size) == bytes(size)
        assert run.wait() == 7


def test_prog_that_has_exited_hears_nothing_of_the_peer(material: Material) -> None:
    """What OpenSSL says to the half-close of a prog that has gone concerns nobody: no line, in any of many runs."""
    context = openssl(material)
    said = []
    for _ in range(20):
        with start(material, ["-s"], "echo bye >&7; exit 7") as run, run.serve(context) as tls:
            assert ending(tls) == (b"bye\n", "eof")
            assert run.wait() == 7
            said.append(run.stderr)
    assert set(said) == {""}, f"{sum(map(bool, said))} of {len(said)} runs"


def test_a_descendant_that_holds_the_pipes(material: Material) -> None:
    """prog is dead: a daemon that it left behind keeps nobody waiting."""
    with start(material, [], "sleep 60 & echo bye >&7; exit 7") as run:
        server = scripted(run, material)
        assert server.read_data(4) == b"bye\n"
        assert run.wait(5) == 7
        assert server.drain() == "eof"


@pytest.mark.parametrize(
    ("end", "code"),
    [("exit 42", 42), ("exit 128", 128), ("exit 200", 128), ("exit 255", 128), ("kill -TERM $$", 143),
     ("kill -KILL $$", 137), ("kill -HUP $$", 129)],
)  # fmt: skip
def test_exit_codes(material: Material, end: str, code: int) -> None:
    """128 and above are 128; a signal N is 128 + N. What the peer still says does not matter."""
    with start(material, [], end) as run:
        server = scripted(run, material)
        with contextlib.suppress(Ended):
            server.send_alert(Alert.INTERNAL_ERROR, FATAL)
        assert run.wait() == code
        assert run.no_process_left()


# --- much, both ways at once ---


def digest(data: bytes) -> bytes:
    return hashlib.sha256(data).hexdigest().encode()


def source(folder: Path, data: bytes) -> Path:
    path = folder / "source"
    path.write_bytes(data)
    return path


BOTH = 'cat "$0" >&7 & sha256sum <&6; wait; exit 7'


@styles
@eofs
def test_both_ways_at_once(
    material: Material, tmp_path: Path, payload: bytes, style: list[str], eof: list[str]
) -> None:
    """64 MiB each way against OpenSSL, byte-exact."""
    up = payload[::-1] if style == ["-s"] else payload[1:]
    with start(material, style + eof, BOTH, source(tmp_path, up)) as run, run.serve(openssl(material)) as tls:
        received = duplex(tls, payload, len(up))
        assert received == up
        with contextlib.suppress(ssl.SSLError):
            tls.unwrap()
        assert run.wait() == 7
        assert run.stdout.split()[0] == digest(payload)
        assert (run.stderr, run.no_process_left()) == ("", True)


@styles
def test_both_ways_at_once_with_our_own_server(
    material: Material, tmp_path: Path, payload: bytes, style: list[str]
) -> None:
    """64 MiB each way; -s: both sides end by a half-close, each when it has said all."""
    path = source(tmp_path, payload)
    there = ["sh", "-c", 'cat "$0" & sha256sum >&2; wait', str(path)]
    prog = '(cat "$0" >&7; echo sent) & exec 7>&-; sha256sum <&6; wait; exit 7'
    if style == ["-S"]:  # our close_notify would cut the answer short: it is sent when all has come
        prog = f'cat "$0" >&7 & head -c {len(payload)} <&6 | sha256sum; wait; echo sent; exit 7'
    with tlswrapper(material.path("p256"), there) as server:
        sock = socket.create_connection(("127.0.0.1", server.port))
        with start(material, style, prog, path, sock=sock) as run:
            assert run.wait(30) == 7
            assert digest(payload) in run.stdout.split() and b"sent" in run.stdout
            assert (run.stderr, run.no_process_left()) == ("", True)
        assert server.codes() == [0]
        assert server.wait_stderr(digest(payload).decode())


def test_slow_prog(material: Material, tmp_path: Path, payload: bytes) -> None:
    """prog takes 100 bytes at a time: the peer waits, nothing is lost, and the upload is not held up."""
    data = payload[: 4 * MIB]
    prog = 'cat "$0" >&7 & dd bs=100 <&6 2>/dev/null | sha256sum; wait; exit 7'
    with start(material, ["-S"], prog, source(tmp_path, data)) as run, run.serve(openssl(material)) as tls:
        assert duplex(tls, data, len(data)) == data
        tls.unwrap()
        assert run.wait() == 7
        assert run.stdout.split()[0] == digest(data)


def test_prog_that_does_not_read_yet(material: Material, mailbox: Mailbox, payload: bytes) -> None:
    """While one direction stands still with everything full, the other one moves."""
    down, up = payload[: 16 * MIB], 8 * MIB
    prog = f"head -c {up} /dev/zero >&7; read go < {mailbox.path}; sha256sum <&6; exit 7"
    with start(material, [], prog) as run, run.serve(openssl(material)) as tls:
        tls.setblocking(False)
        sent = 0
        with contextlib.suppress(ssl.SSLWantWriteError):
            while sent < len(down):
                sent += tls.send(down[sent : sent + 65536])
        assert sent < len(down), "16 MiB found room although nobody reads"
        tls.settimeout(10)
        pending = down[sent : sent + 65536]  # OpenSSL wants the same bytes again
        assert len(duplex(tls, b"", up)) == up
        mailbox_write(mailbox, "go")
        tls.sendall(pending)
        tls.sendall(down[sent + len(pending) :])
        tls.unwrap()
        assert run.wait() == 7
        assert run.stdout.split()[0] == digest(down)


def test_slow_peer(material: Material, tmp_path: Path, payload: bytes) -> None:
    """The peer takes little at a time from a small window: prog waits, and all of it arrives."""
    data = payload[:MIB]
    with start(material, ["-S"], 'cat "$0" >&7; exit 7', source(tmp_path, data)) as run:
        run.peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 32768)
        with run.serve(openssl(material)) as tls:
            received = bytearray()
            while piece := tls.recv(1000):
                received += piece
            assert bytes(received) == data
            finished(run, 7)


def test_many_small_writes(material: Material) -> None:
    """A line at a time, each answered: nothing waits for more."""
    prog = "i=0; while [ $i -lt 500 ]; do echo $i >&7; read x <&6; [ $x = $i ] || exit 1; i=$((i+1)); done; exit 7"
    with start(material, [], prog) as run, run.serve(openssl(material, forgiving=True)) as tls:
        for number in range(500):
            line = b"%d\n" % number
            assert read_exactly(tls, len(line)) == line
            tls.sendall(line)
        assert run.wait() == 7

