"""What a conquered net of a TLS client would like of key, in the table's order and sizes: it gets none of it.

A server of its own choice, keys with a point that no server signed, our signature for another handshake.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding

from bearwrap import _bear
from tests.certs import Certs
from tests.harness import needs_root
from tests.wire.client import Identity
from tests.wire.crypto import Ephemeral
from tests.wire.messages import message, u16, vec
from tests.wire.names import TLS10, TLS11, TLS12, Group
from tests.wire.signatures import verify

from .clientkeyside import CERTIFIED, PLAIN, STATIC, ClientKeySide, Flight, Shape
from .keyside import refused

pytestmark = needs_root
ERRORS = {symbol.decode(): bytes([error]) for error, _, symbol, _ in _bear.audit_tables()["errors"]}


# ---- server-chain ----


@pytest.mark.parametrize("case", ["untrusted", "name", "cut", "seventeen", "empty certificate"])
def test_bad_chain(certs: Certs, case: str) -> None:
    """The verdict is key's, and after a bad one there is nothing to ask for."""
    key_, leaf = certs.key("p256"), certs.leaf("p256")
    if case == "untrusted":
        leaf = certs.authority("stranger").issue(key_, leaf.subject, ["test.example"])
    elif case == "name":
        leaf = certs.authority("server").issue(key_, leaf.subject, ["other.example"])
    server = Identity((leaf.public_bytes(Encoding.DER),), key_)  # type: ignore[arg-type]
    with ClientKeySide(certs, server=server) as key:
        key.reach("trusting")
        chain = {"cut": key.chain()[:-1], "seventeen": key.chain() * 17, "empty certificate": key.chain() + bytes(3)}
        reply = key.ask("server-chain", chain.get(case, key.chain()))
        assert reply is not None and reply[0] == 1 and len(reply[1]) == 1, reply
        symbol = {"untrusted": "BR_ERR_X509_NOT_TRUSTED", "name": "BR_ERR_X509_BAD_SERVER_NAME"}.get(case)
        assert symbol is None or reply[1] == ERRORS[symbol]
        refused(key, (0, 0))


def test_a_bad_name_or_date_counts_without_an_anchor_too(certs: Certs) -> None:
    """--no-verify-cert lets the anchor go, nothing else; and an unverified certificate tells prog nothing."""
    leaf, key_ = certs.leaf("p256"), certs.key("p256")
    for names, days, symbol in ((["test.example"], (-1, 30), ""),
                                (["other.example"], (-1, 30), "BR_ERR_X509_BAD_SERVER_NAME"),
                                (["test.example"], (-9, -1), "BR_ERR_X509_EXPIRED")):  # fmt: skip
        made = certs.authority("stranger").issue(key_, leaf.subject, names, days)
        server = Identity((made.public_bytes(Encoding.DER),), key_)  # type: ignore[arg-type]
        with ClientKeySide(certs, PLAIN, "--no-verify-cert", server=server) as key:
            key.reach("trusting")
            if symbol:
                assert key.ask("server-chain", key.chain()) == (1, ERRORS[symbol])
                refused(key, (0, 0))
                continue
            key.reach("running")
            assert b"SHA256:" not in os.read(key.go, 4096)


# ---- server-params ----

Change = Callable[[ClientKeySide], bytes]
OTHER = bytes(range(32))

FORGED: dict[str, Change] = {
    "a bit of the signature": lambda key: key.params_request(key.params[:-1] + bytes([key.params[-1] ^ 1])),
    "another point": lambda key: key.params_request(
        key.params[:4] + Ephemeral(Group.X25519).public + key.params[36:]
    ),
    "a replay: its client's random": lambda key: key.params_request(
        key.params_body(randoms=OTHER + key.server_random)
    ),
    "a replay: its server's random": lambda key: key.params_request(
        key.params_body(randoms=key.client_random + OTHER)
    ),
    "randoms that were not signed": lambda key: key.params_request(randoms=OTHER + key.server_random),
    "no signature": lambda key: key.params_request(key.params[:36] + u16(0x0403) + vec(2, b"")),
    "RSA's scheme": lambda key: key.params_request(key.params[:36] + u16(0x0401) + key.params[38:]),
    "MD5": lambda key: key.params_request(key.params[:36] + u16(0x0103) + key.params[38:]),
    "an unknown hash": lambda key: key.params_request(key.params[:36] + u16(0x0703) + key.params[38:]),
    "another hash than was signed": lambda key: key.params_request(key.params[:36] + u16(0x0503) + key.params[38:]),
    "the form before TLS 1.2": lambda key: key.params_request(key.params[:36] + key.params[38:]),
    "a byte behind": lambda key: key.params_request(key.params + b"\0"),
    "a byte missing": lambda key: key.params_request(key.params[:-1]),
    "an explicit prime": lambda key: key.params_request(key.params_body(curve_type=1)),
    "another group": lambda key: key.params_request(key.params_body(group=30)),
    "secp256k1": lambda key: key.params_request(key.params_body(group=22)),
    "group 65": lambda key: key.params_request(key.params_body(group=65)),
    "a long point": lambda key: key.params_request(key.params_body(point=bytes(134))),
}


