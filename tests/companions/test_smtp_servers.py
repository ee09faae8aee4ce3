"""The whole chain with real parts: swaks, openssl, smtplib - tlswrapper -n - tlswrapper-smtp - exim4 -bs.

exim4 has a configuration and a spool of its own, accepts everything and delivers nothing; what it has queued is read
back with its own tools. Lines and envelopes are in the other files.
"""

from __future__ import annotations

import email
import email.message
import email.policy
import hashlib
import os
import pwd
import random
import re
import shutil
import smtplib
import ssl
import subprocess
import tempfile
import threading
from collections.abc import Iterator, Sequence
from email.message import EmailMessage
from pathlib import Path

import pytest

from tests.certs import Certs
from tests.harness import LIMIT_S, Listener, Program, client_context, needs_root, require_peer

pytestmark = needs_root

CONFIGURATION = """
spool_directory = {spool}
log_file_path = {spool}/log/%slog
primary_hostname = mail.example
acl_smtp_rcpt = take
acl_smtp_data = take
queue_only = true
tls_advertise_hosts =
host_lookup =
rfc1413_hosts =
keep_environment =
message_size_limit = 0
smtp_accept_max_per_connection = 0
chunking_advertise_hosts = *
begin acl
take:
  accept
begin routers
begin transports
"""


class Exim:
    """A private exim4: `command` serves one session on descriptors 0 and 1."""

    def __init__(self, folder: Path) -> None:
        self.path = require_peer("exim4")
        account = pwd.getpwnam("Debian-exim")
        self.spool = folder / "spool"
        self.spool.mkdir()
        os.chown(self.spool, account.pw_uid, account.pw_gid)
        self.configuration = folder / "exim.conf"
        self.configuration.write_text(CONFIGURATION.format(spool=self.spool))
        # Without -oMa it would take every client for a local user.
        self.command = ["sh", "-c", f'exec "{self.path}" -C "{self.configuration}" -bs -oMa "$TCPREMOTEIP"']

    def queued(self) -> list[str]:
        """The ids of the messages in the queue."""
        return sorted(path.name[:-2] for path in self.spool.glob("input/**/*-D"))

    def envelope(self, message: str) -> tuple[str, list[str]]:
        """(sender, recipients) of a queued message."""
        lines = next(self.spool.glob(f"input/**/{message}-H")).read_text("latin-1").splitlines()
        count = lines.index("XX")
        return lines[2], lines[count + 2: count + 2 + int(lines[count + 1])]

    def message(self, message: str) -> email.message.Message:
        done = subprocess.run(
            [self.path, "-C", self.configuration, "-Mvc", message], capture_output=True, check=True, timeout=LIMIT_S
        )
        return email.message_from_bytes(done.stdout, policy=email.policy.SMTP)


@pytest.fixture
def exim() -> Iterator[Exim]:
    # not below pytest's folder, which exim's account may not enter
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    yield Exim(folder)
    shutil.rmtree(folder)


def chain(program: Program, certs: Certs, server: Sequence[str], *options: str, kind: str = "p256") -> list[str]:
    """The command line behind a super-server."""
    return [str(program.path), "-v", "-n", "-f", str(certs.server(kind)), str(program.tool("tlswrapper-smtp")),
            "-v", *options, *server]  # fmt: skip


def letter() -> EmailMessage:
    """A message with what breaks relays: dots, long and empty lines, 8-bit text, binary attachments."""
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = "Ann <ann@a.example>", "bob@b.example, eve@b.example", "Grüße"
    message.set_content(".\n..\n.leading\n\n\nüöä " + "x" * 900 + "\nQUIT\nFROM here\n.\n", cte="8bit")
    blob = random.Random(7).randbytes(200_000)
    message.add_attachment(blob, maintype="application", subtype="octet-stream", filename="blob.bin")
    message.add_attachment("text\r\n.\r\n", filename="dots.txt")
    return message


def check_received(exim: Exim, sent: EmailMessage) -> None:
    """Exactly one message is queued: envelope, text and attachments unchanged, from the client's real address."""
    (identity,) = exim.queued()
    assert exim.envelope(identity) == ("<ann@a.example>", ["bob@b.example", "eve@b.example"])
    found = exim.message(identity)
    assert "127.0.0.1" in found["Received"]
    assert found["Subject"] == sent["Subject"]
    theirs, mine = list(found.walk()), list(sent.walk())
    assert [part.get_content_type() for part in theirs] == [part.get_content_type() for part in mine]
    for there, here in zip(theirs, mine, strict=True):
        if not here.is_multipart():
            assert there.get_filename() == here.get_filename()
            text, expected = there.get_payload(decode=True), here.get_payload(decode=True)
            assert text.replace(b"\r\n", b"\n") == expected.replace(b"\r\n", b"\n")


@pytest.mark.parametrize("kind", ["p256", "rsa2048"])
@pytest.mark.parametrize("account", [None, "Debian-exim"])
def test_smtplib_with_attachments(exim: Exim, certs: Certs, ours: Program, kind: str, account: str | None) -> None:
    options = ["-u", account] if account else []
    with Listener(chain(ours, certs, exim.command, *options, kind=kind)) as listener:
        with smtplib.SMTP("127.0.0.1", listener.port, timeout=LIMIT_S) as client:
            client.ehlo()
            assert client.has_extn("starttls")
            assert client.has_extn("8bitmime")
            assert not client.has_extn("chunking"), "BDAT cannot be relayed"
            code, text = client.starttls(context=client_context(ca=certs.ca))
            assert (code, text[:5]) == (220, b"ready")
            client.ehlo()
            assert not client.has_extn("starttls")
            assert client.send_message(letter()) == {}
            assert isinstance(client.sock, ssl.SSLSocket)
        assert listener.codes() == [0]
        assert listener.wait_stderr(r"F=<ann@a.example> T=<bob@b.example>,<eve@b.example>,: 250 OK id=")
        assert not listener.living()
    check_received(exim, letter())


