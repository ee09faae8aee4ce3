"""What a client takes of a TLS 1.3 server that keeps the rules, and what it says itself: KeyUpdate, ends, its key."""

from __future__ import annotations

import datetime
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ed25519
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from tests.wire.messages import message, u16, vec
from tests.wire.names import FATAL, MAX_PLAIN, WARNING, Alert, Ext, Group, Msg, Record
from tests.wire.records import Refused

from .material import Material
from .schedule13 import CHAPOL13, GCM128, GCM256
from .scripted import POISON, WireRow, identity, run
from .server13 import COOKIE, ENCRYPTED_EXTENSIONS, Server13, block
from .test_memory import hooked
from .test_wire13 import Act, flight, row
from .tlsc import Tlsc


def hello_data(s: Server13) -> None:
    s.send_data(b"hello")


def served(*steps: Act, **how: object) -> Act:
    """The handshake, these, and data."""

    def act(s: Server13) -> None:
        s.handshake(**how)  # type: ignore[arg-type]
        for step in steps:
            step(s)
        hello_data(s)

    return act


def with_retry(group: int, cookie: bytes = b"", spec: bool = False) -> Act:
    def act(s: Server13) -> None:
        s.read_hello()
        s.send_retry(group, cookie=cookie)
        if spec:
            s.send_raw(s.frame(Record.CCS, b"\1"))
        second = s.read_hello()
        assert (COOKIE in second.extensions) == bool(cookie)
        assert not cookie or second.extensions[COOKIE] == vec(2, cookie)
        assert list(s.shares) == [s.group]
        assert s.specs == 1, "a ChangeCipherSpec before the second ClientHello"
        s.send_flight()
        s.read_flight()
        hello_data(s)

    return act


def in_pieces(size: int) -> Act:
    """Handshake messages in records of this size, padded."""

    def act(s: Server13) -> None:
        s.read_hello()
        s.send_hello()
        whole = bytearray()
        for make in (lambda: message(ENCRYPTED_EXTENSIONS, b"\0\0"), s.certificate_message,
                     lambda: message(Msg.CERTIFICATE_VERIFY, s.verify_body()),
                     lambda: message(Msg.FINISHED, s.finished_body())):  # fmt: skip
            one = make()
            s.transcript += one
            whole += one
        for at in range(0, len(whole), size):
            s.send_raw(s.seal_inner(bytes(whole[at : at + size]) + b"\x16" + bytes(7)))
        s.secrets.finish(bytes(s.transcript))
        s.write_under(s.secrets.server_application)
        s.read_flight()
        hello_data(s)

    return act


def with_specs(s: Server13) -> None:
    """A ChangeCipherSpec wherever one may come."""
    spec = s.frame(Record.CCS, b"\1")
    s.read_hello()
    s.send_raw(spec)
    s.send_hello()
    for step in ("extensions", "certificate", "verify"):
        s.send_raw(spec)
        getattr(s, f"send_{step}")()
    s.send_raw(spec)
    s.send_finished()
    s.read_flight()
    hello_data(s)


def updated(requested: int) -> Act:
    def act(s: Server13) -> None:
        for _ in range(5):
            s.send_update(requested)
            s.send_data(b"")

    return act


SERVED = [
    *(row(f"suite-{suite:x}-{kind}", served(), suite=suite, certificate=kind)
      for suite in (CHAPOL13, GCM128, GCM256) for kind in ("p256", "p384", "p521", "rsa2048")),
    *(row(f"pss-{scheme:x}", served(scheme=scheme), certificate="rsa2048") for scheme in (0x0804, 0x0805, 0x0806)),
    *(row(f"retry-{group.name.lower()}", with_retry(group), suite=suite) for group, suite in (
        (Group.SECP256R1, GCM128), (Group.SECP384R1, GCM256), (Group.SECP521R1, CHAPOL13))),
    row("retry-cookie", with_retry(0, b"a cookie")),
    row("retry-both", with_retry(Group.SECP256R1, b"c" * 1000, spec=True)),
    row("in-pieces-of-1", in_pieces(1)),
    row("in-pieces-of-100", in_pieces(100)),
    row("in-one-piece", in_pieces(16000)),
    row("ccs-everywhere", with_specs),
    row("server-name", served(extensions=[(Ext.SERVER_NAME, b"")])),
    row("groups", served(extensions=[(Ext.SUPPORTED_GROUPS, vec(2, u16(29) + u16(0x6A6A)))])),
    row("request-of-unknown-extensions", flight("extensions", lambda s: s.send_request(
        b"\0" + block([(0x1234, b"x"), (13, vec(2, u16(0x0999) + u16(0x0403)))])), "certificate", "verify", "finished",
        lambda s: s.read_flight(), hello_data)),
    row("request-without-an-identity", served(request=True)),
    row("tickets", served(*[lambda s: s.send(Record.HANDSHAKE, s.ticket(bytes(1000)) + s.ticket())] * 3)),
    row("ticket-large", served(lambda s: s.send_pieces(s.ticket(bytes(65000))))),
    row("ticket-in-pieces", served(lambda s: s.send_pieces(s.ticket(), 3))),
    row("update", served(updated(0))),
    row("padded-data", served(lambda s: s.send_raw(s.seal_inner(b"\x17" + bytes(1000))))),
    row("user-canceled", served(lambda s: s.send_alert(Alert.USER_CANCELED, WARNING))),
]  # fmt: skip


