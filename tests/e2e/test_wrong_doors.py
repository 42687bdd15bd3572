"""Whatever a client sends, we answer like a module that lets nobody in."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import requests
from hypothesis import HealthCheck, event, example, given, settings
from hypothesis import strategies as st

from tests.harness.accounts import PATH_ROOT, Account, token_hash
from tests.harness.deployment import LOGIN_TYPE, Attempt, Deployment
from tests.servers.synapse import SERVER_NAME

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.harness.stack import Stack


CASES = int(os.environ.get("WRONG_DOORS_CASES", "0"))
"""How many logins to make up, others each time; as they come, these are few and always the same."""

CORPUS = Path(__file__).parents[1] / "corpus" / "logins"
"""Logins that once showed a fault, or may: one in each file."""

# Only ours would open them, so only ours has their secrets.
ACCOUNTS = [
    Account.with_a_secret_of_its_own(f"@{localpart}:{SERVER_NAME}")
    for localpart in ("doors", "doors/b", "doors-Twin", "doors-twin", "doors-ü", "doors-rotated")
]

FORMER = [
    Account(f"@doors-{what}:{SERVER_NAME}", f"former-secret-of-{what}")
    for what in ("rotated", "deleted", "destroyed", "removed", "emptied")
]
"""What opened an account until something became of its secret."""

ALL = [*ACCOUNTS, *FORMER]

TRICKS = [
    *("/", "//", "/./", "/../", "../", "..", ".", "\\", "/%2e%2e/", "%2e", "%2f", "%2F", "%00"),
    *("\n", "\r", "\t", "\0", "\x1f", "\x7f", "\x85", "\u2028", "\u200b", "\u202e", "\ufeff"),
    *(" ", "\u00a0", "?", "#", "?version=1", ";", "&", "*", "+", ":", "@", "'", '"', "%s", "{}"),
    *("\ud800", "\udfff", "\U0001f511", "e\u0301", "A", "0", ":evil.org", f":{SERVER_NAME}"),
    *("x" * 300, "../" * 30),
]

texts = st.text(st.characters(), max_size=30)

# Without NaN and its like: they are no JSON, and Synapse itself writes a body that is none, hash
# and all, into its log.
numbers = st.integers() | st.floats(allow_nan=False, allow_infinity=False)

json_values = st.recursive(
    st.none() | st.booleans() | numbers | texts,
    lambda values: st.lists(values, max_size=3) | st.dictionaries(texts, values, max_size=3),
    max_leaves=5,
)


NAMES = st.sampled_from(
    [
        *("user", "medium", "address", "password", "token", "login_secret"),
        *("device_id", "initial_device_display_name", "refresh_token"),
    ]
)
"""Fields that Synapse or we could take for something."""


@st.composite
def near_ids(draw: st.DrawFn) -> str:
    """Ids that come close to one of ours, or are one."""
    user = draw(st.sampled_from([account.user_id for account in ALL]))
    if draw(st.booleans()):
        user = user[1:].removesuffix(f":{SERVER_NAME}")
    for trick in draw(st.lists(st.sampled_from(TRICKS), max_size=2)):
        at = draw(st.integers(0, len(user)))
        user = user[:at] + trick + user[at:]
    return draw(st.sampled_from([user, user, user.upper(), user[::-1], user + user]))


@st.composite
def near_hashes(draw: st.DrawFn, user: object) -> str:
    """Hashes that come close to one that opens an account, or are one."""
    account = draw(st.sampled_from(ALL))
    hashes = [account.token_hash, account.token_hash.upper()]
    if isinstance(user, str):
        text = user.encode("utf-8", "replace").decode()
        hashes += [token_hash(account.login_secret, text), token_hash("", text)]
    sent = draw(st.sampled_from(hashes))
    for trick in draw(st.lists(st.sampled_from(TRICKS), max_size=1)):
        at = draw(st.sampled_from([0, 32, len(sent)]))
        sent = sent[:at] + trick + sent[at:]
    return sent[draw(st.sampled_from([0, 0, 0, 1])) :]


@st.composite
def bodies(draw: st.DrawFn) -> dict[str, Any]:
    """Logins most of which get as far as to a module."""

    def one_in(count: int) -> bool:
        return draw(st.sampled_from([False] * (count - 1) + [True]))

    user = draw(json_values if one_in(8) else near_ids())
    identifier: Any = {"type": "m.id.user", "user": user}
    if one_in(16):
        identifier["type"] = draw(st.sampled_from(["m.id.thirdparty", "m.id.phone"]) | json_values)
    body: dict[str, Any] = {
        "type": LOGIN_TYPE,
        "identifier": draw(json_values) if one_in(16) else identifier,
        "token_hash": draw(json_values if one_in(3) else near_hashes(user)),
    }
    if one_in(16):
        body["type"] = draw(st.sampled_from(["m.login.password", "m.login.token"]) | json_values)
    if one_in(4):
        body.update(draw(st.dictionaries(NAMES | texts, near_ids() | json_values, max_size=2)))
    if one_in(16):
        del body[draw(st.sampled_from(sorted(body)))]
    return body


def folded(text: str) -> str:
    """Fold case as SQLite does."""
    return "".join(c.lower() if c.isascii() else c for c in text)


def opens(body: Any) -> bool:
    """Tell whether this is a login that should succeed."""
    if not isinstance(body, dict) or not isinstance(body.get("token_hash"), str):
        return False
    identifier = body.get("identifier")
    users = [body.get("user"), identifier.get("user") if isinstance(identifier, dict) else None]
    return any(
        folded(user if user.startswith("@") else f"@{user}:{SERVER_NAME}")
        == folded(account.user_id)
        and body["token_hash"].lower() == account.token_hash
        for user in users
        if isinstance(user, str)
        for account in ACCOUNTS
    )


def reaches_us(body: Any, status: int) -> bool:
    """Tell whether Synapse surely hands a login over, which it then refuses with this status."""
    return (
        status == 403
        and body["type"] == LOGIN_TYPE
        and not {"user", "medium", "address"} & body.keys()
        and body["identifier"]["type"] == "m.id.user"
    )


@pytest.fixture(scope="module")
def refusing(file_stack: Stack, pytestconfig: pytest.Config) -> Deployment:
    """Return a homeserver whose module lets nobody in."""
    deployment = file_stack.start_homeserver(
        "refusing",
        module="tests.servers.refusing_provider.RefusingProvider",
        environment={"PYTHONPATH": str(pytestconfig.rootpath)},
    )
    for account in ALL:
        deployment.synapse.insert_user(account.user_id)
    return deployment


@pytest.fixture(scope="module")
def ours(modules: Deployment) -> Deployment:
    """Return a homeserver with our module, which lets the accounts in, and no longer the others."""
    for account in FORMER:
        modules.historic_account(account.user_id, account.login_secret)
        modules.log_in(account.user_id, account.token_hash).check_accepted(account.user_id)
    rotated, deleted, destroyed, removed, emptied = [account.user_id for account in FORMER]
    modules.put_secret(rotated)
    modules.openbao.api("DELETE", f"secret/data/{PATH_ROOT}/{deleted}")
    modules.openbao.api("POST", f"secret/destroy/{PATH_ROOT}/{destroyed}", {"versions": [1]})
    modules.openbao.api("DELETE", f"secret/metadata/{PATH_ROOT}/{removed}")
    modules.put(emptied, {"login_secret": ""})
    for account in ACCOUNTS:
        modules.historic_account(account.user_id)
        modules.log_in(account.user_id, account.token_hash).check_accepted(account.user_id)
    return modules


def post(deployment: Deployment, body: bytes) -> Attempt:
    since = deployment.synapse.log_size()
    response = requests.post(
        f"{deployment.synapse.url}/_matrix/client/v3/login", data=body, timeout=120
    )
    return Attempt(response, deployment.synapse.log_records(since))


def check_same_refusal(attempt: Attempt, theirs: requests.Response) -> None:
    assert attempt.response.status_code == theirs.status_code
    assert attempt.response.content == theirs.content
    assert attempt.response.status_code >= 400
    for record in attempt.records:
        assert "Failed to run module API callback" not in record.message
        # What Synapse itself fails at has tracebacks, too, but without a file of ours in them.
        assert "synapse_vault_auth_provider/" not in record.message
    for line in attempt.lines:
        assert "Traceback" not in line.message


def check_rightful(body: Any, attempt: Attempt) -> None:
    """Fail unless this login was let in as the one user whose secret's hash it has."""
    assert opens(body)
    user_id = attempt.response.json()["user_id"]
    hashes = [account.token_hash for account in ACCOUNTS if account.user_id == user_id]
    assert hashes == [body["token_hash"].lower()]
    attempt.check_accepted(user_id)


