"""Rows: client certificates (-a): RFC 5246 7.4.6 and 7.4.8, and the alerts of 7.2.2 for what is wrong."""

from __future__ import annotations

from collections.abc import Callable

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

from .client import Client, Identity
from .messages import Hello, message, u16, vec
from .names import TLS10, TLS11, Alert, Msg, Record
from .row import ALL_CIPHERS, OLD_VERSIONS, RSA, Act, Ends, Row, fatal, served
from .rows_order import UNEXPECTED, say, steps
from .signatures import sign

DECODE = fatal(Alert.DECODE_ERROR)
DECRYPT = fatal(Alert.DECRYPT_ERROR)
ILLEGAL = fatal(Alert.ILLEGAL_PARAMETER)
BAD = fatal(Alert.BAD_CERTIFICATE)
UNKNOWN_CA = fatal(Alert.UNKNOWN_CA)
ASK = RSA + " -a {anchor}"
ASK_OLD = ASK + ALL_CIPHERS + OLD_VERSIONS
_ALERTS = "RFC 5246 7.2.2"

Step = Callable[[Client], None]


def me(c: Client) -> Identity:
    """The identity of the row."""
    assert c.identity is not None
    return c.identity


def shown(version_change: Callable[[Hello], Hello] = lambda h: h) -> Act:
    """A whole handshake with the row's identity."""
    return lambda c: c.handshake(version_change(Hello()))


def flight(certificate: Step, verify: Step | None, exchange: Step = lambda c: c.send_key_exchange()) -> Act:
    """The client's flight with some of its messages replaced or (None) left out."""

    def act(c: Client) -> None:
        c.start()
        certificate(c)
        exchange(c)
        if verify is not None:
            verify(c)
        c.send_ccs()
        c.send_finished()
        c.read_finished()

    return act


def good_certificate(c: Client) -> None:
    """The Certificate message as it should be."""
    c.send_certificates(me(c).chain)


def good_verify(c: Client) -> None:
    """The CertificateVerify message as it should be."""
    c.send_certificate_verify(me(c).key)


def certificate_body(make: Callable[[bytes], bytes]) -> Act:
    """A Certificate message whose body is made from the identity's own certificate."""
    return flight(lambda c: c.send_message(message(Msg.CERTIFICATE, make(me(c).chain[0]))), good_verify)


def chain_of(make: Callable[[bytes], tuple[bytes, ...]]) -> Act:
    """A well formed Certificate message with these certificates in it."""
    return flight(lambda c: c.send_certificates(make(me(c).chain[0])), good_verify)


def verify_body(make: Callable[[int, bytes], bytes]) -> Act:
    """A CertificateVerify whose body is made from the right scheme and signature."""

    def verify(c: Client) -> None:
        key = me(c).key
        scheme = 0x0401 if isinstance(key, RSAPrivateKey) else 0x0403
        signature = sign(key, scheme, bytes(c.transcript))
        c.send_message(message(Msg.CERTIFICATE_VERIFY, make(scheme, signature)))

    return flight(good_certificate, verify)


def verify_with(scheme: int) -> Act:
    """A correct CertificateVerify in this scheme."""
    return flight(good_certificate, lambda c: c.send_certificate_verify(me(c).key, scheme))


def offered_scheme(scheme: int) -> Act:
    """As `verify_with`, after a look at CertificateRequest: the scheme must be offered there."""

    def act(c: Client) -> None:
        verify_with(scheme)(c)
        assert c.request is not None
        if scheme not in c.request.schemes:
            raise ValueError(f"{scheme:#06x} is accepted and was not offered")

    return served(act)


def request_is_good(c: Client) -> None:
    """CertificateRequest names rsa_sign and ecdsa_sign, schemes, and the anchor's subject."""
    c.handshake()
    assert c.request is not None
    if not {1, 64} <= set(c.request.types) or not c.request.schemes or len(c.request.names) != 1:
        raise ValueError(f"CertificateRequest: {c.request}")
    if b"throw-away client authority" not in c.request.names[0]:
        raise ValueError(f"anchor's name is {c.request.names[0]!r}")


