"""A clear line and the right exit code: wrong words, addresses that cannot be had, sockets that are no listeners."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.certs import Certs
from tests.harness import LIMIT_S, free_port, needs_root

from .listening import PROGRAM, Serving

USAGE = "bearwrap serve [ --option=value ... ] address[,address...] [ tlswrapper options ] prog\n"


def run(*words: str, env: dict[str, str] | None = None) -> tuple[int, str, str]:
    """A run that ends by itself: code, standard output, stderr."""
    done = subprocess.run([PROGRAM, "serve", *words], capture_output=True, text=True, timeout=LIMIT_S, check=False,
                          env={**os.environ, **(env or {})})  # fmt: skip
    return done.returncode, done.stdout, done.stderr


@pytest.fixture
def wrapper(certs: Certs) -> list[str]:
    return ["-f", str(certs.server("p256")), "true"]


@pytest.mark.parametrize("words", [["--help"], ["-h"], ["--workers", "2", "--help"], ["127.0.0.1:1", "-h"],
                                   ["127.0.0.1:1", "--help"]])  # fmt: skip
def test_help(words: list[str]) -> None:
    code, out, err = run(*words)
    assert (code, err) == (0, "")
    assert out.startswith("usage: " + USAGE) and "--max-connections number" in out


def test_version_and_the_summary_of_bearwrap() -> None:
    for word in ("-V", "--version"):
        code, out, err = run(word)
        assert (code, err) == (0, "") and re.fullmatch(r"bearwrap [\d.]+\n", out)
    done = subprocess.run([PROGRAM, "--help"], capture_output=True, text=True, timeout=LIMIT_S, check=True)
    assert "  version " in done.stdout and "  serve " in done.stdout


@pytest.mark.parametrize("words", [[], ["--workers"], ["127.0.0.1:1"], ["127.0.0.1:1", "true"], ["127.0.0.1:1", "-Z"]])
def test_usage(words: list[str]) -> None:
    assert run(*words) == (100, "", USAGE)


@pytest.mark.parametrize(
    ("option", "highest", "lowest"),
    [("max-connections", 10000, 1), ("max-per-address", 10000, 0), ("max-waiting", 60000, 1), ("workers", 1000, 1),
     ("backlog", 65535, 1), ("drain", 86400, 0)],
)  # fmt: skip
def test_numbers(wrapper: list[str], option: str, highest: int, lowest: int) -> None:
    for value in (lowest - 1, highest + 1, "x", "", "1.5", "00"):
        code, _, err = run(f"--{option}={value}", "127.0.0.1:1", *wrapper)
        assert code == 100
        assert err == (f"bearwrap: fatal: unable to parse --{option} from the string '{value}', must be a number "
                       f"in the range <{lowest},{highest}> (invalid argument)\n")  # fmt: skip


def test_other_words(wrapper: list[str]) -> None:
    assert run("--log=xml", "127.0.0.1:1", *wrapper)[2].splitlines() == [
        "bearwrap: fatal: unable to parse --log from the string 'xml'",
        *(f"bearwrap: fatal: available: {word}" for word in ("text", "json", "none")),
    ]
    for place in ([["--frob"], []], [[], ["--frob"]]):
        code, _, err = run(*place[0], "127.0.0.1:1", *place[1], *wrapper)
        assert (code, err) == (100, "bearwrap: fatal: unrecognized long option: frob\n")
    code, _, err = run("127.0.0.1:1", "-f", "/nonexistent", "true")
    assert (code, err) == (100, "bearwrap: fatal: unable to stat certfile '/nonexistent' (file does not exist)\n")


@pytest.mark.parametrize("address", ["127.0.0.1", "127.0.0.1:", "127.0.0.1:65536", "127.0.0.1:+1", "::1:443", "", ":",
                                     "127.0.0.1:1,,127.0.0.1:2", "x", "[::1]", "127.0.0.1:http"])  # fmt: skip
def test_what_is_no_address(wrapper: list[str], address: str) -> None:
    code, _, err = run(address, *wrapper)
    wrong = "" if ",," in address else address
    assert (code, err) == (
        100, f"bearwrap: fatal: unable to parse address from the string '{wrong}' (invalid argument)\n")  # fmt: skip


@pytest.mark.parametrize("address", ["localhost:0", "1.2.3:0", "[127.0.0.1%lo]:0", "[fe80::1%lo]:0", "256.1.1.1:0"])
def test_what_is_no_literal_address(wrapper: list[str], address: str) -> None:
    assert run(address, *wrapper) == (
        100, "", f"bearwrap: fatal: unable to listen on '{address}' (invalid argument)\n")  # fmt: skip


def test_too_many_addresses(wrapper: list[str]) -> None:
    code, _, err = run(",".join(["127.0.0.1:0"] * 17), *wrapper)
    assert (code, err) == (100, "bearwrap: fatal: unable to listen on more than 16 addresses\n")


def test_addresses_that_cannot_be_had(wrapper: list[str], tmp_path: Path) -> None:
    """Also behind one that can: what was made for that is gone again."""
    first = tmp_path / "first"
    with socket.create_server(("127.0.0.1", 0)) as taken:
        cases = {
            f"127.0.0.1:{taken.getsockname()[1]}": "address already in use",
            "192.0.2.1:4433": "address not available",
            f"{tmp_path}/none/sock": "file does not exist",
            "/" + "x" * 107: "file name too long",
        }
        for address, why in cases.items():
            assert run(f"{first},{address}", *wrapper) == (
                111, "", f"bearwrap: fatal: unable to listen on '{address}' ({why})\n")  # fmt: skip
            assert not first.exists()
    assert run("--status", "relative", "127.0.0.1:0", *wrapper)[0] == 100
    log = f"{tmp_path}/none/log"
    code, _, err = run("--log-file", log, "127.0.0.1:0", *wrapper)
    assert (code, err) == (111, f"bearwrap: fatal: unable to open log file '{log}' (file does not exist)\n")


def test_paths_that_exist(wrapper: list[str], tmp_path: Path) -> None:
    """A file, a link, and the socket of one who listens are left alone."""
    (tmp_path / "file").write_text("kept")
    (tmp_path / "link").symlink_to("/nonexistent")
    with socket.socket(socket.AF_UNIX) as live:
        live.bind(str(tmp_path / "live"))
        live.listen()
        for name in ("file", "link", "live"):
            path = f"{tmp_path}/{name}"
            assert run(path, *wrapper) == (
                111, "", f"bearwrap: fatal: unable to listen on '{path}' (address already in use)\n")  # fmt: skip
    assert (tmp_path / "file").read_text() == "kept" and (tmp_path / "live").exists()


@needs_root
def test_what_a_killed_one_left(certs: Certs, tmp_path: Path) -> None:
    """A socket at which nobody listens is replaced; and at its end a listener removes its own alone."""
    path, words = f"{tmp_path}/sock", ["-f", str(certs.server("p256"))]
    with Serving(words, address=path) as server:
        server.popen.kill()
        server.popen.wait(LIMIT_S)
        assert os.path.exists(path) and server.no_process_left()
    with Serving(words, address=path) as server:
        os.unlink(path)
        with socket.socket(socket.AF_UNIX) as other:
            other.bind(path)
            assert server.stop() == 0
        assert os.path.exists(path)


PASSED = """
import os, socket, sys
what = {"none": lambda: open("/dev/null"), "file": lambda: open("/dev/null"), "datagram": lambda: socket.socket(
    type=socket.SOCK_DGRAM), "connection": lambda: socket.socketpair()[0], "closed": lambda: open("/dev/null")}
