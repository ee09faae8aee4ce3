"""What prog finds: facts and variables, descriptors, signals; and what s6-tlsc leaves alone."""

from __future__ import annotations

import fcntl
import hashlib
import os
import signal
import socket
import ssl
import subprocess
from pathlib import Path

import pytest

from tests.certs import fingerprint
from tests.harness import bridge_pipes, read_exactly, require_peer

from .material import Material
from .peers import IGNORE_UNEXPECTED_EOF, TLS10, TLS11, TLS12, server_context
from .tlsc import FACTS, VARIABLES, Tlsc, Value, loopback

LOCAL = ["-k", "localhost"]
PYTHON = "/usr/bin/python3"


def context(material: Material, certificate: str = "p256", **more: object) -> ssl.SSLContext:
    made = server_context(material.path(certificate), **more)  # type: ignore[arg-type]
    made.options |= IGNORE_UNEXPECTED_EOF
    return made


def environment(
    material: Material,
    options: list[str],
    changes: dict[str, Value] | None = None,
    served: ssl.SSLContext | None = None,
) -> dict[str, str]:
    """The variables of prog."""
    env: dict[str, Value] = {"CAFILE": material.path("ca"), **(changes or {})}
    with Tlsc(options, ["env", "-0"], env=env) as run:
        run.serve(served or context(material)).close()
        assert run.wait() == 0, run.stderr
        pairs = [item.partition("=") for item in run.stdout.decode().split("\0") if item]
    assert len({name for name, _, _ in pairs}) == len(pairs), "a name appears twice"
    return {name: value for name, _, value in pairs}


def facts(seen: dict[str, str]) -> dict[str, str]:
    return {name: value for name, value in seen.items() if name in FACTS}


def leaf_hash(material: Material, certificate: str) -> str:
    text = material.path(certificate).read_text()
    der = ssl.PEM_cert_to_DER_cert(text[text.index("-----BEGIN CERT") : text.index("-----END CERT") + 25])
    return "SHA256:" + hashlib.sha256(der).hexdigest()


# --- facts ---


@pytest.mark.parametrize(
    ("maximum", "protocol", "suite", "certificate"),
    [
        (TLS12, "TLSv1.2", "ECDHE-ECDSA-CHACHA20-POLY1305", "p256"),
        (TLS12, "TLSv1.2", "AES128-GCM-SHA256", "rsa2048"),
        (TLS11, "TLSv1.1", "ECDHE-ECDSA-AES128-SHA", "p256"),
        (TLS10, "TLSv1", "ECDHE-RSA-AES256-SHA", "rsa2048"),
    ],
)
def test_facts(material: Material, maximum: ssl.TLSVersion, protocol: str, suite: str, certificate: str) -> None:
    served = context(material, certificate, maximum=maximum, ciphers=suite)
    assert facts(environment(material, LOCAL, served=served)) == {
        "SSL_PROTOCOL": protocol,
        "SSL_CIPHER": suite,
        "SSL_TLS_SNI_SERVERNAME": "localhost",
        "SSL_PEER_CERT_HASH": "SHA256:" + fingerprint(material.certs.leaf(certificate)),
        "SSL_PEER_CERT_SUBJECT": "CN=localhost",
    }


def test_subject(material: Material) -> None:
    """A fixed order of the parts, and a backslash before what separates them."""
    seen = environment(material, LOCAL, served=context(material, "subject"))
    assert seen["SSL_PEER_CERT_SUBJECT"] == "C=FR, O=Acme\\, Inc., CN=localhost"
    assert seen["SSL_PEER_CERT_HASH"] == leaf_hash(material, "subject")


@pytest.mark.parametrize("options", [[], ["-k", ""]], ids=["no -k", "empty"])
def test_no_name(material: Material, options: list[str]) -> None:
    """Without -k there is no name, and an inherited one is taken away."""
    seen = environment(material, options, {"SSL_TLS_SNI_SERVERNAME": "stale"})
    assert set(facts(seen)) == set(FACTS) - {"SSL_TLS_SNI_SERVERNAME"}


def test_name_as_it_was_given(material: Material) -> None:
    assert environment(material, ["-k", "LocalHost"])["SSL_TLS_SNI_SERVERNAME"] == "LocalHost"


def test_an_address(material: Material) -> None:
    """It is not sent as SNI, but it is what the server was asked for: the variable is -k's argument."""
    seen = environment(material, ["-k", "127.0.0.1"], served=context(material, "ip4"))
    assert seen["SSL_TLS_SNI_SERVERNAME"] == "127.0.0.1"