@pytest.mark.parametrize("name", FORGED)
def test_params_that_the_server_did_not_sign(certs: Certs, name: str) -> None:
    """Each is refused with a verdict, and that is the end: net cannot try another."""
    with ClientKeySide(certs) as key:
        key.reach("chain-good")
        reply = key.ask("server-params", FORGED[name](key))
        assert reply is not None and reply[0] == 1 and len(reply[1]) == 1, reply
        refused(key, (0, 0))


@pytest.mark.parametrize("version", [0, 0x0300, 0x0304, TLS11])
def test_params_of_another_version(certs: Certs, version: int) -> None:
    """One that is none ends key at once; an older one has another signature."""
    with ClientKeySide(certs) as key:
        key.reach("chain-good")
        reply = key.ask("server-params", key.params_request(version=version))
        assert reply is None if version != TLS11 else reply is not None and reply[0] == 1
        refused(key, (0, 0))


def test_params_signed_by_another_server(certs: Certs) -> None:
    """A key of another certificate signs for nothing here."""
    with ClientKeySide(certs) as key:
        key.reach("chain-good")
        key.server = Identity(key.server.chain, certs.key("p256", 7))  # type: ignore[arg-type]
        assert key.ask("server-params", key.params_request(key.params_body())) == (1, ERRORS["BR_ERR_BAD_SIGNATURE"])
        refused(key, (0, 0))


# ---- agree ----

DISAGREED: dict[str, tuple[Shape, str, Change]] = {
    "another client random": (PLAIN, "params-good", lambda key: key.agree_request(randoms=OTHER + key.server_random)),
    "another server random": (PLAIN, "params-good", lambda key: key.agree_request(randoms=key.client_random + OTHER)),
    "another version": (PLAIN, "params-good", lambda key: key.agree_request(0xC009, version=TLS11)),
    "no version": (STATIC, "chain-good", lambda key: key.agree_request(version=0x0304)),
    "SSL 3": (STATIC, "chain-good", lambda key: key.agree_request(0x002F, version=0x0300)),
    "RSA's suite for an EC key": (PLAIN, "params-good", lambda key: key.agree_request(0xCCA8)),
    "RSA's exchange for an EC key": (PLAIN, "chain-good", lambda key: key.agree_request(0x009C)),
    "ECDH for an RSA key": (STATIC, "chain-good", lambda key: key.agree_request(0xC031)),
    "an EC suite for an RSA key": (Shape("rsa2048", 0xCCA8), "params-good", lambda key: key.agree_request(0xCCA9)),
    "ECDHE without parameters": (Shape("rsa2048", 0xCCA8), "chain-good", lambda key: key.agree_request()),
    "RSA in spite of parameters": (Shape("rsa2048", 0xCCA8), "params-good", lambda key: key.agree_request(0x009C)),
    "ECDH in spite of parameters": (PLAIN, "params-good", lambda key: key.agree_request(0xC02D)),
    "a suite of TLS 1.3": (PLAIN, "params-good", lambda key: key.agree_request(0x1301)),
    "no encryption": (STATIC, "chain-good", lambda key: key.agree_request(0x003B)),
    "RC4": (STATIC, "chain-good", lambda key: key.agree_request(0x0005)),
    "no suite": (PLAIN, "params-good", lambda key: key.agree_request(0)),
    "the renegotiation signal": (PLAIN, "params-good", lambda key: key.agree_request(0x00FF)),
    "an AEAD before TLS 1.2": (STATIC, "chain-good", lambda key: key.agree_request(version=TLS11)),
    "a fragment too small": (PLAIN, "params-good", lambda key: key.agree_request(fragment=63)),
    "a fragment too large": (PLAIN, "params-good", lambda key: key.agree_request(fragment=16385)),
    "no fragment": (PLAIN, "params-good", lambda key: key.agree_request(fragment=0)),
}


@pytest.mark.parametrize("name", DISAGREED)
def test_agree_on_what_was_not_agreed(certs: Certs, name: str) -> None:
    """Suite, version and randoms are what the server signed and what its key can do, or key ends."""
    shape, state, change = DISAGREED[name]
    with ClientKeySide(certs, shape) as key:
        key.reach(state)
        key.send("agree", change(key))
        refused(key, (0, 0))


