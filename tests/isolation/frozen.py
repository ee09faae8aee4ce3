"""Processes held still, so that what is read of them is of one moment; told of a stop by waitpid, not by looking.

    with Frozen(net, key) as frozen:      # both stopped, whatever they were at
        ...
    watch = Tracer(key)                   # before it stops by itself
    watch.wait_stop(); watch.go_on()

Both work through ptrace, as root, in the thread that made them.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal

SEIZE, INTERRUPT, CONT, DETACH = 0x4206, 0x4207, 7, 17
WALL = 0x40000000

_libc = ctypes.CDLL(None, use_errno=True)
_libc.ptrace.restype = ctypes.c_long
_libc.ptrace.argtypes = (ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p)


def _ptrace(request: int, pid: int) -> None:
    if _libc.ptrace(request, pid, None, None) < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"ptrace of {pid}: {os.strerror(number)}")


class Tracer:
    """A process that is watched and still runs freely, until it stops or is stopped."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        _ptrace(SEIZE, pid)

    def wait_stop(self) -> None:
        """Wait for the next stop. AssertionError when the process ends instead."""
        _, status = os.waitpid(self.pid, WALL)
        assert os.WIFSTOPPED(status), f"process {self.pid} ended with status {status:#x} in place of a stop"

    def interrupt(self) -> None:
        """Stop it now."""
        _ptrace(INTERRUPT, self.pid)
        self.wait_stop()

    def resume(self) -> None:
        """Let it run, still watched."""
        _ptrace(CONT, self.pid)

    def go_on(self) -> None:
        """Let it run and watch it no more."""
        with contextlib.suppress(OSError):  # it has been killed meanwhile
            os.kill(self.pid, signal.SIGCONT)
            _ptrace(DETACH, self.pid)


class Frozen:
    """Stops processes while a with block runs."""

    def __init__(self, *pids: int) -> None:
        self._pids = pids
        self._tracers: list[Tracer] = []

    def __enter__(self) -> Frozen:
        for pid in self._pids:
            self._tracers.append(Tracer(pid))
            self._tracers[-1].interrupt()
        return self

    def __exit__(self, *_: object) -> None:
        for tracer in self._tracers:
            with contextlib.suppress(OSError):
                _ptrace(DETACH, tracer.pid)
