"""Secrets are gone from memory when nobody needs them any more.

Another process decides the logins, so what is found in its memory is what the module left there.
Connections that are open hold the last answers that came over them, so what is looked for is looked
for until they have been closed, unless it says otherwise.
"""

from __future__ import annotations

import base64
import itertools
import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from tests.harness.accounts import PATH_ROOT, Account
from tests.harness.core_process import CoreProcess
from tests.harness.memory import FORMS, MarkedSecrets, copies, needles
from tests.harness.provisioning import Means, Site, new_id
from tests.harness.waiting import wait_until
from tests.servers import OpenBao

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.harness.deployment import Deployment
    from tests.harness.stack import Stack

pytestmark = pytest.mark.long

LENGTHS = (32, 43, 64, 200, 5_000, 100_000)
"""Of secrets, in characters: shorter than a block of HMAC's, as usual, a block, longer, and longer
than one read from a connection gives."""

WRONG_HASH = "0" * 64

PROVISIONING = """
import json, sys
from synapse_vault_auth_provider.provisioning import Provisioner

settings, user_id = json.loads(sys.stdin.readline())
provisioner = Provisioner(**settings)
for verb in sys.stdin:
    getattr(provisioner, verb.strip())(user_id)
    print("done", flush=True)
"""

_numbers = itertools.count(1)


@pytest.fixture(scope="module")
def vault(file_stack: Stack) -> OpenBao:
    return file_stack.start_openbao("memory", tls=True)


@pytest.fixture(scope="module")
def homeserver(file_stack: Stack, vault: OpenBao) -> Deployment:
    return file_stack.start_homeserver(
        "memory", openbao=vault, vault_token=vault.root_token, cache={"ttl": "1s"}
    )


@pytest.fixture
def marked() -> MarkedSecrets:
    return MarkedSecrets()


def config(vault: OpenBao, **settings: Any) -> dict[str, Any]:
    """Configure the module for a Vault."""
    return {
        "vault_url": vault.url,
        "vault_token": vault.root_token,
        "vault_path_root": PATH_ROOT,
        "vault_tls": {"ca_cert": str(vault.ca_cert)},
        **settings,
    }


def put(vault: OpenBao, login_secret: str) -> Account:
    """Write a secret for somebody new."""
    account = Account(f"@memory-{next(_numbers)}:example.org", login_secret)
    vault.write(f"{PATH_ROOT}/{account.user_id}", {"login_secret": login_secret})
    return account


def wait_until_gone(process: int, needles: Mapping[str, bytes]) -> None:
    """Wait until there is no copy any more; fail and say where they are if they stay."""
    found = copies(process, needles)

    def are_gone() -> bool:
        nonlocal found
        found = copies(process, needles)
        return not found

    try:
        wait_until("no copy is left", are_gone)
    except AssertionError:
        raise AssertionError(f"copies of secrets stay in memory: {found}") from None


@pytest.mark.nightly
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.nightly
def test_a_copy_would_be_found(vault: OpenBao, marked: MarkedSecrets, form: str) -> None:
    """Others of these tests find nothing, so it must be certain that they look."""
    with CoreProcess(config(vault)) as core:
        assert not copies(core.pid, marked.needles)
        core.keep(FORMS[form](marked.new()))
        assert form in {copy.form for copy in copies(core.pid, marked.needles)}


def test_a_login_leaves_no_secret_behind(vault: OpenBao, marked: MarkedSecrets) -> None:
    with CoreProcess(config(vault)) as core:
        for length in LENGTHS:
            account = put(vault, marked.new(length))
            assert core.log_in(account) == "ok"
            assert core.log_in(account, WRONG_HASH) == "bad_hash"
            assert core.log_in(account) == "ok"
        wait_until_gone(core.pid, marked.needles)


@pytest.mark.nightly
def test_a_secret_that_json_escapes_is_left_nowhere(vault: OpenBao, marked: MarkedSecrets) -> None:
    with CoreProcess(config(vault)) as core:
        account = put(vault, f'"{marked.new()}\\ü\n{marked.new()}\0😀')
        assert core.log_in(account) == "ok"
        wait_until_gone(core.pid, marked.needles)


@pytest.mark.nightly
def test_what_is_not_used_of_an_entry_is_left_nowhere(
    vault: OpenBao, marked: MarkedSecrets
) -> None:
    unusable = Account(f"@memory-{next(_numbers)}:example.org", "unknown")
    entry = {"login_secret": {marked.new(): [marked.new()]}, marked.new(): marked.new()}
    vault.write(f"{PATH_ROOT}/{unusable.user_id}", entry)
    with CoreProcess(config(vault)) as core:
        assert core.log_in(unusable) == "unusable_secret"
        wait_until_gone(core.pid, marked.needles)


