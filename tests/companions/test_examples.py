"""The worked examples of the manual pages for mail and web, run as they stand: under tcpserver, with real servers.

Only files, ports and the mail server's configuration are put in place of the page's.
"""

from __future__ import annotations

import contextlib
import os
import poplib
import re
import shutil
import smtplib
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.certs import Certs
from tests.companions.test_smtp_servers import Exim, check_received, letter
from tests.harness import (
    LIMIT_S,
    ROOT,
    Program,
    ServerProcess,
    client_context,
    free_port,
    needs_root,
    require_peer,
    server_process,
)

pytestmark = needs_root


def blocks(page: str) -> list[str]:
    """The literal blocks in EXAMPLES of a manual page, as a reader sees them."""
    text = (ROOT / "man" / page).read_text().split(".Sh EXAMPLES\n")[1].split("\n.Sh ")[0]
    return [block.replace("\\e", "\\") for block in re.findall(r"^\.Bd -literal.*\n((?:.*\n)*?)\.Ed", text, re.M)]


def example(page: str, *words: str) -> str:
    """The one block that has all these words."""
    (found,) = [block for block in blocks(page) if all(word in block for word in words)]
    return found


@contextlib.contextmanager
def running(command: str, program: Program, replaced: dict[str, str]) -> Iterator[ServerProcess]:
    """Run an example's command; ` 0 PORT ` becomes a free port of the loopback."""
    port = free_port()
    for old, new in replaced.items():
        assert command.count(old) == 1, old
        command = command.replace(old, new)
    command, count = re.subn(r"(tcpserver \S+ -c 100) 0 \d+ ", rf"\1 127.0.0.1 {port} ", command)
    assert count == 1
    env = {**os.environ, "PATH": f"{program.path.parent}:{os.environ['PATH']}:/usr/sbin:/sbin"}
    with server_process(["sh", "-c", f"exec {command}"], port, env=env) as server:
        yield server


@pytest.fixture
def folder() -> Iterator[Path]:
    """Not below pytest's, which other accounts may not enter."""
    path = Path(tempfile.mkdtemp())
    path.chmod(0o755)
    yield path
    shutil.rmtree(path)


def test_smtp(certs: Certs, ours: Program, folder: Path) -> None:
    require_peer("tcpserver")
    exim = Exim(folder)
    replaced = {"/etc/ssl/private/mail.pem": str(certs.server("p256")),
                "exim4 -bs": f"exim4 -C {exim.configuration} -bs"}  # fmt: skip
    with running(example("tlswrapper-smtp.1", "exim4"), ours, replaced) as server:
        with smtplib.SMTP("127.0.0.1", server.port, timeout=LIMIT_S) as client:
            client.starttls(context=client_context(ca=certs.ca))
            assert client.send_message(letter()) == {}
        assert server.wait_output(r"F=<ann@a.example> T=<bob@b.example>,<eve@b.example>,: 250 OK id=")
        assert server.no_process_left()
    check_received(exim, letter())


MESSAGE = ["Subject: hello", "", ".dot", "text"]


@pytest.fixture
def pop3(folder: Path) -> str:
    """The command of a POP3 server with one user, ann@a.example, and one message."""
    pop3d = require_peer("pop3d")
    home, accounts = folder / "ann", folder / "accounts"
    home.mkdir()
    accounts.mkdir()
    (home / "INBOX").write_text("\n".join(["From x@y Mon Jan  1 00:00:00 2024", *MESSAGE, "", ""]))
    for path in (home, home / "INBOX"):
        os.chown(path, 65534, 65534)
    done = subprocess.run(
        [require_peer("openssl"), "passwd", "-6", "secret"], capture_output=True, text=True, check=True, timeout=LIMIT_S
    )
    (accounts / "a.example").write_text(f"ann:{done.stdout.strip()}:65534:65534::{home}:/bin/sh\n")
    configuration = folder / "pop3d.conf"
    configuration.write_text(
        "auth { authentication generic; authorization virtdomain; };\n"
        f'virtdomain {{ passwd-dir "{accounts}"; }};\n'
    )
    return f"{pop3d} --no-config --config-file={configuration} --inetd"


def test_pop3(certs: Certs, ours: Program, folder: Path, pop3: str) -> None:
    """Clear up to STLS, where nothing else is possible; then the real server, with its own login."""
    require_peer("tcpserver")
    script = folder / "stls"
    script.write_text(example("tlswrapper.1", "#!/bin/sh"))
    script.chmod(0o755)
    replaced = {"/etc/ssl/private/mail.pem": str(certs.server("p256")),
                "/usr/local/sbin/stls pop3d": f"{script} {pop3}"}  # fmt: skip
    with running(example("tlswrapper.1", "stls pop3d"), ours, replaced) as server:
        client = poplib.POP3("127.0.0.1", server.port, timeout=LIMIT_S)
        assert client.getwelcome() == b"+OK ready"
        assert client.capa() == {"STLS": []}
        with pytest.raises(poplib.error_proto, match="only after STLS"):
            client.user("ann@a.example")
        assert client.stls(context=client_context(ca=certs.ca)) == b"+OK begin TLS"
        assert "USER" in client.capa()
        assert "STLS" not in client.capa()
        client.user("ann@a.example")
        client.pass_("secret")
        assert client.stat()[0] == 1
        assert [line.decode() for line in client.retr(1)[1][: len(MESSAGE)]] == MESSAGE
        client.quit()
        assert server.no_process_left()
        clear = poplib.POP3("127.0.0.1", server.port, timeout=LIMIT_S)
        assert clear.quit() == b"+OK"
        assert server.no_process_left()


def test_pop3_commands_behind_stls(certs: Certs, ours: Program, folder: Path, pop3: str) -> None:
    """A login that somebody on the way puts behind STLS does not log the client in."""
    script = folder / "stls"
    script.write_text(example("tlswrapper.1", "#!/bin/sh"))
    script.chmod(0o755)
    replaced = {"/etc/ssl/private/mail.pem": str(certs.server("p256")),
                "/usr/local/sbin/stls pop3d": f"{script} {pop3}"}  # fmt: skip
    with running(example("tlswrapper.1", "stls pop3d"), ours, replaced) as server:
        client = poplib.POP3("127.0.0.1", server.port, timeout=LIMIT_S)
        client.sock.sendall(b"STLS\r\nUSER ann@a.example\r\nPASS secret\r\n")
        assert client._getresp() == b"+OK begin TLS"  # type: ignore[attr-defined]
        client.sock = client_context().wrap_socket(client.sock)
        client.file = client.sock.makefile("rb")
        with pytest.raises(poplib.error_proto):
            client.stat()
        client.close()


def test_https_to_http(certs: Certs, ours: Program, folder: Path) -> None:
    require_peer("tcpserver")
    (folder / "index.html").write_text("it works\n")
    port = free_port()
    words = [require_peer("busybox"), "httpd", "-f", "-p", f"127.0.0.1:{port}", "-h", str(folder)]
    replaced = {"/etc/ssl/private/web.pem": str(certs.server("p256")), "localhost 8080": f"localhost {port}"}
    with (
        server_process(words, port),
        running(example("tlswrapper-tcp.1", "localhost 8080"), ours, replaced) as server,
    ):
        done = subprocess.run(
            [require_peer("curl"), "-sS", "--cacert", certs.ca, f"https://localhost:{server.port}/"],
            capture_output=True, text=True, timeout=LIMIT_S, check=False,
        )  # fmt: skip
        assert (done.stdout, done.stderr) == ("it works\n", "")
        assert server.wait_output(rf"connected to localhost:{port}")
        assert server.no_process_left()
