"""Real clients that come back with a ticket, over TLS 1.3: every suite, with and without a HelloRetryRequest."""

from __future__ import annotations

import itertools
import os
import re
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.certs import Certs
from tests.client.server13 import RETRY_RANDOM
from tests.harness import Program, Wrapped, client_context, needs_root
from tests.serve.listening import Serving
from tests.servers import Tap

from .peers13 import GROUPS, SAYS, SUITES, V13, Clients, groups_for

pytestmark = needs_root
GROUP = "secp384r1"
rows = pytest.mark.parametrize(("suite", "retry"), list(itertools.product(SUITES, (False, True))), ids=str)


def serving(certs: Certs, suite: str, group: str = GROUP) -> Serving:
    return Serving(["-c", suite, "-e", group, "-f", str(certs.server("p256"))], ["sh", "-c", SAYS])


@rows
def test_openssl(certs: Certs, clients: Clients, tmp_path: Path, suite: str, retry: bool) -> None:
    session, groups = tmp_path / "session", groups_for(GROUP, retry)
    with serving(certs, suite) as served, Tap(served.port) as tap:
        for turn in range(3):
            words = ["-sess_out", session, *(["-sess_in", session] if turn else [])]
            text = clients.run("openssl", tap.port, groups, *words)
            assert f"{'Reused' if turn else 'New'}, TLSv1.3, Cipher is {SUITES[suite]}" in text, text
        assert tap.said.count(RETRY_RANDOM) == 3 * retry
        assert served.wait_counter("bearwrap_served_total", 3)["bearwrap_resumed_total"] == 2


@rows
def test_gnutls(certs: Certs, clients: Clients, suite: str, retry: bool) -> None:
    with serving(certs, suite) as served, Tap(served.port) as tap:
        text = clients.run("gnutls", tap.port, groups_for(GROUP, retry), "--resume", "--waitresumption")
        assert "*** This is a resumed session" in text, text
        assert tap.said.count(RETRY_RANDOM) == 2 * retry
        assert served.wait_counter("bearwrap_served_total", 2)["bearwrap_resumed_total"] == 1


@rows
def test_nss(certs: Certs, clients: Clients, suite: str, retry: bool) -> None:
    """tstclnt connects twice."""
    with serving(certs, suite) as served, Tap(served.port) as tap:
        text = clients.run("nss", tap.port, groups_for(GROUP, retry), "-L", 2)
        assert text.count(f"TLSv1.3 {SUITES[suite]} none\nhello\n") == 2 and "1 stateless resumes" in text, text
        assert tap.said.count(RETRY_RANDOM) == 2 * retry
        assert served.wait_counter("bearwrap_served_total", 2)["bearwrap_resumed_total"] == 1


@rows
def test_curl(certs: Certs, clients: Clients, suite: str, retry: bool) -> None:
    """Several addresses in one call, a connection each."""
    with serving(certs, suite) as served, Tap(served.port) as tap:
        more = [f"https://localhost:{tap.port}/{i}" for i in range(3)]
        text = clients.run("curl", tap.port, groups_for(GROUP, retry), *more)
        assert text.count(f"TLSv1.3 {SUITES[suite]} none\nGET ") == 4, text
        assert tap.said.count(RETRY_RANDOM) == 4 * retry
        assert served.wait_counter("bearwrap_served_total", 4)["bearwrap_resumed_total"] == 3


@pytest.mark.parametrize("group", GROUPS)
@rows
def test_go(certs: Certs, clients: Clients, group: str, suite: str, retry: bool) -> None:
    """Of the retry it is enough that the first connection is good, for the versions with a wrong binder."""
    with serving(certs, suite, group) as served, Tap(served.port) as tap:
        text = clients.run("go", tap.port, groups_for(group, retry))
        resumed = re.findall(rf"^304 {SUITES[suite]} (\w+) \"\"$", text, re.M)
        assert resumed == ["false", "true"] or (retry and resumed == ["false"]), text
        assert tap.said.count(RETRY_RANDOM) == 2 * retry


def test_chromium(certs: Certs, clients: Clients, tmp_path: Path) -> None:
    """Three times to each server, a connection each: once the browser has a ticket, it resumes."""
    with ExitStack() as stack:
        servers = [
            stack.enter_context(serving(certs, suite, group)) for suite in SUITES for group in ("x25519", GROUP)
        ]
        text = clients.chromium([server.port for server in servers] * 3, tmp_path)
        for server in servers:
            assert len(re.findall(rf"^(?:.*>)?{server.port} TLSv1\.3", text, re.M)) == 3, text
            assert server.counters()["bearwrap_resumed_total"] >= 1


@pytest.mark.parametrize("suite", SUITES)
@pytest.mark.parametrize("kind", ["rsa2048", "p256"])
def test_python(ours: Program, certs: Certs, tmp_path: Path, kind: str, suite: str) -> None:
    """With --ticket-keys, from one process to the next."""
    keys = tmp_path / "keys"
    keys.write_bytes(os.urandom(48))
    context = client_context(minimum=V13, maximum=V13)
    session = None
    for turn in range(3):
        words = ["-v", "-c", suite, "--ticket-keys", keys, "-f", certs.server(kind)]
        with Wrapped(words, ["echo", "hi"], program=ours) as w:
            tls = context.wrap_socket(w.client, session=session)
            assert tls.recv(10) == b"hi\n"
            assert tls.session_reused == (turn > 0)
            session = tls.session
            tls.close()
            assert w.wait() == 0
            assert (", resumed" in w.texts("info")[0]) == (turn > 0)