def test_not_verified_certificates_prove_nothing(material: Material) -> None:
    """--no-verify-cert: no hash and no subject, nor stale ones."""
    stale = dict.fromkeys(FACTS, "stale")
    seen = environment(material, [*LOCAL, "--no-verify-cert"], stale, context(material, "stranger"))
    assert set(facts(seen)) == {"SSL_PROTOCOL", "SSL_CIPHER", "SSL_TLS_SNI_SERVERNAME"}
    assert "stale" not in facts(seen).values()


def test_other_ssl_variables_stay(material: Material) -> None:
    seen = environment(material, LOCAL, {"SSL_CLIENT_X": "kept", "SSL_PROTOCOL": "stale", "PROTO": "TCP"})
    assert (seen["SSL_CLIENT_X"], seen["SSL_PROTOCOL"], seen["PROTO"]) == ("kept", "TLSv1.2", "TCP")


# --- variables of s6-tlsc ---

GIVEN: dict[str, Value] = {
    "TLS_UID": "0",
    "TLS_GID": "0",
    "KEYFILE": "/nowhere/key",
    "CERTFILE": "/nowhere/cert",
    "KEYFILE:example.com": "/nowhere/key2",
    "CERTFILE:example.com": "/nowhere/cert2",
    "KEYFILE:": "empty",
    "KEYFILES": "another's",
    "XKEYFILE:x": "another's",
}
SECRET = {*VARIABLES, "KEYFILE:example.com", "CERTFILE:example.com", "KEYFILE:"}


@pytest.mark.parametrize("option", [[], ["-z"], ["-Zz"], ["--no-keep"], ["-z", "-k", "localhost"]], ids=str)
def test_variables_are_removed(material: Material, option: list[str]) -> None:
    seen = environment(material, [*option, *LOCAL], GIVEN)
    assert not SECRET & seen.keys()
    assert (seen["KEYFILES"], seen["XKEYFILE:x"]) == ("another's", "another's")


@pytest.mark.parametrize("option", [["-Z"], ["-zZ"], ["--keep"]], ids=str)
def test_variables_are_kept(material: Material, option: list[str]) -> None:
    seen = environment(material, [*option, *LOCAL], {**GIVEN, "CADIR": material.path("dir_plain")})
    assert seen.keys() >= SECRET
    assert {name: seen[name] for name in GIVEN} == GIVEN
    assert seen["CAFILE"] == str(material.path("ca"))


def test_the_rest_is_left_as_it_was(material: Material) -> None:
    """Nothing is added beside the facts: no LC_CTYPE of an interpreter, no variable of ours."""
    given: dict[str, Value] = {"A": "b=c", "EMPTY": "", "LANG": "de_DE.UTF-8", "PYTHONHOME": "/nowhere"}
    seen = environment(material, LOCAL, given)
    for name, value in given.items():
        assert seen[name] == value
    known = {name for name in os.environ if name not in VARIABLES + FACTS}
    added = seen.keys() - known - given.keys() - set(FACTS) - {"BEARWRAP_TEST_MARK"}
    assert not added


# --- descriptors ---

LIST = f"""
import os, fcntl
for name in sorted(map(int, os.listdir("/proc/self/fd"))):
    try: target = os.readlink("/proc/self/fd/%d" % name)
    except OSError: continue
    if target.startswith("/proc/"): continue
    mode = fcntl.fcntl(name, fcntl.F_GETFL)
    print(name, target.split(":")[0], mode & {os.O_ACCMODE}, bool(mode & {os.O_NONBLOCK}))
"""
LISTED = [PYTHON, "-I", "-S", "-c", LIST]
READ, WRITE = f"pipe {os.O_RDONLY} False", f"pipe {os.O_WRONLY} False"


def listed(run: Tlsc) -> dict[int, str]:
    """prog's descriptors by number."""
    lines = run.stdout.decode().splitlines()
    return {int(number): rest for number, _, rest in (line.partition(" ") for line in lines)}


