"""tlswrapper-smtp: STARTTLS on descriptors 5 and 6, and that nothing said in clear counts under TLS.

The control protocol is driven by hand first, where every order of events can be made; then by a real tlswrapper -n.
"""

from __future__ import annotations

import os
import select
import signal
import socket
import ssl
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.certs import Certs
from tests.companions.smtpwire import ADDRESSES, MARK, Control, Session, server
from tests.harness import (
    LIMIT_S,
    THEIRS,
    Program,
    Wrapped,
    client_context,
    needs_root,
    require_program,
    run_plain,
    wait_ready,
)

pytestmark = needs_root

READY = b"220 ready to start TLS (#2.0.0)" + MARK
EHLO, OFFER = b"250-me\r\n250 8BITMIME\r\n", b"250-me\r\n250-8BITMIME\r\n250 STARTTLS\r\n"
NO_ACK = "unable to receive valid STARTTLS acknowledgement on control fd 6"
INJECTED = b"NOOP 1\r\nMAIL FROM:<evil@x>\r\nRCPT TO:<evil@y>\r\nDATA\r\n.\r\nNOOP half"


@pytest.fixture
def session(tmp_path: Path, ours: Program) -> Iterator[Session]:
    """A session whose control pipes the test holds, after the greeting."""
    with Session(tmp_path, ["-vv", "-T", "3"], program=ours, control=Control()) as s:
        assert s.reply() == b"220 hello" + MARK
        yield s


def control_of(s: Session) -> Control:
    assert s.control is not None
    return s.control


def test_the_protocol(session: Session) -> None:
    s, control = session, control_of(session)
    assert s.ask(b"EHLO x") == OFFER
    assert s.ask(b"MAIL FROM:<a@b>") == b"250 ok" + MARK
    assert s.ask(b"STARTTLS") == READY
    assert control.read_signal() == b"\0"
    assert not wait_ready(s.client, limit_s=0.1), "nothing is said before the ack"
    assert b"RSET\r\n" not in s.record()
    control.acknowledge()
    assert s.ask(b"EHLO y") == EHLO
    assert s.ask(b"STARTTLS") == b"502 unimplemented (#5.5.1)" + MARK
    assert s.ask(b"DATA") == b"354 go" + MARK
    assert s.ask(b".") == b"250 queued" + MARK
    assert s.ask(b"QUIT") == b"221 bye" + MARK
    assert s.wait() == 7
    before, after = [b"EHLO x\r\n", b"MAIL FROM:<a@b>\r\n"], [b"EHLO y\r\n", b"DATA\r\n", b"  .\r\n", b"QUIT\r\n"]
    assert s.record() == [*before, b"RSET\r\n", *after]
    assert s.texts("info") == ["F= T=: 250 queued [ID]\\r\\n"], "the envelope is forgotten"
    assert s.no_process_left()


def test_starttls_before_anything_else(session: Session) -> None:
    assert session.ask(b"starttls please") == READY
    assert control_of(session).read_signal() == b"\0"
    control_of(session).acknowledge()
    assert session.ask(b"EHLO y") == EHLO


def test_without_starttls_the_control_pipe_is_closed_at_the_end(session: Session) -> None:
    assert session.ask(b"QUIT") == b"221 bye" + MARK
    assert control_of(session).read_signal() == b""
    assert session.wait() == 7


@pytest.mark.parametrize("ack", [b"\1", b"x", b""])
def test_a_bad_ack(session: Session, ack: bytes) -> None:
    assert session.ask(b"STARTTLS") == READY
    assert control_of(session).read_signal() == b"\0"
    control_of(session).acknowledge(ack)
    assert session.rest() == b""
    assert session.wait() == 111
    assert [(line.text, line.errno) for line in session.log("fatal")] == [(NO_ACK, None)]
    assert session.record() == [], "prog has not been asked to reset"
    assert session.no_process_left()


