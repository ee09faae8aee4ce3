"""Which address is tried when, addresses and names as text, and s6-tlsclient's settings."""

from __future__ import annotations

import errno
import ipaddress
import re
import socket
from collections.abc import Callable

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from bearwrap import _bear
from bearwrap.errors import OptionError
from bearwrap.programs import s6_tlsc, s6_tlsclient
from bearwrap.s6options import Option, help_text, parse
from bearwrap.tcpconnect import chosen, connect, is_ipv6, rounds

V4, V6, OTHER4, OTHER6 = b"192.0.2.1", b"2001:db8::1", b"192.0.2.2", b"2001:db8::2"
MIXED = [V4, V6, OTHER4, OTHER6]

# --- choice and order ---


@pytest.mark.parametrize(
    ("ipv4", "ipv6", "local", "expected"),
    [
        (False, False, None, MIXED),
        (True, False, None, [V4, OTHER4]),
        (False, True, None, [V6, OTHER6]),
        (True, True, None, [V6, OTHER6, V4, OTHER4]),
        (False, False, b"127.0.0.1", [V4, OTHER4]),
        (True, True, b"::1", [V6, OTHER6]),
        (True, False, b"::1", []),
    ],
)
def test_families(ipv4: bool, ipv6: bool, local: bytes | None, expected: list[bytes]) -> None:
    assert chosen(MIXED, ipv4, ipv6, local) == expected


@pytest.mark.parametrize(
    ("count", "first", "second", "expected"),
    [(2, 2, 58, [2, 58]), (1, 2, 58, [60]), (2, 2, 0, [2]), (3, 0, 5, [5]), (1, 0, 5, [5]), (1, 3, 0, [3])],
)
def test_rounds(count: int, first: int, second: int, expected: list[int]) -> None:
    assert rounds(count, first, second) == expected


class World:
    """A clock that moves as attempts take their time: each address answers, refuses or keeps silent."""

    def __init__(self, answers: dict[bytes, list[int | None]], start_ms: int = 1000) -> None:
        self.now, self.answers = start_ms, answers
        self.tried: list[tuple[bytes, int]] = []
        self.given_up: list[tuple[bytes, int]] = []

    def clock(self) -> int:
        return self.now

    def attempt(self, address: bytes, until_ms: int) -> int:
        """0: connected after a millisecond, an errno: refused at once, None: nothing until the limit."""
        self.tried.append((address, until_ms - self.now))
        answer = self.answers[address].pop(0) if self.answers[address] else None
        if answer is None:
            self.now = max(self.now, until_ms)
            raise OSError(errno.ETIMEDOUT, "")
        self.now += 1
        if answer:
            raise OSError(answer, "")
        return 42

    def run(self, addresses: list[bytes], limits: list[int], deadline_ms: int | None = None) -> int | None:
        given_up = self.given_up.append
        return connect(addresses, limits, deadline_ms, self.clock, self.attempt, lambda ip, err: given_up((ip, err)))


def test_the_first_that_answers_is_taken() -> None:
    world = World({V4: [errno.ECONNREFUSED], V6: [0], OTHER4: [0]})
    assert world.run([V4, V6, OTHER4], [2, 58]) == 42
    assert world.tried == [(V4, 2000), (V6, 2000)]
    assert world.given_up == []


def test_a_second_round_with_a_longer_limit() -> None:
    world = World({V4: [None, errno.ECONNREFUSED], V6: [errno.ENETUNREACH, 0]})
    assert world.run([V4, V6], [2, 58]) == 42
    assert world.tried == [(V4, 2000), (V6, 2000), (V4, 58000), (V6, 58000)]
    assert world.given_up == [(V4, errno.ECONNREFUSED)]


def test_none_answers() -> None:
    world = World({V4: [None, None], V6: [None, errno.EHOSTUNREACH]})
    assert world.run([V4, V6], [1, 3]) is None
    assert world.given_up == [(V4, errno.ETIMEDOUT), (V6, errno.EHOSTUNREACH)]


def test_the_deadline_ends_it_in_any_round() -> None:
    world = World({V4: [None], V6: [0]})
    assert world.run([V4, V6], [2, 58], deadline_ms=1500) is None
    assert world.tried == [(V4, 500)]
    assert world.given_up == [(V4, errno.ETIMEDOUT)]


answers = st.lists(st.sampled_from([None, 0, errno.ECONNREFUSED]), max_size=2)


@settings(max_examples=200, deadline=None)
@given(
    st.dictionaries(st.sampled_from(MIXED), answers, min_size=1),
    st.lists(st.integers(1, 5), min_size=1, max_size=2),
    st.none() | st.integers(1000, 20_000),
)
def test_bounds_hold_whatever_answers(
    plan: dict[bytes, list[int | None]], limits: list[int], deadline_ms: int | None
) -> None:
    """No attempt gets more than its limit, none goes past the deadline, and a failure tells of each address at most
    once."""
    world = World({address: list(found) for address, found in plan.items()})
    result = world.run(list(plan), limits, deadline_ms)
    assert len(world.tried) <= len(limits) * len(plan)
    assert all(limit <= 1000 * max(limits) for _, limit in world.tried)
    assert deadline_ms is None or world.now <= deadline_ms + len(world.tried)
    told = [address for address, _ in world.given_up]
    assert len(set(told)) == len(told)
    if result is None and deadline_ms is None:
        assert told == list(plan)


