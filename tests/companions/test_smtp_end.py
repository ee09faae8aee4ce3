"""tlswrapper-smtp: how sessions end, timers, signals, what prog is given, and that no process is left behind."""

from __future__ import annotations

import os
import pwd
import signal
import socket
import time
from pathlib import Path

import pytest

from tests.companions.smtpwire import MARK, Control, Session
from tests.harness import Program, children, needs_root, proc_status, run_plain, wait_path
from tests.waiting import Deadline, wait_gone

pytestmark = needs_root

BYE = b"221 bye" + MARK


def only_child(s: Session) -> int:
    (pid,) = children(s.popen.pid)
    return pid


@pytest.mark.parametrize("code", [0, 1, 100, 111, 255])
def test_quit_gives_progs_code(tmp_path: Path, ours: Program, code: int) -> None:
    with Session(tmp_path, ["-vv"], {"CODE": str(code)}, program=ours) as s:
        s.reply()
        assert s.ask(b"QUIT") == BYE
        assert s.wait() == code
        assert s.texts("debug")[-1] == f"child exited with status {code}"
        assert s.texts("fatal") == []
        assert s.server_notes()[-1] == "QUIT"


def test_quit_and_a_signal(tmp_path: Path, ours: Program) -> None:
    prog = ["sh", "-c", "echo 220 x; read line; echo 221 bye; kill -9 $$"]
    with Session(tmp_path, [], program=ours, prog=prog) as s:
        s.reply()
        assert s.ask(b"QUIT") == BYE
        assert s.wait() == 111
        assert s.texts() == ["child process killed by signal 9"]


def test_quit_and_a_prog_that_stays(tmp_path: Path, ours: Program) -> None:
    """It has until the session's deadline; the client need not wait for that."""
    prog = ["sh", "-c", "echo 220 x; read line; echo 221 bye; exec sleep 3600"]
    deadline = Deadline(3.5)
    with Session(tmp_path, ["-t", "2"], program=ours, prog=prog) as s:
        s.reply()
        assert s.ask(b"QUIT") == BYE
        assert s.rest() == b""
        assert s.popen.poll() is None
        assert s.wait() == 111
        assert not deadline.over()
        assert s.texts() == ["child process killed by signal 15"]
        assert s.no_process_left()


@pytest.mark.parametrize("said", [b"", b"NOOP\r\n", b"NOOP", b"DATA\r\nhalf"])
def test_a_client_that_leaves(tmp_path: Path, ours: Program, said: bytes) -> None:
    with Session(tmp_path, ["-vv"], program=ours) as s:
        s.reply()
        s.send(said)
        _, code = s.finish()
        assert code == 111
        assert "client closed the connection" in s.texts("debug")
        assert s.server_notes()[-1] == "EOF b''"
        assert s.no_process_left()


@pytest.mark.parametrize("verb", ["GREETING", "NOOP", "DATA", "TEXT", "QUIT", "EHLO"])
@pytest.mark.parametrize("way", ["DIE", "KILL"])
def test_a_prog_that_leaves(tmp_path: Path, ours: Program, verb: str, way: str) -> None:
    with Session(tmp_path, ["-vv"], {verb: way, "CODE": "0"}, program=ours) as s:
        s.send(b"NOOP\r\nEHLO x\r\nDATA\r\n.\r\nQUIT\r\n")
        s.rest()
        assert s.wait() == 111
        assert s.texts("debug")[-2] in ("prog closed the connection", "write to prog failed")
        assert s.texts("fatal") == []
        assert s.no_process_left()


@pytest.mark.parametrize("verb", ["GREETING", "NOOP", "DATA", "TEXT", "QUIT"])
@pytest.mark.parametrize("way", ["HANG", "STUBBORN"])
def test_a_prog_that_hangs(tmp_path: Path, ours: Program, verb: str, way: str) -> None:
    """-T for its answer, one second more for its end, then it is killed; the client is let go at once."""
    with Session(tmp_path, ["-vv", "-T", "1"], {verb: way}, program=ours) as s:
        start = time.monotonic()
        s.send(b"NOOP\r\nDATA\r\n.\r\nQUIT\r\n")
        s.rest()
        assert 0.9 < time.monotonic() - start < 1.9
        assert s.wait() == 111
        assert "read from prog timed out" in s.texts("debug")
        assert f"child process killed by signal {15 if way == 'HANG' else 9}" in s.texts("debug")
        assert time.monotonic() - start < 3.5
        assert s.no_process_left()