one = what[sys.argv[1]]()
os.dup2(one.fileno(), 10)
os.dup2(10, 3)
if sys.argv[1] == "closed": os.close(3)
os.environ |= {"LISTEN_PID": "1" if sys.argv[1] == "none" else str(os.getpid()), "LISTEN_FDS": "1"}
os.execv(sys.argv[2], sys.argv[2:])
"""


@pytest.mark.parametrize(
    ("what", "code", "why"),
    [
        ("none", 100, "unable to listen on 'systemd': no sockets were passed (LISTEN_PID, LISTEN_FDS)"),
        ("closed", 111, "unable to listen on 'systemd' (file descriptor not open)"),
        ("file", 111, "unable to start the listener (not a socket)"),
        ("datagram", 111, "unable to start the listener (invalid argument)"),
        ("connection", 111, "unable to start the listener (invalid argument)"),
    ],
)
def test_what_is_passed_is_no_listener(wrapper: list[str], what: str, code: int, why: str) -> None:
    words = [sys.executable, "-c", PASSED, what, str(PROGRAM), "serve", "systemd", *wrapper]
    done = subprocess.run(words, capture_output=True, text=True, timeout=LIMIT_S, check=False)
    assert (done.returncode, done.stderr) == (code, f"bearwrap: fatal: {why}\n")


@needs_root
def test_standard_descriptors_may_be_closed(certs: Certs) -> None:
    """None of them becomes the number of a socket of ours."""
    with Serving(["-f", str(certs.server("p256"))], preexec=lambda: os.closerange(0, 2)) as server:
        server.echo()
        server.echo()
        assert server.accounts(2) and not server.faults()


@needs_root
def test_a_port_that_is_free_again(certs: Certs) -> None:
    """A restart does not wait for the connections of the last run (SO_REUSEADDR)."""
    port, words = free_port(), ["-f", str(certs.server("p256"))]
    for _ in range(2):
        with Serving(words, address=f"127.0.0.1:{port}") as server:
            server.port = port
            server.echo()
            assert server.stop() == 0
