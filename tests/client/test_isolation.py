"""The three processes of a client's connection as /proc shows them: who may do what, and what a killed one leaves."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import ssl
import subprocess
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.harness import (
    BIN,
    LIMIT_S,
    Deadline,
    Processes,
    missing_peer,
    needs_root,
    proc_status,
    read_exactly,
    require_peer,
)
from tests.isolation.descriptors import Descriptor, descriptors
from tests.tlsclient import ending
from tests.wire.records import Ended

from .material import Material
from .peers import IGNORE_UNEXPECTED_EOF, server_context
from .scripted import identity
from .server import Server
from .tlsc import TLSC, Tlsc, Value

UID_BASE = 141500000  # as the server's: base + pid
LOCAL = ["-k", "localhost"]
CAT = ["sh", "-c", "cat <&6 >&7 & wait"]  # in the background, so that sh itself keeps no copies
NOBODY = 65534


def context(material: Material, **more: object) -> ssl.SSLContext:
    made = server_context(material.path("p256"), **more)  # type: ignore[arg-type]
    made.options |= IGNORE_UNEXPECTED_EOF
    return made


def at_work(run: Tlsc, tls: ssl.SSLSocket) -> Processes:
    """After data has been through prog, which sends back what it gets."""
    tls.sendall(b"here")
    assert read_exactly(tls, 4) == b"here"
    found = run.processes()
    assert found.key is not None and found.prog is not None, found
    return found


@pytest.fixture
def working(material: Material) -> Iterator[Callable[..., tuple[Tlsc, Processes]]]:
    """Starts a client with `cat` for its prog, brings it to work, and ends it after the test."""
    with contextlib.ExitStack() as stack:

        def begin(env: dict[str, Value] | None = None, *options: str, **more: object) -> tuple[Tlsc, Processes]:
            variables: dict[str, Value] = {"CAFILE": material.path("ca"), **(env or {})}
            run = stack.enter_context(Tlsc([*LOCAL, *options], CAT, env=variables, **more))  # type: ignore[arg-type]
            tls = stack.enter_context(run.serve(context(material)))
            return run, at_work(run, tls)

        yield begin


# --- users and roots ---


@needs_root
@pytest.mark.parametrize(
    ("env", "uid", "gid"),
    [
        ({}, None, None),
        ({"TLS_UID": "1234", "TLS_GID": "4321"}, 1234, 4321),
        ({"TLS_UID": "1234"}, 1234, None),
        ({"TLS_GID": "4321"}, None, 4321),
    ],
    ids=["pid", "both", "uid", "gid"],
)
def test_jailed_as_root(
    working: Callable[..., tuple[Tlsc, Processes]], env: dict[str, Value], uid: int | None, gid: int | None
) -> None:
    """net and key have TLS_UID and TLS_GID, else ids of their own; prog is who we were."""
    _, found = working(env)
    for pid in (found.net, found.key):
        status = proc_status(pid)  # type: ignore[arg-type]
        assert status["Uid"].split() == [str(uid or UID_BASE + pid)] * 4  # type: ignore[operator]
        assert status["Gid"].split() == [str(gid or UID_BASE + pid)] * 4  # type: ignore[operator]
        assert status["Groups"].split() == status["Gid"].split()[:1]
        for name in ("CapInh", "CapPrm", "CapEff", "CapAmb"):
            assert int(status[name], 16) == 0, name
        assert status["NoNewPrivs"] == "1"
        assert os.readlink(f"/proc/{pid}/root") != "/"
        assert not os.listdir(f"/proc/{pid}/root/")
        assert os.readlink(f"/proc/{pid}/cwd") == os.readlink(f"/proc/{pid}/root")
        for name in ("mem", "maps", "environ", "fd"):
            assert os.lstat(f"/proc/{pid}/{name}").st_uid == 0, f"{name}: dumpable"
        limits = Path(f"/proc/{pid}/limits").read_text()
        for line in limits.splitlines():
            if line.startswith(("Max open files", "Max processes", "Max core file")):
                assert line[26:].split()[:2] == ["0", "0"], line
    own, prog = proc_status(os.getpid()), proc_status(found.prog)  # type: ignore[arg-type]
    for name in ("Uid", "Gid", "Groups", "CapPrm", "CapEff", "NoNewPrivs", "Seccomp"):
        assert prog[name] == own[name], name
    assert os.readlink(f"/proc/{found.prog}/root") == "/"


@needs_root
def test_unprivileged_variables_of_root_keep_files_readable(
    working: Callable[..., tuple[Tlsc, Processes]], material: Material
) -> None:
    """Anchors, certificate and key are read before the user is changed: only root can read these."""
    folder = material.folder / "private"
    folder.mkdir(mode=0o700, exist_ok=True)
    for name in ("ca", "key_p256", "cert_p256"):
        shutil.copy(material.path(name), folder / name)
        (folder / name).chmod(0o400)
    env: dict[str, Value] = {"CAFILE": folder / "ca", "KEYFILE": folder / "key_p256", "CERTFILE": folder / "cert_p256"}
    run, _ = working({**env, "TLS_UID": "1234", "TLS_GID": "1234"}, "-y")
    assert run.stderr == ""


# --- descriptors ---


def sockets(found: dict[int, Descriptor]) -> set[str]:
    return {fd.target for fd in found.values() if fd.kind == "socket"}


def pipes(found: dict[int, Descriptor]) -> set[str]:
    return {fd.target for fd in found.values() if fd.kind == "pipe"}


@needs_root
def test_who_holds_what(working: Callable[..., tuple[Tlsc, Processes]], tmp_path: Path) -> None:
    """net alone has the network, key and prog alone prog's pipes, and nobody a file or another's descriptor."""
    with open(tmp_path / "file", "w") as file:
        run, found = working(pass_fds=[file.fileno()])
        net, key, prog = (descriptors(pid) for pid in (found.net, found.key, found.prog))  # type: ignore[arg-type]
        shown = {name: list(map(str, each.values())) for name, each in (("net", net), ("key", key), ("prog", prog))}
        assert run.socket_link in sockets(net) and run.socket_link not in sockets(key) | sockets(prog), shown
        assert len(sockets(key)) == 1 and sockets(prog) == set(), shown
        assert len(sockets(net)) == 2, shown  # the network, and the key port
        ends = {prog[6].target, prog[7].target}
        assert len(ends) == 2 and ends <= pipes(key) and not ends & pipes(net), shown
        assert (prog[6].mode, prog[7].mode) == ("r", "w")
        assert sorted(prog) == sorted({0, 1, 2, 6, 7, file.fileno()}), shown
        for each in (net, key):
            files = [fd for fd in each.values() if fd.target.startswith("/") and fd.target != "/dev/null"]
            assert not files, shown
        assert prog[1].target not in pipes(net) | pipes(key), shown  # stdout is prog's


# --- not root ---


@pytest.fixture
def everybody(material: Material) -> Iterator[Path]:
    """A folder of what a user without rights may read."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    material.copy_for_everybody(folder, "ca", "key_p256", "cert_p256")
    yield folder
    shutil.rmtree(folder)