def test_an_ack_that_never_comes(session: Session) -> None:
    start = time.monotonic()
    assert session.ask(b"STARTTLS") == READY
    assert session.rest() == b""
    assert 2.8 < time.monotonic() - start < 4
    assert session.wait() == 111
    assert [(line.text, line.errno) for line in session.log("fatal")] == [(NO_ACK, "timed out")]


def test_clear_bytes_do_not_extend_the_wait(session: Session) -> None:
    start = time.monotonic()
    assert session.ask(b"STARTTLS") == READY
    while time.monotonic() - start < 5:
        try:
            session.send(b"NOOP\r\n" * 1000)
        except OSError:
            break
        if select.select([session.client], [], [], 0.05)[0]:
            break
    assert 2.8 < time.monotonic() - start < 4.5
    assert session.wait() == 111


def test_a_wrapper_that_is_gone(session: Session) -> None:
    """Nobody reads 5."""
    control = control_of(session)
    os.close(control.signal)
    control.signal = -1
    assert session.ask(b"STARTTLS") == READY
    assert session.rest() == b""
    assert session.wait() == 111
    assert [(line.text, line.errno) for line in session.log("fatal")] == [
        ("unable to send STARTTLS signal on control fd 5", "broken pipe")
    ]


def test_sigterm_during_the_wait(session: Session) -> None:
    assert session.ask(b"STARTTLS") == READY
    control_of(session).read_signal()
    session.signal(signal.SIGTERM)
    assert session.rest() == b""
    assert session.wait() == 111
    assert session.texts("fatal") == []
    assert "signal received" in session.texts("debug")
    assert session.no_process_left()


@pytest.mark.parametrize(
    "opened", ["", "5>/dev/null", "6</dev/null", "5</dev/null 6</dev/null", "5>/dev/null 6>/dev/null"]
)
def test_not_offered_without_both(tmp_path: Path, ours: Program, opened: str) -> None:
    prog = server(tmp_path / "record", {"FDS": "1"})
    words = ["bash", "-c", f'exec "$@" {opened}', "bash", str(ours.tool("tlswrapper-smtp")), *prog]
    env = {**os.environ, "LOG_ID": "ID"}
    result = run_plain([], argv=words, executable="/bin/bash", stdin=b"EHLO x\r\nSTARTTLS\r\nQUIT\r\n", env=env)
    assert result.stdout == b"220 hello" + MARK + EHLO + b"502 unimplemented (#5.5.1)" + MARK + b"221 bye" + MARK
    assert result.code == 7
    assert "FDS 0 1 2 3 4\n" in (tmp_path / "record").read_text()


# --- injection: every place where clear bytes can be when TLS starts ---


def check_only_tls_counts(s: Session) -> None:
    """After the ack: the session goes on with what comes now, and prog has seen nothing of what came before."""
    assert s.ask(b"EHLO y") == EHLO
    assert s.ask(b"QUIT") == b"221 bye" + MARK
    assert s.wait() == 7
    assert s.record() == [b"RSET\r\n", b"EHLO y\r\n", b"QUIT\r\n"]


@pytest.mark.parametrize("size", range(9, 9 + len(INJECTED) + 1))
def test_clear_commands_behind_starttls(session: Session, size: int) -> None:
    """Cut at every byte: the first part comes with STARTTLS, the rest before the ack."""
    stream = b"STARTTLS\n" + INJECTED
    session.send(stream[:size])
    assert session.reply() == READY
    assert control_of(session).read_signal() == b"\0"
    session.send(stream[size:])
    session.taken()
    control_of(session).acknowledge()
    check_only_tls_counts(session)


@pytest.mark.parametrize("size", [1, 2, 4096, 16384, 16385, 100000])
def test_more_clear_bytes_than_one_read(session: Session, size: int) -> None:
    session.send(b"STARTTLS\r\n" + b"N" * size)
    assert session.reply() == READY
    assert control_of(session).read_signal() == b"\0"
    session.send(b"NOOP\r\n" * 2000)
    session.taken()
    control_of(session).acknowledge()
    check_only_tls_counts(session)


