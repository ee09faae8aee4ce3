"""The SMTP dialogue: every rule, with both sides simulated."""

from __future__ import annotations

import pytest

from bearwrap import greylist, smtp
from tests.unit.smtptalk import EHLO_REPLY, MAIL, MARK, QUIT, RCPT, Replies, answering, replies_of, talk

# --- lines and verbs ---

VERBS = [
    # (line, what prog gets, whether the reply is marked)
    (b"NOOP\r\n", b"NOOP\r\n", False),
    (b"NOOP\n", b"NOOP\r\n", False),
    (b"NOOP a\rb\r\n", b"NOOP a\rb\r\n", False),
    (b"NOOP a\r\r\n", b"NOOP a\r\r\n", False),
    (b"\r\n", b"\r\n", False),
    (b"\n", b"\r\n", False),
    (b" \r\n", b" \r\n", False),
    (b" MAIL FROM:<a@b>\r\n", b" MAIL FROM:<a@b>\r\n", False),
    (b"HELO x\r\n", b"HELO x\r\n", False),
    (b"RSET\r\n", b"RSET\r\n", False),
    (b"VRFY x\r\n", b"VRFY x\r\n", False),
    (b"AUTH PLAIN AGEAYg==\r\n", b"AUTH PLAIN AGEAYg==\r\n", False),
    (b"MAIL FROM:<a@b>\r\n", b"MAIL FROM:<a@b>\r\n", True),
    (b"mAiL FrOm:<a@b> SIZE=3\r\n", b"mAiL FrOm:<a@b> SIZE=3\r\n", True),
    (b"MAIL\r\n", b"MAIL\r\n", True),
    (b"MAIL\rx\r\n", b"MAIL\rx\r\n", True),
    (b"rcpt to:<c@d>\n", b"rcpt to:<c@d>\r\n", True),
    # a verb is compared whole, and TAB is no separator
    *[(verb + b"\r\n", verb + b"\r\n", False) for verb in (
        b"M", b"MA", b"MAI", b"MAILS", b"MAIL\tFROM:<a@b>", b"R", b"RS", b"RCP", b"RCPTS", b"S", b"STARTTL",
        b"STARTTLSX", b"STARTTLS\t", b"E", b"EHL", b"EHLOX", b"D", b"DAT", b"DATAX", b"Q", b"q", b"QUI", b"QUITX",
        b"QUIT\t", b"BDAT 0 LAST")],
]  # fmt: skip


@pytest.mark.parametrize(("line", "passed", "marked"), VERBS)
def test_a_line_is_passed_and_its_reply_relayed(line: bytes, passed: bytes, marked: bool) -> None:
    result = talk(line + QUIT, starttls=True)
    assert result.passed == [passed, QUIT]
    assert replies_of(result.sent) == b"250 ok" + (MARK if marked else b"\r\n") + b"221 bye" + MARK
    assert result.over is True


@pytest.mark.parametrize("line", [b"QUIT\r\n", b"quit\n", b"QuIt now\r\n", b"QUIT\rx\r\n"])
def test_quit_ends_with_progs_status(line: bytes) -> None:
    result = talk(line + b"NOOP\r\n")
    assert result.over is True
    assert len(result.passed) == 1
    assert replies_of(result.sent) == b"221 bye" + MARK


def test_a_nul_is_passed_as_lf_and_ends_the_line() -> None:
    """As one line, prog would take it for two commands and answer twice."""
    result = talk(b"NOOP\0QUIT\r\n")
    assert result.passed == [b"NOOP\n", QUIT]
    assert replies_of(result.sent) == b"250 ok\r\n221 bye" + MARK


def test_no_recipient_hides_behind_a_nul() -> None:
    result = talk(MAIL + b"NOOP\0RCPT TO:<c@d>\r\n" + QUIT, verdicts=[greylist.DEFER])
    assert result.asked == [(b"<a@b>", b"<c@d>")]
    assert result.passed == [MAIL, b"NOOP\n", QUIT]


