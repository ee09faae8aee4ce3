"""Certificates and keys of the tests, made at run time: short-lived, under throw-away authorities.

    certs.server("rsa2048")            key and certificate for localhost, 127.0.0.1 and test.example
    certs.ca                           the authority's certificate, for clients that verify
    certs.client(common_name="nobody") a PEM file for a client; certs.client_ca is its anchor
    key, chain = certs.parts("p256")   the two halves as PEM text, to build bad files from

Kinds: rsa2048 rsa3072 rsa4096 p256 p384 p521 served by the wrapper; p224 and ed25519, which it refuses.
A key is made once for each (kind, number); a certificate once for each set of arguments.
"""

from __future__ import annotations

import datetime
import hashlib
import ipaddress
import warnings
from collections.abc import Iterable
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import NameOID

RSA_KINDS = ("rsa2048", "rsa3072", "rsa4096")
EC_KINDS = ("p256", "p384", "p521")
KINDS = RSA_KINDS + EC_KINDS
NAMES = ("localhost", "test.example")

PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey
_CURVES = {"p224": ec.SECP224R1, "p256": ec.SECP256R1, "p384": ec.SECP384R1, "p521": ec.SECP521R1}
_DAY = datetime.timedelta(days=1)


class Authority:
    """A root that signs leaves. `kind` is its own key's kind."""

    def __init__(self, key: PrivateKey, name: str) -> None:
        self.key = key
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        self.certificate = (
            _builder(subject, subject, key)
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .add_extension(_usage(sign=True), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .sign(key, _hash(key))
        )

    def issue(
        self,
        key: PrivateKey,
        subject: x509.Name,
        names: Iterable[str] = (),
        days: tuple[int, int] = (-1, 30),
        is_ca: bool = False,
    ) -> x509.Certificate:
        """Sign a certificate valid from days[0] to days[1] from now."""
        builder = _builder(subject, self.certificate.subject, key, days).add_extension(
            x509.BasicConstraints(ca=is_ca, path_length=None), critical=True
        )
        builder = builder.add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key()), critical=False
        )
        if names:
            builder = builder.add_extension(
                x509.SubjectAlternativeName([_general_name(name) for name in names]), critical=False
            )
        return builder.sign(self.key, _hash(self.key))


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _hash(key: PrivateKey) -> hashes.SHA256 | None:
    return None if isinstance(key, ed25519.Ed25519PrivateKey) else hashes.SHA256()


def _usage(sign: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        key_cert_sign=sign,
        crl_sign=sign,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _builder(
    subject: x509.Name, issuer: x509.Name, key: PrivateKey, days: tuple[int, int] = (-1, 30)
) -> x509.CertificateBuilder:
    now = datetime.datetime.now(datetime.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now + days[0] * _DAY)
        .not_valid_after(now + days[1] * _DAY)
    )


def certificate_pem(certificate: x509.Certificate) -> str:
    """One certificate as PEM text."""
    return certificate.public_bytes(serialization.Encoding.PEM).decode()


def key_pem(key: PrivateKey, form: str = "pkcs8") -> str:
    """A private key as PEM text: "pkcs8" (PRIVATE KEY) or "traditional" (RSA or EC PRIVATE KEY)."""
    formats = {
        "pkcs8": serialization.PrivateFormat.PKCS8,
        "traditional": serialization.PrivateFormat.TraditionalOpenSSL,
    }
    return key.private_bytes(serialization.Encoding.PEM, formats[form], serialization.NoEncryption()).decode()