def test_a_prog_that_does_not_read(tmp_path: Path, ours: Program) -> None:
    prog = ["sh", "-c", "echo 220 x; read line; echo 354 go; exec sleep 3600"]
    with Session(tmp_path, ["-vv", "-T", "1"], program=ours, prog=prog) as s:
        s.client.settimeout(5)
        with pytest.raises(OSError):
            s.send(b"DATA\r\n" + (b"x" * 70 + b"\r\n") * 100000)
        assert s.wait() == 111
        assert "write to prog timed out" in s.texts("debug")
        assert s.no_process_left()


def test_a_client_that_is_silent(tmp_path: Path, ours: Program) -> None:
    with Session(tmp_path, ["-vv", "-T", "1"], program=ours) as s:
        s.reply()
        start = time.monotonic()
        assert s.rest() == b""
        assert 0.8 < time.monotonic() - start < 1.9
        assert s.wait() == 111
        assert "read from client timed out" in s.texts("debug")


def test_a_client_that_does_not_read(tmp_path: Path, ours: Program) -> None:
    with Session(tmp_path, ["-vv", "-T", "1"], {"NOOP": "250 " + "y" * 4000 + r"\r\n"}, program=ours) as s:
        s.client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        s.send(b"NOOP\r\n" * 500)
        assert s.wait() == 111
        assert "write to client timed out" in s.texts("debug")
        assert s.no_process_left()


def test_the_whole_session_has_a_deadline(tmp_path: Path, ours: Program) -> None:
    """-t is for all of it; a client that always comes in time does not extend it."""
    with Session(tmp_path, ["-vv", "-t", "2", "-T", "10"], program=ours) as s:
        start = time.monotonic()
        s.reply()
        asked = 0
        while time.monotonic() - start < 4:
            try:
                assert s.ask(b"NOOP") == b"250 ok\r\n"
            except OSError:
                break
            except EOFError:
                break
            asked += 1
            if s.popen.poll() is None:
                wait_gone([s.popen.pid], 0.1)
        assert 1.8 < time.monotonic() - start < 3
        assert asked > 5
        assert s.wait() == 111
        assert "session timed out" in s.texts("debug")
        assert s.no_process_left()


def test_sigterm(tmp_path: Path, ours: Program) -> None:
    with Session(tmp_path, ["-vv"], program=ours) as s:
        s.reply()
        s.signal(signal.SIGTERM)
        assert s.rest() == b""
        assert s.wait() == 111
        assert "signal received" in s.texts("debug")
        assert s.server_notes()[-1] == "EOF b''"
        assert s.no_process_left()


def test_sigterm_while_prog_is_waited_for(tmp_path: Path, ours: Program) -> None:
    prog = ["sh", "-c", "echo 220 x; read line; echo 221 bye; exec sleep 3600"]
    with Session(tmp_path, [], program=ours, prog=prog) as s:
        s.reply()
        assert s.ask(b"QUIT") == BYE
        assert s.rest() == b""
        start = time.monotonic()
        s.signal(signal.SIGTERM)
        assert s.wait() == 111
        assert time.monotonic() - start < 0.9
        assert s.no_process_left()


def test_sigkill_leaves_a_prog_that_sees_eof(tmp_path: Path, ours: Program) -> None:
    with Session(tmp_path, [], program=ours) as s:
        s.reply()
        s.signal(signal.SIGKILL)
        assert s.wait() == -9
        assert s.no_process_left()
        assert s.server_notes()[-1] == "EOF b''"


# --- what prog and the program itself are given ---


@pytest.mark.parametrize("with_control", [False, True])
def test_descriptors_of_prog(tmp_path: Path, ours: Program, with_control: bool) -> None:
    """0, 1 and 2, and neither 5 nor 6; of what it opens itself, the record and the folder of the list are there."""
    with Session(tmp_path, [], {"FDS": "1"}, program=ours, control=Control() if with_control else None) as s:
        s.reply()
        assert s.server_notes()[1] == "FDS 0 1 2 3 4"
        pid = only_child(s)
        ends = [os.readlink(f"/proc/{pid}/fd/{fd}") for fd in (0, 1)]
        assert all(end.startswith("pipe:") for end in ends)


