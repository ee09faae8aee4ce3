"""Find what a connection under `bearwrap serve` runs and write order.list, by which layout.py has the linker put it.

    make order              as root, on x86-64

Connections of each kind come to the program as it is, jail and filters included. Each process of one is stopped when it
is forked and gets a breakpoint at every function, which goes when it is hit. The linker's map tells what was linked
there: a section that holds one function, or a member of an archive.
"""

from __future__ import annotations

import argparse
import bisect
import contextlib
import ctypes
import itertools
import os
import re
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

import layout
import native

sys.path.insert(0, str(native.ROOT))
from tests.certs import Certs

KINDS = ("p256", "rsa2048")
CIPHERS = ([], ["-c", "CHACHA20_POLY1305_SHA256"], ["-c", "AES_128_GCM_SHA256"])
VERSIONS = (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3)
LIMIT_S = 60.0
# After its fork a process returns into functions that were called before; so many of its instructions are looked at.
STEPS = 1000

TRACEME, PEEKUSER, POKEUSER, CONT, SINGLESTEP, SETOPTIONS, GETEVENTMSG = 0, 3, 6, 7, 9, 0x4200, 0x4201
EVENT_FORK, EVENT_EXEC = 1, 4
OPTIONS = 1 << EVENT_FORK | 1 << EVENT_EXEC | 1 << 20  # and: what is traced ends with us
RIP = 128  # in struct user
WAIT_ALL = 0x40000000
BREAKPOINT = b"\xcc"

libc = ctypes.CDLL(None, use_errno=True)
libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
libc.ptrace.restype = ctypes.c_long


def ptrace(request: int, pid: int, address: int = 0, data: int = 0) -> int:
    """The system call; raises OSError."""
    ctypes.set_errno(0)
    value: int = libc.ptrace(request, pid, address, data)
    if value == -1 and ctypes.get_errno():
        raise OSError(ctypes.get_errno(), f"ptrace: {os.strerror(ctypes.get_errno())}")
    return value


def functions(program: Path) -> list[int]:
    """Addresses of a program's functions."""
    text = subprocess.run(["readelf", "-sW", program], capture_output=True, text=True, check=True).stdout
    found = re.findall(r"^ *\d+: ([0-9a-f]{16}) +\S+ FUNC +\S+ +\S+ +\d+ ", text, re.M)
    return sorted({int(address, 16) for address in found})


class Map:
    """What was linked where, by the linker's map."""

    def __init__(self, path: Path) -> None:
        pattern = r"^ (\.text\S*)\s+0x([0-9a-f]+)\s+0x([0-9a-f]+) (\S+)$"
        rows = [(int(at, 16), int(size, 16), layout.name(section, origin))
                for section, at, size, origin in re.findall(pattern, path.read_text(), re.M)]  # fmt: skip
        # An address of 0: dropped, but the name exists.
        self.names = {name for _at, _size, name in rows}
        self._rows = sorted(row for row in rows if row[0] and row[1])
        self._begins = [row[0] for row in self._rows]

    def at(self, address: int) -> str:
        """The name for the list of what lies at an address; empty for what has none."""
        begin, size, name = self._rows[bisect.bisect(self._begins, address) - 1]
        return name if begin <= address < begin + size else ""


@dataclass
class Process:
    """A process of a worker, or (`role` empty) one on the way there.

    `hits`: addresses that it ran, of functions mostly; `executed`: prog has become what is wrapped.
    """

    role: str = ""
    parent: Process | None = None
    children: int = 0
    executed: bool = False
    steps: int = 0
    hits: set[int] = field(default_factory=set)
    live: dict[int, bytes] = field(default_factory=dict)
    memory: int = -1