class Certs:
    """Makes and keeps all of it in one folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.chmod(0o755)
        self._keys: dict[tuple[str, int], PrivateKey] = {}
        self._authorities: dict[str, Authority] = {}
        self._leaves: dict[tuple[object, ...], x509.Certificate] = {}

    # keys and authorities

    def key(self, kind: str, number: int = 0) -> PrivateKey:
        """The private key of this kind; another `number` is another key."""
        if (kind, number) not in self._keys:
            if kind.startswith("rsa"):
                made: PrivateKey = rsa.generate_private_key(65537, int(kind[3:]))
            elif kind == "ed25519":
                made = ed25519.Ed25519PrivateKey.generate()
            else:
                made = ec.generate_private_key(_CURVES[kind]())
            self._keys[kind, number] = made
        return self._keys[kind, number]

    def authority(self, name: str, kind: str = "p256") -> Authority:
        """The authority of this name: "server", "client", or any other for one that nobody trusts."""
        if name not in self._authorities:
            number = 1000 + len(self._authorities)
            self._authorities[name] = Authority(self.key(kind, number), f"throw-away {name} authority")
            (self.folder / f"ca-{name}.pem").write_text(certificate_pem(self._authorities[name].certificate))
        return self._authorities[name]

    @property
    def ca(self) -> Path:
        """The certificate of the authority that signed the server certificates."""
        return self.anchor("server")

    @property
    def client_ca(self) -> Path:
        """The anchor file for client certificates (-a)."""
        return self.anchor("client")

    def anchor(self, name: str, kind: str = "p256") -> Path:
        """The certificate file of an authority."""
        self.authority(name, kind)
        return self.folder / f"ca-{name}.pem"

    # server side

    def leaf(self, kind: str, names: tuple[str, ...] = NAMES, number: int = 0) -> x509.Certificate:
        """A server certificate for `names` over the key (kind, number)."""
        index = ("server", kind, names, number)
        if index not in self._leaves:
            subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0][:64])])
            self._leaves[index] = self.authority("server").issue(
                self.key(kind, number), subject, (*names, "127.0.0.1")
            )
        return self._leaves[index]

    def parts(
        self, kind: str, names: tuple[str, ...] = NAMES, number: int = 0, form: str = "pkcs8"
    ) -> tuple[str, str]:
        """PEM text of the key and of the certificate."""
        return key_pem(self.key(kind, number), form), certificate_pem(self.leaf(kind, names, number))

    def server(self, kind: str, names: tuple[str, ...] = NAMES, number: int = 0) -> Path:
        """A file with key and certificate, as -f takes it."""
        token = hashlib.sha256(repr((names, number)).encode()).hexdigest()[:8]
        path = self.folder / f"{kind}-{token}.pem"
        if not path.exists():
            path.write_text("".join(self.parts(kind, names, number)))
            path.chmod(0o600)
        return path

    def directory(self, path: Path, files: dict[str, str]) -> Path:
        """A folder for -d: file name -> kind; each certificate carries the file's name."""
        path.mkdir(parents=True, exist_ok=True)
        for name, kind in files.items():
            (path / name).write_text("".join(self.parts(kind, (name,))))
        return path

    # client side

    def client(
        self,
        common_name: str | None = "nobody",
        email: str | None = None,
        *,
        kind: str = "p256",
        authority: str = "client",
        days: tuple[int, int] = (-1, 30),
        unit: str | None = None,
    ) -> Path:
        """A file with key and certificate for a client; `days` in the past make it expired."""
        index = ("client", common_name, email, kind, authority, days, unit)
        path = self.folder / f"client-{hashlib.sha256(repr(index).encode()).hexdigest()[:16]}.pem"
        if not path.exists():
            attributes = []
            for oid, value in (
                (NameOID.COMMON_NAME, common_name),
                (NameOID.EMAIL_ADDRESS, email),
                (NameOID.ORGANIZATIONAL_UNIT_NAME, unit),
            ):
                if value is not None:
                    attributes.append(_attribute(oid, value))
            key = self.key(kind, 500)
            leaf = self.authority(authority).issue(key, x509.Name(attributes), days=days)
            path.write_text(key_pem(key) + certificate_pem(leaf))
        return path


def _attribute(oid: x509.ObjectIdentifier, value: str) -> x509.NameAttribute:
    """A name attribute of any length: over-long names are a test, so the bounds of X.520 do not hold here."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        return x509.NameAttribute(oid, value, _validate=False)


def fingerprint(certificate: x509.Certificate) -> str:
    """Hex SHA-256 of the certificate's DER, the fingerprint tools print without colons."""
    return hashlib.sha256(certificate.public_bytes(serialization.Encoding.DER)).hexdigest()
