"""smtp - the dialogue between an SMTP client and an SMTP server that knows no STARTTLS. Pure: bytes in, actions out.

The relay is in lock step: one line of the client goes to prog, one reply of prog goes to the client; only a message's
text flows without replies. So the dialogue waits for one thing at a time, which `need` names, and the caller reads
nothing else:

    CLIENT  bytes from the client: feed(), or ended() at EOF
    PROG    bytes from prog: the same
    POLICY  a verdict on the last ASK: judged()
    TLS     the end of the handover that ENCRYPT asked for: encrypted()
    NOTHING the dialogue is over

Each of these adds to `actions`, which the caller takes with take() and carries out in order: SEND and PASS (bytes for
the client, for prog), ASK (about `sender` and `recipient`), ENCRYPT, INFO, WARNING and DEBUG (a line for the log),
and the last one, BROKEN, or OVER after QUIT, when prog's exit code is the program's. The others have no bytes.

Both sides are untrusted. The client's lines and what of an envelope is remembered are bounded, and so is a reply of
prog. A verb is compared whole; what follows it is prog's to judge. What a client says for AUTH (RFC 4954) is passed on
and never logged: neither the argument of AUTH nor the line that answers a reply of code 334, which is no command.

Line ends. LF and NUL end a line of the client, a NUL because it is passed on as LF: prog must never see two lines
where the lock step has counted one. Lines are passed with CRLF (behind a NUL with LF). If the line that began the
message text ended in CRLF, then only CRLF, a dot and CRLF end the text, and any other lone dot is passed doubled, so
that it is text for prog too (RFC 5321 section 4.1.1.4; else one message smuggles in another). A client that ends its
DATA line otherwise may end all its lines so.
"""

from __future__ import annotations

from bearwrap import greylist

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    Action = tuple[str, bytes | bytearray]

# What the dialogue waits for.
CLIENT = "client"
PROG = "prog"
POLICY = "policy"
TLS = "tls"
NOTHING = "nothing"

# What it asks for.
SEND = "send"
PASS = "pass"
ASK = "ask"
ENCRYPT = "encrypt"
INFO = "info"
WARNING = "warning"
DEBUG = "debug"
OVER = "over"
BROKEN = "broken"

# Bounds in bytes, those of tlswrapper-smtp. RFC 5321 section 4.5.3.1 asks for lines of 512 and 1000, paths of 256 and
# 100 recipients.
LINE_MAX = 4096  # a client's line with its CR, without its LF
REPLY_MAX = 4096  # a whole reply of prog, line ends included
ADDRESS_MAX = 2048
RECIPIENTS_MAX = 256
RECIPIENT_LIST_MAX = 65536  # all recipients, a comma behind each

# A log line is cut at 3500 bytes with name and address (src/log.pxi), so the reply at its end must come before that.
LOG_MAX = 3300
LOG_ROOM_MIN = 1000  # for recipients; less when sender and reply are so long that the line is cut in any case

CRLF = b"\r\n"
PRINTABLE = bytes(range(32, 127))
# What prog may offer, but cannot be had through this relay: its own STARTTLS, which is answered here, and the
# extensions of RFC 3030, whose BDAT has no place in a relay of lines.
HIDDEN = (b"STARTTLS", b"CHUNKING", b"BINARYMIME")
UNIMPLEMENTED = b"502 unimplemented (#5.5.1)"
READY = b"220 ready to start TLS (#2.0.0)"
VERDICTS = {greylist.REJECT: b"553 bad reputation (#5.7.1)", greylist.DEFER: b"450 greylisted (#4.3.0)"}


class Line:
    """A line of the client: its text, the end it had (CRLF, LF or NUL), and the end it is passed with."""

    __slots__ = ("end", "text")

    def __init__(self, raw: bytes) -> None:
        self.end = CRLF if raw[-2:] == CRLF else raw[-1:]
        self.text = raw[:-len(self.end)]

    @property
    def passed(self) -> bytes:
        return self.text + (b"\n" if self.end == b"\0" else CRLF)

    def verb(self) -> bytes:
        """The text up to a space or CR, in lower case."""
        return self.text.partition(b" ")[0].partition(b"\r")[0].lower()

    def argument(self, prefix: bytes) -> bytes | None:
        """What stands behind a prefix (in upper case), up to a space or CR; None without the prefix."""
        if self.text[: len(prefix)].upper() != prefix:
            return None
        return self.text[len(prefix):].partition(b" ")[0].partition(b"\r")[0]


