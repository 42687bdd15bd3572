"""Provisioning and revoking at MAS, killed at any request: called again, they finish."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import pytest

from tests.harness.mas_provisioning import MasScaffold, MasSite
from tests.harness.provisioning import new_id

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.harness.mas_deployment import MasDeployment
    from tests.harness.stack import Stack

pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def without_module(file_stack: Stack) -> MasSite:
    """Return a site where tokens are had of MAS' admin API."""
    mas = file_stack.start_mas()
    return MasSite.of(file_stack.start_homeserver_under_mas("killed", mas, has_module=False))


@pytest.fixture(scope="module")
def with_module(shared_under_mas: MasDeployment) -> MasSite:
    return MasSite.of(shared_under_mas)


@pytest.fixture
def site(request: pytest.FixtureRequest) -> MasSite:
    site: MasSite = request.getfixturevalue(getattr(request, "param", "without_module"))
    return site


@pytest.fixture
def scaffold(site: MasSite) -> Iterator[MasScaffold]:
    with MasScaffold(site) as scaffold:
        yield scaffold


@pytest.mark.parametrize(
    ("site", "answered"),
    [
        ("without_module", True),
        ("with_module", False),
        pytest.param("without_module", False, marks=pytest.mark.nightly),
        pytest.param("with_module", True, marks=pytest.mark.nightly),
    ],
    indirect=["site"],
)
def test_provisioning(
    site: MasSite, scaffold: MasScaffold, answered: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The name and the picture take a session then.
    monkeypatch.setattr(site.mas.users, "takes_displayname", False)
    arguments: dict[str, Any] = {
        "display_name": "Finished",
        "avatar": "mxc://example.org/finished",
        "is_admin": True,
        "external_id": "7",
    }
    for number in itertools.count(1):
        user_id = new_id("killed")
        if not scaffold.kill_at(
            number, answered=answered, means=None, user_id=user_id, **arguments
        ):
            break
        site.newest(user_id)
        user = site.seen(site.provisioner().provision_user(user_id, **arguments))
        assert site.user_of(user.access_token or "") == user_id
        site.check_finished(user_id)
        assert site.entry(user_id)["external_id"] == "7"
        assert site.entry(user_id)["provisioning"]["state"] == "done"
        assert site.profile(user_id) == {
            "displayname": "Finished",
            "avatar_url": "mxc://example.org/finished",
        }
        account = site.account(user_id)
        assert account is not None
        assert account["admin"] is True
    assert len(scaffold.requests) >= 15


@pytest.mark.parametrize(
    "answered", [pytest.param(False, marks=pytest.mark.nightly), True], ids=["before", "after"]
)
def test_revoking(site: MasSite, scaffold: MasScaffold, answered: bool) -> None:
    provisioner = site.provisioner()
    for number in itertools.count(1):
        user_id = new_id("killed")
        provisioner.provision_user(user_id, with_token=False)
        site.newest(user_id)
        site.open_sessions(user_id)
        deactivate = number % 2 == 0
        is_killed = scaffold.kill_at(
            number,
            answered=answered,
            means=None,
            user_id=user_id,
            verb="revoke_user",
            deactivate=deactivate,
        )
        if not is_killed and number > 1:
            break
        provisioner.revoke_user(user_id, deactivate=deactivate)
        assert site.newest(user_id) is None
        assert site.open_kinds(user_id) == []
        account = site.account(user_id)
        assert account is not None
        assert (account["deactivated_at"] is not None) == deactivate
    assert len(scaffold.requests) >= 10
