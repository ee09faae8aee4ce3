"""Messages of TLS 1.3: what is built parses again, and the strict parsers agree with a model written from RFC 8446."""

from __future__ import annotations

import hashlib
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bearwrap import _bear
from tests.unit.vectors import Reader, Refuse, need, whole
from tests.wire.messages import vec
from tests.wire.names import Alert

SUITES = (0x1303, 0x1302, 0x1301)
POINTS = {29: 32, 23: 65, 24: 97, 25: 133}
X25519, P256 = 29, 23
RETRY = hashlib.sha256(b"HelloRetryRequest").digest()
# of a handshake, without Ed25519, of which no certificate can be judged; then of certificates alone
SCHEMES = [number for _, number, *_ in _bear.audit_tables()["schemes"] if number != 0x0807] + [0x0401, 0x0501, 0x0601]


def bits(*groups: int) -> int:
    return sum(1 << group for group in set(groups))


def body(message: bytes, kind: int) -> bytes:
    assert message[0] == kind
    assert int.from_bytes(message[1:4], "big") == len(message) - 4
    return message[4:]


def extension(kind: int, data: bytes) -> bytes:
    return kind.to_bytes(2, "big") + vec(2, data)


# what is built, parsed


@given(random_=st.binary(min_size=32, max_size=32), session=st.sampled_from([b"", bytes(range(32))]),
       suite=st.sampled_from(SUITES), group=st.sampled_from(sorted(POINTS)), psk=st.sampled_from([-1, 0, 1]),
       data=st.data())  # fmt: skip
def test_server_hello(random_: bytes, session: bytes, suite: int, group: int, psk: int, data: st.DataObject) -> None:
    size = POINTS[group]
    point = data.draw(st.none() | st.binary(min_size=size, max_size=size))
    parts = {"random": random_, "session": session, "suite": suite, "group": group, "point": point, "point_len": size,
             "psk": psk}  # fmt: skip
    message = _bear.build13(b"server hello", parts)
    client = _bear.Offer13(session, SUITES, bits(*POINTS), bits(group), 2)
    expected = (0, (False, suite, group, point or bytes(size), None, psk))
    assert client.server_hello(body(message, 2)) == expected
    exact = b"\3\3" + random_ + vec(1, session) + suite.to_bytes(2, "big") + b"\0"
    extensions = extension(43, b"\3\4") + extension(51, group.to_bytes(2, "big") + vec(2, point or bytes(size)))
    assert body(message, 2) == exact + vec(2, extensions + (extension(41, bytes([0, psk])) if psk >= 0 else b""))


@pytest.mark.parametrize("session", [b"", bytes(32)])
@pytest.mark.parametrize("group", POINTS)
def test_retry(session: bytes, group: int) -> None:
    message = _bear.build13(b"retry", {"session": session, "suite": 0x1301, "group": group})
    client = _bear.Offer13(session, SUITES, bits(*POINTS), 0)
    assert client.server_hello(body(message, 2)) == (0, (True, 0x1301, group, None, None, -1))
    assert message[6:38] == RETRY


@pytest.mark.parametrize("sni", [False, True])
@pytest.mark.parametrize("protocol", [None, b"h2", b"x" * 255])
@pytest.mark.parametrize("limit", [0, 64, 16385])
def test_encrypted_extensions(sni: bool, protocol: bytes | None, limit: int) -> None:
    message = _bear.build13(b"encrypted extensions", {"sni": sni, "protocol": protocol, "limit": limit})
    offered = vec(1, b"other") + vec(1, protocol or b"h2")
    client = _bear.Offer13(b"", SUITES, 0, 0, 0, True, offered, True)
    assert client.encrypted_extensions(body(message, 8)) == (0, (protocol, limit))


@given(st.lists(st.binary(min_size=1, max_size=300), max_size=5))
def test_certificates(chain: list[bytes]) -> None:
    message = body(_bear.build13(b"certificate", {"items": chain}), 11)
    assert message == b"\0" + vec(3, b"".join(vec(3, one) + b"\0\0" for one in chain))
    found = (len(chain), b"".join(vec(3, one) for one in chain))
    assert _bear.check13(11, message, False) == (0, found)
    assert _bear.check13(11, message, True) == ((0, found) if chain else (Alert.DECODE_ERROR, None))


@given(st.lists(st.binary(min_size=1, max_size=100), max_size=5))
def test_certificate_requests(names: list[bytes]) -> None:
    message = body(_bear.build13(b"certificate request", {"items": names}), 13)
    schemes = b"".join(number.to_bytes(2, "big") for number in SCHEMES)
    assert _bear.check13(13, message) == (0, (schemes, b"".join(vec(2, name) for name in names) or None))


