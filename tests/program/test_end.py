"""How a connection ends: EOF, close_notify and reset are three events, and the two directions are apart."""

from __future__ import annotations

import hashlib
import os
import signal
import socket
import sys
import time
from pathlib import Path

import pytest

from tests.certs import Certs
from tests.harness import Mailbox, Program, RecordClient, Wrapped, ending, needs_root, read_all, reset

STUBBORN = ["sh", "-c", "trap '' TERM HUP PIPE; exec sleep 60"]  # reads nothing, ignores all but KILL


def killed(number: int) -> list[str]:
    return [f"child process killed by signal {number}"]


# --- prog ends first ---


def test_prog_ends_and_the_wrapper_does_not_linger(ours: Program, certs: Certs) -> None:
    """Output, close_notify, end of the stream, exit: all while the client keeps its side open.

    Many times, since the end of prog's output and the end of prog race.
    """
    for number in range(30):
        prog = ["sh", "-c", "echo bye; exit 9"] if number % 2 else ["env", "-i", "echo", "bye"]
        with Wrapped(["-f", certs.server("p256")], prog, program=ours) as w:
            client = RecordClient(w.client)
            client.handshake()
            started = time.monotonic()
            assert client.ending() == (b"bye\n", "close_notify")
            assert w.client.recv(1) == b"", "the socket is shut down behind close_notify"
            assert w.wait() == (9 if number % 2 else 0)
            assert time.monotonic() - started < 0.9
            assert w.no_process_left()


def test_all_output_arrives_when_prog_is_gone(program: Program, certs: Certs, tmp_path: Path) -> None:
    """Far more than the pipes hold, read by a client that takes its time."""
    data = os.urandom(3_000_000)
    (tmp_path / "data").write_bytes(data)
    with Wrapped(
        ["-f", certs.server("p256")], ["sh", "-c", f"cat {tmp_path}/data; exit 3"], program=program
    ) as w:
        with w.tls() as tls:
            assert ending(tls) == (data, "close_notify")
        assert w.wait() == 3


def test_prog_closes_stdout_and_goes_on(ours: Program, certs: Certs, mailbox: Mailbox) -> None:
    """The client sees the end; prog sees the end of its input, and its code counts."""
    script = f"echo bye; exec >&-; cat; echo over > {mailbox.path}; exit 7"
    with Wrapped(["-f", certs.server("p256")], ["sh", "-c", script], program=ours) as w:
        with w.tls() as tls:
            assert ending(tls) == (b"bye\n", "close_notify")
            assert mailbox.line() == "over"
            assert w.wait() == 7
        assert w.no_process_left()


def test_prog_does_not_read(ours: Program, certs: Certs) -> None:
    """What the client sends to a closed stdin is lost; what prog wrote is not."""
    with Wrapped(["-f", certs.server("p256")], ["sh", "-c", "exec <&-; echo hi; exit 3"], program=ours) as w:
        client = RecordClient(w.client)
        client.handshake()
        client.send(b"x" * 100_000)
        assert client.ending()[0] == b"hi\n"
        assert w.wait() == 3


def test_a_grandchild_may_finish_the_output(ours: Program, certs: Certs) -> None:
    script = "(sleep 0.4; echo late) & echo early; exit 4"
    with Wrapped(["-f", certs.server("p256")], ["sh", "-c", script], program=ours) as w:
        with w.tls() as tls:
            assert ending(tls) == (b"early\nlate\n", "close_notify")
        assert w.wait() == 4


def test_a_silent_grandchild_delays_for_a_second(ours: Program, certs: Certs) -> None:
    started = time.monotonic()
    with Wrapped(["-f", certs.server("p256")], ["sh", "-c", "sleep 30 & echo x; exit 4"], program=ours) as w:
        with w.tls() as tls:
            assert ending(tls) == (b"x\n", "close_notify")
        assert w.wait() == 4
        assert 0.8 < time.monotonic() - started < 2.5


# --- the client ends first ---


