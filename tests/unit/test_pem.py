"""PEM text to DER: what is good in any layout against Python's base64, what is bad, and never anything else."""

from __future__ import annotations

import base64
import re
import ssl

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from bearwrap import _bear
from tests.certs import Certs

CERTIFICATE, KEY, OTHER = 1, 2, 3
KINDS = {
    b"CERTIFICATE": CERTIFICATE, b"X509 CERTIFICATE": CERTIFICATE, b"PRIVATE KEY": KEY, b"RSA PRIVATE KEY": KEY,
    b"EC PRIVATE KEY": KEY, b"EC PARAMETERS": OTHER, b"DH PARAMETERS": OTHER, b"ENCRYPTED PRIVATE KEY": OTHER,
    b"TRUSTED CERTIFICATE": OTHER, b"certificate": OTHER, b"CERTIFICATE ": OTHER, b"": OTHER,
}  # fmt: skip
READ = [label for label, kind in KINDS.items() if kind != OTHER]


def wrapped(label: bytes, body: bytes, end: bytes | None = None) -> bytes:
    return b"-----BEGIN " + label + b"-----\n" + body + b"-----END " + (label if end is None else end) + b"-----\n"


def der(text: bytes) -> list[tuple[int, bytes]]:
    return [(kind, bytes(body)) for kind, body in _bear.parse_pem(text)]


@st.composite
def laid_out(draw: st.DrawFn) -> tuple[int, bytes, bytes]:
    """(kind, DER, text) of one object, with any line length, line end and blanks, and remarks before it."""
    label = draw(st.sampled_from(list(KINDS)))
    body = draw(st.binary(min_size=1, max_size=200))
    ends = draw(st.sampled_from([b"\n", b"\r\n", b"\r", b"\n\n", b" \n", b"\t\r\n"]))
    width = draw(st.integers(1, 300))
    text = base64.b64encode(body)
    lines = [text[at : at + width] for at in range(0, len(text), width)]
    remark = draw(st.sampled_from([[], [b"# remark"], [b"subject=/CN=x", b"", b"----- no BEGIN -----"]]))
    lines = [*remark, b"-----BEGIN " + label + b"-----", *lines, b"-----END " + label + b"-----"]
    kind = KINDS[label]
    return kind, b"" if kind == OTHER else body, ends.join(lines) + ends


@settings(max_examples=120, deadline=None)
@given(st.lists(laid_out(), max_size=4))
def test_any_layout(objects: list[tuple[int, bytes, bytes]]) -> None:
    text = b"".join(text for _, _, text in objects)
    assert der(text) == [(kind, body) for kind, body, _ in objects]


def test_against_the_ssl_module() -> None:
    for n in (1, 2, 3, 47, 48, 49, 1000):
        body = bytes(range(256)) * 4
        assert der(ssl.DER_cert_to_PEM_cert(body[:n]).encode()) == [(CERTIFICATE, body[:n])]


@pytest.mark.parametrize("form", ["pkcs8", "traditional"])
@pytest.mark.parametrize("kind", ["rsa2048", "p256", "p521"])
def test_real_files(certs: Certs, kind: str, form: str) -> None:
    key, chain = certs.parts(kind, form=form)
    (key_kind, _), (chain_kind, chain_der) = der((key + chain).encode())
    assert (key_kind, chain_kind) == (KEY, CERTIFICATE)
    assert chain_der == ssl.PEM_cert_to_DER_cert(chain)


def test_the_last_line_needs_no_end() -> None:
    assert der(wrapped(b"CERTIFICATE", b"AAAA\n").rstrip(b"\n")) == [(CERTIFICATE, b"\0\0\0")]


@pytest.mark.parametrize("text", [b"", b"\n", b"no PEM at all", b"\0" * 100, b"-----END CERTIFICATE-----\n",
                                  b" -----BEGIN CERTIFICATE-----\nAAAA\n", b"-----BEGIN CERTIFICATE----\nAAAA\n",
                                  b"-----BEGINCERTIFICATE-----\n", b"-----begin CERTIFICATE-----\n", b"-----BEGIN"])