def test_names_that_do_not_fit_are_left_out() -> None:
    found = _bear.check13(13, body(_bear.build13(b"certificate request", {"items": [bytes(30000)] * 3}), 13))[1]
    assert isinstance(found, tuple) and found[1] is None


@given(scheme=st.sampled_from(SCHEMES), signature=st.binary(max_size=600))
def test_certificate_verify(scheme: int, signature: bytes) -> None:
    message = body(_bear.build13(b"certificate verify", {"scheme": scheme, "signature": signature}), 15)
    assert message == scheme.to_bytes(2, "big") + vec(2, signature)
    if scheme >> 8 in (4, 5, 6) and scheme & 0xFF == 1:
        assert _bear.check13(15, message)[0] == Alert.ILLEGAL_PARAMETER
    else:
        assert _bear.check13(15, message) == (0, (scheme, signature))


def test_a_certificate_verify_by_ed25519() -> None:
    """It was not offered: no certificate for it could have been judged."""
    message = body(_bear.build13(b"certificate verify", {"scheme": 0x0807, "signature": bytes(64)}), 15)
    assert _bear.check13(15, message)[0] == Alert.ILLEGAL_PARAMETER


def test_what_a_certificate_verify_signs() -> None:
    """The example of RFC 8446 section 4.4.3."""
    example = b" " * 64 + b"TLS 1.3, server CertificateVerify\0" + b"\1" * 32
    assert _bear.verify13(True, b"\1" * 32) == example
    assert _bear.verify13(False, b"\1" * 48) == example[:64] + b"TLS 1.3, client CertificateVerify\0" + b"\1" * 48


@given(lifetime=st.integers(0, 604800), age_add=st.integers(0, 0xFFFFFFFF), nonce=st.binary(max_size=255),
       ticket=st.binary(min_size=1, max_size=500))  # fmt: skip
def test_tickets(lifetime: int, age_add: int, nonce: bytes, ticket: bytes) -> None:
    parts = {"lifetime": lifetime, "age_add": age_add, "nonce": nonce, "ticket": ticket}
    message = body(_bear.build13(b"ticket", parts), 4)
    assert _bear.check13(4, message) == (0, (lifetime, age_add, nonce, ticket))


def test_finished_and_key_update() -> None:
    for size in (32, 48):
        message = body(_bear.build13(b"finished", {"data": bytes(size)}), 20)
        assert _bear.check13(20, message, True, size) == (0, None)
        assert _bear.check13(20, message[1:], True, size) == (Alert.DECODE_ERROR, None)
    for requested in (False, True):
        message = body(_bear.build13(b"key update", {"requested": requested}), 24)
        assert _bear.check13(24, message) == (0, requested)
    assert _bear.check13(24, b"\2") == (Alert.ILLEGAL_PARAMETER, None)
    assert _bear.check13(24, b"") == _bear.check13(24, b"\0\0") == (Alert.DECODE_ERROR, None)


def test_what_does_not_fit() -> None:
    with pytest.raises(ValueError, match="does not fit"):
        _bear.build13(b"certificate verify", {"scheme": 0x0403, "signature": bytes(65536)})
    with pytest.raises(ValueError, match="does not fit"):
        _bear.build13(b"certificate", {"items": [bytes(69990)]})
    with pytest.raises(ValueError, match="no such message"):
        _bear.build13(b"nothing", {})


# a server's hello against a model


SESSION = bytes(range(32))


class Offer:
    """What the client said."""

    def __init__(self, psks: int = 1, retried: tuple[int, int] | None = None) -> None:
        self.psks, self.retried = psks, retried
        self.groups = {X25519, P256, 24}
        self.shares = {X25519} if retried is None else {retried[1] or X25519}
        self.judge = _bear.Offer13(SESSION, SUITES[:2], bits(*self.groups), bits(*self.shares), psks, True,
                                   b"\2h2", False, retried)  # fmt: skip


def share_faults(data: bytes, retry: bool, offer: Offer) -> None:
    reader = Reader(data)
    group = reader.number(2)
    point = b"" if retry else reader.vector(2)
    need(retry or point, Alert.DECODE_ERROR)
    reader.end()
    need(group in offer.groups, Alert.ILLEGAL_PARAMETER)
    if retry:
        need(group not in offer.shares, Alert.ILLEGAL_PARAMETER)
    else:
        need(group in offer.shares and len(point) == POINTS[group], Alert.ILLEGAL_PARAMETER)
        need(not offer.retried or not offer.retried[1] or group == offer.retried[1], Alert.ILLEGAL_PARAMETER)


