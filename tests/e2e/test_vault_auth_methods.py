"""The auth methods by which the module may log in to Vault."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

import pytest

from tests.harness.accounts import PATH_ROOT
from tests.servers.auth_methods import (
    allow,
    approle,
    jwt,
    kubernetes,
    logins,
    revoke_all,
    set_password,
    userpass,
    wrapped_secret_id,
)
from tests.servers.pki import Authority, SigningKey
from tests.servers.token_reviewer import TokenReviewer

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.harness.confidential import Confidential
    from tests.harness.restarting import Restarting, Run
    from tests.servers import OpenBao

AUDIENCE = "vault.example.org"


@pytest.fixture
def policy(openbao: OpenBao) -> str:
    return allow(openbao, "users", f"secret/data/{PATH_ROOT}/*")


@pytest.fixture
def identity_provider() -> SigningKey:
    return SigningKey()


@pytest.fixture
def token_reviewer() -> Iterator[TokenReviewer]:
    with TokenReviewer() as reviewer:
        yield reviewer


def check_tokens_are_replaced(run: Run, openbao: OpenBao, auth: dict[str, Any]) -> None:
    """Fail unless users can log in before and after the module's token dies."""
    before = logins(openbao, auth)
    account = run.new_account()
    run.check_login(account.user_id)
    assert logins(openbao, auth) == before
    revoke_all(openbao, auth)
    run.check_login(account.user_id)
    assert logins(openbao, auth) == before + 1
    assert run.warnings_and_errors() == []


def test_approle_with_everything_in_files(
    restarting: Restarting,
    openbao: OpenBao,
    confidential: Confidential,
    policy: str,
    tmp_path: Path,
) -> None:
    auth = approle(openbao, "roles/matrix", policy)
    confidential.add(auth["secret_id"])
    config = {"method": "approle", "mount": "roles/matrix"}
    for key in ("role_id", "secret_id"):
        (tmp_path / key).write_text(auth[key] + "\n")
        config[f"{key}_file"] = str(tmp_path / key)
    run = restarting.start(vault_auth=config)
    run.check_login()
    check_tokens_are_replaced(run, openbao, auth)


def test_approle_at_its_usual_mount(restarting: Restarting, openbao: OpenBao, policy: str) -> None:
    auth = approle(openbao, "approle", policy)
    del auth["mount"]
    restarting.start(vault_auth=auth).check_login()


def test_a_secret_id_is_unwrapped_once_in_the_life_of_a_process(
    restarting: Restarting, openbao: OpenBao, confidential: Confidential, policy: str
) -> None:
    auth = approle(openbao, "wrapped", policy)
    token = confidential.add(wrapped_secret_id(openbao, "wrapped"))
    config = {**auth, "secret_id": token, "secret_id_wrapped": True}
    run = restarting.start(vault_auth=config)
    run.check_login()
    check_tokens_are_replaced(run, openbao, auth)

    second = restarting.start(vault_auth=config)
    second.wait_for_notice("ERROR", "the wrapping token works once")
    line = second.check_refused_login("vault_denied", "somebody else has what it wrapped")
    assert line.level == "ERROR"


def test_a_new_wrapping_token_in_the_file_is_unwrapped(
    restarting: Restarting,
    openbao: OpenBao,
    confidential: Confidential,
    policy: str,
    tmp_path: Path,
) -> None:
    auth = approle(openbao, "rewrapped", policy)
    path = tmp_path / "wrapping-token"
    path.write_text(confidential.add(wrapped_secret_id(openbao, "rewrapped")))
    del auth["secret_id"]
    config = {**auth, "secret_id_file": str(path), "secret_id_wrapped": True}
    run = restarting.start(vault_auth=config)
    run.check_login()
    since = openbao.audit_size()
    path.write_text(confidential.add(wrapped_secret_id(openbao, "rewrapped")) + "\n")
    check_tokens_are_replaced(run, openbao, auth)
    assert len(openbao.audited("sys/wrapping/unwrap", since)) == 1


def test_the_password_of_userpass_is_read_anew_at_each_login_to_vault(
    restarting: Restarting,
    openbao: OpenBao,
    confidential: Confidential,
    policy: str,
    tmp_path: Path,
) -> None:
    auth = userpass(openbao, "people", policy)
    path = tmp_path / "password"
    path.write_text(confidential.add(auth.pop("password")))
    run = restarting.start(vault_auth={**auth, "password_file": str(path)})
    run.check_login()
    password = confidential.add(f"another-{uuid.uuid4()}")
    set_password(openbao, "people", password)
    path.write_text(password + "\n")
    check_tokens_are_replaced(run, openbao, auth)


def test_a_jwt_is_read_anew_at_each_login_to_vault(
    restarting: Restarting,
    openbao: OpenBao,
    confidential: Confidential,
    policy: str,
    identity_provider: SigningKey,
    tmp_path: Path,
) -> None:
    auth = jwt(openbao, "jwt", policy, identity_provider.public_key, AUDIENCE)
    path = tmp_path / "jwt"
    path.write_text(confidential.add(identity_provider.sign(sub="one", aud=AUDIENCE)))
    run = restarting.start(vault_auth={**auth, "jwt_file": str(path)})
    run.check_login()
    # The first one is good for nothing from now on.
    openbao.api("POST", "auth/jwt/role/homeserver", {"role_type": "jwt", "bound_subject": "two"})
    path.write_text(confidential.add(identity_provider.sign(sub="two", aud=AUDIENCE)) + "\n")
    check_tokens_are_replaced(run, openbao, auth)


def test_a_jwt_file_that_vanishes_is_an_error_and_the_last_jwt_goes_on(
    restarting: Restarting,
    openbao: OpenBao,
    confidential: Confidential,
    policy: str,
    identity_provider: SigningKey,
    tmp_path: Path,
) -> None:
    auth = jwt(openbao, "vanishing", policy, identity_provider.public_key, AUDIENCE)
    path = tmp_path / "jwt"
    path.write_text(confidential.add(identity_provider.sign(sub="one", aud=AUDIENCE)))
    run = restarting.start(vault_auth={**auth, "jwt_file": str(path)})
    run.check_login()
    path.unlink()
    revoke_all(openbao, auth)
    run.check_login()
    run.wait_for_notice("ERROR", f"cannot read {path}")


def test_kubernetes(
    restarting: Restarting,
    openbao: OpenBao,
    confidential: Confidential,
    policy: str,
    token_reviewer: TokenReviewer,
    identity_provider: SigningKey,
    tmp_path: Path,
) -> None:
    auth = kubernetes(openbao, "kubernetes", policy, token_reviewer.url, Authority("cluster"))
    path = tmp_path / "service-account-token"

    def project() -> None:
        """Put a new token into the file, as Kubernetes does every hour."""
        account = {"namespace": "matrix", "serviceaccount": {"name": "homeserver", "uid": "u"}}
        token = identity_provider.sign(
            sub="system:serviceaccount:matrix:homeserver",
            jti=str(uuid.uuid4()),
            **{"kubernetes.io": account},
        )
        path.write_text(confidential.add(token))
        token_reviewer.service_accounts = {token: "matrix:homeserver"}

    project()
    run = restarting.start(vault_auth={**auth, "jwt_file": str(path)})
    run.check_login()
    project()
    check_tokens_are_replaced(run, openbao, auth)
