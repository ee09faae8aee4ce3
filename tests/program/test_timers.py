"""-t, the idle time, and -T, the deadline of the handshake."""

from __future__ import annotations

import os
import select
import time

import pytest

from tests.certs import Certs
from tests.harness import Mailbox, Program, RecordClient, Wrapped, ending, wait_ready


class Clock:
    """Seconds since it was made."""

    def __init__(self) -> None:
        self._start = time.monotonic()

    def between(self, low: float, high: float) -> bool:
        return low <= time.monotonic() - self._start <= high


def quiet_for(w: Wrapped, seconds: float) -> bool:
    """True when nothing came from the wrapper for so long: the pace of a slow client."""
    return not wait_ready(w.client, select.POLLIN, seconds)


# --- -T ---


def test_a_silent_client_is_cut_at_the_deadline(program: Program, certs: Certs, mailbox: Mailbox) -> None:
    """No byte, no alert, no prog, no line."""
    prog = ["sh", "-c", f"echo ran > {mailbox.path}"]
    clock = Clock()
    with Wrapped(["-T1", "-t30", "-f", certs.server("p256")], prog, program=program) as w:
        assert ending(w.client) == (b"", "eof")
        assert w.wait() == 111
        assert clock.between(0.9, 1.9)
        assert w.no_process_left()
        assert w.stderr == ""
    assert mailbox.empty()


@pytest.mark.parametrize("step", ["drip of a hello", "hello, then silence", "drip of the second flight"])
def test_bytes_do_not_extend_the_deadline(ours: Program, certs: Certs, mailbox: Mailbox, step: str) -> None:
    """What comes is the server's flight at most: the socket is closed without an alert."""
    prog = ["sh", "-c", f"echo ran > {mailbox.path}"]
    clock = Clock()
    with Wrapped(["-T1", "-t30", "-f", certs.server("p256")], prog, program=ours) as w:
        client = RecordClient(w.client)
        drip = client.client_hello()
        if step != "drip of a hello":
            w.client.sendall(drip)
            drip = client.next_flight() if step.startswith("drip") else b""
        for byte in drip:
            if not quiet_for(w, 0.1) or not clock.between(0, 3):
                break
            w.client.sendall(bytes([byte]))
        raw, _ = ending(w.client)
        assert b"\x15\x03" not in raw, "no alert record"
        assert w.wait() == 111
        assert clock.between(0.9, 1.9)
        assert w.no_process_left()
    assert mailbox.empty()


def test_the_deadline_ends_with_the_handshake(program: Program, certs: Certs) -> None:
    with Wrapped(["-T1", "-f", certs.server("p256")], ["cat"], program=program) as w:
        client = RecordClient(w.client)
        client.handshake()
        assert quiet_for(w, 1.3)
        client.send(b"still here")
        assert client.read_exactly(10) == b"still here"


def test_the_idle_time_does_not_cut_a_handshake(ours: Program, certs: Certs) -> None:
    """-t counts from the end of the handshake; before, only -T does."""
    with Wrapped(["-t1", "-T10", "-f", certs.server("p256")], ["cat"], program=ours) as w:
        client = RecordClient(w.client)
        hello = client.client_hello()
        w.client.sendall(hello[:10])
        assert quiet_for(w, 1.3)
        w.client.sendall(hello[10:])
        client.handshake()
        client.send(b"x")
        assert client.recv() == b"x"


# --- -t ---


def test_an_idle_connection_is_closed_in_order(ours: Program, certs: Certs) -> None:
    """close_notify, EOF for prog, prog's own code."""
    clock = Clock()
    with Wrapped(["-t1", "-f", certs.server("p256")], ["sh", "-c", "cat; exit 5"], program=ours) as w:
        client = RecordClient(w.client)
        client.handshake()
        assert client.ending() == (b"", "close_notify")
        assert w.client.recv(1) == b""
        assert w.wait() == 5
        assert clock.between(0.9, 1.9)
        assert w.no_process_left()
        assert w.stderr == ""


def test_an_idle_connection_is_closed(program: Program, certs: Certs) -> None:
    """What both do: the end after -t, and prog's code."""
    clock = Clock()
    with Wrapped(["-t1", "-f", certs.server("p256")], ["sh", "-c", "cat; exit 5"], program=program) as w:
        w_tls = w.tls()
        assert ending(w_tls)[0] == b""
        assert w.wait() == 5
        assert clock.between(0.9, 1.9)


def test_output_keeps_it_alive(program: Program, certs: Certs) -> None:
    script = "for i in 1 2 3 4 5; do sleep 0.4; echo $i; done"
    with Wrapped(["-t1", "-f", certs.server("p256")], ["sh", "-c", script], program=program) as w:
        with w.tls() as tls:
            assert ending(tls) == (b"1\n2\n3\n4\n5\n", "close_notify")
        assert w.wait() == 0


def test_input_keeps_it_alive(program: Program, certs: Certs, mailbox: Mailbox) -> None:
    with Wrapped(
        ["-t1", "-f", certs.server("p256")], ["sh", "-c", f"cat > {mailbox.path}"], program=program
    ) as w:
        client = RecordClient(w.client)
        client.handshake()
        for number in range(5):
            assert quiet_for(w, 0.4)
            client.send(b"%d\n" % number)
            assert mailbox.line() == str(number)


def test_a_client_that_stops_reading_is_idle(ours: Program, certs: Certs) -> None:
    """prog blocks, nothing moves: the end after -t, although there is much to send."""
    with Wrapped(["-t1", "-f", certs.server("p256")], ["yes"], program=ours) as w:
        client = RecordClient(w.client)
        client.handshake()
        client.recv(1)
        clock = Clock()
        assert w.wait() == 111
        assert clock.between(0.9, 4.5)
        assert w.no_process_left()


def test_a_prog_that_stops_reading_is_idle(ours: Program, certs: Certs) -> None:
    """The other direction: the client's bytes pile up and nothing moves."""
    with Wrapped(["-t1", "-f", certs.server("p256")], ["sleep", "30"], program=ours) as w:
        client = RecordClient(w.client)
        client.handshake()
        clock = Clock()
        w.client.settimeout(0.2)
        data = os.urandom(16384)
        try:
            while clock.between(0, 5):
                client.send(data)
        except OSError:
            pass  # full, or closed
        assert w.wait() == 111
        assert clock.between(0.9, 4.5)
        assert w.no_process_left()


def test_the_wrapper_never_dies_by_its_own_alarm(ours: Program, certs: Certs) -> None:
    """The original ends by SIGALRM here and leaves prog behind."""
    with Wrapped(
        ["-t1", "-f", certs.server("p256")], ["sh", "-c", "trap '' TERM; exec sleep 60"], program=ours
    ) as w:
        client = RecordClient(w.client)
        client.handshake()
        assert client.ending() == (b"", "close_notify")
        assert w.wait() == 111
        assert w.texts("fatal") == ["child process killed by signal 9"]
        assert w.no_process_left()


@pytest.mark.parametrize("option", ["-t1", "-t86400"])
def test_options_take_the_last(program: Program, certs: Certs, option: str) -> None:
    options = ["-t1" if option != "-t1" else "-t86400", option, "-f", certs.server("p256")]
    with Wrapped(options, ["cat"], program=program) as w:
        client = RecordClient(w.client)
        client.handshake()
        assert quiet_for(w, 1.5) == (option != "-t1")
