"""watch - run a target in a child process and see whether it crashes, hangs, leaks or breaks what it promised.

A case is made of the seed, the target's name and the case's number alone, so that any of them can be run again. The
child writes the number and the bytes into shared memory before it runs a case: whatever becomes of the child, the case
is known. An iteration that takes HANG_S is a hang. Memory is looked at when WARM_SHARE of the cases are done and at the
end.
"""

from __future__ import annotations

import mmap
import os
import select
import signal
import struct
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from random import Random

HANG_S = 20.0
WARM_SHARE = 4
KIB_ALLOWED = 512  # of growth: three bytes a case when there are 200,000
LOOK_S = 0.2
HEAD = struct.Struct("<QQQI")  # number, KiB when warm, KiB now, length of the case
ROOM = 1 << 17
LEAKS = "leaks"
TEXT_MOST = 4000  # of what a child says when it fails


@dataclass(frozen=True)
class Target:
    """`make` gives a case, `check` raises when it is not borne. Both take the case's own generator.

    `inside`: what is tested runs in the child itself, so that the child's memory tells of it and is judged.
    """

    name: str
    make: Callable[[Random], bytes]
    check: Callable[[Random, bytes], None]
    inside: bool = True


@dataclass(frozen=True)
class Verdict:
    """`wrong` is None when all cases were borne; `case` is the last one begun."""

    number: int
    wrong: str | None
    case: bytes
    grown_kib: int


def generator(seed: int, name: str, number: int) -> Random:
    """The same on every machine and in every run."""
    return Random(f"{seed}/{name}/{number}")


def memory_kib() -> int:
    """What this process has for itself."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("RssAnon:"))


def _child(target: Target, seed: int, numbers: range, shared: mmap.mmap, errors: int) -> None:
    """Run the cases and end the process."""
    code, warm = 0, 0
    try:
        for number in numbers:
            if number - numbers.start == len(numbers) // WARM_SHARE:
                warm = memory_kib()
            r = generator(seed, target.name, number)
            case = target.make(r)
            shared[: HEAD.size] = HEAD.pack(number, warm, warm, len(case[:ROOM]))
            shared[HEAD.size : HEAD.size + len(case[:ROOM])] = case[:ROOM]
            target.check(r, case)
        shared[: HEAD.size - 4] = HEAD.pack(numbers[-1], warm, memory_kib(), 0)[:-4]
    except BaseException:
        code = 1
        os.write(errors, traceback.format_exc()[-TEXT_MOST:].encode(errors="replace"))
    os._exit(code)


def _read(shared: mmap.mmap) -> tuple[int, int, bytes]:
    """Number, growth in KiB, case."""
    number, warm, now, size = HEAD.unpack(shared[: HEAD.size])
    return number, now - warm, shared[HEAD.size : HEAD.size + size]


def watch(
    target: Target, seed: int, numbers: range, progress: Callable[[int], None], hang_s: float = HANG_S
) -> Verdict:
    """Run these cases; `progress` is told the number of the current one now and then."""
    shared = mmap.mmap(-1, HEAD.size + ROOM)
    shared[: HEAD.size] = HEAD.pack(numbers.start, 0, 0, 0)
    read_end, write_end = os.pipe()
    sys.stdout.flush()
    sys.stderr.flush()
    pid = os.fork()
    if pid == 0:
        _child(target, seed, numbers, shared, write_end)
    os.close(write_end)
    child = os.pidfd_open(pid)
    try:
        hung = _follow(child, shared, progress, hang_s)
        if hung:
            signal.pidfd_send_signal(child, signal.SIGKILL)
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        said = os.read(read_end, TEXT_MOST).decode(errors="replace").strip()
    except BaseException:
        signal.pidfd_send_signal(child, signal.SIGKILL)
        os.waitpid(pid, 0)
        raise
    finally:
        os.close(child)
        os.close(read_end)
    number, grown, case = _read(shared)
    wrong = None
    if hung:
        wrong = f"hangs: no end after {hang_s:g} s"
    elif code < 0:
        wrong = f"crashes: {signal.Signals(-code).name}"
    elif code:
        wrong = said or f"exit status {code}"
    elif target.inside and grown > KIB_ALLOWED:
        wrong = f"{LEAKS}: {grown} KiB more than after a quarter of the cases"
    shared.close()
    return Verdict(number, wrong, case, grown)


def _follow(child: int, shared: mmap.mmap, progress: Callable[[int], None], hang_s: float) -> bool:
    """Wait for the child's end; True when a case takes too long."""
    poller = select.poll()
    poller.register(child, select.POLLIN)
    last, since = -1, time.monotonic()
    while not poller.poll(LOOK_S * 1000):
        number = _read(shared)[0]
        if number != last:
            last, since = number, time.monotonic()
            progress(number)
        elif time.monotonic() - since > hang_s:
            return True
    return False