def check_one(kind: int, data: bytes, retry: bool, offer: Offer) -> None:
    if kind == 43:
        need(len(data) == 2, Alert.DECODE_ERROR)
        need(data == b"\3\4", Alert.ILLEGAL_PARAMETER)
    elif kind == 51:
        share_faults(data, retry, offer)
    elif kind == 41 and not retry and offer.psks:
        need(len(data) == 2, Alert.DECODE_ERROR)
        need(int.from_bytes(data, "big") < offer.psks, Alert.ILLEGAL_PARAMETER)
    elif kind == 44 and retry:
        need(whole(data, 2), Alert.DECODE_ERROR)
    else:
        need(kind not in (0, 10, 13, 16, 45) and not (kind == 41 and offer.psks), Alert.ILLEGAL_PARAMETER)
        raise Refuse(Alert.UNSUPPORTED_EXTENSION)


def model(message: bytes, offer: Offer) -> set[int] | None:
    """The alerts of which one is due; None: no ServerHello of TLS 1.3."""
    reader, found = Reader(message), []
    try:
        version, random_, session = reader.number(2), reader.bytes(32), reader.vector(1)
        suite, compression, extensions = reader.number(2), reader.number(1), Reader(whole(reader.data, 2))
        while extensions.data:
            found.append((extensions.number(2), extensions.vector(2)))
    except Refuse:
        return None
    kinds = [kind for kind, _ in found]
    if 43 not in kinds:
        return None
    if len(session) > 32:
        return {Alert.DECODE_ERROR}
    retry = random_ == RETRY
    if retry and offer.retried:
        return {Alert.UNEXPECTED_MESSAGE}
    alerts = set()
    allowed = SUITES[:2] if offer.retried is None else [offer.retried[0]]
    if version != 0x0303 or session != SESSION or suite not in allowed or compression:
        alerts.add(Alert.ILLEGAL_PARAMETER)
    if len(set(kinds)) < len(kinds):
        alerts.add(Alert.ILLEGAL_PARAMETER)
    for kind, data in found:
        try:
            check_one(kind, data, retry, offer)
        except Refuse as refused:
            alerts.add(refused.args[0])
    if retry and not {51, 44} & set(kinds):
        alerts.add(Alert.ILLEGAL_PARAMETER)
    if not retry and 51 not in kinds:
        alerts.add(Alert.MISSING_EXTENSION)
    return alerts


def agree(message: bytes, offer: Offer) -> int:
    alert, found = offer.judge.server_hello(message)
    expected = model(message, offer)
    if expected is None:
        assert (alert, found) == (0, None)
    else:
        assert alert in (expected or {0}), (alert, expected, found)
        assert found is not None
    return alert


SHARE = extension(51, b"\0\x1d" + vec(2, bytes(32)))
OFFERS = {"first": Offer(), "no psk": Offer(psks=0), "retried": Offer(retried=(0x1303, P256)),
          "cookie": Offer(retried=(0x1302, 0))}  # fmt: skip


def server_hello(extensions: bytes, random_: bytes = bytes(32), session: bytes = SESSION, suite: int = 0x1303,
                 version: bytes = b"\3\3", compression: bytes = b"\0") -> bytes:  # fmt: skip
    return version + random_ + vec(1, session) + suite.to_bytes(2, "big") + compression + vec(2, extensions)


an_extension = st.one_of(
    st.just(extension(43, b"\3\4")), st.just(extension(43, b"\3\4")), st.just(SHARE),
    st.just(extension(51, b"\0\x17" + vec(2, bytes(65)))),
    st.sampled_from([29, 23, 24, 25, 77]).map(lambda group: extension(51, bytes([0, group]))),
    st.sampled_from([0, 1, 258]).map(lambda n: extension(41, n.to_bytes(2, "big"))),
    st.just(extension(44, vec(2, b"cookie"))),
    st.tuples(st.sampled_from([0, 10, 13, 16, 28, 41, 42, 43, 44, 45, 51, 0x0A0A, 0xFF01]), st.binary(max_size=6)).map(
        lambda two: extension(*two)
    ),
)  # fmt: skip


@settings(max_examples=300, deadline=None)
@given(offer=st.sampled_from(sorted(OFFERS)), extensions=st.lists(an_extension, max_size=4),
       known=st.booleans(), random_=st.sampled_from([bytes(32), RETRY]), session=st.sampled_from([SESSION] * 4 + [b""]),
       suite=st.sampled_from([0x1303, 0x1303, 0x1302, 0x1301, 0xC02B]),
       compression=st.sampled_from([b"\0"] * 4 + [b"\1"]))  # fmt: skip
