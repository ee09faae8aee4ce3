"""System calls after the jail: no file, no program, no process, no socket, no import; only what the loops need.

strace(1) follows a whole connection; chroot(2) marks the moment in each process. The sets below are complete: what
is not in them must not be called, so they are also what a filter may be made of.
"""

from __future__ import annotations

import re
import socket
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.certs import Certs
from tests.harness import LIMIT_S, OURS, ROOT, Program, Wrapped, client_context, needs_root, read_exactly, require_peer

pytestmark = needs_root

SCRIPT = Program("script", ROOT / "build" / "bin-script" / "tlswrapper", True)
JAILING = {"setuid", "prctl", "prlimit64"}  # the rest of jail_enter itself
MEMORY = {"brk", "mmap", "munmap", "mremap", "madvise"}
BOTH = JAILING | MEMORY | {"read", "write", "readv", "writev", "recvfrom", "epoll_wait", "close", "exit_group"}
NET = BOTH | {"getpeername", "getsockname", "getrandom", "shutdown", "wait4", "fcntl", "clock_gettime"}
NET |= {"epoll_ctl"}  # to take descriptors out of its epoll
KEY = BOTH | {"fcntl"}  # to make a pipe wider
# what the Python interpreter does between net's end and its own exit
SCRIPT_END = {"rt_sigaction", "futex", "getpid", "gettid"}


@dataclass(frozen=True)
class Call:
    """One system call, its arguments as strace writes them (cut where it was interrupted)."""

    name: str
    arguments: str


def calls(trace: Path) -> dict[int, list[Call]]:
    """pid -> its calls in order."""
    found: dict[int, list[Call]] = {}
    for line in trace.read_text(errors="replace").splitlines():
        if match := re.match(r"(\d+)\s+(\w+)\((.*)", line):
            found.setdefault(int(match[1]), []).append(Call(match[2], match[3]))
    return found


def after_chroot(done: list[Call]) -> list[Call] | None:
    """What a process called in its jail; None if it made none."""
    for at, call in enumerate(done):
        if call.name == "chroot":
            return done[at + 1 :]
    return None


@dataclass(frozen=True)
class Scenario:
    """A connection: options, prog, what the client does, and whether it ends in the jail."""

    options: Callable[[Certs, Path], list[str]]
    client: Callable[[Wrapped, Certs], None]
    prog: tuple[str, ...] = ("cat",)
    code: int = 0
    key_loads: bool = True  # else key is never asked for an identity, and stays where it was


def talk(wrapped: Wrapped, certs: Certs) -> None:
    with wrapped.tls(sni="localhost") as tls:
        tls.sendall(b"x" * 100000)
        assert len(read_exactly(tls, 100000)) == 100000


def talk_certified(wrapped: Wrapped, certs: Certs) -> None:
    with wrapped.tls(client_context(certificate=certs.client("nobody"))) as tls:
        tls.sendall(b"hello")
        assert read_exactly(tls, 5) == b"hello"


def talk_proxied(wrapped: Wrapped, certs: Certs) -> None:
    wrapped.client.sendall(b"PROXY TCP4 192.0.2.1 192.0.2.2 1024 443\r\n")
    talk(wrapped, certs)


def talk_late(wrapped: Wrapped, certs: Certs) -> None:
    assert wrapped.client.recv(3, socket.MSG_WAITALL) == b"go\n"
    talk(wrapped, certs)


def fail(wrapped: Wrapped, certs: Certs) -> None:
    wrapped.handshake_fails()


def fail_early(wrapped: Wrapped, certs: Certs) -> None:
    wrapped.handshake_fails(client_context(ciphers="AES128-SHA"))


def leave(wrapped: Wrapped, certs: Certs) -> None:
    with wrapped.tls() as tls:
        tls.sendall(b"hello")


def plain(certs: Certs, folder: Path) -> list[str]:
    return ["-f", str(certs.server("rsa2048"))]


LATE = "echo go; printf '\\0' >&5; head -c 1 <&6 >/dev/null; exec cat"
SCENARIOS = {
    "plain": Scenario(plain, talk),
    "at -vvv": Scenario(lambda certs, folder: ["-vvv", *plain(certs, folder)], talk),
    "server name": Scenario(
        lambda certs, folder: ["-d", str(certs.directory(folder / "d", {"localhost": "p256"}))], talk
    ),
    "-j": Scenario(lambda certs, folder: ["-j", "nobody", *plain(certs, folder)], talk),
    "-u": Scenario(lambda certs, folder: ["-u", "nobody", *plain(certs, folder)], talk),
    "client certificate": Scenario(
        lambda certs, folder: ["-a", str(certs.client_ca), "-U", "commonName", *plain(certs, folder)], talk_certified
    ),
    "PROXY line": Scenario(lambda certs, folder: ["-p1", *plain(certs, folder)], talk_proxied),
    "delayed": Scenario(
        lambda certs, folder: ["-n", *plain(certs, folder)], talk_late, ("sh", "-c", LATE)
    ),
    "rest": Scenario(plain, talk, ("sh", "-c", "sleep 2.5; exec cat")),
    "no common suite": Scenario(plain, fail_early, code=111, key_loads=False),
    "no certificate": Scenario(lambda certs, folder: ["-d", str(folder)], fail, code=111),
    "prog must be signalled": Scenario(
        lambda certs, folder: ["-t1", *plain(certs, folder)], leave, ("sh", "-c", "trap '' TERM; exec sleep 60"), 111
    ),
}