BAD_POINTS = {
    "x25519 zero": (Group.X25519, bytes(32)),
    "x25519 one": (Group.X25519, bytes([1]) + bytes(31)),
    "x25519 short": (Group.X25519, bytes([9]) + bytes(30)),
    "x25519 none": (Group.X25519, b""),
    "P-256 off the curve": (Group.SECP256R1, b"\4" + bytes([1]) * 64),
    "P-256 compressed": (Group.SECP256R1, b"\2" + bytes([1]) * 32),
    "P-256 infinity": (Group.SECP256R1, b"\0"),
    "P-521 of P-256's size": (Group.SECP521R1, b"\4" + bytes([1]) * 64),
}


@pytest.mark.parametrize("name", BAD_POINTS)
def test_bad_point_of_the_server(certs: Certs, name: str) -> None:
    """The server's own signature makes no good point of it (RFC 7748 6.1, RFC 8422 5.11)."""
    group, point = BAD_POINTS[name]
    with ClientKeySide(certs) as key:
        key.reach("chain-good")
        reply = key.ask("server-params", key.params_request(key.params_body(point, group)))
        assert reply is not None
        if reply[0] == 0:
            assert key.ask("agree", key.agree_request()) == (1, b"")
        refused(key, (0, 0))


def with_usage(certs: Certs, sign: bool) -> Identity:
    """An RSA server's certificate for signatures alone, or for encryption alone."""
    leaf, key = certs.leaf("rsa2048"), certs.key("rsa2048")
    made = (
        x509.CertificateBuilder()
        .subject_name(leaf.subject)
        .issuer_name(leaf.issuer)
        .public_key(leaf.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(leaf.not_valid_before_utc)
        .not_valid_after(leaf.not_valid_after_utc)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("test.example")]), critical=False)
        .add_extension(x509.KeyUsage(sign, False, not sign, False, False, False, False, False, False), critical=True)
        .sign(certs.authority("server").key, hashes.SHA256())  # type: ignore[arg-type]
    )
    return Identity((made.public_bytes(Encoding.DER),), key)  # type: ignore[arg-type]


def test_a_key_for_signatures_decrypts_nothing(certs: Certs) -> None:
    """keyUsage of RFC 5280 section 4.2.1.3."""
    server = with_usage(certs, sign=True)
    with ClientKeySide(certs, Shape("rsa2048", 0xCCA8), server=server) as key:
        key.reach("running")
    with ClientKeySide(certs, STATIC, server=server) as key:
        key.reach("chain-good")
        key.send("agree", key.agree_request())
        refused(key, (0, 0))


def test_a_key_for_encryption_signs_nothing(certs: Certs) -> None:
    server = with_usage(certs, sign=False)
    with ClientKeySide(certs, STATIC, server=server) as key:
        key.reach("running")
    with ClientKeySide(certs, Shape("rsa2048", 0xCCA8), server=server) as key:
        key.reach("chain-good")
        assert key.ask("server-params", key.params_request()) == (1, ERRORS["BR_ERR_WRONG_KEY_USAGE"])
        refused(key, (0, 0))


# ---- client-sign ----

Transcript = Callable[[ClientKeySide, Flight], bytes]
CERTIFIED_STATIC = Shape("rsa2048", 0x009C, client="p256")


def other_params(key: ClientKeySide, flight: Flight) -> bytes:
    """The server's signature over another point of its."""
    return bytes(replace(flight, params=key.params_body(Ephemeral(key.shape.group).public)))


ELSEWHERE: dict[str, Transcript] = {
    "another client random": lambda key, flight: bytes(replace(flight, client_random=OTHER)),
    "another server random": lambda key, flight: bytes(replace(flight, server_random=OTHER)),
    "another point of the server": other_params,
    "another certificate": lambda key, flight: bytes(replace(flight, certificates=(b"certificate",))),
    "one more certificate": lambda key, flight: bytes(replace(flight, certificates=flight.certificates * 2)),
    "no certificate": lambda key, flight: bytes(replace(flight, certificates=())),
    "no point of the server": lambda key, flight: bytes(replace(flight, params=b"")),
    "no CertificateRequest": lambda key, flight: bytes(replace(flight, kinds=(1, 2, 11, 12, 14))),
    "no ServerHelloDone": lambda key, flight: bytes(replace(flight, kinds=(1, 2, 11, 12, 13))),
    "two ServerHellos": lambda key, flight: bytes(replace(flight, kinds=(1, 2, 2, 11, 12, 13, 14))),
    "another order": lambda key, flight: bytes(replace(flight, kinds=(1, 2, 12, 11, 13, 14))),
    "a HelloRequest before it": lambda key, flight: message(0, b"") + bytes(flight),
    "a message behind it": lambda key, flight: bytes(flight) + message(14, b""),
    "a Certificate behind it": lambda key, flight: bytes(flight) + message(11, vec(3, b"")),
    "half a header behind it": lambda key, flight: bytes(flight) + b"\x0b\0",
    "half a message behind it": lambda key, flight: bytes(flight) + b"\x0b\0\0\x08\0",
    "a length that lies": lambda key, flight: bytes(flight)[:3] + b"\xff" + bytes(flight)[4:],
    "nothing": lambda key, flight: b"",
    "its end missing": lambda key, flight: bytes(flight)[:-1],
    "a hello of 33 bytes": lambda key, flight: message(1, u16(TLS12) + key.client_random[:31]) + bytes(flight)[48:],
}


