"""Exit codes: prog's own passes through, a signal is 111 and a line, every failure before prog is 111."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from tests.certs import Certs
from tests.harness import Mailbox, Program, Wrapped, ending, needs_root

QUIET = "nothing is logged at the default level"


def run(w: Wrapped) -> tuple[int, bytes, str]:
    """Handshake, read to the end, close; give the exit code, the data and how the connection ended."""
    tls = w.tls()
    data, how = ending(tls)
    tls.close()
    return w.wait(), data, how


@pytest.mark.parametrize(
    "code", [0, 1, 2, 3, 42, 99, 100, 101, 110, 111, 112, 126, 127, 128, 129, 143, 254, 255]
)
def test_a_code_passes_through(program: Program, certs: Certs, code: int) -> None:
    with Wrapped(["-f", certs.server("p256")], ["sh", "-c", f"echo bye; exit {code}"], program=program) as w:
        assert run(w) == (code, b"bye\n", "close_notify")
        assert w.stderr == "", QUIET


@pytest.mark.parametrize("first", range(0, 256, 64))
def test_all_codes_pass_through(ours: Program, certs: Certs, first: int) -> None:
    for code in range(first, first + 64):
        with Wrapped(["-f", certs.server("p256")], ["sh", "-c", f"exit {code}"], program=ours) as w:
            assert run(w) == (code, b"", "close_notify")
            assert w.stderr == "", QUIET


@pytest.mark.parametrize("name", ["HUP", "INT", "KILL", "TERM", "ALRM", "PIPE", "SEGV", "USR1"])
def test_death_by_signal_is_111_and_a_line(program: Program, certs: Certs, name: str) -> None:
    script = f"ulimit -c 0; echo bye; kill -{name} $$"
    with Wrapped(["-f", certs.server("p256")], ["sh", "-c", script], program=program) as w:
        assert run(w) == (111, b"bye\n", "close_notify")
        number = getattr(signal, f"SIG{name}")
        assert w.texts() == [f"child process killed by signal {int(number)}"]
        assert w.log()[0].level == "fatal"
        if program.ours:
            assert w.stderr == f"tlswrapper: fatal: 127.0.0.1: child process killed by signal {int(number)}\n"


def test_quiet_silences_the_line(program: Program, certs: Certs) -> None:
    with Wrapped(["-q", "-f", certs.server("p256")], ["sh", "-c", "kill -9 $$"], program=program) as w:
        assert run(w)[0] == 111
        assert w.stderr == ""


# --- prog cannot be run: the handshake succeeds, the client sees a clean end ---


@pytest.mark.parametrize(
    ("options", "prog", "text"),
    [
        ([], ["/nonexistent/prog"], "unable to run /nonexistent/prog"),
        ([], ["no-such-program-in-path"], "unable to run no-such-program-in-path"),
        ([], ["/etc/passwd"], "unable to run /etc/passwd"),
        ([], ["/"], "unable to run /"),
        (["-u", "no-such-account"], ["true"], "unable to drop privileges to 'no-such-account'"),
        (["-u", ""], ["true"], "unable to drop privileges to ''"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_a_prog_that_cannot_start(
    program: Program, certs: Certs, options: list[str], prog: list[str], text: str
) -> None:
    with Wrapped([*options, "-f", certs.server("p256")], prog, program=program) as w:
        assert run(w) == (111, b"", "close_notify")
        lines = w.log("fatal")
        assert [line.text for line in lines] == [text]
        assert lines[0].ip is None  # the prog process does not know the address


@needs_root
@pytest.mark.parametrize("account", ["root"])
def test_a_privileged_account_is_refused_for_prog(
    ours: Program, certs: Certs, mailbox: Mailbox, account: str
) -> None:
    prog = ["sh", "-c", f"echo ran > {mailbox.path}"]
    with Wrapped(["-v", "-u", account, "-f", certs.server("p256")], prog, program=ours) as w:
        assert run(w)[0] == 111
        assert w.texts("fatal") == [f"unable to drop privileges to '{account}'"]
        assert f"refusing privileged account '{account}' with uid = 0, gid = 0" in w.texts("error")
    assert mailbox.empty()


@pytest.mark.parametrize("head", ["#!/bin/sh\n", ""], ids=["interpreter line", "no interpreter line"])
def test_prog_is_searched_and_started_as_execvp_does(
    program: Program, certs: Certs, tmp_path: Path, head: str
) -> None:
    script = tmp_path / "prog-here"
    script.write_text(head + "echo found in $PATH\n")
    script.chmod(0o755)
    env = {"PATH": f"{tmp_path}:/usr/bin:/bin"}
    with Wrapped(["-f", certs.server("p256")], ["prog-here"], program=program, env=env) as w:
        assert run(w)[1].startswith(b"found in ")


def test_the_working_folder_is_unchanged(program: Program, certs: Certs, tmp_path: Path) -> None:
    script = tmp_path / "prog"
    script.write_text("#!/bin/sh\npwd\n")
    script.chmod(0o755)
    with Wrapped(["-f", certs.server("p256")], ["./prog"], program=program, cwd=tmp_path) as w:
        assert run(w)[1] == bytes(tmp_path) + b"\n"


# --- failures before prog: 111, and prog never runs ---


def test_the_client_leaves_before_the_handshake(program: Program, certs: Certs, mailbox: Mailbox) -> None:
    prog = ["sh", "-c", f"echo ran > {mailbox.path}"]
    with Wrapped(["-f", certs.server("p256")], prog, program=program) as w:
        w.client.close()
        assert w.wait() == 111
        assert w.no_process_left()
        assert w.stderr == "", QUIET
    assert mailbox.empty()


def test_garbage_instead_of_a_hello(program: Program, certs: Certs, mailbox: Mailbox) -> None:
    prog = ["sh", "-c", f"echo ran > {mailbox.path}"]
    with Wrapped(["-f", certs.server("p256")], prog, program=program) as w:
        w.client.sendall(b"GET / HTTP/1.0\r\n\r\n")
        ending(w.client)
        w.client.close()
        assert w.wait() == 111
        assert w.no_process_left()
        assert w.stderr == "", QUIET
    assert mailbox.empty()


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (["-J", "/nonexistent"], "unable to create jail"),
        (["-J", "/etc/passwd"], "unable to create jail"),
        (["-j", "no-such-account"], "unable to create jail"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_no_jail_no_service(
    program: Program, certs: Certs, mailbox: Mailbox, options: list[str], text: str
) -> None:
    prog = ["sh", "-c", f"echo ran > {mailbox.path}"]
    with Wrapped([*options, "-f", certs.server("p256")], prog, program=program) as w:
        assert ending(w.client)[0] == b""
        assert w.wait() == 111
        assert set(w.texts("fatal")) == {text}
        assert w.no_process_left()
    assert mailbox.empty()


@needs_root
def test_a_privileged_jail_account_is_refused(ours: Program, certs: Certs) -> None:
    with Wrapped(["-v", "-j", "root", "-f", certs.server("p256")], ["true"], program=ours) as w:
        assert ending(w.client)[0] == b""
        assert w.wait() == 111
        assert set(w.texts("fatal")) == {"unable to create jail"}
        assert "refusing privileged account 'root' with uid = 0, gid = 0" in w.texts("error")


@needs_root
def test_without_root_it_refuses(program: Program, certs: Certs, mailbox: Mailbox) -> None:
    """As the original; a rootless jail, once it can be made, changes this test."""
    pem = certs.server("p256")
    descriptor = os.open(pem, os.O_RDONLY)  # readable for the account too, so that only the jail can fail

    def drop() -> None:
        os.setgroups([])
        os.setgid(65534)
        os.setuid(65534)

    options = ["-f", f"/proc/self/fd/{descriptor}"]
    with Wrapped(
        options, ["sh", "-c", "echo ran"], program=program, preexec=drop, pass_fds=[descriptor], cwd="/"
    ) as w:
        os.close(descriptor)
        assert ending(w.client)[0] == b""
        assert w.wait() == 111
        assert "unable to create jail" in w.texts("fatal")
        assert w.no_process_left()


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ("", "unable to parse anchor PEM file"),
        ("garbage\n", "unable to parse anchor PEM file"),
        (
            "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
            "unable to parse anchor PEM file",
        ),
    ],
    ids=["empty", "garbage", "bad der"],
)
def test_a_bad_anchor_fails_before_any_tls_byte(
    program: Program, certs: Certs, tmp_path: Path, content: str, text: str
) -> None:
    anchor = tmp_path / "anchor.pem"
    anchor.write_text(content)
    with Wrapped(["-a", anchor, "-f", certs.server("p256")], ["true"], program=program) as w:
        assert ending(w.client)[0] == b""
        assert w.wait() == 111
        assert w.texts("fatal")[-1] in (f"{text} '{anchor}'", f"unable to read anchor PEM file '{anchor}'")
        assert w.no_process_left()


def test_nothing_of_the_wrapper_reaches_stdout(program: Program, certs: Certs, tmp_path: Path) -> None:
    """Bad PEM: the fatal line is on stderr, the connection carries no text."""
    bad = tmp_path / "bad.pem"
    bad.write_text("nothing here\n")
    with Wrapped(["-vvv", "-f", bad], ["true"], program=program) as w:
        w.handshake_fails()
        assert w.wait() == 111
        assert f"unable to obtain certificate(s) from the PEM file '{bad}'" in w.texts("fatal")
