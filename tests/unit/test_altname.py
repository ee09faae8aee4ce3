"""iPAddress entries of certificates that cryptography builds, and literals as Python's ipaddress reads them."""

from __future__ import annotations

import datetime
import ipaddress
import random

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID, ObjectIdentifier
from hypothesis import example, given
from hypothesis import strategies as st

from bearwrap import _bear

# what cryptography says of mutated certificates does not matter here
pytestmark = pytest.mark.filterwarnings("ignore::cryptography.utils.CryptographyDeprecationWarning")

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
KEY = ec.generate_private_key(ec.SECP256R1())
BORN = datetime.datetime(2024, 1, 1, tzinfo=datetime.UTC)
SUBJECT = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])


def built(names: list[x509.GeneralName] | None, others: int = 1, critical: bool = False) -> bytes:
    """A certificate's DER; `others` extensions stand round subjectAltName."""
    maker = (
        x509.CertificateBuilder().subject_name(SUBJECT).issuer_name(SUBJECT).public_key(KEY.public_key())
        .serial_number(7).not_valid_before(BORN).not_valid_after(BORN + datetime.timedelta(30))
    )  # fmt: skip
    if others > 0:
        maker = maker.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    if names is not None:
        maker = maker.add_extension(x509.SubjectAlternativeName(names), critical)
    if others > 1:
        maker = maker.add_extension(x509.SubjectKeyIdentifier(bytes(20)), critical=False)
    return maker.sign(KEY, hashes.SHA256()).public_bytes(Encoding.DER)


def oracle(der: bytes) -> set[bytes] | None:
    """The packed addresses that cryptography finds; None when it takes the certificate for malformed."""
    try:
        found = x509.load_der_x509_certificate(der).extensions.get_extension_for_class(x509.SubjectAlternativeName)
        return {one.packed for one in found.value.get_values_for_type(x509.IPAddress) if hasattr(one, "packed")}
    except x509.ExtensionNotFound:
        return set()
    except (ValueError, x509.DuplicateExtension, x509.UnsupportedGeneralNameType):
        return None


def ip(text: str) -> x509.IPAddress:
    return x509.IPAddress(ipaddress.ip_address(text))


addresses: st.SearchStrategy[Address] = st.one_of(
    st.ip_addresses(v=4), st.ip_addresses(v=6), st.sampled_from([ipaddress.ip_address("::ffff:192.0.2.1")])
)
other_names: st.SearchStrategy[x509.GeneralName] = st.sampled_from([
    x509.DNSName("test.example"), x509.DNSName("192.0.2.1"), x509.RFC822Name("a@test.example"),
    x509.UniformResourceIdentifier("https://192.0.2.1/"), x509.DirectoryName(SUBJECT),
    x509.RegisteredID(ObjectIdentifier("1.2.3.4")), x509.OtherName(ObjectIdentifier("1.2.3.4"), b"\x04\x04\xc0\0\2\1"),
])  # fmt: skip
name_lists = st.lists(st.one_of(addresses.map(x509.IPAddress), other_names), min_size=1, max_size=6)


@given(name_lists, st.lists(addresses, min_size=1, max_size=4), st.integers(0, 2), st.booleans())
def test_what_cryptography_finds(
    names: list[x509.GeneralName], wanted: list[Address], others: int, critical: bool
) -> None:
    der = built(names, others, critical)
    inside = oracle(der)
    assert inside is not None
    for address in {*inside, *(one.packed for one in wanted), b"\xc0\0\2\1"}:
        assert _bear.names_ip(der, address) == (address in inside)


def test_a_mapped_address_is_another_name() -> None:
    mapped, plain = ipaddress.ip_address("::ffff:192.0.2.1").packed, ipaddress.ip_address("192.0.2.1").packed
    for names, has, has_not in ((ip("192.0.2.1"), plain, mapped), (ip("::ffff:192.0.2.1"), mapped, plain)):
        assert _bear.names_ip(built([names]), has)
        assert not _bear.names_ip(built([names]), has_not)


def test_the_common_name_is_no_ip_address() -> None:
    for names in (None, [x509.DNSName("127.0.0.1")]):
        assert not _bear.names_ip(built(names), b"\x7f\0\0\1")


