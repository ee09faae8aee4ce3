"""smtpsession - one SMTP session: carries out what the dialogue asks for, through the compiled effects.

The only place that knows both sides; it decides nothing about SMTP. QUIT ends a session in order; all else breaks it:
a side that closes or fails, a time or a bound that is passed, SIGTERM, a greylist server that fails when it must not.
"""

from __future__ import annotations

from bearwrap import _bear, greylist, smtp
from bearwrap.logs import DEBUG, DETAIL, FATAL

TYPE_CHECKING = False
if TYPE_CHECKING:
    from bearwrap.logs import Log

# Ends of the compiled side, as src/smtp.pxi numbers them.
CLIENT_IN, CLIENT_OUT, PROG_IN, PROG_OUT, POLICY = range(5)
SOURCES = {smtp.CLIENT: CLIENT_IN, smtp.PROG: PROG_OUT}
SINKS = {smtp.SEND: (CLIENT_OUT, b"client"), smtp.PASS: (PROG_IN, b"prog")}
LEVELS = {smtp.INFO: (DETAIL, b"info"), smtp.WARNING: (DETAIL, b"warning"), smtp.DEBUG: (DEBUG, b"debug")}
EINTR, ETIMEDOUT = 4, 110  # Linux on every machine; EINTR says that SIGTERM came


class Broken(Exception):
    """The session cannot go on; what there is to say has been logged."""


class Session:
    """A dialogue with the descriptors it runs over. deadline_ms: monotonic, of the whole session."""

    def __init__(self, dialogue: smtp.Dialogue, deadline_ms: int, log: Log) -> None:
        self.dialogue = dialogue
        self.deadline_ms = deadline_ms
        self.log = log
        self.client = b"::"  # address
        self.server = b""  # the greylist server as -g names it
        self.fail_closed = False  # -c
        self.policy = greylist.Policy()
        self.failure: bytes | None = None  # what became of the greylist server, for each recipient from then on

    def run(self) -> bool:
        """Run the dialogue to its end; True when prog's exit code counts. Raises Broken."""
        while True:
            for action, data in self.dialogue.take():
                if action in SINKS:
                    self.write(*SINKS[action], data)
                elif action in LEVELS:
                    level, word = LEVELS[action]
                    if self.log.level >= level:
                        _bear.log_line(level, word, bytes(data))
                elif action == smtp.ASK:
                    self.dialogue.judged(self.judge(self.dialogue.sender, self.dialogue.recipient))
                elif action == smtp.ENCRYPT:
                    self.encrypt()
                else:
                    return action == smtp.OVER
            if not self.dialogue.actions:
                self.read()

    def read(self) -> None:
        """Give the dialogue what it needs."""
        need = self.dialogue.need
        try:
            data = _bear.smtp_read(SOURCES[need])
        except OSError as why:
            raise self.broken(b"read from " + need.encode(), why) from None
        if data:
            self.dialogue.feed(data)
        else:
            self.dialogue.ended()

    def write(self, end: int, name: bytes, data: bytes | bytearray) -> None:
        try:
            _bear.smtp_write(end, data)
        except OSError as why:
            raise self.broken(b"write to " + name, why) from None

    def encrypt(self) -> None:
        """The handover of STARTTLS."""
        failure = _bear.smtp_begin_tls()
        if failure is not None:
            text, error = failure
            if error == EINTR:
                raise self.broken(text, OSError(error, ""))
            _bear.log_line(FATAL, b"fatal", text, error)
            raise Broken()
        self.dialogue.encrypted()

    def broken(self, what: bytes, why: OSError) -> Broken:
        """Log why the session ends: SIGTERM, the session's deadline, or what could not be done."""
        if why.errno == EINTR:
            text = b"signal received"
        elif why.errno != ETIMEDOUT:
            text = what + b" failed"
        elif _bear.monotonic_ms() >= self.deadline_ms:
            text = b"session timed out"
        else:
            text = what + b" timed out"
        _bear.log_line(DEBUG, b"debug", text)
        return Broken()

    # --- the greylist server ---

    def resolve(self, host: bytes, port: int, jail_account: bytes | None, jail_directory: bytes) -> bool:
        """Before the jail: find the greylist server's addresses. False, and logged, when there is none."""
        result = _bear.smtp_resolve_greylist(host, b"%d" % port, port, jail_account, jail_directory)
        if result == EINTR:
            self.broken(b"", OSError(EINTR, ""))
        return result == 0

    def connect(self) -> None:
        """Connect to the greylist server, once in the jail. Raises Broken when that fails and must not."""
        error = _bear.smtp_connect_greylist()
        if error:
            self.give_up(b"unable to connect to " + self.server, OSError(error, ""))
            self.failure = b""

    def judge(self, sender: bytes, recipient: bytes) -> str:
        """The server's verdict on a recipient; PASS when it fails and may. Raises Broken."""
        if self.failure is not None:
            if self.failure:
                self.log.warning(self.failure)
            return greylist.PASS
        doing = b"write to"
        try:
            self.policy.rest(_bear.smtp_drain_greylist())
            _bear.smtp_write(POLICY, self.policy.ask(self.client, sender, recipient))
            doing = b"read from"
            verdict = None
            while verdict is None:
                data = _bear.smtp_read(POLICY)
                if not data:
                    raise OSError(0, "")
                verdict = self.policy.feed(data)
        except OSError as why:
            return self.give_up(doing + b" '" + self.server + b"' failed", why)
        if verdict == greylist.TOO_LONG:
            return self.give_up(b"answer from '" + self.server + b"' is too long", OSError(0, ""))
        return verdict

    def give_up(self, text: bytes, why: OSError) -> str:
        """The server is of no more use: Broken with -c, else it is done without."""
        if why.errno == EINTR or _bear.monotonic_ms() >= self.deadline_ms:
            raise self.broken(text, why)
        _bear.smtp_close_greylist()
        self.failure = text
        if self.fail_closed:
            _bear.log_line(FATAL, b"fatal", text, why.errno or 0)
            raise Broken()
        _bear.log_line(DETAIL, b"warning", text, why.errno or 0)
        return greylist.PASS
