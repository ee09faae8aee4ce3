"""Rows: every cipher, version, curve and kind of certificate, with what the log says of it (spec 3.1)."""

from __future__ import annotations

from .client import Client
from .messages import Hello
from .names import (
    CIPHER_OPTIONS,
    GROUP_OPTIONS,
    TLS10,
    TLS11,
    TLS12,
    VERSION_NAMES,
    VERSION_OPTIONS,
    Alert,
    Group,
    Suite,
    suite_for,
)
from .row import ECDSA, RSA, Act, Ends, Row, fatal, served


def exactly(suite: Suite, version: int, group: int, certificate: bool = True) -> Act:
    """A handshake that must end up with just these, and twenty thousand bytes both ways."""

    def act(c: Client) -> None:
        groups = (group, Group.SECP256R1) if certificate else (group,)  # the latter for an ECDSA certificate
        c.handshake(Hello(version=version).group(*groups))
        if (c.server.suite, c.server.version, c.key_exchange.group) != (suite.code, version, group):
            raise ValueError(
                f"suite {c.server.suite:#06x}, version {c.version:#06x}, group {c.key_exchange.group}"
            )
        c.echo(bytes(i % 255 for i in range(20000)))

    return served(act)


def _row(suite: Suite, version: int, group: Group) -> Row:
    word = VERSION_OPTIONS[version]
    certificate = RSA if suite.auth == "rsa" else ECDSA
    return Row(
        f"{suite.auth}-{suite.option.lower().replace('_', '-')}-{word}-{GROUP_OPTIONS[group]}",
        exactly(suite, version, group),
        Ends.SERVED,
        cite="RFC 5246 7.3; spec 8",
        options=f"{certificate} -c {suite.option} -e {GROUP_OPTIONS[group]} -m {word} -M {word}",
        log=f"SSL connection: {VERSION_NAMES[version]}, {suite.auth.upper()} + ECDHE + {suite.log}, "
        f"{GROUP_OPTIONS[group]}, sni='wire.test'",
    )


def suite_order(codes: tuple[int, ...], wanted: int) -> Act:
    """The server must choose `wanted` of these."""

    def act(c: Client) -> None:
        c.handshake(Hello(suites=codes))
        if c.server.suite != wanted:
            raise ValueError(f"suite {c.server.suite:#06x}")

    return served(act)


ROWS: list[Row] = [
    *(
        _row(suite_for(option, auth), version, group)
        for option in CIPHER_OPTIONS
        for auth in ("rsa", "ecdsa")
        for version in ((TLS12,) if suite_for(option, auth).tls12_only else (TLS10, TLS11, TLS12))
        for group in Group
    ),
    Row("ecdsa-curve-not-offered", exactly(suite_for("AES_128_GCM_SHA256", "ecdsa"), TLS12, Group.X25519,
        certificate=False),
        Ends.EITHER, fatal(Alert.HANDSHAKE_FAILURE), "RFC 8422 5.1; spec 6.5",
        ECDSA + " -c AES_128_GCM_SHA256",
        "5.1 ties the certificate's curve to the client's groups (40); spec 6.5 serves it all the same"),
    Row("server-order", suite_order((0xC02F, 0xC030, 0xCCA8), 0xCCA8), Ends.SERVED, cite="spec 1.3 -s"),
    Row("client-order", suite_order((0xC02F, 0xC030, 0xCCA8), 0xC02F), Ends.SERVED, cite="spec 1.3 -S",
        options=RSA + " -S"),
    Row("order-of-c", suite_order((0xCCA8, 0xC030, 0xC013), 0xC013), Ends.SERVED, cite="spec 1.3 -c",
        options=RSA + " -c AES_128_CBC_SHA -c AES_256_GCM_SHA384 -c CHACHA20_POLY1305_SHA256"),
]  # fmt: skip
