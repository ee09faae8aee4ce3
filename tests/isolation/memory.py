"""Another process's memory, read as root through /proc/PID/mem and searched for byte strings.

    image = Image(pid)                      # every readable mapping that the process could have written to
    image.find({"key": key_bytes})          # {"key": [Hit(address, where), ...]} without the ones not found
    image.shared()                          # the content of the anonymous shared mappings: the ring

The process should stand still meanwhile (asleep or stopped), else the copy is of several moments.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.waiting import Deadline

SKIPPED = ("[vvar]", "[vvar_vclock]", "[vsyscall]")  # the kernel's pages, the same in every process
PAGE = 4096
HITS_MOST = 8  # of one needle in one image; the first few tell where to look


@dataclass(frozen=True)
class Mapping_:
    """One line of /proc/PID/maps."""

    start: int
    end: int
    flags: str
    name: str

    def __str__(self) -> str:
        return f"{self.flags} {self.name or 'anonymous'}"

    def is_shared(self) -> bool:
        """Whether it is anonymous memory shared with other processes (Linux gives it the name of /dev/zero)."""
        return self.flags.endswith("s") and "/dev/zero" in self.name

    def is_text(self) -> bool:
        """Whether it is a file's content that this process cannot have changed."""
        return self.name.startswith("/") and "w" not in self.flags and self.flags.endswith("p")


@dataclass(frozen=True)
class Hit:
    """Where a needle was found."""

    address: int
    mapping: Mapping_

    def __str__(self) -> str:
        return f"{self.address:#x} ({self.mapping}, offset {self.address - self.mapping.start:#x})"


def mappings(pid: int) -> list[Mapping_]:
    """The mappings of a process in their order."""
    found = []
    for line in Path(f"/proc/{pid}/maps").read_text().splitlines():
        fields = line.split(maxsplit=5)
        start, end = (int(text, 16) for text in fields[0].split("-"))
        found.append(Mapping_(start, end, fields[1], fields[5] if len(fields) > 5 else ""))
    return found


def _spans(start: int, data: bytes) -> Iterator[tuple[int, bytes]]:
    """The runs of pages that are not all zero, with their addresses."""
    zeros, begin = bytes(PAGE), None
    for at in range(0, len(data) + PAGE, PAGE):
        if (page := data[at : at + PAGE]) and page != zeros:
            begin = at if begin is None else begin
        elif begin is not None:
            yield start + begin, data[begin:at]
            begin = None


class Image:
    """A copy of the memory of a process: all that is readable and not the unchanged content of a file.

    What is read-only and private to a file cannot have taken up a secret. Pages of zeros are left out.
    """

    def __init__(self, pid: int) -> None:
        self.parts: list[tuple[Mapping_, int, bytes]] = []
        with open(f"/proc/{pid}/mem", "rb", buffering=0) as mem:
            for mapping in mappings(pid):
                if "r" not in mapping.flags or mapping.name in SKIPPED or mapping.is_text():
                    continue
                with contextlib.suppress(OSError):
                    mem.seek(mapping.start)
                    data = mem.read(mapping.end - mapping.start)
                    self.parts += [(mapping, start, part) for start, part in _spans(mapping.start, data)]

    def find(self, needles: Mapping[str, bytes]) -> dict[str, list[Hit]]:
        """The needles that are there, each with its first places."""
        found: dict[str, list[Hit]] = {}
        for name, needle in needles.items():
            assert len(needle) >= 8, f"needle {name} is too short to mean anything"
            hits: list[Hit] = []
            for mapping, start, data in self.parts:
                at = data.find(needle)
                while at >= 0 and len(hits) < HITS_MOST:
                    hits.append(Hit(start + at, mapping))
                    at = data.find(needle, at + 1)
            if hits:
                found[name] = hits
        return found

    def read(self, address: int, count: int) -> bytes:
        """`count` bytes at an address, fewer at the end of a part; empty where there is none."""
        for _, start, data in self.parts:
            if start <= address < start + len(data):
                return data[address - start : address - start + count]
        return b""

    def shared(self) -> bytes:
        """The anonymous shared mappings, one after the other: the ring between net and key."""
        return b"".join(data for mapping, _, data in self.parts if mapping.is_shared())


def ring_kib(pid: int) -> int:
    """How much of the ring has pages that this process sees."""
    total, in_ring = 0, False
    for line in Path(f"/proc/{pid}/smaps").read_text().splitlines():
        if "-" in line.split(maxsplit=1)[0]:
            in_ring = line.endswith("/dev/zero (deleted)")
        elif in_ring and line.startswith("Rss:"):
            total += int(line.split()[1])
    return total


def wait_rest(net: int, key: int) -> None:
    """Wait until an idle connection's net and key have given their memory back: the ring's cursors alone are left."""
    deadline = Deadline()
    while (kib := ring_kib(net) + ring_kib(key)) > 4 * PAGE // 1024:
        assert not deadline.over(), f"{kib} KiB of the ring are still there"
        time.sleep(0.02)