def test_pipelined_commands_are_answered_in_order() -> None:
    result = talk(b"EHLO x\r\nNOOP\r\n" + MAIL + QUIT)
    assert replies_of(result.sent) == EHLO_REPLY + b"250 ok\r\n250 ok" + MARK + b"221 bye" + MARK


# --- replies ---

GREETINGS = [
    (b"220 hello\r\n", b"220 hello [ID]\r\n"),
    (b"220-a\n220 b\n", b"220-a\n220 b [ID]\r\n"),
    (b"220\r\n", b"220 [ID]\r\n"),
    (b"220-\r\n220\r\n", b"220-\r\n220 [ID]\r\n"),
    (b"220-a\r\n221 b\r\n", b"220-a\r\n221 b [ID]\r\n"),
    (b"22\r\n", b"22 [ID]\r\n"),
    (b"hello\r\n", b"hello [ID]\r\n"),
    (b"\r\n220 x\r\n", b"\r\n220 x [ID]\r\n"),
    (b"220 a\rb\r\n", b"220 a\rb [ID]\r\n"),
    (b"220 a\r\r\n", b"220 a\r [ID]\r\n"),
    (b"220 a\0b\r\n", b"220 a\0b [ID]\r\n"),
    (b"554 go away\r\n", b"554 go away [ID]\r\n"),
]


@pytest.mark.parametrize(("greeting", "sent"), GREETINGS)
@pytest.mark.parametrize("piece", [1, 100])
def test_the_greeting_is_marked(greeting: bytes, sent: bytes, piece: int) -> None:
    result = talk(QUIT, greeting=greeting, pieces_of_prog=piece)
    assert result.sent == sent + b"221 bye" + MARK


EHLOS = [
    # (prog's reply, without STARTTLS, with it)
    (EHLO_REPLY, EHLO_REPLY, b"250-me\r\n250-PIPELINING\r\n250-8BITMIME\r\n250 STARTTLS\r\n"),
    (b"250 ok\r\n", b"250 ok\r\n", b"250-ok\r\n250 STARTTLS\r\n"),
    (b"250 ok\n", b"250 ok\n", b"250-ok\r\n250 STARTTLS\r\n"),
    (b"250\r\n", b"250\r\n", b"250-\r\n250 STARTTLS\r\n"),
    (b"502 no\r\n", b"502 no\r\n", b"502 no\r\n"),
    (b"250-a\r\n421 b\r\n", b"250-a\r\n421 b\r\n", b"250-a\r\n421 b\r\n"),
    # what needs BDAT cannot be had here
    (b"250-me\r\n250-CHUNKING\r\n250 HELP\r\n", b"250-me\r\n250 HELP\r\n", b"250-me\r\n250-HELP\r\n250 STARTTLS\r\n"),
    (b"250-me\r\n250-BINARYMIME\r\n250 chunking\r\n", b"250 me\r\n", b"250-me\r\n250 STARTTLS\r\n"),
    # prog's own TLS cannot be had either: this side answers the command (RFC 3207: not offered under TLS)
    (b"250-me\r\n250-STARTTLS\r\n250 HELP\r\n", b"250-me\r\n250 HELP\r\n",
     b"250-me\r\n250-HELP\r\n250 STARTTLS\r\n"),
    (b"250-me\r\n250 starttls \r\n", b"250 me\r\n", b"250-me\r\n250 STARTTLS\r\n"),
    (b"250-chunking\r\n250 SIZE\r\n", b"250-chunking\r\n250 SIZE\r\n", b"250-chunking\r\n250-SIZE\r\n250 STARTTLS\r\n"),
]


@pytest.mark.parametrize(("reply", "plain", "offered"), EHLOS)
@pytest.mark.parametrize("starttls", [False, True])
def test_ehlo(reply: bytes, plain: bytes, offered: bytes, starttls: bool) -> None:
    result = talk(b"ehlo me\r\n" + QUIT, answering(EHLO=reply), starttls=starttls)
    assert replies_of(result.sent) == (offered if starttls else plain) + b"221 bye" + MARK


