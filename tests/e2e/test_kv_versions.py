"""KV engines of both versions, found out or configured."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.harness.accounts import PATH_ROOT, Account
from tests.harness.waiting import wait_until
from tests.servers.auth_methods import allow, approle, logins
from tests.servers.relay import Reply

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.harness.confidential import Confidential
    from tests.harness.core import Core
    from tests.harness.restarting import Restarting
    from tests.servers import OpenBao, Relay
    from tests.servers.relay import Request

MOUNTS = "/v1/sys/internal/ui/mounts/"
"""Where the module asks for the version."""


class Engine:
    """A KV engine and a token that may read users' entries in it."""

    def __init__(
        self,
        openbao: OpenBao,
        confidential: Confidential,
        mount: str,
        version: int,
        **token: Any,
    ) -> None:
        self.openbao = openbao
        self.confidential = confidential
        self.mount = mount
        self.version = version
        options = {"type": "kv", "options": {"version": str(version)}}
        openbao.api("POST", f"sys/mounts/{mount}", options)
        if version == 2:
            self.wait_until_it_has_versions()
        self.policy = allow(openbao, f"users-of-{mount.replace('/', '-')}", *users(mount))
        granted = openbao.api("POST", "auth/token/create", {"policies": [self.policy], **token})
        self.token = confidential.add(granted["auth"]["client_token"])

    @property
    def config(self) -> dict[str, Any]:
        return {"vault_kv_mount_point": self.mount, "vault_token": self.token}

    def wait_until_it_has_versions(self) -> None:
        """Wait while the engine prepares its storage, when it answers 400."""

        def has_versions() -> bool:
            try:
                self.openbao.api("GET", f"{self.mount}/config")
            except RuntimeError:
                return False
            return True

        wait_until("the engine has versions", has_versions)

    def give_versions(self) -> None:
        self.openbao.cli("kv", "enable-versioning", self.mount)
        self.version = 2

    def put(self, user_id: str) -> Account:
        account = Account.with_a_secret_of_its_own(user_id)
        self.confidential.add(account.login_secret)
        self.confidential.add(account.token_hash)
        data = {"login_secret": account.login_secret, "owner": "somebody"}
        if self.version == 1:
            self.openbao.api("POST", f"{self.mount}/{PATH_ROOT}/{user_id}", data)
        else:
            self.openbao.api("POST", f"{self.mount}/data/{PATH_ROOT}/{user_id}", {"data": data})
        return account


def users(mount: str) -> tuple[str, str]:
    """Return the paths of users' entries in engines of both versions."""
    return f"{mount}/{PATH_ROOT}/*", f"{mount}/data/{PATH_ROOT}/*"


@pytest.fixture
def engine(openbao: OpenBao, confidential: Confidential) -> Callable[..., Engine]:
    def mount(path: str, version: int, **token: Any) -> Engine:
        return Engine(openbao, confidential, path, version, **token)

    return mount


def check(core: Core, account: Account, code: str) -> str:
    """Fail unless the login ends like this; return the reason."""
    outcome = core.log_in(account.user_id, account.token_hash)
    assert outcome.code == code, outcome.reason
    return outcome.reason


@pytest.mark.parametrize("configured", [True, False], ids=["configured", "auto"])
@pytest.mark.parametrize("mount", ["kv", "kv/deep"], ids=["mount", "mount with a slash"])
@pytest.mark.parametrize("version", [1, 2], ids=["v1", "v2"])
def test_both_versions(
    start_core: Callable[..., Core],
    engine: Callable[..., Engine],
    version: int,
    mount: str,
    configured: bool,
) -> None:
    kv = engine(f"{mount}-{version}-{configured}", version)
    core = start_core(**kv.config, vault_kv_version=version if configured else "auto")
    account = kv.put(core.new_user())
    check(core, account, "ok")
    check(core, Account(account.user_id, "another secret"), "bad_hash")
    check(core, core.new_account(), "no_secret")
    check(core, account, "ok")


def test_the_version_is_asked_for_once(
    start_core: Callable[..., Core], engine: Callable[..., Engine], relay: Relay
) -> None:
    kv = engine("kv-asked", 1)
    core = start_core(**kv.config)
    account = kv.put(core.new_user())
    for _ in range(5):
        check(core, account, "ok")
    assert [request.path for request in relay.requests].count(f"{MOUNTS}kv-asked") == 1


@pytest.mark.parametrize("version", [1, 2], ids=["v1", "v2"])
def test_a_token_that_may_read_users_and_nothing_else(
    start_core: Callable[..., Core], engine: Callable[..., Engine], version: int
) -> None:
    kv = engine(f"kv-narrow-{version}", version, no_default_policy=True)
    core = start_core(**kv.config)
    for _ in range(5):
        check(core, kv.put(core.new_user()), "ok")
    assert not [notice for notice in core.notices if "vault_kv_version" in notice]