class Dialogue:
    """One SMTP session. identity: the log id that replies are marked with; starttls: TLS can be had;
    policed: recipients are asked about.
    """

    def __init__(self, identity: bytes, starttls: bool = False, policed: bool = False) -> None:
        self.need: str = PROG
        self.actions: list[Action] = []
        self.sender = b""  # of the last MAIL
        self.recipient = b""  # of the last RCPT
        self._mark = b" [" + identity + b"]" + CRLF
        self._starttls = starttls
        self._policed = policed
        self._received = b""  # from the client
        self._taken = 0  # bytes of it that are dealt with
        self._reply = b""  # from prog, not yet taken
        self._scanned = 0  # bytes of the reply that are whole lines other than its last
        self._line = Line(CRLF)  # the command that is being answered
        self._challenged = False  # prog's last reply was a challenge of AUTH
        self._answer: Callable[[bytes], None] = self._greet
        self._in_text = False
        self._strict = True  # the message text ends as RFC 5321 says
        self._at_crlf = True  # the last line of the text ended in CRLF
        self._has_mail = False
        self._recipients: list[bytes] = []
        self._list_length = 0

    def take(self) -> list[Action]:
        """The actions since the last call, in order."""
        actions, self.actions = self.actions, []
        return actions

    # --- what happens to it ---

    def feed(self, data: bytes) -> None:
        """Bytes (at least one) from the side that `need` names."""
        if self.need == CLIENT:
            self._received = self._received[self._taken:] + data
            self._taken = 0
        elif self.need == PROG:
            self._reply += data
        else:
            raise ValueError("nothing is read now")
        self._advance()

    def ended(self) -> None:
        """EOF from the side that `need` names."""
        self._stop(self.need.encode() + b" closed the connection")

    def judged(self, verdict: str) -> None:
        """greylist.PASS, DEFER or REJECT for the recipient of the last ASK."""
        if verdict == greylist.PASS:
            self._pass_on(self._answer_recipient)
        else:
            self._answer_recipient(VERDICTS[verdict])
        self._advance()

    def encrypted(self) -> None:
        """The client speaks TLS from here on: nothing it said before counts, for prog neither."""
        self._forget_envelope()
        self._line = Line(b"RSET" + CRLF)
        self._pass_on(self._note)
        self._advance()

    # --- the steps between ---

    def _advance(self) -> None:
        """Go on with what is there until more is needed."""
        moved = True
        while moved:
            if self.need == CLIENT:
                moved = self._take_text() if self._in_text else self._take_command()
            else:
                moved = self.need == PROG and self._take_reply()

    def _stop(self, why: bytes) -> None:
        self._do(DEBUG, why)
        self._finish(BROKEN)

    def _finish(self, how: str) -> None:
        self.need = NOTHING
        self._do(how)

    def _do(self, action: str, data: bytes = b"") -> None:
        self.actions.append((action, data))

    def _pass(self, data: bytes) -> None:
        """Bytes for prog; what follows one another is one action, or short lines would be a system call each."""
        if self.actions and self.actions[-1][0] == PASS:
            last = self.actions[-1][1]
            assert isinstance(last, bytearray)
            last.extend(data)
        else:
            self.actions.append((PASS, bytearray(data)))

    def _pass_on(self, answer: Callable[[bytes], None]) -> None:
        """Give the command to prog; its reply goes to `answer`."""
        self._pass(self._line.passed)
        self._answer = answer
        self.need = PROG

    # --- the client's lines ---

    def _next_line(self) -> Line | None:
        """The next whole line; None when there is none, or when it is too long and the dialogue is over."""
        start, there = self._taken, len(self._received)
        end = self._received.find(b"\n", start)
        zero = self._received.find(b"\0", start, end if end >= 0 else there)
        end = zero if zero >= 0 else end
        if (end if end >= 0 else there) - start > LINE_MAX:
            self._stop(b"client line is longer than %d bytes" % LINE_MAX)
            return None
        if end < 0:
            return None
        self._taken = end + 1
        return Line(self._received[start: end + 1])

    def _take_command(self) -> bool:
        line = self._next_line()
        if line is None:
            return False
        self._line = line
        verb = line.verb()
        if self._challenged:
            self._challenged = False
            self._pass_on(self._answer_secret)
        elif line.text.lstrip()[:4].lower() == b"auth":  # with a tab behind it too, which some servers take
            self._pass_on(self._answer_secret)
        elif verb == b"quit":
            self._pass_on(self._answer_quit)
        elif verb == b"data":
            self._pass_on(self._answer_data)
        elif verb == b"mail":
            self._mail()
        elif verb == b"rcpt":
            self._recipient()
        elif verb == b"ehlo":
            self._pass_on(self._answer_ehlo)
        elif verb == b"starttls":
            self._start_tls()
        else:
            self._pass_on(self._say)
        return True

    def _mail(self) -> None:
        sender = self._line.argument(b"MAIL FROM:") or b""
        if len(sender) > ADDRESS_MAX:
            self._stop(b"MAIL address is longer than %d bytes" % ADDRESS_MAX)
            return
        self._forget_envelope()
        self.sender = sender
        self._has_mail = True
        self._pass_on(self._answer_mail)

    def _recipient(self) -> None:
        named = self._line.argument(b"RCPT TO:")
        self.recipient = recipient = named or b""
        if len(recipient) > ADDRESS_MAX:
            self._stop(b"RCPT address is longer than %d bytes" % ADDRESS_MAX)
        elif len(self._recipients) == RECIPIENTS_MAX:
            self._stop(b"more than %d recipients" % RECIPIENTS_MAX)
        elif self._list_length + len(recipient) + 1 > RECIPIENT_LIST_MAX:
            self._stop(b"recipient list is longer than %d bytes" % RECIPIENT_LIST_MAX)
        else:
            if named is not None:
                self._recipients.append(recipient)
                self._list_length += len(recipient) + 1
            if self._policed and self._has_mail:
                self._do(ASK)
                self.need = POLICY
            else:
                self._pass_on(self._answer_recipient)

    def _start_tls(self) -> None:
        if not self._starttls:
            self._send_marked(UNIMPLEMENTED)
            return
        self._starttls = False
        self._send_marked(READY)
        # What the client sent behind the command, it sent in clear.
        self._received = b""
        self._taken = 0
        self._do(ENCRYPT)
        self.need = TLS

    def _forget_envelope(self) -> None:
        self.sender = b""
        self._has_mail = False
        self._recipients = []
        self._list_length = 0

    # --- the message text ---

    def _take_text(self) -> bool:
        """Pass on what of the text is there; True when the text is over."""
        self._take_plain_text()
        while self._in_text:
            line = self._next_line()
            if line is None:
                return False
            at_crlf, self._at_crlf = self._at_crlf, line.end == CRLF
            if line.text != b".":
                self._pass(line.passed)
            elif self._strict and not (at_crlf and self._at_crlf):
                self._pass(b"." + line.passed)
            else:
                self._pass(b"." + CRLF)
                self._in_text = False
                self._answer = self._answer_text
                self.need = PROG
        return True

    def _take_plain_text(self) -> None:
        """Pass on all whole lines at once when none is a dot, too long or ends in NUL: nearly always."""
        end = self._received.rfind(b"\n") + 1
        text = self._received[self._taken: end]
        lines = text.split(b"\n")
        if text and not (b"\0" in text or b"." in lines or b".\r" in lines or max(map(len, lines)) > LINE_MAX):
            self._taken = end
            self._at_crlf = text.endswith(CRLF)
            self._pass(text.replace(CRLF, b"\n").replace(b"\n", CRLF))

    # --- prog's replies ---

    def _take_reply(self) -> bool:
        """Take one whole reply: lines with a hyphen behind the code, and one without."""
        while True:
            end = self._reply.find(b"\n", self._scanned) + 1
            if (end or len(self._reply)) > REPLY_MAX:
                self._stop(b"prog reply is longer than %d bytes" % REPLY_MAX)
                return False
            if not end:
                return False
            last = end - self._scanned > 3 and self._reply[self._scanned + 3] != 45
            self._scanned = end
            if last:
                break
        reply, self._reply = self._reply[:end], self._reply[end:]
        self._scanned = 0
        self.need = CLIENT
        self._answer(reply)
        return True

    def _greet(self, reply: bytes) -> None:
        """The greeting, marked; it answers nothing."""
        self._do(SEND, self._marked(reply))

    def _send_marked(self, reply: bytes) -> None:
        """The reply with the log id behind its last line."""
        self._say(self._marked(reply))

    def _marked(self, reply: bytes) -> bytes:
        return reply.removesuffix(b"\n").removesuffix(b"\r") + self._mark

    def _say(self, reply: bytes) -> None:
        """The reply as it is."""
        self.need = CLIENT
        self._do(SEND, reply)
        self._note(reply)

    def _note(self, reply: bytes) -> None:
        self._do(DEBUG, self._line.passed + b": " + reply)

    def _answer_secret(self, reply: bytes) -> None:
        self._challenged = code(reply) == b"334"
        self._line = Line(b"AUTH ***" + CRLF)
        self._say(reply)

    def _answer_quit(self, reply: bytes) -> None:
        self._send_marked(reply)
        self._finish(OVER)

    def _answer_ehlo(self, reply: bytes) -> None:
        self._say(extensions(reply, self._starttls) if code(reply) == b"250" else reply)

    def _answer_mail(self, reply: bytes) -> None:
        reply = self._marked(reply)
        self._say(reply)
        if code(reply) != b"250":
            self._do(WARNING, b"F=" + self.sender + b": " + reply)

    def _answer_recipient(self, reply: bytes) -> None:
        reply = self._marked(reply)
        self._say(reply)
        if code(reply) != b"250":
            self._do(WARNING, self._envelope(self.recipient, reply))

    def _answer_data(self, reply: bytes) -> None:
        reply = self._marked(reply)
        if code(reply) == b"354":
            self._do(SEND, reply)
            self._in_text = True
            self._strict = self._at_crlf = self._line.end == CRLF
            return
        self._say(reply)
        # prog may hold the transaction open, so the envelope is kept: without it no recipient would be judged
        self._log_message(WARNING, reply)

    def _answer_text(self, reply: bytes) -> None:
        reply = self._marked(reply)
        self._do(SEND, reply)
        self._do(DEBUG, b"DATA: " + reply)
        self._log_message(INFO if code(reply) == b"250" else WARNING, reply)
        self._forget_envelope()

    def _log_message(self, level: str, reply: bytes) -> None:
        """Sender, recipients and reply: one line, or more of the same shape when it would be too long for the log."""
        room = LOG_MAX - logged_length(self._envelope(b"", reply))
        line, length = b"", 0
        for recipient in self._recipients:
            named = recipient + b","
            if line and length + logged_length(named) > room >= LOG_ROOM_MIN:
                self._do(level, self._envelope(line, reply))
                line, length = b"", 0
            line += named
            length += logged_length(named)
        self._do(level, self._envelope(line, reply))

    def _envelope(self, recipients: bytes, reply: bytes) -> bytes:
        return b"F=" + self.sender + b" T=" + recipients + b": " + reply


def logged_length(text: bytes) -> int:
    """Bytes in the log, where a byte that cannot be printed takes four (two for CR and LF, which is less)."""
    return len(text) + 3 * len(text.translate(None, PRINTABLE))


def code(reply: bytes) -> bytes:
    """The first three bytes of a reply's last line."""
    start = reply.rfind(b"\n", 0, -1) + 1
    return reply[start: start + 3]


def extensions(reply: bytes, starttls: bool) -> bytes:
    """prog's 250 reply to EHLO without what this relay cannot carry, and with STARTTLS; else as it is."""
    lines = [line.removesuffix(b"\r") for line in reply.split(b"\n")[:-1]]
    kept = lines[:1] + [line for line in lines[1:] if line[4:].strip().upper() not in HIDDEN]
    if starttls:
        kept.append(b"250 STARTTLS")
    elif len(kept) == len(lines):
        return reply
    head = [line[:3] + b"-" + line[4:] + CRLF for line in kept[:-1]]
    return b"".join(head) + kept[-1][:3] + b" " + kept[-1][4:] + CRLF