SEEDS = [
    built([ip("192.0.2.1")]), built([x509.DNSName("test.example"), ip("2001:db8::1"), ip("192.0.2.1")], 2),
    built([x509.DirectoryName(SUBJECT), ip("192.0.2.1"), x509.DNSName("x" * 200)], 2, True),
]  # fmt: skip
WANTED = [b"\xc0\0\2\1", ipaddress.ip_address("2001:db8::1").packed]


def never_wrongly(der: bytes) -> None:
    """A match is one that cryptography makes too, as far as it reads the certificate at all."""
    for address in WANTED:
        if _bear.names_ip(der, address):
            inside = oracle(der)
            assert inside is None or address in inside, der.hex()


@given(st.sampled_from(SEEDS), st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255),
                                                  st.sampled_from(["set", "drop", "add", "cut"])), max_size=3))
def test_mutations(der: bytes, changes: list[tuple[float, int, str]]) -> None:
    for place, value, what in changes:
        at = int(place * len(der))
        if what == "cut":
            der = der[:at]
        else:
            middle = b"" if what == "drop" else bytes([value])
            der = der[:at] + middle + der[at + (what != "add") :]
    never_wrongly(der)


@pytest.mark.parametrize("seed", SEEDS, ids=range(len(SEEDS)))
def test_each_byte_changed_and_every_prefix(seed: bytes) -> None:
    chosen = random.Random(len(seed))
    for at in range(len(seed)):
        assert not _bear.names_ip(seed[:at], WANTED[0])
        for value in {0, 1, 0x7F, 0x80, 0xFF, seed[at] ^ 1, chosen.randrange(256)}:
            never_wrongly(seed[:at] + bytes([value]) + seed[at + 1 :])
    assert _bear.names_ip(seed, WANTED[0])
    assert not _bear.names_ip(seed + b"\0", WANTED[0])


def tlv(tag: int, *parts: bytes) -> bytes:
    content = b"".join(parts)
    n = len(content)
    size = bytes([n]) if n < 128 else bytes([0x81, n]) if n < 256 else b"\x82" + n.to_bytes(2, "big")
    return bytes([tag]) + size + content


def by_hand(
    names: bytes, version: bytes = b"\xa0\3\2\1\2", flag: bytes = b"", unique: bytes = b"", again: bytes = b"",
    behind: bytes = b"",
) -> bytes:  # fmt: skip
    """A certificate of which only the structure is right."""
    empty = tlv(0x30)
    extension = tlv(0x30, tlv(6, b"\x55\x1d\x11"), flag, tlv(4, names), behind)
    tbs = tlv(0x30, version, tlv(2, b"\1"), *[empty] * 5, unique, tlv(0xA3, tlv(0x30, extension, again)))
    return tlv(0x30, tbs, empty, tlv(3, b"\0"))