class Tracer:
    """Follows `bearwrap serve` and its workers; `processes` are those of connections and of workers that wait."""

    def __init__(self, listener: Path) -> None:
        self.processes: list[Process] = []
        self._listener = listener
        self._functions = functions(listener)
        self._base = 0
        self._code: dict[int, bytes] = {}  # the first byte of each function, by its address
        self._broken = bytearray()  # from the first on, with a breakpoint in place of each
        self._traced: dict[int, Process] = {}
        self._early: set[int] = set()  # children that stopped before their parent told of them

    def run(self, pid: int) -> None:
        """From the first stop of a child that asked to be traced until none is left."""
        os.waitpid(pid, 0)
        ptrace(SETOPTIONS, pid, 0, OPTIONS)
        self._traced[pid] = Process()
        ptrace(CONT, pid)
        while self._traced:
            stopped, status = os.waitpid(-1, WAIT_ALL)
            if not os.WIFSTOPPED(status):
                self._ended(stopped)
            elif stopped not in self._traced:
                self._early.add(stopped)
            else:
                with contextlib.suppress(ProcessLookupError):  # killed while it was stopped: its end comes next
                    self._stopped(stopped, os.WSTOPSIG(status), status >> 16)

    def _ended(self, pid: int) -> None:
        process = self._traced.pop(pid, None)
        if process and process.memory >= 0:
            os.close(process.memory)

    def _stopped(self, pid: int, number: int, event: int) -> None:
        process, give = self._traced[pid], 0
        if event == EVENT_FORK:
            self._forked(process, pid)
        elif event == EVENT_EXEC:
            if process.role:
                process.executed, process.live, process.steps = True, {}, 0
            elif Path(os.readlink(f"/proc/{pid}/exe")) == self._listener:
                process.role = "supervisor"
                self._read(pid)
        elif number == signal.SIGTRAP:
            self._trapped(process, pid)
        else:
            give = number
        process.steps -= process.steps > 0
        ptrace(SINGLESTEP if process.steps else CONT, pid, 0, give)

    def _read(self, pid: int) -> None:
        """The code of the listener, which has just been started."""
        maps = Path(f"/proc/{pid}/maps").read_text().splitlines()
        self._base = int(next(line for line in maps if line.endswith(str(self._listener))).partition("-")[0], 16)
        begin, end = self._base + self._functions[0], self._base + self._functions[-1] + 1
        memory = os.open(f"/proc/{pid}/mem", os.O_RDONLY)
        self._broken[:] = os.pread(memory, end - begin, begin)
        os.close(memory)
        for address in (self._base + offset for offset in self._functions):
            self._code[address] = bytes(self._broken[address - begin : address - begin + 1])
            self._broken[address - begin : address - begin + 1] = BREAKPOINT

    def _trapped(self, process: Process, pid: int) -> None:
        """At a breakpoint, or one instruction further."""
        at = ptrace(PEEKUSER, pid, RIP)
        if at - 1 in process.live:
            at -= 1
            os.pwrite(process.memory, process.live.pop(at), at)
            ptrace(POKEUSER, pid, RIP, at)
        process.hits.add(at - self._base)

    def _forked(self, parent: Process, pid: int) -> None:
        message = ctypes.c_ulong()
        ptrace(GETEVENTMSG, pid, 0, ctypes.addressof(message))
        child = message.value
        if child not in self._early:
            os.waitpid(child, WAIT_ALL)
        self._early.discard(child)
        process = self._traced[child] = Process(parent=parent)
        if parent.role == "supervisor":
            process.role = "net"
        elif parent.role == "net":
            process.role = ("prog", "key")[parent.children]
        parent.children += 1
        if process.role:
            self._watch(process, child)
        ptrace(SINGLESTEP if process.steps else CONT, child)

    def _watch(self, process: Process, pid: int) -> None:
        """Breakpoints at all functions, those that the parent has met too."""
        process.memory = os.open(f"/proc/{pid}/mem", os.O_RDWR)
        process.live = dict(self._code)
        os.pwrite(process.memory, self._broken, min(self._code))
        process.steps = STEPS
        self.processes.append(process)


def connect(port: int, version: ssl.TLSVersion) -> None:
    """One connection with a few bytes of echo, ended from here."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.minimum_version = context.maximum_version = version
    deadline = time.monotonic() + LIMIT_S
    while True:
        try:
            plain = socket.create_connection(("127.0.0.1", port), LIMIT_S)
            break
        except ConnectionRefusedError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)
    with context.wrap_socket(plain, server_hostname="localhost") as stream:
        stream.sendall(b"x" * 16)
        assert stream.recv(16) == b"x" * 16
        stream.unwrap().close()


def start(arguments: list[str]) -> int:
    """Start `bearwrap serve` as a child that is traced from its exec on; its pid."""
    program = str(native.BUILD / "bin" / "bearwrap")
    pid = os.fork()
    if pid == 0:
        try:
            ptrace(TRACEME, 0)
            os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
            os.execv(program, [program, "serve", *arguments])
        finally:
            os._exit(127)
    return pid


def trace(listener: Path, certificate: Path, ciphers: list[str]) -> list[Process]:
    """The processes of one connection of each version."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    server = start(["--workers", "2", f"127.0.0.1:{port}", "-f", str(certificate), *ciphers, "cat"])
    failures: list[Exception] = []

    def client() -> None:
        try:
            for version in VERSIONS:
                connect(port, version)
        except (OSError, AssertionError) as error:
            failures.append(error)
        os.kill(server, signal.SIGTERM)

    tracer = Tracer(listener)
    thread = threading.Thread(target=client)
    thread.start()
    tracer.run(server)
    thread.join()
    if failures:
        raise failures[0]
    served = [process.parent for process in tracer.processes if process.executed]
    if len(served) != len(VERSIONS):
        raise RuntimeError(f"{len(served)} connections instead of {len(VERSIONS)}")
    return [process for process in tracer.processes if process in served or process.parent in served]


def main() -> int:
    """Trace all kinds of connection; write the list, or say what it lacks."""
    parser = argparse.ArgumentParser(description="find what a connection runs")
    parser.add_argument("--check", action="store_true", help="print the names that the list lacks, and leave it")
    check = parser.parse_args().check
    signal.alarm(int(LIMIT_S * 5))  # what is traced ends with us
    variant = native.Variant()
    listener = native.BUILD / "lib" / "bearwrap" / native.listener_name(variant)
    linked = Map(layout.map_file(variant))
    users: dict[str, set[str]] = {}
    with tempfile.TemporaryDirectory() as folder:
        certs = Certs(Path(folder))
        for kind, ciphers in itertools.product(KINDS, CIPHERS):
            for process in trace(listener, certs.server(kind), ciphers):
                for address in process.hits:
                    users.setdefault(linked.at(address), set()).add(process.role)
    for one in ("", *layout.APART):
        users.pop(one, None)
    if check:
        listed = {one for names in layout.read().values() for one in names}
        print("\n".join(sorted(set(users) - listed)))
    else:
        layout.write(users, linked.names)
        print(f"order: {len(users)} names")
    return 0


if __name__ == "__main__":
    sys.exit(main())
