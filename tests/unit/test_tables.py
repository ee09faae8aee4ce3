"""The tables are complete and agree with each other, with BearSSL's headers and with OpenSSL's names."""

from __future__ import annotations

import re
import ssl
from collections import Counter, deque
from pathlib import Path

import pytest

from bearwrap import _bear
from tests.harness import ROOT

TABLES, AUDIT = _bear.tables(), _bear.audit_tables()
SUITES = {number: (openssl.decode(), log.decode()) for number, openssl, log in AUDIT["suites"]}
ALERTS = {number: name.decode() for number, name in AUDIT["alerts"]}
ERRORS = {error: (alert, text.decode()) for error, alert, text in AUDIT["errors"]}
OPERATIONS = AUDIT["operations"]
SOURCE = (ROOT / "src" / "tables.h").read_text()
STATES = re.findall(r"BW_\w+", SOURCE[SOURCE.index("enum bw_key_state") :].split("};")[0])
START, RUNNING = STATES.index("BW_START"), STATES.index("BW_RUNNING")
MESSAGE_MAX = 131072
FIRST_EVENT = 64

# Never an engine's error here: no error at all, its blocking layer's (unused), and the two offsets for alerts.
NOT_REPORTED = {"BR_ERR_OK", "BR_ERR_X509_OK", "BR_ERR_IO", "BR_ERR_RECV_FATAL_ALERT", "BR_ERR_SEND_FATAL_ALERT"}


def bearssl_constants() -> dict[str, int]:
    for folder in (ROOT / "vendor" / "bearssl" / "source" / "inc", Path("/usr/include")):
        if (folder / "bearssl.h").exists():
            text = "".join(path.read_text() for path in sorted(folder.glob("bearssl_*.h")))
            return {name: int(n) for name, n in re.findall(r"^#define (BR_ERR_\w+)\s+(\d+)", text, re.MULTILINE)}
    pytest.skip("no BearSSL headers")


def unique(items: list[object]) -> bool:
    return max(Counter(items).values()) == 1


# errors and alerts


def test_every_error_of_bearssl_has_a_row() -> None:
    constants = bearssl_constants()
    assert len(constants) > 50
    assert {n for name, n in constants.items() if name not in NOT_REPORTED} == set(ERRORS)


def test_every_error_has_an_alert_and_words() -> None:
    assert unique([error for error, _, _ in AUDIT["errors"]])
    assert unique([text for _, _, text in AUDIT["errors"]])
    for alert, text in ERRORS.values():
        assert alert in ALERTS
        assert alert != 0, "close_notify is no error"
        assert re.fullmatch(r"[A-Za-z][ -~]+", text)


def test_an_unlisted_error_is_an_internal_one() -> None:
    """error_row in src/alert.pxi falls back on the second row."""
    assert AUDIT["errors"][1][0] == bearssl_constants()["BR_ERR_BAD_STATE"]
    assert ALERTS[AUDIT["errors"][1][1]] == "internal_error"


def test_certificate_faults_are_certificate_alerts() -> None:
    constants = bearssl_constants()
    for name, number in constants.items():
        if name.startswith("BR_ERR_X509_") and name not in NOT_REPORTED:
            alert, text = ERRORS[number]
            assert text.startswith("certificate: ")
            assert ALERTS[alert] in {
                "bad_certificate", "unsupported_certificate", "certificate_expired", "unknown_ca", "handshake_failure",
                "internal_error",
            }, name  # fmt: skip


def test_alerts_have_the_names_of_the_registry() -> None:
    """Of OpenSSL's list, which is IANA's, those that this list has too; and RFC 5246 whole."""
    assert unique([number for number, _ in AUDIT["alerts"]]) and unique(list(ALERTS.values()))
    known = {item.value: item.name.removeprefix("ALERT_DESCRIPTION_").lower() for item in ssl.AlertDescription}
    assert {ALERTS[n].replace("user_canceled", "user_cancelled") for n in ALERTS if n in known} == {
        known[n] for n in ALERTS if n in known
    }
    assert set(known) <= set(ALERTS)
    rfc_5246 = {0, 10, 20, 21, 22, 30, 40, 41, 42, 43, 44, 45, 46, 47, 48, 49, 50, 51, 60, 70, 71, 80, 90, 100, 110}
    assert rfc_5246 <= set(ALERTS)


def test_the_alerts_of_the_source_are_in_the_table() -> None:
    """The enum in src/alert.pxi uses the table's names."""
    text = (ROOT / "src" / "alert.pxi").read_text().split("NO_ALERT")[0]
    named = re.findall(r"^    ([A-Z_]+) = (\d+)$", text, re.MULTILINE)
    assert len(named) > 8
    for name, number in named:
        assert ALERTS[int(number)] == name.lower()


# suites, groups, versions


def test_suites_have_openssls_names() -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.set_ciphers("ALL:@SECLEVEL=0")
    known = {row["id"] & 0xFFFF: row["name"] for row in context.get_ciphers()}
    assert {number: known[number] for number in SUITES} == {number: name for number, (name, _) in SUITES.items()}


