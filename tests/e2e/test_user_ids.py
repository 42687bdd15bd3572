"""An id has an entry of its own in Vault, and no other id has that entry."""

from __future__ import annotations

import itertools
import unicodedata
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.harness.accounts import Account
    from tests.harness.deployment import Deployment

# Pairs of these would be one, were paths decoded once too often or too seldom, cut, cleaned,
# folded, or normalized anywhere between the client and Vault's storage.
LOCALPARTS = [
    "own/b",
    "/own/b",
    "../users/@own/b",
    "own/b/..",
    "own/%2e%2e/b",
    "own/%2E/b",
    "own%2Fb",
    "own%2fb",
    "own%252Fb",
    "own\\b",
    "own b",
    "own+b",
    "own%20b",
    "ownb",
    "OWNB",
    "ownb ",
    "ownb?version=1",
    "ownb#b",
    "ownb;b",
    "ownb*",
    "ownb%00",
    "@ownb",
    "own'\"`$(b){}[]|<>,^~=!&b",
    "ü",
    "Ü",
    unicodedata.normalize("NFD", "ü"),
    "日本/🔑",
    "a" * 242,
]


@pytest.fixture(scope="module")
def accounts(modules: Deployment, password_providers: Deployment) -> list[Account]:
    """Return accounts of all the ids, with secrets written by the vendor's command line."""
    accounts = [modules.account(f"@{localpart}:example.org") for localpart in LOCALPARTS]
    for account in accounts:
        modules.synapse.insert_user(account.user_id)
        password_providers.synapse.insert_user(account.user_id)
        modules.openbao.put_secret(account.user_id, account.login_secret)
    return accounts


def test_what_users_are_called_does_not_keep_them_out(
    deployment: Deployment, accounts: list[Account]
) -> None:
    for account in accounts:
        deployment.log_in(account.user_id, account.token_hash).check_accepted(account.user_id)
        if not account.localpart.startswith("@"):
            deployment.log_in(account.localpart, account.token_hash).check_accepted(account.user_id)


def test_no_user_gets_in_with_what_is_anothers(
    modules: Deployment, accounts: list[Account]
) -> None:
    for account, other in itertools.permutations(accounts, 2):
        crossed = modules.token_hash(other.login_secret, account.user_id)
        modules.log_in(account.user_id, crossed).check_refused("bad_hash")
    for account, other in itertools.pairwise([*accounts, accounts[0]]):
        modules.log_in(account.user_id, other.token_hash).check_refused("bad_hash")
        modules.log_in(other.user_id, account.token_hash).check_refused("bad_hash")


@pytest.mark.parametrize(
    ("localpart", "resolved"),
    [
        ("{}//b", "{}/b"),
        ("{}/./b", "{}/b"),
        ("{}/x/../b", "{}/b"),
        ("x/../{}/b", "{}/b"),
        ("x/../../@{}/b", "{}/b"),
        ("{}/../../@{}/b", "{}/b"),
        ("{}/b/./", "{}/b/"),
    ],
)
def test_an_id_that_a_path_cleaner_would_make_anothers_is_refused(
    deployment: Deployment, localpart: str, resolved: str
) -> None:
    name = f"{deployment.name}-clean"
    real = deployment.historic_account(f"@{resolved.format(name)}:example.org")
    trick = deployment.synapse.insert_user(f"@{localpart.format(name, name)}:example.org")
    for user_id in (trick, real.user_id):
        token_hash = deployment.token_hash(real.login_secret, user_id)
        deployment.log_in(trick, token_hash).check_refused("unsafe_user_id")
    deployment.log_in(real.user_id, real.token_hash).check_accepted(real.user_id)


CONTROLS = ["\n", "\t", "\r", "\0", "\x0b", "\x1b", "\x7f", "\x80", "\x85", "\x9f"]


@pytest.mark.parametrize("control", CONTROLS, ids=ascii)
def test_an_id_with_a_control_character_is_refused(deployment: Deployment, control: str) -> None:
    real = deployment.new_account()
    at = real.user_id.index(":")
    for start, end in ((at - 1, at - 1), (at, at), (1, 1), (len(real.user_id), None)):
        trick = real.user_id[:start] + control + real.user_id[start:end] + real.user_id[start:]
        deployment.synapse.insert_user(trick)
        for user_id in (trick, real.user_id):
            token_hash = deployment.token_hash(real.login_secret, user_id)
            attempt = deployment.log_in(trick, token_hash)
            assert attempt.outcome in {"unsafe_user_id", "foreign_user"}
            attempt.check_refused(attempt.outcome)


@pytest.mark.parametrize("surrogate", ["\udfff", "\udc41\ud800"], ids=ascii)
def test_an_id_with_a_lone_surrogate_is_refused(deployment: Deployment, surrogate: str) -> None:
    real = deployment.new_account()
    for user in (
        f"@{surrogate}:example.org",
        real.user_id.replace(":", f"{surrogate}:"),
        real.localpart + surrogate,
        surrogate,
    ):
        deployment.log_in(user, real.token_hash).check_refused("unsafe_user_id")


@pytest.mark.parametrize(
    "user", ["@", "@:", "@:example.org", ":example.org", "@alice", "@alice:", "@@", "@ "]
)
def test_what_is_no_user_id_is_refused(deployment: Deployment, user: str) -> None:
    deployment.synapse.insert_user(user)
    account = deployment.account(user)
    deployment.openbao.write(f"matrix/users/{user}", {"login_secret": account.login_secret})
    deployment.log_in(user, account.token_hash).check_refused("unsafe_user_id")


@pytest.mark.parametrize("localpart", ["a" * 243, "ü" * 122, "a" * 1_000_000])
def test_an_id_of_more_than_255_bytes_is_refused(deployment: Deployment, localpart: str) -> None:
    account = deployment.account(f"@{localpart}:example.org")
    if len(localpart) < 1000:
        deployment.synapse.insert_user(account.user_id)
        deployment.put_secret(account.user_id)
    for user in (account.user_id, account.localpart):
        deployment.log_in(user, account.token_hash).check_refused("unsafe_user_id")


# Vault answers 400 to paths with characters that do not print, so there can be no secret.
UNPRINTABLE = ["\u00a0", "\u200b", "\u202e", "\u2028", "\u3000", "\ue000", "\U000e0001"]


@pytest.mark.parametrize("character", UNPRINTABLE, ids=ascii)
def test_an_id_that_vault_can_hold_no_secret_for_is_refused_and_no_error_of_vault(
    deployment: Deployment, character: str
) -> None:
    real = deployment.new_account()
    trick = real.user_id.replace(":", f"{character}:")
    deployment.synapse.insert_user(trick)
    for user_id in (trick, real.user_id):
        attempt = deployment.log_in(trick, deployment.token_hash(real.login_secret, user_id))
        attempt.check_refused("unsafe_user_id")
        # Anyone can send such an id: it must not alarm the administrator, nor hide a real failure.
        assert attempt.line.level == "WARNING", attempt.line


@pytest.mark.parametrize("character", [*CONTROLS, *UNPRINTABLE, "\ud800"], ids=ascii)
def test_no_character_of_an_id_reaches_the_log_unless_it_is_printable(
    deployment: Deployment, character: str
) -> None:
    # Line breaks forge lines, and marks of direction make a line read as another.
    attempt = deployment.log_in(f"@x{character}y:example.org", "0" * 64)
    assert attempt.line.message.isprintable(), ascii(attempt.line.message)
