"""Waiting by events: descriptors, pidfds, inotify, a named pipe, a collected stream. Limits in seconds."""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import os
import select
import socket
import sys
import termios
import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path

LIMIT_S = 10.0  # default limit of a wait; far above what a healthy run needs, so only a hang reaches it
COLLECTED_BYTES = 4 << 20  # what a Collector keeps of a stream at most; the rest is read and dropped


class Deadline:
    """A point in time; `left()` gives the seconds to it, never below zero."""

    def __init__(self, limit_s: float = LIMIT_S) -> None:
        self._end = time.monotonic() + limit_s

    def left(self) -> float:
        return max(0.0, self._end - time.monotonic())

    def left_ms(self) -> int:
        return int(self.left() * 1000) + 1

    def over(self) -> bool:
        return time.monotonic() >= self._end


def wait_ready(target: int | socket.socket, events: int = select.POLLIN, limit_s: float = LIMIT_S) -> bool:
    """Poll one descriptor; True when an event (HUP and ERR count) came within the limit."""
    poller = select.poll()
    poller.register(target, events)
    return bool(poller.poll(int(limit_s * 1000) + 1))


def wait_taken(sock: socket.socket, limit_s: float = LIMIT_S) -> None:
    """Wait until the peer's kernel has all that was sent, or for a socketpair the peer itself; there is no event."""
    deadline = Deadline(limit_s)
    while int.from_bytes(fcntl.ioctl(sock, termios.TIOCOUTQ, bytes(4)), sys.byteorder):
        assert not deadline.over(), "the peer does not take what was sent"
        time.sleep(0.001)


def wait_gone(pids: Iterable[int], limit_s: float = LIMIT_S) -> set[int]:
    """Wait until all the processes have ended (a zombie has); give the pids still running at the limit."""
    deadline = Deadline(limit_s)
    poller, open_fds = select.poll(), {}
    try:
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                fd = os.pidfd_open(pid)
                open_fds[fd] = pid
                poller.register(fd, select.POLLIN)
        running = dict(open_fds)
        while running and (ready := poller.poll(deadline.left_ms())):
            for fd, _ in ready:
                poller.unregister(fd)
                del running[fd]
        return set(running.values())
    finally:
        for fd in open_fds:
            os.close(fd)


def wait_path(path: Path, limit_s: float = LIMIT_S) -> bool:
    """Wait with inotify until `path` exists (its folder must); True when it does."""
    libc = ctypes.CDLL(None, use_errno=True)
    fd = libc.inotify_init1(os.O_CLOEXEC)
    try:
        libc.inotify_add_watch(fd, os.fsencode(path.parent), 0x100 | 0x80)  # IN_CREATE | IN_MOVED_TO
        deadline = Deadline(limit_s)
        while not path.exists():
            if deadline.over() or not wait_ready(fd, limit_s=deadline.left()):
                return path.exists()
            os.read(fd, 65536)
        return True
    finally:
        os.close(fd)


class Mailbox:
    """A named pipe a wrapped program reports through: `echo x > box.path`, and `box.line()` waits for it."""

    def __init__(self, folder: Path, name: str = "mailbox") -> None:
        self.path = folder / name
        os.mkfifo(self.path)
        os.chmod(self.path, 0o666)
        self._fd = os.open(self.path, os.O_RDWR | os.O_NONBLOCK)  # both ends: no open ever blocks
        self._buffer = b""

    def line(self, limit_s: float = LIMIT_S) -> str:
        """Wait for the next line, without its LF; TimeoutError when none came."""
        deadline = Deadline(limit_s)
        while b"\n" not in self._buffer:
            if not wait_ready(self._fd, limit_s=deadline.left()) or deadline.over():
                raise TimeoutError(f"no line in {self.path.name}, only {self._buffer!r}")
            self._buffer += os.read(self._fd, 65536)
        line, self._buffer = self._buffer.split(b"\n", 1)
        return line.decode()

    def empty(self) -> bool:
        """True when nothing has been reported."""
        return not self._buffer and not wait_ready(self._fd, limit_s=0)

    def close(self) -> None:
        os.close(self._fd)


class Collector:
    """Reads a pipe to its end in a thread; readers wait on a condition."""

    def __init__(self, fd: int) -> None:
        self._fd, self._data, self._ended = fd, bytearray(), False
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while True:
            try:
                piece = os.read(self._fd, 65536)
            except OSError:
                piece = b""
            with self._changed:
                if len(self._data) < COLLECTED_BYTES:
                    self._data += piece
                self._ended = not piece
                self._changed.notify_all()
            if not piece:
                os.close(self._fd)
                return

    def text(self) -> str:
        with self._changed:
            return self._data.decode("utf-8", "backslashreplace")

    def wait(self, done: Callable[[str], bool], limit_s: float) -> bool:
        with self._changed:
            return bool(
                self._changed.wait_for(
                    lambda: self._ended or done(self._data.decode("utf-8", "backslashreplace")), limit_s
                )
            ) and done(self._data.decode("utf-8", "backslashreplace"))

    def wait_end(self, limit_s: float) -> bool:
        with self._changed:
            return bool(self._changed.wait_for(lambda: self._ended, limit_s))