def test_where_vault_does_not_tell_the_version_2_is_assumed_with_one_warning(
    start_core: Callable[..., Core], engine: Callable[..., Engine], relay: Relay
) -> None:
    kv = engine("kv-untold", 2)
    relay.meddle = refuse_to_tell
    core = start_core(**kv.config)
    for _ in range(5):
        check(core, kv.put(core.new_user()), "ok")
    assert len([notice for notice in core.notices if "set vault_kv_version" in notice]) == 1


def refuse_to_tell(request: Request) -> Reply | None:
    if request.path.startswith(MOUNTS):
        return Reply(403, {"errors": ["preflight capability check returned 403"]})
    return None


@pytest.mark.parametrize(
    ("actual", "configured"), [(1, 2), (2, 1)], ids=["2 for version 1", "1 for version 2"]
)
def test_a_wrong_version_is_an_error_that_names_the_setting(
    start_core: Callable[..., Core],
    engine: Callable[..., Engine],
    actual: int,
    configured: int,
) -> None:
    kv = engine(f"kv-wrong-{actual}", actual)
    core = start_core(**kv.config, vault_kv_version=configured)
    for _ in range(2):
        assert "vault_kv_version" in check(core, kv.put(core.new_user()), "vault_error")


@pytest.mark.parametrize("has_default_policy", [True, False], ids=["default policy", "no default"])
def test_a_missing_mount_is_an_error_that_names_the_setting(
    start_core: Callable[..., Core],
    openbao: OpenBao,
    confidential: Confidential,
    has_default_policy: bool,
) -> None:
    policy = allow(openbao, "users-of-missing", *users("missing"))
    auth = approle(
        openbao,
        f"missing-{has_default_policy}",
        policy,
        token_no_default_policy=not has_default_policy,
    )
    confidential.add(auth["secret_id"])
    core = start_core(vault_token=None, vault_auth=auth, vault_kv_mount_point="missing")
    for _ in range(10):
        assert "vault_kv_mount_point" in check(core, core.new_account(), "vault_error")
    assert logins(openbao, auth) <= 2


@pytest.mark.parametrize("mount", ["kv/outer/inner", "kv"], ids=["below", "above"])
def test_a_mount_that_is_not_the_engines_is_an_error_that_names_the_setting(
    start_core: Callable[..., Core],
    engine: Callable[..., Engine],
    openbao: OpenBao,
    mount: str,
) -> None:
    path = f"kv/outer-{mount.count('/')}"
    kv = engine(path, 2)
    mount = mount.replace("kv/outer", path)
    allow(openbao, kv.policy, *users(kv.mount), *users(mount))
    core = start_core(**{**kv.config, "vault_kv_mount_point": mount})
    account = kv.put(core.new_user())
    assert "vault_kv_mount_point" in check(core, account, "vault_error")


@pytest.mark.parametrize(
    "failure",
    [
        Reply(500, {"errors": ["internal error"]}),
        Reply(503, {"errors": ["Vault is sealed"]}),
        Reply(403, {"errors": ["permission denied"]}),
        Reply(404, {"errors": []}),
        Reply(200, b"<html>"),
    ],
    ids=["500", "503", "403", "404", "nonsense"],
)
def test_a_question_for_the_version_that_failed_is_asked_again(
    start_core: Callable[..., Core],
    engine: Callable[..., Engine],
    relay: Relay,
    failure: Reply,
) -> None:
    kv = engine(f"kv-late-{failure.status}", 1)
    relay.meddle = lambda request: failure if request.path.startswith(MOUNTS) else None
    core = start_core(**kv.config, login_timeout="1s")
    account = kv.put(core.new_user())
    assert not core.log_in(account.user_id, account.token_hash).accepted
    relay.meddle = None
    wait_until(
        "the version is known",
        lambda: core.log_in(account.user_id, account.token_hash).accepted,
    )


def test_a_vault_that_is_away_at_first_is_asked_for_the_version_later(
    start_core: Callable[..., Core], engine: Callable[..., Engine], relay: Relay
) -> None:
    kv = engine("kv-away", 1)
    relay.close()
    core = start_core(**kv.config, login_timeout="1s")
    account = kv.put(core.new_user())
    check(core, account, "vault_unavailable")
    relay.listen()
    wait_until(
        "the version is known",
        lambda: core.log_in(account.user_id, account.token_hash).accepted,
    )


def test_a_homeserver_goes_on_when_its_engine_is_given_versions(
    restarting: Restarting, engine: Callable[..., Engine]
) -> None:
    kv = engine("kv/matrix", 1)
    run = restarting.start(**kv.config)
    account = kv.put(run.new_user())
    run.check_login(account.user_id)
    kv.give_versions()
    kv.wait_until_it_has_versions()
    wait_until(
        "the new version is known",
        lambda: run.synapse.login(account.user_id, account.token_hash).status_code == 200,
    )
    run.check_login(account.user_id)
    run.check_login(kv.put(run.new_user()).user_id)
