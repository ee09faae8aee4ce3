"""The strict parsers of a server's handshake against a model written from the RFCs, over flights of OpenSSL."""

from __future__ import annotations

import random
import ssl
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bearwrap import _bear
from tests.certs import Certs
from tests.unit.vectors import Reader, Refuse, need, whole
from tests.wire.messages import Hello, vec
from tests.wire.names import TLS10, TLS11, TLS12, Alert, Msg

# TLS 1.0 on purpose
pytestmark = pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")

NAMES = {code: name.decode() for code, name, *_ in _bear.audit_tables()["suites"]}
POINTS = {23: 65, 24: 97, 25: 133, 29: 32}  # named group -> bytes of its point
DOWNGRADE = b"DOWNGRD\0"


# ---- the model of ServerHello ----


def empty(data: bytes) -> None:
    need(not data, Alert.DECODE_ERROR)


def pairs(data: bytes) -> None:
    items = whole(data, 2)
    need(items and len(items) % 2 == 0, Alert.DECODE_ERROR)


def point_formats(data: bytes) -> None:
    items = whole(data, 1)
    need(items, Alert.DECODE_ERROR)
    need(0 in items, Alert.ILLEGAL_PARAMETER)


def renegotiation(data: bytes) -> None:
    need(not whole(data, 1), Alert.HANDSHAKE_FAILURE)


def record_limit(data: bytes) -> None:
    need(len(data) == 2, Alert.DECODE_ERROR)
    need(64 <= int.from_bytes(data, "big") <= 16385, Alert.ILLEGAL_PARAMETER)


RULES: dict[int, Callable[[bytes], None]] = {
    0: empty, 10: pairs, 11: point_formats, 13: pairs, 28: record_limit, 0xFF01: renegotiation,
}  # fmt: skip


def any_version(suite: int) -> bool:
    """By its OpenSSL name: a MAC of SHA-1 can be had in every version."""
    return NAMES[suite].endswith("-SHA")


class Offer:
    """What the client said."""

    def __init__(self, least: int = TLS10, most: int = TLS12, sni: bool = True, suites: tuple[int, ...] = ()) -> None:
        self.least, self.most, self.sni, self.suites = least, most, sni, suites or tuple(NAMES)

    def __repr__(self) -> str:
        return f"{self.least:x} to {self.most:x}, sni={self.sni}, {len(self.suites)} suites"


def faults(
    offer: Offer, version: int, random_: bytes, suite: int, method: int, found: list[tuple[int, bytes]]
) -> set[int]:
    """The alerts of everything wrong in a hello that can be decoded."""
    alerts = set()
    if not offer.least <= version <= offer.most:
        alerts.add(Alert.PROTOCOL_VERSION)
    if version < TLS12 <= offer.most and random_[24:] == DOWNGRADE:
        alerts.add(Alert.ILLEGAL_PARAMETER)
    if suite not in offer.suites or suite not in NAMES or (version < TLS12 and not any_version(suite)) or method:
        alerts.add(Alert.ILLEGAL_PARAMETER)
    if len({kind for kind, _ in found}) < len(found):
        alerts.add(Alert.ILLEGAL_PARAMETER)
    for kind, data in found:
        try:
            need(kind in RULES and (kind != 0 or offer.sni), Alert.UNSUPPORTED_EXTENSION)
            RULES[kind](data)
        except Refuse as refused:
            alerts.add(refused.args[0])
    return alerts


def model(body: bytes, offer: Offer) -> tuple[set[int], tuple[int, bytes, int] | None]:
    """(alerts of which one is due, what a good hello says); what cannot be decoded is decode_error before all else."""
    reader = Reader(body)
    try:
        version, random_, session = reader.number(2), reader.bytes(32), reader.vector(1)
        suite, method = reader.number(2), reader.number(1)
        need(len(session) <= 32, Alert.DECODE_ERROR)
        found: list[tuple[int, bytes]] = []
        if reader.data:
            extensions = Reader(whole(reader.data, 2))
            while extensions.data:
                found.append((extensions.number(2), extensions.vector(2)))
    except Refuse as refused:
        return {refused.args[0]}, None
    return faults(offer, version, random_, suite, method, found), (version, random_, suite)


def judge(body: bytes, offer: Offer) -> int:
    """Compare with the model; the alert."""
    alert, answer = _bear.check_server_hello(body, offer.least, offer.most, offer.sni, offer.suites)
    expected, said = model(body, offer)
    assert alert in (expected or {0}), answer
    if alert:
        assert isinstance(answer, bytes) and answer and all(32 <= c < 127 for c in answer), "words for the message"
    else:
        assert answer == said
    return alert


