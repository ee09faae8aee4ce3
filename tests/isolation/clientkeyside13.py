"""ClientKeySide for TLS 1.3: the key process of a client alone, the test being net and the server at once.

    with ClientKeySide13(certs, CERTIFIED13) as key:
        key.reach("verified13")        # a good handshake up to a state of the table
        key.message("finish13")        # the payload that is good there
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass

from cryptography.hazmat.primitives.serialization import Encoding

from tests.certs import Certs
from tests.client.schedule13 import CHAPOL13, SUITES13, Protection13, Secrets, covered, scheme_of, sign13, verify13
from tests.wire.client import Identity
from tests.wire.crypto import Ephemeral
from tests.wire.messages import Reader, message, u16, vec
from tests.wire.names import TLS12, TLS13, Group, Msg, Record

from .clientkeyside import CHILD, NAME, identity_file
from .keyside import KeyProcess

RETRY_RANDOM = hashlib.sha256(b"HelloRetryRequest").digest()
WAYS = ("plain", "request", "retry", "cookie")


@dataclass(frozen=True)
class Shape13:
    """One handshake: the server's key, suite, group of the first share, our own certificate ("": none), the way."""

    kind: str = "p256"
    suite: int = CHAPOL13
    group: int = Group.X25519
    client: str = ""
    way: str = "plain"

    def __str__(self) -> str:
        return f"{self.kind}-{self.suite:x}-{self.group}-{self.way}" + (f"-{self.client}" if self.client else "")


PLAIN13, RETRIED13, COOKIE13 = Shape13(), Shape13(way="retry"), Shape13(way="cookie")
CERTIFIED13, ASKED13 = Shape13(client="p256", way="request"), Shape13(way="request")


def block(*extensions: tuple[int, bytes]) -> bytes:
    return vec(2, b"".join(u16(kind) + vec(2, data) for kind, data in extensions))


