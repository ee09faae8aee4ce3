"""The strict ClientHello parser against a model written from the RFCs, and against hellos of the ssl module."""

from __future__ import annotations

import random
import ssl
from collections.abc import Callable

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from bearwrap import _bear
from tests.wire.names import Alert

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


def supported_versions(data: bytes) -> None:
    items = whole(data, 1)
    need(items and len(items) % 2 == 0, Alert.DECODE_ERROR)
    need(any(items[at] == 3 and items[at + 1] <= 3 for at in range(0, len(items), 2)), Alert.PROTOCOL_VERSION)


def renegotiation(data: bytes) -> None:
    need(not whole(data, 1), Alert.HANDSHAKE_FAILURE)


RULES: dict[int, Callable[[bytes], object]] = {
    0: server_name, 1: one_of(1, 2, 3, 4), 10: pairs, 11: point_formats, 13: pairs, 15: one_of(1, 2), 16: alpn,
    22: empty, 23: empty, 43: supported_versions, 50: pairs, 0xFF01: renegotiation,
}  # fmt: skip


def faults(version: int, methods: bytes, extensions: list[tuple[int, bytes]]) -> tuple[set[int], bytes | None]:
    """The alerts of everything wrong in a hello that can be decoded, and the server name."""
    alerts, sni = set(), None
    if version < 0x0300:
        alerts.add(Alert.PROTOCOL_VERSION)
    if 0 not in methods:
        alerts.add(Alert.ILLEGAL_PARAMETER)
    if len({kind for kind, _ in extensions}) < len(extensions):
        alerts.add(Alert.ILLEGAL_PARAMETER)
    for kind, data in extensions:
        try:
            answer = RULES.get(kind, lambda _: None)(data)
            sni = answer if isinstance(answer, bytes) else sni
        except Refuse as refused:
            alerts.add(refused.args[0])
    return alerts, sni


def model(body: bytes) -> tuple[set[int], bytes | None]:
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
    return faults(version, methods, found)


def agree(body: bytes) -> int:
    """Compare with the model; the alert."""
    alert, text = _bear.check_client_hello(body)
    expected, sni = model(body)
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
    rules = {
        0: names.map(lambda data: vec(2, data)),
        1: st.integers(0, 5).map(lambda n: bytes([n])),
        11: st.binary(max_size=3).map(lambda data: vec(1, data)),
        15: st.integers(0, 3).map(lambda n: bytes([n])),
        16: st.lists(st.binary(max_size=3), max_size=3).map(lambda all_: vec(2, b"".join(vec(1, x) for x in all_))),
        22: st.just(b""),
        23: st.just(b""),
        43: versions.map(lambda items: vec(1, b"".join(items))),
        0xFF01: st.sampled_from([b"\0", b"\0", b"\1x"]),
    }
    return rules.get(kind, st.lists(two, min_size=1, max_size=3).map(lambda items: vec(2, b"".join(items))))


kinds = st.sampled_from([*RULES, 5, 35, 0x0A0A, 0x1234])
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
