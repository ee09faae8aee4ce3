"""The client's flight in one piece, and each of its records alone: how it comes must make no difference.

Net looks for Finished behind ClientKeyExchange and has key open it with the keys; otherwise it comes later.
"""

from __future__ import annotations

import fcntl
import struct
import termios
import time

import pytest

from tests.harness import needs_root

from .client import Client
from .conftest import Judge
from .records import LIMIT_S
from .table import PARTS, TABLE

pytestmark = needs_root
ROWS = [f"{part}/{row.name}" for part in ("exchange", "order", "finished", "auth") for row in PARTS[part]]


class Joined(Client):
    """From the server's flight on, sends what it has to say in one write, when it is to read."""

    held = b""

    def send_raw(self, data: bytes) -> None:
        if hasattr(self, "key_exchange"):
            self.held += data
        else:
            super().send_raw(data)

    def flush(self) -> None:
        data, self.held = self.held, b""
        if data:
            super().send_raw(data)

    def end(self) -> None:
        self.flush()
        super().end()

    def _take(self, count: int, at_boundary: bool) -> bytes:
        self.flush()
        return super()._take(count, at_boundary)


class Apart(Client):
    """Over a Unix socket: sends nothing before what it sent last has been read."""

    def send_raw(self, data: bytes) -> None:
        super().send_raw(data)
        end = time.monotonic() + LIMIT_S
        while struct.unpack("i", fcntl.ioctl(self.sock, termios.TIOCOUTQ, bytes(4)))[0]:
            assert time.monotonic() < end, "the server does not read"
            time.sleep(0)


@pytest.mark.parametrize("name", ROWS)
@pytest.mark.parametrize("kind", [Joined, Apart])
def test_segments(name: str, kind: type[Client], judge: Judge) -> None:
    if kind is Apart and name == "auth/chain-of-400":
        pytest.skip("refused before it is read whole, which a Unix socket answers with a reset")
    faults = judge(TABLE[name], kind, "unix" if kind is Apart else "tcp")
    assert not faults, f"{name} ({TABLE[name].cite}): " + "\n".join(faults)
