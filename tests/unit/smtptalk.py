"""A whole SMTP dialogue in memory, for the tests of bearwrap/smtp.py: a client from bytes, a server from a function.

`talk` returns all that came out, in order, and checks on the way that the two sides never fall out of step.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

from bearwrap import smtp
from bearwrap.smtp import Dialogue

MARK = b" [ID]\r\n"
GREETING = b"220 hello\r\n"
QUIT, MAIL, RCPT = b"QUIT\r\n", b"MAIL FROM:<a@b>\r\n", b"RCPT TO:<c@d>\r\n"
EHLO_REPLY = b"250-me\r\n250-PIPELINING\r\n250 8BITMIME\r\n"
Replies = Callable[[bytes], bytes]


class Server:
    """prog: answers each line that an LF ends, and reads a message text after 354."""

    def __init__(self, replies: Replies) -> None:
        self.replies, self.out, self.lines, self.buffer = replies, GREETING, [], b""
        self.texts: list[bytes] = []
        self.in_text = False

    def take(self, data: bytes) -> None:
        self.buffer += data
        *lines, self.buffer = self.buffer.split(b"\n")
        for line in lines:
            if self.in_text:
                self.texts[-1] += line + b"\n"
                # as lenient as a server can be: any lone dot ends the text
                if line in (b".", b".\r"):
                    self.in_text = False
                    self.out += self.replies(b"<text>")
                continue
            self.lines.append(line + b"\n")
            reply = self.replies(line.rstrip(b"\r"))
            self.out += reply
            if line.rstrip(b"\r").upper().startswith(b"DATA") and reply.startswith(b"354"):
                self.in_text = True
                self.texts.append(b"")


def usual(line: bytes) -> bytes:
    verb = line.split(b" ")[0].split(b"\r")[0].upper()
    known = {b"EHLO": EHLO_REPLY, b"DATA": b"354 go\r\n", b"<TEXT>": b"250 queued\r\n", b"QUIT": b"221 bye\r\n"}
    return known.get(verb, b"250 ok\r\n")


def answering(**replies: bytes) -> Replies:
    """The usual replies but for these verbs (TEXT: the end of the message)."""
    table = {name.encode(): reply for name, reply in replies.items()}

    def reply(line: bytes) -> bytes:
        return table.get(line.split(b" ")[0].upper().strip(b"<>"), usual(line))

    return reply


@dataclass
class Talk:
    """What came out of a dialogue."""

    sent: bytes = b""  # to the client
    server: Server = field(default_factory=lambda: Server(usual))
    logs: list[tuple[str, bytes]] = field(default_factory=list)
    asked: list[tuple[bytes, bytes]] = field(default_factory=list)
    in_tls: int | None = None  # bytes of `sent` when TLS began
    over: bool | None = None

    @property
    def passed(self) -> list[bytes]:
        return self.server.lines

    def log(self, *levels: str) -> list[bytes]:
        return [text for level, text in self.logs if level in levels]

    @property
    def why(self) -> bytes:
        """The last line of the log: why the dialogue stopped."""
        return self.logs[-1][1]


def talk(
    client: bytes | Iterable[bytes],
    replies: Replies = usual,
    *,
    starttls: bool = False,
    verdicts: Iterable[str] | None = None,
    greeting: bytes = GREETING,
    after_tls: bytes = b"",
    pieces_of_prog: int = 1 << 20,
) -> Talk:
    """Run a dialogue to its end; the client closes when its bytes (given in pieces) are used up."""
    result = Talk(server=Server(replies))
    server = result.server
    server.out = greeting
    dialogue = Dialogue(b"ID", starttls, verdicts is not None)
    judging: Iterator[str] = iter(verdicts or ())
    pieces = iter([client] if isinstance(client, bytes) else client)
    while result.over is None:
        for action, value in dialogue.take():
            if action == smtp.SEND:
                result.sent += value
            elif action == smtp.PASS:
                server.take(value)
            elif action == smtp.ASK:
                result.asked.append((dialogue.sender, dialogue.recipient))
            elif action in (smtp.OVER, smtp.BROKEN):
                result.over = action == smtp.OVER
            elif action != smtp.ENCRYPT:
                result.logs.append((action, bytes(value)))
        if dialogue.need == smtp.CLIENT:
            assert server.out == b"", "prog has said more than it was asked"
            piece = next(pieces, b"")
            dialogue.feed(piece) if piece else dialogue.ended()
        elif dialogue.need == smtp.PROG:
            piece, server.out = server.out[:pieces_of_prog], server.out[pieces_of_prog:]
            dialogue.feed(piece) if piece else dialogue.ended()
        elif dialogue.need == smtp.POLICY:
            dialogue.judged(next(judging))
        elif dialogue.need == smtp.TLS:
            result.in_tls = len(result.sent)
            dialogue.encrypted()
            pieces = iter([after_tls] if after_tls else ())
    assert dialogue.need == smtp.NOTHING
    assert not dialogue.take()
    return result


def replies_of(sent: bytes) -> bytes:
    """What the client got behind the greeting."""
    assert sent.startswith(GREETING[:-2] + MARK)
    return sent[len(GREETING) - 2 + len(MARK):]
