"""tlswrapper-smtp -g: greylist servers of every kind, good, down, slow, broken, and a real postgrey."""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import signal
import socket
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from tests.companions.smtpwire import MARK, Session
from tests.companions.tcp import black_hole, name_server, private_names
from tests.harness import (
    LIMIT_S,
    THEIRS,
    Deadline,
    Program,
    children,
    cmdline,
    free_port,
    needs_root,
    require_peer,
    require_program,
    server_process,
)

pytestmark = needs_root

DUNNO, DEFER, REJECT = b"action=dunno\n\n", b"action=defer_if_permit wait\n\n", b"action=reject no\n\n"
OK, LATER, NEVER = b"250 ok" + MARK, b"450 greylisted (#4.3.0)" + MARK, b"553 bad reputation (#5.7.1)" + MARK
Answer = bytes | None | Callable[[socket.socket], None]


class PolicyServer:
    """Gives each request of its one connection the next answer; None: closes. `requests` are kept."""

    def __init__(self, answers: Sequence[Answer], host: str = "127.0.0.1") -> None:
        self.answers, self.requests = answers, []
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._socket = socket.create_server((host, 0), family=family)
        port = self._socket.getsockname()[1]
        self.name = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        self.connections: list[socket.socket] = []
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            connection, _ = self._socket.accept()
        except OSError:
            return
        self.connections.append(connection)
        connection.settimeout(LIMIT_S)
        buffered = b""
        try:
            for answer in self.answers:
                while b"\n\n" not in buffered:
                    piece = connection.recv(65536)
                    if not piece:
                        return
                    buffered += piece
                request, buffered = buffered.split(b"\n\n", 1)
                self.requests.append(request)
                if answer is None:
                    break
                answer(connection) if callable(answer) else connection.sendall(answer)
            else:
                connection.recv(1)
        except OSError:
            pass
        finally:
            connection.close()

    def __enter__(self) -> PolicyServer:
        return self

    def __exit__(self, *_: object) -> None:
        for connection in self.connections:
            connection.close()
        self._socket.close()


def recipients(s: Session, count: int) -> list[bytes]:
    """The answers to MAIL and to `count` recipients."""
    s.reply()
    assert s.ask(b"MAIL FROM:<a@b> SIZE=1") == OK
    return [s.ask(b"RCPT TO:<%d@d> X=1" % number) for number in range(count)]


def quit_well(s: Session) -> None:
    assert s.ask(b"QUIT") == b"221 bye" + MARK
    assert s.wait() == 7
    assert s.no_process_left()


@pytest.fixture(params=[THEIRS, None], ids=["original", "ours"])
def either(request: pytest.FixtureRequest, ours: Program) -> Program:
    return ours if request.param is None else require_program(request.param)


@pytest.mark.parametrize(("answer", "reply"), [
    (DUNNO, OK), (b"ACTION=DUNNO\n\n", OK), (b"action=dunno, really\n\n", OK), (REJECT, NEVER), (DEFER, LATER),
    (b"action=OK\n\n", LATER), (b"\n", LATER), (b"dunno\n\n", LATER),
])  # fmt: skip
def test_an_answer(tmp_path: Path, either: Program, answer: bytes, reply: bytes) -> None:
    with PolicyServer([answer]) as server, Session(tmp_path, ["-v", "-g", server.name], program=either) as s:
        assert recipients(s, 1) == [reply]
        quit_well(s)
        # without a name, postgrey lets everyone pass; the original gives none
        name = b"" if either is THEIRS else b"client_name=unknown\n"
        assert server.requests == [
            b"request=smtpd_access_policy\nclient_address=192.0.2.1\n%bsender=<a@b>\nrecipient=<0@d>" % name
        ]
        told = [b"RCPT TO:<0@d> X=1\r\n"] if reply == OK else []
        assert s.record() == [b"MAIL FROM:<a@b> SIZE=1\r\n", *told, b"QUIT\r\n"]
        warned = [] if reply == OK else ["F=<a@b> T=<0@d>: " + reply.decode().replace("\r\n", "\\r\\n")]
        assert s.texts("warning") == warned


def test_each_answer_counts_once(tmp_path: Path, ours: Program) -> None:
    """One connection for the session; the answers may be slow, in pieces, or lack their empty line."""

    def drip(connection: socket.socket) -> None:
        for byte in DUNNO:
            connection.sendall(bytes([byte]))

    answers: list[Answer] = [DEFER, DUNNO, b"action=reject\n", DUNNO, b"action=dunno\r\nx=y\r\n\r\n", drip, DEFER]
    with PolicyServer(answers) as server, Session(tmp_path, ["-g", server.name], program=ours) as s:
        assert recipients(s, 7) == [LATER, OK, NEVER, OK, OK, OK, LATER]
        quit_well(s)
        assert len(server.requests) == 7