@pytest.mark.parametrize("program", [OURS, SCRIPT], ids=["native", "script"])
@pytest.mark.parametrize("name", SCENARIOS)
def test_calls_after_the_jail(name: str, program: Program, certs: Certs, tmp_path: Path) -> None:
    """Each process that has entered its jail keeps to its set."""
    strace = require_peer("strace")
    assert program.path.exists(), program.path
    scenario, trace = SCENARIOS[name], tmp_path / "trace"
    arguments = ["-f", "-s", "8", "-o", str(trace), str(program.path), *scenario.options(certs, tmp_path)]
    with Wrapped(arguments, scenario.prog, executable=strace, argv0="strace") as wrapped:
        scenario.client(wrapped, certs)
        assert wrapped.wait(2 * LIMIT_S) == scenario.code, wrapped.stderr
    traced = calls(trace)
    net, *others = traced
    jailed = {pid: rest for pid, done in traced.items() if (rest := after_chroot(done)) is not None}
    key = [pid for pid in others if pid in jailed]
    assert net in jailed and len(key) == scenario.key_loads, sorted(jailed)
    assert [call.name for call in traced[net]].count("clone") == 2, "net forks prog and key, and no more"

    allowed = NET | (SCRIPT_END if program is SCRIPT else set())
    assert sorted({call.name for call in jailed[net]} - allowed) == []
    for pid in key:
        assert sorted({call.name for call in jailed[pid]} - KEY) == []
        assert not {"clone", "clone3", "fork", "vfork"} & {call.name for call in traced[pid]}
    if name == "rest":
        assert all(any(call.name == "madvise" for call in jailed[pid]) for pid in (net, *key))
    for pid, rest in jailed.items():
        maps = [call for call in rest if call.name == "mmap" and "MAP_ANONYMOUS" not in call.arguments]
        assert not maps, f"process {pid} maps a file: {maps}"
        advice = [call for call in rest if call.name == "madvise" and not re.search("DONTNEED|REMOVE", call.arguments)]
        assert not advice, f"process {pid} gives advice: {advice}"
        executable = [call for call in rest if call.name in ("mmap", "mprotect") and "PROT_EXEC" in call.arguments]
        assert not executable, f"process {pid} makes memory executable: {executable}"


def test_the_native_program_reads_no_module(certs: Certs, tmp_path: Path) -> None:
    """Its Python is inside it: from exec to its end it opens nothing of an interpreter's, nor looks for any."""
    if (OURS.path.read_bytes()[:2]) == b"#!":
        pytest.skip("this is the script form, which reads its modules before the jail")
    trace = tmp_path / "trace"
    arguments = ["-f", "-s", "4096", "-e", "trace=%file", "-o", str(trace), str(OURS.path), *plain(certs, tmp_path)]
    with Wrapped(arguments, ["true"], executable=require_peer("strace"), argv0="strace") as wrapped:
        wrapped.tls().close()
        wrapped.wait()
    traced = calls(trace)
    net = traced[next(iter(traced))]
    touched = {call.arguments.split('"')[1] for call in net[1:] if '"' in call.arguments}
    libraries = {path for path in touched if re.match(r"/(usr/)?lib|/etc/ld\.so", path)}
    cache = {path for path in touched if re.fullmatch(r"|/run/tlswrapper|[0-9a-f]{3}(\.\d+)?", path)}
    own = {str(certs.server("rsa2048")), "/proc/self/exe", "/var/lib/tlswrapper/empty", "."}
    assert touched - libraries - cache <= own
    assert not [path for path in libraries if re.search(r"python3?[\d.]*/|\.pyc?$", path)], libraries


# An audit hook sees imports, opens, forks, compiles and the like; it is told what may still be done in the jail.
HOOK = """
import sys
sys.path.insert(0, sys.argv[1])
import posix
jailed = []
def hook(event, arguments):
    where = b"after" if posix.getuid() else b"before"
    if where == b"after" or event in ("import", "open"):
        posix.write(2, b"AUDIT " + where + b" " + event.encode() + b"\\n")
sys.addaudithook(hook)
from bearwrap.programs import main
posix._exit(main([item.encode() for item in sys.argv[2:]], b"") & 255)
"""


def test_nothing_is_imported_in_the_jail(certs: Certs, tmp_path: Path) -> None:
    """The interpreter itself is the witness: imports before the jail are seen, and nothing at all is after."""
    arguments = ["-ISBc", HOOK, str(ROOT), "tlswrapper", "-vv", "-f", str(certs.server("p256"))]
    with Wrapped(arguments, ["cat"], executable=sys.executable) as wrapped:
        talk(wrapped, certs)
        assert wrapped.wait() == 0, wrapped.stderr
        seen = re.findall(r"^AUDIT (\w+) (\S+)$", wrapped.stderr, re.M)
    assert ("before", "import") in seen, "the hook does not see imports"
    assert not [event for where, event in seen if where == "after"], seen


def test_the_hook_works() -> None:
    """A process that leaves root and imports then is noticed by that very hook."""
    code = HOOK.partition("from bearwrap")[0] + "posix.setuid(65534)\nimport colorsys\n"
    done = subprocess.run([sys.executable, "-ISBc", code, "/"], capture_output=True, check=False)
    assert b"AUDIT after import\n" in done.stderr, done.stderr
