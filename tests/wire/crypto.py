"""Key exchange, key schedule and record protection of the wire client.

Independent of what is under test: hashes from hashlib, ciphers and curves from the `cryptography` package,
the rest written from RFC 5246 (5, 6.2.3, 6.3), RFC 5288, RFC 6655, RFC 7905 and RFC 8422. Nothing is constant time.
"""

from __future__ import annotations

import hashlib
import hmac
import os

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.decrepit.ciphers.algorithms import TripleDES
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, x25519
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESCCM, AESGCM, ChaCha20Poly1305

from .names import TLS11, TLS12, Group, Suite

BLOCK = 16
TAG = 16
_CURVES: dict[int, ec.EllipticCurve] = {
    Group.SECP256R1: ec.SECP256R1(),
    Group.SECP384R1: ec.SECP384R1(),
    Group.SECP521R1: ec.SECP521R1(),
}


class BadRecord(Exception):
    """A record from the server does not open: broken MAC, padding or tag."""


def p_hash(algorithm: str, secret: bytes, seed: bytes, length: int) -> bytes:
    """P_hash of RFC 5246 section 5, `length` bytes of it."""
    out, a = b"", seed
    while len(out) < length:
        a = hmac.digest(secret, a, algorithm)
        out += hmac.digest(secret, a + seed, algorithm)
    return out[:length]


def prf(version: int, algorithm: str, secret: bytes, label: bytes, seed: bytes, *, length: int) -> bytes:
    """The PRF of TLS 1.2 (one hash), or of 1.0 and 1.1 (MD5 xor SHA-1, `algorithm` unused)."""
    if version >= TLS12:
        return p_hash(algorithm, secret, label + seed, length)
    half = (len(secret) + 1) // 2
    md5 = p_hash("md5", secret[:half], label + seed, length)
    sha1 = p_hash("sha1", secret[len(secret) - half :], label + seed, length)
    return bytes(x ^ y for x, y in zip(md5, sha1, strict=True))


def transcript_hash(version: int, algorithm: str, transcript: bytes) -> bytes:
    """The hash of all handshake messages that Finished covers (RFC 5246 7.4.9, RFC 2246 7.4.9)."""
    if version >= TLS12:
        return hashlib.new(algorithm, transcript).digest()
    return hashlib.md5(transcript).digest() + hashlib.sha1(transcript).digest()


class Ephemeral:
    """A fresh key of one named group: `public` as it goes on the wire, and the shared secret with a peer."""

    def __init__(self, group: int) -> None:
        self.group = group
        if group == Group.X25519:
            self._x = x25519.X25519PrivateKey.generate()
            self.public = self._x.public_key().public_bytes_raw()
        else:
            self._e = ec.generate_private_key(_CURVES[group])
            self.public = self._e.public_key().public_bytes(
                serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint
            )

    def compressed(self) -> bytes:
        """The same public point, compressed (X9.62); only for the P curves."""
        return self._e.public_key().public_bytes(
            serialization.Encoding.X962, serialization.PublicFormat.CompressedPoint
        )

    def shared(self, peer: bytes) -> bytes:
        """The pre-master secret: the x coordinate, or the X25519 output. ValueError if `peer` is no point."""
        if self.group == Group.X25519:
            return self._x.exchange(x25519.X25519PublicKey.from_public_bytes(peer))
        point = ec.EllipticCurvePublicKey.from_encoded_point(_CURVES[self.group], peer)
        return self._e.exchange(ec.ECDH(), point)


def _header(seq: int, kind: int, version: int, length: int) -> bytes:
    """The pseudo-header that MACs and AEADs cover (RFC 5246 6.2.3.1 and 6.2.3.3)."""
    return seq.to_bytes(8, "big") + bytes([kind]) + version.to_bytes(2, "big") + length.to_bytes(2, "big")


class Aead:
    """AES-GCM and AES-CCM (RFC 5288, RFC 6655, explicit nonce of 8 bytes) or ChaCha20-Poly1305 (RFC 7905, none)."""

    def __init__(self, suite: Suite, key: bytes, iv: bytes) -> None:
        self.key, self.iv = key, iv
        self.explicit = 0 if suite.kind == "chacha" else 8
        self.tag_len = 8 if suite.kind == "ccm8" else TAG
        self._cipher: AESCCM | AESGCM | ChaCha20Poly1305
        if suite.kind in ("ccm", "ccm8"):
            self._cipher = AESCCM(key, self.tag_len)
        else:
            self._cipher = AESGCM(key) if suite.kind == "gcm" else ChaCha20Poly1305(key)

    def _nonce(self, seq: int, explicit: bytes) -> bytes:
        if self.explicit:
            return self.iv + explicit
        return (int.from_bytes(self.iv, "big") ^ seq).to_bytes(12, "big")

    def seal(self, seq: int, kind: int, version: int, plain: bytes) -> bytes:
        """A sealed fragment: explicit nonce (the sequence number), ciphertext, tag."""
        explicit = seq.to_bytes(8, "big")[: self.explicit]
        aad = _header(seq, kind, version, len(plain))
        return explicit + self._cipher.encrypt(self._nonce(seq, explicit), plain, aad)

    def open(self, seq: int, kind: int, version: int, sealed: bytes) -> bytes:
        """The plaintext of a fragment; BadRecord if the tag does not fit."""
        explicit, rest = sealed[: self.explicit], sealed[self.explicit :]
        aad = _header(seq, kind, version, len(rest) - self.tag_len)
        try:
            return self._cipher.decrypt(self._nonce(seq, explicit), rest, aad)
        except (InvalidTag, ValueError) as error:
            raise BadRecord("AEAD tag") from error


