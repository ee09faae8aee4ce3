"""Handshake messages made and read by hand, so that any field of them can be wrong.

A `Hello` is a plain record of fields; `body()` never checks them. Readers raise ValueError on anything that a
correct server would not send, since here it is the server that is under test.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

from .names import (
    ECDSA_SCHEMES,
    RSA_SCHEMES,
    SUITES,
    TLS12,
    Ext,
    Group,
    Msg,
)


def u16(value: int) -> bytes:
    """Two bytes, big end first."""
    return value.to_bytes(2, "big")


def vec(size: int, data: bytes) -> bytes:
    """A vector with a length of `size` bytes before it."""
    return len(data).to_bytes(size, "big") + data


def u16s(values: Iterable[int]) -> bytes:
    """A list of 16-bit numbers, without a length."""
    return b"".join(u16(value) for value in values)


def message(kind: int, body: bytes) -> bytes:
    """A handshake message with a correct header."""
    return bytes([kind]) + vec(3, body)


def server_name(*names: bytes, name_type: int = 0) -> bytes:
    """The body of server_name with host names as given (RFC 6066 3)."""
    return vec(2, b"".join(bytes([name_type]) + vec(2, name) for name in names))


def default_extensions() -> list[tuple[int, bytes]]:
    """What a plain TLS 1.2 client sends: name, groups, point formats, schemes, renegotiation_info."""
    groups = (Group.X25519, Group.SECP256R1, Group.SECP384R1, Group.SECP521R1)
    return [
        (Ext.SERVER_NAME, server_name(b"wire.test")),
        (Ext.SUPPORTED_GROUPS, vec(2, u16s(groups))),
        (Ext.EC_POINT_FORMATS, vec(1, b"\0")),
        (Ext.SIGNATURE_ALGORITHMS, vec(2, u16s((*RSA_SCHEMES, *ECDSA_SCHEMES)))),
        (Ext.RENEGOTIATION_INFO, b"\0"),
    ]


@dataclass(frozen=True)
class Hello:
    """A ClientHello by its fields. `suites` and `extensions` may be raw bytes (without their length)."""

    version: int = TLS12
    random: bytes = field(default_factory=lambda: os.urandom(32))
    session_id: bytes = b""
    suites: Sequence[int] | bytes = tuple(SUITES)
    compressions: bytes = b"\0"
    extensions: Sequence[tuple[int, bytes]] | bytes | None = field(default_factory=default_extensions)

    def but(self, **fields: object) -> Hello:
        """A copy with other fields."""
        return replace(self, **fields)  # type: ignore[arg-type]

    def without(self, *kinds: int) -> Hello:
        """A copy without these extensions."""
        assert isinstance(self.extensions, Sequence) and not isinstance(self.extensions, bytes)
        return replace(self, extensions=[e for e in self.extensions if e[0] not in kinds])

    def ext(self, kind: int, data: bytes) -> Hello:
        """A copy with this extension, in place of one of the same type or at the end."""
        assert isinstance(self.extensions, Sequence) and not isinstance(self.extensions, bytes)
        if any(have == kind for have, _ in self.extensions):
            swapped = [(have, data if have == kind else body) for have, body in self.extensions]
            return replace(self, extensions=swapped)
        return self.more(kind, data)

    def more(self, kind: int, data: bytes) -> Hello:
        """A copy with one more extension at the end, even if the type is there already."""
        return replace(self, extensions=[*(self.extensions or ()), (kind, data)])

    def group(self, *groups: int) -> Hello:
        """A copy that offers just these groups."""
        return self.ext(Ext.SUPPORTED_GROUPS, vec(2, u16s(groups)))

    def extension_bytes(self) -> bytes:
        """The extensions, encoded, without the length of the block."""
        if self.extensions is None or isinstance(self.extensions, bytes):
            return self.extensions or b""
        return b"".join(u16(kind) + vec(2, data) for kind, data in self.extensions)

    def body(self) -> bytes:
        """The message without its handshake header."""
        suites = self.suites if isinstance(self.suites, bytes) else u16s(self.suites)
        out = u16(self.version) + self.random + vec(1, self.session_id) + vec(2, suites)
        out += vec(1, self.compressions)
        return out if self.extensions is None else out + vec(2, self.extension_bytes())

    def message(self) -> bytes:
        """The whole handshake message."""
        return message(Msg.CLIENT_HELLO, self.body())


class Reader:
    """Takes fields off a message; ValueError if one does not fit or bytes are left at the end."""

    def __init__(self, data: bytes) -> None:
        self.data, self.at = data, 0

    def take(self, count: int) -> bytes:
        """`count` bytes."""
        if len(self.data) - self.at < count:
            raise ValueError("message too short")
        self.at += count
        return self.data[self.at - count : self.at]

    def number(self, size: int) -> int:
        """An unsigned number of `size` bytes."""
        return int.from_bytes(self.take(size), "big")

    def vector(self, size: int) -> bytes:
        """The content of a vector whose length has `size` bytes."""
        return self.take(self.number(size))

    def more(self) -> bool:
        """True while bytes are left."""
        return self.at < len(self.data)

    def end(self) -> None:
        """ValueError if bytes are left."""
        if self.more():
            raise ValueError("trailing bytes in a message of the server")


@dataclass(frozen=True)
class ServerHello:
    """A ServerHello, parsed."""

    version: int
    random: bytes
    session_id: bytes
    suite: int
    compression: int
    extensions: dict[int, bytes]

    @classmethod
    def parse(cls, body: bytes) -> ServerHello:
        """From the message body."""
        r = Reader(body)
        fields = (r.number(2), r.take(32), r.vector(1), r.number(2), r.number(1))
        extensions: dict[int, bytes] = {}
        if r.more():
            block = Reader(r.vector(2))
            while block.more():
                kind = block.number(2)
                if kind in extensions:
                    raise ValueError(f"extension {kind} twice in ServerHello")
                extensions[kind] = block.vector(2)
        r.end()
        return cls(*fields, extensions)


def parse_certificates(body: bytes) -> list[bytes]:
    """The DER certificates of a Certificate message."""
    outer = Reader(body)
    r = Reader(outer.vector(3))
    outer.end()
    chain = []
    while r.more():
        chain.append(r.vector(3))
    return chain


@dataclass(frozen=True)
class KeyExchange:
    """A ServerKeyExchange with a named curve: `params` is what the signature covers, beside the randoms."""

    group: int
    point: bytes
    params: bytes
    scheme: int | None
    signature: bytes

    @classmethod
    def parse(cls, body: bytes, version: int) -> KeyExchange:
        """From the message body; the scheme is there from TLS 1.2 on."""
        r = Reader(body)
        if r.number(1) != 3:
            raise ValueError("not a named curve")
        group, point = r.number(2), r.vector(1)
        params = body[: r.at]
        scheme = r.number(2) if version >= TLS12 else None
        signature = r.vector(2)
        r.end()
        return cls(group, point, params, scheme, signature)


@dataclass(frozen=True)
class CertificateRequest:
    """A CertificateRequest, parsed; `schemes` is empty before TLS 1.2."""

    types: bytes
    schemes: tuple[int, ...]
    names: tuple[bytes, ...]

    @classmethod
    def parse(cls, body: bytes, version: int) -> CertificateRequest:
        """From the message body."""
        r = Reader(body)
        types = r.vector(1)
        raw = r.vector(2) if version >= TLS12 else b""
        schemes = tuple(int.from_bytes(raw[i : i + 2], "big") for i in range(0, len(raw), 2))
        block, names = Reader(r.vector(2)), []
        r.end()
        while block.more():
            names.append(block.vector(2))
        return cls(types, schemes, tuple(names))
