"""greylist - the policy protocol that postgrey(8) and Postfix speak, as much of it as greylisting needs. Pure.

A request is lines of name=value and an empty line; so is an answer, whose first line holds the verdict. The caller
owns the connection: it sends what ask() gives and feeds what it reads until a verdict is there; what is left to read
before the next request goes to rest().
"""

from __future__ import annotations

from bearwrap.options import number

PASS = "pass"
DEFER = "defer"
REJECT = "reject"
TOO_LONG = "too long"

ANSWER_MAX = 4096  # bytes of an answer's first line, as tlswrapper-smtp reads; postgrey's are below 200


def server_address(text: bytes) -> tuple[bytes, int] | None:
    """(host, port) of `host:port` or `[address]:port`, else None.

    An IPv6 address needs its brackets, the port is a number 0 to 65535 without leading zeros. The host may be any
    text: what it names is the resolver's to find out.
    """
    host, colon, digits = text.rpartition(b":")
    if host[:1] == b"[":
        if host[-1:] != b"]":
            return None
        host = host[1:-1]
    elif b":" in host:
        return None
    port = number(digits, 0, 65535) if digits.isdigit() else None
    return None if port is None or not colon else (host, port)


class Policy:
    """One connection to a policy server: a request, its answer, the next request."""

    __slots__ = ("_buffer", "_in_rest")

    def __init__(self) -> None:
        self._buffer = b""  # of a line that is not whole
        self._in_rest = False  # further lines of the previous answer, up to its empty one, may still come

    def ask(self, client: bytes, sender: bytes, recipient: bytes) -> bytes:
        """The request for one recipient.

        sender and recipient stand as in the SMTP command, brackets included. None of the three can hold an LF.
        postgrey passes every request that lacks a client's name; `unknown` is what Postfix says when it has none.
        """
        return b"".join((b"request=smtpd_access_policy\nclient_address=", client, b"\nclient_name=unknown",
                         b"\nsender=", sender, b"\nrecipient=", recipient, b"\n\n"))

    def feed(self, data: bytes) -> str | None:
        """Take bytes of the answer; the verdict once its first line is whole, None before.

        `action=dunno` and `action=prepend` pass, `action=reject` rejects, everything else defers; TOO_LONG ends the
        conversation. Further lines of the previous answer, name=value and an empty one, decide nothing, however late
        they come. An action, or a line of another shape, is this answer: a server may leave out the empty line.
        """
        self._buffer += data
        while True:
            line, end, rest = self._buffer.partition(b"\n")
            if len(line) > ANSWER_MAX:
                return TOO_LONG
            if not end:
                return None
            self._buffer = rest
            line = line.rstrip(b"\r").lower()
            if self._in_rest and (not line or (b"=" in line and not line.startswith(b"action="))):
                self._in_rest = line != b""
                continue
            self._in_rest = line != b""
            # postgrey's word for a triplet that has waited long enough is a header to add
            if line.startswith((b"action=dunno", b"action=prepend")):
                return PASS
            return REJECT if line.startswith(b"action=reject") else DEFER

    def rest(self, data: bytes) -> None:
        """Take what has come behind an answer's verdict by the time of the next request, which it cannot answer."""
        *lines, last = (self._buffer + data).split(b"\n")
        for line in lines:
            if line.rstrip(b"\r") == b"":
                self._in_rest = False
        # of half a line only that it is there is kept: what follows is its end, no line of its own
        self._buffer = last and b"=" if self._in_rest else b""
