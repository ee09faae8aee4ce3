"""The traces of RFC 8448 byte for byte: from the hellos to close_notify, as both ends come to them.

All but the early data of section 4, which we never send and pass over when we receive it.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from bearwrap import _bear
from tests.harness import ROOT
from tests.wire.names import Alert

CHACHA, AES256, AES128 = 0x1303, 0x1302, 0x1301
ALERT, HANDSHAKE, DATA = 21, 22, 23
EXTENSIONS, CERTIFICATE, REQUEST, VERIFY, FINISHED = 8, 11, 13, 15, 20
X25519, P256, P384, P521 = 29, 23, 24, 25
CLOSE_NOTIFY = b"\1\0"


def published() -> dict[str, bytes]:
    """The trace: a name on a line, its bytes in hexadecimal on those behind it."""
    found: dict[str, str] = {}
    name = ""
    for line in (ROOT / "tests/unit/data/rfc8448.txt").read_text().splitlines():
        if line.startswith("#") or not line:
            continue
        if set(line) <= set("0123456789abcdef"):
            found[name] += line
        else:
            name = line
            found[name] = ""
    return {name: bytes.fromhex(text) for name, text in found.items()}


TRACE = published()


def digest(*messages: bytes) -> bytes:
    return hashlib.sha256(b"".join(messages)).digest()


def test_the_trace_of_rfc_8448() -> None:
    """Section 3, from the private keys to the client's Finished: both sides' secrets, records, verify data."""
    assert _bear.x25519(TRACE["client private"], TRACE["server hello"][-38:-6]) == TRACE["shared"]
    schedule = _bear.Schedule13(256)
    assert schedule.secret(b"present") == TRACE["early secret"]
    hellos = [TRACE["client hello"], TRACE["server hello"]]
    assert _bear.transcript13(256, hellos) == TRACE["hash of hellos"]
    schedule.handshake(TRACE["shared"], TRACE["hash of hellos"])
    assert schedule.secret(b"present") == TRACE["handshake secret"]
    assert schedule.secret(b"client handshake") == TRACE["client handshake"]
    assert schedule.secret(b"server handshake") == TRACE["server handshake"]

    server = _bear.Traffic13(AES128, TRACE["server handshake"])
    assert server.keys() == (TRACE["server handshake key"], TRACE["server handshake iv"])
    alert, opened = server.open(TRACE["server flight record"])
    assert alert == 0 and opened is not None
    kind, flight = opened
    assert kind == HANDSHAKE
    again = _bear.Traffic13(AES128, TRACE["server handshake"])
    assert again.seal(HANDSHAKE, flight) == TRACE["server flight record"]

    assert flight[-36:] == b"\x14\0\0\x20" + TRACE["server finished"]
    before = digest(*hellos, flight[:-36])
    assert schedule.finished(b"server handshake", before) == TRACE["server finished"]

    whole = digest(*hellos, flight)
    schedule.master(whole)
    assert schedule.secret(b"present") == TRACE["master secret"]
    verify = schedule.finished(b"client handshake", whole)
    client = _bear.Traffic13(AES128, TRACE["client handshake"])
    assert client.seal(HANDSHAKE, b"\x14\0\0\x20" + verify) == TRACE["client flight record"]

    for who in ("client application", "server application"):
        assert schedule.secret(who.encode()) == TRACE[who]
        assert _bear.Traffic13(AES128, TRACE[who]).keys() == (TRACE[f"{who} key"], TRACE[f"{who} iv"])
    schedule.resume(digest(*hellos, flight, b"\x14\0\0\x20" + verify))
    assert schedule.secret(b"resumption") == TRACE["resumption"]
    assert schedule.ticket(b"\0\0") == TRACE["psk of the ticket"]

    server, client = (_bear.Traffic13(AES128, TRACE[f"{who} application"]) for who in ("server", "client"))
    server.at(1)  # the first record was the ticket's
    assert server.open(TRACE["server data record"]) == (0, (DATA, bytes(range(50))))
    assert server.open(TRACE["server alert record"]) == (0, (ALERT, b"\1\0"))
    client.at(1)
    assert client.open(TRACE["client alert record"]) == (0, (ALERT, b"\1\0"))


def test_the_resumption_of_rfc_8448() -> None:
    """Section 4: the PSK of section 3's ticket, and the binder over the truncated ClientHello."""
    schedule = _bear.Schedule13(256, TRACE["psk of the ticket"])
    assert schedule.secret(b"present") == TRACE["resumed: early secret"]
    assert schedule.binder(TRACE["resumed: hash of truncated hello"]) == TRACE["resumed: binder"]