def test_helo_offers_nothing() -> None:
    result = talk(b"HELO me\r\n" + QUIT, answering(HELO=b"250 me\r\n"), starttls=True)
    assert replies_of(result.sent) == b"250 me\r\n221 bye" + MARK


# --- the envelope and its log lines ---

ADDRESSES = [
    # (what follows MAIL FROM or RCPT TO, the address)
    (b":<a@b>", b"<a@b>"),
    (b":<a@b> SIZE=3", b"<a@b>"),
    (b":<>", b"<>"),
    (b":a@b", b"a@b"),
    (b": <a@b>", b""),
    (b':<"a b"@c>', b'<"a'),
    (b":<a@b>\rx", b"<a@b>"),
    (b" <a@b>", None),
    (b"", None),
]


@pytest.mark.parametrize(("text", "address"), ADDRESSES)
@pytest.mark.parametrize("upper", [False, True])
def test_the_address_is_what_stands_up_to_a_space(text: bytes, address: bytes | None, upper: bool) -> None:
    """Without its `FROM:` or `TO:`, there is none."""
    commands = b"MAIL FROM" + text + b"\r\nRCPT TO" + text + b"\r\n"
    result = talk((commands if upper else commands.lower()) + b"DATA\r\n.\r\n" + QUIT)
    listed = b"" if address is None else address + b","
    assert result.log(smtp.INFO) == [b"F=%b T=%b: 250 queued [ID]\r\n" % (address or b"", listed)]


def test_an_accepted_message_is_one_line() -> None:
    result = talk(MAIL + RCPT + b"RCPT TO:<e@f> X\r\nDATA\r\ntext\r\n.\r\n" + QUIT)
    assert result.log(smtp.INFO) == [b"F=<a@b> T=<c@d>,<e@f>,: 250 queued [ID]\r\n"]
    assert result.log(smtp.WARNING) == []
    assert result.log(smtp.DEBUG) == [
        b"MAIL FROM:<a@b>\r\n: 250 ok [ID]\r\n",
        b"RCPT TO:<c@d>\r\n: 250 ok [ID]\r\n",
        b"RCPT TO:<e@f> X\r\n: 250 ok [ID]\r\n",
        b"DATA: 250 queued [ID]\r\n",
        b"QUIT\r\n: 221 bye [ID]\r\n",
    ]
    replies = [b"250 ok", b"250 ok", b"250 ok", b"354 go", b"250 queued", b"221 bye"]
    assert replies_of(result.sent) == b"".join(reply + MARK for reply in replies)


@pytest.mark.parametrize("recipient", [b"<%s%03d@d>", b"<%s%03d@\xff\xff>"])
def test_a_long_recipient_list_is_several_lines(recipient: bytes) -> None:
    """Each of the same shape and short enough that the reply at its end is not cut off; each recipient once."""
    recipients = [recipient % (b"x" * 40, number) for number in range(256)]
    commands = b"".join(b"RCPT TO:" + one + b"\r\n" for one in recipients)
    result = talk(MAIL + commands + b"DATA\r\n.\r\n" + QUIT)
    lines = result.log(smtp.INFO)
    assert 2 < len(lines) < 12
    head, tail = b"F=<a@b> T=", b": 250 queued [ID]\r\n"
    assert all(line.startswith(head) and line.endswith(b"," + tail) for line in lines)
    assert all(smtp.logged_length(line) <= smtp.LOG_MAX for line in lines)
    assert b"".join(line[len(head):-len(tail)] for line in lines) == b"".join(one + b"," for one in recipients)


def test_a_line_that_is_too_long_in_any_case_is_one() -> None:
    sender, recipient = b"<" + b"x" * 2046 + b">", b"<" + b"y" * 2046 + b">"
    replies = answering(TEXT=b"250 " + b"z" * 1000 + b"\r\n")
    result = talk(b"MAIL FROM:%b\r\n" % sender + b"RCPT TO:%b\r\n" % recipient * 3 + b"DATA\r\n.\r\n" + QUIT, replies)
    assert len(result.log(smtp.INFO)) == 1


