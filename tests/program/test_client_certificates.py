"""-a and -U: who gets in, as whom prog runs, and how everybody else is refused."""

from __future__ import annotations

import os
import pwd
import ssl
import subprocess
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.x509.oid import NameOID

from tests.certs import Authority, Certs, certificate_pem, key_pem
from tests.harness import (
    Mailbox,
    Program,
    Wrapped,
    client_context,
    ending,
    needs_root,
    read_all,
    require_peer,
)
from tests.servers import relay_port

WHO = ["sh", "-c", "id -u; id -g; id -G"]
NOBODY = pwd.getpwnam("nobody")
AS_NOBODY = f"{NOBODY.pw_uid}\n{NOBODY.pw_gid}\n{NOBODY.pw_gid}\n".encode()


def options(certs: Certs, *more: object, anchor: Path | None = None) -> list[object]:
    return ["-v", "-a", anchor or certs.client_ca, *more, "-f", certs.server("p256")]


def admitted(
    program: Program, arguments: list[object], pem: Path, context: ssl.SSLContext | None = None
) -> bytes:
    """Connect with this certificate; give what the wrapped `id` said. Checks code 0 and a clean end."""
    with Wrapped(arguments, WHO, program=program, cwd="/") as w:  # type: ignore[arg-type]
        with w.tls(context or client_context(certificate=pem)) as tls:
            data, how = ending(tls)
        assert how == "close_notify"
        assert w.wait() == 0
        assert w.texts("fatal", "error", "warning") == []
    return data


def refused(program: Program, arguments: list[object], pem: Path | None, mailbox: Mailbox) -> Wrapped:
    """Connect with this certificate, in vain: no data, 111, prog never ran."""
    prog = ["sh", "-c", f"id -u > {mailbox.path}; echo ran"]
    with Wrapped(arguments, prog, program=program, cwd="/") as w:  # type: ignore[arg-type]
        try:
            with w.tls(client_context(certificate=pem)) as tls:
                assert read_all(tls) == b""
        except OSError:
            pass
        assert w.wait() == 111
        assert w.no_process_left()
    assert mailbox.empty()
    return w


# --- -a ---


@pytest.mark.parametrize("kind", ["rsa2048", "rsa4096", "p256", "p384", "p521"])
@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1, ssl.TLSVersion.TLSv1_2])
def test_a_trusted_certificate_gets_in(
    program: Program, certs: Certs, kind: str, version: ssl.TLSVersion
) -> None:
    """Without -U prog runs with the wrapper's own user."""
    pem = certs.client("someone", kind=kind)
    arguments = options(certs, "-m", "tls10", "-c", "AES_128_CBC_SHA", "-c", "AES_128_GCM_SHA256")
    context = client_context(certificate=pem, maximum=version)
    assert admitted(program, arguments, pem, context).startswith(b"%d\n" % os.getuid())


@pytest.mark.parametrize("kind", ["rsa2048", "p384", "p521"])
def test_other_kinds_of_authority(program: Program, certs: Certs, kind: str) -> None:
    anchor = certs.anchor(f"client-{kind}", kind)
    admitted(program, options(certs, anchor=anchor), certs.client("x", authority=f"client-{kind}"))


@pytest.mark.parametrize("count", [2, 16])
def test_any_of_several_anchors(program: Program, certs: Certs, tmp_path: Path, count: int) -> None:
    anchors = [certs.anchor(f"crowd{number}").read_text() for number in range(count - 1)]
    anchor = tmp_path / "anchors.pem"
    anchor.write_text("".join([*anchors, "a comment\n", certs.client_ca.read_text()]))
    admitted(program, options(certs, anchor=anchor), certs.client("x"))
    admitted(program, options(certs, anchor=anchor), certs.client("x", authority="crowd0"))


def test_a_leaf_as_anchor_is_trusted_directly(program: Program, certs: Certs, mailbox: Mailbox) -> None:
    pem = certs.client("x", authority="nobody trusts")
    anchor = certs.folder / "direct.pem"
    anchor.write_text("-----BEGIN CERT" + pem.read_text().split("-----BEGIN CERT")[1])
    admitted(program, options(certs, anchor=anchor), pem)
    refused(program, options(certs, anchor=anchor), certs.client("y", authority="nobody trusts"), mailbox)


def test_an_intermediate(program: Program, certs: Certs, tmp_path: Path) -> None:
    middle = Authority(certs.key("p256", 78), "client intermediate")
    middle.certificate = certs.authority("client").issue(middle.key, middle.certificate.subject, is_ca=True)
    key = certs.key("p256", 501)
    leaf = middle.issue(key, x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "x")]))
    pem = tmp_path / "client.pem"
    pem.write_text(key_pem(key) + certificate_pem(leaf) + certificate_pem(middle.certificate))
    admitted(program, options(certs), pem)


def test_the_anchors_names_are_sent(program: Program, certs: Certs) -> None:
    openssl = require_peer("openssl")
    with Wrapped(options(certs), ["true"], program=program) as w:
        with relay_port(w.client) as port:
            done = subprocess.run(
                [openssl, "s_client", "-connect", f"127.0.0.1:{port}", "-tls1_2"],
                input=b"",
                capture_output=True,
                timeout=10,
                check=False,
            )
        assert b"Acceptable client certificate CA names\nCN = throw-away client authority\n" in done.stdout


