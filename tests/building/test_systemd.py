"""The units under a real systemd, as `make install` lays them, with their whole sandbox: they start, serve, stop."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import pytest

from tests.building.machine import Machine
from tests.certs import Certs
from tests.harness import LIMIT_S, needs_root

pytestmark = needs_root

CLIENT = """
import socket, ssl, sys
context = ssl.create_default_context()
context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
with context.wrap_socket(socket.create_connection(("127.0.0.1", int(sys.argv[1])), 30)) as tls:
    while b"groups" not in (data := tls.recv(65536)):
        print(data.decode(), end="")
    print(data.decode(), flush=True)
    sys.stdin.read()
    tls.sendall(b"x")
    assert tls.recv(1) == b"x" and tls.recv(1) == b""
"""
CONFIGURATION = """
ADDRESS=127.0.0.1:8443
LIMITS=--max-connections 20 --workers 2
OPTIONS=-vvv -f /etc/server.pem -u nobody
PROG=sh /etc/prog
"""
PROG = "env; id; exec head -c 1\n"  # its words, then it waits for one byte
SOCKET = "[Socket]\nListenStream=127.0.0.1:9443\n[Install]\nWantedBy=sockets.target\n"


@pytest.fixture(scope="module")
def machine(certs: Certs) -> Iterator[Machine]:
    files = {
        "etc/bearwrap.conf": CONFIGURATION,
        "etc/prog": PROG,
        "etc/server.pem": certs.server("p256").read_text(),
        "etc/activated.conf": CONFIGURATION.replace("127.0.0.1:8443", "systemd"),
        "etc/systemd/system/activated.socket": SOCKET,
    }
    with Machine(files) as machine:
        yield machine


def client(machine: Machine, port: int) -> subprocess.Popen[str]:
    """A client that says what prog says, and lets it end when its input ends."""
    command = machine.enter_network(sys.executable, "-c", CLIENT, str(port))
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def served(machine: Machine, port: int) -> str:
    """What prog says of one connection."""
    with client(machine, port) as process:
        said, _ = process.communicate(timeout=LIMIT_S)
        assert process.returncode == 0, machine.journal()
    return said


def test_a_tlswrapper_for_each_connection(machine: Machine) -> None:
    """The second finds the settings of the first: the cache's folder is there, and stays."""
    machine.run("systemctl", "start", "bearwrap@443.socket")
    for _ in range(2):
        said = served(machine, 443)
        assert "SSL_PROTOCOL=TLSv1.3\n" in said and "TCPREMOTEIP=127.0.0.1\n" in said and "(nobody)" in said
    assert "tracing: settings from the cache" in machine.journal("--identifier=tlswrapper")
    assert machine.run("stat", "-c", "%a %U", "/run/tlswrapper").split() == ["700", "root"]
    machine.run("systemctl", "stop", "bearwrap@443.socket")
    assert machine.run("systemctl", "list-units", "--failed", "--plain", "--no-legend", "bearwrap*") == ""


def test_the_listener(machine: Machine) -> None:
    """Ready when it says so, the same after a reload; its drain lets a connection end."""
    unit = "bearwrap-serve.service"
    machine.run("systemctl", "start", unit)
    assert "SSL_PROTOCOL=TLSv1.3\n" in served(machine, 8443)
    machine.run("systemctl", "reload", unit)
    assert "(nobody)" in served(machine, 8443)
    assert "bearwrap_served_total 2\n" in machine.run(
        "curl", "-sS", "--max-time", "10", "--unix-socket", "/run/bearwrap/status", "http://localhost/metrics"
    )
    pid = machine.property(unit, "MainPID")
    assert "/lib/bearwrap/listener-" in machine.run("readlink", f"/proc/{pid}/exe")
    with client(machine, 8443) as process:
        assert process.stdout and process.stdout.readline()
        machine.run("systemctl", "stop", "--no-block", unit)
        machine.wait_property(unit, "SubState", "stop-sigterm")
        process.communicate(timeout=LIMIT_S)
        assert process.returncode == 0, machine.journal()
    machine.wait_property(unit, "ActiveState", "inactive")
    assert machine.property(unit, "Result") == "success"


def test_sockets_of_systemd(machine: Machine) -> None:
    """A listener that systemd starts with the first client, and hands the socket."""
    unit = machine.property("bearwrap-serve.service", "FragmentPath")
    machine.run("sh", "-c", f"sed 's:/etc/bearwrap:/etc/activated:' {unit} >/etc/systemd/system/activated.service")
    machine.run("systemctl", "daemon-reload")
    machine.run("systemctl", "start", "activated.socket")
    assert machine.property("activated.service", "ActiveState") == "inactive"
    assert "TCPLOCALPORT=9443\n" in served(machine, 9443)
    assert machine.property("activated.service", "ActiveState") == "active"
    machine.run("systemctl", "stop", "activated.service", "activated.socket")
    assert machine.property("activated.service", "Result") == "success"


def test_what_is_wrong_is_in_the_journal(machine: Machine) -> None:
    machine.run("sh", "-c", "sed -i 's/^ADDRESS=.*/ADDRESS=127.0.0.1:0x/' /etc/bearwrap.conf")
    machine.run("systemctl", "start", "bearwrap-serve.service", check=False)
    machine.run("systemctl", "stop", "bearwrap-serve.service")
    assert "127.0.0.1:0x" in machine.journal("--identifier=bearwrap").splitlines()[-1]
