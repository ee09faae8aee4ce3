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
SUITES = {number: (openssl.decode(), log.decode()) for number, openssl, log, _, _ in AUDIT["suites"]}
ALERTS = {number: name.decode() for number, name in AUDIT["alerts"]}
ERRORS = {error: (alert, text.decode()) for error, alert, _, text in AUDIT["errors"]}
OPERATIONS = AUDIT["operations"]
SOURCE = (ROOT / "src" / "tables.h").read_text()
STATES = re.findall(r"BW_\w+", SOURCE[SOURCE.index("enum bw_key_state") :].split("};")[0])
SERVER_START, CLIENT_START, RUNNING = (STATES.index(f"BW_{name}") for name in ("START", "CLIENT_START", "RUNNING"))
ECDHE, ECDH, RSA = 1, 2, 3  # BW_ECDHE and the like: how a suite exchanges keys
RSA_KEY, EC_KEY = 1, 2  # BR_KEYTYPE_*: the server's key
MESSAGE_MAX = 131072
FIRST_EVENT = 64

# Never an engine's error here: no error at all, its blocking layer's (unused), and the two offsets for alerts.
NOT_REPORTED = {"BR_ERR_OK", "BR_ERR_X509_OK", "BR_ERR_IO", "BR_ERR_RECV_FATAL_ALERT", "BR_ERR_SEND_FATAL_ALERT"}


def bearssl_constants(prefix: str = "BR_ERR_") -> dict[str, int]:
    for folder in (ROOT / "vendor" / "bearssl" / "source" / "inc", Path("/usr/include")):
        if (folder / "bearssl.h").exists():
            text = "".join(path.read_text() for path in sorted(folder.glob("bearssl_*.h")))
            found = re.findall(rf"^#define ({prefix}\w+)\s+(\d+|0x[0-9A-Fa-f]+)$", text, re.MULTILINE)
            return {name: int(n, 0) for name, n in found}
    pytest.skip("no BearSSL headers")


def unique(items: list[object]) -> bool:
    return max(Counter(items).values()) == 1


# errors and alerts


def test_every_error_of_bearssl_has_a_row() -> None:
    constants = bearssl_constants()
    assert len(constants) > 50
    assert {n for name, n in constants.items() if name not in NOT_REPORTED} == set(ERRORS)


def test_every_error_has_an_alert_and_words() -> None:
    assert unique([error for error, _, _, _ in AUDIT["errors"]])
    assert unique([text for _, _, _, text in AUDIT["errors"]])
    for alert, text in ERRORS.values():
        assert alert in ALERTS
        assert alert != 0, "close_notify is no error"
        assert re.fullmatch(r"[A-Za-z][ -~]+", text)


def test_errors_have_the_names_of_the_header() -> None:
    """s6-tlsc prints them."""
    constants = bearssl_constants()
    for error, _, symbol, _ in AUDIT["errors"]:
        assert constants[symbol.decode()] == error


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


ENCRYPTIONS = {  # of the registry: in OpenSSL's names, in the log
    "AES_128_GCM_SHA256": ("AES128-GCM-SHA256", "AES128/GCM"),
    "AES_256_GCM_SHA384": ("AES256-GCM-SHA384", "AES256/GCM"),
    "AES_128_CCM": ("AES128-CCM", "AES128/CCM"),
    "AES_256_CCM": ("AES256-CCM", "AES256/CCM"),
    "AES_128_CCM_8": ("AES128-CCM8", "AES128/CCM8"),
    "AES_256_CCM_8": ("AES256-CCM8", "AES256/CCM8"),
    "AES_128_CBC_SHA": ("AES128-SHA", "AES128/CBC + SHA1"),
    "AES_256_CBC_SHA": ("AES256-SHA", "AES256/CBC + SHA1"),
    "AES_128_CBC_SHA256": ("AES128-SHA256", "AES128/CBC + SHA256"),
    "AES_256_CBC_SHA256": ("AES256-SHA256", "AES256/CBC + SHA256"),
    "AES_256_CBC_SHA384": ("AES256-SHA384", "AES256/CBC + SHA384"),
    "CHACHA20_POLY1305_SHA256": ("CHACHA20-POLY1305", "ChaCha20+Poly1305"),
    "3DES_EDE_CBC_SHA": ("DES-CBC3-SHA", "3DES/CBC + SHA1"),
}
EXCHANGES = {  # ... and the numbers of the table
    "ECDHE_ECDSA": ("ECDHE-ECDSA-", "ECDSA + ECDHE + ", ECDHE, EC_KEY),
    "ECDHE_RSA": ("ECDHE-RSA-", "RSA + ECDHE + ", ECDHE, RSA_KEY),
    "ECDH_ECDSA": ("ECDH-ECDSA-", "ECDSA + ECDH + ", ECDH, EC_KEY),
    "ECDH_RSA": ("ECDH-RSA-", "RSA + ECDH + ", ECDH, EC_KEY),  # RSA signs the certificate, its key is for ECDH
    "RSA": ("", "RSA + ", RSA, RSA_KEY),
}


