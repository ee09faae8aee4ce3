"""tlswrapper -n: the clear phase, both control protocols, and that nothing crosses the switch."""

from __future__ import annotations

import contextlib
import os
import socket
import ssl
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.certs import Certs
from tests.harness import (
    Mailbox,
    Program,
    RecordClient,
    Wrapped,
    client_context,
    ending,
    needs_root,
    read_exactly,
    run_plain,
)
from tests.waiting import wait_taken

VERSIONS = (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3)
PROG = Path(__file__).with_name("clear_prog.py")
pytestmark = needs_root


def delayed(certs: Certs, how: str, *options: str, **more: object) -> Wrapped:
    prog = [sys.executable, "-I", PROG, how]
    return Wrapped(["-n", *options, "-f", certs.server("p256")], prog, **more)  # type: ignore[arg-type]


@contextlib.contextmanager
def gated(certs: Certs, script: str, family: str = "tcp") -> Iterator[tuple[Wrapped, Callable[[], object]]]:
    """A prog that waits for a byte on descriptor 3; and what sends that byte."""
    read_end, write_end = os.pipe()
    try:
        options = ["-n", "-f", certs.server("p256")]
        prog = [sys.executable, "-I", "-c", script]
        with Wrapped(options, prog, family=family, preexec=lambda: os.dup2(read_end, 3), pass_fds=(3, read_end)) as w:
            yield w, lambda: os.write(write_end, b"!")
    finally:
        os.close(read_end)
        os.close(write_end)


def line(sock: socket.socket) -> bytes:
    got = b""
    while not got.endswith(b"\n"):
        byte = sock.recv(1)
        if not byte:
            return got
        got += byte
    return got


@pytest.mark.parametrize("version", VERSIONS, ids=["tls12", "tls13"])
@pytest.mark.parametrize("how", ["byte", "text"])
def test_starttls(certs: Certs, how: str, version: ssl.TLSVersion) -> None:
    """Lines in clear, the switch, lines under TLS, prog's own exit code."""
    with delayed(certs, how) as w:
        assert line(w.client) == b"220 hello\r\n"
        w.client.sendall(b"NOOP\r\n")
        assert line(w.client) == b"clear NOOP\r\n"
        w.client.sendall(b"STARTTLS\r\n")
        assert line(w.client) == b"220 go\r\n"
        client = RecordClient(w.client, client_context(minimum=version, maximum=version))
        client.handshake()
        client.send(b"EHLO\r\n")
        assert client.read_exactly(10) == b"tls EHLO\r\n"
        w.client.shutdown(socket.SHUT_WR)
        assert client.ending() == (b"", "close_notify")
        assert w.wait() == 7
        assert w.no_process_left()


INJECTION = b"STARTTLS\r\nEVIL\r\n"


def injected(certs: Certs, how: str, pieces: list[bytes], version: ssl.TLSVersion = VERSIONS[0]) -> bytes:
    """Send the pieces, each when the one before has been taken, then shake hands: what is answered under TLS."""
    with delayed(certs, how) as w:
        assert line(w.client) == b"220 hello\r\n"
        try:
            for piece in pieces:
                w.client.sendall(piece)
                wait_taken(w.client)
            assert line(w.client) == b"220 go\r\n"
            client = RecordClient(w.client, client_context(minimum=version, maximum=version))
            client.handshake()
            client.send(b"LAST\r\n")
            return client.recv()
        except OSError:
            return b""  # clear bytes that came late are no ClientHello: the handshake failed, which is safe


@pytest.mark.parametrize("how", ["byte", "text"])
@pytest.mark.parametrize("cut", range(1, len(INJECTION) + 1))
def test_what_is_pipelined_behind_starttls_is_never_run_under_tls(certs: Certs, how: str, cut: int) -> None:
    """In one packet and in two, cut at every byte: the injected command is dropped or answered in clear."""
    pieces = [piece for piece in (INJECTION[:cut], INJECTION[cut:]) if piece]
    answer = injected(certs, how, pieces, VERSIONS[cut % 2])
    assert answer in (b"", b"tls LAST\r\n")
    assert answer or cut < len(INJECTION), "in one packet all is dropped, and the session goes on"


@pytest.mark.parametrize("how", ["byte", "text"])
@pytest.mark.parametrize("size", [1, 2, 3, 5])
def test_the_same_in_many_packets(certs: Certs, how: str, size: int) -> None:
    pieces = [INJECTION[at : at + size] for at in range(0, len(INJECTION), size)]
    assert injected(certs, how, pieces) in (b"", b"tls LAST\r\n")


