"""Processes as /proc shows them, and log lines as stderr shows them."""

from __future__ import annotations

import contextlib
import os
import re
import signal
from dataclasses import dataclass
from pathlib import Path

from tests.waiting import wait_gone

MARK = "BEARWRAP_TEST_MARK"  # environment variable that every process of one connection inherits
Argument = str | bytes | os.PathLike[str]  # what a command line is made of


def children(pid: int) -> list[int]:
    """The pids of the living direct children of a process, lowest first; empty when it is gone."""
    found = []
    for other in _all_pids():
        with contextlib.suppress(OSError, IndexError, ValueError):
            stat = Path(f"/proc/{other}/stat").read_text()
            state, parent = stat.rpartition(")")[2].split()[:2]
            if int(parent) == pid and state not in "ZX":
                found.append(other)
    return sorted(found)


def _all_pids() -> list[int]:
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]


def proc_status(pid: int) -> dict[str, str]:
    """/proc/PID/status as a dictionary of stripped strings."""
    text = Path(f"/proc/{pid}/status").read_text()
    return {key: value.strip() for key, _, value in (line.partition(":") for line in text.splitlines())}


def cmdline(pid: int) -> bytes:
    """The raw command line, empty for a zombie or when the process is gone."""
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    return b""


def marked(mark: str) -> set[int]:
    """The living processes that inherited this mark in their environment."""
    needle, found = f"{MARK}={mark}".encode(), set()
    for pid in _all_pids():
        with contextlib.suppress(OSError):
            if needle in Path(f"/proc/{pid}/environ").read_bytes():
                found.add(pid)
    return found


def kill_marked(mark: str) -> None:
    """End every process with this mark; looks again, since one may fork between the look and the kill."""
    for _ in range(20):
        alive = marked(mark)
        if not alive:
            return
        for pid in alive:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        wait_gone(alive)


@dataclass(frozen=True)
class Processes:
    """The pids of one connection. `key` and `prog` are None when not (or no longer) there."""

    net: int
    key: int | None
    prog: int | None


_LINE = re.compile(
    r"(?P<tool>tlswrapper(?:-tcp|-smtp)?): (?P<level>fatal|error|warning|info|debug|tracing|bug): "
    r"(?:(?P<ip>[0-9a-f]*(?:[.:][0-9a-f.:]*)+): )?(?P<text>.*?)"
    r"(?: ?\((?P<errno>[a-z][a-zNFS/ -]*)\))?(?: ?(?P<where>\{[^{}]*\}))?(?: ?\[(?P<id>[^\]]*)\])? ?"
)


@dataclass(frozen=True)
class LogLine:
    """One parsed log line: NAME: LEVEL: [IP: ]MESSAGE[ (ERRNO)][{WHERE}][[ID]]; absent parts are None."""

    tool: str
    level: str
    ip: str | None
    text: str
    errno: str | None
    where: str | None
    id: str | None
    raw: str


def parse_log(stderr: str) -> list[LogLine]:
    """The log lines of a stderr text in order; lines of another shape (prog's own) are left out."""
    lines = []
    for raw in stderr.splitlines():
        if match := _LINE.fullmatch(raw):
            lines.append(LogLine(**match.groupdict(), raw=raw))
    return lines