def test_a_half_close_still_gets_the_reply(ours: Program, certs: Certs) -> None:
    """A bare end of the client's stream: prog reads all, then EOF; what it then says is delivered."""
    data = os.urandom(2_000_000)
    with Wrapped(["-f", certs.server("p256")], ["sha256sum"], program=ours) as w:
        tls = w.tls()
        tls.sendall(data)
        w_socket = socket.socket(fileno=os.dup(tls.fileno()))
        w_socket.shutdown(socket.SHUT_WR)
        w_socket.close()
        assert ending(tls) == (f"{hashlib.sha256(data).hexdigest()}  -\n".encode(), "close_notify")
        assert w.wait() == 0
        assert w.no_process_left()


def test_a_half_close_leaves_prog_its_time(ours: Program, certs: Certs) -> None:
    """It is no end of the connection: nothing is signalled before -t."""
    script = "cat > /dev/null; sleep 1.5; echo late; exit 5"
    with Wrapped(["-f", certs.server("p256")], ["sh", "-c", script], program=ours) as w:
        client = RecordClient(w.client)
        client.handshake()
        w.client.shutdown(socket.SHUT_WR)
        assert client.ending() == (b"late\n", "close_notify")
        assert w.wait() == 5
        assert w.stderr == ""


def test_a_half_close_in_the_middle_of_a_record(ours: Program, certs: Certs, tmp_path: Path) -> None:
    """The whole records before it arrive."""
    prog = ["sh", "-c", f"cat > {tmp_path}/stored; exit 5"]
    with Wrapped(["-f", certs.server("p256")], prog, program=ours) as w:
        client = RecordClient(w.client)
        client.handshake()
        w.client.sendall(client.seal(b"whole") + client.seal(b"half")[:-3])
        w.client.shutdown(socket.SHUT_WR)
        client.ending()
        assert w.wait() == 5
        assert (tmp_path / "stored").read_bytes() == b"whole"


def test_close_notify_is_answered_at_once(ours: Program, certs: Certs, mailbox: Mailbox) -> None:
    """TLS 1.2: the answer does not wait for prog, which has read everything and sees EOF."""
    script = f"wc -c > {mailbox.path}; sleep 1.5; exit 6"
    with Wrapped(["-f", certs.server("p256")], ["sh", "-c", script], program=ours) as w:
        client = RecordClient(w.client)
        client.handshake()
        client.send(b"x" * 40_000)
        started = time.monotonic()
        client.close_notify()
        assert client.ending() == (b"", "close_notify")
        assert time.monotonic() - started < 0.9
        assert mailbox.line() == "40000"
        assert w.wait() == 6, "prog finishes in peace"
        assert w.stderr == ""


def test_output_after_close_notify_does_no_harm(ours: Program, certs: Certs) -> None:
    """It is drained and dropped: no SIGPIPE, prog's own code."""
    script = "cat > /dev/null; head -c 1000000 /dev/zero; exit 6"
    with Wrapped(["-f", certs.server("p256")], ["sh", "-c", script], program=ours) as w:
        client = RecordClient(w.client)
        client.handshake()
        client.close_notify()
        client.ending()
        w.client.close()
        assert w.wait() == 6
        assert w.stderr == ""


def test_draining_ends_after_t(ours: Program, certs: Certs) -> None:
    """A prog that writes for ever is not drained for ever."""
    started = time.monotonic()
    with Wrapped(["-t1", "-f", certs.server("p256")], ["yes"], program=ours) as w:
        client = RecordClient(w.client)
        client.handshake()
        client.recv(1)
        client.close_notify()
        assert w.wait() == 111
        assert time.monotonic() - started < 5
        assert w.texts("fatal") in (killed(signal.SIGPIPE), killed(signal.SIGTERM))
        assert w.no_process_left()


def test_the_client_closes_its_socket(program: Program, certs: Certs, tmp_path: Path) -> None:
    """No close_notify, as most clients do: prog still gets every byte and EOF."""
    with Wrapped(
        ["-f", certs.server("p256")], ["sh", "-c", f"cat > {tmp_path}/stored; exit 5"], program=program
    ) as w:
        tls = w.tls()
        tls.sendall(b"y" * 200_000)
        tls.close()
        assert w.wait() == 5
        assert (tmp_path / "stored").read_bytes() == b"y" * 200_000
        assert w.no_process_left()


