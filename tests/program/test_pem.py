"""PEM files: what is accepted, and what every kind of bad file gives: its line, 111, and prog never runs."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.certs import Certs, certificate_pem, key_pem
from tests.harness import Mailbox, Program, Wrapped, client_context, ending, read_all

CERTIFICATE = "unable to obtain certificate(s) from the PEM file '{}'"
SECRET = "unable to obtain secret-key from the PEM file '{}'"


def block(label: str, body: str) -> str:
    return f"-----BEGIN {label}-----\n{body}\n-----END {label}-----\n"


def one_line(pem: str) -> str:
    """The same object with its base64 on a single line."""
    lines = pem.splitlines()
    return "\n".join([lines[0], "".join(lines[1:-1]), lines[-1]]) + "\n"


class Parts:
    """The halves that the tables combine."""

    def __init__(self, certs: Certs) -> None:
        self.key, self.cert = certs.parts("p256")
        self.key2, self.cert2 = certs.parts("p256", number=1)
        self.rsa_key, self.rsa_cert = certs.parts("rsa2048")
        self.old_key = certs.parts("p256", form="traditional")[0]
        self.old_rsa_key = certs.parts("rsa2048", form="traditional")[0]
        self.certs = certs

    def foreign(self, kind: str) -> tuple[str, str]:
        return self.certs.parts(kind)


Build = Callable[[Parts], str]

NO_CERT = "no PEM public-object in '{}'"
BENT_CERT = "malformed PEM public-object in '{}'"
CERT_DER = "unable to decode public-key, err="
NO_KEY = "no PEM secret-object in '{}'"
BENT_KEY = "malformed PEM secret-object in '{}'"
KEY_DER = "unable to decode secret-key, err="
MANY_KEYS = "too many secret-keys in '{}'"
MANY_CERTS = "too many public PEM certificates in '{}'"
BEGIN = "-----BEGIN CERTIFICATE-----\n"

# name, text, the fatal line, the error line that -v adds (a prefix; None: not fixed by the contract)
BAD: list[tuple[str, Build, str, str | None]] = [
    ("empty", lambda p: "", CERTIFICATE, NO_CERT),
    ("text only", lambda p: "hello\n", CERTIFICATE, NO_CERT),
    ("NUL bytes", lambda p: "\0" * 5000, CERTIFICATE, NO_CERT),
    ("key only", lambda p: p.key, CERTIFICATE, NO_CERT),
    ("certificate only", lambda p: p.cert, SECRET, NO_KEY),
    ("two keys", lambda p: p.key + p.cert + p.key2, SECRET, MANY_KEYS),
    ("the key twice", lambda p: p.key + p.key + p.cert, SECRET, MANY_KEYS),
    ("encrypted key", lambda p: block("ENCRYPTED PRIVATE KEY", "AAAA") + p.cert, SECRET, NO_KEY),
    ("truncated certificate", lambda p: p.key + p.cert[:200], CERTIFICATE, BENT_CERT),
    ("truncated key", lambda p: p.cert + p.key[:100], SECRET, BENT_KEY),
    ("extra BEGIN", lambda p: p.key + BEGIN + p.cert, CERTIFICATE, BENT_CERT),
    ("extra BEGIN of a key", lambda p: "-----BEGIN PRIVATE KEY-----\n" + p.key + p.cert, SECRET, BENT_KEY),
    ("bad base64", lambda p: p.key + p.cert.replace("MII", "M!I", 1), CERTIFICATE, BENT_CERT),
    ("bad DER", lambda p: p.key + block("CERTIFICATE", "AAAA"), CERTIFICATE, CERT_DER),
    ("bad DER in the chain", lambda p: p.key + p.cert + block("CERTIFICATE", "AAAA"), CERTIFICATE, CERT_DER),
    ("bad key DER", lambda p: p.cert + block("PRIVATE KEY", "AAAA"), SECRET, KEY_DER),
    ("Ed25519", lambda p: "".join(p.foreign("ed25519")), CERTIFICATE, CERT_DER),
    ("P-224", lambda p: "".join(p.foreign("p224")), CERTIFICATE, CERT_DER),
    ("Ed25519 in the chain", lambda p: p.key + p.cert + p.foreign("ed25519")[1], CERTIFICATE, CERT_DER),
    ("17 certificates", lambda p: p.key + p.cert * 17, CERTIFICATE, MANY_CERTS),
    ("TRUSTED CERTIFICATE", lambda p: p.key + p.cert.replace(" CERT", " TRUSTED CERT"), CERTIFICATE, NO_CERT),
]  # fmt: skip

# The original notices these only by a signature that the client finds bad; we check before that.
MISMATCHED: list[tuple[str, Build]] = [
    ("another key of the curve", lambda p: p.key2 + p.cert),
    ("RSA certificate, EC key", lambda p: p.key + p.rsa_cert),
    ("EC certificate, RSA key", lambda p: p.rsa_key + p.cert),
    ("the second certificate's key", lambda p: p.key2 + p.cert + p.cert2),
]

GOOD: list[tuple[str, Build]] = [
    ("key first", lambda p: p.key + p.cert),
    ("certificate first", lambda p: p.cert + p.key),
    ("key between", lambda p: p.cert + p.key + p.cert2),
    ("no final line end", lambda p: (p.key + p.cert).rstrip("\n")),
    ("CRLF", lambda p: (p.key + p.cert).replace("\n", "\r\n")),
    ("CR", lambda p: (p.key + p.cert).replace("\n", "\r")),
    ("blank lines", lambda p: "\n\n" + p.key + "\n \n" + p.cert + "\n"),
    ("text around", lambda p: "subject=x\n" + p.cert + "Key Attributes: none\n" + p.key + "bye\n"),
    ("X509 CERTIFICATE", lambda p: p.key + p.cert.replace("CERTIFICATE", "X509 CERTIFICATE")),
    ("EC PRIVATE KEY", lambda p: p.old_key + p.cert),
    ("RSA PRIVATE KEY", lambda p: p.old_rsa_key + p.rsa_cert),
    ("EC PARAMETERS", lambda p: block("EC PARAMETERS", "BggqhkjOPQMBBw==") + p.old_key + p.cert),
    ("16 certificates", lambda p: p.key + p.cert * 16),
]
GOOD_OURS: list[tuple[str, Build]] = [
    ("long comment", lambda p: "# " + "x" * 5000 + "\n" + p.key + p.cert),
    ("comment of 65", lambda p: "x" * 65 + "\n" + p.key + p.cert),
    ("base64 on one line", lambda p: one_line(p.key) + one_line(p.cert)),
    ("lines of 76", lambda p: p.key + rewrap(p.cert, 76)),
    ("blank after BEGIN", lambda p: (p.key + p.cert).replace("-----\n", "----- \n")),
    ("tab after BEGIN", lambda p: (p.key + p.cert).replace("-----\n", "-----\t\n")),
    ("bag attributes", lambda p: "Bag Attributes\n    localKeyID: " + "0A " * 40 + "\n" + p.key + p.cert),
]  # fmt: skip


def rewrap(pem: str, width: int) -> str:
    lines = pem.splitlines()
    body = "".join(lines[1:-1])
    pieces = [body[at : at + width] for at in range(0, len(body), width)]
    return "\n".join([lines[0], *pieces, lines[-1]]) + "\n"


def names(table: list[tuple]) -> list[str]:
    return [row[0] for row in table]


@pytest.fixture
def parts(certs: Certs) -> Parts:
    return Parts(certs)


@pytest.mark.parametrize(("name", "build"), GOOD, ids=names(GOOD))
def test_a_good_file(program: Program, parts: Parts, tmp_path: Path, name: str, build: Build) -> None:
    serves(program, tmp_path, build(parts))


@pytest.mark.parametrize(("name", "build"), GOOD_OURS, ids=names(GOOD_OURS))
def test_what_the_original_loses(
    ours: Program, parts: Parts, tmp_path: Path, name: str, build: Build
) -> None:
    """Lines of any length, comments and blank-terminated BEGIN lines: accepted here."""
    serves(ours, tmp_path, build(parts))


def serves(program: Program, folder: Path, text: str) -> None:
    pem = folder / "pem"
    pem.write_text(text, newline="")
    with Wrapped(["-v", "-f", pem], ["echo", "ran"], program=program) as w:
        with w.tls() as tls:
            assert read_all(tls) == b"ran\n"
        assert w.wait() == 0
        assert w.texts("fatal", "error", "warning") == []


@pytest.mark.parametrize(("name", "build", "fatal", "error"), BAD, ids=names(BAD))
@pytest.mark.parametrize("place", ["file", "directory"])
def test_a_bad_file(
    program: Program,
    parts: Parts,
    tmp_path: Path,
    mailbox: Mailbox,
    name: str,
    build: Build,
    fatal: str,
    error: str | None,
    place: str,
) -> None:
    """The fatal line names the file at the default level; -v adds what is wrong; prog never runs."""
    (tmp_path / "d").mkdir()
    pem = tmp_path / "d" / "test.example"
    pem.write_text(build(parts), newline="")
    options = ["-f", pem] if place == "file" else ["-d", pem.parent]
    if name.startswith("Ed25519") and program.ours:     # such a key is good for TLS 1.3
        options = ["-M", "tls12", *options]
    prog = ["sh", "-c", f"echo ran > {mailbox.path}"]
    for level in ("-Q", "-v"):
        with Wrapped([level, *options], prog, program=program) as w:
            failure = w.handshake_fails(sni="test.example")
            if program.ours:  # the original closes in silence on key errors
                assert "ALERT" in (getattr(failure, "reason", None) or ""), failure
            assert w.wait() == 111
            assert w.texts("fatal") == [fatal.format(pem)]
            if level == "-Q":
                assert w.texts() == [fatal.format(pem)]
            elif error:
                texts = w.texts("error")
                assert len(texts) == 1 and texts[0].startswith(error.format(pem))
            assert w.no_process_left()
    assert mailbox.empty()


@pytest.mark.parametrize(("name", "build"), MISMATCHED, ids=names(MISMATCHED))
def test_a_key_of_another_certificate(
    program: Program, parts: Parts, tmp_path: Path, mailbox: Mailbox, name: str, build: Build
) -> None:
    """111 and no prog in both; ours says which file, sends an alert, and never a wrong signature."""
    pem = tmp_path / "pem"
    pem.write_text(build(parts))
    prog = ["sh", "-c", f"echo ran > {mailbox.path}"]
    with Wrapped(["-f", pem], prog, program=program) as w:
        failure = w.handshake_fails()
        assert w.wait() == 111
        if program.ours:
            assert "ALERT" in (getattr(failure, "reason", None) or ""), failure
            assert w.texts("fatal") in ([CERTIFICATE.format(pem)], [SECRET.format(pem)])
    assert mailbox.empty()


# --- several entries ---

BROKEN = [(name, build) for name, build, _, _ in BAD] + MISMATCHED


@pytest.mark.parametrize(("name", "build"), BROKEN, ids=names(BROKEN))
def test_a_broken_entry_is_skipped(
    ours: Program, parts: Parts, certs: Certs, tmp_path: Path, name: str, build: Build
) -> None:
    """It is logged, and a later entry serves; at the default level the connection is no failure."""
    pem = tmp_path / "bad.pem"
    pem.write_text(build(parts), newline="")
    options = ["-M", "tls12", "-v"] if name.startswith("Ed25519") else ["-v"]
    with Wrapped([*options, "-f", pem, "-f", certs.server("p384")], ["echo", "ran"], program=ours) as w:
        with w.tls() as tls:
            assert served(tls) == certs.leaf("p384")
            assert read_all(tls) == b"ran\n"
        assert w.wait() == 0
        assert any(str(pem) in text for text in w.texts())


def test_all_broken_is_a_failure(ours: Program, parts: Parts, tmp_path: Path) -> None:
    files = []
    for number, (_, build) in enumerate(BROKEN[:4]):
        files.append(tmp_path / f"bad{number}.pem")
        files[-1].write_text(build(parts), newline="")
    options = [item for pem in files for item in ("-f", pem)]
    with Wrapped(options, ["echo", "ran"], program=ours) as w:
        w.handshake_fails()
        assert w.wait() == 111
        fatals = w.texts("fatal")
        assert fatals and all(any(str(pem) in text for pem in files) for text in fatals)


def test_an_unreadable_entry_is_skipped(ours: Program, certs: Certs, tmp_path: Path) -> None:
    """A file that vanishes between the option check and the client's hello."""
    pem = tmp_path / "gone.pem"
    pem.write_bytes(certs.server("p256").read_bytes())
    with Wrapped(["-vv", "-f", pem, "-f", certs.server("p384")], ["echo", "ran"], program=ours) as w:
        assert w.wait_stderr("debug: 127.0.0.1: start")
        pem.unlink()
        with w.tls() as tls:
            assert served(tls) == certs.leaf("p384")
        assert w.wait() == 0


