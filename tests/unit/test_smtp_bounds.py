"""The SMTP dialogue with hostile sides: every bound, sides that close, any bytes in any pieces."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bearwrap import greylist, smtp
from tests.unit.smtptalk import MAIL, MARK, QUIT, RCPT, answering, replies_of, talk

# --- bounds ---


@pytest.mark.parametrize("end", [b"\r\n", b"\n", b"\0"])
@pytest.mark.parametrize("text", [False, True], ids=["command", "text"])
@pytest.mark.parametrize("size", [1, 4096, 100000])
def test_a_line_of_4096_bytes_with_its_cr(end: bytes, text: bool, size: int) -> None:
    start, close = (b"DATA\r\n", b"\r\n.\r\n") if text else (b"", b"")
    cr = 1 if end == b"\r\n" else 0
    for over in (0, 1):
        line = b"NOOP " + b"x" * (4096 - 5 - cr + over) + end
        stream = start + line + close + QUIT
        result = talk(stream[at: at + size] for at in range(0, len(stream), size))
        if over:
            assert result.why == b"client line is longer than 4096 bytes"
            assert result.over is False
            assert b"xx" not in b"".join([*result.passed, *result.server.texts])
        else:
            assert result.over is True
            assert b"x" * 4000 in b"".join([*result.passed, *result.server.texts])


def test_an_endless_line_is_not_waited_for() -> None:
    result = talk([b"x" * 4096, b"x", b"never read"])
    assert result.why == b"client line is longer than 4096 bytes"
    assert result.over is False


@pytest.mark.parametrize("lines", [1, 3])
@pytest.mark.parametrize("piece", [1, 1 << 20])
def test_a_reply_of_4096_bytes(lines: int, piece: int) -> None:
    head = b"250-x\r\n" * (lines - 1)
    for over in (0, 1):
        reply = head + b"250 " + b"y" * (4096 - 6 - len(head) + over) + b"\r\n"
        result = talk(b"NOOP\r\n" + QUIT, answering(NOOP=reply), pieces_of_prog=piece)
        if over:
            assert result.why == b"prog reply is longer than 4096 bytes"
            assert result.over is False
        else:
            assert replies_of(result.sent) == reply + b"221 bye" + MARK


def test_an_endless_reply_is_not_waited_for() -> None:
    for reply in (b"250-x\r\n" * 600, b"y" * 5000):
        result = talk(b"NOOP\r\n", answering(NOOP=reply), pieces_of_prog=64)
        assert result.why == b"prog reply is longer than 4096 bytes"


@pytest.mark.parametrize(("command", "name"), [(b"MAIL FROM:", b"MAIL"), (b"RCPT TO:", b"RCPT")])
def test_an_address_of_2048_bytes(command: bytes, name: bytes) -> None:
    for over in (0, 1):
        address = b"<" + b"x" * (2046 + over) + b">"
        result = talk(command + address + b" SIZE=1\r\n" + QUIT)
        if over:
            assert result.why == name + b" address is longer than 2048 bytes"
            assert (result.over, result.passed) == (False, [])
        else:
            assert (result.over, len(result.passed)) == (True, 2)


def test_256_recipients() -> None:
    result = talk(MAIL + RCPT * 256 + b"MAIL FROM:<x>\r\n" + RCPT * 256 + b"DATA\r\n.\r\n" + QUIT)
    assert result.over is True
    assert result.log(smtp.INFO) == [b"F=<x> T=" + b"<c@d>," * 256 + b": 250 queued [ID]\r\n"]
    result = talk(MAIL + RCPT * 257 + QUIT)
    assert (result.over, len(result.passed)) == (False, 257)
    assert result.why == b"more than 256 recipients"


def test_a_recipient_list_of_65536_bytes() -> None:
    """Commas count; an address may be empty."""
    long = b"RCPT TO:" + b"x" * 2047 + b"\r\n"
    assert talk(MAIL + long * 32 + QUIT).over is True
    result = talk(MAIL + long * 32 + b"RCPT TO:\r\n" + QUIT)
    assert (result.over, len(result.passed)) == (False, 33)
    assert result.why == b"recipient list is longer than 65536 bytes"


# --- sides that close ---


@pytest.mark.parametrize("client", [b"", b"NOOP", MAIL, MAIL + b"DATA\r\n", b"DATA\r\nx\r\n.\r", b"\r"])
def test_a_client_that_closes(client: bytes) -> None:
    result = talk(client)
    assert result.why == b"client closed the connection"
    assert result.over is False


@pytest.mark.parametrize("reply", [b"", b"250", b"250 ok\r", b"250-ok\r\n"])
def test_a_prog_that_closes(reply: bytes) -> None:
    for verb in ("NOOP", "QUIT", "EHLO", "DATA", "TEXT", "RSET"):
        result = talk(b"DATA\r\n.\r\nNOOP\r\nEHLO x\r\nRSET\r\n" + QUIT, answering(**{verb: reply}))
        assert result.why == b"prog closed the connection"
        assert result.over is False


def test_a_prog_that_closes_at_once() -> None:
    assert talk(QUIT, greeting=b"").why == b"prog closed the connection"
    assert talk(QUIT, greeting=b"220-wait\r\n").sent == b""


# --- any bytes, any pieces ---

WORDS = [b"\r", b"\n", b"\0", b"\r\n", b".", b" ", b"DATA", b"MAIL FROM:", b"RCPT TO:", b"<a@b>", b"QUIT", b"EHLO x",
         b"STARTTLS", b"x" * 4090, b"x", b"\r\n.\r\n", b"\n.\n", b"\0.\0", b"\r\nDATA\r\n", b"\nDATA\n"]  # fmt: skip
STREAMS = st.lists(st.sampled_from(WORDS) | st.binary(max_size=6), max_size=30).map(b"".join)


def cut(stream: bytes, sizes: list[int]) -> list[bytes]:
    pieces, at = [], 0
    for size in sizes:
        pieces.append(stream[at: at + size])
        at += size
    return [piece for piece in [*pieces, stream[at:]] if piece]


def whole_lines(stream: bytes) -> list[bytes]:
    return stream.splitlines(keepends=True) if b"\r" not in stream else [
        line + b"\n" for line in stream.split(b"\n")[:-1]] + [line for line in stream.split(b"\n")[-1:] if line]


@given(STREAMS, st.lists(st.integers(1, 5000), max_size=30), st.integers(1, 50))
def test_pieces_make_no_difference(stream: bytes, sizes: list[int], prog: int) -> None:
    """A stream in any pieces does what it does line by line. (But for STARTTLS, which drops what came with it.)"""
    expected = talk(whole_lines(stream), verdicts=(greylist.PASS for _ in range(1000)))
    found = talk(cut(stream, sizes), verdicts=(greylist.PASS for _ in range(1000)), pieces_of_prog=prog)
    assert (found.sent, found.passed, found.server.texts) == (expected.sent, expected.passed, expected.server.texts)
    assert (found.logs, found.asked, found.over) == (expected.logs, expected.asked, expected.over)


@given(STREAMS, st.lists(st.integers(1, 5000), max_size=30), STREAMS)
def test_the_sides_stay_in_step(stream: bytes, sizes: list[int], after: bytes) -> None:
    """`talk` asserts that no reply of prog is left over when the client's next line is due, in clear and in TLS."""
    result = talk(cut(b"EHLO x\r\n" + stream, sizes), starttls=True, after_tls=after)
    assert result.over is not None


@given(STREAMS)
def test_the_text_ends_only_where_rfc_5321_ends_it(text: bytes) -> None:
    """Against a plain reading of the rule: CRLF, a dot, CRLF; each other lone dot is doubled for prog."""
    lines = [line[:4000] for line in text.replace(b"\0", b"").split(b"\n")] + [b"\r", b".\r"]
    expected, ended_in_crlf = [], True
    for line in lines:
        if line == b".\r" and ended_in_crlf:
            break
        plain = line.removesuffix(b"\r")
        expected.append(b".." if plain == b"." else plain)
        ended_in_crlf = line.endswith(b"\r")
    result = talk(b"DATA\r\n" + b"\n".join(lines) + b"\n")
    assert result.server.texts[0] == b"".join(line + b"\r\n" for line in [*expected, b"."])