# --- the connection is lost ---


def test_a_reset_ends_prog_by_eof(program: Program, certs: Certs) -> None:
    with Wrapped(["-f", certs.server("p256")], ["sh", "-c", "cat > /dev/null; exit 5"], program=program) as w:
        client = RecordClient(w.client)
        client.handshake()
        reset(w.client)
        assert w.wait() == 5
        assert w.no_process_left()


def test_a_reset_while_prog_writes(program: Program, certs: Certs) -> None:
    with Wrapped(["-f", certs.server("p256")], ["yes"], program=program) as w:
        client = RecordClient(w.client)
        client.handshake()
        client.recv(1)
        reset(w.client)
        assert w.wait(5) == 111
        assert w.texts("fatal") in (killed(signal.SIGPIPE), killed(signal.SIGTERM))
        assert w.no_process_left()


def test_a_reset_while_the_client_writes(program: Program, certs: Certs, tmp_path: Path) -> None:
    """What prog had not read yet may be lost with a reset; prog itself must end."""
    with Wrapped(["-f", certs.server("p256")], ["sh", "-c", "cat > /dev/null; exit 5"], program=program) as w:
        client = RecordClient(w.client)
        client.handshake()
        for _ in range(20):
            client.send(b"z" * 16384)
        w.client.sendall(client.seal(b"z" * 16384)[:1000])
        reset(w.client)
        assert w.wait() == 5
        assert w.no_process_left()


def test_nothing_received_is_lost_before_a_reset(ours: Program, certs: Certs, mailbox: Mailbox) -> None:
    """Plaintext that was acknowledged by an answer has reached prog, whatever comes then."""
    script = f"head -c 50000 | sha256sum > {mailbox.path}; cat > /dev/null; exit 5"
    data = os.urandom(50_000)
    with Wrapped(["-f", certs.server("p256")], ["sh", "-c", script], program=ours) as w:
        client = RecordClient(w.client)
        client.handshake()
        client.send(data)
        assert mailbox.line() == hashlib.sha256(data).hexdigest() + "  -"
        reset(w.client)
        assert w.wait() == 5


STEPS = ["connected", "half a hello", "hello", "server hello read", "client key exchange", "one byte short"]


