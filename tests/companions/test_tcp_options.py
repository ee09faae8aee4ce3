"""tlswrapper-tcp: what its command line may be, and what is said of a bad one."""

from __future__ import annotations

import pytest

from bearwrap import _bear
from tests.companions.tcp import Tcp, accept, host, tool
from tests.harness import Program, Result, needs_root, run_plain

pytestmark = needs_root
USAGE = "tlswrapper-tcp [options] host port"
PORT = "unable to parse TCP port (a number 0 - 65535) from the string '"
NOBODY_LISTENS = ["127.0.0.1", "1"]


def run(program: Program, *words: str) -> Result:
    return run_plain(words, program=program, executable=tool(program))


def fatal(done: Result) -> list[str]:
    return [line.text for line in done.log("fatal")]


@pytest.mark.parametrize(
    "words",
    [[], ["-q"], ["-x"], ["-1"], ["--host"], ["-t"], ["-P"], ["-vJ"], ["-v", "-"], ["--"], ["-t", "x"],
     ["-u", "x", "a", "1"], ["-f", "x", "a", "1"], ["-n", "a", "1"]],
    ids=" ".join,
)  # fmt: skip
def test_usage(program: Program, words: list[str]) -> None:
    done = run(program, *words)
    assert (done.code, done.stdout) == (100, b"")
    assert done.stderr.split("[options] host port")[0] + USAGE[len("tlswrapper-tcp ") :] == USAGE
    if program.ours:
        assert done.stderr == USAGE + "\n"


@pytest.mark.parametrize("port", ["x", "", "-1", "+1", " 1", "1 ", "65536", "99999999999999999999", "0x1", "1.0"])
def test_bad_ports(program: Program, port: str) -> None:
    done = run(program, "localhost", port)
    assert done.code == 100
    assert fatal(done) == [f"{PORT}{port}'"]


def test_no_port(program: Program) -> None:
    """No usage line: the original's text ends where the port would stand."""
    done = run(program, "localhost")
    assert done.code == 100
    assert done.stderr.startswith(f"tlswrapper-tcp: fatal: {PORT} ")


@pytest.mark.parametrize("port", ["00", "080", "000000"])
def test_leading_zeros_are_refused(ours: Program, port: str) -> None:
    assert run(ours, "localhost", port).code == 100


@pytest.mark.parametrize(("letter", "word"), [("p", "incoming"), ("P", "outgoing")])
@pytest.mark.parametrize("value", ["2", "x", "", "01", "-1"])
def test_bad_proxy_versions(program: Program, letter: str, word: str, value: str) -> None:
    """At once, before what follows is looked at."""
    done = run(program, f"-{letter}", value, "-x")
    assert done.code == 100
    first = f"unable to parse {word} proxy-protocol version from the string '{value}'"
    assert fatal(done)[:2] == [first, "available: 1"]
    assert len(fatal(done)) == 2 or not program.ours


@pytest.mark.parametrize("letter", ["t", "T"])
@pytest.mark.parametrize("value", ["x", "", "0", "-1", "5x", "05", " 5", "86401", "1e3", "99999999999"])
def test_bad_timeouts(ours: Program, letter: str, value: str) -> None:
    """Judged after the port, and only the last one."""
    text = f"unable to parse timeout from the string '{value}', timeout must be a number in the range <1,86400>"
    done = run(ours, "-v", f"-{letter}", value, *NOBODY_LISTENS)
    assert done.code == 100
    assert [(line.level, line.text) for line in done.log()] == [
        ("error", f"'{value}' is not a valid number in the range <1,86400>"), ("fatal", text)]
    assert fatal(run(ours, f"-{letter}", value, "localhost", "y")) == [f"{PORT}y'"]
    assert run(ours, f"-{letter}", value, f"-{letter}86400", *NOBODY_LISTENS).code == 111


@pytest.mark.parametrize("value", ["x", "0", "-1"])
def test_bad_timeouts_of_both(program: Program, value: str) -> None:
    for letter in "tT":
        assert run(program, f"-{letter}{value}", *NOBODY_LISTENS).code == 100


@pytest.mark.parametrize(
    "words",
    [["-vt5"], ["-t", "+5"], ["-t5", "-t1"], ["-T1"], ["-T86400"], ["-p0"], ["-P0"], ["-P1"], ["-QqvT9"], ["-"], ["--"],
     ["-J", "/var/lib/tlswrapper/empty"], ["-jnobody"]],
    ids=" ".join,
)  # fmt: skip
def test_good_options(program: Program, words: list[str]) -> None:
    """They come as far as the connection, which is refused; words after the port do not matter."""
    done = run(program, *words, *NOBODY_LISTENS, "extra", "-x")
    assert done.code == 111
    assert fatal(done) == ["unable to connect to 127.0.0.1:1"]


@pytest.mark.parametrize("letter", ["p", "P"])
def test_the_last_proxy_version_counts(ours: Program, letter: str) -> None:
    with host() as (listener, words), Tcp([f"-{letter}1", f"-{letter}0", *words], program=ours) as w:
        peer = accept(listener)
        w.client.sendall(b"x")
        assert peer.recv(100) == b"x"


