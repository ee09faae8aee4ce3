"""The key process alone, its port in the test's hands: the test is net, and as conquered as it likes.

    with KeySide(["-f", pem]) as key:
        key.ask("load", ...)           # (status, payload); None when key has ended
        key.reach("derived")           # a good handshake up to a state of the table
        key.ended()                    # key's exit code; what it did besides is in key.traces()

KeyProcess is what both roles share, KeySide a server's key; a client's is in clientkeyside.py. `reach` speaks for net
and for the peer at once, so the test knows every secret of the connection.
"""

from __future__ import annotations

import contextlib
import mmap
import os
import select
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

from bearwrap import _bear
from tests.harness import LIMIT_S, ROOT
from tests.wire.client import Identity
from tests.wire.crypto import Ephemeral, KeyBlock, prf
from tests.wire.messages import message, u16, vec
from tests.wire.names import SUITES, TLS12, Group, Record, Suite
from tests.wire.signatures import sign
from tests.wire13.crypto import Schedule, digest

STATES = (
    "same", "start", "loaded", "exchanged", "peer-known", "derived", "peer-verified", "client-finished", "opened",
    "running",
    "client-start", "trusting", "chain-good", "params-good", "agreed", "signed", "finished-sent", "finished-due",
    "finished-opened",
    "greeted13", "accepted13", "peer-known13", "peer-verified13", "admitted13",
    "shared13", "hello13", "retried13", "shared-again13", "hello-again13", "agreed13", "extended13",
    "requested13", "chain-good13", "verified13", "finished13",
)  # fmt: skip
PAGE = 4096
RING_DATA = 64  # of a half: where its data begin
MESSAGE_ROOM = 1 << 17
RSA_BIT, EC_BIT = 1 << 1, 1 << 2  # of `load`: the key types that the client can use
ADDRESSES = b"".join(vec(1, text) for text in (b"192.0.2.1", b"1024", b"192.0.2.2", b"443"))
FINISH = vec(1, bytes(32)) + ADDRESSES  # the payload of `finished-server`

# What the child runs: real option parser, real settings, then key's own main function.
CHILD = """
import mmap, sys
sys.path.insert(0, sys.argv[1])
from bearwrap import _bear
from bearwrap.options import parse
from bearwrap.programs import tlswrapper
memory, port, go, wake_net, wake_key, prog_in, prog_out = map(int, sys.argv[2].split(","))
settings = tlswrapper.Settings()
def take(letter, value):
    settings.policy.add_cipher(value) if letter == "c" else settings.take(letter, value)
settings.prog = parse([word.encode() for word in sys.argv[3:]], tlswrapper.OPTIONS, take)
settings.check()
_bear.log_setup(b"tlswrapper", 2, b"keyside")
_bear.serve_key(settings, port, go, mmap.mmap(memory, 0), wake_net, wake_key, prog_in, prog_out)
"""