CARELESS = """import os
os.write(1, b'220 hello\\r\\n')
data = os.read(0, 65536)
os.write(5, b'220 go\\r\\n'); os.close(5)
os.write(1, b'tls ' + data.partition(b'\\n')[2] + os.read(0, 100))
"""


@pytest.mark.parametrize(
    "command",
    [b"STARTTLS x y z", b"starttls\t", b" STARTTLS", b"a1  StartTLS", b"a1 STARTTLS x", b"STLS", b"STLS now",
     b"AUTH TLS", b"TLS", b"STARTTLS\0x", b"S", b"star", b"STARTTL"],
)  # fmt: skip
def test_however_it_is_spelled(certs: Certs, command: bytes) -> None:
    """A prog of the old protocol that reads as much as there is, and takes more than the plain command."""
    with Wrapped(["-n", "-f", certs.server("p256")], [sys.executable, "-I", "-c", CARELESS]) as w:
        assert line(w.client) == b"220 hello\r\n"
        w.client.sendall(command + b"\r\nEVIL\r\n")
        assert line(w.client) == b"220 go\r\n"
        client = RecordClient(w.client)
        client.handshake()
        client.send(b"EHLO\r\n")
        assert client.read_exactly(10) == b"tls EHLO\r\n"


@pytest.mark.parametrize(
    "text", [b"STARTTLSX\r\n", b"x y STARTTLS\r\n", b"TLS is\r\n", b"see s\r\n", b"STAR x\r\n", b"\r\n"]
)
def test_other_lines_are_not_held(certs: Certs, text: bytes) -> None:
    script = "import os, time\nn = b''\nwhile b'.' not in n: n += os.read(0, 65536)\nos.write(1, n)"
    with Wrapped(["-n", "-f", certs.server("p256")], [sys.executable, "-I", "-c", script]) as w:
        start = time.monotonic()
        w.client.sendall(text * 5 + b".")
        assert read_exactly(w.client, 5 * len(text) + 1) == text * 5 + b"."
        assert time.monotonic() - start < 1, "a hold takes a second"


def test_what_comes_after_starttls_was_handed_over_is_held_for_the_answer(certs: Certs) -> None:
    """A packet of its own, after prog has read STARTTLS and before it asks by the old protocol, which has no ack."""
    script = (
        "import os\n"
        "os.write(1, b'220 hello\\r\\n'); os.write(1, b'250 ' + os.read(0, 10))\n"
        "os.read(3, 1); os.write(5, b'220 go\\r\\n'); os.close(5)\n"
        "os.write(1, b'tls ' + os.read(0, 100))\n"
    )
    with gated(certs, script, family="unix") as (w, go_on):
        assert line(w.client) == b"220 hello\r\n"
        w.client.sendall(b"STARTTLS\r\n")
        assert line(w.client) == b"250 STARTTLS\r\n"
        w.client.sendall(b"EVIL\r\n")
        wait_taken(w.client)
        go_on()
        assert line(w.client) == b"220 go\r\n"
        client = RecordClient(w.client)
        client.handshake()
        client.send(b"EHLO\r\n")
        assert client.read_exactly(10) == b"tls EHLO\r\n"


def test_a_quick_client_hello_is_not_given_to_prog(certs: Certs) -> None:
    """ClientHello right behind 220, before the signal on descriptor 5 was seen: held for TLS."""
    script = (
        "import os,sys\n"
        "os.write(1, b'220 hello\\r\\n'); os.read(0, 10); os.write(1, b'220 go\\r\\n')\n"
        "os.read(3, 1); os.write(5, b'\\0'); os.read(6, 1)\n"
        "os.write(1, b'tls ' + os.read(0, 100))\n"
    )
    with gated(certs, script) as (w, go_on):
        assert line(w.client) == b"220 hello\r\n"
        w.client.sendall(b"STARTTLS\r\n")
        assert line(w.client) == b"220 go\r\n"
        client = RecordClient(w.client)
        w.client.sendall(client.client_hello())
        go_on()
        client.handshake()
        client.send(b"EHLO\r\n")
        assert client.read_exactly(10) == b"tls EHLO\r\n"


@pytest.mark.parametrize("how", ["garbage", "two", "long", "noack"])
def test_a_broken_control_protocol_ends_the_connection(certs: Certs, how: str) -> None:
    with delayed(certs, how, "-vv") as w:
        assert line(w.client) == b"220 hello\r\n"
        w.client.sendall(b"STARTTLS\r\n")
        rest, end = ending(w.client)
        assert end in ("eof", "reset") and rest in (b"", b"220 go\r\n")
        assert w.wait() in (7, 111)
        assert any("unexpected STARTTLS control signal" in text for text in w.texts("debug"))
        assert w.no_process_left()