# ---- the model of the other messages ----


def certificate(reader: Reader, version: int, suite: int) -> None:
    chain = Reader(reader.vector(3))
    reader.end()
    need(chain.data, Alert.DECODE_ERROR)
    while chain.data:
        need(chain.vector(3), Alert.DECODE_ERROR)


def key_exchange(reader: Reader, version: int, suite: int) -> None:
    need(NAMES.get(suite, "").startswith("ECDHE-"), Alert.UNEXPECTED_MESSAGE)
    need(reader.number(1) == 3, Alert.ILLEGAL_PARAMETER)
    group, point = reader.number(2), reader.vector(1)
    scheme = (reader.number(1), reader.number(1)) if version >= TLS12 else None
    signature = reader.vector(2)
    reader.end()
    need(point and signature, Alert.DECODE_ERROR)
    need(POINTS.get(group) == len(point), Alert.ILLEGAL_PARAMETER)
    if scheme is not None:
        if scheme[0] == 8:  # RSA-PSS, offered for TLS 1.3
            need(NAMES[suite].startswith("ECDHE-RSA-") and 4 <= scheme[1] <= 6, Alert.ILLEGAL_PARAMETER)
            return
        need(2 <= scheme[0] <= 6, Alert.ILLEGAL_PARAMETER)
        need(scheme[1] == (3 if NAMES[suite].startswith("ECDHE-ECDSA-") else 1), Alert.ILLEGAL_PARAMETER)


def certificate_request(reader: Reader, version: int, suite: int) -> None:
    need(reader.vector(1), Alert.DECODE_ERROR)
    if version >= TLS12:
        schemes = reader.vector(2)
        need(schemes and len(schemes) % 2 == 0, Alert.DECODE_ERROR)
    authorities = Reader(reader.vector(2))
    reader.end()
    while authorities.data:
        need(authorities.vector(2), Alert.DECODE_ERROR)


def finished(reader: Reader, version: int, suite: int) -> None:
    reader.bytes(12)
    reader.end()


MESSAGES: dict[int, Callable[[Reader, int, int], None]] = {
    Msg.CERTIFICATE: certificate, Msg.SERVER_KEY_EXCHANGE: key_exchange, Msg.CERTIFICATE_REQUEST: certificate_request,
    Msg.SERVER_HELLO_DONE: lambda reader, version, suite: reader.end(), Msg.FINISHED: finished,
}  # fmt: skip


def judge_message(kind: int, body: bytes, version: int, suite: int) -> int:
    """Compare with the model; the alert."""
    expected = 0
    try:
        need(kind in MESSAGES, Alert.UNEXPECTED_MESSAGE)
        MESSAGES[kind](Reader(body), version, suite)
    except Refuse as refused:
        expected = refused.args[0]
    found = _bear.check_server_message(kind, body, version, suite)
    assert found == expected, (kind, body.hex())
    return found


# ---- flights of OpenSSL ----

Flight = list[tuple[int, bytes]]