# --- addresses and names ---

address_text = st.one_of(st.ip_addresses().map(str), st.text("0123456789abcdef:.%", max_size=20), st.text(max_size=5))


@settings(max_examples=300, deadline=None)
@given(address_text)
@example("::ffff:192.0.2.1")
@example("0:0::1")
@example("127.1")
@example("")
@example("::1%lo")
@example("fe80::1%nosuch")
@example("1.2.3.4%lo")
def test_literal_addresses(text: str) -> None:
    expected: bytes | None = None
    plain, percent, zone = text.partition("%")
    try:
        address = ipaddress.ip_address(plain)
        if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped:
            address = address.ipv4_mapped
        if percent:
            socket.if_nametoindex(zone)
        if not percent or isinstance(address, ipaddress.IPv6Address):
            expected = (socket.inet_ntop(socket.AF_INET6 if address.version == 6 else socket.AF_INET, address.packed)
                        + percent + zone).encode()  # fmt: skip
    except (ValueError, OSError):
        pass
    found = _bear.parse_address(text.encode())
    assert found == expected
    assert found is None or is_ipv6(found) == (b":" in found)


name_lines = st.one_of(
    st.binary(max_size=40),
    st.text("ab.-_ \n#\x1b1", max_size=40).map(lambda text: b"192.0.2.1 " + text.encode()),
    st.just(b"192.0.2.1      host.example.com alias\n"),
)


@settings(max_examples=300, deadline=None)
@given(name_lines)
@example(b"::1 " + b"a" * 253 + b"\n")
@example(b"::1 " + b"a" * 254 + b"\n")
@example(b"::1 -flag\n")
@example(b"::1 cut.short")
@example(b"::1 $(reboot)\n")
@example(b"::1 \xe9t\xe9.example\n")
def test_names_of_addresses(answer: bytes) -> None:
    match = re.match(rb"[^ \n]*+ *+([A-Za-z0-9._][A-Za-z0-9._-]{0,252})[ \n]", answer)
    assert _bear.parse_hosts(answer) == (match[1] if match else None)


# --- s6-tlsclient's options ---


def settled(*args: bytes) -> s6_tlsclient.Settings:
    found = s6_tlsclient.Settings()
    assert parse([*args, b"host"], s6_tlsclient.OPTIONS, found.take) == [b"host"]
    return found


def test_help_lists_every_option_once() -> None:
    text = help_text(s6_tlsclient.USAGE, s6_tlsclient.OPTIONS, s6_tlsclient.CLOSING)
    for row in s6_tlsclient.OPTIONS:
        assert text.count(f"--{row.long}{' ' + row.value if row.value else ' '}") == 1, row.long
    letters = [row.letter for row in s6_tlsclient.OPTIONS if row.letter]
    assert len(set(letters)) == len(letters)


@pytest.mark.parametrize("row", s6_tlsclient.OPTIONS, ids=lambda row: row.long)
def test_both_forms_of_every_option_say_the_same(row: Option) -> None:
    values = {"t": b"5", "l": b"me", "T": b"1+2", "i": b"::1", "p": b"99", "K": b"250", "k": b"name"}
    value = values.get(row.letter, b"")
    before = [b"-qHN4"] if row.letter in ("Q", "h", "n") or row.long == "dns" else []
    without = {"R", "r", "d", "D", "no-hosts"}  # no effect by design
    long = b"--" + row.long.encode()

    def shape(*args: bytes) -> dict[str, object]:
        found = settled(*before, *args)
        return {name: getattr(found, name) for name in found.__slots__ if name != "tlsc"}

    forms = [shape(long, value), shape(long + b"=" + value)] if row.value else [shape(long)]
    if row.letter:
        short = b"-" + row.letter.encode()
        forms += [shape(short, value), shape(short + value)] if row.value else [shape(short)]
    assert forms == forms[:1] * len(forms)
    assert (forms[0] == shape()) == (row.name in without)


@pytest.mark.parametrize(
    ("args", "message"),
    [
        ([b"-t", b"x"], b"timeout must be an unsigned integer"),
        ([b"-T", b"x"], b"connection-timeouts must be seconds, x+y"),
        ([b"-T", b"1+"], b"connection-timeouts must be seconds, x+y"),
        ([b"-T", b"+1"], b"connection-timeouts must be seconds, x+y"),
        ([b"-T", b"1+2+3"], b"connection-timeouts must be seconds, x+y"),
        ([b"-T", b"0+0"], b"connection-timeouts must be seconds, x+y"),
        ([b"-i", b"localhost"], b"local-ip must be an IP address"),
        ([b"-p", b"65536"], b"local-port must be a port number"),
        ([b"-K", b"x"], b"handshake-timeout must be an unsigned integer"),
        ([b"--read-fd=6"], b"unrecognized long option: read-fd"),
        ([b"-7", b"9"], b"unrecognized short option: 7"),
    ],
)
def test_bad_values(args: list[bytes], message: bytes) -> None:
    with pytest.raises(OptionError) as caught:
        settled(*args)
    assert caught.value.message == message