@pytest.mark.parametrize("how", ["close", "half-close", "reset"])
@pytest.mark.parametrize("step", STEPS)
def test_the_client_leaves_during_the_handshake(
    program: Program, certs: Certs, mailbox: Mailbox, step: str, how: str
) -> None:
    """111, prog never runs, nothing is left, nothing is said."""
    prog = ["sh", "-c", f"echo ran > {mailbox.path}"]
    with Wrapped(["-f", certs.server("p256")], prog, program=program) as w:
        client = RecordClient(w.client)
        hello = client.client_hello()
        if step == "half a hello":
            w.client.sendall(hello[: len(hello) // 2])
        elif step != "connected":
            w.client.sendall(hello)
        if step in STEPS[3:]:
            flight = client.next_flight()
            cut = {"server hello read": 0, "client key exchange": 42, "one byte short": len(flight) - 1}[step]
            w.client.sendall(flight[:cut])
        if how == "reset":
            reset(w.client)
        elif how == "close":
            w.client.close()
        else:
            w.client.shutdown(socket.SHUT_WR)
            ending(w.client)
        assert w.wait() == 111
        assert w.no_process_left()
        assert w.stderr == ""
    assert mailbox.empty()


# --- prog that does not want to end ---


@pytest.mark.parametrize(
    ("options", "prog", "code", "signalled", "seconds"),
    [
        ([], ["sleep", "60"], 111, signal.SIGTERM, 1),
        ([], STUBBORN, 111, signal.SIGKILL, 2),
        ([], ["sh", "-c", 'sleep 60 & trap "kill $!; exit 3" TERM; wait'], 3, None, 1),
        ([], ["sh", "-c", "cat > /dev/null; exit 8"], 8, None, 0),
        (["-u", "nobody"], ["sleep", "60"], 111, signal.SIGTERM, 1),
        (["-u", "nobody"], STUBBORN, 111, signal.SIGKILL, 2),
    ],
    ids=[
        "ignores EOF",
        "ignores all",
        "ends on TERM",
        "ends on EOF",
        "other user",
        "other user, ignores all",
    ],
)
@pytest.mark.parametrize("event", ["reset", "idle", "SIGTERM"])
@needs_root
def test_prog_is_not_left_behind(
    ours: Program,
    certs: Certs,
    event: str,
    options: list[str],
    prog: list[str],
    code: int,
    signalled: int | None,
    seconds: int,
) -> None:
    """EOF when the connection is over, TERM a second later, KILL a second later."""
    started_prog = ["sh", "-c", 'echo up; exec "$@"', "sh", *prog]
    timeout = ["-t1"] if event == "idle" else []
    with Wrapped([*timeout, *options, "-f", certs.server("p256")], started_prog, program=ours, cwd="/") as w:
        client = RecordClient(w.client)
        client.handshake()
        assert client.read_exactly(3) == b"up\n"
        started = time.monotonic()
        if event == "reset":
            reset(w.client)
        elif event == "SIGTERM":
            w.signal(signal.SIGTERM)
        else:
            assert client.ending() == (b"", "close_notify")
            assert 0.7 < time.monotonic() - started < 1.8
            started = time.monotonic()
        assert w.wait() == code
        assert seconds - 0.3 < time.monotonic() - started < seconds + 0.9
        assert w.texts("fatal") == (killed(signalled) if signalled else [])
        assert w.no_process_left()


# --- signals to the wrapper ---


def test_sigterm_stops_the_relay(program: Program, certs: Certs) -> None:
    """No close_notify, since the stream was cut; prog's status."""
    with Wrapped(["-f", certs.server("p256")], ["sh", "-c", "cat; exit 5"], program=program) as w:
        tls = w.tls()
        tls.sendall(b"ping")
        assert tls.recv(4) == b"ping"
        w.signal(signal.SIGTERM)
        assert ending(tls) in [(b"", "eof"), (b"", "reset")]
        assert w.wait() == 5
        assert w.no_process_left()


def test_sigterm_during_the_handshake(program: Program, certs: Certs, mailbox: Mailbox) -> None:
    prog = ["sh", "-c", f"echo ran > {mailbox.path}"]
    with Wrapped(["-vv", "-f", certs.server("p256")], prog, program=program) as w:
        assert w.wait_stderr("debug: 127.0.0.1: start")
        w.signal(signal.SIGTERM)
        assert ending(w.client)[0] == b""
        assert w.wait() == 111
        assert w.no_process_left()
    assert mailbox.empty()


@pytest.mark.parametrize("name", ["SIGINT", "SIGHUP", "SIGQUIT"])
def test_other_signals_keep_their_default(program: Program, certs: Certs, name: str) -> None:
    import resource

    def no_core() -> None:
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))

    with Wrapped(["-f", certs.server("p256")], ["cat"], program=program, preexec=no_core) as w:
        tls = w.tls()
        tls.sendall(b"ping")
        assert tls.recv(4) == b"ping"
        w.signal(getattr(signal, name))
        assert w.wait() == -getattr(signal, name)
        assert ending(tls)[0] == b""
        assert w.no_process_left()


@pytest.mark.parametrize("phase", ["waiting", "handshake", "idle", "transfer"])
@pytest.mark.parametrize("victim", ["net", "key", "prog"])
def test_kill_9_of_any_process_ends_the_others(
    program: Program, certs: Certs, victim: str, phase: str
) -> None:
    """The client sees the connection close, and never a byte of the plaintext in the clear."""
    if not program.ours and phase == "transfer" and victim != "net":
        pytest.skip("the original floods the client without its key process, and lingers without prog")
    marker = b"the-plaintext-marker"
    loop = f"yes {marker.decode()}" if phase == "transfer" else "cat"
    with Wrapped(["-vv", "-f", certs.server("p256")], ["sh", "-c", f"exec {loop}"], program=program) as w:
        client = RecordClient(w.client)
        if phase == "waiting":
            assert w.wait_stderr("debug: 127.0.0.1: start")
        elif phase == "handshake":
            w.client.sendall(client.client_hello())
            client.next_flight()
        else:
            client.handshake()
            if phase == "idle":
                client.send(b"ping")
                assert client.read_exactly(4) == b"ping"
            else:
                assert marker in client.read_exactly(200)
        target = getattr(w.processes(), victim)
        assert target is not None
        os.kill(target, signal.SIGKILL)
        raw, _ = ending(w.client)
        assert marker not in raw
        w.client.close()
        code = w.wait(4)
        if victim == "net":
            assert code == -signal.SIGKILL
        elif victim == "prog" or phase in ("waiting", "handshake"):
            assert code == 111
        assert w.no_process_left()