# what net may claim to be in the ring: the head cursor behind what was consumed, and the bytes
RINGS = {
    "nothing there": (0, b""),
    "half a header": (3, b"\x16\x03\x03"),
    "half a record": (20, b"\x16\x03\x03\x00\x40" + bytes(15)),
    "type 24": (37, b"\x18\x03\x03\x00\x20" + bytes(32)),
    "type 19": (37, b"\x13\x03\x03\x00\x20" + bytes(32)),
    "another version": (37, b"\x16\x03\x01\x00\x20" + bytes(32)),
    "too long": (5 + 18433, b"\x16\x03\x03\x48\x01" + bytes(18433)),
    "head beyond the ring": (_bear.ring_bytes() // 2 - PAGE + 1, b"\x16\x03\x03\x00\x20" + bytes(32)),
    "head far beyond": (1 << 63, b"\x16\x03\x03\x00\x20" + bytes(32)),
    "head behind": ((1 << 64) - 1, b"\x16\x03\x03\x00\x20" + bytes(32)),
}


@dataclass(frozen=True)
class Operation:
    """One row of the key port's table."""

    number: int
    name: str
    request_min: int
    request_max: int
    after: frozenset[str]
    then: str
    replies: bool
    doc: str


def _operations() -> dict[str, Operation]:
    rows = {}
    for number, name, least, most, after, then, replies, doc in _bear.audit_tables()["operations"]:
        states = frozenset(state for bit, state in enumerate(STATES) if after >> bit & 1)
        rows[name.decode()] = Operation(
            number, name.decode(), least, most, states, STATES[then], replies, doc.decode()
        )
    return rows


OPERATIONS = _operations()


@dataclass(frozen=True)
class Traces:
    """All that key has done to the world beside its replies."""

    to_port: bytes
    to_prog_in: bytes
    to_go: bytes
    sealed: int
    consumed: int


class KeyProcess:
    """A key process and all that it shares with others. child: Python that becomes it, words: its arguments."""

    start: str

    def __init__(self, child: str, words: Sequence[str]) -> None:
        self.client_random, self.server_random = os.urandom(32), os.urandom(32)
        self.ring_bytes = _bear.ring_bytes()
        self.half = self.ring_bytes // 2
        memory = os.memfd_create("ring")
        os.ftruncate(memory, self.ring_bytes)
        self.ring = mmap.mmap(memory, self.ring_bytes)
        self.port, port = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.port.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4 * MESSAGE_ROOM)
        port.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4 * MESSAGE_ROOM)
        self.port.settimeout(LIMIT_S)
        self.go, go = os.pipe()
        self.prog_in, prog_in = os.pipe()
        prog_out, self.prog_out = os.pipe()
        self.wake_net, self.wake_key = os.eventfd(0, os.EFD_NONBLOCK), os.eventfd(0, os.EFD_NONBLOCK)
        theirs = [memory, port.fileno(), go, self.wake_net, self.wake_key, prog_in, prog_out]
        command = [sys.executable, "-ISBc", child, str(ROOT), ",".join(map(str, theirs)), *words]
        self.process = subprocess.Popen(command, pass_fds=theirs, stderr=subprocess.PIPE)
        port.close()
        for fd in (memory, go, prog_in, prog_out):
            os.close(fd)
        self.state = self.start
        self.produced = 0
        self.records = 0  # sealed by the peer so far

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.port.close()
        self.process.kill()
        self.process.communicate()
        for fd in (self.go, self.prog_in, self.prog_out, self.wake_net, self.wake_key):
            with contextlib.suppress(OSError):
                os.close(fd)
        self.ring.close()

    # the port

    def send(self, operation: str | int, payload: bytes = b"") -> None:
        """One message, answered or not; a key that has gone is no error here."""
        number = operation if isinstance(operation, int) else OPERATIONS[operation].number
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            self.port.send(bytes([number]) + payload)

    def receive(self) -> tuple[int, bytes] | None:
        """The next message of key: its first byte and the rest; None when key has ended."""
        with contextlib.suppress(ConnectionResetError):
            if data := self.port.recv(MESSAGE_ROOM):
                return data[0], data[1:]
        return None

    def ask(self, operation: str, payload: bytes = b"") -> tuple[int, bytes] | None:
        """An operation and its reply."""
        self.send(operation, payload)
        return self.receive()

    def good(self, operation: str, payload: bytes = b"") -> bytes:
        """An operation that must succeed; its reply's payload. The state follows the table."""
        row = OPERATIONS[operation]
        reply: tuple[int, bytes] | None = (0, b"")
        if row.replies:
            reply = self.ask(operation, payload)
        else:
            self.send(operation, payload)
        assert reply is not None and reply[0] == 0, f"{operation}: {reply}, {self.stderr() if reply is None else ''}"
        self.state = self.state if row.then == "same" else row.then
        return reply[1]

    # the end

    def ended(self) -> int:
        """Wait for key to end; its exit code (-N by signal N)."""
        return self.process.wait(LIMIT_S)

    def stderr(self) -> str:
        """What it logged, once it has ended."""
        return self.process.communicate(timeout=LIMIT_S)[1].decode()

    def alive(self) -> bool:
        """Whether it answers yet: it has not closed its side of the port."""
        poller = select.poll()
        poller.register(self.port, 0)
        return self.process.poll() is None and not poller.poll(0)

    def traces(self) -> Traces:
        """What it left behind, read after its end (all its descriptors are closed then)."""
        assert self.process.poll() is not None
        to_port = b""
        while self.port.fileno() >= 0 and (message_ := self.receive()):
            to_port += bytes([message_[0]]) + message_[1]
        rest = [b"".join(iter(lambda fd=fd: os.read(fd, 65536), b"")) for fd in (self.prog_in, self.go)]
        return Traces(to_port, rest[0], rest[1], self.sealed_head(), self.consumed())

    # the ring: net's page and the inbound half, then key's page and the outbound half

    def consumed(self) -> int:
        """Bytes that key has taken from the ring."""
        return int(struct.unpack_from("=Q", self.ring, self.half + 8)[0])

    def sealed_head(self) -> int:
        """Bytes that key has put into the ring."""
        return int(struct.unpack_from("=Q", self.ring, self.half)[0])

    def await_sealed(self, before: int) -> None:
        """Wait until there is more in the ring than `before`: what has no reply shows there alone."""
        end = time.monotonic() + LIMIT_S
        while self.sealed_head() == before:
            assert time.monotonic() < end, "nothing was sealed"
            os.sched_yield()

    def sealed(self) -> bytes:
        """What key has put into the ring, once round at most."""
        at = self.half + RING_DATA
        return bytes(self.ring[at : at + self.sealed_head()])

    def publish(self, head: int) -> None:
        """Let key see a head cursor, true or not, and wake it."""
        struct.pack_into("=Q", self.ring, 0, head)
        os.eventfd_write(self.wake_key, 1)

    def produce(self, record: bytes, publish: bool = True) -> None:
        """Put bytes into the inbound half as net does."""
        size = self.half - PAGE
        for byte in record:
            self.ring[RING_DATA + self.produced % size] = byte
            self.produced += 1
        if publish:
            self.publish(self.produced)

    # the handshake

    def step(self) -> None:
        """The next good operation on the way to application data."""
        raise NotImplementedError

    def reach(self, state: str) -> None:
        """Go on with a good handshake to this state of the table."""
        for _ in STATES:
            if self.state == state:
                return
            self.step()
        raise AssertionError(f"{state} is not on the way")