@pytest.mark.parametrize("name", ELSEWHERE)
def test_no_signature_for_another_handshake(certs: Certs, name: str) -> None:
    """The client signs for the handshake whose randoms, certificate and point key has judged itself, and no other."""
    with ClientKeySide(certs, CERTIFIED) as key:
        key.reach("agreed")
        text = ELSEWHERE[name](key, key.flight())
        assert text != bytes(key.flight())
        if text:
            key.good("transcript", text)
        key.send("client-sign", key.sign_request())
        refused(key, (0, 0))


def test_no_signature_with_parameters_that_key_has_not_seen(certs: Certs) -> None:
    """RSA key exchange has none; and a ServerKeyExchange is no part of the signed transcript there."""
    with ClientKeySide(certs, CERTIFIED_STATIC) as key:
        key.reach("agreed")
        params = key.params_body(Ephemeral(Group.X25519).public)
        key.good("transcript", bytes(replace(key.flight(), params=params)))
        key.send("client-sign", key.sign_request())
        refused(key, (0, 0))


@pytest.mark.parametrize("size", [1, 3, 100])
def test_a_transcript_in_pieces(certs: Certs, size: int) -> None:
    """It is the same one; what comes after the signature is refused."""
    with ClientKeySide(certs, CERTIFIED) as key:
        key.reach("agreed")
        text = bytes(key.flight())
        for at in range(0, len(text), size):
            key.good("transcript", text[at : at + size])
        key.check_signature(key.good("client-sign", b"\4"), 0x0403)
        key.send("transcript", text)
        refused(key, (0, 0))


def test_a_transcript_without_end(certs: Certs) -> None:
    """What net may have hashed is bounded, and nothing is signed over what passes the bound."""
    with ClientKeySide(certs, CERTIFIED) as key:
        key.reach("agreed")
        text = bytes(replace(key.flight(), kinds=(1, 2, 11, 12)))
        text += message(13, bytes(1 << 18)) + message(14, b"")
        for at in range(0, len(text), 65536):
            key.good("transcript", text[at : at + 65536])
        key.send("client-sign", b"\4")
        refused(key, (0, 0))


@pytest.mark.parametrize(("shape", "scheme", "hash_id"), [
    *((CERTIFIED, 0x0003 | hash_id << 8, hash_id) for hash_id in (2, 3, 4, 5, 6)),
    *((replace(CERTIFIED, client="rsa2048"), 0x0001 | hash_id << 8, hash_id) for hash_id in (2, 4, 5, 6)),
    (Shape("p256", 0xC009, TLS11, client="p256"), None, 2), (Shape("p256", 0xC009, TLS10, client="rsa2048"), None, 0),
])  # fmt: skip
def test_hashes_that_sign(certs: Certs, shape: Shape, scheme: int | None, hash_id: int) -> None:
    """Each signature is good over this handshake, by a library that is not ours."""
    with ClientKeySide(certs, shape) as key:
        key.reach("agreed")
        key.good("transcript", bytes(key.flight()))
        signature = key.good("client-sign", bytes([hash_id]))
        key.check_signature(signature, scheme)
        assert key.identity is not None
        with pytest.raises(ValueError, match=r"wrong|differ"):
            verify(key.identity.chain[0], scheme, signature, bytes(key.flight()))


@pytest.mark.parametrize(("shape", "hash_id"), [
    *((CERTIFIED, hash_id) for hash_id in (0, 1, 7, 36, 255)),
    *((replace(CERTIFIED, client="rsa2048"), hash_id) for hash_id in (0, 1, 7)),
    *((Shape("p256", 0xC009, TLS11, client="p256"), hash_id) for hash_id in (0, 1, 4)),
    *((Shape("p256", 0xC009, TLS11, client="rsa2048"), hash_id) for hash_id in (1, 2, 4)),
])  # fmt: skip
def test_hashes_that_do_not(certs: Certs, shape: Shape, hash_id: int) -> None:
    """MD5, unknown ones, and those of another version."""
    with ClientKeySide(certs, shape) as key:
        key.reach("agreed")
        key.good("transcript", bytes(key.flight()))
        key.send("client-sign", bytes([hash_id]))
        refused(key, (0, 0))
