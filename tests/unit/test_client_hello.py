"""The strict ClientHello parser against a model written from the RFCs, and against hellos of the ssl module."""

from __future__ import annotations

import random
import ssl
from collections.abc import Callable

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from bearwrap import _bear
from tests.wire.names import TLS12, TLS13, Alert

SNI_MAX = 255
DNS_BYTES = range(32, 127)


class Refuse(Exception):
    """The model's refusal, with the alert."""


class Reader:
    """Vectors of RFC 5246 section 4; too short is decode_error."""

    def __init__(self, data: bytes) -> None:
        self.data = data

    def bytes(self, n: int) -> bytes:
        if n > len(self.data):
            raise Refuse(Alert.DECODE_ERROR)
        found, self.data = self.data[:n], self.data[n:]
        return found

    def number(self, width: int) -> int:
        return int.from_bytes(self.bytes(width), "big")

    def vector(self, width: int) -> bytes:
        return self.bytes(self.number(width))


def need(condition: object, alert: int) -> None:
    if not condition:
        raise Refuse(alert)


def whole(data: bytes, width: int) -> bytes:
    """The one vector that fills an extension."""
    reader = Reader(data)
    found = reader.vector(width)
    need(not reader.data, Alert.DECODE_ERROR)
    return found


def server_name(data: bytes) -> bytes | None:
    """RFC 6066 section 3."""
    reader, host = Reader(whole(data, 2)), None
    need(reader.data, Alert.DECODE_ERROR)
    while reader.data:
        kind, name = reader.number(1), reader.vector(2)
        if kind == 0:
            need(host is None, Alert.ILLEGAL_PARAMETER)
            need(name, Alert.DECODE_ERROR)
            need(len(name) <= SNI_MAX and all(c in DNS_BYTES for c in name), Alert.ILLEGAL_PARAMETER)
            host = name
    return host


def pairs(data: bytes) -> None:
    items = whole(data, 2)
    need(items and len(items) % 2 == 0, Alert.DECODE_ERROR)


def one_of(*values: int) -> Callable[[bytes], None]:
    def check(data: bytes) -> None:
        need(len(data) == 1, Alert.DECODE_ERROR)
        need(data[0] in values, Alert.ILLEGAL_PARAMETER)

    return check


def point_formats(data: bytes) -> None:
    items = whole(data, 1)
    need(items, Alert.DECODE_ERROR)
    need(0 in items, Alert.ILLEGAL_PARAMETER)


def alpn(data: bytes) -> None:
    reader = Reader(whole(data, 2))
    need(reader.data, Alert.DECODE_ERROR)
    while reader.data:
        need(reader.vector(1), Alert.DECODE_ERROR)


def empty(data: bytes) -> None:
    need(not data, Alert.DECODE_ERROR)


def versions_in(data: bytes) -> list[int]:
    items = whole(data, 1)
    need(items and len(items) % 2 == 0, Alert.DECODE_ERROR)
    return numbers(items)


def numbers(items: bytes) -> list[int]:
    return [int.from_bytes(items[at : at + 2], "big") for at in range(0, len(items), 2)]


def supported_versions(data: bytes, most: int) -> None:
    need(any(0x0300 <= version <= most for version in versions_in(data)), Alert.PROTOCOL_VERSION)


def renegotiation(data: bytes) -> None:
    need(not whole(data, 1), Alert.HANDSHAKE_FAILURE)


RULES: dict[int, Callable[[bytes], object]] = {
    0: server_name, 1: one_of(1, 2, 3, 4), 10: pairs, 11: point_formats, 13: pairs, 15: one_of(1, 2), 16: alpn,
    22: empty, 23: empty, 43: lambda data: supported_versions(data, TLS12), 50: pairs, 0xFF01: renegotiation,
}  # fmt: skip


# TLS 1.3 (RFC 8446 sections 4.1.2 and 4.2, RFC 8449)


def record_limit(data: bytes) -> None:
    need(len(data) == 2, Alert.DECODE_ERROR)
    need(int.from_bytes(data, "big") >= 64, Alert.ILLEGAL_PARAMETER)


def vectors(data: bytes, width: int, least: int) -> list[bytes]:
    reader, found = Reader(data), []
    while reader.data:
        found.append(reader.vector(width))
        need(len(found[-1]) >= least, Alert.DECODE_ERROR)
    return found


def shares_in(data: bytes) -> list[tuple[int, bytes]]:
    reader, found = Reader(whole(data, 2)), []
    while reader.data:
        found.append((reader.number(2), reader.vector(2)))
        need(found[-1][1], Alert.DECODE_ERROR)
    return found