def refused(key: KeyProcess, before: tuple[int, int], prog_runs: bool = False) -> None:
    """Key ends by itself, in good order, and nothing else happens."""
    assert key.ended() == 0, key.stderr()
    traces = key.traces()
    assert traces.to_port == b"", traces
    assert traces.to_prog_in == b"", traces
    assert prog_runs or traces.to_go == b"", traces
    assert (traces.sealed, traces.consumed) == before, traces


def cursors(key: KeyProcess) -> tuple[int, int]:
    return key.sealed_head(), key.consumed()


class KeySide(KeyProcess):
    """A server's key. `options` are the wrapper's, without prog."""

    start = "start"

    def __init__(self, options: Sequence[str], identity: Identity | None = None, suite: int = 0xCCA9) -> None:
        super().__init__(CHILD, [*options, "prog"])
        self.identity = identity
        self.suite: Suite = SUITES[suite]

    # net's and the client's side of a handshake

    def load_request(self, name: bytes = b"", usable: int = RSA_BIT | EC_BIT, schemes: int = 0) -> bytes:
        """The payload of `load`; `schemes` has a bit for each row of the table."""
        return bytes([usable, schemes]) + vec(1, name)

    def exchange_request(self, group: int = Group.X25519, version: int = TLS12, hash_id: int = 4) -> bytes:
        """The payload of `exchange`."""
        return bytes([group]) + u16(version) + bytes([hash_id]) + self.client_random + self.server_random

    def exchange(self) -> None:
        """Do `exchange` and take key's point."""
        reply = self.good("exchange", self.exchange_request())
        self.point, self.signature = reply[1 : 1 + reply[0]], reply[3 + reply[0] :]

    def derive_request(self, point: bytes | None = None) -> bytes:
        """The payload of `derive`; without a point the client's key is drawn and the session's keys are made."""
        if point is None:
            self.ephemeral = Ephemeral(Group.X25519)
            point = self.ephemeral.public
            randoms = self.client_random + self.server_random
            secret = self.ephemeral.shared(self.point)
            self.master = prf(TLS12, self.suite.prf, secret, b"master secret", randoms, length=48)
            self.keys = KeyBlock(self.suite, TLS12, self.master, self.client_random, self.server_random)
            self.client_side = self.keys.client_side()
        return u16(self.suite.code) + u16(16384) + point

    def seal(self, kind: int, plain: bytes) -> bytes:
        """A record of the client."""
        sealed = self.client_side.seal(self.records, kind, TLS12, plain)
        self.records += 1
        return bytes([kind]) + u16(TLS12) + vec(2, sealed)

    def derive_finished_request(self, point: bytes | None = None, digest: bytes = bytes(32)) -> bytes:
        """The payload of `derive-finished` and `derive-open`: that of `derive` with a hash before the point."""
        request = self.derive_request(point)
        return request[:4] + vec(1, digest) + request[4:]

    def chain(self) -> bytes:
        """The client's certificates, each with its length."""
        assert self.identity is not None
        return b"".join(vec(3, der) for der in self.identity.chain)

    def transcript(self) -> bytes:
        """The handshake messages up to ClientKeyExchange; those that key does not look into are empty."""
        exchange = bytes([3]) + u16(Group.X25519) + vec(1, self.point) + u16(0x0403) + vec(2, self.signature)
        return b"".join(
            message(kind, body)
            for kind, body in (
                (1, u16(TLS12) + self.client_random + bytes(10)),
                (2, u16(TLS12) + self.server_random + bytes(10)),
                (11, vec(3, b"")),
                (12, exchange),
                (13, b""),
                (14, b""),
                (11, vec(3, self.chain())),
                (16, vec(1, self.ephemeral.public)),
            )
        )

    def verify_request(self) -> bytes:
        """The payload of `peer-verify`: a CertificateVerify's body."""
        assert self.identity is not None
        return u16(0x0403) + vec(2, sign(self.identity.key, 0x0403, self.transcript()))

    def step(self) -> None:
        """The next good operation on the way to application data."""
        if self.state == "start":
            if self.identity:
                self.good("anchors")
            self.good("load", self.load_request())
        elif self.state == "loaded":
            self.exchange()
        elif self.state == "exchanged" and self.identity:
            self.good("peer-chain", self.chain())
        elif self.state == "exchanged":
            assert len(self.good("derive-finished", self.derive_finished_request())) == 12
        elif self.state == "peer-known":
            self.good("derive", self.derive_request())
        elif self.state == "derived":
            self.good("transcript", self.transcript())
            self.good("peer-verify", self.verify_request())
        elif self.state == "peer-verified":
            self.good("finished-client", bytes(32))
        elif self.state == "client-finished":
            self.produce(self.seal(Record.HANDSHAKE, message(20, bytes(12))))
            assert self.good("open") == bytes([Record.HANDSHAKE]) + message(20, bytes(12))
        else:
            assert self.state == "opened", self.state
            before = self.sealed_head()
            self.good("finished-server", FINISH)
            self.await_sealed(before)


