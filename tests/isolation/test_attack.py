"""What a conquered net could try on key, and key on net: a helper with the very same user and groups tries it all.

The helper stands freer than net does (no chroot, no limits, /proc at hand), so what it cannot do net cannot either.
That its attempts work is shown on a process of that user which is not protected.
"""

from __future__ import annotations

import json
import os
import pwd
import subprocess
import sys
from collections.abc import Iterator

import pytest

from tests.certs import Certs
from tests.harness import OURS, Wrapped, needs_root, proc_status, read_exactly

pytestmark = needs_root

NOBODY = pwd.getpwnam("nobody")

# Prints a JSON object: attempt -> "done", or the name of the errno.
HELPER = """
import ctypes, errno, json, os, resource, sys
libc = ctypes.CDLL(None, use_errno=True)
libc.ptrace.restype = ctypes.c_long
libc.ptrace.argtypes = (ctypes.c_long,) * 2 + (ctypes.c_void_p,) * 2
pid = int(sys.argv[1])
found = {}
def attempt(name, action):
    try:
        action()
        found[name] = "done"
    except OSError as error:
        found[name] = errno.errorcode[error.errno]
def check(result):
    if result < 0:
        raise OSError(ctypes.get_errno(), "")
    return result
def ptrace(request):
    check(libc.ptrace(request, pid, None, None))
    check(libc.ptrace(17, pid, None, None) if request == 0x4206 else 0)
def peek():
    buffer = ctypes.create_string_buffer(64)
    class Vector(ctypes.Structure):
        _fields_ = [("base", ctypes.c_void_p), ("length", ctypes.c_size_t)]
    local = Vector(ctypes.addressof(buffer), 64)
    remote = Vector(0x400000, 64)
    try:
        check(libc.process_vm_readv(pid, ctypes.byref(local), 1, ctypes.byref(remote), 1, 0))
    except OSError as error:
        if error.errno != errno.EFAULT:   # allowed, only nothing lies there
            raise
def get_descriptor():
    handle = os.pidfd_open(pid)
    check(libc.syscall(438, handle, 0 if sys.argv[2:] else 2, 0))
attempt("seize", lambda: ptrace(0x4206))
attempt("process_vm_readv", peek)
attempt("pidfd_getfd", get_descriptor)
attempt("kcmp", lambda: check(libc.syscall(312, os.getpid(), pid, 2, 0, 0)))
for name, flags in (("mem", os.O_RDWR), ("mem", os.O_RDONLY), ("maps", os.O_RDONLY), ("environ", os.O_RDONLY),
                    ("auxv", os.O_RDONLY), ("syscall", os.O_RDONLY)):
    def read_proc():
        fd = os.open(f"/proc/{pid}/{name}", flags)
        if name != "mem":
            os.read(fd, 1)
    attempt(f"{name} {'rw' if flags else 'r'}", read_proc)
attempt("fd", lambda: os.listdir(f"/proc/{pid}/fd"))
attempt("cwd", lambda: os.readlink(f"/proc/{pid}/cwd"))
attempt("exe", lambda: os.open(f"/proc/{pid}/exe", os.O_RDONLY))
attempt("prlimit", lambda: resource.prlimit(pid, resource.RLIMIT_CPU))
attempt("kill", lambda: os.kill(pid, 0))
print(json.dumps(found))
"""
READING = {
    "seize", "process_vm_readv", "pidfd_getfd", "kcmp", "mem rw", "mem r", "maps r", "environ r", "auxv r",
    "syscall r", "fd", "cwd", "exe",
}  # fmt: skip
TOUCHING = {"prlimit", "kill"}  # what a shared uid allows whether the other may be dumped or not
REFUSED = {"EPERM", "EACCES"}