def served(tls: ssl.SSLSocket) -> object:
    """The certificate the server showed."""
    from cryptography import x509

    der = tls.getpeercert(binary_form=True)
    assert der
    return x509.load_der_x509_certificate(der)


ORDER = [
    (["rsa2048", "p256"], None, "rsa2048"),
    (["p256", "rsa2048"], None, "p256"),
    (["rsa2048", "p256"], "aECDSA", "p256"),
    (["p256", "rsa2048"], "aRSA", "rsa2048"),
    (["p256", "p384", "rsa2048", "rsa3072"], "aRSA", "rsa2048"),
    (["p521", "p384", "p256"], None, "p521"),
]


@pytest.mark.parametrize(("kinds", "ciphers", "expected"), ORDER, ids=str)
def test_the_first_that_fits_is_served(
    program: Program, certs: Certs, kinds: list[str], ciphers: str | None, expected: str
) -> None:
    """The order of entries beats the order of ciphers."""
    options = [item for kind in kinds for item in ("-f", certs.server(kind))]
    with (
        Wrapped(options, ["echo", "ran"], program=program) as w,
        w.tls(client_context(ciphers=ciphers)) as tls,
    ):
        assert served(tls) == certs.leaf(expected)
        assert read_all(tls) == b"ran\n"


def test_nothing_fits(program: Program, certs: Certs) -> None:
    with Wrapped(["-vv", "-f", certs.server("p256")], ["true"], program=program) as w:
        failure = w.handshake_fails(client_context(ciphers="aRSA"))
        assert getattr(failure, "reason", "") == "SSLV3_ALERT_HANDSHAKE_FAILURE"
        assert w.wait() == 111
        level = "debug" if program.ours else "error"
        assert "no usable PEM certificate" in w.texts(level)


