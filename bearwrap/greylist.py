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

    __slots__ = ("_answer", "_blank_due")

    def __init__(self) -> None:
        self._answer = b""
        self._blank_due = False  # the previous answer's empty line may still come

    def ask(self, client: bytes, sender: bytes, recipient: bytes) -> bytes:
        """The request for one recipient; the previous answer is forgotten.

        sender and recipient stand as in the SMTP command, brackets included. None of the three can hold an LF.
        postgrey passes every request that lacks a client's name; `unknown` is what Postfix says when it has none.
        """
        self._answer = b""
        return b"".join((b"request=smtpd_access_policy\nclient_address=", client, b"\nclient_name=unknown",
                         b"\nsender=", sender, b"\nrecipient=", recipient, b"\n\n"))

    def feed(self, data: bytes) -> str | None:
        """Take bytes of the answer; the verdict once its first line is whole, None before.

        `action=dunno` and `action=prepend` pass, `action=reject` rejects, everything else defers; TOO_LONG ends the
        conversation.
        """
        self._answer += data
        if self._blank_due:
            if self._answer in (b"", b"\r"):
                return None
            for blank in (b"\n", b"\r\n"):
                if self._answer.startswith(blank):
                    self._answer = self._answer[len(blank):]
                    break
            self._blank_due = False
        line, end, _ = self._answer.partition(b"\n")
        if len(line) > ANSWER_MAX:
            return TOO_LONG
        if not end:
            return None
        line = line.rstrip(b"\r").lower()
        self.rest(b"")
        # postgrey's word for a triplet that has waited long enough is a header to add
        if line.startswith((b"action=dunno", b"action=prepend")):
            return PASS
        return REJECT if line.startswith(b"action=reject") else DEFER

    def rest(self, data: bytes) -> None:
        """Take what came behind an answer's verdict, before the next request."""
        if self._answer:
            self._answer += data
            text = self._answer.replace(b"\r\n", b"\n")
            self._blank_due = b"\n\n" not in text and text[:1] != b"\n"
