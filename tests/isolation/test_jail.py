"""The jail of net and key as root sees it through /proc: user, root, limits, dumps, and every single descriptor."""

from __future__ import annotations

import fcntl
import os
import pwd
import socket
from collections import Counter
from pathlib import Path

import pytest

from tests.certs import Certs
from tests.harness import OURS, Mailbox, Wrapped, needs_root, proc_status, read_exactly

from .connection import reading, ready
from .descriptors import Descriptor, census, descriptors

pytestmark = needs_root

UID_BASE = 141500000  # tlswrapper's range: base + pid
MEMORY_MOST = 128 << 20
NOBODY = pwd.getpwnam("nobody")
SOCKET, PIPE_R, PIPE_W = ("socket", "rw"), ("pipe", "r"), ("pipe", "w")
EVENTFD, EPOLL, SIGNALFD = ("eventfd", "rw"), ("eventpoll", "rw"), ("signalfd", "rw")

# client in and out, the port; stderr and the killer pipe's two ends; both wake-ups
NET_HOLDS = Counter({SOCKET: 3, PIPE_W: 2, PIPE_R: 1, SIGNALFD: 1, EPOLL: 1, EVENTFD: 2})
# the port; stderr and prog's stdin; prog's stdout; both wake-ups
KEY_HOLDS = Counter({SOCKET: 1, PIPE_W: 2, PIPE_R: 1, EPOLL: 1, EVENTFD: 2})


@pytest.fixture(params=["own uids", "-j nobody"])
def account(request: pytest.FixtureRequest) -> str | None:
    """The value of -j, or none."""
    return "nobody" if request.param.startswith("-j") else None


def options(certs: Certs, account: str | None, jail: Path) -> list[str]:
    return ["-vv", "-J", str(jail), *(["-j", account] if account else []), "-f", str(certs.server("p256"))]


@pytest.fixture
def jail(tmp_path: Path) -> Path:
    """An empty folder to jail in."""
    folder = tmp_path / "empty"
    folder.mkdir(mode=0o755)
    return folder


def started(wrapped: Wrapped) -> tuple[int, int, int]:
    """A whole handshake, and data through prog (`cat`): net, key and prog are at their work."""
    tls = wrapped.tls()
    tls.sendall(b"here")
    assert read_exactly(tls, 4) == b"here"
    found = wrapped.processes()
    assert found.key is not None and found.prog is not None, found
    return found.net, found.key, found.prog


def limits(pid: int) -> dict[str, tuple[str, str]]:
    """Name to (soft, hard), as /proc/PID/limits says them."""
    found = {}
    for line in Path(f"/proc/{pid}/limits").read_text().splitlines()[1:]:
        name, soft, hard = line[:26].strip(), *line[26:].split()[:2]
        found[name] = (soft, hard)
    return found


def check_process(pid: int, account: str | None, jail: Path) -> None:
    """User, groups, capabilities, root, limits and dumps of one jailed process."""
    status = proc_status(pid)
    uid, gid = (NOBODY.pw_uid, NOBODY.pw_gid) if account else (UID_BASE + pid, UID_BASE + pid)
    groups = os.getgrouplist("nobody", gid) if account else [gid]
    assert status["Uid"].split() == [str(uid)] * 4
    assert status["Gid"].split() == [str(gid)] * 4
    assert sorted(map(int, status["Groups"].split())) == sorted(groups)
    for name in ("CapInh", "CapPrm", "CapEff", "CapAmb"):
        assert int(status[name], 16) == 0, name
    assert status["NoNewPrivs"] == "1"

    assert os.readlink(f"/proc/{pid}/root") == str(jail)
    assert os.readlink(f"/proc/{pid}/cwd") == str(jail)

    limit = limits(pid)
    for name in ("Max open files", "Max processes", "Max core file size"):
        assert limit[name] == ("0", "0"), name
    for name in ("Max data size", "Max address space"):
        assert all(0 < int(value) <= MEMORY_MOST for value in limit[name]), (name, limit[name])

    # a process that may be dumped owns its files in /proc, one that may not has them owned by root
    for name in ("mem", "maps", "environ", "fd", "exe"):
        assert os.lstat(f"/proc/{pid}/{name}").st_uid == 0, f"{name}: dumpable"


def test_jailed_processes(certs: Certs, account: str | None, jail: Path) -> None:
    """Both jailed processes; net already while it waits for the first byte of a stranger."""
    with Wrapped(options(certs, account, jail), ["cat"], program=OURS) as wrapped:
        net, _, _ = ready(wrapped)
        check_process(net, account, jail)
        _, key, _ = started(wrapped)
        check_process(net, account, jail)
        check_process(key, account, jail)
        if not account:
            assert proc_status(net)["Uid"] != proc_status(key)["Uid"]
        assert not list(jail.iterdir())