def attempts(pid: int, uid: int, gid: int, groups: list[int]) -> dict[str, str]:
    """What a process with this user gets when it tries on `pid`."""
    words = [os.path.realpath(sys.executable), "-ISc", HELPER, str(pid)]
    done = subprocess.run(words, user=uid, group=gid, extra_groups=groups, capture_output=True, check=True, cwd="/")
    found: dict[str, str] = json.loads(done.stdout)
    assert found.keys() == READING | TOUCHING
    return found


def ids(pid: int) -> tuple[int, int, list[int]]:
    """Effective user, group and groups of a process."""
    status = proc_status(pid)
    return int(status["Uid"].split()[1]), int(status["Gid"].split()[1]), list(map(int, status["Groups"].split()))


def allowed(found: dict[str, str]) -> set[str]:
    """The attempts that were not refused for want of permission."""
    return {name for name, result in found.items() if result not in REFUSED}


@pytest.fixture(params=["own uids", "-j nobody"])
def connected(request: pytest.FixtureRequest, certs: Certs) -> Iterator[tuple[bool, int, int, int]]:
    """A connection at work: whether net and key share a user, and the pids of net, key and prog."""
    shared = request.param.startswith("-j")
    more = ["-j", "nobody"] if shared else []
    with Wrapped([*more, "-f", str(certs.server("p256"))], ["cat"], program=OURS) as wrapped:
        tls = wrapped.tls()
        tls.sendall(b"here")
        assert read_exactly(tls, 4) == b"here"
        found = wrapped.processes()
        assert found.key is not None and found.prog is not None
        yield shared, found.net, found.key, found.prog


@pytest.mark.parametrize("direction", ["net on key", "key on net"])
def test_jailed_on_jailed(connected: tuple[bool, int, int, int], direction: str) -> None:
    """Nothing can be read, attached to or taken; with its own uid each cannot even be signalled by the other.

    With -j both have one uid, and so have all connections: signals and limits are then left to the filter of system
    calls (test_seccomp.py), which the helper does not stand under.
    """
    shared, net, key, _ = connected
    attacker, target = (net, key) if direction == "net on key" else (key, net)
    assert (ids(net)[0] == ids(key)[0]) == shared
    found = allowed(attempts(target, *ids(attacker)))
    assert not found & READING, found
    assert found == (TOUCHING if shared else set())


def test_jailed_on_prog(connected: tuple[bool, int, int, int]) -> None:
    """prog is another user's (here root's): net and key have no hand on it."""
    _, net, key, prog = connected
    for attacker in (net, key):
        assert allowed(attempts(prog, *ids(attacker))) == set()


def test_before_the_handshake(certs: Certs) -> None:
    """Key is still root while net already serves a stranger; it is out of reach as well."""
    with Wrapped(["-vv", "-j", "nobody", "-f", str(certs.server("p256"))], ["cat"], program=OURS) as wrapped:
        assert wrapped.wait_stderr(r"debug: .*\bstart\b")
        found = wrapped.processes()
        assert found.key is not None and found.prog is not None
        for target in (found.key, found.prog):
            assert allowed(attempts(target, *ids(found.net))) == set()


# Where the Yama module restricts ptrace to descendants, the victim lets everybody (PR_SET_PTRACER_ANY).
VICTIM = """
import ctypes, sys
ctypes.CDLL(None).prctl(0x59616D61, ctypes.c_ulong(-1), 0, 0, 0)
print("ready", flush=True)
sys.stdin.read()
"""


def test_the_attempts_work() -> None:
    """On a process of the same user that may be dumped all of them succeed: the refusals above mean something."""
    uid, gid = NOBODY.pw_uid, NOBODY.pw_gid
    words = [os.path.realpath(sys.executable), "-ISc", VICTIM]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(words, user=uid, group=gid, extra_groups=[], cwd="/", **pipes) as victim:  # type: ignore[call-overload]
        try:
            assert victim.stdout.readline() == b"ready\n"
            assert os.stat(f"/proc/{victim.pid}/mem").st_uid == uid
            found = attempts(victim.pid, uid, gid, [])
            assert allowed(found) == READING | TOUCHING, found
        finally:
            victim.kill()