def test_other_descriptors_pass_through(tmp_path: Path, ours: Program) -> None:
    """All but 5 and 6, also when those are no control pipes."""
    opened = "3</dev/null 4</dev/null 5</dev/null 6</dev/null 7</dev/null"
    prog = ["sh", "-c", 'ls -l /proc/self/fd >"$0"; echo 220 x; read line; echo 221 x', str(tmp_path / "fds")]
    words = ["bash", "-c", f'exec "$@" {opened}', "bash", str(ours.tool("tlswrapper-smtp")), *prog]
    result = run_plain([], argv=words, executable="/bin/bash", stdin=b"EHLO x\r\nQUIT\r\n")
    assert b"STARTTLS" not in result.stdout
    lines = [line.split() for line in (tmp_path / "fds").read_text().splitlines()[1:]]
    assert {words[-3] for words in lines if words[-1] == "/dev/null"} == {"3", "4", "7"}


def test_signals_limits_and_environment_of_prog(tmp_path: Path, ours: Program) -> None:
    prog = ["sh", "-c", 'echo "220 $(ulimit -n) $(ulimit -v) $USER $HOME $LOG_ID $TCPREMOTEIP"; read line']
    nobody = pwd.getpwnam("nobody")
    with Session(tmp_path, ["-u", "nobody"], program=ours, prog=prog) as s:
        words = s.reply().decode().split()
        assert int(words[1]) > 100
        assert words[2:] == ["unlimited", "nobody", nobody.pw_dir, "ID", "192.0.2.1", "[ID]"]
        status = proc_status(only_child(s))
        assert set(status["Uid"].split()) == {str(nobody.pw_uid)}
        assert set(status["Gid"].split()) == {str(nobody.pw_gid)}
        assert status["Groups"].split() in ([str(nobody.pw_gid)], [])
        assert int(status["SigBlk"], 16) == 0
        assert int(status["SigIgn"], 16) & (1 << signal.SIGPIPE - 1) == 0


@pytest.mark.parametrize("account", [None, "daemon"])
def test_the_jail(tmp_path: Path, ours: Program, account: str | None) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    options = ["-J", str(empty), *(["-j", account] if account else [])]
    with Session(tmp_path, options, program=ours) as s:
        s.reply()
        pid = s.popen.pid
        uid = 141500000 + pid if account is None else pwd.getpwnam(account).pw_uid
        status = proc_status(pid)
        assert set(status["Uid"].split()) == {str(uid)}
        assert set(status["Gid"].split()) == {str(uid)} if account is None else True
        assert status["NoNewPrivs"] == "1"
        assert os.readlink(f"/proc/{pid}/root") == str(empty)
        limits = Path(f"/proc/{pid}/limits").read_text()
        for name in ("Max open files", "Max processes", "Max core file size"):
            line = next(line for line in limits.splitlines() if line.startswith(name))
            assert line[len(name):].split()[:2] == ["0", "0"]


def test_prog_starts_only_when_the_jail_is_closed(tmp_path: Path, ours: Program) -> None:
    prog = ["sh", "-c", 'grep -h Uid /proc/$PPID/status >"$0"; echo 220 x; read line', str(tmp_path / "seen")]
    with Session(tmp_path, [], program=ours, prog=prog) as s:
        s.reply()
        assert wait_path(tmp_path / "seen")
        assert str(141500000 + s.popen.pid) in (tmp_path / "seen").read_text()


@pytest.mark.parametrize("closed", [[0], [1], [0, 1]])
def test_without_a_connection(tmp_path: Path, ours: Program, closed: list[int]) -> None:
    """It says so and ends; no descriptor of its own is taken for the client's, and prog does not run."""

    def close() -> None:
        for fd in closed:
            os.close(fd)

    tool = ours.tool("tlswrapper-smtp")
    words = [str(tool), "touch", str(tmp_path / "ran")]
    result = run_plain([], executable=tool, argv=words, preexec=close)
    assert (result.code, result.stdout) == (111, b"")
    assert [(entry.text, entry.errno) for entry in result.log()] == [
        (f"unable to serve the connection on descriptor {closed[0]}", "file descriptor not open")
    ]
    assert not (tmp_path / "ran").exists()


def test_without_a_log(tmp_path: Path, ours: Program) -> None:
    with Session(tmp_path, ["-vv"], {"FDS": "1"}, program=ours, preexec=lambda: os.close(2)) as s:
        assert s.reply() == b"220 hello" + MARK
        assert s.ask(b"QUIT") == b"221 bye" + MARK
        assert s.wait() == 7
        assert "FDS 0 1 2 3 4" in s.server_notes()
        assert s.stderr == ""