def flight(certs: Certs, kind: str, hello: Hello, ask: bool = False) -> Flight:
    """The messages of a server's first flight, as Python's ssl writes them."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.minimum_version = ssl.TLSVersion.TLSv1
    context.load_cert_chain(certs.server(kind))
    if ask:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(certs.client_ca)
    into, out = ssl.MemoryBIO(), ssl.MemoryBIO()
    server = context.wrap_bio(into, out, server_side=True)
    message = hello.message()
    into.write(b"\x16\x03\x01" + vec(2, message))
    with pytest.raises(ssl.SSLWantReadError):
        server.do_handshake()
    data, reader = b"", Reader(out.read())
    while reader.data:
        assert reader.number(1) == 22
        reader.number(2)
        data += reader.vector(2)
    found, reader = [], Reader(data)
    while reader.data:
        found.append((reader.number(1), reader.vector(3)))
    return found


CASES = [
    ("rsa2048", TLS12, 0xC02F, False), ("rsa2048", TLS12, 0xC030, True), ("p256", TLS12, 0xCCA9, True),
    ("p384", TLS12, 0xC024, False), ("rsa2048", TLS12, 0x009C, True), ("rsa2048", TLS11, 0xC014, False),
    ("p256", TLS11, 0xC009, True), ("rsa2048", TLS10, 0xC013, True), ("rsa2048", TLS10, 0x002F, False),
    ("p521", TLS10, 0xC00A, False),
]  # fmt: skip


@pytest.fixture(scope="module")
def flights(certs: Certs) -> list[tuple[int, int, Flight]]:
    """(version, suite, messages) of each case."""
    return [(version, suite, flight(certs, kind, Hello(version=version, suites=(suite,)), ask))
            for kind, version, suite, ask in CASES]  # fmt: skip


def test_openssls_flights_are_good(flights: list[tuple[int, int, Flight]]) -> None:
    for (_, _, _, ask), (version, suite, messages) in zip(CASES, flights, strict=True):
        assert messages[0][0] == Msg.SERVER_HELLO
        body = messages[0][1]
        assert judge(body, Offer(most=version)) == 0
        assert judge(body, Offer(version, version, True, (suite,))) == 0
        kinds = [kind for kind, _ in messages[1:]]
        assert (Msg.SERVER_KEY_EXCHANGE in kinds) == NAMES[suite].startswith("ECDHE-")
        assert (Msg.CERTIFICATE_REQUEST in kinds) == ask
        assert kinds[0] == Msg.CERTIFICATE and kinds[-1] == Msg.SERVER_HELLO_DONE
        for kind, body in messages[1:]:
            assert judge_message(kind, body, version, suite) == 0


def test_what_was_not_offered(flights: list[tuple[int, int, Flight]]) -> None:
    body = flights[0][2][0][1]
    for offer, alert in (
        (Offer(most=TLS11), Alert.PROTOCOL_VERSION),
        (Offer(suites=(0xC02B, 0xC030)), Alert.ILLEGAL_PARAMETER),
    ):
        assert judge(body, offer) == alert
    named = server_hello([(0, b"")])
    assert judge(named, Offer()) == 0
    assert judge(named, Offer(sni=False)) == Alert.UNSUPPORTED_EXTENSION
    # a server of TLS 1.0 while more was offered: its OpenSSL says so in its random
    old = next(messages[0][1] for version, _, messages in flights if version == TLS10)
    assert judge(old, Offer(most=TLS10)) == 0
    assert old[26:34] == DOWNGRADE
    assert judge(old, Offer()) == Alert.ILLEGAL_PARAMETER
    assert judge(old, Offer(most=TLS11)) == 0


def test_cut_anywhere(flights: list[tuple[int, int, Flight]]) -> None:
    for version, suite, messages in flights:
        (_, hello), *others = messages
        end = 35 + hello[34] + 3  # where extensions may be missing
        for n in range(len(hello)):
            assert judge(hello[:n], Offer(most=version)) == (0 if n == end else Alert.DECODE_ERROR)
        assert judge(hello + b"\0", Offer(most=version)) == Alert.DECODE_ERROR
        for kind, body in others:
            for n in range(len(body)):
                assert judge_message(kind, body[:n], version, suite) == Alert.DECODE_ERROR
            assert judge_message(kind, body + b"\0", version, suite) == Alert.DECODE_ERROR


def test_each_byte_changed(flights: list[tuple[int, int, Flight]]) -> None:
    chosen = random.Random(4)
    for version, suite, messages in flights:
        for kind, body in messages:
            # a certificate's inside is not looked at: its ends are enough
            places = range(len(body)) if len(body) < 400 else [*range(40), *range(len(body) - 8, len(body))]
            for at in places:
                for value in {0, 1, 3, 64, 255, body[at] ^ 1, body[at] ^ 0x80, chosen.randrange(256)}:
                    changed = body[:at] + bytes([value]) + body[at + 1 :]
                    if kind == Msg.SERVER_HELLO:
                        judge(changed, Offer(most=version))
                        judge(changed, Offer(sni=False))
                    else:
                        judge_message(kind, changed, version, suite)


steps = st.lists(
    st.tuples(st.sampled_from(["byte", "cut", "drop", "double", "length"]), st.floats(0, 1, exclude_max=True),
              st.integers(0, 65535)), min_size=1, max_size=3)  # fmt: skip


@settings(max_examples=300, deadline=None)
@given(st.integers(0, 10**6), steps, st.sampled_from([TLS10, TLS11, TLS12]), st.sampled_from(list(NAMES)))
def test_mutated_flights(
    flights: list[tuple[int, int, Flight]], which: int, changes: list[tuple[str, float, int]], version: int, suite: int
) -> None:
    every = [message for _, _, messages in flights for message in messages]
    kind, body = every[which % len(every)]
    for what, place, value in changes:
        at = int(place * len(body))
        if what == "byte":
            body = body[:at] + bytes([value & 255]) + body[at + 1 :]
        elif what == "cut":
            body = body[:at]
        elif what == "drop":
            body = body[:at] + body[at + 1 + value % 16 :]
        elif what == "double":
            body = body[:at] + body[at : at + 1 + value % 64] * 2 + body[at + 1 + value % 64 :]
        else:
            body = body[:at] + value.to_bytes(2, "big") + body[at + 2 :]
    if kind == Msg.SERVER_HELLO:
        judge(body, Offer(most=version))
    else:
        judge_message(kind, body, version, suite)


# ---- hellos and messages by their fields ----


def server_hello(
    extensions: list[tuple[int, bytes]] | None, version: int = TLS12, random_: bytes = bytes(32), session: bytes = b"",
    suite: int = 0xC02F, method: int = 0,
) -> bytes:  # fmt: skip
    body = version.to_bytes(2, "big") + random_ + vec(1, session) + suite.to_bytes(2, "big") + bytes([method])
    if extensions is None:
        return body
    return body + vec(2, b"".join(kind.to_bytes(2, "big") + vec(2, data) for kind, data in extensions))


good_data = {
    0: st.just(b""),
    10: st.sampled_from([vec(2, b"\0\x17"), vec(2, b"\0\x1d\0\x17"), vec(2, b""), vec(2, b"\0")]),
    11: st.sampled_from([vec(1, b"\0"), vec(1, b"\0\1\2"), vec(1, b"\1"), vec(1, b"")]),
    13: st.sampled_from([vec(2, b"\4\1"), vec(2, b"\4\1\6"), vec(2, b"")]),
    0xFF01: st.sampled_from([b"\0", b"\0", b"\x0c" + bytes(12)]),
}
an_extension = st.sampled_from([*RULES, *RULES, *RULES, 1, 5, 16, 22, 23, 35, 43, 51]).flatmap(
    lambda kind: st.tuples(
        st.just(kind), st.one_of(good_data.get(kind, st.just(b"\3\4")), good_data.get(kind, st.binary(max_size=4)),
                                 st.binary(max_size=4))
    )
)  # fmt: skip
randoms = st.sampled_from([bytes(32), bytes(24) + DOWNGRADE, bytes(24) + b"DOWNGRD\1", DOWNGRADE * 4])
offers = st.builds(
    Offer, st.sampled_from([TLS10, TLS11]), st.sampled_from([TLS11, TLS12, TLS12]), st.booleans(),
    st.sampled_from([(), (0xC02F,), (0xC013, 0x002F, 0x009C)]),
)  # fmt: skip


@settings(max_examples=300, deadline=None)
@given(
    extensions=st.none() | st.lists(an_extension, max_size=5),
    version=st.sampled_from([TLS12, TLS12, TLS12, TLS11, TLS10, 0x0300, 0x0304, 0x0203, 0x7F1C, 0xFFFF]),
    random_=randoms,
    session=st.sampled_from([b"", bytes(32), bytes(33)]),
    suite=st.sampled_from([0xC02F, 0xC02F, 0xC013, 0x002F, 0x009C, 0xC027, 0x1301, 0x00FF, 0]),
    method=st.sampled_from([0, 0, 0, 0, 1, 255]),
    offer=offers,
)
def test_hellos_by_their_fields(
    extensions: list[tuple[int, bytes]] | None, version: int, random_: bytes, session: bytes, suite: int, method: int,
    offer: Offer,
) -> None:  # fmt: skip
    judge(server_hello(extensions, version, random_, session, suite, method), offer)


@pytest.mark.parametrize(
    ("body", "alert"),
    [
        (server_hello(None), 0),
        (server_hello([]), 0),
        (server_hello([(0xFF01, b"\0"), (11, vec(1, b"\0\1\2")), (0, b"")], session=bytes(32)), 0),
        (server_hello([], session=bytes(33)), Alert.DECODE_ERROR),
        (server_hello([], version=0x0304), Alert.PROTOCOL_VERSION),
        (server_hello([], version=0x0300), Alert.PROTOCOL_VERSION),
        (server_hello([(43, b"\3\4")]), Alert.UNSUPPORTED_EXTENSION),
        (server_hello([(35, b"")]), Alert.UNSUPPORTED_EXTENSION),
        (server_hello([(23, b"")]), Alert.UNSUPPORTED_EXTENSION),
        (server_hello([(1, b"\4")]), Alert.UNSUPPORTED_EXTENSION),
        (server_hello([(0, b""), (0, b"")]), Alert.ILLEGAL_PARAMETER),
        (server_hello([(0, b"\0")]), Alert.DECODE_ERROR),
        (server_hello([(11, vec(1, b"\1"))]), Alert.ILLEGAL_PARAMETER),
        (server_hello([(0xFF01, b"\x0c" + bytes(12))]), Alert.HANDSHAKE_FAILURE),
        (server_hello([], method=1), Alert.ILLEGAL_PARAMETER),
        (server_hello([], suite=0x1301), Alert.ILLEGAL_PARAMETER),
        (server_hello([], version=TLS11), Alert.ILLEGAL_PARAMETER),
        (server_hello([], version=TLS11, suite=0xC027), Alert.ILLEGAL_PARAMETER),
        (server_hello([], version=TLS11, suite=0xC013), 0),
        (server_hello([], TLS11, bytes(24) + DOWNGRADE, suite=0xC013), Alert.ILLEGAL_PARAMETER),
        (server_hello([], TLS11, bytes(24) + b"DOWNGRD\1", suite=0xC013), 0),
        (server_hello([], TLS12, bytes(24) + DOWNGRADE), 0),
    ],
)
def test_alerts_of_a_hello(body: bytes, alert: int) -> None:
    assert judge(body, Offer()) == alert


@pytest.mark.parametrize("suite", NAMES)
def test_which_suites_fit_which_version(suite: int) -> None:
    for version in (TLS10, TLS11, TLS12):
        good = version == TLS12 or any_version(suite)
        assert (judge(server_hello([], version, suite=suite), Offer()) == 0) == good


def exchanged(
    group: int = 29, point: bytes = bytes(32), scheme: bytes = b"\4\1", signature: bytes = b"s", curve_type: int = 3
) -> bytes:
    return bytes([curve_type]) + group.to_bytes(2, "big") + vec(1, point) + scheme + vec(2, signature)


@settings(max_examples=300, deadline=None)
@given(
    group=st.sampled_from([*POINTS, *POINTS, 0, 22, 26, 30, 285, 0x0100]),
    size=st.sampled_from([*POINTS.values(), 0, 1, 33, 64, 134, 255]),
    fitting=st.booleans(),
    scheme=st.sampled_from([b"\4\1", b"\4\3", b"\2\1", b"\6\3", b"\1\1", b"\7\1", b"\4\2", b"\x08\4", b"\x08\7", b""]),
    signature=st.binary(max_size=3),
    curve_type=st.sampled_from([3, 3, 3, 3, 0, 1, 2, 4]),
    version=st.sampled_from([TLS10, TLS11, TLS12]),
    suite=st.sampled_from(list(NAMES)),
)
def test_key_exchanges_by_their_fields(
    group: int, size: int, fitting: bool, scheme: bytes, signature: bytes, curve_type: int, version: int, suite: int
) -> None:
    body = exchanged(group, bytes(POINTS.get(group, 7) if fitting else size), scheme, signature, curve_type)
    judge_message(Msg.SERVER_KEY_EXCHANGE, body, version, suite)


RSA, ECDSA, STATIC = 0xC02F, 0xC02B, 0x009C
CHAIN = vec(3, vec(3, b"leaf") + vec(3, b"root"))


@pytest.mark.parametrize(
    ("kind", "body", "version", "suite", "alert"),
    [
        (Msg.CERTIFICATE, CHAIN, TLS12, RSA, 0),
        (Msg.CERTIFICATE, vec(3, b""), TLS12, RSA, Alert.DECODE_ERROR),
        (Msg.CERTIFICATE, vec(3, vec(3, b"leaf") + vec(3, b"")), TLS12, RSA, Alert.DECODE_ERROR),
        (Msg.CERTIFICATE, vec(3, vec(3, b"leaf") + b"\0\0"), TLS12, RSA, Alert.DECODE_ERROR),
        (Msg.SERVER_KEY_EXCHANGE, exchanged(), TLS12, RSA, 0),
        (Msg.SERVER_KEY_EXCHANGE, exchanged(), TLS12, ECDSA, Alert.ILLEGAL_PARAMETER),
        (Msg.SERVER_KEY_EXCHANGE, exchanged(scheme=b"\4\3"), TLS12, ECDSA, 0),
        (Msg.SERVER_KEY_EXCHANGE, exchanged(scheme=b"\4\3"), TLS12, RSA, Alert.ILLEGAL_PARAMETER),
        (Msg.SERVER_KEY_EXCHANGE, exchanged(scheme=b"\1\1"), TLS12, RSA, Alert.ILLEGAL_PARAMETER),
        (Msg.SERVER_KEY_EXCHANGE, exchanged(scheme=b"\x08\4"), TLS12, RSA, 0),
        (Msg.SERVER_KEY_EXCHANGE, exchanged(scheme=b"\x08\x09"), TLS12, RSA, Alert.ILLEGAL_PARAMETER),
        (Msg.SERVER_KEY_EXCHANGE, exchanged(scheme=b"\x08\4"), TLS12, 0xC02B, Alert.ILLEGAL_PARAMETER),
        (Msg.SERVER_KEY_EXCHANGE, exchanged(scheme=b""), TLS11, RSA, 0),
        (Msg.SERVER_KEY_EXCHANGE, exchanged(curve_type=1), TLS12, RSA, Alert.ILLEGAL_PARAMETER),
        (Msg.SERVER_KEY_EXCHANGE, exchanged(group=30, point=bytes(56)), TLS12, RSA, Alert.ILLEGAL_PARAMETER),
        (Msg.SERVER_KEY_EXCHANGE, exchanged(point=b""), TLS12, RSA, Alert.DECODE_ERROR),
        (Msg.SERVER_KEY_EXCHANGE, exchanged(point=bytes(31)), TLS12, RSA, Alert.ILLEGAL_PARAMETER),
        (Msg.SERVER_KEY_EXCHANGE, exchanged(signature=b""), TLS12, RSA, Alert.DECODE_ERROR),
        (Msg.SERVER_KEY_EXCHANGE, exchanged(), TLS12, STATIC, Alert.UNEXPECTED_MESSAGE),
        (Msg.SERVER_KEY_EXCHANGE, exchanged(), TLS12, 0x1301, Alert.UNEXPECTED_MESSAGE),
        (Msg.CERTIFICATE_REQUEST, b"\1\1" + vec(2, b"\4\1") + vec(2, b""), TLS12, RSA, 0),
        (Msg.CERTIFICATE_REQUEST, b"\0" + vec(2, b"\4\1") + vec(2, b""), TLS12, RSA, Alert.DECODE_ERROR),
        (Msg.CERTIFICATE_REQUEST, b"\1\1" + vec(2, b"") + vec(2, b""), TLS12, RSA, Alert.DECODE_ERROR),
        (Msg.CERTIFICATE_REQUEST, b"\1\1" + vec(2, b"\4\1\4") + vec(2, b""), TLS12, RSA, Alert.DECODE_ERROR),
        (Msg.CERTIFICATE_REQUEST, b"\1\1" + vec(2, vec(2, b"dn")), TLS11, RSA, 0),
        (Msg.CERTIFICATE_REQUEST, b"\1\1" + vec(2, vec(2, b"")), TLS11, RSA, Alert.DECODE_ERROR),
        (Msg.SERVER_HELLO_DONE, b"", TLS12, RSA, 0),
        (Msg.SERVER_HELLO_DONE, b"\0", TLS12, RSA, Alert.DECODE_ERROR),
        (Msg.FINISHED, bytes(12), TLS12, RSA, 0),
        (Msg.FINISHED, bytes(11), TLS12, RSA, Alert.DECODE_ERROR),
        (Msg.FINISHED, bytes(13), TLS12, RSA, Alert.DECODE_ERROR),
        (Msg.SERVER_HELLO, b"", TLS12, RSA, Alert.UNEXPECTED_MESSAGE),
        (4, b"", TLS12, RSA, Alert.UNEXPECTED_MESSAGE),
        (22, b"", TLS12, RSA, Alert.UNEXPECTED_MESSAGE),
    ],
)
def test_alerts_of_a_message(kind: int, body: bytes, version: int, suite: int, alert: int) -> None:
    assert judge_message(kind, body, version, suite) == alert


@given(st.sampled_from([*MESSAGES, 0, 2, 4, 22]), st.binary(max_size=40), st.sampled_from([TLS10, TLS12]))
def test_any_bytes(kind: int, body: bytes, version: int) -> None:
    judge_message(kind, body, version, RSA)
    judge(body, Offer())


def test_no_more_than_256_suites() -> None:
    with pytest.raises(ValueError, match="256"):
        _bear.check_server_hello(b"", TLS10, TLS12, True, [1] * 257)
