"""Descriptors of another process, as /proc shows them to root."""

from __future__ import annotations

import contextlib
import os
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

_MODES = {os.O_RDONLY: "r", os.O_WRONLY: "w", os.O_RDWR: "rw"}


@dataclass(frozen=True)
class Descriptor:
    """One open descriptor: `target` is what /proc says (`pipe:[123]`, a path), `mode` r, w or rw."""

    number: int
    target: str
    mode: str

    @property
    def kind(self) -> str:
        """socket, pipe, eventfd, eventpoll, signalfd, or the path."""
        if self.target.startswith("anon_inode:"):
            return self.target.removeprefix("anon_inode:").strip("[]")
        return self.target.split(":", 1)[0] if ":[" in self.target else self.target

    def __str__(self) -> str:
        return f"{self.number} -> {self.target} ({self.mode})"


def descriptors(pid: int) -> dict[int, Descriptor]:
    """All of a process, by number."""
    found = {}
    for name in os.listdir(f"/proc/{pid}/fd"):
        with contextlib.suppress(FileNotFoundError):
            info = Path(f"/proc/{pid}/fdinfo/{name}").read_text()
            flags = next(int(line.split()[1], 8) for line in info.splitlines() if line.startswith("flags:"))
            target = os.readlink(f"/proc/{pid}/fd/{name}")
            found[int(name)] = Descriptor(int(name), target, _MODES[flags & os.O_ACCMODE])
    return found


def census(found: dict[int, Descriptor]) -> Counter[tuple[str, str]]:
    """How many of each kind and mode."""
    return Counter((fd.kind, fd.mode) for fd in found.values())
