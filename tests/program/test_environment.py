"""The environment: what the wrapper reads, what prog finds, and what it must never inherit."""

from __future__ import annotations

import hashlib
import os
import pwd
import re
import ssl
from pathlib import Path

import pytest

from tests.certs import Certs
from tests.harness import LogLine, Program, Wrapped, client_context, needs_root, read_all

FACTS = (
    "SSL_PROTOCOL",
    "SSL_CIPHER",
    "SSL_TLS_SNI_SERVERNAME",
    "SSL_PEER_CERT_HASH",
    "SSL_PEER_CERT_SUBJECT",
)
ENV = ["env", "-0"]


def environment(w: Wrapped, context: ssl.SSLContext | None = None, sni: str | None = None) -> dict[str, str]:
    """Handshake with a wrapped `env -0` and give what it printed."""
    with w.tls(context, sni) as tls:  # closed at once: the original may linger until the client leaves
        data = read_all(tls)
    pairs = [item.partition("=") for item in os.fsdecode(data).split("\0") if item]
    assert len({name for name, _, _ in pairs}) == len(pairs), "a name appears twice"
    return {name: value for name, _, value in pairs}


# --- addresses and log id ---


@pytest.mark.parametrize("family", ["tcp", "tcp6"])
def test_addresses_come_from_the_socket(program: Program, certs: Certs, family: str) -> None:
    with Wrapped(["-f", certs.server("p256")], ENV, program=program, family=family) as w:
        remote, local = w.client.getsockname(), w.client.getpeername()
        seen = environment(w)
        assert (seen["TCPREMOTEIP"], seen["TCPREMOTEPORT"]) == (remote[0], str(remote[1]))
        assert (seen["TCPLOCALIP"], seen["TCPLOCALPORT"]) == (local[0], str(local[1]))


@pytest.mark.parametrize("family", ["unix", "pipes"])
def test_what_is_no_inet_socket_has_no_addresses(program: Program, certs: Certs, family: str) -> None:
    with Wrapped(["-v", "-f", certs.server("p256")], ENV, program=program, family=family) as w:
        seen = environment(w)
        assert [seen[name] for name in ("TCPREMOTEIP", "TCPREMOTEPORT")] == ["::", "0"]
        assert [seen[name] for name in ("TCPLOCALIP", "TCPLOCALPORT")] == ["::", "0"]
        assert w.wait() == 0
        if family == "pipes":
            assert "connectioninfo_get() failed" in w.texts("warning")
        assert [line.ip for line in w.log("info")] == ["::"]


def tcp(remote: str, remote_port: str, local: str, local_port: str) -> dict[str, str | None]:
    return {
        "TCPREMOTEIP": remote,
        "TCPREMOTEPORT": remote_port,
        "TCPLOCALIP": local,
        "TCPLOCALPORT": local_port,
    }


@pytest.mark.parametrize(
    ("given", "found"),
    [
        (tcp("192.0.2.1", "1234", "198.51.100.2", "443"), ("192.0.2.1", "1234", "198.51.100.2", "443")),
        (tcp("2001:DB8:0::1", "1", "::1", "65535"), ("2001:db8::1", "1", "::1", "65535")),
        (tcp("::ffff:192.0.2.1", "0", "::FFFF:c000:201", "0"), ("192.0.2.1", "0", "192.0.2.1", "0")),
    ],
    ids=["v4", "v6", "mapped"],
)
def test_the_environment_wins_over_the_socket(
    program: Program, certs: Certs, given: dict[str, str | None], found: tuple[str, ...]
) -> None:
    with Wrapped(["-v", "-f", certs.server("p256")], ENV, program=program, extra_env=given) as w:
        seen = environment(w)
        assert tuple(seen[name] for name in given) == found
        w.wait()
        assert {line.ip for line in w.log("info")} == {found[0]}