def test_prog_is_not_jailed(certs: Certs, account: str | None, jail: Path) -> None:
    """prog keeps what the super-server had: user, root, limits, privileges."""
    with Wrapped(options(certs, account, jail), ["cat"], program=OURS) as wrapped:
        _, _, prog = started(wrapped)
        own, theirs = proc_status(os.getpid()), proc_status(prog)
        for name in ("Uid", "Gid", "Groups", "CapPrm", "CapEff", "CapBnd", "NoNewPrivs", "Seccomp", "SigBlk", "SigIgn"):
            assert name == "SigIgn" or theirs[name] == own[name], name
        assert os.readlink(f"/proc/{prog}/root") == "/"
        assert os.readlink(f"/proc/{prog}/cwd") == os.getcwd()
        assert limits(prog) == limits(os.getpid())


def targets(found: dict[int, Descriptor], kind: str) -> set[str]:
    return {fd.target for fd in found.values() if fd.kind == kind}


def test_descriptors_at_work(certs: Certs, account: str | None, jail: Path) -> None:
    """While data flows each process holds exactly what it needs, and only net the client's socket."""
    with Wrapped(options(certs, account, jail), ["cat"], program=OURS) as wrapped:
        net, key, prog = map(descriptors, started(wrapped))
        assert census(net) == NET_HOLDS, list(map(str, net.values()))
        assert census(key) == KEY_HOLDS, list(map(str, key.values()))
        assert sorted(prog) == [0, 1, 2], list(map(str, prog.values()))
        assert net[0].target == net[1].target

        client = net[0].target
        assert client not in targets(key, "socket") | targets(prog, "socket")
        assert len(targets(net, "socket")) == 2 and len(targets(key, "socket")) == 1
        assert not targets(net, "socket") & targets(key, "socket")  # the two ends of the port

        stderr = net[2].target
        assert stderr == key[2].target == prog[2].target
        assert (prog[0].mode, prog[1].mode) == ("r", "w")
        assert {prog[0].target, prog[1].target} == targets(key, "pipe") - {stderr}
        assert not {prog[0].target, prog[1].target} & targets(net, "pipe")
        for found in (net, key):
            assert not [str(fd) for fd in found.values() if fd.target.startswith("/")], "an open file"


def test_descriptors_while_waiting(certs: Certs, jail: Path) -> None:
    """Before the handshake: prog waits on its stdin, which is key's alone, and nobody but net has the socket."""
    with Wrapped(options(certs, None, jail), ["cat"], program=OURS) as wrapped:
        net, key, prog = map(descriptors, map(reading, ready(wrapped)))
        assert census(net) == NET_HOLDS, list(map(str, net.values()))
        assert census(key) == KEY_HOLDS, list(map(str, key.values()))
        assert net[0].target not in targets(key, "socket") | targets(prog, "socket")
        reads, writes = ({fd.target for fd in prog.values() if fd.mode == mode and fd.kind == "pipe"} for mode in "rw")
        assert len(reads) == 1 and reads <= targets(key, "pipe")
        assert not reads & writes, "prog holds the pipe on which it waits open itself"
        assert not reads & targets(net, "pipe"), "net could start prog, or write to it"


def test_inherited_descriptors(certs: Certs, account: str | None, jail: Path, tmp_path: Path) -> None:
    """What the super-server leaves open is prog's: neither net nor key has it, whatever its number."""
    ends = socket.socketpair()
    with open(tmp_path / "file", "w") as file, ends[0], ends[1]:
        extra = [fcntl.fcntl(what, fcntl.F_DUPFD, least) for what in (file, ends[0]) for least in (7, 60, 500)]
        try:
            with Wrapped(options(certs, account, jail), ["cat"], program=OURS, pass_fds=extra) as wrapped:
                net, key, prog = map(descriptors, started(wrapped))
        finally:
            for number in extra:
                os.close(number)
        assert set(extra) <= prog.keys(), list(map(str, prog.values()))
        assert census(net) == NET_HOLDS, list(map(str, net.values()))
        assert census(key) == KEY_HOLDS, list(map(str, key.values()))


def test_descriptors_after_a_late_start(certs: Certs, jail: Path, mailbox: Mailbox) -> None:
    """-n: once TLS has begun, net has none of prog's pipes any more, nor key a second one."""
    script = f"echo 220 go; printf '\\0' >&5; head -c 1 <&6 >/dev/null; echo started > {mailbox.path}; exec cat"
    with Wrapped(["-n", *options(certs, None, jail)], ["sh", "-c", script], program=OURS) as wrapped:
        assert wrapped.client.recv(7, socket.MSG_WAITALL) == b"220 go\n"
        assert mailbox.line() == "started"
        net, key, prog = map(descriptors, started(wrapped))
        assert census(net) == NET_HOLDS, list(map(str, net.values()))
        assert census(key) == KEY_HOLDS, list(map(str, key.values()))
        assert not {prog[0].target, prog[1].target} & targets(net, "pipe")
