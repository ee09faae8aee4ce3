"""PROXY v1 lines against a model on the ipaddress module."""

from __future__ import annotations

import ipaddress
import re

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from bearwrap import _bear

UNKNOWN = (b"::", b"0", b"::", b"0")
WHOLE = "proxy-protocol string"
FIELDS = ("remoteip", "localip", "remoteport", "localport")
MOST = 127  # bytes of a line with its LF


def address(text: str, version: int) -> str | None:
    """Canonical text, a mapped IPv6 address as IPv4; None when it is no address of this version."""
    if "%" in text:  # a scope is no part of an address
        return None
    try:
        found = ipaddress.IPv4Address(text) if version == 4 else ipaddress.IPv6Address(text)
    except ValueError:
        return None
    if isinstance(found, ipaddress.IPv6Address):
        return str(found.ipv4_mapped or found)
    return str(found)


def port(text: str) -> str | None:
    return text if re.fullmatch("0|[1-9][0-9]{0,4}", text) and int(text) < 65536 else None


def model(line: bytes) -> tuple[bytes, ...] | str:
    """What parse_proxy gives, or the text of its error."""
    if not line.endswith(b"\n") or len(line) > MOST or b"\0" in line:
        return WHOLE
    text = line[:-1].removesuffix(b"\r").decode("latin-1")
    if text.startswith("PROXY UNKNOWN"):
        return UNKNOWN
    if not text.startswith(("PROXY TCP4 ", "PROXY TCP6 ")):
        return WHOLE
    version, words = int(text[9]), text[11:].split(" ", 3)
    good: list[str] = []
    for at, name in enumerate(FIELDS):
        if at == len(words) - 1 and at < 3:
            return name
        one = address(words[at], version) if at < 2 else port(words[at])
        if one is None:
            return name
        good.append(one)
    remote_ip, local_ip, remote_port, local_port = (one.encode() for one in good)
    return remote_ip, remote_port, local_ip, local_port


def ours(line: bytes) -> tuple[bytes, ...] | str:
    try:
        return _bear.parse_proxy(line)
    except ValueError as why:
        return str(why)


def same_address(a: tuple[bytes, ...] | str, b: tuple[bytes, ...] | str) -> bool:
    """Equal; IPv6 text by value, since inet_ntop writes ::1.2.3.4 where ipaddress writes hex."""
    if isinstance(a, str) or isinstance(b, str):
        return a == b
    values = [tuple(ipaddress.ip_address(one[at].decode()) for at in (0, 2)) for one in (a, b)]
    return values[0] == values[1] and a[1::2] == b[1::2]


addresses = st.one_of(
    st.ip_addresses().map(str),
    st.ip_addresses(v=6).map(lambda one: one.exploded.upper()),
    st.ip_addresses(v=4).map(lambda one: f"::ffff:{one}"),
    st.ip_addresses(v=4).map(lambda one: f"::{one}"),
    st.sampled_from(["", "::", "1.2.3", "1.2.3.4.5", "01.2.3.4", "1.2.3.256", "fe80::1%lo", "[::1]", "1::2::3", ":1",
                     "12345::", "::ffff:1.2.3.04", "0x1.2.3.4", "localhost", "1.2.3.4\t", "1.2.3.4\r", "٣.1.1.1"]),
)  # fmt: skip
ports = st.one_of(
    st.integers(0, 70000).map(str),
    st.sampled_from(["", "00", "01", "+1", "-1", "0x1", "1 ", "99999999999", "1.0", "\r"]),
)
endings = st.sampled_from(["\r\n", "\n", "", "\r", " \r\n", "\r\r\n", "\0\n", "\n\n"])


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(["TCP4", "TCP6"]), addresses, addresses, ports, ports, endings)
@example("TCP6", "0:0:0:0:0:ffff:1.2.3.4", "::1", "0", "65535", "\r\n")
@example("TCP4", "1.2.3.4", "::1", "0", "65536", "\r\n")
def test_fields(family: str, remote: str, local: str, one: str, two: str, end: str) -> None:
    line = f"PROXY {family} {remote} {local} {one} {two}{end}".encode()
    assert same_address(ours(line), model(line)), line


@settings(max_examples=150, deadline=None)
@given(st.sampled_from([4, 6]).flatmap(lambda v: st.tuples(st.just(v), st.ip_addresses(v=v), st.ip_addresses(v=v))),
       st.integers(0, 65535), st.integers(0, 65535), st.sampled_from([b"\n", b"\r\n"]))  # fmt: skip
def test_good_lines(ips: tuple[int, object, object], one: int, two: int, end: bytes) -> None:
    version, remote, local = ips
    line = f"PROXY TCP{version} {remote} {local} {one} {two}".encode() + end
    found = ours(line)
    assert not isinstance(found, str)
    assert (found[1], found[3]) == (b"%d" % one, b"%d" % two)
    assert same_address(found, model(line))
    again = b"PROXY TCP%d %b %b %b %b\n" % (6 if b":" in found[0] else 4, found[0], found[2], found[1], found[3])
    if (b":" in found[0]) == (b":" in found[2]):
        assert ours(again) == found, "canonical text parses to itself"


@settings(max_examples=150, deadline=None)
@given(st.sampled_from([b"", b"PROXY ", b"PROXY TCP4 ", b"PROXY TCP6 ", b"PROXY UNKNOWN", b"PROXY TCP4 1.2.3.4 "]),
       st.binary(max_size=140), st.sampled_from([b"", b"\n", b"\r\n"]))  # fmt: skip
def test_any_line(start: bytes, rest: bytes, end: bytes) -> None:
    line = start + rest + end
    assert same_address(ours(line), model(line)), line


@pytest.mark.parametrize("n", [14, 126, 127, 128, 1000])
def test_the_longest_line(n: int) -> None:
    assert ours(b"PROXY UNKNOWN".ljust(n - 1, b"x") + b"\n") == (UNKNOWN if n <= MOST else WHOLE)


def test_the_canonical_form_is_short() -> None:
    """RFC 5952: lower case, the longest run of zeros folded, no leading zeros."""
    line = b"PROXY TCP6 2001:0DB8:0000:0000:0001:0000:0000:0001 ::FFFF:192.0.2.1 1 2\r\n"
    assert ours(line) == (b"2001:db8::1:0:0:1", b"1", b"192.0.2.1", b"2")