@pytest.mark.parametrize(
    "change",
    [
        {"TCPLOCALIP": None},
        {"TCPREMOTEPORT": None},
        {"TCPREMOTEIP": "192.0.2.256"},
        {"TCPREMOTEIP": "host"},
        {"TCPREMOTEIP": ""},
        {"TCPLOCALIP": "[::1]"},
        {"TCPREMOTEPORT": "65536"},
        {"TCPREMOTEPORT": "-1"},
        {"TCPLOCALPORT": "http"},
        {"TCPLOCALPORT": ""},
    ],
    ids=str,
)
def test_all_four_must_parse(program: Program, certs: Certs, change: dict[str, str | None]) -> None:
    """One bad value and the socket's addresses are taken, all four."""
    given = {**tcp("192.0.2.1", "1234", "198.51.100.2", "443"), **change}
    with Wrapped(["-f", certs.server("p256")], ENV, program=program, extra_env=given) as w:
        remote, local = w.client.getsockname(), w.client.getpeername()
        seen = environment(w)
        assert (seen["TCPREMOTEIP"], seen["TCPREMOTEPORT"]) == (remote[0], str(remote[1]))
        assert (seen["TCPLOCALIP"], seen["TCPLOCALPORT"]) == (local[0], str(local[1]))


def test_a_port_with_a_leading_zero_does_not_parse(ours: Program, certs: Certs) -> None:
    given = tcp("192.0.2.1", "0080", "198.51.100.2", "443")
    with Wrapped(["-f", certs.server("p256")], ENV, program=ours, extra_env=given) as w:
        remote = w.client.getsockname()
        assert environment(w)["TCPREMOTEIP"] == remote[0]


def ids(lines: list[LogLine]) -> set[str | None]:
    return {line.id for line in lines}


def test_log_id_is_random_and_shared(program: Program, certs: Certs) -> None:
    seen_ids = set()
    for _ in range(3):
        with Wrapped(["-v", "-f", certs.server("p256")], ENV, program=program) as w:
            seen = environment(w)
            w.wait()
            assert ids(w.log()) == {seen["LOG_ID"]}
            assert re.fullmatch(r"[A-Za-z0-9]{16}" if program.ours else r"[A-Za-z0-9]{8}", seen["LOG_ID"])
            seen_ids.add(seen["LOG_ID"])
    assert len(seen_ids) == 3


@pytest.mark.parametrize("given", ["x", "abcDEF123", "z" * 64])
def test_log_id_is_inherited(program: Program, certs: Certs, given: str) -> None:
    env = {"LOG_ID": given}
    with Wrapped(["-v", "-f", certs.server("p256")], ENV, program=program, extra_env=env) as w:
        assert environment(w)["LOG_ID"] == given
        w.wait()
        assert ids(w.log()) == {given}


@pytest.mark.parametrize(
    ("length", "expected"), [(67, "y" * 67), (68, "y" * 64 + "..."), (5000, "y" * 64 + "...")]
)
def test_a_long_log_id_is_cut(ours: Program, certs: Certs, length: int, expected: str) -> None:
    env = {"LOG_ID": "y" * length}
    with Wrapped(["-v", "-f", certs.server("p256")], ENV, program=ours, extra_env=env) as w:
        environment(w)
        w.wait()
        assert ids(w.log()) == {expected}


def test_everything_else_passes_unchanged(program: Program, certs: Certs) -> None:
    given = {
        "PROTO": "TCP",
        "TCPREMOTEHOST": "wrong.example",
        "TCPREMOTEINFO": "who",
        "EMPTY": "",
        "BYTES": "\udcff\udc80 \n=x",
        "SSL_CLIENT_X": "kept",
        "TLS_UID": "1",
        "HOME": "/kept",
        "PATH": os.environ["PATH"],
    }
    with Wrapped(["-f", certs.server("p256")], ENV, program=program, env=given) as w:
        seen = environment(w)
    for name, value in given.items():
        assert seen[name] == value
    added = set(seen) - set(given) - set(FACTS) - {"BEARWRAP_TEST_MARK"}
    assert added == {"TCPREMOTEIP", "TCPREMOTEPORT", "TCPLOCALIP", "TCPLOCALPORT", "LOG_ID"}