def test_the_retry_of_rfc_8448() -> None:
    """Section 5: both ends come to its HelloRetryRequest and its ServerHello, and to its secrets."""
    first, request, last = (TRACE[f"retry: {name}"] for name in ("first client hello", "request", "server hello"))
    second = TRACE["retry: second client hello without its padding"] + bytes(175)
    assert len(second) == 512
    ours, groups = (AES128, CHACHA, AES256), 1 << 23
    every = 0b1111101  # schemes of ours, all but Ed25519
    assert _bear.choose13(first[4:], ours, groups, True)[1] == (AES128, 23, None, every, False)
    client = _bear.Offer13(b"", ours, 1 << 29 | 1 << 23 | 1 << 24, 1 << 29)
    alert, found = client.server_hello(request[4:])
    assert alert == 0 and isinstance(found, tuple)
    assert found[:4] == (True, AES128, 23, None)
    asked = (AES128, 23)
    alert, choice = _bear.choose13(second[4:], ours, groups, True, asked)
    assert alert == 0 and isinstance(choice, tuple) and choice[:2] == asked and choice[2] is not None
    _, pieces = _bear.client_hello13(second[4:])
    assert pieces is not None and pieces["cookie"] == found[4]
    client = _bear.Offer13(b"", ours, 1 << 29 | 1 << 23 | 1 << 24, 1 << 23, 0, True, None, True, asked)
    alert, found = client.server_hello(last[4:])
    assert alert == 0 and isinstance(found, tuple) and found[:3] == (False, AES128, 23)
    schedule = _bear.Schedule13(256)
    schedule.handshake(TRACE["retry: shared"], _bear.transcript13(256, [first, request, second, last], 1))
    assert schedule.secret(b"present") == TRACE["retry: handshake secret"]
    assert schedule.secret(b"client handshake") == TRACE["retry: client handshake"]
    assert schedule.secret(b"server handshake") == TRACE["retry: server handshake"]
    server = _bear.Traffic13(AES128, TRACE["retry: server handshake"])
    assert server.keys() == (TRACE["retry: server handshake key"], TRACE["retry: server handshake iv"])


@dataclass(frozen=True)
class Trace:
    """A section: its names in the file begin with `name`."""

    section: int
    name: str
    group: int = X25519
    psk: bool = False
    retry: bool = False
    early: bool = False  # the client sent early data, and so EndOfEarlyData
    data: bool = False  # a record each way before the alerts
    records: int = 0  # sealed by the server's application keys before those shown here

    def __str__(self) -> str:
        return f"section {self.section}"

    def __getitem__(self, what: str) -> bytes:
        return TRACE[self.name + what]

    def get(self, what: str) -> bytes | None:
        return TRACE.get(self.name + what)

    @property
    def hellos(self) -> list[bytes]:
        if not self.retry:
            return [self["client hello"], self["server hello"]]
        second = self["second client hello without its padding"] + bytes(175)
        return [self["first client hello"], self["request"], second, self["server hello"]]

    def shared(self, side: str) -> bytes:
        """What one side comes to from its private key and the other's hello."""
        hello = self.hellos[-2 if side == "server" else -1][4:]
        if self.group == P256:
            share = _bear.choose13(hello, SUITES, 1 << P256, True, (AES128, P256))[1][2] if side == "server" else None
            share = share or self.judge().server_hello(hello)[1][3]
            point = _bear.curve_multiply(P256, self[f"{side} private"], share)
            assert point is not None
            return point[1:33]
        share = _bear.choose13(hello, SUITES, 1 << X25519, True)[1][2] if side == "server" else None
        share = share or self.judge().server_hello(hello)[1][3]
        return _bear.x25519(self[f"{side} private"], share)

    def judge(self) -> _bear.Offer13:
        """The client's, of what the server answers."""
        hello = self.hellos[-2]
        session = hello[39 : 39 + hello[38]]
        groups = 1 << X25519 | 1 << P256 | 1 << P384 | 1 << P521
        retried = (AES128, self.group) if self.retry else None
        return _bear.Offer13(session, SUITES, groups, 1 << self.group, int(self.psk), True, None, True, retried)

    def transcript(self, *behind: bytes) -> bytes:
        return _bear.transcript13(256, [*self.hellos, *behind], 1 if self.retry else None)