WARNINGS = [
    (answering(MAIL=b"550 no\r\n"), b"", b"F=<a@b>: 550 no [ID]\r\n"),
    (answering(MAIL=b"251 x\r\n"), b"", b"F=<a@b>: 251 x [ID]\r\n"),
    (answering(RCPT=b"550 no\r\n"), RCPT, b"F=<a@b> T=<c@d>: 550 no [ID]\r\n"),
    (answering(DATA=b"451 no\r\n"), RCPT + b"DATA\r\n", b"F=<a@b> T=<c@d>,: 451 no [ID]\r\n"),
    (answering(TEXT=b"552 no\r\n"), RCPT + b"DATA\r\n.\r\n", b"F=<a@b> T=<c@d>,: 552 no [ID]\r\n"),
    (answering(TEXT=b"250-x\r\n552 no\r\n"), RCPT + b"DATA\r\n.\r\n", b"F=<a@b> T=<c@d>,: 250-x\r\n552 no [ID]\r\n"),
]


@pytest.mark.parametrize(("replies", "commands", "line"), WARNINGS)
def test_a_refusal_is_a_warning(replies: Replies, commands: bytes, line: bytes) -> None:
    result = talk(MAIL + commands + QUIT, replies)
    assert result.log(smtp.WARNING) == [line]
    assert result.log(smtp.INFO) == []
    assert result.over is True


def test_each_message_has_its_own_envelope() -> None:
    text = b"DATA\r\n.\r\n"
    other = b"MAIL FROM:<x@y>\r\nRCPT TO:<z@y>\r\n"
    result = talk(MAIL + RCPT + text + other + text + text + QUIT)
    assert result.log(smtp.INFO) == [
        b"F=<a@b> T=<c@d>,: 250 queued [ID]\r\n",
        b"F=<x@y> T=<z@y>,: 250 queued [ID]\r\n",
        b"F= T=: 250 queued [ID]\r\n",
    ]


def test_a_new_mail_forgets_the_recipients_but_rset_is_not_followed() -> None:
    result = talk(MAIL + RCPT + b"MAIL FROM:<x@y>\r\nRCPT TO:<z@y>\r\nRSET\r\nDATA\r\n.\r\n" + QUIT)
    assert result.log(smtp.INFO) == [b"F=<x@y> T=<z@y>,: 250 queued [ID]\r\n"]


def test_a_refused_data_keeps_the_envelope() -> None:
    """prog may keep it too; a recipient that follows must still be asked about."""
    result = talk(MAIL + b"DATA\r\n" + RCPT + QUIT, answering(DATA=b"503 no recipients\r\n"), verdicts=[greylist.PASS])
    assert result.asked == [(b"<a@b>", b"<c@d>")]


# --- the message text ---

TEXTS = [
    # (DATA line and text, what prog gets of the text)
    (b"DATA\r\n.\r\n", b".\r\n"),
    (b"DATA x\r\nhello\r\n.\r\n", b"hello\r\n.\r\n"),
    (b"DATA\r\n..\r\n.x\r\n. \r\n.\r\n", b"..\r\n.x\r\n. \r\n.\r\n"),
    (b"DATA\r\n\r\n\n\r\n.\r\n", b"\r\n\r\n\r\n.\r\n"),
    (b"DATA\r\na\nb\r\n.\r\n", b"a\r\nb\r\n.\r\n"),
    (b"DATA\r\nQUIT\r\nRSET\r\n.\r\n", b"QUIT\r\nRSET\r\n.\r\n"),
    (b"DATA\r\na\rb\r\r\n.\r\r\n\r.\r\n.\r\n", b"a\rb\r\r\n.\r\r\n\r.\r\n.\r\n"),
    # a dot that RFC 5321 does not take for the end is text, and is made so for prog
    (b"DATA\r\na\n.\r\nb\r\n.\r\n", b"a\r\n..\r\nb\r\n.\r\n"),
    (b"DATA\r\na\n.\nb\r\n.\r\n", b"a\r\n..\r\nb\r\n.\r\n"),
    (b"DATA\r\na\r\n.\nb\r\n.\r\n", b"a\r\n..\r\nb\r\n.\r\n"),
    (b"DATA\r\n.\nb\r\n.\r\n", b"..\r\nb\r\n.\r\n"),
    (b"DATA\r\na\0.\0b\0.\r\n\r\n.\r\n", b"a\n..\nb\n..\r\n\r\n.\r\n"),
    (b"DATA\r\na\r\n.\0b\r\n.\r\n", b"a\r\n..\nb\r\n.\r\n"),
    # a client that ends its lines with LF
    (b"DATA\na\n.\n", b"a\r\n.\r\n"),
    (b"DATA\n.\r\n", b".\r\n"),
    (b"DATA\na\r\n.\n", b"a\r\n.\r\n"),
    (b"DATA\0a\0.\0", b"a\n.\r\n"),
]


