"""Certificates, keys and anchor files of the client's tests: every form and every fault, made once on demand.

`Material.path("name")` gives the file (or folder) of that name; the names are the methods below without their
underscore. Server certificates are files with key and chain, for a server to load; anchors are what CAFILE and
CADIR name.
"""

from __future__ import annotations

import datetime
import ipaddress
import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from tests.certs import Certs, PrivateKey, certificate_pem, key_pem

_DAY = datetime.timedelta(days=1)
SUBJECT = (  # of the certificate "subject", in the order in which SSL_PEER_CERT_SUBJECT is not
    (NameOID.COMMON_NAME, "localhost"),
    (NameOID.ORGANIZATION_NAME, "Acme, Inc."),
    (NameOID.COUNTRY_NAME, "FR"),
)


def dns(*names: str) -> list[x509.GeneralName]:
    """subjectAltName entries for host names, taken as they are."""
    return [x509.DNSName(name) for name in names]


def addresses(*texts: str) -> list[x509.GeneralName]:
    """subjectAltName entries for addresses."""
    return [x509.IPAddress(ipaddress.ip_address(text)) for text in texts]


class Material:
    """See the module. Everything lies in one folder that every user may read."""

    def __init__(self, certs: Certs, folder: Path) -> None:
        self.certs, self.folder = certs, folder
        self._made: dict[str, Path] = {}

    def path(self, name: str) -> Path:
        """The file of this name, made when it is asked for the first time."""
        if name not in self._made:
            made = getattr(self, f"_{name}")()
            self._made[name] = made if isinstance(made, Path) else self._write(name, made)
        return self._made[name]

    def _write(self, name: str, data: bytes | str) -> Path:
        path = self.folder / name
        path.write_bytes(data.encode() if isinstance(data, str) else data)
        path.chmod(0o644)
        return path

    # making certificates

    def issue(
        self,
        key: PrivateKey,
        names: Sequence[x509.GeneralName],
        *,
        common_name: str = "localhost",
        days: tuple[int, int] = (-1, 30),
        subject: x509.Name | None = None,
        issuer: tuple[x509.Name, PrivateKey] | None = None,
        is_ca: bool = False,
        extra: Sequence[tuple[x509.ExtensionType, bool]] = (),
    ) -> x509.Certificate:
        """A certificate for `key`, signed by the authority that clients trust unless `issuer` says another."""
        if issuer is None:
            authority = self.certs.authority("server")
            issuer = authority.certificate.subject, authority.key
        now = datetime.datetime.now(datetime.UTC)
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject or x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)]))
            .issuer_name(issuer[0])
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now + days[0] * _DAY)
            .not_valid_after(now + days[1] * _DAY)
            .add_extension(x509.BasicConstraints(ca=is_ca, path_length=None), critical=True)
        )
        if names:
            builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        for extension, critical in extra:
            builder = builder.add_extension(extension, critical)
        return builder.sign(issuer[1], hashes.SHA256())  # type: ignore[arg-type]

    def _served(self, names: Sequence[x509.GeneralName], **more: object) -> str:
        key = self.certs.key("p256")
        return key_pem(key) + certificate_pem(self.issue(key, names, **more))  # type: ignore[arg-type]

    # servers

    def _p256(self) -> Path:
        return self.certs.server("p256")

    def _p384(self) -> Path:
        return self.certs.server("p384")

    def _p521(self) -> Path:
        return self.certs.server("p521")

    def _rsa2048(self) -> Path:
        return self.certs.server("rsa2048")

    def _rsa4096(self) -> Path:
        return self.certs.server("rsa4096")

    def _rsa1024(self) -> str:
        key = self.certs.key("rsa1024")
        return key_pem(key) + certificate_pem(self.issue(key, dns("localhost")))

    def _expired(self) -> str:
        return self._served(dns("localhost"), days=(-30, -1))

    def _not_yet(self) -> str:
        return self._served(dns("localhost"), days=(2, 30))

    def _other_name(self) -> str:
        return self._served(dns("other.example"), common_name="other.example")

    def _wildcard(self) -> str:
        return self._served(dns("*.example.com"), common_name="x")

    def _no_san(self) -> str:
        return self._served([])

    def _san_and_cn(self) -> str:
        """A name in the CN alone, beside a subjectAltName that has another one."""
        return self._served(dns("other.example"))

    def _ip4(self) -> str:
        return self._served(addresses("127.0.0.1"), common_name="x")

    def _ip6(self) -> str:
        return self._served(addresses("::1", "2001:db8::5"), common_name="x")

    def _ip_as_dns(self) -> str:
        """An address that stands as a dNSName and as the CN, not as an iPAddress."""
        return self._served(dns("127.0.0.1"), common_name="127.0.0.1")

    def _subject(self) -> str:
        name = x509.Name([x509.NameAttribute(oid, text) for oid, text in SUBJECT])
        return self._served(dns("localhost"), subject=name)

    def _constrained(self) -> str:
        """An unknown critical extension."""
        extension = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.3.6.1.4.1.99999.1"), b"\5\0")
        return self._served(dns("localhost"), extra=[(extension, True)])

    def _stranger(self) -> str:
        authority = self.certs.authority("stranger")
        return self._served(dns("localhost"), issuer=(authority.certificate.subject, authority.key))

    def _stranger_wrong_name(self) -> str:
        authority = self.certs.authority("stranger")
        names = dns("other.example")
        return self._served(names, common_name="x", issuer=(authority.certificate.subject, authority.key))

    def _stranger_expired(self) -> str:
        authority = self.certs.authority("stranger")
        issuer = (authority.certificate.subject, authority.key)
        return self._served(dns("localhost"), days=(-30, -1), issuer=issuer)

    def _self_signed(self) -> str:
        key = self.certs.key("p256")
        own = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
        return self._served(dns("localhost"), issuer=(own, key))

    def _intermediate(self) -> str:
        """A leaf under an intermediate, both sent."""
        key, middle_key = self.certs.key("p256"), self.certs.key("p256", 501)
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "middle")])
        middle = self.issue(middle_key, [], subject=name, is_ca=True)
        leaf = self.issue(key, dns("localhost"), issuer=(name, middle_key))
        return key_pem(key) + certificate_pem(leaf) + certificate_pem(middle)

    def _intermediate_missing(self) -> str:
        text = self.path("intermediate").read_text()
        return text[: text.rindex("-----BEGIN CERTIFICATE")]

    def _not_a_ca(self) -> str:
        """A leaf under another leaf."""
        key, middle_key = self.certs.key("p256"), self.certs.key("p256", 501)
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "middle")])
        middle = self.issue(middle_key, [], subject=name)
        leaf = self.issue(key, dns("localhost"), issuer=(name, middle_key))
        return key_pem(key) + certificate_pem(leaf) + certificate_pem(middle)

    # anchors: files

    def _ca(self) -> Path:
        self.certs.ca.chmod(0o644)
        return self.certs.ca

    def _other_ca(self) -> Path:
        return self.certs.anchor("stranger")

    def _client_ca(self) -> Path:
        return self.certs.client_ca

    def _ca_der(self) -> bytes:
        return self.certs.authority("server").certificate.public_bytes(Encoding.DER)

    def _two(self) -> str:
        return self.path("other_ca").read_text() + "text between\n" + self.path("ca").read_text()

    def _x509_label(self) -> str:
        return self.path("ca").read_text().replace(" CERTIFICATE-", " X509 CERTIFICATE-")

    def _with_key(self) -> str:
        return self.path("key_only").read_text() + self.path("ca").read_text()

    def _leaf(self) -> str:
        return certificate_pem(self.certs.leaf("p256"))

    def _self_signed_leaf(self) -> str:
        text = self.path("self_signed").read_text()
        return text[text.index("-----BEGIN CERTIFICATE") :]

    def _empty(self) -> str:
        return ""

    def _text(self) -> str:
        return "this is no certificate\n" * 20

    def _key_only(self) -> str:
        return key_pem(self.certs.key("p256", 77))

    def _truncated(self) -> str:
        text = self.path("ca").read_text()
        return text[: len(text) // 2]

    def _unended(self) -> str:
        """Without its END line."""
        return self.path("ca").read_text().rpartition("-----END")[0]

    def _good_and_bad(self) -> str:
        return self.path("ca").read_text() + self.path("bad_certificate").read_text()

    def _bad_certificate(self) -> str:
        """Good PEM around what is no certificate: an INTEGER where a SEQUENCE belongs."""
        return "-----BEGIN CERTIFICATE-----\nAgEFAgEFAgEF\n-----END CERTIFICATE-----\n"

    # anchors: folders

    def _folder(self, name: str, **files: str | bytes) -> Path:
        folder = self.folder / name
        folder.mkdir(mode=0o755)
        for entry, data in files.items():
            path = folder / entry.replace("DOT", ".")
            path.write_bytes(data.encode() if isinstance(data, str) else data)
        return folder

    def _dir_empty(self) -> Path:
        return self._folder("dir_empty")

    def _dir_plain(self) -> Path:
        return self._folder("dir_plain", caDOTpem=self.path("ca").read_text())

    def _dir_hash0(self) -> Path:
        return self._folder("dir_hash0", **{"0a1b2c3dDOT0": self.path("ca").read_text()})

    def _dir_hash1(self) -> Path:
        return self._folder("dir_hash1", **{"0a1b2c3dDOT1": self.path("ca").read_text()})

    def _dir_der(self) -> Path:
        return self._folder("dir_der", **{"0a1b2c3dDOT0": self.path("ca_der").read_bytes()})

    def _dir_der_plain(self) -> Path:
        return self._folder("dir_der_plain", anchor=self.path("ca_der").read_bytes())

    def _dir_bundle(self) -> Path:
        return self._folder("dir_bundle", bundle=self.path("two").read_text())

    def _dir_hidden(self) -> Path:
        return self._folder("dir_hidden", DOTca=self.path("ca").read_text())

    def _dir_other(self) -> Path:
        return self._folder("dir_other", caDOTpem=self.path("other_ca").read_text())

    def _dir_bad(self) -> Path:
        return self._folder("dir_bad", text=self.path("text").read_text(), bad=self.path("bad_certificate").read_text())

    def _dir_mixed(self) -> Path:
        """Whatever can be wrong with an entry, and one that is good."""
        folder = self._folder(
            "dir_mixed",
            a_text=self.path("text").read_text(),
            b_bad=self.path("bad_certificate").read_text(),
            c_cut=self.path("truncated").read_text(),
            d_empty="",
            z_good=self.path("ca").read_text(),
        )
        (folder / "e_folder").mkdir()
        (folder / "f_dangling").symlink_to("nowhere")
        return folder

    def _dir_fifo(self) -> Path:
        """A named pipe, which whoever opens it to read waits on, beside a good file."""
        folder = self._folder("dir_fifo", z_good=self.path("ca").read_text())
        os.mkfifo(folder / "a_fifo")
        return folder

    def _dir_links(self) -> Path:
        """As rehash(1) leaves it: a link with the hash for its name."""
        folder = self._folder("dir_links")
        (folder / "0a1b2c3d.0").symlink_to(self.path("ca"))
        return folder

    # client certificates: KEYFILE and CERTFILE

    def _client(self, kind: str, form: str = "pkcs8", authority: str = "client") -> tuple[PrivateKey, str, str]:
        key = self.certs.key(kind, 500)
        made = self.certs.authority(authority)
        leaf = self.issue(key, [], common_name="nobody", issuer=(made.certificate.subject, made.key))
        return key, key_pem(key, form), certificate_pem(leaf)

    def _key_p256(self) -> str:
        return self._client("p256")[1]

    def _cert_p256(self) -> str:
        return self._client("p256")[2]

    def _key_rsa(self) -> str:
        return self._client("rsa2048")[1]

    def _cert_rsa(self) -> str:
        return self._client("rsa2048")[2]

    def _key_p256_sec1(self) -> str:
        return self._client("p256", "traditional")[1]

    def _key_rsa_pkcs1(self) -> str:
        return self._client("rsa2048", "traditional")[1]

    def _key_p384(self) -> str:
        return self._client("p384")[1]

    def _cert_p384(self) -> str:
        return self._client("p384")[2]

    def _der(self, kind: str, form: serialization.PrivateFormat) -> bytes:
        return self.certs.key(kind, 500).private_bytes(Encoding.DER, form, serialization.NoEncryption())

    def _key_p256_der(self) -> bytes:
        return self._der("p256", serialization.PrivateFormat.TraditionalOpenSSL)

    def _key_p256_pkcs8_der(self) -> bytes:
        return self._der("p256", serialization.PrivateFormat.PKCS8)

    def _key_rsa_der(self) -> bytes:
        return self._der("rsa2048", serialization.PrivateFormat.TraditionalOpenSSL)

    def _key_rsa_pkcs8_der(self) -> bytes:
        return self._der("rsa2048", serialization.PrivateFormat.PKCS8)

    def _encrypted(self, form: serialization.PrivateFormat) -> bytes:
        lock = serialization.BestAvailableEncryption(b"secret")
        return self.certs.key("p256", 500).private_bytes(Encoding.PEM, form, lock)

    def _key_encrypted(self) -> bytes:
        return self._encrypted(serialization.PrivateFormat.PKCS8)

    def _key_encrypted_old(self) -> bytes:
        return self._encrypted(serialization.PrivateFormat.TraditionalOpenSSL)

    def _cert_der(self) -> bytes:
        return x509.load_pem_x509_certificate(self.path("cert_p256").read_bytes()).public_bytes(Encoding.DER)

    def _cert_stranger(self) -> str:
        return self._client("p256", authority="stranger")[2]

    def _both_p256(self) -> str:
        """Key and certificate in one file, which may be KEYFILE and CERTFILE alike."""
        return self._client("p256")[1] + self._client("p256")[2]

    def copy_for_everybody(self, folder: Path, *names: str) -> None:
        """Copies of files where a user without rights can read them."""
        for name in names:
            shutil.copy(self.path(name), folder / name)
            (folder / name).chmod(0o644)
