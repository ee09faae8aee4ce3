"""tracing - moments inside other processes, by the kernel's own tracing: uprobes on functions, forks, execs, ends.

Nothing is built into the program that is looked at: the probes are put on the symbols of its file, and cost it one to
three microseconds each while they are there. Needs root and a kernel with CONFIG_UPROBE_EVENTS.
"""

from __future__ import annotations

import os
import re
import struct
import subprocess
from dataclasses import dataclass
from pathlib import Path

from prepare import BenchError

USUAL = Path("/sys/kernel/tracing")
SCHED = ("sched_process_fork", "sched_process_exec", "sched_process_exit")
BUFFER_KIB = 4096  # a processor's; a connection makes some hundred lines
LINE = re.compile(r"^\s*.+-(\d+)\s+\[\d+\]\s+\S+\s+([\d.]+): (\w+): (.*)$")
# ELF, 64 bits, this machine's byte order
SYMTAB, LOAD, FUNCTION = 2, 1, 2


@dataclass(frozen=True)
class Event:
    """One line of the trace. `us` counts as CLOCK_MONOTONIC does; `name` is a sched event or "+function" where it
    begins, "-function" where it returns."""

    us: float
    pid: int
    name: str
    text: str

    def number(self, field: str) -> int:
        """A number of the event's text."""
        found = re.search(rf"\b{field}=(\d+)", self.text)
        return int(found.group(1)) if found else 0


def functions(path: str) -> dict[str, int]:
    """The functions of an ELF file: name to place in the file. Empty for a stripped one or another kind of file."""
    data = Path(path).read_bytes()
    if data[:5] != b"\x7fELF\x02":
        return {}
    programs, sections = struct.unpack_from("=QQ", data, 32)
    program_size, program_count, section_size, section_count = struct.unpack_from("=4H", data, 54)
    loads = []
    for number in range(program_count):
        kind, _, offset, address, _, size = struct.unpack_from("=IIQQQQ", data, programs + number * program_size)
        if kind == LOAD:
            loads.append((address, size, offset))
    heads = [struct.unpack_from("=IIQQQQIIQQ", data, sections + n * section_size) for n in range(section_count)]
    found = {}
    for head in heads:
        if head[1] != SYMTAB:
            continue
        strings, begin, size, each = heads[head[6]][4], head[4], head[5], head[9]
        for at in range(begin, begin + size, each):
            name_at, info, _, _, value, _ = struct.unpack_from("=IBBHQQ", data, at)
            if info & 15 == FUNCTION and value:
                name = data[strings + name_at : data.index(b"\0", strings + name_at)].decode()
                found.update((name, value - a + o) for a, s, o in loads if a <= value < a + s)
    return found


def find(symbols: dict[str, int], wanted: str) -> int | None:
    """Where a function lies; Cython and the compiler dress the names of static ones up."""
    pattern = re.compile(rf"(?:__pyx_f_\w+?_bear_)?{re.escape(wanted)}(?:\.(?:constprop|isra)\.\d+)*")
    return next((place for name, place in symbols.items() if pattern.fullmatch(name)), None)


class Tracer:
    """Probes on functions of one file while the context lasts; `missing` are those that it does not have.

    The probes' group and the buffer have names of this process, so that nobody else's are touched.
    """

    def __init__(self, path: str, wanted: list[str], folder: Path) -> None:
        self.missing: list[str] = []
        self._path, self._wanted, self._folder = path, wanted, folder
        self._group = f"bearwrap_{os.getpid()}"
        self._top, self._mounted = USUAL, False
        self._names: dict[str, str] = {}  # of the probe: of the event

    @property
    def _instance(self) -> Path:
        return self._top / "instances" / self._group

    def __enter__(self) -> Tracer:
        try:
            self._open()
        except (OSError, BenchError) as error:
            self._close()
            words = error if isinstance(error, BenchError) else f"{error.filename or 'tracefs'}: {error.strerror}"
            raise BenchError(f"no tracing here: {words}") from None
        return self

    def __exit__(self, *_: object) -> None:
        self._close()

    def _open(self) -> None:
        if os.geteuid() != 0:
            raise BenchError("needs root")
        if not (self._top / "uprobe_events").exists():
            self._mount()
        symbols = functions(self._path)
        if not symbols:
            raise BenchError(f"{self._path} has no symbols")
        self._instance.mkdir()
        self._write("trace_clock", "mono")
        self._write("buffer_size_kb", str(BUFFER_KIB))
        for number, name in enumerate(self._wanted):
            place = find(symbols, name)
            if place is None:
                self.missing.append(name)
                continue
            for sign, kind in (("+", "p"), ("-", "r")):
                probe = f"{kind}{number}"
                self._probes(f"{kind}:{self._group}/{probe} {self._path}:{place:#x}")
                self._names[probe] = sign + name
        for event in SCHED:
            self._write(f"events/sched/{event}/enable", "1")
        if self._names:
            self._write(f"events/{self._group}/enable", "1")
        self._write("tracing_on", "1")

    def _mount(self) -> None:
        self._top = self._folder / "tracing"
        self._top.mkdir(exist_ok=True)
        command = ["mount", "-t", "tracefs", "none", str(self._top)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        self._mounted = done.returncode == 0
        if not (self._top / "uprobe_events").exists():
            raise BenchError(done.stderr.strip() or "the kernel has no uprobe events")

    def _write(self, name: str, text: str) -> None:
        (self._instance / name).write_text(text)

    def _probes(self, line: str) -> None:
        # Not open(): it seeks, which this file refuses; and without O_APPEND everybody's probes would go.
        fd = os.open(self._top / "uprobe_events", os.O_WRONLY | os.O_APPEND)
        try:
            os.write(fd, line.encode() + b"\n")
        finally:
            os.close(fd)

    def clear(self) -> None:
        """Forget what has happened so far."""
        self._write("trace", "")

    def events(self) -> list[Event]:
        """What has happened since, in the order of time."""
        found = []
        for line in (self._instance / "trace").read_text(errors="replace").splitlines():
            match = LINE.match(line)
            if match:
                pid, seconds, name, text = match.groups()
                found.append(Event(float(seconds) * 1e6, int(pid), self._names.get(name, name), text))
        return sorted(found, key=lambda event: event.us)

    def _close(self) -> None:
        """Take everything away again, as far as it came."""
        try:
            if self._instance.is_dir():
                self._write("tracing_on", "0")
                if self._names:
                    self._write(f"events/{self._group}/enable", "0")
                self._instance.rmdir()
            for probe in self._names:
                self._probes(f"-:{self._group}/{probe}")
        except OSError:
            pass  # what is left costs nobody anything once its buffer is gone
        if self._mounted:
            subprocess.run(["umount", self._top], capture_output=True, check=False)
