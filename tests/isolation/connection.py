"""One connection of a known shape for the isolation tests: cipher, certificate, version and group fixed."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from tests.certs import Certs
from tests.harness import LIMIT_S, OURS, ROOT, Deadline, Program, Wrapped, missing_peer
from tests.wire.messages import Hello
from tests.wire.names import GROUP_OPTIONS, TLS12, VERSION_NAMES, VERSION_OPTIONS, Group, suite_for

HOOKED = Program("with test hooks", ROOT / "build" / "hooks" / "bin" / "tlswrapper", True)


def hooked() -> Program:
    """The program with the test hooks compiled in; it is there wherever a native program can be linked."""
    if not HOOKED.path.exists():
        missing_peer("build/hooks/bin/tlswrapper", "it was not built")
    return HOOKED


def has_aes() -> bool:
    """Whether this processor has AES instructions: without them BearSSL keeps AES keys bit-sliced."""
    with open("/proc/cpuinfo") as info:
        return any(line.startswith(("flags", "Features")) and " aes" in line for line in info)


@dataclass(frozen=True)
class Shape:
    """What is negotiated, and with which kind of certificate."""

    kind: str
    cipher: str
    version: int = TLS12
    group: int = Group.X25519

    def __str__(self) -> str:
        return f"{self.cipher}-{self.kind}-{GROUP_OPTIONS[Group(self.group)]}-{VERSION_NAMES[self.version]}"

    @property
    def auth(self) -> str:
        return "rsa" if self.kind.startswith("rsa") else "ecdsa"

    def options(self, certs: Certs) -> list[str]:
        """The wrapper's command line."""
        version = VERSION_OPTIONS[self.version]
        group = GROUP_OPTIONS[Group(self.group)]
        return ["-m", version, "-M", version, "-c", self.cipher, "-e", group, "-f", str(certs.server(self.kind))]

    def hello(self) -> Hello:
        """A ClientHello that offers this shape only."""
        return Hello(version=self.version, suites=(suite_for(self.cipher, self.auth).code,)).group(self.group)


def ready(wrapped: Wrapped) -> tuple[int, int, int]:
    """Wait until net is in its jail (needs -vv) and give the pids of net, key and prog."""
    assert wrapped.wait_stderr(r"debug: .*\bstart\b", LIMIT_S), wrapped.stderr
    found = wrapped.processes()
    assert found.key is not None and found.prog is not None, found
    return found.net, found.key, found.prog


def reading(pid: int) -> int:
    """The pid, once the process waits for a message or an event: right after its fork it still holds everything."""
    deadline = Deadline(LIMIT_S)
    while not deadline.over():
        number = Path(f"/proc/{pid}/syscall").read_text().split()[0]
        if number in ("0", "232", "63", "22"):  # read and epoll_wait on x86-64 and arm64
            return pid
        os.sched_yield()
    raise TimeoutError(f"process {pid} never waited")


__all__ = ["HOOKED", "OURS", "Shape", "has_aes", "hooked", "reading", "ready"]