REFUSED = ["warning", "warning", "fatal"]  # no addresses of a socket, no connection


@pytest.mark.parametrize(
    ("words", "levels"),
    [([], REFUSED[2:]), (["-vQ"], REFUSED[2:]), (["-qv"], REFUSED[2:]), (["-v"], REFUSED), (["-qvv"], REFUSED),
     (["-q"], [])],
    ids=str,
)
def test_verbosity(program: Program, words: list[str], levels: list[str]) -> None:
    assert [line.level for line in run(program, *words, *NOBODY_LISTENS).log()] == levels


def test_help_and_version(ours: Program) -> None:
    for flag in ("-h", "--help", "-vh"):
        done = run(ours, flag)
        assert (done.code, done.stderr) == (0, "")
        assert done.stdout.startswith(b"usage: " + USAGE.encode())
    assert run(ours, "--version").code == 0


def test_the_jail_directory_must_be_there(program: Program) -> None:
    done = run(program, "-J", "/nonexistent", *NOBODY_LISTENS)
    assert (done.code, fatal(done)) == (111, ["unable to create jail"])


@pytest.mark.parametrize("words", [["no-such-account"], [""], ["root"], ["x" * 300]], ids=lambda words: words[0][:20])
@pytest.mark.parametrize("name", ["127.0.0.1", "localhost"])
def test_the_account_must_be_there_and_not_root(ours: Program, words: list[str], name: str) -> None:
    done = run(ours, "-j", *words, name, "1")
    assert (done.code, fatal(done)) == (111, ["unable to create jail"])


@pytest.mark.parametrize("path", ["", "x" * 108])
def test_unix_paths_that_cannot_be(ours: Program, path: str) -> None:
    done = run(ours, f"unix:{path}")
    assert done.code == 100
    assert fatal(done) == [f"unable to use the Unix socket path '{path}', it must be 1 to 107 bytes"]


def test_the_longest_unix_path(ours: Program) -> None:
    """The port is not needed, and not looked at."""
    for words in ([], ["y"]):
        done = run(ours, "unix:" + "x" * 107, *words)
        assert (done.code, fatal(done)) == (111, ["unable to connect to unix:" + "x" * 107])


# --- pure parts ---


def test_the_lines_of_getent() -> None:
    lines = b"192.0.2.1      STREAM name\n192.0.2.1      DGRAM  \n192.0.2.1      RAW    \n2001:DB8::1  STREAM \n"
    assert _bear.parse_ahosts(lines) == [b"192.0.2.1", b"2001:db8::1"]
    assert _bear.parse_ahosts(lines + lines + b"::ffff:192.0.2.1 STREAM\n") == [b"192.0.2.1", b"2001:db8::1"]
    assert _bear.parse_ahosts(lines[:-1]) == [b"192.0.2.1"], "a line cut short"
    rubbish = b"\n STREAM\nSTREAM\n192.0.2.256 STREAM\n" + b"1" * 300 + b" STREAM\n::1%nowhere STREAM\n\0\xff STREAM\n"
    assert _bear.parse_ahosts(rubbish) == []
    assert _bear.parse_ahosts(rubbish + b"192.0.2.9 STREAM\n") == [b"192.0.2.9"]
    assert _bear.parse_ahosts(b"fe80::1%lo STREAM\nfe80::1 STREAM\n") == [b"fe80::1%lo", b"fe80::1"]
    assert len(_bear.parse_ahosts(b"".join(b"192.0.2.%d STREAM\n" % n for n in range(99)))) == 16


@pytest.mark.parametrize(
    ("addresses", "line"),
    [
        (("192.0.2.1", "1", "198.51.100.2", "65535"), "TCP4 192.0.2.1 198.51.100.2 1 65535"),
        (("2001:DB8::1", "0", "::1", "2"), "TCP6 2001:db8::1 ::1 0 2"),
        (("192.0.2.1", "1", "::1", "2"), "TCP6 ::ffff:192.0.2.1 ::1 1 2"),
        (("::1", "1", "192.0.2.1", "2"), "TCP6 ::1 ::ffff:192.0.2.1 1 2"),
        (("::ffff:192.0.2.1", "1", "192.0.2.2", "2"), "TCP4 192.0.2.1 192.0.2.2 1 2"),
        (("::", "0", "::", "1"), "TCP6 :: :: 0 1"),
        (("0.0.0.0", "0", "0.0.0.0", "0"), "TCP4 0.0.0.0 0.0.0.0 0 0"),
    ],
)
def test_the_proxy_line(addresses: tuple[str, ...], line: str) -> None:
    made = _bear.make_proxy(*(part.encode() for part in addresses))
    assert made == f"PROXY {line}\r\n".encode()
    assert len(_bear.parse_proxy(made)) == 4, "it is legal to our own parser"


def test_the_longest_proxy_line_is_whole() -> None:
    """107 bytes, as the protocol has it."""
    address = b"ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"
    made = _bear.make_proxy(address, b"65535", address, b"65535")
    assert (len(made), made[-2:]) == (104, b"\r\n")
    assert _bear.make_proxy(b"::", b"0", b"::", b"0") == b""
