"""The filter behind the jail: what a conquered net or key might call ends it by SIGSYS, what the loops need does not.

The attacks run in a process of their own that has taken the very filter, as the user that started us; the processes
of a connection are seen to be under a filter through /proc.
"""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from bearwrap import _bear
from tests.certs import Certs
from tests.client.peers import server_context
from tests.client.tlsc import Tlsc
from tests.harness import ROOT, Wrapped, needs_root, proc_status, read_exactly

if b"__asan_init" in Path(_bear.__file__).read_bytes():
    pytest.skip("a build with sanitizers has no filter", allow_module_level=True)

CHILD = """
import sys
sys.path.insert(0, sys.argv[1])
import ctypes, fcntl, mmap, os, resource, socket, termios, time
from bearwrap import _bear
libc = ctypes.CDLL(None, use_errno=True)
far = socket.create_server(("127.0.0.1", 0))
near = socket.create_connection(far.getsockname())
there = far.accept()[0]
read_end, write_end = os.pipe()
code = compile(sys.argv[3], "attack", "eval")
_bear.limit_system_calls(sys.argv[2] == "net")
eval(code)
os.write(1, b"survived")
os._exit(0)
"""
EVERYBODY = {
    "socket": "socket.socket()",
    "openat": "os.open('/', 0)",
    "execve": "os.execv('/bin/true', ['true'])",
    "fork": "os.fork()",
    "ptrace": "libc.ptrace(16, os.getppid(), None, None)",
    "process_vm_readv": "libc.process_vm_readv(1, None, 0, None, 0, 0)",
    "kill": "os.kill(0, 0)",
    "prlimit": "resource.prlimit(0, resource.RLIMIT_CORE)",
    "connect": "near.connect(far.getsockname())",
    "connect to nowhere": "libc.connect(near.fileno(), bytes(16), 16)",
    "bind": "near.bind(('127.0.0.1', 0))",
    "sendto": "near.send(b'x')",
    "dup": "os.dup(0)",
    "a signal by fcntl": "fcntl.fcntl(read_end, fcntl.F_SETOWN, 1)",
    "a terminal's input by ioctl": "libc.ioctl(0, termios.TIOCSTI, b'x')",
    "executable memory": "mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_EXEC)",
    "pages to merge": "mmap.mmap(-1, 4096).madvise(mmap.MADV_MERGEABLE)",
    "pages to be read first": "mmap.mmap(-1, 4096).madvise(mmap.MADV_WILLNEED)",
    "setuid": "os.setuid(0)",
    "prctl": "libc.prctl(4, 1, 0, 0, 0)",
    "unshare": "libc.unshare(0x10000000)",
}
KEY = {
    "shutdown": "near.shutdown(2)",
    "wait4": "os.wait4(-1, 1)",
    "epoll_ctl": "libc.epoll_ctl(0, 1, 0, None)",
    "F_SETSIG": "fcntl.fcntl(read_end, 10, 0)",
}
NET = {"a wider pipe": "fcntl.fcntl(read_end, fcntl.F_SETPIPE_SZ, 131072)"}
GOOD = {
    "net": ["os.read(0, 1)", "os.write(write_end, b'x')", "near.shutdown(2)", "near.getpeername()",
            "fcntl.fcntl(read_end, 10, 0)", "fcntl.ioctl(near.fileno(), termios.TIOCOUTQ, bytes(4))", "bytes(10000000)",
            "os.getrandom(8)", "there.recv(0)", "time.monotonic()", "libc.epoll_ctl(0, 1, 0, None)",
            "mmap.mmap(-1, 4096).madvise(mmap.MADV_DONTNEED)", "mmap.mmap(-1, 4096).madvise(mmap.MADV_REMOVE)"],
    "key": ["os.read(0, 1)", "os.writev(write_end, [b'x', b'y'])", "bytes(10000000)", "there.recv(0)", "time.time()",
            "fcntl.fcntl(read_end, fcntl.F_SETPIPE_SZ, 131072)"],
}  # fmt: skip


def attempt(who: str, attack: str) -> tuple[int, bytes]:
    """Exit code and output of the child."""
    words = [sys.executable, "-ISBc", CHILD, str(ROOT), who, attack]
    done = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, check=False, timeout=60)
    return done.returncode, done.stdout


ATTACKS = [*(("net", name) for name in EVERYBODY | NET), *(("key", name) for name in EVERYBODY | KEY)]


@pytest.mark.parametrize(("who", "name"), ATTACKS)
def test_an_attack_ends_the_process(who: str, name: str) -> None:
    assert attempt(who, (EVERYBODY | NET | KEY)[name]) == (-signal.SIGSYS, b"")


@pytest.mark.parametrize(("who", "call"), [(who, call) for who, calls in GOOD.items() for call in calls])
def test_what_the_loops_need(who: str, call: str) -> None:
    assert attempt(who, call) == (0, b"survived")


def filtered(pid: int) -> bool:
    return proc_status(pid)["Seccomp"] == "2"


@needs_root
def test_a_server_is_filtered(certs: Certs) -> None:
    """net and key, not prog."""
    with Wrapped(["-f", str(certs.server("p256"))], ["cat"]) as wrapped, wrapped.tls() as tls:
        tls.sendall(b"here")
        assert read_exactly(tls, 4) == b"here"
        found = wrapped.processes()
        assert found.key is not None and found.prog is not None
        assert [filtered(pid) for pid in (found.net, found.key, found.prog)] == [True, True, False]


def test_a_client_is_filtered(certs: Certs) -> None:
    with Tlsc(["-k", "localhost"], ["sh", "-c", "cat <&6 >&7 & wait"], env={"CAFILE": certs.ca}) as run:
        tls = run.serve(server_context(certs.server("p256")))
        tls.sendall(b"here")
        assert read_exactly(tls, 4) == b"here"
        found = run.processes()
        assert found.key is not None and found.prog is not None
        assert [filtered(pid) for pid in (found.net, found.key, found.prog)] == [True, True, False]


def test_the_table_names_every_call_once() -> None:
    """But for one that may have several values of an argument."""
    source = (ROOT / "src" / "syscalls.h").read_text()
    always = re.sub(r"#ifdef BEARWRAP_TEST_HOOKS.*?#endif", "", source, flags=re.S)
    names = re.findall(r"\bSYS_(\w+), (?!0xffffffff)", always)
    assert len(names) == len(set(names)) > 20
    bound = re.findall(r"\bSYS_(\w+), (0xffffffff, \w+)", always)
    assert len(bound) == len(set(bound)) and not set(names) & {name for name, _ in bound}
