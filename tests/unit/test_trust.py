"""A client's trust anchors: against cryptography over Debian's bundle, against BearSSL's decoder over mutations."""

from __future__ import annotations

import base64
import contextlib
import errno
import os
import random
import re
import ssl
import time
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given, settings
from hypothesis import strategies as st

from bearwrap import _bear
from tests.certs import Certs, key_pem

from .dertree import Node, Step, changed, split, steps_of

BUNDLE = Path("/etc/ssl/certs/ca-certificates.crt")
CURVES = {"secp256r1": 23, "secp384r1": 24, "secp521r1": 25}
Anchor = tuple[bytes, int, bool, tuple[bytes, bytes] | tuple[int, bytes]]

# cryptography's remarks on old certificates do not matter here
pytestmark = pytest.mark.filterwarnings(
    "ignore::cryptography.utils.CryptographyDeprecationWarning", "ignore::UserWarning"
)


def number(value: int) -> bytes:
    return value.to_bytes((value.bit_length() + 7) // 8, "big")


def by_cryptography(der: bytes) -> Anchor:
    found = x509.load_der_x509_certificate(der)
    try:
        is_ca = found.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except x509.ExtensionNotFound:
        is_ca = False
    key = found.public_key()
    if isinstance(key, rsa.RSAPublicKey):
        numbers = key.public_numbers()
        return found.subject.public_bytes(), 1, is_ca, (number(numbers.n), number(numbers.e))
    assert isinstance(key, ec.EllipticCurvePublicKey)
    point = key.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    return found.subject.public_bytes(), 2, is_ca, (CURVES[key.curve.name], point)


def ders(text: str) -> list[bytes]:
    found = re.findall(r"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----", text, re.DOTALL)
    return [ssl.PEM_cert_to_DER_cert(one) for one in found]


def anchors(directory: Path | None = None, file: Path | None = None) -> list[Anchor]:
    return _bear.trust_anchors(directory and os.fsencode(directory), file and os.fsencode(file))


@pytest.fixture(scope="module")
def made(certs: Certs) -> list[bytes]:
    """DER of certificates with each kind of key, two of them CAs."""
    found = [certs.leaf(kind).public_bytes(Encoding.DER) for kind in ("rsa2048", "rsa4096", "p256", "p384", "p521")]
    return [*found, *(certs.authority(name).certificate.public_bytes(Encoding.DER) for name in ("server", "client"))]


def pem(der: bytes) -> str:
    return ssl.DER_cert_to_PEM_cert(der)


# ---- one certificate ----


def both(der: bytes) -> Anchor | None:
    """What the walk finds; BearSSL's decoder finds the same, or the same fault."""
    found: list[Anchor | str] = []
    for reference in (False, True):
        try:
            found.append(_bear.read_certificate(der, reference))
        except ValueError as why:
            found.append(str(why))
    assert found[0] == found[1], der.hex()
    return None if isinstance(found[0], str) else found[0]


def bundle() -> list[bytes]:
    return ders(BUNDLE.read_text()) if BUNDLE.exists() else []


def test_the_bundle_as_cryptography_and_bearssl_read_it() -> None:
    if not BUNDLE.exists():
        pytest.skip("no ca-certificates")
    expected = bundle()
    assert len(expected) > 100
    for der in expected:
        assert both(der) == by_cryptography(der)
    assert anchors(file=BUNDLE) == [by_cryptography(der) for der in expected]
    # the folder has each under two names, and the bundle: every certificate once
    every = {der for path in BUNDLE.parent.iterdir() if path.is_file() for der in ders(path.read_text())}
    assert sorted(map(str, anchors(BUNDLE.parent))) == sorted(str(by_cryptography(der)) for der in every)


def test_each_kind_of_key(made: list[bytes]) -> None:
    for der in made:
        assert both(der) == by_cryptography(der)


def test_every_prefix_and_more(made: list[bytes]) -> None:
    for der in made:
        for n in range(len(der)):
            assert both(der[:n]) is None
        assert both(der + b"\0") is None
        assert both(der + der) is None


def test_each_byte_changed(made: list[bytes]) -> None:
    chosen = random.Random(1)
    for der in (made[0], made[2], made[5]):
        for at in range(len(der)):
            for value in {0, 1, 0x30, 0x7F, 0x80, 0x81, 0xFF, der[at] ^ 1, der[at] ^ 0x20, chosen.randrange(256)}:
                both(der[:at] + bytes([value]) + der[at + 1 :])


REAL = bundle()[::12]
DATES = [b"000101000000Z", b"20000229000000Z", b"19000229000000Z", b"991231235960Z", b"21000229000000Z",
         b"240230000000Z", b"20240101000000.123Z", b"20240101000000.Z", b"240101000000+0000", b"2401010000Z",
         b"241301000000Z", b"240100000000Z", b"240101240000Z", b"24010100000aZ", b"240101000000Z0", b"00000101000000Z"]
WORDS = [b"", b"\0", b"\0\0\0", b"\x80", b"\0\2", b"\3", b"\0\0\1", b"\1\1", b"\xff", bytes(521), b"\x7f" * 521,
         b"\x7f" * 520, b"\x2a\x86\x48\xce\x3d\x02\x01", b"\x2b\x81\x04\x00\x23", b"\x55\x1d\x13", b"\x30\3\1\1\0",
         b"\x30\3\1\1\7", b"\x30\0", b"\x30\2\2\0", b"\x30\2\x81\0", b"\x30\2\x41\0", b"\x30\3\x21\1\1", b"\x30\1\x1f",
         b"\x30\2\1\0", b"x" * 300, *DATES]  # fmt: skip
TAGS = [1, 2, 3, 4, 5, 6, 0x10, 0x17, 0x18, 0x1F, 0x21, 0x30, 0x31, 0x41, 0x80, 0x81, 0x82, 0x83, 0xA0, 0xA1, 0xA2,
        0xA3]  # fmt: skip


@settings(max_examples=1500, deadline=None)
@given(st.integers(0, 10**6), steps_of(TAGS, WORDS))
def test_structure_changed(made: list[bytes], which: int, steps: list[Step]) -> None:
    """Elements of other kinds, contents and places with right lengths, where byte changes seldom come."""
    seeds = [*made, *REAL]
    both(changed(seeds[which % len(seeds)], steps))


@pytest.mark.parametrize("date", DATES)
def test_dates(made: list[bytes], date: bytes) -> None:
    for tag in (0x17, 0x18, 0x37, 0x16):
        (root,) = split(made[2]) or []
        validity = next(node for node in root.all() if node.children and node.children[0].tag == 0x17)
        assert validity.children
        validity.children[1] = Node(tag, date)
        found = both(root.encode())
        four = tag == 0x18
        with contextlib.suppress(ValueError):
            plain = re.fullmatch(rb"(\d{12}|\d{14})(\.\d*)?Z", date)
            if plain and tag in (0x17, 0x18) and len(plain[1]) == 12 + 2 * four and plain[1][-2:] != b"60":
                text = plain[1] if four else (b"19" if plain[1] >= b"50" else b"20") + plain[1]
                year = text[:4] if text[:4] != b"0000" else b"2000"
                time.strptime((year + text[4:]).decode(), "%Y%m%d%H%M%S")
                assert found, "a date that exists"


# ---- files ----


def test_a_file_of_pem_or_der(tmp_path: Path, made: list[bytes], certs: Certs) -> None:
    path = tmp_path / "ca"
    expected = [by_cryptography(der) for der in made]
    for text in (
        "".join(map(pem, made)),
        "".join(f"# {n}\nsubject=x\n{pem(der)}\r\n" for n, der in enumerate(made)),
        "".join(map(pem, made)).replace("\n", "\r\n"),
        "".join(map(pem, made)).replace("CERTIFICATE", "X509 CERTIFICATE"),
        key_pem(certs.key("p256")) + "".join(pem(der) + pem(der) for der in made),
        pem(made[0]).replace("CERTIFICATE", "TRUSTED CERTIFICATE") + "".join(map(pem, made)),
        "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n\nAAAA\n-----END RSA PRIVATE KEY-----\n"
        + "".join(map(pem, made)),
    ):
        path.write_bytes(text.encode())
        assert anchors(file=path) == expected
    for der, one in zip(made, expected, strict=True):
        path.write_bytes(der)
        assert anchors(file=path) == [one]


def broken(der: bytes) -> bytes:
    """A certificate whose key is of an unknown kind."""
    changed = der.replace(b"\x2a\x86\x48\xce\x3d\x02\x01", b"\x2a\x86\x48\xce\x3d\x02\x07", 1)
    assert changed != der
    return changed


def test_what_is_wrong_with_a_file(tmp_path: Path, made: list[bytes], certs: Certs) -> None:
    path = tmp_path / "ca"
    good, bad = made[2], broken(made[3])
    unsupported = "certificate: unsupported feature"
    for data, why in (
        (b"", "no trust anchor found"),
        (b"no PEM at all\n", "no trust anchor found"),
        (b"0", "no trust anchor found"),
        (b"0 certificates\n", "no trust anchor found"),
        (key_pem(certs.key("p256")).encode(), "no trust anchor found"),
        (pem(good).replace("CERTIFICATE", "TRUSTED CERTIFICATE").encode(), "no trust anchor found"),
        (pem(good)[:300].encode(), "malformed or unfinished"),
        ((pem(good) + pem(good)[:-30]).encode(), "malformed or unfinished"),
        (pem(good).replace("M", "*", 1).encode(), "malformed or unfinished"),
        ((pem(good) + pem(bad)).encode(), unsupported),
        (bad, unsupported),
        (good[:-1], "certificate: truncated"),
        (good + b"\n", "certificate: extra element"),
        (b"\x30\x82", "certificate: truncated"),
    ):
        path.write_bytes(data)
        with pytest.raises(ValueError, match=f"^{why}$"):
            anchors(file=path)


def test_what_is_read_as_a_file(tmp_path: Path) -> None:
    for name, number_ in (("", errno.ENOENT), ("none", errno.ENOENT), (".", errno.EISDIR)):
        with pytest.raises(OSError) as caught:
            _bear.trust_anchors(None, os.fsencode(tmp_path / name) if name else b"")
        assert caught.value.errno == number_
    os.mkfifo(tmp_path / "fifo")
    for path in (tmp_path / "fifo", Path("/dev/null"), Path("/dev/zero")):
        with pytest.raises(ValueError, match="no trust anchor found"):
            anchors(file=path)
    big = tmp_path / "big"
    with big.open("wb") as out:
        out.truncate(4194304)
    with pytest.raises(ValueError, match="no trust anchor found"):
        anchors(file=big)
    with big.open("ab") as out:
        out.write(b"x")
    with pytest.raises(OSError) as caught:
        anchors(file=big)
    assert caught.value.errno == errno.EFBIG


# ---- folders ----


def test_a_folder(tmp_path: Path, made: list[bytes]) -> None:
    """Links followed, what is hidden, unreadable or no certificate passed over, every certificate once."""
    folder, elsewhere = tmp_path / "certs", tmp_path / "elsewhere"
    folder.mkdir()
    elsewhere.mkdir()
    (folder / "one.pem").write_text(pem(made[0]))
    (folder / "1234abcd.0").symlink_to("one.pem")
    (folder / "hard.pem").hardlink_to(folder / "one.pem")
    (folder / "two").write_bytes(made[1])
    (elsewhere / "three").write_text(pem(made[2]))
    (folder / "three.crt").symlink_to(elsewhere / "three")
    (folder / "bundle.crt").write_text(pem(made[0]) + pem(broken(made[3])) + pem(made[1]) + pem(made[4]))
    (folder / "half").write_text(pem(made[6]) + pem(made[5])[:200])
    (folder / ".hidden").write_text(pem(made[5]))
    (folder / "dangling").symlink_to("nowhere")
    (folder / "loop").symlink_to("loop")
    (folder / "README").write_text("not a certificate")
    (folder / "broken.der").write_bytes(broken(made[3]))
    (folder / "more").mkdir()
    (folder / "more" / "five.pem").write_text(pem(made[5]))
    (folder / "zero").symlink_to("/dev/zero")
    os.mkfifo(folder / "fifo")
    with (folder / "huge").open("wb") as out:
        out.truncate(4194305)
    expected = [by_cryptography(made[n]) for n in (0, 1, 2, 4, 6)]
    assert sorted(map(str, anchors(folder))) == sorted(map(str, expected))
    # the folder wins, whatever it holds
    assert sorted(map(str, anchors(folder, BUNDLE))) == sorted(map(str, expected))


def test_what_is_wrong_with_a_folder(tmp_path: Path, made: list[bytes]) -> None:
    (tmp_path / "file").write_text(pem(made[0]))
    for name, number_ in (("", errno.ENOENT), ("none", errno.ENOENT), ("file", errno.ENOTDIR)):
        with pytest.raises(OSError) as caught:
            _bear.trust_anchors(os.fsencode(tmp_path / name) if name else b"", None)
        assert caught.value.errno == number_
    empty = tmp_path / "empty"
    empty.mkdir()
    (empty / ".hidden").write_text(pem(made[0]))
    (empty / "README").write_text("none")
    with pytest.raises(ValueError, match="no trust anchor found"):
        anchors(empty)


def test_a_folder_has_limits(tmp_path: Path, made: list[bytes]) -> None:
    (tmp_path / "one").write_text(pem(made[0]))
    for n in range(8):
        with (tmp_path / f"sparse{n}").open("wb") as out:
            out.truncate(4194304 - (n == 0) * 4096)
    assert len(anchors(tmp_path)) == 1
    (tmp_path / "last").write_bytes(bytes(8192))
    with pytest.raises(OSError) as caught:
        anchors(tmp_path)
    assert caught.value.errno == errno.EFBIG


def many(der: bytes, n: int) -> list[bytes]:
    """Certificates that differ in their signatures alone, which no anchor's reader looks at."""
    return [der[:-6] + at.to_bytes(6, "big") for at in range(n)]


def test_there_may_be_4096(tmp_path: Path, made: list[bytes]) -> None:
    path = tmp_path / "ca"
    plenty = many(made[2], 4097)
    path.write_text("".join(map(pem, plenty[:4096] + plenty[:100])))
    assert anchors(file=path) == [by_cryptography(made[2])] * 4096
    path.write_text("".join(map(pem, plenty)))
    for where in ((None, path), (tmp_path, None)):
        with pytest.raises(ValueError, match=r"^certificate: internal limit exceeded$"):
            anchors(*where)


def test_bad_certificates_beyond_number_end(tmp_path: Path, made: list[bytes]) -> None:
    """Those that do not decode take no place in the table of what was seen."""
    plenty = many(broken(made[2]), 9000)
    (tmp_path / "bad").write_text("".join(map(pem, plenty[:4500])))
    (tmp_path / "worse").write_text("".join(map(pem, plenty[4500:])))
    (tmp_path / "good").write_text(pem(made[2]))
    assert anchors(tmp_path) == [by_cryptography(made[2])]


# ---- PEM by the table ----


@given(st.lists(st.sampled_from([
    "-----BEGIN CERTIFICATE-----\n", "-----END CERTIFICATE-----\n", "-----BEGIN PRIVATE KEY-----\n",
    "-----END PRIVATE KEY-----\n", "AAAA", "AAA", "A", "\n", "\r\n", " ", "=", "==", "+/+/", "\x80", "*", "a: b\n",
    base64.b64encode(bytes(range(256))).decode()]), max_size=12))  # fmt: skip
def test_the_quick_decoder_agrees_with_the_constant_time_one(parts: list[str]) -> None:
    text = "".join(parts).encode("latin-1")
    found: list[object] = []
    for certificates in (False, True):
        try:
            found.append([(kind, bytes(der)) for kind, der in _bear.parse_pem(text, certificates) if kind == 1])
        except ValueError as why:
            found.append(str(why))
    if b"PRIVATE" not in text or isinstance(found[0], list):
        assert found[0] == found[1]


def test_quick_enough() -> None:
    """Debian's bundle under 5 ms, with a wide margin for a busy machine; DESIGN.md has the measured figure."""
    if not BUNDLE.exists():
        pytest.skip("no ca-certificates")
    best = min(sum(_bear.time_trust(None, os.fsencode(BUNDLE))) for _ in range(20))
    assert best < 5_000_000