class ClientKeySide13(KeyProcess):
    """See the module."""

    start = "client-start"

    def __init__(self, certs: Certs, shape: Shape13 = PLAIN13, *, server: Identity | None = None) -> None:
        self.shape, self.suite = shape, SUITES13[shape.suite]
        variables, more = [f"CAFILE={certs.ca}"], ["-k", NAME]
        self.identity: Identity | None = None
        if shape.client:
            path, self.identity = identity_file(certs, shape.client)
            variables += [f"CERTFILE={path}", f"KEYFILE={path}"]
            more.append("-y")
        super().__init__(CHILD, [",".join(variables), *more, "prog"])
        leaf = certs.leaf(shape.kind).public_bytes(Encoding.DER)
        self.server = server or Identity((leaf,), certs.key(shape.kind))  # type: ignore[arg-type]
        self.session, self.group = os.urandom(32), shape.group
        self.second = Group.SECP384R1 if shape.group != Group.SECP384R1 else Group.X25519
        self.point, self.transcript = b"", bytearray()
        self.opened_so_far = 0
        self.secrets: Secrets | None = None

    # messages

    def digest(self) -> bytes:
        return hashlib.new(self.suite.prf, bytes(self.transcript)).digest()

    def client_hello(self, point: bytes | None = None, suites: bytes = b"", *more: tuple[int, bytes]) -> bytes:
        point = self.point if point is None else point
        schemes = b"".join(map(u16, (0x0403, 0x0503, 0x0603, 0x0804, 0x0805, 0x0806)))
        body = u16(TLS12) + self.client_random + vec(1, self.session)
        body += vec(2, suites or b"\x13\1\x13\2\x13\3") + b"\1\0"
        return message(Msg.CLIENT_HELLO, body + block(
            (10, vec(2, b"".join(map(u16, Group)))), (13, vec(2, schemes)), (43, vec(1, u16(TLS13))),
            (51, vec(2, u16(self.group) + vec(2, point))), (28, u16(16385)), *more))  # fmt: skip

    def server_hello(
        self, *extensions: tuple[int, bytes], random: bytes | None = None, suite: int | None = None
    ) -> bytes:
        body = u16(TLS12) + (random or self.server_random) + vec(1, self.session)
        body += u16(suite or self.suite.code) + b"\0"
        return message(Msg.SERVER_HELLO, body + block((43, u16(TLS13)), *extensions))

    def retry(self) -> bytes:
        wanted = (44, vec(2, b"a cookie")) if self.shape.way == "cookie" else (51, u16(self.second))
        return self.server_hello(wanted, random=RETRY_RANDOM)

    def verify_body(self, content: bytes | None = None) -> bytes:
        scheme = scheme_of(self.server.key)
        return u16(scheme) + vec(2, sign13(self.server.key, scheme, content or covered(True, self.digest())))

    def certificate(self) -> bytes:
        return message(Msg.CERTIFICATE, b"\0" + vec(3, b"".join(vec(3, der) + b"\0\0" for der in self.server.chain)))

    def payload(self, name: str) -> bytes:
        """What is good at its place, as far as the state lets it be made."""
        if name in ("hello13", "hello-again13"):
            more = ((44, vec(2, b"a cookie")),) if self.shape.way == "cookie" and name == "hello-again13" else ()
            return self.client_hello(self.point or bytes([9]) + bytes(31), b"", *more)
        if name == "share13":
            return u16(self.shape.group)
        if name == "share-again13":
            return u16(self.second)
        if name == "retry13":
            return self.retry()
        if name == "agree13":
            self.ephemeral = Ephemeral(self.group)
            return self.server_hello((51, u16(self.group) + vec(2, self.ephemeral.public)))
        if name == "extensions13":
            return message(8, block())
        if name == "request13":
            return message(Msg.CERTIFICATE_REQUEST, b"\0" + block((13, vec(2, b"\4\3\5\3\6\3\x08\4\x08\7"))))
        if name == "server-chain13":
            return self.certificate()
        if name == "server-verify13":
            return message(Msg.CERTIFICATE_VERIFY, self.verify_body())
        if name == "finish13":
            if self.secrets is None:
                return message(Msg.FINISHED, bytes(32))
            return message(
                Msg.FINISHED, self.secrets.verify_data(self.secrets.server_handshake, bytes(self.transcript))
            )
        return b""

    # records

    def seal(self, kind: int, plain: bytes) -> bytes:
        """A record of the server under its present keys."""
        self.records += 1
        return self.writer.seal_inner(self.records - 1, plain + bytes([kind]))

    def write_under(self, secret: bytes) -> None:
        self.writer, self.records = Protection13(self.suite, secret), 0

    def opened(self, secret: bytes, seq: int = 0) -> list[tuple[int, bytes]]:
        """What key has sealed since the last call, under one secret."""
        rest, found = self.sealed()[self.opened_so_far :], list[tuple[int, bytes]]()
        side = Protection13(self.suite, secret)
        while rest:
            n = 5 + int.from_bytes(rest[3:5], "big")
            found.append(side.open_inner(seq + len(found), rest[:5], rest[5:n]))
            rest = rest[n:]
            self.opened_so_far += n
        return found

    # a good handshake

    def next(self) -> str:
        """The operation that comes now."""
        retried = self.shape.way in ("retry", "cookie")
        return {
            "client-start": "trust", "trusting": "share13", "shared13": "hello13",
            "hello13": "retry13" if retried else "agree13",
            "retried13": "share-again13" if self.shape.way == "retry" else "hello-again13",
            "shared-again13": "hello-again13", "hello-again13": "agree13", "agreed13": "extensions13",
            "extended13": "request13" if self.shape.way == "request" else "server-chain13",
            "requested13": "server-chain13", "chain-good13": "server-verify13", "verified13": "finish13",
            "finished13": "begin",
        }[self.state]  # fmt: skip

    def step(self) -> None:
        name = self.next()
        payload = self.payload(name)
        reply = self.good(name, payload)
        if name == "share-again13":
            self.group = self.second
        if name in ("share13", "share-again13"):
            self.point = reply
        if name == "retry13":
            self.transcript = bytearray(message(254, self.digest()))
        if name.endswith("13") and "share" not in name:
            self.transcript += payload
        if name == "agree13":
            self.secrets = Secrets(self.suite, self.ephemeral.shared(self.point), bytes(self.transcript))
            self.write_under(self.secrets.server_handshake)
        if name == "finish13":
            self.finished()

    def finished(self) -> None:
        """Check key's flight, and go on to application keys."""
        assert self.secrets is not None
        self.secrets.finish(bytes(self.transcript))
        self.write_under(self.secrets.server_application)
        text = b"".join(plain for kind, plain in self.opened(self.secrets.client_handshake) if kind == Record.HANDSHAKE)
        r = Reader(text)
        while r.more():
            kind, body = r.number(1), r.vector(3)
            if kind == Msg.CERTIFICATE:
                shown = self.identity.chain if self.identity else ()
                assert body == b"\0" + vec(3, b"".join(vec(3, der) + b"\0\0" for der in shown))
            elif kind == Msg.CERTIFICATE_VERIFY:
                assert self.identity is not None
                signed = Reader(body)
                verify13(self.identity.chain[0], signed.number(2), signed.vector(2), covered(False, self.digest()))
            else:
                assert kind == Msg.FINISHED and not r.more()
                assert body == self.secrets.verify_data(self.secrets.client_handshake, bytes(self.transcript))
            self.transcript += message(kind, body)