@pytest.mark.parametrize("row", SERVED, ids=lambda row: row.name)
def test_served(row: WireRow, material: Material) -> None:
    assert run(WireRow(**{**vars(row), "data": b"hello"}), material) == []


@pytest.mark.parametrize("level", [WARNING, FATAL])
def test_every_alert_but_two_is_an_end(material: Material, level: int) -> None:
    """Whatever its level says (section 6)."""
    with Tlsc(["-k", "localhost"], ["cat", "/dev/fd/6"], env={"CAFILE": material.path("ca")}) as tlsc:
        server = Server13(tlsc.peer, identity(material.path("p256").read_text()))
        server.read_hello()
        server.send_hello()
        server.send_alert(Alert.UNRECOGNIZED_NAME, level)
        assert tlsc.wait() == 98
        assert "during the handshake: alert unrecognized_name received" in tlsc.stderr


def test_key_updates_both_ways(material: Material) -> None:
    """Asked for its own KeyUpdate the client sends it before its next data, once for many requests (section 4.6.3)."""
    prog = ["sh", "-c", "cat <&6 >&7"]
    with Tlsc(["-S", "-k", "localhost"], prog, env={"CAFILE": material.path("ca")}) as tlsc:
        server = Server13(tlsc.peer, identity(material.path("p256").read_text()), suite=GCM256)
        server.handshake()
        for round_ in range(5):
            for _ in range(3):
                server.send_update(1)
            server.send_data(b"hello %d" % round_)
            server.read_update()
            assert server.read_data(7) == b"hello %d" % round_
        server.send_update(0)
        server.send_data(b"no more")
        assert server.read_data(7) == b"no more"
        assert server.close() == "eof"
        assert tlsc.wait() == 0
        assert tlsc.stderr == ""


@pytest.mark.parametrize("suite", [CHAPOL13, GCM128, GCM256])
def test_key_update_at_the_limit(material: Material, suite: int) -> None:
    """A key that has sealed as much as it may is followed by the next (section 5.5); here after a hundred records."""
    size, most, updates = 4_000_000, 100, 0
    env = {"CAFILE": material.path("ca"), "BEARWRAP_TEST_RECORDS": str(most)}
    prog = ["sh", "-c", f"head -c {size} /dev/zero >&7"]
    with Tlsc(["-S", "-k", "localhost"], prog, env=env, executable=hooked()) as tlsc:
        server = Server13(tlsc.peer, identity(material.path("p256").read_text()), suite=suite)
        server.handshake()
        with pytest.raises(Refused):  # by close_notify, before which another KeyUpdate may come
            while True:
                server.read_update()
                updates += 1
        assert [alert.description for alert in server.alerts] == [Alert.CLOSE_NOTIFY]
        assert not any(server.data) and len(server.data) == size
        assert updates >= size // MAX_PLAIN // most
        kinds = bytes(frame.kind for frame in server.seen if frame.sealed)
        assert max(map(len, kinds.split(bytes([Record.HANDSHAKE])))) + 1 < most, "with the KeyUpdate"
        assert server.close() == "eof"
        assert (tlsc.wait(), tlsc.stderr) == (0, "")


