"""tlswrapper-smtp: options, their messages and codes, and what it refuses to start with."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.certs import Certs
from tests.companions.smtpwire import Session, server
from tests.harness import OURS, Program, Wrapped, needs_root, run_plain

USAGE = "tlswrapper-smtp [options] child\n"
TIMEOUT = "unable to parse timeout from the string '{}', timeout must be a number in the range <1,86400>"
GREYLIST = "unable to parse greylist host:port from the string: '{}'"


@pytest.fixture
def tool(ours: Program) -> Path:
    return ours.tool("tlswrapper-smtp")


@pytest.mark.parametrize("words", [
    [], ["-v"], ["--"], ["-"], ["-x", "cat"], ["-vx", "cat"], ["--verbose", "cat"], ["-n", "cat"], ["-f", "x", "cat"],
    ["-p", "1", "cat"], ["-1", "cat"], ["-t"], ["-T"], ["-u"], ["-g"], ["-J"], ["-vj"], ["-t", "x"], ["-g", "x"],
], ids=" ".join)  # fmt: skip
def test_usage(tool: Path, words: list[str]) -> None:
    result = run_plain(words, executable=tool)
    assert (result.code, result.stdout, result.stderr) == (100, b"", USAGE)


@pytest.mark.parametrize("option", ["-t", "-T"])
@pytest.mark.parametrize("value", ["0", "86401", "x", "5x", "05", "", " 5", "-1", "1.5"])
def test_a_bad_timeout(tool: Path, option: str, value: str) -> None:
    result = run_plain([option, value, "true"], executable=tool)
    assert (result.code, result.stdout) == (100, b"")
    assert [(line.level, line.text, line.errno) for line in result.log()] == [
        ("fatal", TIMEOUT.format(value), "invalid argument")
    ]
    assert result.stderr.startswith("tlswrapper-smtp: fatal: ")


@pytest.mark.parametrize("value", ["", "localhost", "localhost:", "localhost:x", "localhost:65536", "::1:5", "[::1]",
                                   "[::1:5", "[::1]x:5", "127.0.0.1:01"])  # fmt: skip
def test_a_bad_greylist_server(tool: Path, value: str) -> None:
    result = run_plain(["-g", value, "true"], executable=tool)
    assert result.code == 100
    assert [(line.level, line.text, line.errno) for line in result.log()] == [
        ("fatal", GREYLIST.format(value), "invalid argument")
    ]


def test_values_are_looked_at_last_and_the_last_counts(tool: Path) -> None:
    assert run_plain(["-t", "x", "-t", "5", "-T", "y", "-T", "5", "-g", "bad", "-x"], executable=tool).stderr == USAGE
    result = run_plain(["-g", "bad", "-T", "bad", "-t", "bad", "true"], executable=tool)
    assert [line.text for line in result.log()] == [TIMEOUT.format("bad")]
    result = run_plain(["-g", "bad", "-g", "worse", "true"], executable=tool)
    assert [line.text for line in result.log()] == [GREYLIST.format("worse")]


@pytest.mark.parametrize("words", [["-h"], ["--help"], ["-vh", "x"]])
def test_help(tool: Path, words: list[str]) -> None:
    result = run_plain(words, executable=tool)
    assert (result.code, result.stderr) == (0, "")
    text = result.stdout.decode()
    assert text.startswith("usage: " + USAGE)
    for letter in "qQvtTugcCJjhV":
        assert f"  -{letter}" in text


def test_version(tool: Path) -> None:
    result = run_plain(["-V"], executable=tool)
    assert (result.code, result.stderr) == (0, "")
    assert result.stdout.startswith(b"bearwrap ")


@needs_root
@pytest.mark.parametrize("words", [["-qqvv", "-Q"], ["-t1"], ["-t86400", "-T", "+5"], ["-cC"], ["-gbad", "-g[::1]:1"]])
def test_good_options(tmp_path: Path, ours: Program, words: list[str]) -> None:
    with Session(tmp_path, words, program=ours) as s:
        assert s.ask(b"QUIT").startswith(b"220")
        assert s.wait() == 7


def test_not_as_root(tool: Path, tmp_path: Path) -> None:
    """It says so, at once, and prog does not run."""
    if os.geteuid() == 0:
        tmp_path.chmod(0o777)
    words = server(tmp_path / "record", {})
    result = run_plain(words, executable=tool, preexec=(lambda: os.setuid(65534)) if os.geteuid() == 0 else None)
    assert (result.code, result.stdout) == (111, b"")
    assert result.stderr == (
        "tlswrapper-smtp: fatal: unable to create jail: not started as root "
        "(under tlswrapper, -u is for tlswrapper-smtp)\n"
    )
    assert (tmp_path / "record").read_text() == ""


@needs_root
def test_below_tlswrapper_u(tmp_path: Path, certs: Certs, ours: Program, tool: Path) -> None:
    """With tlswrapper's -u it is not root any more: the session ends with a line that says what to do."""
    words = [str(tool), *server(tmp_path / "record", {})]
    with Wrapped(["-n", "-u", "nobody", "-f", certs.server("p256")], words, program=ours) as w:
        assert w.client.recv(100) == b""
        assert w.wait() == 111
        assert "-u is for tlswrapper-smtp" in w.stderr
        assert (tmp_path / "record").read_text() == ""


@needs_root
@pytest.mark.parametrize(("words", "why"), [
    (["-j", "no-such-account"], "getpwnam for account 'no-such-account' failed"),
    (["-j", "root"], "refusing privileged account 'root' with uid = 0, gid = 0"),
    (["-J", "/nonexistent"], "chroot(0) failed"),
])  # fmt: skip
def test_no_jail_no_session(tmp_path: Path, ours: Program, words: list[str], why: str) -> None:
    with Session(tmp_path, ["-v", *words], program=ours) as s:
        assert s.rest() == b""
        assert s.wait() == 111
        assert [(line.level, line.text) for line in s.log()] == [("error", why), ("fatal", "unable to create jail")]
        assert s.no_process_left()
        assert s.recorded.read_text() == "", "prog does not run outside"


@needs_root
@pytest.mark.parametrize(("words", "prog", "lines"), [
    (["-u", "no-such-account"], None, ["unable to drop privileges to 'no-such-account'"]),
    (["-u", "root"], None, ["unable to drop privileges to 'root'"]),
    ([], ["/nonexistent"], ["unable to run /nonexistent"]),
])  # fmt: skip
def test_a_prog_that_cannot_start(
    tmp_path: Path, ours: Program, words: list[str], prog: list[str] | None, lines: list[str]
) -> None:
    with Session(tmp_path, words, program=ours, prog=prog) as s:
        assert s.rest() == b""
        assert s.wait() == 111
        assert s.texts() == lines
        assert s.no_process_left()


def test_one_executable(ours: Program) -> None:
    assert os.path.samefile(ours.path, ours.tool("tlswrapper-smtp")) or OURS.path.read_bytes()[:2] == b"#!"
