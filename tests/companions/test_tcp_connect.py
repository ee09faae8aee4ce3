"""tlswrapper-tcp: reaching the host - many addresses, name services that lie or keep silent, the deadline, the jail."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import socket
import struct
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.companions.tcp import TOOL, Tcp, accept, black_hole, host, joined, name_server, private_names
from tests.harness import Deadline, Program, children, cmdline, ending, free_port, needs_root, proc_status, require_peer
from tests.procs import marked

pytestmark = needs_root
SLOWLY = f"#!{os.path.realpath(sys.executable)} -IS\nimport os, time\n"  # the resolver may not fork, so no sleep(1)
TEN = [f"127.77.0.{number}" for number in range(1, 11)]


def lines(w: Tcp, *levels: str) -> list[tuple[str, str, str | None]]:
    return [(line.level, line.text, line.errno) for line in w.log(*levels)]


# --- addresses ---


@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
def test_refused(program: Program, address: str) -> None:
    with socket.create_server((address, 0), family=socket.AF_INET6 if ":" in address else socket.AF_INET) as probe:
        port = probe.getsockname()[1]
    with Tcp(["-v", address, port], program=program) as w:
        assert ending(w.client) == (b"", "eof")
        assert w.wait() == 111
        where = f"[{address}]" if ":" in address or not program.ours else address
        assert lines(w) == [
            ("warning", f"unable to connect to {where}:{port}", "connection refused"),
            ("fatal", f"unable to connect to {address}:{port}", "connection refused"),
        ]
        assert w.log()[0].ip == "127.0.0.1", "the client's address"
        assert w.no_process_left()


def test_what_is_logged_of_a_connection(ours: Program) -> None:
    with host() as (listener, words), Tcp(["-vv", *words], program=ours) as w:
        accept(listener).close()
        w.client.close()
        assert w.wait() == 0
        where = ":".join(words)
        assert [(line.level, line.text, line.ip, line.where) for line in w.log()] == [
            ("debug", words[0], words[0], "{tcp}"),  # HOST: ADDRESS, which looks like an address before a text
            ("debug", f"sending connect to {where}", "127.0.0.1", "{tcp}"),
            ("debug", f"connected to {where}", "127.0.0.1", "{tcp}"),
            ("info", f"connected to {where}", "127.0.0.1", "{tcp}"),
            ("debug", "finished", "127.0.0.1", "{tcp}"),
        ]


def test_one_line_at_v_and_none_by_default(program: Program) -> None:
    for options, levels in ((["-v"], ["info"]), ([], [])):
        with host() as (listener, words), Tcp([*options, *words], program=program) as w:
            accept(listener).close()
            w.client.close()
            assert w.wait() == 0
            assert [line.level for line in w.log()] == levels


@pytest.mark.parametrize("literal", ["127.0.0.1", "::ffff:127.0.0.1", "0:0::1", "127.1", "localhost", "0"])
def test_forms_of_an_address(program: Program, literal: str) -> None:
    with socket.create_server(("::", 0), family=socket.AF_INET6, dualstack_ipv6=True) as listener:
        listener.settimeout(10)
        with Tcp([literal, listener.getsockname()[1]], program=program) as w:
            w.client.sendall(b"hello")
            assert accept(listener).recv(5) == b"hello"


@pytest.mark.parametrize("name", ["", "[::1]", "::1%nowhere", "no such name", "-x.invalid", "a" * 256, "a\nb"])
def test_names_that_do_not_exist(program: Program, name: str, tmp_path: Path) -> None:
    before = private_names(tmp_path, "127.0.0.1 x\n")
    with Tcp(["-v", "--", name, 1], program=program, before=before) as w:
        assert w.wait() == 111
        escaped = name.replace("\n", r"\n")
        assert ("fatal", f"unable to resolve host '{escaped}': name not exist", None) in lines(w) or (
            not program.ours and len(name) > 255
        )
        assert w.no_process_left()


def test_a_zone(ours: Program) -> None:
    """A link-local address with its interface, as a literal; the kernel refuses loopback ones in its own words."""
    with Tcp(["-v", "-T1", "fe80::1%lo", 1], program=ours) as w:
        assert w.wait() == 111
        assert w.texts("fatal") == ["unable to connect to fe80::1%lo:1"]
        assert w.texts("warning") == ["unable to connect to [fe80::1%lo]:1"]


def test_ten_addresses_of_which_one_works(ours: Program, tmp_path: Path) -> None:
    before = private_names(tmp_path, "".join(f"{one} many\n" for one in TEN))
    for good in (TEN[0], TEN[9]):
        with socket.create_server((good, 0)) as listener:
            listener.settimeout(10)
            with Tcp(["-vv", "many", listener.getsockname()[1]], program=ours, before=before) as w:
                w.client.sendall(b"once")
                w.client.shutdown(socket.SHUT_WR)
                peer = accept(listener)
                assert ending(peer) == (b"once", "eof")
                peer.close()
                assert w.wait() == 0
                port = listener.getsockname()[1]
                assert w.texts("info") == [f"connected to many:{port}"]
                assert f"connected to {good}:{port}" in w.texts("debug")
                refused = {f"unable to connect to {one}:{port}" for one in TEN if one != good}
                assert set(w.texts("warning")) <= refused
                assert {f"many: {one}" for one in TEN} <= set(w.texts("debug"))
                assert w.no_process_left()


def test_nine_addresses_that_keep_silent_do_not_delay(ours: Program, tmp_path: Path) -> None:
    """All are tried at the same time, so only the one that answers counts."""
    before = private_names(tmp_path, "".join(f"{one} many\n" for one in TEN))
    deadline = Deadline(4)
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.create_server((TEN[6], 0)))
        listener.settimeout(10)
        port = listener.getsockname()[1]
        for one in TEN[:3]:
            stack.enter_context(black_hole(one, port))
        with Tcp(["-T9", "many", port], program=ours, before=before) as w:
            peer = accept(listener)
            w.client.sendall(b"x")
            assert peer.recv(1) == b"x"
            assert not deadline.over()


def test_all_addresses_fail(ours: Program, tmp_path: Path) -> None:
    """A warning for each, in any order, one fatal line; a silent one makes it wait for the deadline."""
    before = private_names(tmp_path, "".join(f"{one} many\n" for one in TEN))
    with black_hole(TEN[3]) as port, Tcp(["-v", "-T1", "many", port], program=ours, before=before) as w:
        deadline = Deadline(2)
        assert w.wait() == 111
        assert not deadline.over()
        reasons = {text: why for level, text, why in lines(w) if level == "warning"}
        assert reasons == {
            f"unable to connect to {one}:{port}": "timed out" if one == TEN[3] else "connection refused" for one in TEN
        }
        assert lines(w)[-1] == ("fatal", f"unable to connect to many:{port}", "timed out")
        assert w.no_process_left()


def test_more_addresses_than_are_tried(ours: Program, tmp_path: Path) -> None:
    before = private_names(tmp_path, "".join(f"127.77.1.{number} many\n" for number in range(1, 41)))
    with Tcp(["-v", "many", free_port()], program=ours, before=before) as w:
        assert w.wait() == 111
        assert len(set(w.texts("warning"))) == len(w.texts("warning")) == 16


def test_the_order_is_shuffled_and_one_ipv6_address_leads(ours: Program, tmp_path: Path) -> None:
    names = "".join(f"{one} many\n" for one in [*TEN[:6], "::1", "::ffff:127.0.0.1", "::ffff:127.77.0.1"])
    before, port = private_names(tmp_path, names), free_port()
    orders = set()
    for _ in range(4):
        with Tcp(["-vv", "many", port], program=ours, before=before) as w:
            assert w.wait() == 111
            tried = [text.split()[-1] for text in w.texts("debug") if text.startswith("sending")]
            assert tried[0] == f"[::1]:{port}"
            assert sorted(tried[1:]) == sorted(f"{one}:{port}" for one in [*TEN[:6], "127.0.0.1"])
            orders.add(tuple(tried))
    assert len(orders) > 1, "four times the same of 5,040 orders"


def test_nobody_answers(program: Program) -> None:
    with black_hole() as port, Tcp(["-v", "-T1", "127.0.0.1", port], program=program) as w:
        deadline = Deadline(2.5)
        assert w.wait() == 111
        assert not deadline.over()
        assert w.texts("fatal") == [f"unable to connect to 127.0.0.1:{port}"]
        assert w.no_process_left()


def test_sigterm_while_connecting(ours: Program) -> None:
    with black_hole() as port, Tcp(["-vv", "127.0.0.1", port], program=ours) as w:
        assert w.wait_stderr("sending connect")
        w.signal(signal.SIGTERM)
        assert w.wait(5) == 0
        assert ending(w.client) == (b"", "eof")


# --- name services ---


def test_a_real_name_server(program: Program, tmp_path: Path) -> None:
    with name_server({"web.example": ["127.0.0.1", "::1"]}) as address, host() as (listener, words):
        before = private_names(tmp_path, server=address)
        with Tcp(["-v", "web.example", words[1]], program=program, before=before) as w:
            w.client.sendall(b"x")
            assert accept(listener).recv(1) == b"x"
        with Tcp(["-v", "other.example", words[1]], program=program, before=before) as w:
            assert w.wait() == 111
            assert w.texts("fatal") == ["unable to resolve host 'other.example': name not exist"]


def resolver_of(w: Tcp) -> int:
    """The pid of the process that looks names up, once it is getent."""
    deadline = Deadline()
    while not deadline.over():
        for pid in children(w.popen.pid):
            if b"ahosts" in cmdline(pid):
                return pid
        os.sched_yield()
    raise AssertionError("no resolver")


def test_a_name_server_that_never_answers(ours: Program, tmp_path: Path) -> None:
    with name_server(None) as address:
        before = private_names(tmp_path, server=address, options="timeout:30 attempts:5")
        deadline = Deadline(2.5)
        with Tcp(["-v", "-T1", "web.example", 80], program=ours, before=before) as w:
            assert w.wait() == 111
            assert not deadline.over()
            assert lines(w) == [("fatal", "unable to resolve host 'web.example' or port '80'", "timed out")]
            assert ending(w.client) == (b"", "eof")
            assert w.no_process_left()


def test_resolving_and_connecting_have_one_deadline(ours: Program, tmp_path: Path) -> None:
    before = private_names(tmp_path, getent=f"{SLOWLY}time.sleep(1)\nos.write(1, b'127.0.0.1 STREAM x\\n')\n")
    with black_hole() as port, Tcp(["-T2", "slow", port], program=ours, before=before) as w:
        deadline = Deadline(2.9)
        assert w.wait() == 111
        assert not deadline.over()
        assert w.texts("fatal") == [f"unable to connect to slow:{port}"]


@pytest.mark.parametrize("account", [None, "nobody"])
def test_the_resolver_has_no_rights(ours: Program, tmp_path: Path, account: str | None) -> None:
    with name_server(None) as address:
        before = private_names(tmp_path, server=address, options="timeout:30 attempts:5")
        options = ["-j", account] if account else []
        with Tcp(["-T9", *options, "web.example", 80], program=ours, before=before) as w:
            pid = resolver_of(w)
            status = proc_status(pid)
            uid = "65534" if account else str(141500000 + pid)
            assert status["Uid"].split() == [uid] * 4
            assert status["Gid"].split() == [uid] * 4
            assert status["Groups"].split() == [uid]
            assert status["NoNewPrivs"] == "1"
            assert int(status["CapEff"], 16) == 0
            assert int(status["SigBlk"], 16) == 0
            fds = {}
            for fd in os.listdir(f"/proc/{pid}/fd"):
                with contextlib.suppress(FileNotFoundError):  # a file of the name service, open for a moment
                    fds[int(fd)] = os.readlink(f"/proc/{pid}/fd/{fd}")
            assert (fds[0], fds[2]) == ("/dev/null", "/dev/null")
            assert fds[1].startswith("pipe:")
            assert all(fd < 3 or not link.startswith("pipe:") for fd, link in fds.items()), "only its own sockets"
            assert re.search(r"Max processes +0 ", Path(f"/proc/{pid}/limits").read_text())


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL], ids=lambda number: number.name)
def test_a_signal_while_resolving_leaves_nothing(ours: Program, tmp_path: Path, number: signal.Signals) -> None:
    with name_server(None) as address:
        before = private_names(tmp_path, server=address, options="timeout:30 attempts:5")
        with Tcp(["-T30", "web.example", 80], program=ours, before=before) as w:
            resolver_of(w)
            w.signal(number)
            assert w.wait() == (0 if number == signal.SIGTERM else -9)
            assert ending(w.client) == (b"", "eof")
            assert w.no_process_left()


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        ("exit 2", "name not exist"),
        ("exit 1", "name not exist"),
        ("kill -9 $$", "name not exist"),
        ("echo nonsense", "name not exist"),
        ("printf '127.0.0.1 STREAM'", "name not exist"),
        ("exec >&-; exec sleep 60", "name not exist"),
        ("head -c 100000 /dev/zero", "name not exist"),
        ("echo 127.0.0.1 DGRAM; exec yes ''", "name not exist"),
        ("exec sleep 60", "or port"),
        ("echo 127.0.0.1 STREAM x; exec sleep 60", "or port"),
    ],
)
def test_a_name_service_gone_wrong(ours: Program, tmp_path: Path, script: str, reason: str) -> None:
    with Tcp(["-T1", "any", 1], program=ours, before=private_names(tmp_path, getent=f"#!/bin/sh\n{script}\n")) as w:
        assert w.wait() == 111
        (text,) = w.texts("fatal")
        assert text.startswith("unable to resolve host 'any'")
        assert reason in text
        assert w.no_process_left()


@pytest.mark.parametrize(
    "script",
    [
        "echo 127.0.0.1 STREAM; exit 3",
        "echo 127.0.0.1 STREAM; exec >&-; exec sleep 60",
        "echo 127.0.0.1 STREAM x; exec yes '127.0.0.1 STREAM x'",
        f"{SLOWLY}for n in b'127.0.0.1 STREAM any\\n127.0.0.1':\n    os.write(1, bytes([n]))\n    time.sleep(0.01)\n",
    ],
)
def test_an_answer_is_taken_however_it_comes(ours: Program, tmp_path: Path, script: str) -> None:
    before = private_names(tmp_path, getent=script if script.startswith("#!") else f"#!/bin/sh\n{script}\n")
    with host() as (listener, words), Tcp(["-T5", "any", words[1]], program=ours, before=before) as w:
        w.client.sendall(b"x")
        assert accept(listener).recv(1) == b"x"
        assert children(w.popen.pid) == []


def test_no_getent(ours: Program, tmp_path: Path) -> None:
    before = private_names(tmp_path, getent="no program at all")
    (tmp_path / "file3").chmod(0o644)
    with Tcp(["-v", "any", 1], program=ours, before=before) as w:
        assert w.wait() == 111
        assert lines(w) == [("error", "unable to run /usr/bin/getent", None),
                            ("fatal", "unable to resolve host 'any' or port '1'", None)]  # fmt: skip


# --- Unix sockets ---


@pytest.mark.parametrize("account", [None, "nobody"])
def test_a_unix_socket_sees_the_jails_account(ours: Program, account: str | None) -> None:
    options = ["-j", account] if account else []
    with host("unix") as (listener, words), Tcp(["-v", *options, *words], program=ours) as w:
        peer = accept(listener)
        pid, uid, gid = struct.unpack("3i", peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
        expected = 65534 if account else 141500000 + w.popen.pid
        assert (pid, uid, gid) == (w.popen.pid, expected, expected)
        w.client.sendall(b"there")
        assert peer.recv(5) == b"there"
        peer.sendall(b"back")
        assert w.client.recv(4) == b"back"
        assert w.wait_stderr(rf"info: 127\.0\.0\.1: connected to {re.escape(words[0])} ")


def test_a_unix_socket_that_the_account_may_not_use(ours: Program) -> None:
    with host("unix") as (_, words):
        os.chmod(words[0].removeprefix("unix:"), 0o600)
        with Tcp(words, program=ours) as w:
            assert w.wait() == 111
            assert lines(w) == [("fatal", f"unable to connect to {words[0]}", "access denied")]


def test_a_unix_socket_that_nobody_serves(ours: Program, tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    with Tcp([f"unix:{tmp_path}/none"], program=ours) as w:
        assert w.wait() == 111


def test_a_unix_socket_whose_queue_is_full(ours: Program) -> None:
    """It is tried until the deadline, and taken once there is room."""
    with host("unix") as (listener, words):
        listener.listen(0)
        filler = socket.socket(socket.AF_UNIX)
        filler.connect(words[0].removeprefix("unix:"))
        with Tcp(["-T1", *words], program=ours) as w:
            assert w.wait() == 111
            assert lines(w) == [("fatal", f"unable to connect to {words[0]}", "timed out")]
        with Tcp(["-T9", *words], program=ours) as w:
            w.client.sendall(b"x")
            accept(listener).close()
            assert accept(listener).recv(1) == b"x"
        filler.close()


# --- the jail ---


@pytest.mark.parametrize("account", [None, "nobody"])
@pytest.mark.parametrize("family", ["tcp", "unix"])
def test_the_relay_is_jailed(ours: Program, account: str | None, family: str) -> None:
    options = ["-j", account] if account else []
    inherited = os.open("/etc/passwd", os.O_RDONLY)
    with (
        host(family) as (listener, words),
        Tcp(["-T9", *options, *words], program=ours, pass_fds=[inherited]) as w,
    ):
        peer = accept(listener)
        peer.sendall(b"x")
        assert w.client.recv(1) == b"x"
        status = proc_status(w.popen.pid)
        uid = "65534" if account else str(141500000 + w.popen.pid)
        assert status["Uid"].split() == status["Gid"].split() == [uid] * 4
        assert (status["NoNewPrivs"], int(status["CapEff"], 16)) == ("1", 0)
        assert os.readlink(f"/proc/{w.popen.pid}/root") == "/var/lib/tlswrapper/empty"
        limits = Path(f"/proc/{w.popen.pid}/limits").read_text()
        for name in ("open files", "processes", "core file size"):
            assert re.search(rf"Max {name} +0 +0 ", limits), name
        links = sorted(os.readlink(f"/proc/{w.popen.pid}/fd/{fd}").partition(":")[0]
                       for fd in os.listdir(f"/proc/{w.popen.pid}/fd"))  # fmt: skip
        # 0, 1 and the host; two pipes with both ends, and descriptor 2
        assert links == ["anon_inode", "anon_inode", *["pipe"] * 5, *["socket"] * 3]
        assert children(w.popen.pid) == []
    os.close(inherited)


CALLS_IN_JAIL = {
    "clock_gettime", "close", "connect", "epoll_ctl", "epoll_wait", "exit_group", "fcntl", "fstat", "getpeername",
    "getsockname", "getsockopt", "prlimit64", "read", "setsockopt", "shutdown", "splice", "write",
}  # fmt: skip


def test_in_the_jail_nothing_is_opened(ours: Program, tmp_path: Path) -> None:
    """From the last limit on only these system calls are made, whatever the connection does."""
    trace = tmp_path / "calls"
    before = [require_peer("strace"), "-o", trace]
    with Tcp(["-vvv", "-p1", "-P1", "localhost", free_port()], program=ours, before=before) as w:
        w.client.sendall(b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n")
        assert w.wait() == 111
    with joined("-vvv", "-P1", program=ours, before=[*before, "-A"]) as (w, peer):
        peer.sendall(bytes(100_000))
        w.client.sendall(b"x")
        w.client.shutdown(socket.SHUT_WR)
        assert ending(peer)[1] == "eof"
        peer.close()
        assert ending(w.client)[1] == "eof"
        assert w.wait() == 0
    runs = trace.read_text().split("RLIMIT_NOFILE, {rlim_cur=0, rlim_max=0}")[1:]
    assert len(runs) == 2
    for run in runs:
        calls = set(re.findall(r"^(\w+)\(", run.partition("exit_group")[0], re.M))
        assert "write" in calls
        assert calls <= CALLS_IN_JAIL


@pytest.mark.parametrize("name", ["localhost", "127.0.0.1", "unix:/nonexistent"])
def test_not_root(ours: Program, name: str) -> None:
    """It says so and ends; the original hangs for ever when it must resolve a name."""

    def drop() -> None:
        os.setgroups([])
        os.setgid(65534)
        os.setuid(65534)

    with Tcp([name, "1"], program=ours, preexec=drop) as w:
        assert w.wait(3) == 111
        assert w.texts() == ["unable to create jail: not started as root"]
        assert w.no_process_left()


@pytest.mark.parametrize("missing", [0, 1])
def test_a_descriptor_that_is_not_open(ours: Program, missing: int) -> None:
    """A closed 0 is an end of input, a closed 1 takes everything; neither is given to a socket of ours."""
    close: Callable[[], None] = lambda: os.close(missing)  # noqa: E731
    with host() as (listener, words), Tcp(["-T3", *words], program=ours, preexec=close) as w:
        peer = accept(listener)
        if missing:
            w.client.sendall(b"x")
            w.client.shutdown(socket.SHUT_WR)
            assert ending(peer) == (b"x", "eof")
            peer.sendall(b"lost")
        else:
            assert ending(peer) == (b"", "eof")
            peer.sendall(b"x")
        peer.close()
        assert ending(w.client) == (b"" if missing else b"x", "eof")
        assert w.wait() == 0


def test_the_tool_is_found_by_its_name(ours: Program, tmp_path: Path) -> None:
    link = tmp_path / TOOL
    link.symlink_to(ours.path)
    with Tcp([], program=ours) as w:
        assert w.wait() == 100
        assert marked(w.mark) == set()