def pre_shared_key(data: bytes) -> None:
    reader, count = Reader(data), 0
    identities, binders = Reader(reader.vector(2)), reader.vector(2)
    need(identities.data and binders and not reader.data, Alert.DECODE_ERROR)
    while identities.data:
        need(identities.vector(2), Alert.DECODE_ERROR)
        identities.number(4)
        count += 1
    need(len(vectors(binders, 1, 32)) == count, Alert.ILLEGAL_PARAMETER)


def cookie(data: bytes) -> None:
    need(whole(data, 2), Alert.DECODE_ERROR)


def psk_modes(data: bytes) -> None:
    need(whole(data, 1), Alert.DECODE_ERROR)


def authorities(data: bytes) -> None:
    names = whole(data, 2)
    need(names, Alert.DECODE_ERROR)
    vectors(names, 2, 1)


RULES13: dict[int, Callable[[bytes], object]] = {
    28: record_limit, 41: pre_shared_key, 42: empty, 44: cookie, 45: psk_modes, 47: authorities, 49: empty,
    51: shares_in,
}  # fmt: skip


def offers_tls13(extensions: list[tuple[int, bytes]]) -> bool:
    try:
        return any(TLS13 in versions_in(data) for kind, data in extensions if kind == 43)
    except Refuse:
        return False


def together(version: int, methods: bytes, extensions: list[tuple[int, bytes]]) -> set[int]:
    """What a hello for TLS 1.3 must have and must not have."""
    alerts, kinds, have = set(), [kind for kind, _ in extensions], dict(extensions)
    if version < 0x0301:
        alerts.add(Alert.PROTOCOL_VERSION)
    if methods != b"\0" or 41 in kinds[:-1]:
        alerts.add(Alert.ILLEGAL_PARAMETER)
    if 41 in have and 45 not in have:
        alerts.add(Alert.MISSING_EXTENSION)
    if (51 in have) != (10 in have) or (41 not in have and not {13, 10} <= set(have)):
        alerts.add(Alert.MISSING_EXTENSION)
    try:
        shared = [group for group, _ in shares_in(have[51])] if 51 in have else []
        offered = numbers(whole(have[10], 2)) if 10 in have else []
        if len(set(shared)) < len(shared) or not set(shared) <= set(offered):
            alerts.add(Alert.ILLEGAL_PARAMETER)
    except Refuse:
        pass
    return alerts


def faults(
    version: int, methods: bytes, extensions: list[tuple[int, bytes]], most: int
) -> tuple[set[int], bytes | None]:
    """The alerts of everything wrong in a hello that can be decoded, and the server name."""
    alerts: set[int] = set()
    sni, rules = None, RULES
    if most == TLS13:
        rules = RULES | {43: lambda data: supported_versions(data, most)}
        if offers_tls13(extensions):
            rules |= RULES13
            alerts |= together(version, methods, extensions)
    if version < 0x0300:
        alerts.add(Alert.PROTOCOL_VERSION)
    if 0 not in methods:
        alerts.add(Alert.ILLEGAL_PARAMETER)
    if len({kind for kind, _ in extensions}) < len(extensions):
        alerts.add(Alert.ILLEGAL_PARAMETER)
    for kind, data in extensions:
        try:
            answer = rules.get(kind, lambda _: None)(data)
            sni = answer if isinstance(answer, bytes) else sni
        except Refuse as refused:
            alerts.add(refused.args[0])
    return alerts, sni


def model(body: bytes, most: int = TLS12) -> tuple[set[int], bytes | None]:
    """(alerts of which one is due, server name); what cannot be decoded as a whole is decode_error before all else."""
    reader = Reader(body)
    try:
        version, _, session = reader.number(2), reader.bytes(32), reader.vector(1)
        suites, methods = reader.vector(2), reader.vector(1)
        need(len(session) <= 32 and suites and len(suites) % 2 == 0 and methods, Alert.DECODE_ERROR)
        found: list[tuple[int, bytes]] = []
        if reader.data:
            extensions = Reader(whole(reader.data, 2))
            while extensions.data:
                found.append((extensions.number(2), extensions.vector(2)))
    except Refuse as refused:
        return {refused.args[0]}, None
    return faults(version, methods, found, most)


def agree(body: bytes) -> int:
    """Compare with the model, up to TLS 1.2 and up to 1.3; the alert of the former."""
    agree13(body)
    return agree_up_to(body, TLS12)


def agree13(body: bytes) -> int:
    return agree_up_to(body, TLS13)