def registered_suites() -> dict[int, tuple[bytes, bytes, int, int]]:
    """What the row of each suite of the registry must be, by BearSSL's header, which has IANA's names."""
    rows = {}
    for name, suite in bearssl_constants("BR_TLS_").items():
        kind, _, encryption = name.removeprefix("BR_TLS_").partition("_WITH_")
        if kind in EXCHANGES and encryption in ENCRYPTIONS:
            (openssl, log, exchange, key), (openssl_end, log_end) = EXCHANGES[kind], ENCRYPTIONS[encryption]
            newer = "" if log_end.endswith("SHA1") else " (TLS 1.2+)"
            rows[suite] = (openssl + openssl_end).encode(), (log + log_end + newer).encode(), exchange, key
    return rows


def test_suites_are_the_registrys() -> None:
    """Each that BearSSL knows and no other, with the names and the key exchange that its number stands for."""
    assert {suite: tuple(rest) for suite, *rest in AUDIT["suites"]} == registered_suites()
    assert unique([suite for suite, *_ in AUDIT["suites"]])


def test_suites_of_tls_1_3() -> None:
    """Numbers and names as in OpenSSL; one for each AEAD of -c, whose own they are in name and order."""
    known = {row["id"] & 0xFFFF: row["name"] for row in ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).get_ciphers()
             if row["protocol"] == "TLSv1.3"}  # fmt: skip
    ours = {suite: name.decode() for suite, name, _ in AUDIT["suites13"]}
    assert ours == known
    assert [(b"TLS_" + name, suite) for name, suite in AUDIT["ciphers13"]] == [
        (name, suite) for suite, name, _ in AUDIT["suites13"]
    ]
    assert [name for name, _ in AUDIT["ciphers13"]] == [name for name, default, _, _ in TABLES["ciphers"] if default]
    assert not set(ours) & set(SUITES)
    assert all(log.endswith(b" (TLS 1.3)") for _, _, log in AUDIT["suites13"])


def test_schemes() -> None:
    """RFC 8446 section 4.2.3: a curve has its one hash, RSA is PSS alone, and the names say what the columns say."""
    hashes = {4: b"sha256", 5: b"sha384", 6: b"sha512", 0: b""}
    curves = {b"secp256r1": 23, b"secp384r1": 24, b"secp521r1": 25}
    numbers = {0x0403, 0x0503, 0x0603, 0x0804, 0x0805, 0x0806, 0x0807}
    assert {number for _, number, *_ in AUDIT["schemes"]} == numbers and len(AUDIT["schemes"]) == len(numbers)
    for name, number, key_type, curve, hash_id in AUDIT["schemes"]:
        if key_type == RSA_KEY:
            assert name == b"rsa_pss_rsae_" + hashes[hash_id] and number == 0x0800 + hash_id and curve == 0
        elif key_type == EC_KEY:
            assert [name] == [b"ecdsa_%s_%s" % (c, hashes[hash_id]) for c, n in curves.items() if n == curve]
            assert number == hash_id << 8 | 3
        else:
            assert (name, number, key_type, curve, hash_id) == (b"ed25519", 0x0807, 3, 0, 0)


def test_suites_have_openssls_names() -> None:
    """OpenSSL 3 has no static ECDH, and 3DES only where it was built so."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.set_ciphers("ALL:@SECLEVEL=0")
    known = {row["id"] & 0xFFFF: row["name"] for row in context.get_ciphers()}
    ours = {number: name for number, (name, _) in SUITES.items()}
    missing = {name for number, name in ours.items() if number not in known}
    assert all(name.startswith("ECDH-") or name.endswith("DES-CBC3-SHA") for name in missing), missing
    assert {n: known[n] for n in ours if n in known} == {n: name for n, name in ours.items() if n in known}


def test_a_client_prefers_forward_secrecy() -> None:
    """ECDHE, then ECDH, then RSA; in the first the ciphers of -c come in their order."""
    exchanges = [exchange for _, _, _, exchange, _ in AUDIT["suites"]]
    assert exchanges == sorted(exchanges)
    assert set(exchanges) == {ECDHE, ECDH, RSA}


def test_ciphers_and_suites_are_the_same_ones() -> None:
    """-c names the suites at the head of the table, all others are a client's alone."""
    listed = [suite for _, _, ecdsa, rsa in TABLES["ciphers"] for suite in (ecdsa, rsa)]
    assert listed == [number for number, *_ in AUDIT["suites"]][: len(listed)]
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
    assert TABLES["versions"] == [(b"tls10", 0x0301), (b"tls11", 0x0302), (b"tls12", 0x0303), (b"tls13", 0x0304)]


# the key port


def test_each_operation_has_a_size_a_place_and_a_word() -> None:
    assert sorted(row[0] for row in OPERATIONS) == list(range(1, len(OPERATIONS) + 1))
    assert unique([row[1] for row in OPERATIONS])
    for _, name, least, most, after, then, replies, doc in OPERATIONS:
        assert re.fullmatch(rb"[a-z]+(-[a-z]+)*(13)?", name)
        assert 0 <= least <= most < MESSAGE_MAX, name
        assert after and after >> len(STATES) == 0 and not after & 1, name
        assert 0 <= then < len(STATES), name
        assert b" in; " in doc, name
        assert replies == bool(re.search(rb"\bout\b", doc)), name