def wrong_transcript(c: Client) -> None:
    """CertificateVerify over other bytes than were sent."""
    flight(
        good_certificate, lambda c: c.send_certificate_verify(me(c).key, signed=bytes(c.transcript) + b"x")
    )(c)


def verify_before_exchange(c: Client) -> None:
    """CertificateVerify and ClientKeyExchange the wrong way round."""
    c.start()
    good_certificate(c)
    good_verify(c)
    c.send_key_exchange()


def no_certificate_message(c: Client) -> None:
    """ClientKeyExchange at once, though a certificate was asked for."""
    c.start()
    c.send_key_exchange()


def certificate_twice(c: Client) -> None:
    """The Certificate message twice."""
    c.start()
    good_certificate(c)
    good_certificate(c)


def no_verify(c: Client) -> None:
    """CCS and Finished where CertificateVerify is due."""
    flight(good_certificate, None)(c)


def in_pieces(c: Client) -> None:
    """Certificate and CertificateVerify in records of 11 bytes."""
    c.start()
    sealed, c.send_pieces = c.send_pieces, lambda data, sizes=None: sealed(data, 11)  # type: ignore[method-assign]
    good_certificate(c)
    c.send_key_exchange()
    good_verify(c)
    c.send_pieces = sealed  # type: ignore[method-assign]
    c.send_ccs()
    c.send_finished()
    c.read_finished()


def ask(
    name: str, act: Act, alerts: frozenset[int], cite: str = _ALERTS, identity: str = "p256", **more: str
) -> Row:
    """A row: a server that asks for a certificate refuses."""
    return Row(name, act, Ends.REFUSED, alerts, cite, more.pop("options", ASK), identity=identity, **more)


def fine(name: str, act: Act, identity: str, cite: str = "RFC 5246 7.4.8", options: str = ASK) -> Row:
    """A row: a server that asks for a certificate is content."""
    return Row(name, served(act), Ends.SERVED, cite=cite, options=options, identity=identity)


_DER_WHY = "a certificate that cannot be read is bad (42); the list that holds it cannot be decoded (50)"
_KIND = fatal(Alert.UNSUPPORTED_CERTIFICATE, Alert.BAD_CERTIFICATE, Alert.CERTIFICATE_UNKNOWN)
_KIND_WHY = "unsupported type (43), not acceptable for another reason (46), or bad (42)"