def test_timeouts() -> None:
    assert s6_tlsclient.timeouts(b"2+58") == (2, 58)
    assert s6_tlsclient.timeouts(b"7") == (7, 0)
    assert s6_tlsclient.timeouts(b"0+1") == (0, 1)
    found = settled()
    assert (found.first_s, found.second_s, found.timeout_s) == (2, 58, 0)


@pytest.mark.parametrize(
    ("args", "host", "expected"),
    [
        ([], b"example.com", [b"-v1", b"-k", b"example.com"]),
        ([], b"example.com.", [b"-v1", b"-k", b"example.com"]),
        ([b"-q"], b"192.0.2.1", [b"-v0"]),
        ([b"-vv"], b"::1", [b"-v3"]),
        ([b"-vQ"], b"0", [b"-v1"]),
        ([], b"", [b"-v1"]),
        ([b"-H"], b"example.com", [b"-v1"]),
        ([b"-Hh"], b"example.com", [b"-v1", b"-k", b"example.com"]),
        ([b"-k", b"other"], b"example.com", [b"-v1", b"-k", b"other"]),
        ([b"-k", b""], b"example.com", [b"-v1", b"-k", b""]),
        ([b"-Hkother"], b"192.0.2.1", [b"-v1", b"-k", b"other"]),
        ([b"-SJyZ", b"--no-verify-cert", b"-K", b"5"], b"h",
         [b"-v1", b"-S", b"-J", b"-y", b"-Z", b"--no-verify-cert", b"-K", b"5", b"-k", b"h"]),
    ],
)  # fmt: skip
def test_the_command_line_of_s6_tlsc(args: list[bytes], host: bytes, expected: list[bytes]) -> None:
    words = settled(*args).tlsc_words(host, [b"-prog", b"-x"])
    assert words == [*expected, b"--", b"-prog", b"-x"]
    settings_of_tlsc = s6_tlsc.Settings()
    assert parse(words, s6_tlsc.OPTIONS, settings_of_tlsc.take) == [b"-prog", b"-x"]


# --- sockets ---


@pytest.fixture
def listener() -> Callable[[str], socket.socket]:
    return lambda ip: socket.create_server((ip, 0), family=socket.AF_INET6 if ":" in ip else socket.AF_INET)


@pytest.mark.parametrize("ip", ["127.0.0.1", "::1"])
def test_a_connection(listener: Callable[[str], socket.socket], ip: str) -> None:
    with listener(ip) as server, socket.socket(fileno=_bear.tcp_socket(ip.encode())) as client:
        assert not client.get_inheritable()
        port = server.getsockname()[1]
        _bear.tcp_bind(client.fileno(), ip.encode(), 0)
        _bear.tcp_connect_until(client.fileno(), ip.encode(), port, _bear.monotonic_ms() + 5000)
        assert _bear.tcp_addresses(client.fileno()) == (
            ip.encode(), b"%d" % port, ip.encode(), b"%d" % client.getsockname()[1])  # fmt: skip
        import os

        assert os.get_blocking(client.fileno())


def test_failures_have_an_errno(listener: Callable[[str], socket.socket]) -> None:
    with listener("127.0.0.1") as server:
        port = server.getsockname()[1]
    with socket.socket(fileno=_bear.tcp_socket(b"127.0.0.1")) as client:
        with pytest.raises(OSError) as refused:
            _bear.tcp_connect_until(client.fileno(), b"127.0.0.1", port, _bear.monotonic_ms() + 5000)
        assert refused.value.errno == errno.ECONNREFUSED
        with pytest.raises(OSError) as unknown:
            _bear.tcp_bind(client.fileno(), b"192.0.2.1", 0)
        assert unknown.value.errno in (errno.EADDRNOTAVAIL, errno.EINVAL)
        with pytest.raises(OSError) as unconnected:
            _bear.tcp_addresses(client.fileno())
        assert unconnected.value.errno == errno.ENOTCONN
    for wrong in (b"localhost", b"", b"127.1"):
        with pytest.raises(ValueError, match="no address"):
            _bear.tcp_socket(wrong)


def test_names_by_the_systems_services() -> None:
    assert set(_bear.resolve_host(b"localhost", True, _bear.monotonic_ms() + 5000)) & {b"127.0.0.1", b"::1"}
    assert _bear.resolve_host(b"::ffff:127.0.0.1", True, 0) == [b"127.0.0.1"], "a literal needs no time"
    assert _bear.resolve_host(b"", True, 0) == []
    assert _bear.resolve_host(b"x" * 300, True, 0) == []
    with pytest.raises(OSError) as late:
        _bear.resolve_host(b"localhost", True, 0)
    assert late.value.errno == errno.ETIMEDOUT
    assert _bear.resolve_address(b"127.0.0.1", 0) is None