def test_ten_kilobytes_behind_a_verdict(tmp_path: Path, ours: Program) -> None:
    """Lines that an answer has besides its verdict, and that come late, decide nothing for the next recipient."""

    def late(connection: socket.socket) -> None:
        connection.sendall(b"action=dunno\nx=" + b"y" * 4000)
        server.rest_due.wait(LIMIT_S)
        connection.sendall(b"y\n" + b"x=action=reject\n" * 400 + b"\n")

    class Late(PolicyServer):
        rest_due = threading.Event()

    with Late([late, REJECT, DUNNO]) as server, Session(tmp_path, ["-c", "-g", server.name], program=ours) as s:
        s.reply()
        assert s.ask(b"MAIL FROM:<a@b>") == OK
        assert s.ask(b"RCPT TO:<0@d>") == OK
        s.send(b"RCPT TO:<1@d>\r\n")
        server.rest_due.set()
        assert s.reply() == NEVER
        assert s.ask(b"RCPT TO:<2@d>") == OK
        quit_well(s)


def test_over_ipv6_and_with_unknown_addresses(tmp_path: Path, ours: Program) -> None:
    unknown = {"TCPREMOTEIP": None}
    with PolicyServer([DUNNO], "::1") as server:
        with Session(tmp_path, ["-v", "-g", server.name], program=ours, env=unknown) as s:
            assert recipients(s, 1) == [OK]
            quit_well(s)
            assert s.texts("warning") == ["connectioninfo_get() failed"]
        assert b"client_address=::\n" in server.requests[0]


def test_the_address_comes_from_the_socket(tmp_path: Path, ours: Program) -> None:
    with PolicyServer([DUNNO]) as server:
        options = ["-v", "-g", server.name]
        with Session(tmp_path, options, program=ours, family="tcp", env={"TCPREMOTEIP": None}) as s:
            assert recipients(s, 1) == [OK]
            quit_well(s)
        assert b"client_address=127.0.0.1\n" in server.requests[0]


def test_a_name(tmp_path: Path, ours: Program) -> None:
    with PolicyServer([DUNNO]) as server:
        name = server.name.replace("127.0.0.1", "localhost")
        with Session(tmp_path, ["-vv", "-g", name], program=ours) as s:
            assert recipients(s, 1) == [OK]
            quit_well(s)


@pytest.mark.parametrize("name", ["no-such-host.invalid:1", ":1", "a b:1", "-h:1"])
@pytest.mark.parametrize("letter", ["-c", "-C"])
def test_a_name_that_is_none(tmp_path: Path, ours: Program, name: str, letter: str) -> None:
    """111 also with -C, as a name that is wrong is no trouble that passes; prog does not run."""
    with Session(tmp_path, [letter, "-g", name], program=ours) as s:
        assert s.rest() == b""
        assert s.wait() == 111
        assert s.texts("fatal") == [f"unable to resolve host '{name.rpartition(':')[0]}': name not exist"]
        assert s.recorded.read_text() == ""
        assert s.no_process_left()


# --- down ---


@pytest.mark.parametrize("host", ["127.0.0.1", "[::1]", "[127.0.0.1]"])
def test_down(tmp_path: Path, ours: Program, host: str) -> None:
    name = f"{host}:{free_port()}"
    with Session(tmp_path, ["-v", "-g", name], program=ours) as s:
        assert recipients(s, 2) == [OK, OK]
        quit_well(s)
        lines = [(line.level, line.text, line.errno) for line in s.log()]
        plain = name.replace("[127.0.0.1]", "127.0.0.1")
        refused = "connection refused"
        assert lines == [
            ("warning", f"unable to connect to {plain}", refused), ("warning", f"unable to connect to {name}", refused)
        ]  # fmt: skip


def test_down_and_closed(tmp_path: Path, ours: Program) -> None:
    name = f"127.0.0.1:{free_port()}"
    with Session(tmp_path, ["-c", "-g", name], program=ours) as s:
        assert s.rest() == b""
        assert s.wait() == 111
        assert [(line.level, line.text, line.errno) for line in s.log()] == [
            ("fatal", f"unable to connect to {name}", "connection refused")
        ]
        assert s.recorded.read_text() == "", "prog does not run"
        assert s.no_process_left()


