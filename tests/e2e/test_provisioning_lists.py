"""Lists of users, also long ones and through proxies that know few methods."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.harness.provisioning import Means, new_id
from tests.servers import Relay
from tests.servers.relay import Reply

if TYPE_CHECKING:
    from tests.harness.provisioning import Site
    from tests.servers.relay import Request

COMMON_METHODS = {"GET", "POST", "PUT", "DELETE"}


def test_a_proxy_that_refuses_the_method_list_is_no_hindrance(site: Site) -> None:
    user_id = new_id()
    site.provisioner(Means.ADMIN_API).provision_user(user_id, with_token=False)

    def refuse_others(request: Request) -> Reply | None:
        return None if request.method in COMMON_METHODS else Reply(405, b"<html>")

    with Relay(site.openbao.url) as proxy:
        proxy.meddle = refuse_others
        listed = site.provisioner(vault_url=proxy.url).list_users()
    assert user_id in {user.matrix_user_id for user in listed}