def test_composed_server_hellos(offer: str, extensions: list[bytes], known: bool, random_: bytes, session: bytes,
                                suite: int, compression: bytes) -> None:  # fmt: skip
    extensions = [extension(43, b"\3\4"), *extensions] if known else extensions
    agree(server_hello(b"".join(extensions), random_, session, suite, compression=compression), OFFERS[offer])


TABLE: dict[str, tuple[int, str, bytes]] = {
    "good": (0, "first", SHARE),
    "psk": (0, "first", SHARE + extension(41, b"\0\0")),
    "psk not offered": (Alert.UNSUPPORTED_EXTENSION, "no psk", SHARE + extension(41, b"\0\0")),
    "psk of another number": (Alert.ILLEGAL_PARAMETER, "first", SHARE + extension(41, b"\0\1")),
    "no share": (Alert.MISSING_EXTENSION, "first", extension(41, b"\0\0")),
    "share not sent": (Alert.ILLEGAL_PARAMETER, "first", extension(51, b"\0\x17" + vec(2, bytes(65)))),
    "share of a wrong size": (Alert.ILLEGAL_PARAMETER, "first", extension(51, b"\0\x1d" + vec(2, bytes(31)))),
    "server_name": (Alert.ILLEGAL_PARAMETER, "first", SHARE + extension(0, b"")),
    "unknown": (Alert.UNSUPPORTED_EXTENSION, "first", SHARE + extension(0x1234, b"")),
    "cookie": (Alert.UNSUPPORTED_EXTENSION, "first", SHARE + extension(44, vec(2, b"c"))),
    "as asked": (0, "retried", extension(51, b"\0\x17" + vec(2, bytes(65)))),
    "after a cookie": (Alert.ILLEGAL_PARAMETER, "cookie", SHARE),  # another suite
}  # fmt: skip


@pytest.mark.parametrize("case", TABLE)
def test_server_hellos(case: str) -> None:
    alert, offer, extensions = TABLE[case]
    assert agree(server_hello(extension(43, b"\3\4") + extensions), OFFERS[offer]) == alert


def test_a_server_hello_of_tls_1_2_is_not_ours() -> None:
    for message in (server_hello(b""), server_hello(b"")[:-2], server_hello(SHARE), b"", server_hello(b"")[:-1]):
        assert OFFERS["first"].judge.server_hello(message) == (0, None)


def test_each_byte_of_a_server_hello_changed() -> None:
    draw = random.Random(3)
    for extensions, random_ in ((SHARE, bytes(32)), (extension(51, b"\0\x17"), RETRY)):
        message = server_hello(extension(43, b"\3\4") + extensions, random_)
        assert agree(message, OFFERS["first"]) == 0
        for place in range(len(message)):
            for value in (0, 1, 255, message[place] ^ 1, draw.randrange(256)):
                agree(message[:place] + bytes([value]) + message[place + 1 :], OFFERS["first"])
        for n in range(len(message)):
            agree(message[:n], OFFERS["first"])


# the other messages: cut, longer, and rows


def request(extensions: bytes, context: bytes = b"") -> bytes:
    return vec(1, context) + vec(2, extensions)


ALGORITHMS = extension(13, b"\0\2\4\3")
ROWS: dict[str, tuple[int, int, bytes]] = {
    "certificate: extension": (Alert.UNSUPPORTED_EXTENSION, 11,
                               b"\0" + vec(3, vec(3, b"c") + vec(2, extension(5, b"")))),
    "certificate: bad extension": (Alert.DECODE_ERROR, 11, b"\0" + vec(3, vec(3, b"c") + vec(2, b"\0\5\0"))),
    "certificate: empty entry": (Alert.DECODE_ERROR, 11, b"\0" + vec(3, vec(3, b"") + b"\0\0")),
    "certificate: context": (Alert.ILLEGAL_PARAMETER, 11, b"\1x" + vec(3, vec(3, b"c") + b"\0\0")),
    "request: unknown extension": (0, 13, request(extension(0x1234, b"x") + ALGORITHMS)),
    "request: no algorithms": (Alert.MISSING_EXTENSION, 13, request(extension(47, vec(2, vec(2, b"n"))))),
    "request: odd algorithms": (Alert.DECODE_ERROR, 13, request(extension(13, b"\0\3\4\3\4"))),
    "request: no names": (Alert.DECODE_ERROR, 13, request(ALGORITHMS + extension(47, b"\0\0"))),
    "request: empty name": (Alert.DECODE_ERROR, 13, request(ALGORITHMS + extension(47, b"\0\2\0\0"))),
    "request: twice": (Alert.ILLEGAL_PARAMETER, 13, request(ALGORITHMS + ALGORITHMS)),
    "request: context": (Alert.ILLEGAL_PARAMETER, 13, request(ALGORITHMS, b"x")),
    "verify: sha1": (Alert.ILLEGAL_PARAMETER, 15, b"\2\1\0\0"),
    "verify: pkcs1": (Alert.ILLEGAL_PARAMETER, 15, b"\4\1\0\0"),
    "ticket: eight days": (Alert.ILLEGAL_PARAMETER, 4, bytes.fromhex("000a8c00000000000000017800" "00")),
    "ticket: empty": (Alert.DECODE_ERROR, 4, bytes(8) + b"\0\0\0\0\0"),
    "ticket: early data": (0, 4, bytes(8) + b"\0" + vec(2, b"t") + vec(2, extension(42, bytes(4)))),
    "ticket: bad early data": (Alert.DECODE_ERROR, 4, bytes(8) + b"\0" + vec(2, b"t") + vec(2, extension(42, b""))),
    "ticket: unknown extension": (0, 4, bytes(8) + b"\0" + vec(2, b"t") + vec(2, extension(0x0A0A, b""))),
}  # fmt: skip