@pytest.mark.parametrize(("command", "text"), TEXTS)
@pytest.mark.parametrize("size", [1, 2, 3, 1000])
def test_the_message_text(command: bytes, text: bytes, size: int) -> None:
    stream = MAIL + command + QUIT
    result = talk(stream[at: at + size] for at in range(0, len(stream), size))
    assert result.server.texts == [text]
    assert result.passed[-1] == QUIT
    assert result.log(smtp.INFO) == [b"F=<a@b> T=: 250 queued [ID]\r\n"]


def test_a_refused_data_has_no_text() -> None:
    result = talk(b"DATA\r\nNOOP\r\n" + QUIT, answering(DATA=b"503 no\r\n"))
    assert result.passed == [b"DATA\r\n", b"NOOP\r\n", QUIT]


# --- AUTH ---


def test_auth_is_passed_and_not_logged() -> None:
    """Neither what stands behind AUTH nor the answers to challenges, which are no commands (RFC 4954 section 4)."""
    secrets = [b"AUTH LOGIN c2VjcmV0\r\n", b"QUIT\r\n", b"DATA\r\n", b"c2VjcmV0\r\n"]
    replies = iter([b"334 x\r\n", b"334 y\r\n", b"334-a\r\n334 z\r\n", b"235 ok\r\n"])
    result = talk(b"".join(secrets) + b"auth plain c2VjcmV0\r\n" + QUIT, lambda line: next(replies, b"221 bye\r\n"))
    assert result.passed == [*secrets, b"auth plain c2VjcmV0\r\n", QUIT]
    assert replies_of(result.sent) == (
        b"334 x\r\n334 y\r\n334-a\r\n334 z\r\n235 ok\r\n221 bye\r\n221 bye" + MARK
    )
    logged = result.log(smtp.DEBUG)
    assert logged[0] == b"AUTH ***\r\n: 334 x\r\n"
    assert not [line for line in logged if b"c2VjcmV0" in line]


@pytest.mark.parametrize("command", [b"AUTH\tPLAIN c2VjcmV0", b" AUTH PLAIN c2VjcmV0", b"AUTH\rc2VjcmV0"])
def test_auth_in_any_spelling_is_not_logged(command: bytes) -> None:
    result = talk(command + b"\r\n" + QUIT)
    assert result.passed == [command + b"\r\n", QUIT]
    assert not [line for line in result.log(smtp.DEBUG) if b"c2VjcmV0" in line]


def test_a_challenge_to_another_command_makes_no_secret() -> None:
    """Only AUTH is answered so; else a server could be made to hide commands from the log and from greylisting."""
    replies = answering(NOOP=b"334 x\r\n")
    result = talk(b"NOOP\r\n" + MAIL + RCPT + QUIT, replies, verdicts=[greylist.DEFER])
    assert result.passed == [b"NOOP\r\n", MAIL, QUIT]


# --- STARTTLS ---