SUITES = (AES128, CHACHA, AES256)
TRACES = [
    Trace(3, "", data=True, records=1),  # a ticket
    Trace(4, "resumed: ", psk=True, early=True, data=True),
    Trace(5, "retry: ", P256, retry=True),
    Trace(6, "both: "),
    Trace(7, "compatible: "),
]
END_OF_EARLY_DATA = b"\5\0\0\0"
every_trace = pytest.mark.parametrize("trace", TRACES, ids=str)


def messages(flight: bytes) -> dict[int, bytes]:
    """Messages by their type, header included, in their order."""
    found = {}
    while flight:
        n = 4 + int.from_bytes(flight[1:4], "big")
        found[flight[0]], flight = flight[:n], flight[n:]
    return found


def opened(secret: bytes, record: bytes) -> bytes:
    """A handshake record's text, which sealed again is the record."""
    alert, found = _bear.Traffic13(AES128, secret).open(record)
    assert alert == 0 and found is not None
    kind, text = found
    assert kind == HANDSHAKE
    assert _bear.Traffic13(AES128, secret).seal(HANDSHAKE, text) == record
    return text


def authenticated(flight: dict[int, bytes], trace: Trace, before: list[bytes], is_server: bool) -> None:
    """Certificate and CertificateVerify: what we build of their contents is they, and the signature is good."""
    alert, found = _bear.check13(CERTIFICATE, flight[CERTIFICATE][4:], is_server)
    assert alert == 0 and isinstance(found, tuple) and found[0] == 1
    der = found[1][3:]
    assert _bear.build13(b"certificate", {"items": [der]}) == flight[CERTIFICATE]
    alert, verify = _bear.check13(VERIFY, flight[VERIFY][4:])
    assert alert == 0 and isinstance(verify, tuple)
    scheme, signature = verify
    assert _bear.build13(b"certificate verify", {"scheme": scheme, "signature": signature}) == flight[VERIFY]
    key = x509.load_der_x509_certificate(der).public_key()
    content = _bear.verify13(is_server, trace.transcript(*before, flight[CERTIFICATE]))
    info = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    assert _bear.verify_scheme(info, scheme, content, signature)
    assert not _bear.verify_scheme(info, scheme, _bear.verify13(not is_server, bytes(32)), signature)