STUCK = {
    "half a text": "os.write(5, b'220 go'); os.read(0, 1)",
    "no word at all": "os.read(0, 1)",
    "the ack is not taken": "os.write(5, b'\\0'); time.sleep(60)",
    "the ack is never waited for": "os.write(5, b'\\0'); os.close(6); os.read(0, 1)",
}


@pytest.mark.parametrize("how", STUCK)
def test_a_prog_that_gets_stuck_is_ended(certs: Certs, how: str) -> None:
    """By the idle time, or under TLS by the time of a handshake that does not come."""
    script = f"import os, time\nos.write(1, b'220 hello\\r\\n'); os.read(0, 10); {STUCK[how]}"
    with Wrapped(["-n", "-t", "1", "-T", "1", "-f", certs.server("p256")], [sys.executable, "-I", "-c", script]) as w:
        assert line(w.client) == b"220 hello\r\n"
        w.client.sendall(b"STARTTLS\r\n")
        assert ending(w.client)[0] == b""
        assert w.wait(6) in (0, 1, 111)
        assert w.no_process_left()


@pytest.mark.parametrize("closed", ["5>&-", "5>&- 6<&-", "6<&-"])
def test_control_pipes_that_are_closed_at_once(certs: Certs, closed: str) -> None:
    """Nothing is lost of a session that stays in clear, both ways and to its end."""
    with Wrapped(["-n", "-f", certs.server("p256")], ["sh", "-c", f"exec {closed}; echo early; cat"]) as w:
        assert line(w.client) == b"early\n"
        w.client.sendall(b"x" * 100_000)
        w.client.shutdown(socket.SHUT_WR)
        assert ending(w.client) == (b"x" * 100_000, "eof")
        assert w.wait() == 0
        assert w.no_process_left()


def test_a_control_pipe_that_is_closed_leaves_a_clear_session(certs: Certs) -> None:
    with delayed(certs, "close5", "-vv") as w:
        assert line(w.client) == b"220 hello\r\n"
        w.client.sendall(b"STARTTLS\r\n")
        assert line(w.client) == b"closed\r\n"
        w.client.sendall(b"NOOP\r\n")
        assert line(w.client) == b"tls NOOP\r\n"
        w.client.shutdown(socket.SHUT_WR)
        assert ending(w.client) == (b"", "eof")
        assert w.wait() == 7
        assert "control pipe closed before STARTTLS, continuing cleartext relay" in w.texts("debug")


def test_what_prog_wrote_before_it_asked_comes_out_first(certs: Certs) -> None:
    """A, then the text on 5, then B before 5 is closed: the client sees A, B, text."""
    script = "import os; os.write(1, b'A'); os.write(5, b'CTL'); os.write(1, b'B'); os.close(5); os.read(0, 1)"
    with Wrapped(["-n", "-f", certs.server("p256")], [sys.executable, "-I", "-c", script]) as w:
        assert read_exactly(w.client, 5) == b"ABCTL"


@pytest.mark.parametrize("client_first", [True, False])
def test_half_close_in_clear(certs: Certs, client_first: bool) -> None:
    """100,000 bytes each way survive a half-close from either side."""
    size = 100_000
    script = (
        "import os\nos.write(1, b'!')\n"
        + ("" if client_first else f"left={size}\nwhile left: left -= os.write(1, b'd' * left)\nos.close(1)\n")
        + "n = 0\nwhile d := os.read(0, 65536): n += len(d)\n"
        + (f"left={size}\nwhile left: left -= os.write(1, b'd' * left)\n" if client_first else "")
        + "raise SystemExit(n % 251)"
    )
    with Wrapped(["-n", "-f", certs.server("p256")], [sys.executable, "-I", "-c", script]) as w:
        assert w.client.recv(1) == b"!"
        if client_first:
            w.client.sendall(b"u" * size)
            w.client.shutdown(socket.SHUT_WR)
            assert ending(w.client) == (b"d" * size, "eof")
        else:
            assert read_exactly(w.client, size) == b"d" * size
        assert w.wait() == (size % 251 if client_first else 0)
        assert w.no_process_left()


def test_idle_and_deadline(certs: Certs) -> None:
    """-t counts in the clear phase; -T starts at the switch; prog is ended after both."""
    with delayed(certs, "byte", "-t", "1", "-T", "30") as w:
        assert line(w.client) == b"220 hello\r\n"
        assert ending(w.client) == (b"", "eof")
        assert w.wait() == 7
    with delayed(certs, "byte", "-t", "30", "-T", "1") as w:
        assert line(w.client) == b"220 hello\r\n"
        w.client.sendall(b"STARTTLS\r\n")
        assert line(w.client) == b"220 go\r\n"
        assert ending(w.client) == (b"", "eof")
        assert w.wait() == 7
        assert w.no_process_left()