def agree_up_to(body: bytes, most: int) -> int:
    alert, text = _bear.check_client_hello(body, most)
    expected, sni = model(body, most)
    assert alert in (expected or {0}), text
    if alert:
        assert text and all(32 <= c < 127 for c in text), "words for the log"
    else:
        assert text == sni
    return alert


def vec(width: int, data: bytes) -> bytes:
    return len(data).to_bytes(width, "big") + data


def hello(
    extensions: list[tuple[int, bytes]] | None, version: int = 0x0303, session: bytes = b"",
    suites: bytes = b"\xc0\x2b", methods: bytes = b"\0",
) -> bytes:  # fmt: skip
    body = version.to_bytes(2, "big") + bytes(32) + vec(1, session) + vec(2, suites) + vec(1, methods)
    if extensions is None:
        return body
    return body + vec(2, b"".join(kind.to_bytes(2, "big") + vec(2, data) for kind, data in extensions))


def made_by_ssl(name: str | None, newest: ssl.TLSVersion, protocols: list[str]) -> bytes:
    """The ClientHello's body as OpenSSL writes it."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.maximum_version = newest
    if protocols:
        context.set_alpn_protocols(protocols)
    into, out = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = context.wrap_bio(into, out, server_hostname=name)
    with pytest.raises(ssl.SSLWantReadError):
        client.do_handshake()
    record = out.read()
    assert record[0] == 22 and record[5] == 1
    return record[9 : 9 + int.from_bytes(record[6:9], "big")]


REAL = [
    made_by_ssl(name, newest, protocols)
    for name, protocols in ((None, []), ("test.example", []), ("a.b-c.example", ["h2", "http/1.1"]))
    for newest in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3)
]


@pytest.mark.parametrize("body", REAL, ids=range(len(REAL)))
def test_openssls_hellos_are_good(body: bytes) -> None:
    assert agree(body) == 0
    (name,) = [one for one in (None, b"test.example", b"a.b-c.example") if (one is None) == (b".example" not in body)
               and (one or b"") in body]  # fmt: skip
    assert _bear.check_client_hello(body) == (0, name)


@pytest.mark.parametrize("body", REAL[-2:], ids=range(2))
def test_cut_anywhere(body: bytes) -> None:
    """Every prefix: undecodable, but for the one that ends where extensions may be missing."""
    end = 2 + 32 + 1 + body[34]
    end += 2 + int.from_bytes(body[end : end + 2], "big")
    end += 1 + body[end]
    for n in range(len(body)):
        assert agree(body[:n]) == (0 if n == end else Alert.DECODE_ERROR)
    assert agree(body + b"\0") == Alert.DECODE_ERROR


@pytest.mark.parametrize("body", REAL, ids=range(len(REAL)))
def test_each_byte_changed(body: bytes) -> None:
    """Same answer as the model, whatever the change did."""
    chosen = random.Random(len(body))
    for place in range(len(body)):
        for value in {0, 1, 3, 255, body[place] ^ 1, chosen.randrange(256)}:
            agree(body[:place] + bytes([value]) + body[place + 1 :])


def good_data(kind: int) -> st.SearchStrategy[bytes]:
    """Mostly good contents of an extension."""
    two = st.binary(min_size=2, max_size=2)
    entry = st.tuples(st.sampled_from([0, 0, 0, 1]), st.text("aZ.-_ \x7f\n", max_size=4).map(str.encode))
    names = st.lists(entry, max_size=3).map(lambda items: b"".join(bytes([k]) + vec(2, n) for k, n in items))
    versions = st.lists(st.sampled_from([b"\3\1", b"\3\3", b"\3\4", b"\x7f\x1c", b"\x1a\x1a", b"\2\0"]), max_size=4)
    groups_one = st.sampled_from([b"\0\x1d", b"\0\x17", b"\x0a\x0a", b"\0\x18"])
    groups = st.lists(groups_one, min_size=1, max_size=4)
    psks = st.sampled_from([1, 1, 1, 2, 0])
    rules = {
        0: names.map(lambda data: vec(2, data)),
        1: st.integers(0, 5).map(lambda n: bytes([n])),
        11: st.binary(max_size=3).map(lambda data: vec(1, data)),
        15: st.integers(0, 3).map(lambda n: bytes([n])),
        16: st.lists(st.binary(max_size=3), max_size=3).map(lambda all_: vec(2, b"".join(vec(1, x) for x in all_))),
        22: st.just(b""),
        23: st.just(b""),
        43: versions.map(lambda items: vec(1, b"".join(items))),
        10: groups.map(lambda items: vec(2, b"".join(items))),
        28: st.sampled_from([b"\0\x3f", b"\0\x40", b"\x40\1"]),
        41: st.tuples(psks, psks).map(
            lambda two: vec(2, two[0] * (vec(2, b"id") + bytes(4))) + vec(2, two[1] * vec(1, bytes(32)))
        ),
        42: st.just(b""),
        44: st.just(vec(2, b"cookie")),
        45: st.sampled_from([b"\1\0", b"\1\1", b"\2\1\0", b"\0"]),
        47: st.just(vec(2, vec(2, b"name"))),
        49: st.just(b""),
        51: st.lists(groups_one, max_size=3).map(lambda items: vec(2, b"".join(g + vec(2, b"x") for g in items))),
        0xFF01: st.sampled_from([b"\0", b"\0", b"\1x"]),
    }
    return rules.get(kind, st.lists(two, min_size=1, max_size=3).map(lambda items: vec(2, b"".join(items))))


kinds = st.sampled_from([*RULES, *RULES13, 5, 35, 0x0A0A, 0x1234])
an_extension = kinds.flatmap(
    lambda kind: st.tuples(st.just(kind), st.one_of(good_data(kind), good_data(kind), st.binary(max_size=6)))
)


@settings(max_examples=100, deadline=None)
@given(
    extensions=st.none() | st.lists(an_extension, max_size=5),
    version=st.sampled_from([0x0303, 0x0303, 0x0301, 0x0300, 0x02FF, 0x0002, 0x0304, 0xFFFF]),
    session=st.sampled_from([b"", bytes(32), bytes(33)]),
    suites=st.sampled_from([b"\xc0\x2b", b"\xc0\x2b\0\xff", b"", b"\xc0"]),
    methods=st.sampled_from([b"\0", b"\1\0", b"\1", b""]),
)
@example([(0, vec(2, b"\0" + vec(2, b"a" * 255)))], 0x0303, b"", b"\xc0\x2b", b"\0")
@example([(0, vec(2, b"\0" + vec(2, b"a" * 256)))], 0x0303, b"", b"\xc0\x2b", b"\0")
@example([(0, vec(2, b"\7\0\0"))], 0x0303, b"", b"\xc0\x2b", b"\0")
@example([], 0x0303, b"", b"\xc0\x2b", b"\0")
@example([(0x1234, b""), (0x1234, b"")], 0x0303, b"", b"\xc0\x2b", b"\0")
def test_composed(
    extensions: list[tuple[int, bytes]] | None, version: int, session: bytes, suites: bytes, methods: bytes
) -> None:
    agree(hello(extensions, version, session, suites, methods))


@settings(max_examples=100, deadline=None)
@given(st.lists(an_extension, max_size=4))
def test_composed_of_extensions_alone(extensions: list[tuple[int, bytes]]) -> None:
    agree(hello(extensions))


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=80), st.integers(0, 80))
def test_any_bytes(data: bytes, keep: int) -> None:
    agree(REAL[0][:keep] + data)


def test_every_byte_in_a_host_name() -> None:
    for byte in range(256):
        body = hello([(0, vec(2, b"\0" + vec(2, b"a" + bytes([byte]) + b"b")))])
        assert agree(body) == (0 if byte in DNS_BYTES else Alert.ILLEGAL_PARAMETER)


def test_a_duplicate_of_each_kind_among_others() -> None:
    good = {0: vec(2, b"\0" + vec(2, b"a")), 1: b"\1", 11: b"\1\0", 15: b"\1", 16: vec(2, b"\2h2"), 22: b"", 23: b"",
            43: b"\2\3\3", 0xFF01: b"\0"}  # fmt: skip
    for kind in RULES:
        one = (kind, good.get(kind, b"\0\2\0\x17"))
        assert agree(hello([(5, b""), one, (35, b"")])) == 0
        assert agree(hello([one, (5, b""), (35, b""), one])) == Alert.ILLEGAL_PARAMETER


def test_as_many_extensions_as_fit() -> None:
    """16,383 empty ones of different kinds, with and without a second of the first."""
    kinds = [kind for kind in range(256, 256 + 16383) if kind not in RULES]
    assert _bear.check_client_hello(hello([(kind, b"") for kind in kinds])) == (0, None)
    kinds[-1] = kinds[0]
    assert _bear.check_client_hello(hello([(kind, b"") for kind in kinds]))[0] == Alert.ILLEGAL_PARAMETER


def test_any_buffer_will_do() -> None:
    for kind in (bytes, bytearray, memoryview):
        assert _bear.check_client_hello(kind(hello(None))) == (0, None)