ROWS: list[Row] = [
    *(fine(f"good-{kind}", shown(), kind) for kind in ("rsa", "p256", "p384", "p521")),
    *(fine(f"good-{kind}-{label}", shown(lambda h, v=version: h.but(version=v)), kind, "RFC 4346 7.4.8",
        ASK_OLD)
      for kind in ("rsa", "p256") for label, version in (("tls10", TLS10), ("tls11", TLS11))),
    *(fine(f"good-{kind}-{scheme:04x}", offered_scheme(scheme), kind)
      for kind, schemes in (("rsa", (0x0401, 0x0501, 0x0601)), ("p256", (0x0403, 0x0503, 0x0603)))
      for scheme in schemes),
    *(Row(f"verify-scheme-{scheme:04x}-{kind}-if-offered", offered_scheme(scheme), Ends.EITHER, ILLEGAL,
          "RFC 5246 7.4.8", ASK, "accepted if CertificateRequest offers it, else illegal (47)", kind)
      for kind, schemes in (("rsa", (0x0201, 0x0301)), ("p256", (0x0203, 0x0303))) for scheme in schemes),
    fine("good-intermediate", shown(), "intermediate"),
    fine("good-in-pieces", in_pieces, "p256", "RFC 5246 6.2.1"),
    fine("request", request_is_good, "p256", "RFC 5246 7.4.4"),
    # no certificate, or not at its place
    ask("none", shown(), fatal(Alert.HANDSHAKE_FAILURE), "RFC 5246 7.4.6", identity=""),
    *(ask(f"none-{label}", shown(lambda h, v=version: h.but(version=v)), fatal(Alert.HANDSHAKE_FAILURE),
          "RFC 4346 7.4.6", "", options=ASK_OLD) for label, version in (("tls10", TLS10), ("tls11", TLS11))),
    ask("no-certificate-message", no_certificate_message, UNEXPECTED, "RFC 5246 7.4.6: MUST be sent"),
    ask("certificate-twice", certificate_twice, UNEXPECTED, "RFC 5246 7.4"),
    ask("no-verify", no_verify, UNEXPECTED, "RFC 5246 7.4.8"),
    ask("verify-before-exchange", verify_before_exchange, UNEXPECTED, "RFC 5246 7.4"),
    ask("data-for-certificate", steps(say(Record.DATA, b"x")), UNEXPECTED),
    # certificates that are not accepted
    ask("stranger", shown(), UNKNOWN_CA, identity="stranger"),
    ask("intermediate-missing", shown(), UNKNOWN_CA, identity="intermediate_missing"),
    ask("expired", shown(), fatal(Alert.CERTIFICATE_EXPIRED), identity="expired"),
    ask("not-yet", shown(), fatal(Alert.CERTIFICATE_EXPIRED),
        "RFC 5246 7.2.2: expired or not currently valid",
        "not_yet"),
    ask("signature-broken", shown(), fatal(Alert.BAD_CERTIFICATE, Alert.DECRYPT_ERROR, Alert.UNKNOWN_CA),
        identity="bad_signature",
        why="its signature does not verify (42, 51), or: no anchor of that name has made it (48)"),
    ask("signature-broken-below", shown(), fatal(Alert.BAD_CERTIFICATE, Alert.DECRYPT_ERROR),
        identity="bad_signature_below",
        why="7.2.2 gives bad_certificate for signatures that do not verify; decrypt_error names them too"),
    ask("issuer-not-an-authority", shown(), fatal(Alert.BAD_CERTIFICATE, Alert.UNKNOWN_CA,
        Alert.CERTIFICATE_UNKNOWN),
        "RFC 5280 6.1.4", "not_an_authority",
        why="the chain leads to no CA (48), is bad (42), or not acceptable (46)"),
    ask("usage-without-signing", shown(), _KIND, "RFC 5246 7.4.6", "no_signing", why=_KIND_WHY),
    ask("ed25519", shown(), _KIND, "RFC 5246 7.4.6", "ed25519", why=_KIND_WHY),
    ask("der-garbage", chain_of(lambda der: (b"garbage, no certificate",)), BAD),
    ask("der-cut", chain_of(lambda der: (der[:-40],)), BAD),
    ask("der-zeros", chain_of(lambda der: (bytes(300),)), BAD),
    ask("der-trailing", chain_of(lambda der: (der + bytes(8),)), BAD),
    ask("der-inner-length", chain_of(lambda der: (der[:5] + b"\xff" + der[6:],)), BAD),
    Row("chain-of-400", served(shown()), Ends.EITHER,
        fatal(Alert.BAD_CERTIFICATE, Alert.UNKNOWN_CA, Alert.ILLEGAL_PARAMETER, Alert.DECODE_ERROR), _ALERTS,
        ASK,
        "no limit in the RFC; a bound of the server's may call it a bad or too long message", "long_chain"),
    # the message around them
    ask("list-empty-entry", certificate_body(lambda der: vec(3, vec(3, b""))), fatal(Alert.DECODE_ERROR,
        Alert.BAD_CERTIFICATE), "RFC 5246 7.4.2: ASN.1Cert<1..2^24-1>", why=_DER_WHY),
    ask("list-trailing-byte", certificate_body(lambda der: vec(3, vec(3, der)) + b"\0"), DECODE),
    ask("list-too-long", certificate_body(lambda der: (len(der) + 9).to_bytes(3, "big") + vec(3, der)),
        DECODE),
    ask("list-too-short", certificate_body(lambda der: (len(der) + 1).to_bytes(3, "big") + vec(3, der)),
        DECODE),
    ask("list-entry-too-long", certificate_body(lambda der: vec(3, (len(der) + 1).to_bytes(3, "big") + der)),
        DECODE),
    ask("list-entry-too-short", certificate_body(lambda der: vec(3, (len(der) - 1).to_bytes(3, "big") + der)),
        DECODE),
    ask("list-cut", certificate_body(lambda der: b"\0\0"), DECODE),
    ask("list-no-body", certificate_body(lambda der: b""), DECODE),
    ask("list-1-byte", certificate_body(lambda der: vec(3, b"\0")), DECODE),
    ask("list-empty-trailing", certificate_body(lambda der: vec(3, b"") + b"\0"), DECODE),
    # CertificateVerify
    *(ask(f"verify-wrong-{kind}", wrong_transcript, DECRYPT, "RFC 5246 7.2.2, 7.4.8", kind)
      for kind in ("rsa", "p256", "p384")),
    *(ask(f"verify-last-byte-{kind}", verify_body(lambda s, sig: u16(s) + vec(2,
        sig[:-1] + bytes([sig[-1] ^ 1]))),
          DECRYPT, identity=kind) for kind in ("rsa", "p256")),
    *(ask(f"verify-zeros-{kind}", verify_body(lambda s, sig: u16(s) + vec(2, bytes(len(sig)))), DECRYPT,
        identity=kind)
      for kind in ("rsa", "p256")),
    *(ask(f"verify-no-signature-{kind}", verify_body(lambda s, sig: u16(s) + vec(2, b"")),
          fatal(Alert.DECRYPT_ERROR, Alert.DECODE_ERROR), identity=kind,
          why="signature<0..2^16-1> may be empty, and cannot be verified then (51), or is malformed (50)")
      for kind in ("rsa", "p256")),
    *(ask(f"verify-short-{kind}", verify_body(lambda s, sig: u16(s) + vec(2, sig[:-1])), DECRYPT,
        identity=kind)
      for kind in ("rsa", "p256")),
    ask("verify-long-rsa", verify_body(lambda s, sig: u16(s) + vec(2, sig + b"\0")), DECRYPT, identity="rsa"),
    ask("verify-600-bytes", verify_body(lambda s, sig: u16(s) + vec(2, bytes(600))),
        fatal(Alert.DECRYPT_ERROR, Alert.DECODE_ERROR), identity="rsa",
        why="it cannot be verified (51); a limit on its length may call it malformed (50)"),
    *(ask(f"verify-scheme-{scheme:04x}-{kind}", verify_body(lambda _, sig, s=scheme: u16(s) + vec(2, sig)),
        ILLEGAL,
          "RFC 5246 7.4.8: MUST be one of those offered, for a key of that kind", kind)
      for kind, schemes in (("rsa", (0x0403, 0x0101, 0x0402, 0xEEEE, 0x0804, 0x0000)),
                            ("p256", (0x0401, 0x0103, 0xEEEE, 0x0003))) for scheme in schemes),
    ask("verify-trailing-byte", verify_body(lambda s, sig: u16(s) + vec(2, sig) + b"\0"), DECODE),
    ask("verify-cut", verify_body(lambda s, sig: (u16(s) + vec(2, sig))[:-1]), DECODE),
    ask("verify-scheme-alone", verify_body(lambda s, sig: u16(s)), DECODE),
    ask("verify-1-byte", verify_body(lambda s, sig: b"\4"), DECODE),
    ask("verify-no-body", verify_body(lambda s, sig: b""), DECODE),
]  # fmt: skip
