"""The policy protocol: addresses of -g, requests, answers whole and in pieces."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bearwrap.greylist import DEFER, PASS, REJECT, TOO_LONG, Policy, server_address

ADDRESSES = [
    (b"localhost:10023", (b"localhost", 10023)),
    (b"127.0.0.1:1", (b"127.0.0.1", 1)),
    (b"127.0.0.1:0", (b"127.0.0.1", 0)),
    (b"127.0.0.1:65535", (b"127.0.0.1", 65535)),
    (b"[::1]:5", (b"::1", 5)),
    (b"[127.0.0.1]:5", (b"127.0.0.1", 5)),
    (b":5", (b"", 5)),
    *[(text, None) for text in (
        b"", b":", b"localhost", b"localhost:", b"127.0.0.1", b"::1:5", b"::1", b"[::1]", b"[::1:5", b"::1]:5",
        b"[::1]x:5", b"[::1]5", b"localhost:x", b"localhost:65536", b"localhost:05", b"localhost:00", b"localhost:+5",
        b"localhost:-5", b"localhost: 5", b"localhost:5 ", b"localhost:smtp", b"localhost:99999999999")],
]  # fmt: skip


@pytest.mark.parametrize(("text", "address"), ADDRESSES)
def test_the_value_of_g(text: bytes, address: tuple[bytes, int] | None) -> None:
    assert server_address(text) == address


def test_a_request() -> None:
    assert Policy().ask(b"192.0.2.1", b"<a@b>", b"<c@d>") == (
        b"request=smtpd_access_policy\nclient_address=192.0.2.1\nclient_name=unknown\nsender=<a@b>\nrecipient=<c@d>\n\n"
    )


ANSWERS = [
    (b"action=dunno\n\n", PASS),
    (b"ACTION=DUNNO\r\n\r\n", PASS),
    (b"action=dunno\n", PASS),
    (b"action=dunno and more\n\n", PASS),
    (b"action=reject\n\n", REJECT),
    (b"Action=Reject go away\nx=y\n\n", REJECT),
    (b"action=defer_if_permit Greylisted\n\n", DEFER),
    (b"action=OK\n\n", DEFER),
    (b"action=PREPEND X-Greylist: delayed 301 seconds by postgrey\n\n", PASS),
    (b"action= dunno\n\n", DEFER),
    (b" action=dunno\n\n", DEFER),
    (b"dunno\n\n", DEFER),
    (b"\n", DEFER),
    (b"\r\n", DEFER),
    (b"\0\n", DEFER),
    (b"x" * 4096 + b"\n", DEFER),
    (b"x" * 4097, TOO_LONG),
    (b"x" * 4097 + b"\n", TOO_LONG),
    (b"x" * 10000 + b"\n\n", TOO_LONG),
]


@pytest.mark.parametrize(("answer", "verdict"), ANSWERS, ids=lambda value: repr(value)[:40])
@pytest.mark.parametrize("size", [1, 7, 100000])
def test_an_answer(answer: bytes, verdict: str, size: int) -> None:
    policy = Policy()
    policy.ask(b"::", b"", b"")
    found = None
    for at in range(0, len(answer), size):
        found = policy.feed(answer[at: at + size])
        if found is not None:
            break
    assert found == verdict


@pytest.mark.parametrize("unfinished", [b"", b"a", b"action=dunno", b"x" * 4096])
def test_an_answer_without_its_end_is_none(unfinished: bytes) -> None:
    policy = Policy()
    policy.ask(b"::", b"", b"")
    assert policy.feed(unfinished) is None


@pytest.mark.parametrize("blank", [b"\n", b"\r\n"])
def test_an_empty_line_that_comes_late_is_not_the_next_answer(blank: bytes) -> None:
    policy = Policy()
    policy.ask(b"::", b"", b"")
    assert policy.feed(b"action=dunno\n") == PASS
    policy.ask(b"::", b"", b"")
    for byte in blank:
        assert policy.feed(bytes([byte])) is None
    assert policy.feed(b"action=reject\n\n") == REJECT
    policy.ask(b"::", b"", b"")
    assert policy.feed(blank) == DEFER, "the last answer was whole, so this is one"


@pytest.mark.parametrize("size", [1, 5, 100000])
@pytest.mark.parametrize("rest", [b"x=" + b"y" * 4000 + b"\n" * 2, b"x=y\n" * 2500 + b"\n", b"action\r=reject\r\n\r\n"])
@pytest.mark.parametrize("before", [0, 1, 3, 100])
def test_the_rest_of_an_answer_decides_nothing_for_the_next(rest: bytes, before: int, size: int) -> None:
    """10 kB of further lines, of which some have come by the time of the next request and some have not."""
    policy = Policy()
    policy.ask(b"::", b"", b"")
    assert policy.feed(b"action=dunno\n") == PASS
    policy.rest(rest[:before])
    policy.ask(b"::", b"", b"")
    for at in range(before, len(rest), size):
        assert policy.feed(rest[at: at + size]) is None
    assert policy.feed(b"action=reject\n\n") == REJECT


def test_a_server_that_speaks_another_protocol_defers_each_time() -> None:
    policy = Policy()
    for _ in range(3):
        policy.ask(b"::", b"", b"")
        assert policy.feed(b"OK\n") == DEFER
        policy.rest(b"")


# An empty line, or one of name=value, behind an answer that lacked its empty line is that answer's.
TELLING = [row for row in ANSWERS if row[1] != TOO_LONG and row[0].strip() and not row[0].startswith(b" ")]


@given(st.lists(st.sampled_from(TELLING), max_size=5),
       st.lists(st.integers(1, 20), min_size=1))
def test_each_answer_counts_for_its_own_request(rows: list[tuple[bytes, str]], sizes: list[int]) -> None:
    """Answers one after another, each in any pieces; what stands behind a verdict does no harm."""
    policy = Policy()
    policy.rest(b"")
    for answer, verdict in rows:
        policy.ask(b"::", b"", b"")
        found, at, turn = None, 0, 0
        while found is None:
            assert at < len(answer)
            size = sizes[turn % len(sizes)]
            found = policy.feed(answer[at: at + size])
            at, turn = at + size, turn + 1
        assert found == verdict
        policy.rest(answer[at:])