def test_starttls_is_refused_when_it_cannot_be_had() -> None:
    result = talk(b"STARTTLS\r\nstarttls x\r\n" + QUIT)
    assert replies_of(result.sent) == (b"502 unimplemented (#5.5.1)" + MARK) * 2 + b"221 bye" + MARK
    assert result.passed == [QUIT]
    assert result.log(smtp.DEBUG)[0] == b"STARTTLS\r\n: 502 unimplemented (#5.5.1) [ID]\r\n"


def test_starttls() -> None:
    after = b"EHLO y\r\nSTARTTLS\r\nDATA\r\n.\r\n" + QUIT
    result = talk(b"EHLO x\r\n" + MAIL + RCPT + b"StartTLS now\r\n", starttls=True, after_tls=after)
    ready = b"220 ready to start TLS (#2.0.0)" + MARK
    assert result.sent[: result.in_tls].endswith(b"250 STARTTLS\r\n" + (b"250 ok" + MARK) * 2 + ready)
    assert result.sent[result.in_tls:] == (
        EHLO_REPLY + b"502 unimplemented (#5.5.1)" + MARK + b"354 go" + MARK + b"250 queued" + MARK + b"221 bye" + MARK
    )
    assert result.passed == [b"EHLO x\r\n", MAIL, RCPT, b"RSET\r\n", b"EHLO y\r\n", b"DATA\r\n", QUIT]
    assert result.log(smtp.INFO) == [b"F= T=: 250 queued [ID]\r\n"], "the envelope from before TLS is forgotten"


@pytest.mark.parametrize("size", [*range(1, 60), 1000])
@pytest.mark.parametrize("end", [b"\r\n", b"\n", b"\0"])
def test_nothing_said_before_tls_counts_in_it(size: int, end: bytes) -> None:
    """The piece that holds STARTTLS is read to its end; what stands behind the command in it is dropped."""
    injected = b"NOOP 1" + end + b"MAIL FROM:<evil@x>" + end + b"RCPT TO:<evil@y>" + end + b"NOOP half"
    stream = b"STARTTLS" + end + injected
    before = len(b"STARTTLS" + end)
    pieces = [stream[:size], stream[size:before]] if size < before else [stream[:size]]
    result = talk([piece for piece in pieces if piece], starttls=True, after_tls=b"EHLO y\r\n" + QUIT)
    assert result.passed == [b"RSET\r\n", b"EHLO y\r\n", QUIT]
    assert result.sent[result.in_tls:] == EHLO_REPLY + b"221 bye" + MARK


# --- greylisting ---


def test_verdicts() -> None:
    verdicts = [greylist.PASS, greylist.DEFER, greylist.REJECT, greylist.PASS]
    recipients = b"".join(b"RCPT TO:<%d@d> X\r\n" % number for number in range(4))
    result = talk(MAIL + recipients + b"DATA\r\n.\r\n" + QUIT, verdicts=verdicts)
    assert result.asked == [(b"<a@b>", b"<%d@d>" % number) for number in range(4)]
    assert result.passed == [MAIL, b"RCPT TO:<0@d> X\r\n", b"RCPT TO:<3@d> X\r\n", b"DATA\r\n", QUIT]
    ok, later, never = b"250 ok" + MARK, b"450 greylisted (#4.3.0)" + MARK, b"553 bad reputation (#5.7.1)" + MARK
    assert replies_of(result.sent).startswith(ok + ok + later + never + ok + b"354 go" + MARK)
    assert result.log(smtp.WARNING) == [b"F=<a@b> T=<1@d>: " + later, b"F=<a@b> T=<2@d>: " + never]
    assert b"RCPT TO:<1@d> X\r\n: " + later in result.log(smtp.DEBUG)


def test_without_mail_nobody_is_asked() -> None:
    result = talk(RCPT + MAIL + b"RCPT TO: <x>\r\nRCPT\r\nDATA\r\n.\r\n" + RCPT + QUIT, verdicts=[greylist.PASS] * 2)
    assert result.asked == [(b"<a@b>", b""), (b"<a@b>", b"")]
