"""Every check of the chain that a login takes, found whole and found broken."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from tests.harness.accounts import READ_USERS
from tests.harness.provisioning import Means, new_id
from tests.servers import BrokenVault
from tests.servers.broken_vault import answer
from tests.servers.port import ReservedPort

if TYPE_CHECKING:
    from synapse_vault_auth_provider.provisioning import Finding

    from tests.harness.provisioning import Site
    from tests.servers import DurableOpenBao, OpenBao

NOBODY_LISTENS = ReservedPort()

ALL = [
    "Vault",
    "token",
    "KV engine",
    "may read",
    "may not write",
    "homeserver",
    "login type",
    "secret",
    "login",
]


@pytest.fixture
def reader(site: Site, openbao: OpenBao) -> str:
    """Return a token as the module should have one."""
    return token(site, openbao, READ_USERS)


def token(site: Site, openbao: OpenBao, policy: str, **more: Any) -> str:
    """Return a token with the default policy and another one."""
    openbao.cli("policy", "write", "diagnosed", "-", stdin=policy)
    granted = openbao.api("POST", "auth/token/create", {"policies": ["diagnosed"], **more})
    return site.confidential.add(granted["auth"]["client_token"])


def diagnose(site: Site, user_id: str | None = None, **settings: Any) -> list[Finding]:
    return [site.seen(one) for one in site.provisioner(**settings).diagnose(user_id)]


def status(findings: list[Finding], check: str) -> str:
    (found,) = (finding.status for finding in findings if finding.check == check)
    return found


def check_broken(findings: list[Finding], check: str, detail: str, advice: str) -> None:
    """Fail unless a check is said to be broken, how, and what to do about it."""
    (finding,) = (finding for finding in findings if finding.check == check)
    assert finding.status == "failed", finding
    assert detail in finding.detail
    assert advice in (finding.advice or "")


def provisioned(site: Site) -> str:
    user_id = new_id("diagnosed")
    site.provisioner(Means.ADMIN_API).provision_user(user_id, with_token=False)
    site.newest(user_id)
    return user_id


def test_all_is_well(site: Site, reader: str) -> None:
    user_id = provisioned(site)
    findings = diagnose(site, user_id, vault_token=reader)
    assert [(finding.check, finding.status) for finding in findings] == [
        (check, "ok") for check in ALL
    ]
    assert all(finding.advice is None for finding in findings)
    assert findings[0].as_dict() == {
        "check": "Vault",
        "status": "ok",
        "detail": f"{site.openbao.url} is the active node",
        "advice": None,
    }
    assert site.devices(user_id) == []


def test_without_a_user(site: Site, reader: str) -> None:
    async def run() -> list[Finding]:
        async with site.provisioner(vault_token=reader) as provisioner:
            return await provisioner.diagnose_async()

    findings = asyncio.run(run())
    assert [finding.check for finding in findings] == ALL
    assert {finding.status for finding in findings[:-2]} == {"ok"}
    assert {finding.status for finding in findings[-2:]} == {"skipped"}


def test_vault_is_down(site: Site) -> None:
    url = f"http://127.0.0.1:{NOBODY_LISTENS}"
    findings = diagnose(site, new_id(), vault_url=url)
    check_broken(findings, "Vault", url, "that Vault runs")
    assert [finding.check for finding in findings] == ALL
    for check in ("token", "KV engine", "may read", "may not write", "secret", "login"):
        assert status(findings, check) == "skipped"
    assert status(findings, "login type") == "ok"


def test_one_node_of_two_is_down(site: Site, reader: str) -> None:
    url = f"http://127.0.0.1:{NOBODY_LISTENS}"
    findings = diagnose(site, vault_token=reader, vault_url=[url, site.openbao.url])
    assert sorted(one.status for one in findings if one.check == "Vault") == ["ok", "warning"]
    assert "failed" not in {finding.status for finding in findings}


def test_vault_is_sealed(site: Site, sealed_openbao: DurableOpenBao) -> None:
    findings = diagnose(site, new_id(), vault_url=sealed_openbao.url)
    check_broken(findings, "Vault", "is sealed", "operator unseal")


@pytest.mark.parametrize(
    ("code", "detail"),
    [(501, "is not an answer of Vault's (501)"), (418, "Vault's (418)"), (200, "")],
)
def test_it_is_not_vault_at_all(site: Site, code: int, detail: str) -> None:
    server = BrokenVault()
    server.listen(answer(code, b"<html>Welcome</html>"))
    try:
        findings = diagnose(site, new_id(), vault_url=server.url)
    finally:
        server.close()
    if code == 200:
        assert "failed" in {finding.status for finding in findings}
    else:
        check_broken(findings, "Vault", detail, "")


def test_a_dead_token(site: Site) -> None:
    dead = site.confidential.add("s.0123456789abcdef01234567")
    findings = diagnose(site, vault_token=dead)
    check_broken(findings, "token", "refuses all", "vault_token")
    assert status(findings, "KV engine") == "skipped"
    assert status(findings, "homeserver") == "ok"


def test_a_token_that_soon_ends(site: Site, openbao: OpenBao) -> None:
    short = token(site, openbao, READ_USERS, ttl="1h", renewable=False)
    assert status(diagnose(site, vault_token=short), "token") == "warning"
    renewed = token(site, openbao, READ_USERS, ttl="1h")
    findings = diagnose(site, vault_token=renewed)
    assert status(findings, "token") == "ok"
    long = token(site, openbao, READ_USERS, ttl="48h", renewable=False)
    assert status(diagnose(site, vault_token=long), "token") == "ok"


def test_a_token_that_may_not_look_at_itself(site: Site, vault_token: str) -> None:
    findings = diagnose(site, provisioned(site), vault_token=vault_token)
    assert status(findings, "token") == "warning"
    assert status(findings, "may read") == "warning"
    # Nobody has asked whether it may write.
    assert status(findings, "may not write") == "skipped"
    assert status(findings, "login") == "ok"
    assert "failed" not in {finding.status for finding in findings}


def test_a_token_that_may_not_read(site: Site, openbao: OpenBao) -> None:
    other = token(site, openbao, 'path "secret/data/others/*" { capabilities = ["read"] }')
    findings = diagnose(site, new_id(), vault_token=other)
    assert [finding.check for finding in findings] == ALL
    check_broken(findings, "may read", "may not read secret/data/", "check vault_path_root")
    check_broken(findings, "may read", "its policy covers secret/data/others/*", "--for module")
    check_broken(findings, "secret", "cannot read secret/", "fix what is wrong with Vault")
    assert status(findings, "login") == "skipped"


@pytest.mark.parametrize("root", ["others", "data/others"])
def test_what_is_to_be_done_is_said_once(site: Site, reader: str, root: str) -> None:
    findings = diagnose(site, new_id(), vault_token=reader, vault_path_root=root)
    advice = [finding.advice for finding in findings if finding.advice is not None]
    assert len(advice) == len(set(advice))
    check_broken(findings, "may read", f"may not read secret/data/{root}/@", "vault_path_root")


def test_a_token_that_may_write(site: Site, openbao: OpenBao) -> None:
    for one in (
        openbao.root_token,
        token(site, openbao, READ_USERS.replace('"read"', '"read", "update"')),
    ):
        findings = diagnose(site, vault_token=one)
        assert status(findings, "may not write") == "warning"
        assert status(findings, "may read") == "ok"


def test_a_mount_that_is_not_there(site: Site, reader: str, openbao: OpenBao) -> None:
    user_id = provisioned(site)
    for one in (reader, openbao.root_token):
        findings = diagnose(site, user_id, vault_token=one, vault_kv_mount_point="nowhere")
        assert status(findings, "KV engine") in ("failed", "warning")
        (finding,) = (finding for finding in findings if finding.check == "KV engine")
        assert "vault_kv_mount_point" in (finding.advice or "")
        assert status(findings, "secret") == "failed"


def test_another_version_of_the_engine(site: Site, reader: str) -> None:
    findings = diagnose(site, new_id(), vault_token=reader, vault_kv_version=1)
    check_broken(findings, "KV engine", "is of version 2", "set vault_kv_version to 2 or auto")


def test_the_homeserver_is_down(site: Site, reader: str) -> None:
    url = f"http://127.0.0.1:{NOBODY_LISTENS}"
    findings = diagnose(site, provisioned(site), vault_token=reader, homeserver=url)
    check_broken(findings, "homeserver", url, "check its URL")
    assert status(findings, "login type") == "skipped"
    assert status(findings, "secret") == "ok"
    assert status(findings, "login") == "skipped"


def test_the_homeserver_is_none(site: Site, reader: str) -> None:
    findings = diagnose(site, vault_token=reader, homeserver=site.openbao.url)
    check_broken(findings, "homeserver", "", "check its URL")


def test_the_module_is_missing(bare_site: Site, site: Site, reader: str) -> None:
    findings = diagnose(bare_site, provisioned(site), vault_token=reader)
    check_broken(findings, "login type", "io.t2bot.vault is not offered", "homeserver.yaml")
    assert status(findings, "secret") == "ok"


def test_secrets_that_are_of_no_use(site: Site, reader: str) -> None:
    user_id = new_id("diagnosed")
    findings = diagnose(site, user_id, vault_token=reader)
    check_broken(findings, "secret", "there is nothing at", f"provision {user_id}")
    site.put(user_id, {"login_secret": ""})
    findings = diagnose(site, user_id, vault_token=reader)
    check_broken(findings, "secret", "is of no use", "write a login_secret")
    findings = diagnose(site, "@alice:other.org", vault_token=reader)
    check_broken(findings, "secret", "other.org", "id of this homeserver")


def test_an_account_that_is_missing(site: Site, reader: str) -> None:
    user_id = new_id("diagnosed")
    site.put(user_id, {"login_secret": "a secret without an account"})
    findings = diagnose(site, user_id, vault_token=reader)
    check_broken(findings, "login", "403", "")


def test_certificates_that_are_not_verified(site: Site, reader: str) -> None:
    findings = diagnose(site, vault_token=reader, vault_tls={"skip_verify": True})
    assert status(findings, "TLS") == "warning"