# --- when a file is read, and which ---


def test_a_renewed_file_serves_the_next_connection(program: Program, certs: Certs, tmp_path: Path) -> None:
    """No signal, no restart; even a wrapper that has started takes the file as it is at the hello."""
    pem = tmp_path / "pem"
    for number in (0, 1):
        pem.write_bytes(certs.server("p256", number=number).read_bytes())
        with Wrapped(["-f", pem], ["true"], program=program) as w, w.tls() as tls:
            assert served(tls) == certs.leaf("p256", number=number)
    with Wrapped(["-vv", "-f", pem], ["true"], program=program) as w:
        assert w.wait_stderr("debug: 127.0.0.1: start")
        fresh = tmp_path / "fresh"
        fresh.write_bytes(certs.server("p256", number=0).read_bytes())
        fresh.rename(pem)
        with w.tls() as tls:
            assert served(tls) == certs.leaf("p256", number=0)


def test_a_relative_path(program: Program, certs: Certs, tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "pem").write_bytes(certs.server("p256").read_bytes())
    for path in ("pem", "./pem", "sub/../pem" if program.ours else "pem"):
        with Wrapped(["-f", path], ["true"], program=program, cwd=tmp_path) as w, w.tls() as tls:
            assert served(tls) == certs.leaf("p256")


