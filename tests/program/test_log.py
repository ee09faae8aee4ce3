"""Log lines: their shape, what each level shows, and what is never shown."""

from __future__ import annotations

import re
import signal
import ssl

import pytest

from tests.certs import Certs
from tests.harness import Program, RecordClient, Wrapped, client_context, ending, read_all
from tests.program.test_transfer import suite

LEVELS = ["-q", "-Q", "-v", "-vv", "-vvv"]
SHOWN = {
    "-q": set(),
    "-Q": {"fatal", "bug"},
    "-v": {"fatal", "bug", "error", "warning", "info"},
    "-vv": {"fatal", "bug", "error", "warning", "info", "debug"},
    "-vvv": {"fatal", "bug", "error", "warning", "info", "debug", "tracing"},
}
DESCRIPTIONS = {
    "CHACHA20_POLY1305_SHA256": "ChaCha20+Poly1305 (TLS 1.2+)",
    "AES_256_GCM_SHA384": "AES256/GCM (TLS 1.2+)",
    "AES_128_GCM_SHA256": "AES128/GCM (TLS 1.2+)",
    "AES_256_CBC_SHA384": "AES256/CBC + SHA384 (TLS 1.2+)",
    "AES_128_CBC_SHA256": "AES128/CBC + SHA256 (TLS 1.2+)",
    "AES_256_CBC_SHA": "AES256/CBC + SHA1",
    "AES_128_CBC_SHA": "AES128/CBC + SHA1",
}


def whole(w: Wrapped, context: ssl.SSLContext | None = None, sni: str | None = None) -> None:
    """One connection from handshake to exit."""
    with w.tls(context, sni) as tls:
        read_all(tls)
    w.wait()


@pytest.mark.parametrize("level", LEVELS)
def test_levels(program: Program, certs: Certs, level: str) -> None:
    with Wrapped([level, "-f", certs.server("p256")], ["echo", "x"], program=program) as w:
        whole(w)
        lines = w.log()
        assert len(lines) == len(w.stderr.splitlines()), w.stderr
        assert {line.level for line in lines} <= SHOWN[level]
        infos = [line.text for line in lines if line.level == "info"]
        wanted = level not in ("-q", "-Q")
        # the original sometimes says it twice
        assert len(infos) == wanted or (not program.ours and wanted and len(set(infos)) == 1), "told once"
        if level in ("-vv", "-vvv"):
            debugs = [line.text for line in lines if line.level == "debug"]
            assert debugs[0] == "start"
            assert debugs[-1] == "child exited with status 0"
        else:
            assert len(lines) == len(infos)


@pytest.mark.parametrize("level", LEVELS[2:])
def test_our_exact_shape(ours: Program, certs: Certs, level: str) -> None:
    """`NAME: LEVEL: IP: MESSAGE {WHERE}[ID]`: one blank before the suffixes, none at the end."""
    where = "" if level == "-v" else r"\{[^{} ]+\}"
    with Wrapped([level, "-f", certs.server("p256")], ["true"], program=ours) as w:
        whole(w, sni="test.example")
        for line in w.stderr.splitlines():
            assert re.fullmatch(rf"tlswrapper: [a-z]+: .*[^ ](?: |\)){where}\[[A-Za-z0-9]{{16}}\]", line), (
                line
            )
        info = next(line for line in w.stderr.splitlines() if ": info: " in line)
        text = (
            "tlswrapper: info: 127.0.0.1: SSL connection: TLS 1.2, ECDSA + ECDHE + "
            "ChaCha20+Poly1305 (TLS 1.2+), x25519, sni='test.example' "
        )
        assert re.fullmatch(re.escape(text) + where + r"\[\w{16}\]", info)


