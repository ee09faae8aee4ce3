"""The key schedule and record protection of TLS 1.3 (RFC 8446 sections 5 and 7), by `cryptography`."""

from __future__ import annotations

import hashlib
import hmac

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, ChaCha20Poly1305

from tests.wire.crypto import BadRecord
from tests.wire.messages import u16, vec

CHACHA, AES256, AES128 = 0x1303, 0x1302, 0x1301
HASHES = {CHACHA: "sha256", AES256: "sha384", AES128: "sha256"}
KEYS = {CHACHA: 32, AES256: 32, AES128: 16}


def digest(name: str, data: bytes) -> bytes:
    """The hash of data."""
    return hashlib.new(name, data).digest()


def extract(name: str, salt: bytes, secret: bytes) -> bytes:
    """HKDF-Extract."""
    return hmac.digest(salt or bytes(hashlib.new(name).digest_size), secret, name)


def expand(name: str, secret: bytes, label: str, context: bytes, size: int) -> bytes:
    """HKDF-Expand-Label."""
    info = u16(size) + vec(1, b"tls13 " + label.encode()) + vec(1, context)
    out, block, count = b"", b"", 0
    while len(out) < size:
        count += 1
        block = hmac.digest(secret, block + info + bytes([count]), name)
        out += block
    return out[:size]


class Schedule:
    """The secrets of one connection; every one stays readable."""

    def __init__(self, suite: int, psk: bytes = b"") -> None:
        self.suite, self.name = suite, HASHES[suite]
        self.size = hashlib.new(self.name).digest_size
        self.early = extract(self.name, b"", psk or bytes(self.size))

    def derive(self, secret: bytes, label: str, messages: bytes) -> bytes:
        """Derive-Secret."""
        return expand(self.name, secret, label, digest(self.name, messages), self.size)

    def handshake(self, shared: bytes, messages: bytes) -> None:
        """ClientHello..ServerHello."""
        salt = self.derive(self.early, "derived", b"")
        self.secret = extract(self.name, salt, shared)
        self.client_handshake = self.derive(self.secret, "c hs traffic", messages)
        self.server_handshake = self.derive(self.secret, "s hs traffic", messages)

    def application(self, messages: bytes) -> None:
        """ClientHello..server's Finished."""
        salt = self.derive(self.secret, "derived", b"")
        self.master = extract(self.name, salt, bytes(self.size))
        self.client_application = self.derive(self.master, "c ap traffic", messages)
        self.server_application = self.derive(self.master, "s ap traffic", messages)

    def resumption(self, messages: bytes) -> None:
        """ClientHello..client's Finished."""
        self.resumption_master = self.derive(self.master, "res master", messages)

    def ticket(self, nonce: bytes) -> bytes:
        """The PSK of a ticket."""
        return expand(self.name, self.resumption_master, "resumption", nonce, self.size)

    def finished(self, base: bytes, messages: bytes) -> bytes:
        """verify_data of one side."""
        key = expand(self.name, base, "finished", b"", self.size)
        return hmac.digest(key, digest(self.name, messages), self.name)

    def binder(self, messages: bytes) -> bytes:
        """Of a PSK that a ticket stands for, over the hello without its binders."""
        return self.finished(self.derive(self.early, "res binder", b""), messages)

    def next(self, secret: bytes) -> bytes:
        """The next generation of a traffic secret."""
        return expand(self.name, secret, "traffic upd", b"", self.size)

    def protection(self, secret: bytes) -> Protection13:
        """What seals and opens under a traffic secret."""
        return Protection13(self.suite, self.name, secret)


class Protection13:
    """Record protection under one traffic secret; the inner type is the caller's."""

    def __init__(self, suite: int, name: str, secret: bytes) -> None:
        key = expand(name, secret, "key", b"", KEYS[suite])
        self.iv = expand(name, secret, "iv", b"", 12)
        self.aead = ChaCha20Poly1305(key) if suite == CHACHA else AESGCM(key)

    def nonce(self, seq: int) -> bytes:
        """Of a record (section 5.3)."""
        return (int.from_bytes(self.iv, "big") ^ seq).to_bytes(12, "big")

    def seal(self, seq: int, inner: bytes) -> bytes:
        """A fragment of this TLSInnerPlaintext."""
        return self.aead.encrypt(self.nonce(seq), inner, b"\x17\3\3" + u16(len(inner) + 16))

    def open(self, seq: int, header: bytes, sealed: bytes) -> tuple[int, bytes]:
        """(inner type, content)."""
        try:
            inner = self.aead.decrypt(self.nonce(seq), sealed, header).rstrip(b"\0")
        except InvalidTag as error:
            raise BadRecord("AEAD") from error
        if not inner:
            raise BadRecord("no inner type")
        return inner[-1], inner[:-1]