@pytest.mark.parametrize("family", ["unix", "tcp", "pipes"])
@pytest.mark.parametrize("clear", [b"", b"N", INJECTED])
def test_the_order_of_events_decides(tmp_path: Path, ours: Program, clear: bytes, family: str) -> None:
    """The program is stopped while clear bytes, ack and TLS bytes arrive: it cannot tell them by the time it sees them.

    What came before the ack never counts. What came after it is not lost, unless clear bytes came too.
    """
    with Session(tmp_path, ["-T", "3"], program=ours, control=Control(), family=family) as s:
        s.reply()
        assert s.ask(b"STARTTLS") == READY
        assert control_of(s).read_signal() == b"\0"
        s.signal(signal.SIGSTOP)
        os.waitid(os.P_PID, s.popen.pid, os.WSTOPPED)
        if clear:
            s.send(clear)
            # on a socket pair and in pipes it is there at once; the loopback needs a moment
            time.sleep(0.05 if family != "unix" else 0)
        control_of(s).acknowledge()
        s.send(b"EHLO y\r\n")
        time.sleep(0.05 if family != "unix" else 0)
        s.signal(signal.SIGCONT)
        if clear:
            # without an answer the client asks again; the first line may have been dropped with the rest
            while b"RSET\r\n" not in s.record() and s.popen.poll() is None:
                time.sleep(0.01)
            assert s.ask(b"EHLO y") == EHLO
            assert set(s.record()) == {b"RSET\r\n", b"EHLO y\r\n"}
        else:
            assert s.reply() == EHLO
            assert s.record() == [b"RSET\r\n", b"EHLO y\r\n"]


def test_no_tls_byte_is_lost(tmp_path: Path, ours: Program) -> None:
    """Ack and the first line under TLS in one go, many times."""
    for _ in range(100):
        with Session(tmp_path, ["-T", "3"], program=ours, control=Control()) as s:
            s.reply()
            assert s.ask(b"STARTTLS") == READY
            wait_ready(control_of(s).signal)
            control_of(s).acknowledge()
            s.send(b"EHLO y\r\n")
            assert s.reply() == EHLO


# --- with tlswrapper -n ---


class Mail(Wrapped):
    """`tlswrapper -n tlswrapper-smtp server` on one TCP connection."""

    def __init__(self, folder: Path, certs: Certs, program: Program, *, inner: Program | None = None) -> None:
        self.recorded = folder / f"record-{time.monotonic_ns()}"
        tool = str((inner or program).tool("tlswrapper-smtp"))
        super().__init__(
            ["-v", "-n", "-f", certs.server("p256")],
            [tool, "-v", *server(self.recorded, {})],
            program=program,
            extra_env={"LOG_ID": "ID", **ADDRESSES},
        )
        self.stream: socket.socket = self.client
        self._received = b""

    def reply(self) -> bytes:
        return Session.reply(self)  # type: ignore[arg-type]

    def ask(self, command: bytes) -> bytes:
        self.stream.sendall(command + b"\r\n")
        while True:
            if self._received.endswith(b"\n") and self._received.splitlines()[-1][3:4] != b"-":
                reply, self._received = self._received, b""
                return reply
            piece = self.stream.recv(65536)
            if not piece:
                raise EOFError(self._received)
            self._received += piece

    def start_tls(self) -> None:
        self.stream = self.tls(client_context())

    record = Session.record


@pytest.fixture
def mail(tmp_path: Path, certs: Certs, ours: Program) -> Iterator[Mail]:
    with Mail(tmp_path, certs, ours) as m:
        assert m.reply() == b"220 hello" + MARK
        yield m


def test_with_tlswrapper(mail: Mail) -> None:
    assert mail.ask(b"EHLO x") == OFFER
    assert mail.ask(b"STARTTLS") == READY
    mail.start_tls()
    assert mail.ask(b"EHLO y") == EHLO
    assert mail.ask(b"MAIL FROM:<a@b>") == b"250 ok" + MARK
    assert mail.ask(b"QUIT") == b"221 bye" + MARK
    assert mail.stream.recv(1) == b""
    assert mail.wait() == 7
    assert mail.record() == [b"EHLO x\r\n", b"RSET\r\n", b"EHLO y\r\n", b"MAIL FROM:<a@b>\r\n", b"QUIT\r\n"]
    assert mail.no_process_left()


