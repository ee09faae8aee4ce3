"""Log lines: escaped, one write of one line, and the programs' verbosity."""

from __future__ import annotations

import errno
import re
from collections.abc import Iterator

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from bearwrap import _bear, logs, s6logs

CUT = 4096 - 160  # src/log.pxi: no further byte is begun behind this
NAMED = {10: b"\\n", 13: b"\\r", 9: b"\\t"}


def model(text: bytes) -> bytes:
    out = b""
    for byte in text:
        if len(out) > CUT:
            break
        out += NAMED.get(byte) or (bytes([byte]) if 32 <= byte < 127 else b"\\x%02x" % byte)
    return out


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=300))
@example(bytes(range(256)))
@example(b"")
def test_escapes(text: bytes) -> None:
    assert _bear.escape_log(text) == model(text)


@pytest.mark.parametrize("byte", [b"a", b"\0", b"\n", b"\xff"], ids=repr)
@pytest.mark.parametrize("n", [900, 984, 985, 986, 3935, 3936, 3937, 3938, 100_000])
def test_a_long_text_is_cut(byte: bytes, n: int) -> None:
    assert _bear.escape_log(byte * n) == model(byte * n)
    assert len(_bear.escape_log(b"x" + byte * n)) <= CUT + 4


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=100))
def test_nothing_of_a_text_reaches_a_terminal(text: bytes) -> None:
    assert re.fullmatch(rb"[ -~]*", _bear.escape_log(text))


@pytest.fixture
def setup() -> Iterator[None]:
    yield
    _bear.log_setup(b"", 0, b"")


@pytest.mark.usefixtures("setup")
def test_lines(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    """What stands around the message at each verbosity."""
    for level in range(5):
        _bear.log_setup(b"name", level, b"identity")
        _bear.log_line(1, b"fatal", b"what")
        _bear.log_line(2, b"error", b"why", errno.ENOENT)
        _bear.log_line(3, b"debug", b"how")
    assert capfdbinary.readouterr().err.splitlines() == [
        b"name: fatal: what",
        b"name: fatal: what [identity]",
        b"name: error: why (file does not exist)[identity]",
        b"name: fatal: what {main}[identity]",
        b"name: error: why (file does not exist){main}[identity]",
        b"name: debug: how {main}[identity]",
        b"name: fatal: what {main}[identity]",
        b"name: error: why (file does not exist){main}[identity]",
        b"name: debug: how {main}[identity]",
    ]


@pytest.mark.usefixtures("setup")
def test_lines_of_s6(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    """At each verbosity the same form; what is asked for decides which lines there are."""
    for verbosity in range(5):
        log = s6logs.S6Log(b"s6-x")
        log.set_verbosity(verbosity)
        log.fatal(b"one\x1b", errno.ENOENT)
        log.warning(b"two")
        log.info(b"three")
        _bear.log_line(3, b"debug", b"four")
    log.usage("s6-x prog...")
    fatal, rest = b"s6-x: fatal: one\\x1b: No such file or directory", [
        b"s6-x: warning: two", b"s6-x: info: three", b"s6-x: debug: four"]  # fmt: skip
    expected = [fatal] + [fatal, *rest[:1]] + [fatal, *rest[:2]] + [fatal, *rest] * 2
    assert capfdbinary.readouterr().err.splitlines() == [*expected, b"s6-x: usage: s6-x prog..."]


@pytest.mark.usefixtures("setup")
def test_lines_of_s6_leave_no_identity_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_bear, "environment_set", None)
    s6logs.S6Log(b"x")


@pytest.mark.usefixtures("setup")
@pytest.mark.parametrize("s6", [False, True])
def test_a_line_is_one_line_whatever_is_in_it(s6: bool, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    _bear.log_setup(b"na\nme", 4, b"i\x1bd" * 100, s6)
    _bear.log_line(1, b"fatal", b"a\nb\x1b[2J\0c" * 2000, errno.EACCES)
    (line,) = capfdbinary.readouterr().err.splitlines(keepends=True)
    assert line.startswith(rb"na\nme: fatal: a\nb\x1b[2J\x00c")
    assert line.endswith(b": Permission denied\n" if s6 else b"]\n")
    assert re.fullmatch(rb"[ -~]*\n", line)
    assert len(line) <= 4096


@pytest.mark.usefixtures("setup")
def test_unknown_errnos_have_words_too(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    _bear.log_setup(b"n", 1, b"")
    for number in (errno.EXDEV, -1, 99999):
        _bear.log_line(1, b"fatal", b"m", number)
    assert capfdbinary.readouterr().err == b"n: fatal: m (unknown error)\n" * 3


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch, setup: None) -> dict[bytes, bytes]:
    """What Log would have put into the environment."""
    put: dict[bytes, bytes] = {}
    monkeypatch.setattr(_bear, "environment_set", put.__setitem__)
    monkeypatch.setattr(_bear, "environment_get", {}.get)
    return put


@pytest.mark.parametrize(
    ("letters", "level"),
    [("", 1), ("v", 2), ("vv", 3), ("vvv", 4), ("vvvvv", 4), ("q", 0), ("qv", 1), ("vvQ", 1), ("vvq", 0), ("Qq", 0)],
)
def test_verbosity(environment: dict[bytes, bytes], letters: str, level: int) -> None:
    log = logs.Log(b"x")
    assert all(log.option(letter) for letter in letters)
    assert not log.option("f")
    assert log.level == level


def test_a_fresh_identity(environment: dict[bytes, bytes]) -> None:
    log = logs.Log(b"x")
    assert re.fullmatch(rb"[0-9A-Za-z]{16}", log.identity)
    assert environment == {b"LOG_ID": log.identity}


@pytest.mark.parametrize(("given_id", "used"), [(b"abc", b"abc"), (b"a" * 67, b"a" * 67), (b"", None),
                                                (b"a" * 68, b"a" * 64 + b"..."), (b"\xff\n", b"\xff\n")])  # fmt: skip
def test_an_inherited_identity(
    environment: dict[bytes, bytes], monkeypatch: pytest.MonkeyPatch, given_id: bytes, used: bytes | None
) -> None:
    monkeypatch.setattr(_bear, "environment_get", {b"LOG_ID": given_id}.get)
    log = logs.Log(b"x")
    assert log.identity == used or (used is None and len(log.identity) == 16)
    assert environment == {b"LOG_ID": log.identity}


def test_errors_and_warnings(environment: dict[bytes, bytes], capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    log = logs.Log(b"x")
    log.fatal(b"one", errno.EINVAL)
    log.error(b"two")
    log.warning(b"three")
    log.option("v")
    log.error(b"four")
    log.warning(b"five")
    tail = b" [" + log.identity + b"]"
    assert capfdbinary.readouterr().err.splitlines() == [
        b"x: fatal: one (invalid argument)", b"x: error: four" + tail, b"x: warning: five" + tail,
    ]  # fmt: skip
