"""tcpconnect - which of a host's addresses is tried when, and for how long. Pure: clock and sockets are passed in.

All addresses are tried one after the other with a short limit, then again with a longer one, as s6-tcpclient does: an
address that does not answer costs little while there are others, and a slow one still gets its time.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

ETIMEDOUT = 110


def chosen(addresses: Sequence[bytes], ipv4: bool, ipv6: bool, local: bytes | None = None) -> list[bytes]:
    """The addresses of the families that are wanted: with both, IPv6 first; with neither, all in their order.

    A local address can only reach its own family.
    """
    found = [ip for ip in addresses if local is None or is_ipv6(ip) == is_ipv6(local)]
    if ipv4 or ipv6:
        found = [ip for ip in found if ipv6 and is_ipv6(ip)] + [ip for ip in found if ipv4 and not is_ipv6(ip)]
    return found


def is_ipv6(address: bytes) -> bool:
    return b":" in address


def rounds(addresses: int, first_s: int, second_s: int) -> list[int]:
    """The limits of each address, in seconds, one a round; a single address has both at once."""
    limits = [first_s + second_s] if addresses == 1 else [first_s, second_s]
    return [limit for limit in limits if limit]


def connect(
    addresses: Sequence[bytes],
    limits_s: Sequence[int],
    deadline_ms: int | None,
    clock: Callable[[], int],
    attempt: Callable[[bytes, int], int],
    given_up: Callable[[bytes, int], object],
) -> int | None:
    """Try the addresses; what attempt(address, until_ms) returns, or None when none could be connected to.

    attempt raises OSError; given_up(address, errno) is called for each address that will not be tried again.
    """
    for at, limit in enumerate(limits_s):
        for address in addresses:
            until = clock() + 1000 * limit
            if deadline_ms is not None and until > deadline_ms:
                until = deadline_ms
            try:
                return attempt(address, until)
            except OSError as why:
                over = deadline_ms is not None and clock() >= deadline_ms
                if over or at == len(limits_s) - 1:
                    given_up(address, why.errno or ETIMEDOUT)
                if over:
                    return None
    return None
