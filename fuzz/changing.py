"""changing - whole connections, one or two of whose messages or records are changed: what both roles' targets share."""

from __future__ import annotations

import select
from random import Random
from typing import Any

from tests.wire.names import FATAL
from tests.wire.records import Ended

from .mutate import number, scramble

QUIET_S = 0.1  # after a change the other side may rightly wait for more; then we end ours
WAYS = ("plain", "plain", "plain", "kind", "record", "twice", "before", "split", "nothing", "message", "message")


def changes(r: Random, sends: int) -> bytes:
    """Which of so many sendings is changed, and how: as bytes, so that a case can be shown."""
    return b"".join(bytes([1 + r.randrange(sends), r.randrange(len(WAYS))]) for _ in range(r.choice((1, 1, 2))))


class Mutating:
    """Over a scripted peer: changes a message, what is sealed, or the record, when its turn comes."""

    r: Random
    at: dict[int, str]
    sends = 0
    changed = False  # something was
    running = False  # the handshake is over
    spoiled = False  # something was changed after it

    def change(self, r: Random, case: bytes) -> None:
        """From now on as `changes` says."""
        self.r, self.at = r, {case[i]: WAYS[case[i + 1]] for i in range(0, len(case), 2)}

    def send_message(self, whole: bytes, *sizes: Any) -> None:
        """A changed message is what our transcript has, too, so that the handshake may go on."""
        if self.at.get(self.sends + 1) == "message":
            self.changed = True  # perhaps to nothing, which is not sealed
            whole = scramble(self.r, whole)
        super().send_message(whole, *sizes)  # type: ignore[misc]

    def seal(self, kind: int, plain: bytes, version: int | None = None) -> bytes:
        self.sends += 1
        what = self.at.get(self.sends)
        self.changed |= what is not None
        self.spoiled |= self.running and what is not None
        if what == "plain":
            plain = scramble(self.r, plain)
        elif what == "kind":
            kind = self.r.choice((20, 21, 22, 23, 24, 0, number(self.r) & 255))
        record: bytes = super().seal(kind, plain[: 1 << 14], version)  # type: ignore[misc]
        if what == "record":
            return scramble(self.r, record)
        if what == "twice":
            record += super().seal(kind, plain[: 1 << 14], version)  # type: ignore[misc]
        if what == "before":
            return self.r.randbytes(1 + self.r.randrange(40)) + record
        if what == "split":
            middle = self.r.randrange(len(record) + 1)
            return record[:middle] + scramble(self.r, record[middle:])
        if what == "nothing":
            return b""
        return record

    def _take(self, count: int, at_boundary: bool) -> bytes:
        peer: Any = self
        missing = len(peer._buffer) < count
        if missing and self.changed and not select.select([peer.sock], [], [], QUIET_S)[0]:
            raise Ended("quiet")
        taken: bytes = super()._take(count, at_boundary)  # type: ignore[misc]
        return taken


def finish(peer: Any) -> str:
    """Say nothing more, and read what comes to its end, opened or not; how it ended."""
    fatal = [alert for alert in peer.alerts if alert.level == FATAL]
    assert len(fatal) <= 1, fatal
    try:
        peer.sock.shutdown(1)
    except OSError:
        return "reset"
    got = 0
    while got < 1 << 20:
        try:
            piece = peer.sock.recv(65536)
        except ConnectionResetError:
            return "reset"
        if not piece:
            return "eof"
        got += len(piece)
        assert not fatal, "something came after a fatal alert"
    return "too much"