def test_an_empty_environment(program: Program, certs: Certs) -> None:
    with Wrapped(["-f", certs.server("p256")], ["/usr/bin/env", "-0"], program=program, env={}) as w:
        seen = environment(w)
    names = {"TCPREMOTEIP", "TCPREMOTEPORT", "TCPLOCALIP", "TCPLOCALPORT", "LOG_ID", "BEARWRAP_TEST_MARK"}
    assert set(seen) - set(FACTS) == names


def test_python_variables_change_nothing_and_reach_prog(ours: Program, certs: Certs, tmp_path: Path) -> None:
    """Neither PYTHON* nor the working folder can put code into the wrapper; prog still inherits them."""
    for name in ("posix", "bearwrap", "site", "sitecustomize", "usercustomize", "encodings", "_bear"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit(66)\n")
    given = {
        "PYTHONPATH": str(tmp_path),
        "PYTHONHOME": str(tmp_path),
        "PYTHONSTARTUP": str(tmp_path / "site.py"),
        "PYTHONINSPECT": "1",
        "PYTHONVERBOSE": "1",
        "PYTHONMALLOC": "debug",
        "PYTHONDEVMODE": "1",
    }
    with Wrapped(["-f", certs.server("p256")], ENV, program=ours, extra_env=given, cwd=tmp_path) as w:
        seen = environment(w)
        assert {name: seen[name] for name in given} == given
        assert w.wait() == 0
        assert w.stderr == ""


# --- -u: the account's names ---


@needs_root
def test_u_sets_the_account_and_its_names(program: Program, certs: Certs) -> None:
    account = pwd.getpwnam("nobody")
    script = "id -u; id -g; id -G; env -0"
    with Wrapped(
        ["-u", "nobody", "-f", certs.server("p256")],
        ["sh", "-c", script],
        program=program,
        extra_env={"HOME": "/root", "SHELL": "/x", "USER": "root", "LOGNAME": "root"},
        cwd="/",
    ) as w:
        with w.tls() as tls:
            text = read_all(tls).decode()
        uid, gid, groups, rest = text.split("\n", 3)
        assert (uid, gid, groups) == (str(account.pw_uid), str(account.pw_gid), str(account.pw_gid))
        seen = dict(item.split("=", 1) for item in rest.split("\0") if item)
        assert seen["HOME"] == account.pw_dir
        assert seen["SHELL"] == account.pw_shell
        assert seen["USER"] == seen["LOGNAME"] == "nobody"
        assert w.wait() == 0


@needs_root
def test_without_u_the_user_is_unchanged(program: Program, certs: Certs) -> None:
    with Wrapped(["-f", certs.server("p256")], ["sh", "-c", "id -u; id -g"], program=program) as w:
        assert read_all(w.tls()) == b"0\n0\n"


@needs_root
@pytest.mark.parametrize("options", [[], ["-u", "nobody"]], ids=["as is", "with -u"])
def test_prog_never_inherits_memory_limits(ours: Program, certs: Certs, options: list[str]) -> None:
    script = "ulimit -v; ulimit -d; ulimit -n; ulimit -c"
    limits = os.popen(script).read()
    with Wrapped([*options, "-f", certs.server("p256")], ["sh", "-c", script], program=ours, cwd="/") as w:
        assert read_all(w.tls()).decode() == limits


# --- TLS facts ---


def facts(seen: dict[str, str]) -> dict[str, str]:
    return {name: seen[name] for name in FACTS if name in seen}


@pytest.mark.parametrize("kind", ["rsa2048", "p256"])
@pytest.mark.parametrize(
    ("name", "suite"),
    [
        ("CHACHA20_POLY1305_SHA256", "ECDHE-{}-CHACHA20-POLY1305"),
        ("AES_256_GCM_SHA384", "ECDHE-{}-AES256-GCM-SHA384"),
        ("AES_128_GCM_SHA256", "ECDHE-{}-AES128-GCM-SHA256"),
        ("AES_256_CBC_SHA384", "ECDHE-{}-AES256-SHA384"),
        ("AES_128_CBC_SHA256", "ECDHE-{}-AES128-SHA256"),
        ("AES_256_CBC_SHA", "ECDHE-{}-AES256-SHA"),
        ("AES_128_CBC_SHA", "ECDHE-{}-AES128-SHA"),
    ],
)
def test_protocol_cipher_and_name(ours: Program, certs: Certs, kind: str, name: str, suite: str) -> None:
    options = ["-c", name, "-f", certs.server(kind)]
    with Wrapped(options, ENV, program=ours) as w:
        seen = facts(environment(w, sni="Test.Example"))
    assert seen == {
        "SSL_PROTOCOL": "TLSv1.2",
        "SSL_CIPHER": suite.format("RSA" if kind.startswith("rsa") else "ECDSA"),
        "SSL_TLS_SNI_SERVERNAME": "Test.Example",  # as sent, case kept
    }


@pytest.mark.parametrize(
    ("version", "expected"), [(ssl.TLSVersion.TLSv1, "TLSv1"), (ssl.TLSVersion.TLSv1_1, "TLSv1.1")]
)
def test_protocol_of_old_versions(
    ours: Program, certs: Certs, version: ssl.TLSVersion, expected: str
) -> None:
    options = ["-m", "tls10", "-c", "AES_128_CBC_SHA", "-f", certs.server("p256")]
    with Wrapped(options, ENV, program=ours) as w:
        seen = facts(environment(w, client_context(maximum=version)))
    assert seen == {"SSL_PROTOCOL": expected, "SSL_CIPHER": "ECDHE-ECDSA-AES128-SHA"}


@pytest.mark.parametrize("options", [[], ["-a"]], ids=["plain", "with client certificate"])
def test_inherited_facts_are_never_believed(ours: Program, certs: Certs, options: list[str]) -> None:
    forged = dict.fromkeys(FACTS, "forged")
    options = [*options, str(certs.client_ca)] if options else []
    context = client_context(certificate=certs.client("nobody") if options else None)
    with Wrapped([*options, "-f", certs.server("p256")], ENV, program=ours, extra_env=forged) as w:
        seen = facts(environment(w, context))
    assert "forged" not in seen.values()
    expected = {"SSL_PROTOCOL", "SSL_CIPHER"}
    expected |= {"SSL_PEER_CERT_HASH", "SSL_PEER_CERT_SUBJECT"} if options else set()
    assert set(seen) == expected


@pytest.mark.parametrize(
    ("subject", "expected"),
    [
        ({"common_name": "nobody"}, "CN=nobody"),
        ({"common_name": "nobody", "unit": "Mail"}, "OU=Mail, CN=nobody"),
        ({"common_name": "a,b=c+d", "unit": r"x\y#<>"}, r"OU=x\\y\#\<\>, CN=a\,b\=c\+d"),
        ({"common_name": None, "email": "nobody@x"}, None),
    ],
    ids=["name", "unit", "escapes", "nothing known"],
)
def test_facts_of_the_client_certificate(
    ours: Program, certs: Certs, subject: dict[str, str], expected: str | None
) -> None:
    pem = certs.client(**subject)
    der = ssl.PEM_cert_to_DER_cert("-----BEGIN CERT" + pem.read_text().split("-----BEGIN CERT")[1])
    with Wrapped(["-a", certs.client_ca, "-f", certs.server("p256")], ENV, program=ours) as w:
        seen = facts(environment(w, client_context(certificate=pem)))
    assert seen["SSL_PEER_CERT_HASH"] == "SHA256:" + hashlib.sha256(der).hexdigest()
    assert seen.get("SSL_PEER_CERT_SUBJECT") == expected