def as_nobody() -> list[str]:
    """A command that runs the rest as a user without rights, when we are root and that user can run our program."""
    if os.geteuid() != 0:
        return []
    drop = [require_peer("setpriv"), f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"]
    if subprocess.run([*drop, "test", "-x", str(TLSC.path)], check=False).returncode:
        missing_peer("a user without rights", f"{BIN} is closed to it")
    return drop


def test_works_without_root(material: Material, everybody: Path) -> None:
    """Nothing is missing: transfer, client certificate, facts, exit code; no privilege is left to gain."""
    env: dict[str, Value] = {
        "CAFILE": everybody / "ca",
        "KEYFILE": everybody / "key_p256",
        "CERTFILE": everybody / "cert_p256",
        "TLS_UID": "nobody",  # looked at only by root
    }
    prog = ["sh", "-c", "echo $SSL_PROTOCOL $(id -u); cat <&6 >&7; exit 7"]
    served = context(material, client_ca=material.path("client_ca"))
    with Tlsc(["-y", *LOCAL], prog, env=env, launcher=as_nobody()) as run, run.serve(served) as tls:
        assert tls.getpeercert() is not None
        found = at_work(run, tls)
        for pid in (found.net, found.key):
            status = proc_status(pid)  # type: ignore[arg-type]
            assert status["NoNewPrivs"] == "1"
            if os.geteuid() == 0:
                limits = Path(f"/proc/{pid}/limits").read_text()
                opened = next(line for line in limits.splitlines() if line.startswith("Max open files"))
                assert opened[26:].split()[:2] == ["0", "0"]
        assert proc_status(found.prog)["NoNewPrivs"] == "0"  # type: ignore[arg-type]
        tls.sendall(bytes(1 << 20))
        assert read_exactly(tls, 1 << 20) == bytes(1 << 20)
        tls.unwrap()
        assert run.wait() == 7
        assert run.stdout.split() == [b"TLSv1.2", str(NOBODY if os.geteuid() == 0 else os.getuid()).encode()]
        assert (run.stderr, run.no_process_left()) == ("", True)


@needs_root
def test_descriptors_without_root(material: Material, everybody: Path) -> None:
    """The same split as under root."""
    with (
        Tlsc(LOCAL, CAT, env={"CAFILE": everybody / "ca"}, launcher=as_nobody()) as run,
        run.serve(context(material)) as tls,
    ):
        found = at_work(run, tls)
        net, key, prog = (descriptors(pid) for pid in (found.net, found.key, found.prog))  # type: ignore[arg-type]
        assert len(sockets(key)) == 1 and not sockets(prog) and len(sockets(net)) == 2
        assert not {prog[6].target, prog[7].target} & pipes(net)


def test_failures_without_root(everybody: Path) -> None:
    """A file that we may not read is one that cannot be read."""
    hidden = everybody / "hidden"
    hidden.write_text("x")
    hidden.chmod(0)
    if not as_nobody() and os.geteuid() == 0:
        pytest.skip("root reads everything")
    with Tlsc(LOCAL, env={"CAFILE": hidden}, launcher=as_nobody()) as run:
        assert run.wait() == 111
        assert run.stderr == f"s6-tlsc: fatal: unable to read trust anchors in {hidden}: Permission denied\n"


# --- a process is killed ---


def wait_handshake(run: Tlsc) -> Processes:
    """The client has sent its ClientHello and waits; all three processes are there."""
    assert read_exactly(run.peer, 5)[:1] == b"\x16"
    deadline = Deadline(LIMIT_S)
    while (found := run.processes()).key is None or found.prog is None:
        assert not deadline.over(), found
    return found


@pytest.mark.parametrize("who", ["net", "key", "prog"])
def test_killed_during_the_handshake(material: Material, who: str) -> None:
    """prog never runs, nobody hangs, nobody is left; a killed key is told apart from a killed prog, time and again."""
    for _ in range(10):
        with Tlsc(LOCAL, ["sh", "-c", "echo ran"], env={"CAFILE": material.path("ca")}) as run:
            found = wait_handshake(run)
            os.kill(getattr(found, who), signal.SIGKILL)
            code = run.wait()
            assert run.no_process_left()
            assert run.stdout == b""
            if who == "net":
                assert code == -signal.SIGKILL
            elif who == "key":
                assert (code, run.stderr) == (111, "s6-tlsc: fatal: key process ended\n")
            else:
                line = "s6-tlsc: fatal: prog process ended before the handshake was done\n"
                assert (code, run.stderr) == (111, line)


@pytest.mark.parametrize("moment", ["idle", "prog writes", "peer writes", "both write"])
@pytest.mark.parametrize("who", ["net", "key"])
def test_killed_while_data_flows(material: Material, who: str, moment: str) -> None:
    """prog sees EOF on 6 and EPIPE on 7, and of the bytes that came none is anything but plaintext."""
    upload = "cat /dev/zero >&7 2>/dev/null & " if moment in ("prog writes", "both write") else ""
    prog = f"trap '' PIPE; {upload}printf ready; tr -d '\\000' <&6; echo eof; wait; "
    prog += "sleep 0.1; echo x 2>/dev/null >&7 || echo broken; exit 7"
    with Tlsc(LOCAL, ["sh", "-c", prog], env={"CAFILE": material.path("ca")}) as run:
        server = Server(run.peer, identity(material.path("p256").read_text()))
        server.handshake()
        assert run.wait_stdout("ready")
        found = run.processes()

        def flood() -> None:
            with contextlib.suppress(Ended, OSError):
                for _ in range(2000):
                    server.send_data(bytes(1 << 16))

        def drain() -> None:
            with contextlib.suppress(Ended, OSError):
                while True:
                    server.read()

        threads = [threading.Thread(target=drain)]
        if moment in ("peer writes", "both write"):
            threads.append(threading.Thread(target=flood))
        for thread in threads:
            thread.start()
        os.kill(getattr(found, who), signal.SIGKILL)
        code = run.wait()
        assert code == (-signal.SIGKILL if who == "net" else 7)
        assert run.wait_stdout("broken\n"), run.stdout
        assert run.no_process_left()
        assert run.stdout == b"readyeof\nbroken\n"
        if who == "key":
            assert "s6-tlsc: fatal: key process ended\n" in run.stderr
        for thread in threads:
            thread.join(LIMIT_S)


def test_killed_prog(material: Material) -> None:
    """The peer sees the end of what prog wrote; the exit code says which signal it was."""
    prog = ["sh", "-c", "echo last >&7; exec cat <&6"]
    with (
        Tlsc(["-S", *LOCAL], prog, env={"CAFILE": material.path("ca")}) as run,
        run.serve(context(material)) as tls,
    ):
        assert tls.recv(100) == b"last\n"
        os.kill(run.processes().prog, signal.SIGKILL)  # type: ignore[arg-type]
        assert ending(tls) == (b"", "close_notify")
        assert run.wait() == 128 + signal.SIGKILL
        assert (run.stderr, run.no_process_left()) == ("", True)


def test_killed_net_before_it_wrote(material: Material) -> None:
    """Killed in the midst of its start, at whatever moment: nothing is left behind."""
    for delay in range(12):
        with Tlsc(LOCAL, ["sh", "-c", "echo ran"], env={"CAFILE": material.path("ca")}) as run:
            threading.Event().wait(delay / 1000)
            os.kill(run.pid, signal.SIGKILL)
            assert run.wait() == -signal.SIGKILL
            assert run.no_process_left()
            assert run.stdout == b""