class Cbc:
    """AES or 3DES in CBC mode with HMAC, MAC then encrypt (RFC 5246 6.2.3.2); the IV is chained in TLS 1.0."""

    def __init__(self, suite: Suite, version: int, key: bytes, iv: bytes, mac_key: bytes) -> None:
        self.key, self.iv, self.mac_key, self.hash = key, iv, mac_key, suite.mac
        self.block = suite.block
        self.explicit = self.block if version >= TLS11 else 0
        self._cipher = TripleDES(key) if suite.kind == "3des" else algorithms.AES(key)
        self.mac_len = hashlib.new(suite.mac).digest_size

    def mac(self, seq: int, kind: int, version: int, plain: bytes) -> bytes:
        """The MAC of one record's plaintext."""
        return hmac.digest(self.mac_key, _header(seq, kind, version, len(plain)) + plain, self.hash)

    def encrypt(self, blocks: bytes, iv: bytes | None = None) -> bytes:
        """Encrypt whole blocks as they are; the explicit IV, if the version has one, comes first."""
        iv = self.iv if not self.explicit else (iv or os.urandom(self.block))
        box = Cipher(self._cipher, modes.CBC(iv)).encryptor()
        out = box.update(blocks) + box.finalize()
        if not self.explicit:
            self.iv = out[-self.block :] if out else self.iv
            return out
        return iv + out

    def pad(self, data: bytes, blocks_more: int = 0) -> bytes:
        """`data` with the shortest legal padding, or `blocks_more` blocks longer than that."""
        count = self.block - 1 - len(data) % self.block + self.block * blocks_more
        return data + bytes([count]) * (count + 1)

    def seal(self, seq: int, kind: int, version: int, plain: bytes) -> bytes:
        """A sealed fragment with the shortest padding."""
        return self.encrypt(self.pad(plain + self.mac(seq, kind, version, plain)))

    def open(self, seq: int, kind: int, version: int, sealed: bytes) -> bytes:
        """The plaintext of a fragment; BadRecord if block count, padding or MAC is wrong."""
        iv = sealed[: self.block] if self.explicit else self.iv
        body = sealed[self.explicit :]
        if not body or len(body) % self.block:
            raise BadRecord("not whole blocks")
        box = Cipher(self._cipher, modes.CBC(iv)).decryptor()
        data = box.update(body) + box.finalize()
        self.iv = body[-self.block :]
        count = data[-1] + 1
        if len(data) < count + self.mac_len or data[-count:] != bytes([count - 1]) * count:
            raise BadRecord("padding")
        plain, tag = data[: -count - self.mac_len], data[-count - self.mac_len : -count]
        if not hmac.compare_digest(tag, self.mac(seq, kind, version, plain)):
            raise BadRecord("MAC")
        return plain


Protection = Aead | Cbc


class KeyBlock:
    """The key block of RFC 5246 6.3, cut up; `whole` and each part are there for the isolation tests."""

    def __init__(self, suite: Suite, version: int, master: bytes, client_random: bytes, server_random: bytes):
        mac_len = hashlib.new(suite.mac).digest_size if suite.mac else 0
        iv_len = 0 if suite.is_cbc and version >= TLS11 else suite.iv_len
        sizes = (mac_len, mac_len, suite.key_len, suite.key_len, iv_len, iv_len)
        seed = server_random + client_random
        self.whole = prf(version, suite.prf, master, b"key expansion", seed, length=sum(sizes))
        parts, at = [], 0
        for size in sizes:
            parts.append(self.whole[at : at + size])
            at += size
        (
            self.client_mac,
            self.server_mac,
            self.client_key,
            self.server_key,
            self.client_iv,
            self.server_iv,
        ) = parts
        self._suite, self._version = suite, version

    def _side(self, key: bytes, iv: bytes, mac: bytes) -> Protection:
        if self._suite.is_cbc:
            return Cbc(self._suite, self._version, key, iv, mac)
        return Aead(self._suite, key, iv)

    def client_side(self) -> Protection:
        """What the client seals with."""
        return self._side(self.client_key, self.client_iv, self.client_mac)

    def server_side(self) -> Protection:
        """What the server seals with."""
        return self._side(self.server_key, self.server_iv, self.server_mac)