class KeySide13(KeySide):
    """A server's key that is asked for TLS 1.3."""

    def __init__(self, options: Sequence[str], identity: Identity | None = None) -> None:
        super().__init__(options, identity)
        self.ephemeral = Ephemeral(Group.X25519)
        self.hello = message(1, u16(TLS12) + self.client_random + bytes(50))    # key does not look into it
        self.messages = b""
        self.took = 0

    def accept_request(
        self,
        suite: int = 0x1303,
        group: int = Group.X25519,
        point: bytes | None = None,
        limit: int = 16384,
        flags: int = 4,
        protocol: int = 0,
        schemes: Sequence[int] = (0x0403,),
    ) -> bytes:
        """The payload of `accept13`."""
        listed = vec(1, b"".join(u16(scheme) for scheme in schemes))
        head = u16(suite) + u16(limit) + bytes([group, flags, protocol]) + vec(1, bytes(32)) + listed
        return head + (self.ephemeral.public if point is None else point)

    def accept(self) -> None:
        """Do `accept13` and take the secrets from the ServerHello and the sealed flight."""
        hello = self.good("accept13", self.accept_request())
        self.messages = self.hello + hello
        self.schedule = Schedule(0x1303)
        self.schedule.handshake(self.ephemeral.shared(hello[-32:]), self.messages)
        reader = self.schedule.protection(self.schedule.server_handshake)
        for number, (header, fragment) in enumerate(self.taken()):
            kind, plain = reader.open(number, header, fragment)
            assert kind == Record.HANDSHAKE
            self.messages += plain
        self.schedule.application(self.messages)
        self.writer, self.records = self.schedule.protection(self.schedule.client_handshake), 0

    def taken(self) -> list[tuple[bytes, bytes]]:
        """(header, fragment) of each record that key has sealed since the last time."""
        data, found = self.sealed(), []
        while self.took < len(data):
            size = int.from_bytes(data[self.took + 3 : self.took + 5], "big")
            found.append((data[self.took : self.took + 5], data[self.took + 5 : self.took + 5 + size]))
            self.took += 5 + size
        return found

    def seal(self, kind: int, plain: bytes) -> bytes:
        """A record of the client."""
        fragment = self.writer.seal(self.records, plain + bytes([kind]))
        self.records += 1
        return b"\x17\3\3" + vec(2, fragment)

    def finished(self) -> bytes:
        """The client's Finished."""
        return message(20, self.schedule.finished(self.schedule.client_handshake, self.messages))

    def certificate(self) -> bytes:
        """The client's Certificate."""
        assert self.identity is not None
        return message(11, b"\0" + vec(3, b"".join(vec(3, der) + b"\0\0" for der in self.identity.chain)))

    def verify(self) -> bytes:
        """The client's CertificateVerify."""
        assert self.identity is not None
        covered = b" " * 64 + b"TLS 1.3, client CertificateVerify\0" + digest("sha256", self.messages)
        return message(15, u16(0x0403) + vec(2, sign(self.identity.key, 0x0403, covered)))

    def step(self) -> None:
        """The next good operation on the way to application data."""
        if self.state == "loaded":
            self.good("client-hello13", self.hello)
        elif self.state == "greeted13":
            self.accept()
        elif self.state == "accepted13" and self.identity:
            self.good("peer-chain13", self.certificate())
            self.messages += self.certificate()
        elif self.state == "peer-known13":
            verify = self.verify()
            self.good("peer-verify13", verify)
            self.messages += verify
        elif self.state in ("accepted13", "peer-verified13"):
            finished = self.finished()
            self.produce(self.seal(Record.HANDSHAKE, finished))
            assert self.good("open13") == bytes([Record.HANDSHAKE]) + finished
            self.good("client-finished13", finished)
            self.writer, self.records = self.schedule.protection(self.schedule.client_application), 0
        elif self.state == "admitted13":
            self.good("run", ADDRESSES)
        else:
            super().step()
