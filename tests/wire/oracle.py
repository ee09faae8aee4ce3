"""The table against OpenSSL, as Python's ssl module has it: where another server agrees, and where not.

    python -m tests.wire.oracle [PART/NAME ...]

Judges only what comes over the socket. `serve` answers one connection with an echo, as prog does behind the
wrapper; it is also what shows that a failure lies in the server and not in our client (test_client.py).
"""

from __future__ import annotations

import contextlib
import socket
import ssl
import sys
import tempfile
import threading
import warnings
from pathlib import Path

from tests.certs import Certs
from tests.harness import connection

from .identities import Identities
from .names import AEAD_OPTIONS, suite_for
from .row import Ends, Row
from .table import TABLE
from .verdict import Seen, drive, judge_wire

_VERSIONS = {"tls10": ssl.TLSVersion.TLSv1, "tls11": ssl.TLSVersion.TLSv1_1, "tls12": ssl.TLSVersion.TLSv1_2}
_CURVES = {"x25519": "X25519", "secp256r1": "prime256v1", "secp384r1": "secp384r1", "secp521r1": "secp521r1"}


def context_for(row: Row, identities: Identities) -> ssl.SSLContext:
    """A server context that does what the row's options ask for, as far as the module can."""
    words = row.arguments(identities.files)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_TICKET
    context.options &= ~(ssl.OP_NO_TLSv1 | ssl.OP_NO_TLSv1_1)
    low, high, ciphers, groups = "tls12", "tls12", [], []
    for word, value in zip(words, [*words[1:], ""], strict=True):
        if word == "-f":
            context.load_cert_chain(value)
        elif word == "-c":
            ciphers.append(value)
        elif word == "-e":
            groups.append(value)
        elif word == "-m":
            low = value
        elif word == "-M":
            high = value
        elif word == "-a":
            context.load_verify_locations(value)
            context.verify_mode = ssl.CERT_REQUIRED
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version, context.maximum_version = _VERSIONS[low], _VERSIONS[high]
    names = [suite_for(c, a).openssl for c in ciphers or AEAD_OPTIONS for a in ("ecdsa", "rsa")]
    context.set_ciphers(":".join(names) + ":@SECLEVEL=0")
    # the module sets one curve or leaves all on; X25519 is the first choice anyway, and 3.0 cannot set it so
    if len(groups) == 1 and groups[0] != "x25519":
        context.set_ecdh_curve(_CURVES[groups[0]])
    if "-S" in words:
        context.options &= ~ssl.OP_CIPHER_SERVER_PREFERENCE
    return context


def serve(sock: socket.socket, context: ssl.SSLContext) -> None:
    """Echo over one connection to its end; then read the rest off, so that no reset eats an alert."""
    sock.settimeout(10)
    tls = context.wrap_socket(
        sock, server_side=True, do_handshake_on_connect=False, suppress_ragged_eofs=False
    )
    with contextlib.suppress(OSError), tls:
        try:
            tls.do_handshake()
            while data := tls.recv(65536):
                tls.sendall(data)
            with contextlib.suppress(TimeoutError):
                tls.settimeout(0.05)
                tls.unwrap()  # sends close_notify; the peer's is either in already, or will not come
        except ssl.SSLError:
            pass
        with socket.socket(fileno=tls.detach()) as plain:
            plain.shutdown(socket.SHUT_WR)
            plain.settimeout(2)
            while plain.recv(65536):
                pass


def attempt(row: Row, identities: Identities) -> Seen:
    """Drive one row against OpenSSL in a thread."""
    client, server = connection()
    thread = threading.Thread(target=serve, args=(server, context_for(row, identities)))
    thread.start()
    try:
        return drive(row, client, identities.get(row.identity), 1.0)
    finally:
        client.close()
        thread.join(10)


def main(wanted: list[str]) -> int:
    """Print the rows where OpenSSL does otherwise, and a count."""
    agree, differ = 0, 0
    with tempfile.TemporaryDirectory() as folder:
        identities = Identities(Certs(Path(folder)))
        for name, row in TABLE.items():
            if wanted and not any(name.startswith(prefix) for prefix in wanted):
                continue
            faults = judge_wire(row, attempt(row, identities))
            if row.ends is not Ends.SERVED:  # how OpenSSL's user closes is not OpenSSL's
                faults = [fault for fault in faults if not fault.startswith("the connection ended")]
            agree, differ = agree + (not faults), differ + bool(faults)
            if faults:
                print(f"{name}: {'; '.join(faults)}", flush=True)
    print(f"{ssl.OPENSSL_VERSION}: {agree} rows agree, {differ} do not")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