@pytest.fixture
def unreachable() -> Iterator[str]:
    """The address of a listener whose queue is full, so that a connect waits."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as listener:
        address = listener.getsockname()
        waiting = []
        for _ in range(4):
            one = socket.socket()
            one.setblocking(False)
            one.connect_ex(address)
            waiting.append(one)
        yield f"127.0.0.1:{address[1]}"
        for one in waiting:
            one.close()


@pytest.mark.parametrize("letter", ["-c", "-C"])
def test_a_connect_that_never_ends(tmp_path: Path, ours: Program, unreachable: str, letter: str) -> None:
    with Session(tmp_path, ["-v", "-T1", letter, "-g", unreachable], program=ours) as s:
        start = time.monotonic()
        if letter == "-C":
            assert recipients(s, 1) == [OK]
            quit_well(s)
        else:
            assert s.rest() == b""
            assert s.wait() == 111
        assert 0.9 < time.monotonic() - start < 2.5
        last = s.log()[-1]
        level = "fatal" if letter == "-c" else "warning"
        assert (last.level, last.text, last.errno) == (level, f"unable to connect to {unreachable}", "timed out")


# --- broken in the middle ---


def slow(connection: socket.socket) -> None:
    connection.settimeout(LIMIT_S)
    connection.recv(1)


def half(connection: socket.socket) -> None:
    connection.sendall(b"action=du")
    connection.close()


def long(connection: socket.socket) -> None:
    connection.sendall(b"x" * 10000 + b"\n\n")


def reset(connection: socket.socket) -> None:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    connection.close()


TROUBLE = [
    (slow, "read from '{}' failed", "timed out"),
    (half, "read from '{}' failed", None),
    (None, "read from '{}' failed", None),
    (long, "answer from '{}' is too long", None),
    (reset, "read from '{}' failed", "connection reset"),
]


@pytest.mark.parametrize(("answer", "text", "errno"), TROUBLE)
def test_trouble_is_passed_over(tmp_path: Path, ours: Program, answer: Answer, text: str, errno: str | None) -> None:
    """-C, the default: a warning for each recipient that was not judged."""
    with PolicyServer([DUNNO, answer]) as server, \
            Session(tmp_path, ["-v", "-T1", "-g", server.name], program=ours) as s:
        start = time.monotonic()
        assert recipients(s, 3) == [OK, OK, OK]
        quit_well(s)
        assert time.monotonic() - start < 2.5
        text = text.format(server.name)
        lines = [(line.level, line.text, line.errno) for line in s.log()]
        assert lines == [("warning", text, errno), ("warning", text, None)]


@pytest.mark.parametrize(("answer", "text", "errno"), TROUBLE)
def test_trouble_ends_the_session(tmp_path: Path, ours: Program, answer: Answer, text: str, errno: str | None) -> None:
    """-c: a fatal line, 111, and no reply."""
    with PolicyServer([DUNNO, answer]) as server, \
            Session(tmp_path, ["-T1", "-c", "-g", server.name], program=ours) as s:
        s.send(b"MAIL FROM:<a@b>\r\n" + b"RCPT TO:<c@d>\r\n" * 2)
        assert s.rest() == b"220 hello" + MARK + OK + OK
        assert s.wait() == 111
        lines = [(line.level, line.text, line.errno) for line in s.log()]
        assert lines == [("fatal", text.format(server.name), errno)]
        assert s.record() == [b"MAIL FROM:<a@b>\r\n", b"RCPT TO:<c@d>\r\n"]
        assert s.no_process_left()


@pytest.mark.parametrize("trouble", ["down", "closes", "slow"])
@pytest.mark.parametrize("letter", ["-C", "-c"])
def test_trouble_as_the_original(tmp_path: Path, ours: Program, trouble: str, letter: str) -> None:
    """What client and server get, and the exit code."""
    require_program(THEIRS)
    found = []
    for program in (THEIRS, ours):
        with PolicyServer([None if trouble == "closes" else slow]) as server:
            name = f"127.0.0.1:{free_port()}" if trouble == "down" else server.name
            with Session(tmp_path, ["-T1", letter, "-g", name], program=program) as s:
                with contextlib.suppress(BrokenPipeError):  # it may have ended by now
                    s.send(b"MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nDATA\r\nx\r\n.\r\nQUIT\r\n")
                found.append((s.rest(), s.wait(), s.record(), len(s.texts("fatal"))))
    assert found[0] == found[1]


def test_one_of_several_addresses_is_enough(tmp_path: Path, ours: Program) -> None:
    """localhost is two addresses on most machines; a server on one of them is found."""
    for host in ("127.0.0.1", "::1"):
        with PolicyServer([DEFER], host) as server:
            name = "localhost:" + server.name.rpartition(":")[2]
            addresses = {row[4][0] for row in socket.getaddrinfo("localhost", None)}
            if host not in addresses:
                continue
            with Session(tmp_path, ["-g", name], program=ours) as s:
                assert recipients(s, 1) == [LATER]
                quit_well(s)


# --- names ---


@pytest.mark.parametrize("letter", ["-c", "-C"])
def test_a_name_server_that_never_answers(tmp_path: Path, ours: Program, letter: str) -> None:
    """The step's time is over: a fatal line in both cases, as for a name that is wrong; prog does not run."""
    with name_server(None) as address:
        before = private_names(tmp_path, server=address, options="timeout:30 attempts:5")
        start = time.monotonic()
        with Session(tmp_path, ["-T1", letter, "-g", "grey.example:1"], program=ours, before=before) as s:
            assert s.rest() == b""
            assert s.wait() == 111
            assert time.monotonic() - start < 2.5
            assert [(line.level, line.text, line.errno) for line in s.log()] == [
                ("fatal", "unable to resolve host 'grey.example' or port '1'", "timed out")
            ]
            assert s.recorded.read_text() == ""
            assert s.no_process_left()