@pytest.mark.parametrize("case", ROWS)
def test_rows(case: str) -> None:
    alert, kind, message = ROWS[case]
    assert _bear.check13(kind, message)[0] == alert


@pytest.mark.parametrize("case", [case for case in ROWS if ROWS[case][0] == 0])
def test_cut_and_longer(case: str) -> None:
    _, kind, message = ROWS[case]
    for n in range(len(message)):
        assert _bear.check13(kind, message[:n])[0] == Alert.DECODE_ERROR
    assert _bear.check13(kind, message + b"\0")[0] == Alert.DECODE_ERROR


@settings(max_examples=200, deadline=None)
@given(kind=st.sampled_from([4, 11, 13, 15, 20, 24]), message=st.binary(max_size=60))
def test_any_bytes(kind: int, message: bytes) -> None:
    alert, _ = _bear.check13(kind, message)
    assert alert in {0, Alert.DECODE_ERROR, Alert.ILLEGAL_PARAMETER, Alert.UNSUPPORTED_EXTENSION,
                     Alert.MISSING_EXTENSION}  # fmt: skip


ENCRYPTED: dict[str, tuple[int, bytes]] = {
    "nothing": (0, b""),
    "groups": (0, extension(10, b"\0\2\0\x1d")),
    "bad groups": (Alert.DECODE_ERROR, extension(10, b"\0\1\0")),
    "protocol": (0, extension(16, b"\0\3\2h2")),
    "another protocol": (Alert.ILLEGAL_PARAMETER, extension(16, b"\0\3\2h3")),
    "two protocols": (Alert.DECODE_ERROR, extension(16, b"\0\6\2h2\2h2")),
    "empty protocol": (Alert.DECODE_ERROR, extension(16, b"\0\1\0")),
    "name": (Alert.DECODE_ERROR, extension(0, b"\0")),
    "twice": (Alert.ILLEGAL_PARAMETER, extension(0, b"") * 2),
    "share": (Alert.ILLEGAL_PARAMETER, SHARE),
    "versions": (Alert.ILLEGAL_PARAMETER, extension(43, b"\3\4")),
    "limit not offered": (Alert.UNSUPPORTED_EXTENSION, extension(28, b"\x40\1")),
    "early data": (Alert.UNSUPPORTED_EXTENSION, extension(42, b"")),
    "unknown": (Alert.UNSUPPORTED_EXTENSION, extension(0x0A0A, b"")),
}  # fmt: skip


@pytest.mark.parametrize("case", ENCRYPTED)
def test_encrypted_extensions_of_a_server(case: str) -> None:
    alert, extensions = ENCRYPTED[case]
    judge = OFFERS["first"].judge
    assert judge.encrypted_extensions(vec(2, extensions))[0] == alert
    assert judge.encrypted_extensions(vec(2, extensions) + b"\0")[0] == Alert.DECODE_ERROR
    for n in range(len(extensions) + 2):
        assert judge.encrypted_extensions(vec(2, extensions)[:n])[0] == Alert.DECODE_ERROR


@pytest.mark.parametrize(("limit", "alert"), [(63, 47), (64, 0), (16385, 0), (16386, 47), (65535, 47)])
def test_a_servers_record_size_limit(limit: int, alert: int) -> None:
    judge = _bear.Offer13(b"", SUITES, 0, 0, 0, False, None, True)
    assert judge.encrypted_extensions(vec(2, extension(28, limit.to_bytes(2, "big"))))[0] == alert
