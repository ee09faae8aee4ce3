"""Client certificates, good and bad, and the files a row's options name.

All come from the throw-away authorities of `tests.certs`; what that does not make (intermediates, usages,
broken bytes) is made here.
"""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from functools import cached_property

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from tests.certs import Certs

from .client import Identity

_DAY = datetime.timedelta(days=1)


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _der(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(Encoding.DER)


class Identities:
    """`get(name)` for a row's identity, `files` for the {names} in its options."""

    def __init__(self, certs: Certs) -> None:
        self.certs = certs
        self._made: dict[str, Identity] = {}

    @cached_property
    def files(self) -> Mapping[str, str]:
        """Placeholder -> path."""
        return {
            "rsa": str(self.certs.server("rsa2048")),
            "ecdsa": str(self.certs.server("p256")),
            "anchor": str(self.certs.client_ca),
        }

    def get(self, name: str) -> Identity | None:
        """The identity of this name, made once; none for the empty name."""
        if not name:
            return None
        if name not in self._made:
            self._made[name] = getattr(self, f"_{name}")()
        return self._made[name]

    def _leaf(self, kind: str, days: tuple[int, int] = (-1, 30), authority: str = "client") -> Identity:
        key = self.certs.key(kind, 500)
        leaf = self.certs.authority(authority).issue(key, _name("nobody"), days=days)
        return Identity((_der(leaf),), key)  # type: ignore[arg-type]

    def _rsa(self) -> Identity:
        return self._leaf("rsa2048")

    def _p256(self) -> Identity:
        return self._leaf("p256")

    def _p384(self) -> Identity:
        return self._leaf("p384")

    def _p521(self) -> Identity:
        return self._leaf("p521")

    def _expired(self) -> Identity:
        return self._leaf("p256", (-30, -1))

    def _not_yet(self) -> Identity:
        return self._leaf("p256", (2, 30))

    def _stranger(self) -> Identity:
        return self._leaf("p256", authority="stranger")

    def _ed25519(self) -> Identity:
        """A certificate for a key of a kind that TLS 1.2 here cannot verify; signs with another key."""
        leaf = self.certs.authority("client").issue(self.certs.key("ed25519", 500), _name("nobody"))
        return Identity((_der(leaf),), self.certs.key("p256", 500))  # type: ignore[arg-type]

    def _intermediate(self) -> Identity:
        """A leaf under an intermediate under the anchor, both sent."""
        middle_key, key = self.certs.key("p256", 501), self.certs.key("p256", 500)
        middle = self.certs.authority("client").issue(middle_key, _name("middle"), is_ca=True)
        leaf = self._sign(key, "middle", middle_key, "nobody")
        return Identity((_der(leaf), _der(middle)), key)  # type: ignore[arg-type]

    def _intermediate_missing(self) -> Identity:
        whole = self._intermediate()
        return Identity(whole.chain[:1], whole.key)

    def _not_an_authority(self) -> Identity:
        """A leaf signed by another leaf, which is no CA."""
        middle_key, key = self.certs.key("p256", 501), self.certs.key("p256", 500)
        middle = self.certs.authority("client").issue(middle_key, _name("plain"))
        leaf = self._sign(key, "plain", middle_key, "nobody")
        return Identity((_der(leaf), _der(middle)), key)  # type: ignore[arg-type]

    def _no_signing(self) -> Identity:
        """A leaf whose keyUsage allows key agreement alone (RFC 5280 4.2.1.3)."""
        usage = x509.KeyUsage(False, False, False, False, True, False, False, False, False)
        authority = self.certs.authority("client")
        key = self.certs.key("p256", 500)
        issuer = authority.certificate.subject.rfc4514_string().removeprefix("CN=")
        leaf = self._sign(key, issuer, authority.key, "nobody", usage)
        return Identity((_der(leaf),), key)  # type: ignore[arg-type]

    def _bad_signature(self) -> Identity:
        """A leaf with one bit of the authority's signature turned."""
        good = self._p256()
        der = bytearray(good.chain[0])
        der[-1] ^= 1
        return Identity((bytes(der),), good.key)

    def _bad_signature_below(self) -> Identity:
        """The same under an intermediate."""
        good = self._intermediate()
        der = bytearray(good.chain[0])
        der[-1] ^= 1
        return Identity((bytes(der), good.chain[1]), good.key)

    def _long_chain(self) -> Identity:
        """A good leaf, and its authority's certificate 400 times over."""
        good = self._p256()
        authority = _der(self.certs.authority("client").certificate)
        return Identity((*good.chain, *([authority] * 400)), good.key)

    def _sign(
        self, key: object, issuer: str, issuer_key: object, subject: str, usage: x509.KeyUsage | None = None
    ) -> x509.Certificate:
        now = datetime.datetime.now(datetime.UTC)
        builder = (
            x509.CertificateBuilder()
            .subject_name(_name(subject))
            .issuer_name(_name(issuer))
            .public_key(key.public_key())  # type: ignore[attr-defined]
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - _DAY)
            .not_valid_after(now + 30 * _DAY)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        )
        if usage is not None:
            builder = builder.add_extension(usage, critical=True)
        return builder.sign(issuer_key, hashes.SHA256())  # type: ignore[arg-type]