def test_with_tlswrapper_in_clear(mail: Mail) -> None:
    assert mail.ask(b"EHLO x") == OFFER
    assert mail.ask(b"NOOP") == b"250 ok\r\n"
    assert mail.ask(b"QUIT") == b"221 bye" + MARK
    assert mail.stream.recv(1) == b""
    assert mail.wait() == 7
    assert mail.no_process_left()


def test_a_client_that_leaves_before_the_handshake(mail: Mail) -> None:
    assert mail.ask(b"STARTTLS") == READY
    mail.client.close()
    assert mail.wait() == 111
    assert mail.no_process_left()


@pytest.mark.parametrize("size", range(0, len(INJECTED) + 1))
def test_clear_commands_with_tlswrapper(tmp_path: Path, certs: Certs, ours: Program, size: int) -> None:
    """All in one packet up to every byte, the rest in a second one that races the answer.

    A second packet may come together with the ClientHello, which is then lost with it: no handshake, no session.
    """
    with Mail(tmp_path, certs, ours) as m:
        m.reply()
        m.client.sendall(b"STARTTLS\r\n" + INJECTED[:size])
        if size < len(INJECTED):
            m.client.sendall(INJECTED[size:])
        assert m.reply() == READY
        m.client.settimeout(LIMIT_S if size == len(INJECTED) else 2)
        try:
            m.start_tls()
        except (ssl.SSLError, OSError):
            assert size < len(INJECTED)
            m.client.close()
            m.signal(signal.SIGTERM)
            m.wait()
        else:
            assert m.ask(b"EHLO y") == EHLO
        assert [line for line in m.record() if line not in (b"RSET\r\n", b"EHLO y\r\n")] == []


@pytest.mark.parametrize("command", [b"STARTTLS", b"STARTTLS x", b"S", b"startt"])
def test_clear_commands_before_the_original_tool(tmp_path: Path, certs: Certs, ours: Program, command: bytes) -> None:
    """It keeps what it has read ahead, and takes any beginning of the verb: below our tlswrapper nothing reaches it."""
    with Mail(tmp_path, certs, ours, inner=require_program(THEIRS)) as m:
        m.reply()
        m.client.sendall(command + b"\r\nNOOP evil\r\n")
        assert m.reply() == READY
        m.start_tls()
        assert m.ask(b"EHLO y") == EHLO
        assert m.ask(b"QUIT") == b"221 bye" + MARK
        assert m.wait() == 7
        assert m.record() == [b"RSET\r\n", b"EHLO y\r\n", b"QUIT\r\n"]


def test_with_the_original_tool_the_line_is_text(tmp_path: Path, certs: Certs, ours: Program) -> None:
    """The original's tlswrapper-smtp of Debian 12 speaks the older protocol below our tlswrapper."""
    with Mail(tmp_path, certs, ours, inner=require_program(THEIRS)) as m:
        m.reply()
        assert m.ask(b"EHLO x") == OFFER
        assert m.ask(b"STARTTLS") == READY
        m.start_tls()
        assert m.ask(b"EHLO y") == EHLO
        assert m.ask(b"QUIT") == b"221 bye" + MARK
        assert m.wait() == 7


def test_below_the_original_there_is_no_starttls(tmp_path: Path, certs: Certs, ours: Program) -> None:
    """It opens descriptor 5 alone."""
    with Mail(tmp_path, certs, require_program(THEIRS), inner=ours) as m:
        m.reply()
        assert m.ask(b"EHLO x") == EHLO
        assert m.ask(b"STARTTLS") == b"502 unimplemented (#5.5.1)" + MARK
        assert m.ask(b"QUIT") == b"221 bye" + MARK
        assert m.wait() == 7