@pytest.mark.parametrize(("read_fd", "write_fd"), [(6, 7), (3, 4), (7, 6), (9, 3), (100, 101), (5, 1000)])
def test_descriptors_of_prog(material: Material, read_fd: int, write_fd: int) -> None:
    """Two blocking pipes on the numbers of the network, and 0, 1 and 2 as they were: nothing else."""
    options = [*LOCAL, "-6", str(read_fd), f"--write-fd={write_fd}"]
    env = {"CAFILE": material.path("ca")}
    with Tlsc(options, LISTED, env=env, read_fd=read_fd, write_fd=write_fd) as run:
        run.serve(context(material)).close()
        assert run.wait() == 0, run.stderr
        seen = listed(run)
        assert sorted(seen) == sorted({0, 1, 2, read_fd, write_fd}), seen
        assert (seen[read_fd], seen[write_fd]) == (READ, WRITE)


def test_inherited_descriptors_are_progs(material: Material, tmp_path: Path) -> None:
    """What was open stays open for prog, whatever its number."""
    with open(tmp_path / "file", "w") as file:
        extra = [fcntl.fcntl(file, fcntl.F_DUPFD, least) for least in (3, 20, 300)]
        try:
            with Tlsc(LOCAL, LISTED, env={"CAFILE": material.path("ca")}, pass_fds=extra) as run:
                run.serve(context(material)).close()
                assert run.wait() == 0, run.stderr
                assert sorted(listed(run)) == sorted({0, 1, 2, 6, 7, *extra})
        finally:
            for fd in extra:
                os.close(fd)


@pytest.mark.parametrize("closed", [[0], [1], [0, 1]], ids=str)
def test_closed_standard_descriptors(material: Material, closed: list[int], tmp_path: Path) -> None:
    """They get /dev/null: no descriptor of ours may be taken for prog's stdin or stdout."""
    report = tmp_path / "report"
    script = f"""
import os
with open("{report}", "w") as report:
    print(*(os.readlink(f"/proc/self/fd/{{fd}}") for fd in {closed}), file=report)
print("spilt")
"""
    env = {"CAFILE": material.path("ca")}
    with Tlsc(LOCAL, [PYTHON, "-I", "-S", "-c", script], env=env, closed=closed) as run:
        with run.serve(context(material)) as tls:
            assert tls.recv(100) == b"", "stdout went over the network"
        assert run.wait() == 0, run.stderr
        assert report.read_text().split() == ["/dev/null"] * len(closed)


