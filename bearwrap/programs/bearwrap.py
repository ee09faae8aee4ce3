"""bearwrap - what this build is, the listener, the benchmarks, and where to read on."""

from __future__ import annotations

from bearwrap import _bear, programs
from bearwrap.errors import UsageError
from bearwrap.logs import write
from bearwrap.options import parse
from bearwrap.programs.refusal import version_text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from bearwrap.logs import Log
    from bearwrap.options import Option

NAME = b"bearwrap"
USAGE = "bearwrap version | serve address prog | bench"
CLOSING = (
    "  version         what this build is made of\n"
    "  serve           listen, and run prog behind TLS for each connection; `bearwrap serve --help`\n"
    "  bench           compare with other TLS wrappers on this machine; `bearwrap bench --help`\n\n"
    "The wrapper itself is tlswrapper(1)."
)
OPTIONS: list[Option] = []


def start(args: Sequence[bytes], log: Log) -> int:
    """Do what the first word says."""
    if args[:1] == [b"serve"]:
        from bearwrap.programs import serve

        return programs.run(serve, args[1:])
    if args[:1] == [b"bench"]:
        from bearwrap.programs import bench

        return programs.run(bench, args[1:])
    rest = parse(args, OPTIONS, lambda letter, value: None)
    if rest != [b"version"]:
        raise UsageError()
    facts = _bear.build_facts()
    libcrypto, sodium, nettle = (facts[name].decode() for name in ("libcrypto", "sodium", "nettle"))
    lines = [
        version_text().rstrip(),
        "BearSSL 0.6, " + ("vendored" if facts["vendored"] else "the system's (no downgrade marker in ServerHello)"),
        "ChaCha20-Poly1305: "
        + ("libcrypto " + libcrypto if libcrypto else
           f"libsodium {sodium} (less than half as fast)" if sodium else "BearSSL's own (about nine times slower)"),
        "X25519, Ed25519: "
        + ("libsodium " + sodium if sodium else "BearSSL's own (about four times slower, and no Ed25519)"),
        "P-256, P-384, P-521, RSA signatures: "
        + (f"nettle {nettle}, GMP {facts['gmp'].decode()}" if nettle else
           "BearSSL's own (signatures about six and two times slower)"),
    ]
    write(1, "\n".join(lines) + "\n")
    return 0