@pytest.mark.parametrize(
    "path", [".hidden/pem", "a/../.hidden/pem", "a/./b/pem", "../../{top}/.hidden/pem", "a//b/pem"]
)
@pytest.mark.parametrize("absolute", [False, True], ids=["relative", "absolute"])
def test_an_accepted_path_is_the_path_opened(
    ours: Program, certs: Certs, tmp_path: Path, path: str, absolute: bool
) -> None:
    """The original rewrites dots after slashes in it, and fails at the first client."""
    for folder in (".hidden", "a/b"):
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / "pem").write_bytes(certs.server("p256").read_bytes())
        (tmp_path / folder / "test.example").write_bytes(certs.server("p384").read_bytes())
    path = path.format(top=f"{tmp_path.parent.name}/{tmp_path.name}")
    full = f"{tmp_path}/{path}" if absolute else path
    with Wrapped(["-f", full], ["true"], program=ours, cwd=tmp_path) as w, w.tls() as tls:
        assert served(tls) == certs.leaf("p256")
    folder = full.removesuffix("/pem")
    with Wrapped(["-d", folder], ["true"], program=ours, cwd=tmp_path) as w, w.tls(sni="test.example") as tls:
        assert served(tls) == certs.leaf("p384")


def test_the_chain_is_sent_in_file_order(program: Program, certs: Certs, tmp_path: Path) -> None:
    """A client that knows only the root verifies through the intermediate in the file."""
    from cryptography import x509
    from cryptography.x509.oid import NameOID

    from tests.certs import Authority

    middle = Authority(certs.key("p256", 77), "throw-away intermediate")
    middle.certificate = certs.authority("server").issue(middle.key, middle.certificate.subject, is_ca=True)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test.example")])
    leaf = middle.issue(certs.key("rsa2048"), subject, ["test.example"])
    pem = tmp_path / "pem"
    pem.write_text(
        certificate_pem(leaf) + key_pem(certs.key("rsa2048")) + certificate_pem(middle.certificate)
    )
    context = client_context(ca=certs.ca)
    context.check_hostname = True
    with Wrapped(["-f", pem], ["echo", "ran"], program=program) as w, w.tls(context, "test.example") as tls:
        assert ending(tls) == (b"ran\n", "close_notify")