@pytest.mark.parametrize("kind", ["rsa2048", "p256"])
@pytest.mark.parametrize("cipher", DESCRIPTIONS)
def test_the_description_of_a_cipher(program: Program, certs: Certs, cipher: str, kind: str) -> None:
    with Wrapped(["-vv", "-c", cipher, "-f", certs.server(kind)], ["true"], program=program) as w:
        whole(w, client_context(ciphers=suite(cipher, kind)), "Test.Example")
        key = "RSA" if kind.startswith("rsa") else "ECDSA"
        text = f"{key} + ECDHE + {DESCRIPTIONS[cipher]}"
        assert w.texts("info") == [f"SSL connection: TLS 1.2, {text}, x25519, sni='Test.Example'"]
        assert f"clients cipher {text}" in w.texts("debug")


def test_what_the_client_offered(program: Program, certs: Certs) -> None:
    """-vv: every common suite, the common curves, the version and the name."""
    context = client_context(ciphers="ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-CHACHA20-POLY1305:AES128-SHA")
    with Wrapped(["-vv", "-f", certs.server("p256")], ["true"], program=program) as w:
        whole(w, context, "test.example")
        offered = [text for text in w.texts("debug") if text.startswith("clients ")]
        assert set(offered) == {
            "clients cipher ECDSA + ECDHE + ChaCha20+Poly1305 (TLS 1.2+)",
            "clients cipher RSA + ECDHE + AES128/GCM (TLS 1.2+)",
            "clients ECDHE x25519",
            "clients ECDHE secp256r1",
            "clients tls_version=TLS 1.2",
            "clients server_name='test.example'",
        }


def test_no_server_name(program: Program, certs: Certs) -> None:
    with Wrapped(["-vv", "-f", certs.server("p256")], ["true"], program=program) as w:
        whole(w)
        assert "clients server_name=''" in w.texts("debug")
        assert w.texts("info")[0].endswith("x25519, sni=''")


def test_a_long_server_name_is_cut_in_the_log(ours: Program, certs: Certs) -> None:
    name = ".".join(["a" * 40] * 4)
    with Wrapped(["-v", "-f", certs.server("p256")], ["env"], program=ours) as w:
        with w.tls(sni=name) as tls:
            assert f"SSL_TLS_SNI_SERVERNAME={name}\n".encode() in read_all(tls)
        w.wait()
        assert w.texts("info")[0].endswith(f"sni='{name[:64]}...'")


def test_lines_are_not_cut(ours: Program, certs: Certs) -> None:
    from tests.harness import run_plain

    path = "/" + "x" * 250 + "/" + "y" * 250
    result = run_plain(["-vvv", "-f", path], program=ours)
    assert [line.text for line in result.log("fatal")] == [f"unable to stat certfile '{path}'"]


# --- how the end is told ---


def ends(w: Wrapped) -> list[str]:
    return [text for text in w.texts("debug") if text.startswith("tls phase: ")]


def test_the_end_after_prog(ours: Program, certs: Certs) -> None:
    with Wrapped(["-vv", "-f", certs.server("p256")], ["sh", "-c", "exit 7"], program=ours) as w:
        client = RecordClient(w.client)
        client.handshake()
        client.ending()
        w.wait()
        assert ends(w) == ["tls phase: finished, close_notify sent, not waiting for peer"]
        assert w.texts("debug")[-1] == "child exited with status 7"


def test_the_end_by_close_notify(ours: Program, certs: Certs) -> None:
    with Wrapped(["-vv", "-f", certs.server("p256")], ["cat"], program=ours) as w:
        client = RecordClient(w.client)
        client.handshake()
        client.close_notify()
        client.ending()
        w.wait()
        assert ends(w) == ["tls phase: finished, TLS closed normally"]


def test_the_end_by_sigterm(ours: Program, certs: Certs) -> None:
    with Wrapped(["-vv", "-f", certs.server("p256")], ["cat"], program=ours) as w:
        client = RecordClient(w.client)
        client.handshake()
        w.signal(signal.SIGTERM)
        w.wait()
        assert len(ends(w)) == 1 and "signal" in ends(w)[0]


