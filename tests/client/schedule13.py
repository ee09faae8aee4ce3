"""Key schedule, record protection and signatures of TLS 1.3 for the scripted server (RFC 8446 sections 4.4.3, 5.2, 7).

Written from the RFC over hashlib and the `cryptography` package; nothing of it is shared with what is under test.
"""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass

from cryptography import x509
from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, ChaCha20Poly1305

from tests.wire.crypto import BadRecord
from tests.wire.messages import u16, vec

GCM128, GCM256, CHAPOL13 = 0x1301, 0x1302, 0x1303
_HASHES = {0x04: hashes.SHA256(), 0x05: hashes.SHA384(), 0x06: hashes.SHA512()}
PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey


@dataclass(frozen=True)
class Suite13:
    """Number, key size and hash; `openssl` is the name in SSL_CIPHER. `auth` is what 1.2's suites have there."""

    code: int
    key_len: int
    prf: str
    openssl: str
    auth: str = "any"


SUITES13 = {
    suite.code: suite
    for suite in (
        Suite13(GCM128, 16, "sha256", "TLS_AES_128_GCM_SHA256"),
        Suite13(GCM256, 32, "sha384", "TLS_AES_256_GCM_SHA384"),
        Suite13(CHAPOL13, 32, "sha256", "TLS_CHACHA20_POLY1305_SHA256"),
    )
}


def expand_label(prf: str, secret: bytes, label: bytes, context: bytes, length: int) -> bytes:
    """HKDF-Expand-Label (section 7.1)."""
    info = u16(length) + vec(1, b"tls13 " + label) + vec(1, context)
    out, block, counter = b"", b"", 1
    while len(out) < length:
        block = hmac.digest(secret, block + info + bytes([counter]), prf)
        out, counter = out + block, counter + 1
    return out[:length]


class Secrets:
    """The schedule of one handshake without a PSK; every secret stays readable."""

    def __init__(self, suite: Suite13, shared: bytes, transcript: bytes) -> None:
        self.suite, self.size = suite, hashlib.new(suite.prf).digest_size
        self.shared = shared
        self.early = hmac.digest(bytes(self.size), bytes(self.size), suite.prf)
        self.handshake = hmac.digest(self._derive(self.early, b"derived", b""), shared, suite.prf)
        self.client_handshake = self._derive(self.handshake, b"c hs traffic", transcript)
        self.server_handshake = self._derive(self.handshake, b"s hs traffic", transcript)
        self.master = hmac.digest(
            self._derive(self.handshake, b"derived", b""), bytes(self.size), suite.prf
        )

    def _derive(self, secret: bytes, label: bytes, transcript: bytes) -> bytes:
        return expand_label(
            self.suite.prf, secret, label, hashlib.new(self.suite.prf, transcript).digest(), self.size
        )

    def finish(self, transcript: bytes) -> None:
        """The application secrets; transcript: to the server's Finished."""
        self.client_application = self._derive(self.master, b"c ap traffic", transcript)
        self.server_application = self._derive(self.master, b"s ap traffic", transcript)

    def verify_data(self, secret: bytes, transcript: bytes) -> bytes:
        """What Finished holds under this handshake secret (section 4.4.4)."""
        key = expand_label(self.suite.prf, secret, b"finished", b"", self.size)
        return hmac.digest(key, hashlib.new(self.suite.prf, transcript).digest(), self.suite.prf)

    def next(self, secret: bytes) -> bytes:
        """The next generation of a traffic secret (section 7.2)."""
        return expand_label(self.suite.prf, secret, b"traffic upd", b"", self.size)


class Protection13:
    """Seals and opens the records of one direction under one traffic secret."""

    def __init__(self, suite: Suite13, secret: bytes) -> None:
        self.secret = secret
        self.key = expand_label(suite.prf, secret, b"key", b"", suite.key_len)
        self.iv = expand_label(suite.prf, secret, b"iv", b"", 12)
        self._cipher = ChaCha20Poly1305(self.key) if suite.code == CHAPOL13 else AESGCM(self.key)

    def _nonce(self, seq: int) -> bytes:
        return (int.from_bytes(self.iv, "big") ^ seq).to_bytes(12, "big")

    def seal_inner(self, seq: int, inner: bytes) -> bytes:
        """The whole record around a TLSInnerPlaintext."""
        header = b"\x17\x03\x03" + u16(len(inner) + 16)
        return header + self._cipher.encrypt(self._nonce(seq), inner, header)

    def open_inner(self, seq: int, header: bytes, fragment: bytes) -> tuple[int, bytes]:
        """Inner type and content; BadRecord when it does not open."""
        try:
            inner = self._cipher.decrypt(self._nonce(seq), fragment, header).rstrip(b"\0")
        except (InvalidTag, ValueError) as error:
            raise BadRecord("AEAD tag") from error
        return inner[-1], inner[:-1]


def covered(is_server: bool, digest: bytes) -> bytes:
    """What a CertificateVerify signs."""
    who = b"server" if is_server else b"client"
    return b" " * 64 + b"TLS 1.3, " + who + b" CertificateVerify\0" + digest


def scheme_of(key: PrivateKey) -> int:
    """The scheme that this key signs with."""
    if isinstance(key, rsa.RSAPrivateKey):
        return 0x0804
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return 0x0807
    return {256: 0x0403, 384: 0x0503, 521: 0x0603}[key.curve.key_size]


def sign13(key: PrivateKey, scheme: int, content: bytes) -> bytes:
    """Sign by a scheme; one with another hash than the curve's is made all the same."""
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return key.sign(content)
    if isinstance(key, rsa.RSAPrivateKey):
        if scheme >> 8 == 8:
            algorithm = _HASHES[scheme & 15]
            return key.sign(
                content, padding.PSS(padding.MGF1(algorithm), algorithm.digest_size), algorithm
            )
        return key.sign(content, padding.PKCS1v15(), _HASHES[scheme >> 8])
    return key.sign(content, ec.ECDSA(_HASHES.get(scheme >> 8, hashes.SHA256())))


def verify13(certificate: bytes, scheme: int, signature: bytes, content: bytes) -> None:
    """Check a client's signature; ValueError when it is wrong or the scheme is not the key's."""
    key = x509.load_der_x509_certificate(certificate).public_key()
    try:
        if isinstance(key, ed25519.Ed25519PublicKey) and scheme == 0x0807:
            key.verify(signature, content)
        elif isinstance(key, rsa.RSAPublicKey) and scheme >> 8 == 8 and scheme & 15 in _HASHES:
            algorithm = _HASHES[scheme & 15]
            pss = padding.PSS(padding.MGF1(algorithm), algorithm.digest_size)
            key.verify(signature, content, pss, algorithm)
        elif isinstance(key, ec.EllipticCurvePublicKey) and (scheme, key.curve.key_size) in (
            (0x0403, 256), (0x0503, 384), (0x0603, 521),
        ):  # fmt: skip
            key.verify(signature, content, ec.ECDSA(_HASHES[scheme >> 8]))
        else:
            raise ValueError(f"scheme {scheme:#06x} does not fit the client's key")
    except InvalidSignature as error:
        raise ValueError("the client's signature is wrong") from error