@every_trace
def test_a_handshake(trace: Trace) -> None:
    """Secrets, both flights, every message of them, and the records behind."""
    shared = trace.shared("client")
    assert trace.shared("server") == shared
    assert trace.get("shared") in (None, shared)
    alert, found = trace.judge().server_hello(trace["server hello"][4:])
    assert alert == 0 and isinstance(found, tuple)
    assert found[:3] == (False, AES128, trace.group)
    assert found[5] == (0 if trace.psk else -1)

    schedule = _bear.Schedule13(256, TRACE["psk of the ticket"] if trace.psk else None)
    schedule.handshake(shared, trace.transcript())
    assert trace.get("handshake secret") in (None, schedule.secret(b"present"))
    secrets = {who: schedule.secret(f"{who} handshake".encode()) for who in ("client", "server")}
    assert all(trace.get(f"{who} handshake") in (None, secret) for who, secret in secrets.items())

    sealed = opened(secrets["server"], trace["server flight record"])
    flight = messages(sealed)
    proof = [] if trace.psk else [CERTIFICATE, VERIFY]
    asked = [REQUEST] if trace.name == "both: " else []
    assert list(flight) == [EXTENSIONS, *asked, *proof, FINISHED]
    # no early data was offered by us
    answer = (Alert.UNSUPPORTED_EXTENSION if trace.early else 0), 0x4001
    alert, told = trace.judge().encrypted_extensions(flight[EXTENSIONS][4:])
    assert alert == answer[0]
    assert trace.early or told == (None, answer[1])
    if asked:
        alert, wanted = _bear.check13(REQUEST, flight[REQUEST][4:])
        assert alert == 0 and isinstance(wanted, tuple)
        assert _bear.scheme13(wanted[0], 1) == 0x0804  # rsa_pss_rsae_sha256
    before = [message for kind, message in flight.items() if kind in (EXTENSIONS, REQUEST)]
    if proof:
        authenticated(flight, trace, before, True)
    verify = schedule.finished(b"server handshake", trace.transcript(*list(flight.values())[:-1]))
    assert _bear.build13(b"finished", {"data": verify}) == flight[FINISHED]

    schedule.master(trace.transcript(sealed))
    behind = [sealed, END_OF_EARLY_DATA] if trace.early else [sealed]
    answered = opened(secrets["client"], trace["client flight record"])
    flight = messages(answered)
    assert list(flight) == ([CERTIFICATE, VERIFY, FINISHED] if asked else [FINISHED])
    if asked:
        authenticated(flight, trace, behind, False)
    verify = schedule.finished(b"client handshake", trace.transcript(*behind, *list(flight.values())[:-1]))
    assert _bear.build13(b"finished", {"data": verify}) == flight[FINISHED]

    for who in ("client", "server"):
        secret = schedule.secret(f"{who} application".encode())
        assert trace.get(f"{who} application") in (None, secret)
        shown = [(ALERT, CLOSE_NOTIFY, trace[f"{who} alert record"])]
        if trace.data:
            shown.insert(0, (DATA, bytes(range(50)), trace[f"{who} data record"]))
        sealing, opening = (_bear.Traffic13(AES128, secret) for _ in range(2))
        if who == "server" and trace.records:
            sealing.at(trace.records)
            opening.at(trace.records)
        for kind, text, record in shown:
            assert sealing.seal(kind, text) == record
            assert opening.open(record) == (0, (kind, text))
    schedule.resume(trace.transcript(*behind, answered))
    assert trace.get("resumption") in (None, schedule.secret(b"resumption"))


def extensions(hello: bytes) -> tuple[bytes, dict[int, bytes]]:
    """A ServerHello's part before its extensions, and these by type."""
    at = 39 + hello[38] + 3
    before, rest, found = hello[:at], hello[at + 2 :], {}
    while rest:
        n = 4 + int.from_bytes(rest[2:4], "big")
        found[int.from_bytes(rest[:2], "big")], rest = rest[4:n], rest[n:]
    return before, found


@every_trace
def test_our_server_hello(trace: Trace) -> None:
    """The same but for the order of the extensions, which is free (RFC 8446 section 4.2)."""
    hello = trace["server hello"]
    alert, found = trace.judge().server_hello(hello[4:])
    assert alert == 0 and isinstance(found, tuple)
    parts = {"random": hello[6:38], "session": hello[39 : 39 + hello[38]], "suite": found[1], "group": found[2]}
    parts |= {"point": found[3], "point_len": len(found[3]), "psk": found[5]}
    made = _bear.build13(b"server hello", parts)
    assert len(made) == len(hello)
    assert extensions(made) == extensions(hello)


def test_the_binder_of_the_whole_hello() -> None:
    """Section 4: its ClientHello as our parser sees it, and the binder over what is before the binders."""
    hello = TRACE["resumed: client hello"]
    alert, pieces = _bear.client_hello13(hello[4:])
    assert alert == 0 and pieces is not None
    assert pieces["early_data"]
    truncated = hello[: -2 - 1 - 32]
    assert _bear.transcript13(256, [truncated]) == TRACE["resumed: hash of truncated hello"]
    schedule = _bear.Schedule13(256, TRACE["psk of the ticket"])
    assert schedule.binder(_bear.transcript13(256, [truncated])) == hello[-32:]


def test_the_names_of_the_file_are_used() -> None:
    """Each belongs to a section that is tested."""
    prefixes = {name.partition(": ")[0] for name in TRACE if ": " in name}
    assert prefixes == {trace.name.removesuffix(": ") for trace in TRACES[1:]}