def test_no_object(text: bytes) -> None:
    assert der(text) == []


@settings(max_examples=120, deadline=None)
@given(st.sampled_from(READ), st.text("ABab01+/=-:_ \t\n\0\x7f", max_size=24).map(str.encode))
@example(b"CERTIFICATE", b"=")
@example(b"CERTIFICATE", b"====")
@example(b"CERTIFICATE", b"A===")
@example(b"CERTIFICATE", b"AA==AAAA")
@example(b"CERTIFICATE", b"AA==\n====")
@example(b"PRIVATE KEY", b"AA==\n")
def test_base64_is_strict(label: bytes, body: bytes) -> None:
    """Python decodes it, alphabet and padding strictly: same bytes. It does not, or gets nothing: malformed."""
    expected = None
    digits = re.sub(rb"[ \t\r\n]", b"", body)
    dashes = any(line.startswith(b"-----") for line in body.split(b"\n"))
    if not dashes and re.fullmatch(rb"(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?", digits):
        expected = base64.b64decode(digits)
    text = wrapped(label, body + b"\n")
    if expected:
        assert der(text) == [(KINDS[label], expected)]
    else:
        with pytest.raises(ValueError, match=r"^malformed$"):
            der(text)


def test_every_byte_as_a_digit() -> None:
    alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    for byte in range(256):
        text = wrapped(b"PRIVATE KEY", b"AAA" + bytes([byte]) + b"\n")
        if byte in alphabet or byte == ord("="):
            assert der(text) == [(KEY, base64.b64decode(b"AAA" + bytes([byte])))]
        else:
            with pytest.raises(ValueError, match=r"^malformed$"):
                der(text)


MALFORMED = [
    wrapped(b"CERTIFICATE", b""),
    wrapped(b"CERTIFICATE", b"AAAA\n", end=b"PRIVATE KEY"),
    wrapped(b"CERTIFICATE", b"AAAA\n", end=b"CERTIFICATE2"),
    wrapped(b"CERTIFICATE", b"AAAA\n-----BEGIN CERTIFICATE-----\n"),
    wrapped(b"EC PARAMETERS", b"-----BEGIN PRIVATE KEY-----\nAAAA\n"),
    wrapped(b"RSA PRIVATE KEY", b"Proc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,00\n\nAAAA\n"),
    b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE----\n",
    b"-----BEGIN CERTIFICATE-----\nAAA",
]


@pytest.mark.parametrize("text", MALFORMED, ids=range(len(MALFORMED)))
@pytest.mark.parametrize("before", [b"", wrapped(b"CERTIFICATE", b"AAAA\n")], ids=["alone", "second"])
def test_malformed(text: bytes, before: bytes) -> None:
    with pytest.raises(ValueError, match=r"^malformed$"):
        der(before + text)


@pytest.mark.parametrize("label", [b"CERTIFICATE", b"EC PARAMETERS"])
@pytest.mark.parametrize("body", [b"", b"AAAA\n", b"AAAA"])
def test_unfinished(label: bytes, body: bytes) -> None:
    with pytest.raises(ValueError, match=r"^unfinished$"):
        der(b"-----BEGIN " + label + b"-----\n" + body)


@settings(max_examples=120, deadline=None)
@given(st.lists(st.sampled_from([b"-----BEGIN ", b"-----END ", b"-----", b"CERTIFICATE", b"EC PRIVATE KEY", b"AAAA",
                                 b"=", b"\n", b"\r", b" ", b":", b"\0", b"-"]), max_size=20))
def test_any_text_ends(parts: list[bytes]) -> None:
    """A list or a ValueError of two kinds, and no DER longer than its text allows."""
    text = b"".join(parts)
    try:
        found = der(text)
    except ValueError as why:
        assert str(why) in ("malformed", "unfinished")
    else:
        assert sum(len(body) for _, body in found) <= len(text) * 3 // 4


def test_the_bytes_can_be_wiped() -> None:
    ((_, body),) = _bear.parse_pem(wrapped(b"PRIVATE KEY", b"AAAA\n"))
    assert isinstance(body, bytearray)