def test_a_failed_handshake_is_told_from_vv(program: Program, certs: Certs) -> None:
    """Scanners leave no line below -vv."""
    for level in LEVELS:
        with Wrapped([level, "-f", certs.server("p256")], ["true"], program=program) as w:
            w.handshake_fails(client_context(ciphers="aRSA"))
            w.wait()
            if level in ("-q", "-Q"):
                assert w.stderr == ""
            elif level == "-v":
                assert w.texts("fatal", "info", "warning") == []
                if program.ours:
                    assert w.texts() == []
            elif program.ours:
                assert "tls phase: handshake failed, handshake_failure" in w.texts("debug")


def test_a_broken_stream_is_an_error(ours: Program, certs: Certs) -> None:
    """After the handshake a TLS failure shows at -v, with the alert's right name; prog ends by EOF."""
    with Wrapped(
        ["-v", "-f", certs.server("p256")], ["sh", "-c", "cat > /dev/null; exit 5"], program=ours
    ) as w:
        client = RecordClient(w.client)
        client.handshake()
        sealed = bytearray(client.seal(b"hello"))
        sealed[-1] ^= 1
        w.client.sendall(sealed)
        raw, _ = ending(w.client)
        assert raw[:1] == b"\x15"
        assert w.wait() == 5
        assert w.texts("error") == ["TLS sent alert: bad_record_mac"]


def test_a_received_alert_is_an_error(ours: Program, certs: Certs) -> None:
    with Wrapped(["-v", "-f", certs.server("p256")], ["sh", "-c", "cat; exit 5"], program=ours) as w:
        client = RecordClient(w.client)
        client.handshake()
        client.send(b"hello")
        client.break_next_record()
        with pytest.raises(ssl.SSLError):
            client.recv()
        client.flush()
        w.client.close()
        assert w.wait() == 5
        assert w.texts("error") == ["TLS received alert: bad_record_mac"]


def test_a_client_that_refuses_the_certificate(ours: Program, certs: Certs) -> None:
    """An alert received during the handshake shows at -vv only."""
    context = client_context(ca=certs.client_ca)
    for level in ("-v", "-vv"):
        with Wrapped([level, "-f", certs.server("p256")], ["true"], program=ours) as w:
            w.handshake_fails(context)
            assert w.wait() == 111
            if level == "-v":
                assert w.stderr == ""
            else:
                assert any("unknown_ca" in text for text in w.texts("debug"))


# --- where lines come from ---


def test_lines_of_key_and_prog_carry_no_address(program: Program, certs: Certs) -> None:
    with Wrapped(["-v", "-f", certs.server("p256")], ["/nonexistent"], program=program) as w:
        whole(w)
        fatal = w.log("fatal")[0]
        assert (fatal.text, fatal.ip) == ("unable to run /nonexistent", None)
        assert w.log("info")[0].ip == "127.0.0.1"


def test_the_address_of_ipv6(program: Program, certs: Certs) -> None:
    with Wrapped(["-v", "-f", certs.server("p256")], ["true"], program=program, family="tcp6") as w:
        whole(w)
        assert w.log("info")[0].ip == "::1"


def test_prog_shares_stderr(program: Program, certs: Certs) -> None:
    with Wrapped(
        ["-Q", "-f", certs.server("p256")], ["sh", "-c", "echo from prog >&2"], program=program
    ) as w:
        whole(w)
        assert w.stderr == "from prog\n"


@pytest.mark.parametrize("closed", ["2>&-", "2</dev/null", "2>/dev/full"])
def test_a_useless_stderr_does_no_harm(program: Program, certs: Certs, closed: str) -> None:
    """Not a byte of the log gets into the stream, and prog's code is kept."""
    options = ["-c", f'exec "$0" "$@" {closed}', program.path, "-vvv", "-f", certs.server("p256")]
    prog = ["sh", "-c", "echo out; exit 5"]
    with Wrapped(options, prog, program=program, executable="/bin/sh", argv0="sh") as w:
        with w.tls() as tls:
            assert ending(tls) == (b"out\n", "close_notify")
        assert w.wait() == 5