@pytest.mark.nightly
def test_a_former_secret_is_left_nowhere(vault: OpenBao, marked: MarkedSecrets) -> None:
    former = put(vault, marked.new())
    newest = Account(former.user_id, marked.new(44))
    vault.write(f"{PATH_ROOT}/{newest.user_id}", {"login_secret": newest.login_secret})
    with CoreProcess(config(vault, rotation_grace="1h")) as core:
        assert core.log_in(former) == "ok"
        assert core.log_in(newest) == "ok"
        assert core.log_in(newest, WRONG_HASH) == "bad_hash"
        wait_until_gone(core.pid, marked.needles)


@pytest.mark.nightly
def test_the_cache_has_the_only_copy(vault: OpenBao, marked: MarkedSecrets) -> None:
    with CoreProcess(config(vault, cache={"ttl": "1h"})) as core:
        account = put(vault, marked.new())
        for _ in range(10):
            assert core.log_in(account) == "ok"
        wait_until("one copy is left", lambda: len(copies(core.pid, marked.needles)) == 1)
        (copy,) = copies(core.pid, marked.needles)
        assert copy.form == "as it is"
        # It is in use still.
        assert core.log_in(account) == "ok"
        assert copies(core.pid, marked.needles) == [copy]


@pytest.mark.nightly
def test_what_expires_is_wiped(vault: OpenBao, marked: MarkedSecrets) -> None:
    with CoreProcess(config(vault, cache={"ttl": "2s", "stale_if_error": "4s"})) as core:
        for _ in range(20):
            assert core.log_in(put(vault, marked.new())) == "ok"
        wait_until_gone(core.pid, marked.needles)


@pytest.mark.nightly
def test_what_is_pushed_out_is_wiped(vault: OpenBao, marked: MarkedSecrets) -> None:
    with CoreProcess(config(vault, cache={"ttl": "1h", "max_entries": 5})) as core:
        for _ in range(20):
            assert core.log_in(put(vault, marked.new())) == "ok"
        for number in range(5):
            assert core.log_in(put(vault, f"another secret, which may stay {number}")) == "ok"
        wait_until_gone(core.pid, marked.needles)


@pytest.mark.nightly
def test_what_was_deleted_is_wiped(vault: OpenBao, marked: MarkedSecrets) -> None:
    with CoreProcess(config(vault, cache={"stale_if_error": "1h"})) as core:
        account = put(vault, marked.new())
        assert core.log_in(account) == "ok"
        vault.api("DELETE", f"secret/metadata/{PATH_ROOT}/{account.user_id}")
        assert core.log_in(account) == "no_secret"
        wait_until_gone(core.pid, marked.needles)


@pytest.mark.nightly
def test_what_was_replaced_is_wiped(vault: OpenBao, marked: MarkedSecrets) -> None:
    with CoreProcess(config(vault, cache={"ttl": "1h"})) as core:
        account = put(vault, marked.new())
        assert core.log_in(account) == "ok"
        other = Account(account.user_id, "another secret, which may stay in memory")
        vault.write(f"{PATH_ROOT}/{other.user_id}", {"login_secret": other.login_secret})
        assert core.log_in(other) == "ok"
        wait_until_gone(core.pid, marked.needles)


@pytest.mark.nightly
def test_a_homeserver_is_left_with_no_secret(homeserver: Deployment, marked: MarkedSecrets) -> None:
    for length in LENGTHS:
        account = homeserver.new_account(marked.new(length))
        homeserver.log_in(account.user_id, account.token_hash).check_accepted(account.user_id)
        homeserver.log_in(account.user_id, WRONG_HASH).check_refused("bad_hash")
    wait_until_gone(homeserver.synapse.pid, marked.needles)


@pytest.mark.nightly
def test_provisioning_leaves_no_secret_behind(homeserver: Deployment) -> None:
    site = Site.of(homeserver)
    settings = site.settings(Means.SHARED_SECRET, vault_tls={"ca_cert": str(site.openbao.ca_cert)})
    user_id = new_id()
    with subprocess.Popen(
        [sys.executable, "-c", PROVISIONING],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as program:
        stdin, stdout = program.stdin, program.stdout
        assert stdin is not None
        assert stdout is not None

        def do(verb: str) -> None:
            print(verb, file=stdin, flush=True)
            assert stdout.readline() == "done\n"

        print(json.dumps([settings, user_id]), file=stdin)
        do("provision_user")
        made = site.secret(user_id)
        do("login")
        do("rotate_secret")
        do("login")
        for secret in (made, site.secret(user_id)):
            random = base64.urlsafe_b64decode(f"{secret}=")
            wait_until_gone(program.pid, {**needles(secret[8:24]), "before Base64": random[8:24]})