def test_prog_starts_with_clean_signals(ours: Program, certs: Certs) -> None:
    """SIGPIPE default and nothing blocked, even when the super-server left them otherwise."""

    def spoil() -> None:
        signal.signal(signal.SIGPIPE, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)
        signal.pthread_sigmask(
            signal.SIG_BLOCK, [signal.SIGTERM, signal.SIGCHLD, signal.SIGPIPE, signal.SIGALRM]
        )

    prog = ["grep", "Sig[BI]", "/proc/self/status"]
    with Wrapped(["-f", certs.server("p256")], prog, program=ours, preexec=spoil) as w:
        with w.tls() as tls:
            lines = dict(line.split(":\t") for line in read_all(tls).decode().splitlines())
        assert int(lines["SigBlk"], 16) == 0
        for number in (signal.SIGPIPE, signal.SIGTERM, signal.SIGCHLD):
            assert not int(lines["SigIgn"], 16) >> (number - 1) & 1
        assert w.wait() == 0


@pytest.mark.parametrize("name", ["SIGPIPE", "SIGCHLD", "SIGTERM"])
def test_prog_has_default_signals(program: Program, certs: Certs, name: str) -> None:
    def spoil() -> None:
        signal.signal(getattr(signal, name), signal.SIG_IGN)

    prog = ["grep", "SigIgn", "/proc/self/status"]
    with Wrapped(["-f", certs.server("p256")], prog, program=program, preexec=spoil) as w:
        with w.tls() as tls:
            ignored = int(read_all(tls).split()[1], 16)
        assert not ignored >> (getattr(signal, name) - 1) & 1


def test_prog_descriptors(program: Program, certs: Certs) -> None:
    """0 and 1 are pipes and block; 2 is inherited; nothing of the wrapper's own leaks."""
    import stat

    extra = os.open("/dev/null", os.O_RDONLY)
    prog = [sys.executable, "-I", "-S", "-c", LIST_DESCRIPTORS]
    with Wrapped(["-f", certs.server("p256")], prog, program=program, pass_fds=[extra]) as w:
        os.close(extra)
        with w.tls() as tls:
            rows = [line.split() for line in read_all(tls).decode().splitlines()]
    modes = {int(fd): (int(mode), flags) for fd, mode, flags in rows}
    assert set(modes) == {0, 1, 2, extra}
    assert all(stat.S_ISFIFO(modes[fd][0]) for fd in (0, 1))
    assert all(not int(modes[fd][1]) & os.O_NONBLOCK for fd in (0, 1))


def test_descriptors_5_and_6_are_closed(ours: Program, certs: Certs) -> None:
    """They are the control pipes of -n; 4 and 7 pass through."""
    opened = 'exec 4</dev/null 5</dev/null 6</dev/null 7</dev/null; exec "$0" "$@"'
    options = ["-c", opened, ours.path, "-f", certs.server("p256")]
    prog = [sys.executable, "-I", "-S", "-c", LIST_DESCRIPTORS]
    with Wrapped(options, prog, program=ours, executable="/bin/sh", argv0="sh") as w, w.tls() as tls:
        found = [int(line.split()[0]) for line in read_all(tls).decode().splitlines()]
    assert found == [0, 1, 2, 4, 7]


LIST_DESCRIPTORS = """
import os, fcntl
for fd in range(256):
    try:
        print(fd, os.fstat(fd).st_mode, fcntl.fcntl(fd, fcntl.F_GETFL))
    except OSError:
        pass
"""