@pytest.mark.parametrize("limit", [64, 100, 1000, 16385])
def test_record_size_limit(material: Material, limit: int) -> None:
    """No record of ours holds more than the server can take, our handshake messages included (RFC 8449)."""
    env = {
        "CAFILE": material.path("ca"), "CERTFILE": material.path("cert_rsa"), "KEYFILE": material.path("key_rsa"),
    }  # fmt: skip
    prog = ["sh", "-c", "cat <&6 >&7"]
    with Tlsc(["-S", "-y", "-k", "localhost"], prog, env=env) as tlsc:
        server = Server13(tlsc.peer, identity(material.path("p256").read_text()))
        server.handshake(request=True, extensions=[(Ext.RECORD_SIZE_LIMIT, u16(limit))])
        server.send_data(b"x" * 20000)
        assert server.read_data(20000) == b"x" * 20000
        sizes = [len(frame.plain) for frame in server.seen if frame.sealed]
        assert max(sizes) <= limit - 1
        assert max(sizes) == min(limit - 1, MAX_PLAIN) or limit > 16000
        assert server.close() == "eof"
        assert tlsc.wait() == 0


@pytest.mark.parametrize("own", ["p256", "rsa", "ed25519"])
@pytest.mark.parametrize("suite", [CHAPOL13, GCM256])
def test_our_own_certificate(material: Material, own: str, suite: int, tmp_path: Path) -> None:
    """Certificate and CertificateVerify, which the scripted server checks."""
    if own == "ed25519":
        pair = ed25519_pair(tmp_path)
    else:
        pair = {"KEYFILE": material.path(f"key_{own}"), "CERTFILE": material.path(f"cert_{own}")}
    with Tlsc(["-y", "-k", "localhost"], ["cat", "/dev/fd/6"], env={"CAFILE": material.path("ca"), **pair}) as tlsc:
        server = Server13(tlsc.peer, identity(material.path("p256").read_text()), suite=suite)
        server.handshake(request=True)
        assert len(server.client_chain) == 1
        assert server.client_scheme == {"p256": 0x0403, "rsa": 0x0804, "ed25519": 0x0807}[own]
        server.send_data(b"hello")
        assert server.close() == "eof"
        assert (tlsc.wait(), tlsc.stdout) == (0, b"hello")


def ed25519_pair(folder: Path) -> dict[str, Path]:
    """KEYFILE and CERTFILE of a self-signed Ed25519 certificate."""
    key = ed25519.Ed25519PrivateKey.generate()
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "somebody")])
    now = datetime.datetime.now(datetime.UTC)
    end = now + datetime.timedelta(days=2)
    made = x509.CertificateBuilder(name, name, key.public_key(), 1, now, end).sign(key, None)
    (folder / "key").write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    (folder / "cert").write_bytes(made.public_bytes(Encoding.PEM))
    return {"KEYFILE": folder / "key", "CERTFILE": folder / "cert"}


@pytest.mark.parametrize("schemes", [(0x0503,), (0x0804, 0x0807), (0x0999,)])
def test_no_scheme_fits_our_certificate(material: Material, schemes: tuple[int, ...]) -> None:
    """Then an empty list goes out, and the server decides."""
    env = {
        "CAFILE": material.path("ca"), "CERTFILE": material.path("cert_p256"), "KEYFILE": material.path("key_p256"),
    }  # fmt: skip
    with Tlsc(["-y", "-k", "localhost"], ["cat", "/dev/fd/6"], env=env) as tlsc:
        server = Server13(tlsc.peer, identity(material.path("p256").read_text()))
        wanted = vec(2, b"".join(map(u16, schemes)))
        flight("extensions", lambda s: s.send_request(b"\0" + block([(13, wanted)])), "certificate", "verify",
               "finished", lambda s: s.read_flight())(server)  # fmt: skip
        assert server.client_chain == []
        server.send_alert(Alert.HANDSHAKE_FAILURE)  # certificate_required has no name in the tests' table
        tlsc.wait()
        assert "after the handshake: alert handshake_failure received" in tlsc.stderr


@pytest.mark.parametrize("option", ["-s", "-S"])
def test_half_close(material: Material, option: str) -> None:
    """The server's close_notify ends prog's input alone: what prog writes after it still arrives (section 6.1)."""
    prog = ["sh", "-c", "cat <&6 >/dev/null; echo all of it >&7; exec 7>&-; exit 3"]
    with Tlsc([option, "-J", "-k", "localhost"], prog, env={"CAFILE": material.path("ca")}) as tlsc:
        server = Server13(tlsc.peer, identity(material.path("p256").read_text()))
        server.handshake()
        server.send_data(b"hello")
        server.send_alert(Alert.CLOSE_NOTIFY, WARNING)
        server.send_data(POISON)  # is ignored
        assert server.read_data(10) == b"all of it\n"
        assert server.drain() == "eof"
        assert [alert.description for alert in server.alerts] == ([Alert.CLOSE_NOTIFY] if option == "-S" else [])
        assert (tlsc.wait(), tlsc.stderr) == (3, "")
        assert tlsc.no_process_left()