def test_numbers_of_operations_and_events_are_apart() -> None:
    events = SOURCE[SOURCE.index("enum bw_event") :].split("};")[0]
    assert f"BW_EV_OPENED = {FIRST_EVENT}" in events
    assert len(OPERATIONS) < FIRST_EVENT


def test_the_enum_and_the_table_agree() -> None:
    listed = re.findall(r"BW_OP_\w+", SOURCE[SOURCE.index("enum bw_op_id") :].split("};")[0])
    assert listed[-1] == "BW_OP_LAST"
    names = [name.removeprefix("BW_OP_").lower().replace("_", "-").encode() for name in listed[:-1]]
    assert dict(enumerate(names, 1)) == {number: name for number, name, *_ in OPERATIONS}


def states(mask: int) -> set[int]:
    return {state for state in range(len(STATES)) if mask >> state & 1}


def reached(start: int) -> set[int]:
    """Every state that operations lead to, and the start."""
    found, todo = {start}, deque([start])
    while todo:
        state = todo.popleft()
        for _, _, _, _, after, then, _, _ in OPERATIONS:
            if after >> state & 1 and then and then not in found:
                found.add(then)
                todo.append(then)
    return found


def ways(state: int) -> list[list[bytes]]:
    """Every sequence of operations from a state to application data; what leaves the state as it is, is left out."""
    if state == RUNNING:
        return [[]]
    return [
        [name, *rest]
        for _, name, _, _, after, then, _, _ in OPERATIONS
        if after >> state & 1 and then and then != state
        for rest in ways(then)
    ]


def test_every_state_and_every_operation_is_reachable() -> None:
    server, client = reached(SERVER_START), reached(CLIENT_START)
    assert server | client == set(range(1, len(STATES)))
    for _, name, _, _, after, *_ in OPERATIONS:
        assert states(after) <= server | client, name


def test_the_roles_meet_in_running_alone() -> None:
    """So a server's key serves no operation of a client's handshake, and the reverse; eight serve both, by name."""
    server, client = reached(SERVER_START), reached(CLIENT_START)
    assert server & client == {RUNNING}
    both = {name for _, name, _, _, after, *_ in OPERATIONS if states(after) & server and states(after) & client}
    assert both == {b"transcript", b"open13", b"seal", b"resume", b"end-input", b"drop-output", b"update13",
                    b"close-input"}  # fmt: skip


def test_every_way_to_application_data() -> None:
    """The whole handshake, with or without a client's certificate, with or without the server's ephemeral key."""
    assert ways(SERVER_START) == [
        [b"load", b"exchange", *keys, b"finished-server"]
        for keys in ([b"peer-chain", b"derive", b"peer-verify", b"finished-client", b"open"],
                     [b"derive-finished", b"open"], [b"derive-open"])
    ] + [
        [b"load", b"client-hello13", b"accept13", *chain, b"client-finished13", b"run"]
        for chain in ([b"peer-chain13", b"peer-verify13"], [])
    ]
    old = [
        [b"server-chain", *params, b"agree", *sign, b"send-finished", b"await-finished", b"open-finished", b"begin"]
        for params in ([b"server-params"], [])
        for sign in ([b"client-sign"], [])
    ]
    offer = [b"share13", b"hello13"]
    new = [
        [*offer, *again, b"agree13", b"extensions13", *request, b"server-chain13", b"server-verify13", b"finish13",
         b"begin"]
        for again in ([b"retry13", b"share-again13", b"hello-again13"], [b"retry13", b"hello-again13"], [])
        for request in ([b"request13"], [])
    ]  # fmt: skip
    found = ways(CLIENT_START)
    wanted = [[b"trust", *before, *way] for before in ([], offer) for way in old] + [[b"trust", *way] for way in new]
    assert sorted(found) == sorted(wanted)


def test_no_operation_leads_back() -> None:
    """What moves the state moves it on, so nothing happens twice; opening alone may repeat, where it got."""
    for _, name, _, _, after, then, _, _ in OPERATIONS:
        if then:
            behind = states(after) & reached(then)
            assert behind == ({then} if name in (b"open", b"open-finished", b"client-hello13") else set()), name


def test_the_tables_are_fresh_each_time() -> None:
    _bear.tables()["ciphers"].clear()
    _bear.audit_tables()["alerts"].clear()
    assert _bear.tables() == TABLES
    assert _bear.audit_tables() == AUDIT


def test_build_facts() -> None:
    facts = _bear.build_facts()
    assert isinstance(facts["vendored"], bool)
    for library in ("libcrypto", "sodium", "nettle", "gmp"):
        assert re.fullmatch(rb"(\d+(\.\d+)+)?", facts[library])  # type: ignore[literal-required]