def test_standard_descriptors_are_untouched(material: Material) -> None:
    """stdin is prog's, stdout too, and both keep their flags; s6-tlsc itself reads and writes neither."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        flags = fcntl.fcntl(theirs, fcntl.F_GETFL)
        prog = ["sh", "-c", "read x; echo got $x; exit 7"]
        env = {"CAFILE": material.path("ca")}
        with Tlsc(LOCAL, prog, env=env, stdin=theirs.fileno(), stdout_fd=theirs.fileno()) as run:
            ours.sendall(b"word\n")
            run.serve(context(material)).close()
            assert run.wait() == 7
            assert ours.recv(100) == b"got word\n"
        assert fcntl.fcntl(theirs, fcntl.F_GETFL) == flags


def test_the_network_as_two_pipes(material: Material) -> None:
    """Descriptors 6 and 7 need not be one socket."""
    local, peer = loopback()
    ends = bridge_pipes(local)
    prog = ["sh", "-c", "echo question >&7; read x <&6; echo $x; exit 7"]
    with peer, Tlsc(LOCAL, prog, env={"CAFILE": material.path("ca")}, network={6: ends[0], 7: ends[1]}) as run:
        for fd in ends:
            os.close(fd)
        with context(material).wrap_socket(peer, server_side=True) as tls:
            assert tls.recv(100) == b"question\n"
            tls.sendall(b"answer\n")
            assert run.wait() == 7
            assert (run.stdout, run.stderr) == (b"answer\n", "")


def test_unix_sockets(material: Material) -> None:
    ours, theirs = socket.socketpair()
    prog = ["sh", "-c", "echo question >&7; read x <&6; echo $x; exit 7"]
    env = {"CAFILE": material.path("ca")}
    with Tlsc(LOCAL, prog, env=env, sock=theirs) as run, context(material).wrap_socket(ours, server_side=True) as tls:
        assert tls.recv(100) == b"question\n"
        tls.sendall(b"answer\n")
        assert run.wait() == 7
        assert (run.stdout, run.stderr) == (b"answer\n", "")


# --- signals, and the rest of a process ---


def masks(material: Material, *launcher: str, alone: bool = False) -> tuple[int, int]:
    """Blocked and ignored signals of prog, as sets of bits; `alone` without s6-tlsc."""
    prog = ["sed", "-n", "s/^Sig\\(Blk\\|Ign\\):\\t//p", "/proc/self/status"]
    if alone:
        with Tlsc([], prog, launcher=launcher, executable=Path("/usr/bin/env")) as run:
            assert run.wait() == 0, run.stderr
    else:
        with Tlsc(LOCAL, prog, env={"CAFILE": material.path("ca")}, launcher=launcher) as run:
            run.serve(context(material)).close()
            assert run.wait() == 0, run.stderr
    blocked, ignored = run.stdout.split()
    return int(blocked, 16), int(ignored, 16)


def test_signals_are_as_they_were(material: Material) -> None:
    """prog has the mask and the dispositions that s6-tlsc was started with."""
    assert masks(material) == masks(material, alone=True)


@pytest.mark.parametrize("name", ["PIPE", "CHLD", "HUP"])
def test_what_was_ignored_on_entry(material: Material, name: str) -> None:
    """What the caller ignores, prog ignores, but SIGPIPE and SIGCHLD: programs count on them."""
    bit = 1 << (getattr(signal, f"SIG{name}") - 1) if name in ("PIPE", "CHLD") else 0
    blocked, ignored = masks(material, "env", f"--ignore-signal={name}", alone=True)
    assert masks(material, "env", f"--ignore-signal={name}") == (blocked, ignored & ~bit)


def test_prog_is_found_through_path(material: Material, tmp_path: Path) -> None:
    """execvp(3): by the PATH that prog will have."""
    script = tmp_path / "unlikely-name"
    script.write_text("#!/bin/sh\necho found $0 $1\n")
    script.chmod(0o755)
    env = {"CAFILE": material.path("ca"), "PATH": f"/nowhere:{tmp_path}:{os.environ['PATH']}"}
    with Tlsc(LOCAL, ["unlikely-name", "word"], env=env) as run:
        run.serve(context(material)).close()
        assert run.wait() == 0
        assert run.stdout.decode() == f"found {script} word\n"


def test_arguments_arrive_as_they_were(material: Material) -> None:
    words = ["", " ", "--", "-k", "a b", "\n", "ü", "*"]
    with Tlsc(LOCAL, ["printf", "<%s>", *words], env={"CAFILE": material.path("ca")}) as run:
        run.serve(context(material)).close()
        assert run.wait() == 0
        assert run.stdout.decode() == "".join(f"<{word}>" for word in words)


def test_prog_is_a_child_and_has_no_children(material: Material) -> None:
    """s6-tlsc stays the parent: prog finds no child that it did not make."""
    prog = ["sh", "-c", "echo $PPID; cat /proc/$$/task/$$/children; exit 7"]
    with Tlsc(LOCAL, prog, env={"CAFILE": material.path("ca")}) as run:
        run.serve(context(material)).close()
        assert run.wait() == 7
        parent, *kids = run.stdout.split()
        assert int(parent) == run.pid
        assert len(kids) <= 1, "the only child is the cat that looks"


def test_working_directory_and_limits(material: Material) -> None:
    prog = ["sh", "-c", "pwd; ulimit -n; ulimit -v; ulimit -c; umask"]
    with Tlsc(LOCAL, prog, env={"CAFILE": material.path("ca")}) as run:
        run.serve(context(material)).close()
        assert run.wait() == 0
        assert run.stdout == subprocess.run(prog, capture_output=True, check=True).stdout


def test_prog_starts_after_the_handshake(material: Material) -> None:
    """Not a moment before our Finished is there; nothing is written to stdout by anybody else."""
    local, peer = loopback()
    with peer, Tlsc(LOCAL, ["echo", "ran"], env={"CAFILE": material.path("ca")}, sock=local) as run:
        assert read_exactly(peer, 1) == b"\x16"
        assert run.stdout == b""
        assert run.processes().prog is None or not run.wait_stdout("ran", 0.2)


def test_execlineb(material: Material) -> None:
    """A script of execline as prog reads 6 and writes 7."""
    script = "fdmove -c 0 6 fdmove -c 1 7 foreground { echo question } withstdinas -n ANSWER importas -u A ANSWER "
    script += 'fdmove -c 1 2 echo "answer: ${A}"'
    execlineb = require_peer("execlineb")
    env = {"CAFILE": material.path("ca")}
    with Tlsc(LOCAL, [execlineb, "-Pc", script], env=env) as run, run.serve(context(material)) as tls:
        assert tls.recv(100) == b"question\n"
        tls.sendall(b"42\n")
        tls.unwrap()
        assert run.wait() == 0
        assert run.stderr == "answer: 42\n"