OUTSIDERS = {
    "none": None,
    "untrusted": {"authority": "nobody trusts"},
    "expired": {"days": (-30, -1)},
    "not yet valid": {"days": (2, 30)},
}


@pytest.mark.parametrize("who", OUTSIDERS)
@pytest.mark.parametrize("more", [[], ["-U", "commonName"]], ids=["-a", "-a -U"])
def test_outsiders(program: Program, certs: Certs, mailbox: Mailbox, who: str, more: list[str]) -> None:
    subject = OUTSIDERS[who]
    pem = certs.client("nobody", **subject) if subject is not None else None
    w = refused(program, options(certs, *more), pem, mailbox)
    assert w.texts("fatal", "info") == []
    if program.ours:  # the original closes in silence; we say why
        with Wrapped(options(certs, *more), ["true"], program=program) as w:
            failure = w.handshake_fails(client_context(certificate=pem))
            assert "ALERT" in (getattr(failure, "reason", None) or ""), failure


def test_a_self_signed_certificate(program: Program, certs: Certs, mailbox: Mailbox, tmp_path: Path) -> None:
    """Also one that borrows the anchor's name."""
    for name in ("nobody", "throw-away client authority"):
        own = Authority(certs.key("p256", 79), name)
        pem = tmp_path / "own.pem"
        pem.write_text(key_pem(own.key) + certificate_pem(own.certificate))
        refused(program, options(certs), pem, mailbox)


# --- -U ---

USERS = [
    ("commonName", {"common_name": "nobody"}),
    ("commonName", {"common_name": "nobody@example.org"}),
    ("commonName", {"common_name": "nobody@a@b"}),
    ("commonName", {"common_name": "nobody@"}),
    ("commonName", {"common_name": "nobody", "email": "root@example.org"}),
    ("emailAddress", {"common_name": "root", "email": "nobody@example.org"}),
    ("emailAddress", {"common_name": None, "email": "nobody"}),
]


@needs_root
@pytest.mark.parametrize(("field", "subject"), USERS, ids=str)
def test_prog_runs_as_the_certificates_user(
    program: Program, certs: Certs, field: str, subject: dict[str, str]
) -> None:
    assert admitted(program, options(certs, "-U", field), certs.client(**subject)) == AS_NOBODY


@needs_root
def test_the_users_names_are_set(program: Program, certs: Certs) -> None:
    with Wrapped(options(certs, "-vv", "-U", "commonName"), ["env", "-0"], program=program, cwd="/") as w:
        with w.tls(client_context(certificate=certs.client("nobody"))) as tls:
            seen = dict(item.split("=", 1) for item in read_all(tls).decode().split("\0") if item)
        assert [seen[name] for name in ("USER", "LOGNAME", "HOME", "SHELL")] == [
            "nobody",
            "nobody",
            NOBODY.pw_dir,
            NOBODY.pw_shell,
        ]
        w.wait()
        assert "commonName from the client certificate 'nobody'" in w.texts("debug")


@needs_root
def test_an_absent_field(program: Program, certs: Certs, mailbox: Mailbox) -> None:
    for field, subject in (
        ("emailAddress", {"common_name": "nobody"}),
        ("commonName", {"common_name": None, "email": "nobody@x"}),
    ):
        w = refused(program, options(certs, "-U", field), certs.client(**subject), mailbox)
        assert w.texts("fatal") == [
            f"unable to extract ASN.1 object {field} from client certificate: object not found"
        ]


@needs_root
@pytest.mark.parametrize("name", ["no-such-account", "no-such-account@nobody", "NOBODY", " nobody", "65534"])
def test_an_unknown_account(program: Program, certs: Certs, mailbox: Mailbox, name: str) -> None:
    account = name.split("@", maxsplit=1)[0]
    w = refused(program, options(certs, "-U", "commonName"), certs.client(name), mailbox)
    assert w.texts("fatal") == [f"unable to drop privileges to '{account}'"]
    assert f"getpwnam for account '{account}' failed" in w.texts("error")


NEVER = {
    "empty before the @": "@foo",
    "only an @": "@",
    "root": "root",
    "root with a host": "root@example.org",
    "over-long": "nobody" + "x" * 300,
    "over-long host": "nobody@" + "x" * 300,
    "256 bytes": "x" * 256,
    "a NUL": "nobody\0root",
    "an LF": "nobody\nroot",
}


@needs_root
@pytest.mark.parametrize("field", ["commonName", "emailAddress"])
@pytest.mark.parametrize("case", NEVER)
def test_these_names_never_run_prog(
    ours: Program, certs: Certs, mailbox: Mailbox, field: str, case: str
) -> None:
    """The original runs prog as root for the first."""
    try:
        subject = {"common_name": NEVER[case]} if field == "commonName" else {"email": NEVER[case]}
        pem = certs.client(**subject)
    except ValueError:
        pytest.skip("this certificate library does not make such a name")
    w = refused(ours, options(certs, "-U", field), pem, mailbox)
    assert len(w.texts("fatal")) == 1


@needs_root
def test_with_u_as_well_the_second_drop_fails(program: Program, certs: Certs, mailbox: Mailbox) -> None:
    w = refused(program, options(certs, "-U", "commonName", "-u", "daemon"), certs.client("nobody"), mailbox)
    assert w.texts("fatal") == ["unable to drop privileges to 'daemon'"]