def test_sigterm_while_the_name_is_looked_up(tmp_path: Path, ours: Program) -> None:
    with name_server(None) as address:
        before = private_names(tmp_path, server=address, options="timeout:30 attempts:5")
        with Session(tmp_path, ["-vv", "-T9", "-g", "grey.example:1"], program=ours, before=before) as s:
            deadline = Deadline()
            while not any(b"ahosts" in cmdline(pid) for pid in children(s.popen.pid)):
                assert not deadline.over()
                os.sched_yield()
            s.signal(signal.SIGTERM)
            assert s.wait() == 111
            assert s.texts() == ["signal received"]
            assert s.no_process_left()


def test_ten_addresses_of_which_one_works(tmp_path: Path, ours: Program) -> None:
    """Eight keep silent, one refuses, the last one is the server."""
    ten = [f"127.78.0.{number}" for number in range(1, 11)]
    with PolicyServer([DEFER], ten[9]) as server, contextlib.ExitStack() as stack:
        port = int(server.name.rpartition(":")[2])
        for silent in ten[:8]:
            stack.enter_context(black_hole(silent, port))
        before = private_names(tmp_path, "".join(f"{one} many\n" for one in ten))
        start = time.monotonic()
        with Session(tmp_path, ["-c", "-T5", "-g", f"many:{port}"], program=ours, before=before) as s:
            assert recipients(s, 1) == [LATER]
            quit_well(s)
        assert time.monotonic() - start < 5, "all are tried at once"


# --- the real thing ---


def test_postgrey(tmp_path: Path, ours: Program, request: pytest.FixtureRequest) -> None:
    """A new triplet is put off, and accepted when it comes again after the delay; both over one connection each."""
    postgrey = require_peer("postgrey")
    port = free_port()
    account = next((entry for entry in pwd.getpwall() if entry.pw_name == "postgrey"), pwd.getpwnam("nobody"))
    # not below tmp_path, whose parents are closed to others
    folder = tempfile.mkdtemp()
    request.addfinalizer(lambda: shutil.rmtree(folder))
    os.chown(folder, account.pw_uid, account.pw_gid)
    nobody_listed = tmp_path / "whitelist"
    nobody_listed.write_text("")
    words = [postgrey, f"--inet=127.0.0.1:{port}", f"--dbdir={folder}", "--delay=1", "--group=nogroup",
             f"--user={account.pw_name}", f"--whitelist-clients={nobody_listed}",
             f"--whitelist-recipients={nobody_listed}"]  # fmt: skip
    with server_process(words, port):
        name = f"127.0.0.1:{port}"
        with Session(tmp_path, ["-v", "-c", "-g", name], program=ours) as s:
            assert recipients(s, 2) == [LATER, LATER]
            quit_well(s)
            first = time.monotonic()
        while time.monotonic() - first < 2:  # postgrey's own clock has whole seconds
            threading.Event().wait(0.1)
        with Session(tmp_path, ["-v", "-c", "-g", name], program=ours) as s:
            assert recipients(s, 3) == [OK, OK, LATER]
            quit_well(s)
            assert s.texts("warning") == ["F=<a@b> T=<2@d>: 450 greylisted (#4.3.0) [ID]\\r\\n"]