@pytest.mark.parametrize("number", [5, 6])
def test_the_control_descriptors_must_be_free(ours: Program, certs: Certs, number: int) -> None:
    what = "pipe" if number == 5 else "ack pipe"
    taken = os.open("/dev/null", os.O_RDONLY)
    try:
        options = ["-n", "-f", certs.server("p256")]
        with Wrapped(options, ["true"], program=ours, preexec=lambda: os.dup2(taken, number), pass_fds=(number,)) as w:
            assert w.wait() == 111
            assert w.texts("fatal") == [
                f"unable to create control {what} on filedescriptor {number}: filedescriptor exits"
            ]
    finally:
        os.close(taken)


def test_options(ours: Program, certs: Certs) -> None:
    """-U is refused with -n; -N takes -n back."""
    pem = certs.server("p256")
    done = run_plain(["-n", "-f", pem, "-a", pem, "-U", "commonName", "true"], program=ours)
    assert done.code == 100
    assert [entry.text for entry in done.log("fatal")] == ["option -U is not compatible with -n"]
    with Wrapped(["-n", "-N", "-f", certs.server("p256")], ["cat"], program=ours) as w:
        client = RecordClient(w.client)
        client.handshake()
        client.send(b"x")
        assert client.read_exactly(1) == b"x"


def test_no_tls_facts_in_the_environment(certs: Certs) -> None:
    """prog starts before TLS: it has the addresses and no SSL_ variable, not even an inherited one."""
    facts = ("SSL_PROTOCOL", "SSL_CIPHER", "SSL_TLS_SNI_SERVERNAME", "TCPREMOTEIP", "TCPREMOTEPORT")
    script = f"import os; os.write(1, repr(sorted(k for k in os.environ if k in {facts})).encode())"
    with Wrapped(["-n", "-f", certs.server("p256")], [sys.executable, "-I", "-c", script],
                 extra_env={"SSL_CIPHER": "none", "SSL_PROTOCOL": "none"}) as w:
        assert ending(w.client) == (b"['TCPREMOTEIP', 'TCPREMOTEPORT']", "eof")


@pytest.mark.parametrize("victim", ["net", "key", "prog"])
def test_kill_9_in_the_clear_phase(certs: Certs, victim: str) -> None:
    with delayed(certs, "byte") as w:
        assert line(w.client) == b"220 hello\r\n"
        pid = getattr(w.processes(), victim)
        os.kill(pid, 9)
        assert ending(w.client)[1] in ("eof", "reset")
        w.wait()
        assert w.no_process_left(4)


def test_a_line_that_looks_like_starttls_only_delays(certs: Certs) -> None:
    """A body line ending in TLS, to a prog that does not answer: what follows it is held a second, not lost."""
    script = "import os\nn = b''\nwhile d := os.read(0, 4096): n += d\nos.write(1, n)"
    body = b"use TLS\r\nsecond line\r\nstarttls\nthird"
    with Wrapped(["-n", "-f", certs.server("p256")], [sys.executable, "-I", "-c", script]) as w:
        w.client.sendall(body)
        w.client.shutdown(socket.SHUT_WR)
        assert ending(w.client) == (body, "eof")
        assert w.wait() == 0


@pytest.mark.parametrize("closed", [0, 1])
@pytest.mark.parametrize("option", ["-n", "-N"])
def test_without_a_connection(ours: Program, certs: Certs, option: str, closed: int) -> None:
    """A descriptor that is not open is neither served nor taken for one of our own."""
    words = [option, "-f", certs.server("p256")]
    with Wrapped(words, ["sh", "-c", "echo ran >&2"], program=ours, preexec=lambda: os.close(closed)) as w:
        assert w.wait() == 111
        assert w.stderr == (
            f"tlswrapper: fatal: unable to serve the connection on descriptor {closed} (file descriptor not open)\n"
        )
        assert w.no_process_left()


def test_without_a_log(ours: Program, certs: Certs, mailbox: Mailbox) -> None:
    """A closed descriptor 2 takes all lines, prog's too; none of them reaches the client or a pipe of ours."""
    prog = ["sh", "-c", f"echo error >&2; echo $? >{mailbox.path}; cat"]
    with Wrapped(["-vvv", "-f", certs.server("p256")], prog, program=ours, preexec=lambda: os.close(2)) as w:
        client = RecordClient(w.client)
        client.handshake()
        assert mailbox.line() == "0"
        client.send(b"x")
        assert client.read_exactly(1) == b"x"
        assert w.stderr == ""