def test_ciphers_and_suites_are_the_same_ones() -> None:
    listed = [suite for _, _, ecdsa, rsa in TABLES["ciphers"] for suite in (ecdsa, rsa)]
    assert listed == [number for number, _, _ in AUDIT["suites"]]
    assert unique(listed)
    assert unique([name for name, *_ in TABLES["ciphers"]])
    for _, _, ecdsa, rsa in TABLES["ciphers"]:
        assert "ECDHE-ECDSA-" in SUITES[ecdsa][0] and SUITES[ecdsa][1].startswith("ECDSA + ECDHE + ")
        assert "ECDHE-RSA-" in SUITES[rsa][0] and SUITES[rsa][1].startswith("RSA + ECDHE + ")
        assert SUITES[ecdsa][0].replace("ECDSA", "RSA") == SUITES[rsa][0]


def test_the_defaults_are_aeads() -> None:
    for name, default, _, _ in TABLES["ciphers"]:
        assert default == (b"GCM" in name or b"POLY1305" in name), name


def test_only_hmac_sha1_serves_below_tls_1_2() -> None:
    for name, log in SUITES.values():
        assert log.endswith("(TLS 1.2+)") != name.endswith("-SHA"), name


def test_groups() -> None:
    numbers = {b"x25519": 29, b"secp256r1": 23, b"secp384r1": 24, b"secp521r1": 25}  # IANA
    assert {name: number for name, _, number in TABLES["groups"]} == numbers
    assert [name for name, default, _ in TABLES["groups"] if default] == [b"x25519", b"secp256r1"]
    assert all(number < 32 for _, _, number in TABLES["groups"]), "a bit each of Config.groups"


def test_versions_rise() -> None:
    assert TABLES["versions"] == [(b"tls10", 0x0301), (b"tls11", 0x0302), (b"tls12", 0x0303)]


# the key port


def test_each_operation_has_a_size_a_place_and_a_word() -> None:
    assert [row[0] for row in OPERATIONS] == list(range(1, len(OPERATIONS) + 1))
    assert unique([row[1] for row in OPERATIONS])
    for _, name, least, most, after, then, replies, doc in OPERATIONS:
        assert re.fullmatch(rb"[a-z]+(-[a-z]+)*", name)
        assert 0 <= least <= most < MESSAGE_MAX, name
        assert after and after >> len(STATES) == 0 and not after & 1, name
        assert 0 <= then < len(STATES), name
        assert b" in; " in doc, name
        assert replies == bool(re.search(rb"\bout\b", doc)), name


def test_numbers_of_operations_and_events_are_apart() -> None:
    events = SOURCE[SOURCE.index("enum bw_event") :].split("};")[0]
    assert f"BW_EV_OPENED = {FIRST_EVENT}" in events
    assert len(OPERATIONS) < FIRST_EVENT


def test_the_enum_and_the_table_have_one_order() -> None:
    listed = re.findall(r"BW_OP_\w+", SOURCE[SOURCE.index("enum bw_op_id") :].split("};")[0])
    assert listed[-1] == "BW_OP_LAST"
    assert [name.removeprefix("BW_OP_").lower().replace("_", "-").encode() for name in listed[:-1]] == [
        row[1] for row in OPERATIONS
    ]


def paths() -> dict[int, list[bytes]]:
    """The shortest sequence of operations into each state, from the start."""
    found: dict[int, list[bytes]] = {START: []}
    todo = deque([START])
    while todo:
        state = todo.popleft()
        for _, name, _, _, after, then, _, _ in OPERATIONS:
            if after >> state & 1 and then and then not in found:
                found[then] = [*found[state], name]
                todo.append(then)
    return found


def test_every_state_and_every_operation_is_reachable() -> None:
    reached = paths()
    assert set(reached) == set(range(1, len(STATES)))
    for _, name, _, _, after, *_ in OPERATIONS:
        assert any(after >> state & 1 for state in reached), name


def test_the_shortest_way_to_application_data_is_the_whole_handshake() -> None:
    assert paths()[RUNNING] == [
        b"load", b"exchange", b"derive", b"finished-client", b"open", b"finished-server", b"run",
    ]  # fmt: skip


def test_no_operation_leads_back() -> None:
    """What moves the state moves it on, so nothing happens twice; `open` alone may repeat, where it got."""
    for _, name, _, _, after, then, _, _ in OPERATIONS:
        before = [state for state in range(len(STATES)) if after >> state & 1]
        if then:
            assert all(state < then or (name == b"open" and state == then) for state in before), name


def test_the_tables_are_fresh_each_time() -> None:
    _bear.tables()["ciphers"].clear()
    _bear.audit_tables()["alerts"].clear()
    assert _bear.tables() == TABLES
    assert _bear.audit_tables() == AUDIT


def test_build_facts() -> None:
    facts = _bear.build_facts()
    assert isinstance(facts["vendored"], bool)
    assert re.fullmatch(rb"(\d+(\.\d+)+)?", facts["sodium"])