LOCAL = b"\x7f\0\0\1"
ONE = tlv(0x87, LOCAL)
GOOD = {
    "plain": by_hand(tlv(0x30, ONE)),
    "critical": by_hand(tlv(0x30, ONE), flag=b"\1\1\xff"),
    "default written": by_hand(tlv(0x30, ONE), flag=b"\1\1\0"),
    "unique identifiers": by_hand(tlv(0x30, ONE), unique=tlv(0x81, b"\0") + tlv(0x82, b"\0")),
    "every kind": by_hand(tlv(0x30, *(tlv(tag) for tag in (0xA0, 0x81, 0x82, 0xA3, 0xA4, 0xA5, 0x86, 0x88)), ONE)),
    "another extension": by_hand(tlv(0x30, ONE), again=tlv(0x30, tlv(6, b"\x55\x1d\x12"), tlv(4, b"x"))),
}
BAD = {
    "no names": by_hand(tlv(0x30)),
    "no sequence": by_hand(ONE),
    "behind the sequence": by_hand(tlv(0x30, ONE) + b"\5\0"),
    "address of 5 bytes behind it": by_hand(tlv(0x30, ONE, tlv(0x87, LOCAL + b"\0"))),
    "address of 8 bytes": by_hand(tlv(0x30, tlv(0x87, LOCAL * 2))),
    "constructed address": by_hand(tlv(0x30, tlv(0xA7, LOCAL))),
    "universal entry": by_hand(tlv(0x30, ONE, tlv(4, LOCAL))),
    "unknown kind": by_hand(tlv(0x30, ONE, tlv(0x89, b""))),
    "primitive directoryName": by_hand(tlv(0x30, ONE, tlv(0x84, b""))),
    "long form length": by_hand(tlv(0x30, b"\x87\x81\4" + LOCAL)),
    "indefinite length": by_hand(b"\x30\x80" + ONE + b"\0\0"),
    "entry longer than the list": by_hand(b"\x30\x06\x87\5" + LOCAL),
    "version 1": by_hand(tlv(0x30, ONE), version=b""),
    "version 2": by_hand(tlv(0x30, ONE), version=b"\xa0\3\2\1\1"),
    "flag neither 0 nor 255": by_hand(tlv(0x30, ONE), flag=b"\1\1\1"),
    "flag of two bytes": by_hand(tlv(0x30, ONE), flag=b"\1\2\0\0"),
    "behind the extension's value": by_hand(tlv(0x30, ONE), behind=b"\5\0"),
    "subjectAltName twice": by_hand(tlv(0x30, ONE), again=tlv(0x30, tlv(6, b"\x55\x1d\x11"), tlv(4, tlv(0x30, ONE)))),
    "malformed extension behind it": by_hand(tlv(0x30, ONE), again=tlv(0x30, tlv(6, b"\x55\x1d\x12"))),
    "identifiers in the other order": by_hand(tlv(0x30, ONE), unique=tlv(0x82, b"\0") + tlv(0x81, b"\0")),
}  # fmt: skip


@pytest.mark.parametrize("what", GOOD)
def test_good_structure(what: str) -> None:
    assert _bear.names_ip(GOOD[what], LOCAL)


@pytest.mark.parametrize("what", BAD)
def test_malformed_names_nothing(what: str) -> None:
    assert not _bear.names_ip(BAD[what], LOCAL)


@given(st.binary(max_size=80))
def test_any_bytes(der: bytes) -> None:
    assert not _bear.names_ip(der, LOCAL)


def test_an_address_has_4_or_16_bytes() -> None:
    for n in (0, 3, 5, 8, 15, 17):
        with pytest.raises(ValueError, match="4 or 16"):
            _bear.names_ip(SEEDS[0], bytes(n))


# ---- literals ----


def packed(text: str) -> bytes | None:
    """What ipaddress makes of a text; it knows zones, which are refused here, and no brackets."""
    inner = text[1:-1] if len(text) > 1 and text[0] == "[" and text[-1] == "]" else None
    try:
        if "%" in text or not text.isascii():
            return None
        return ipaddress.ip_address(text).packed if inner is None else ipaddress.IPv6Address(inner).packed
    except ValueError:
        return None


@given(st.one_of(st.ip_addresses().map(str), st.text("0123456789abcF:.[]%x/ ", max_size=24)))
@example("127.0.0.1")
@example("127.1")
@example("0177.0.0.1")
@example("127.0.0.01")
@example("0x7f.0.0.1")
@example("2130706433")
@example("127.0.0.1.")
@example(" 127.0.0.1")
@example("[127.0.0.1]")
@example("[::1]")
@example("[::1")
@example("[]")
@example("[[::1]]")
@example("::ffff:1.2.3.4")
@example("::ffff:1.2.3.04")
@example("fe80::1%eth0")
@example("[fe80::1%eth0]")
@example("1:2:3:4:5:6:7:8:9")
@example("1::2::3")
@example("00001::")
@example("")
@example("[" + "0" * 200 + "]")
@example("localhost")
def test_literals(text: str) -> None:
    assert _bear.parse_ip(text.encode()) == packed(text)
    bracketed = f"[{text}]"
    assert _bear.parse_ip(bracketed.encode()) == packed(bracketed)


def test_a_nul_is_no_end_of_a_literal() -> None:
    assert _bear.parse_ip(b"127.0.0.1\0.example") is None