def test_smtplib_in_clear(exim: Exim, certs: Certs, ours: Program) -> None:
    with Listener(chain(ours, certs, exim.command)) as listener:
        with smtplib.SMTP("127.0.0.1", listener.port, timeout=LIMIT_S) as client:
            assert client.send_message(letter()) == {}
        assert listener.codes() == [0]
    check_received(exim, letter())


def test_two_messages_in_one_session(exim: Exim, certs: Certs, ours: Program) -> None:
    with Listener(chain(ours, certs, exim.command)) as listener:
        with smtplib.SMTP("127.0.0.1", listener.port, timeout=LIMIT_S) as client:
            client.send_message(letter())
            client.starttls(context=client_context())
            client.send_message(letter())
        assert listener.codes() == [0]
    assert len(exim.queued()) == 2
    assert listener.stderr.count("T=<bob@b.example>,<eve@b.example>,: 250 OK") == 2


def test_swaks(exim: Exim, certs: Certs, ours: Program, tmp_path: Path) -> None:
    swaks = require_peer("swaks")
    blob = tmp_path / "blob"
    blob.write_bytes(random.Random(8).randbytes(50_000))
    with Listener(chain(ours, certs, exim.command)) as listener:
        done = subprocess.run(
            [swaks, "--server", f"127.0.0.1:{listener.port}", "--from", "ann@a.example", "--to", "bob@b.example",
             "--helo", "client.example", "-tls", "--attach", f"@{blob}", "--body", "hello"],
            capture_output=True, text=True, timeout=30, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        assert "TLS started with cipher" in done.stdout
        assert re.search(r"<~  250 OK id=", done.stdout)
        assert listener.codes() == [0]
    (identity,) = exim.queued()
    assert exim.envelope(identity) == ("<ann@a.example>", ["bob@b.example"])
    parts = [part.get_payload(decode=True) for part in exim.message(identity).walk() if not part.is_multipart()]
    assert parts[0].strip() == b"hello"
    assert parts[1] == blob.read_bytes()


def test_openssl_s_client(exim: Exim, certs: Certs, ours: Program) -> None:
    openssl = require_peer("openssl")
    script = ("EHLO client.example\r\nMAIL FROM:<ann@a.example>\r\nRCPT TO:<bob@b.example>\r\nDATA\r\n"
              "Subject: from s_client\r\n\r\n..dot\r\nbye\r\n.\r\nQUIT\r\n")  # fmt: skip
    with Listener(chain(ours, certs, exim.command)) as listener:
        done = subprocess.run(
            [openssl, "s_client", "-starttls", "smtp", "-connect", f"127.0.0.1:{listener.port}", "-quiet",
             "-CAfile", certs.ca, "-verify_return_error"],
            input=script, capture_output=True, text=True, timeout=30, check=False,
        )  # fmt: skip
        assert "250 OK id=" in done.stdout, done.stdout + done.stderr
        assert listener.codes() == [0]
    (identity,) = exim.queued()
    message = exim.message(identity)
    assert message["Subject"] == "from s_client"
    assert message.get_payload().splitlines() == [".dot", "bye"]


def test_a_hundred_at_once(exim: Exim, certs: Certs, ours: Program) -> None:
    """100 concurrent STARTTLS sessions of 1 MiB each; all are queued, none differs."""
    count, size = 100, 1 << 20
    context = client_context(ca=certs.ca)
    failures: list[str] = []
    together = threading.Barrier(count)

    def text(number: int) -> bytes:
        line = hashlib.sha256(b"%d" % number).hexdigest().encode() + b"\r\n"
        return line * (size // len(line)) + b".last\r\n"

    def one(number: int) -> None:
        try:
            with smtplib.SMTP("127.0.0.1", listener.port, timeout=90) as client:
                client.starttls(context=context)
                # all sessions are open, and all under TLS, before any of them sends
                together.wait(90)
                client.sendmail(f"{number}@a.example", "bob@b.example", b"X: %d\r\n\r\n" % number + text(number))
        except Exception as error:  # each is reported below
            failures.append(f"{number}: {error!r}")
            together.abort()

    with Listener(chain(ours, certs, exim.command, "-T", "90")) as listener:
        threads = [threading.Thread(target=one, args=(number,)) for number in range(count)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(110)
        assert failures == []
        assert set(listener.codes(30)) == {0}
        assert not listener.living()
    queued = exim.queued()
    assert len(queued) == count
    seen = set()
    for identity in queued:
        number = int(exim.envelope(identity)[0].split("@")[0].strip("<"))
        data = next(exim.spool.glob(f"input/**/{identity}-D")).read_bytes().split(b"\n", 1)[1]
        assert data == text(number).replace(b"\r\n", b"\n")
        seen.add(number)
    assert seen == set(range(count))


def test_a_session_that_breaks_leaves_nothing(exim: Exim, certs: Certs, ours: Program) -> None:
    """The client resets the connection in the middle of its message: nothing is queued, no process stays."""
    with Listener(chain(ours, certs, exim.command)) as listener:
        client = smtplib.SMTP("127.0.0.1", listener.port, timeout=LIMIT_S)
        client.starttls(context=client_context())
        client.mail("ann@a.example")
        client.rcpt("bob@b.example")
        client.docmd("DATA")
        client.sock.sendall(b"Subject: half\r\n\r\n" + b"x\r\n" * 10000)
        client.close()
        assert listener.codes() == [111]
        assert not listener.living()
    assert exim.queued() == []