def with_corpus(test: Callable[..., None]) -> Callable[..., None]:
    for file in sorted(CORPUS.glob("*.json")):
        test = example(body=json.loads(file.read_text()))(test)
    return test


# What Hypothesis prints of a failure becomes a file of the corpus, so it needs no database.
@settings(
    max_examples=CASES or 400,
    derandomize=not CASES,
    database=None,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
@with_corpus
@given(body=bodies())
def test_only_the_hash_of_the_live_secret_opens_and_all_else_is_refused_as_ever(
    ours: Deployment, refusing: Deployment, body: Any
) -> None:
    sent = json.dumps(body).encode()
    theirs = post(refusing, sent).response
    attempt = post(ours, sent)
    event(f"{theirs.status_code} {attempt.outcome if attempt.lines else ''}")
    if attempt.response.status_code == 200:
        check_rightful(body, attempt)
        return
    check_same_refusal(attempt, theirs)
    if reaches_us(body, theirs.status_code):
        # Vault is well, so nothing but the login itself is to blame.
        assert attempt.line.level == "WARNING"
    else:
        assert len(attempt.lines) <= 1


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"\xff",
        b"\0",
        b"[" * 100_000,
        b'{"type": "io.t2bot.vault", "token_hash": NaN}',
        b'{"type": "io.t2bot.vault", "type": "io.t2bot.vault", "token_hash": ""}',
    ],
    ids=lambda body: ascii(body[:45]),
)
def test_bytes_that_synapse_makes_nothing_of_do_not_reach_us(
    ours: Deployment, refusing: Deployment, body: bytes
) -> None:
    attempt = post(ours, body)
    check_same_refusal(attempt, post(refusing, body).response)
    assert attempt.lines == []
