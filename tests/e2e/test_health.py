"""Whether logins work, asked by those who watch over the homeserver."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest
import requests

from tests.harness.accounts import PATH_ROOT
from tests.harness.confidential import Confidential
from tests.harness.deployment import Deployment
from tests.harness.waiting import wait_until
from tests.servers import BrokenVault, Relay
from tests.servers.auth_methods import allow, approle, revoke_all
from tests.servers.relay import Reply

from .test_kv_versions import Engine

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.harness.core import Core
    from tests.harness.stack import Stack
    from tests.servers import OpenBao
    from tests.servers.relay import Request

PATH = "/_synapse/client/vault_auth/health"

GOOD = {"healthy": True, "vault_reachable": True, "token_valid": True, "kv_readable": True}


def ask(deployment: Deployment, method: str = "GET") -> requests.Response:
    return requests.request(method, deployment.synapse.url + PATH, timeout=60)


@pytest.fixture(params=["equipped", "passwordless"])
def deployment(request: pytest.FixtureRequest) -> Deployment:
    """Return homeservers that name the module in either way."""
    found: Deployment = request.getfixturevalue(request.param)
    return found


def test_all_is_well(deployment: Deployment) -> None:
    response = ask(deployment)
    assert (response.status_code, response.json()) == (200, GOOD)
    assert response.headers["Content-Type"] == "application/json"
    assert response.headers["Cache-Control"] == "no-store"


def test_head_is_answered_like_get_without_a_body(deployment: Deployment) -> None:
    response = ask(deployment, "HEAD")
    assert (response.status_code, response.content) == (200, b"")
    assert int(response.headers["Content-Length"]) > 0


# OPTIONS is answered by Synapse itself, whatever the path.
@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "ODD"])
def test_no_other_method_is_answered(equipped: Deployment, method: str) -> None:
    response = ask(equipped, method)
    assert response.status_code == 405
    assert response.headers["Allow"] == "GET, HEAD"


def test_nothing_is_below_it(equipped: Deployment) -> None:
    response = requests.get(f"{equipped.synapse.url}{PATH}/more", timeout=60)
    assert response.status_code == 404


def test_unless_configured_there_is_no_such_path(modules: Deployment) -> None:
    assert ask(modules).status_code == 404


@pytest.fixture(scope="module")
def health_relay(openbao: OpenBao) -> Iterator[Relay]:
    with Relay(openbao.url) as relay:
        yield relay


@pytest.fixture(scope="module")
def watched(file_stack: Stack, health_relay: Relay) -> Deployment:
    """Return a homeserver behind a relay."""
    return file_stack.start_homeserver(
        "watched", vault_url=health_relay.url, vault_kv_version=2, health_endpoint=True
    )


def checks(relay: Relay) -> int:
    """Return how often Vault was asked on behalf of the endpoint."""
    return relay.reads("@:example.org")


def asked(deployment: Deployment, since: int) -> int:
    """Return how many requests for the health have come."""
    received = f"Received request: GET {PATH}"
    return sum(received in record.message for record in deployment.synapse.log_records(since))


def test_however_many_ask_vault_is_asked_once_a_second(
    watched: Deployment, health_relay: Relay
) -> None:
    assert ask(watched).status_code == 200
    started = time.monotonic()
    before = checks(health_relay)
    with ThreadPoolExecutor(10) as pool:
        statuses = list(pool.map(lambda _: ask(watched).status_code, range(200)))
    elapsed = time.monotonic() - started
    assert set(statuses) == {200}
    assert checks(health_relay) - before <= elapsed + 1


def test_those_who_come_while_vault_is_asked_wait_for_one_answer(
    watched: Deployment, health_relay: Relay
) -> None:
    time.sleep(2.1)  # What was answered before is too old by now.
    before = checks(health_relay)
    since = watched.synapse.log_size()
    health_relay.hold()
    with ThreadPoolExecutor(10) as pool:
        try:
            asking = [pool.submit(ask, watched) for _ in range(9)]
            wait_until("Vault is asked", lambda: checks(health_relay) > before)
            wait_until("all have asked", lambda: asked(watched, since) == 9)
            # One gives up; the others get their answer all the same.
            with pytest.raises(requests.Timeout):
                requests.get(watched.synapse.url + PATH, timeout=0.2)
        finally:
            health_relay.release()
        assert {answer.result().status_code for answer in asking} == {200}
    assert checks(health_relay) == before + 1


def test_an_outage_is_told_and_logged_once_and_so_is_its_end(
    watched: Deployment, health_relay: Relay
) -> None:
    since = watched.synapse.log_size()
    health_relay.close()
    wait_until("the outage is told", lambda: ask(watched).status_code == 503)
    assert ask(watched).json() == {
        "healthy": False,
        "vault_reachable": False,
        "token_valid": None,
        "kv_readable": False,
    }
    time.sleep(1.1)
    assert ask(watched).status_code == 503
    health_relay.listen()
    wait_until("its end is told", lambda: ask(watched).status_code == 200)
    said = [
        (record.level, record.message)
        for record in watched.notices(since)
        if "health check" in record.message
    ]
    assert [level for level, _ in said] == ["ERROR", "INFO"], said
    assert "cannot reach Vault" in said[0][1]


def health(core: Core) -> tuple[bool, bool | None, bool]:
    found = core.check()
    assert (found.reason is None) == found.kv_readable
    return (found.vault_reachable, found.token_valid, found.kv_readable)


def checked(relay: Relay) -> list[str]:
    """Return what Vault was asked, but for what goes on in the background at the start."""
    return [
        request.path
        for request in list(relay.requests)
        if not request.path.endswith(("lookup-self", "renew-self"))
    ]


@pytest.mark.parametrize("version", [1, 2], ids=["v1", "v2"])
@pytest.mark.parametrize("configured", [True, False], ids=["configured", "auto"])
def test_one_request_tells_all(
    start_core: Callable[..., Core],
    openbao: OpenBao,
    confidential: Confidential,
    relay: Relay,
    version: int,
    configured: bool,
) -> None:
    mount = f"kv-health-{version}-{configured}"
    kv = Engine(openbao, confidential, mount, version)
    core = start_core(**kv.config, vault_kv_version=version if configured else "auto")
    assert health(core) == (True, True, True)
    # The first one asks which version of the engine is there, besides.
    assert len(checked(relay)) == 2
    for requests_made in (3, 4, 5):
        found = core.check()
        assert (found.reason, found.good_for) == (None, 1)
        assert len(checked(relay)) == requests_made


def test_a_token_that_ended_is_told_and_not_asked_about_all_the_time(
    start_core: Callable[..., Core], openbao: OpenBao, confidential: Confidential, relay: Relay
) -> None:
    policy = allow(openbao, "watched", f"secret/data/{PATH_ROOT}/*")
    granted = openbao.api("POST", "auth/token/create", {"policies": [policy], "ttl": "1h"})
    token = confidential.add(granted["auth"]["client_token"])
    core = start_core(vault_token=token)
    assert health(core) == (True, True, True)
    openbao.api("POST", "auth/token/revoke", {"token": token})
    before = len(relay.requests)
    found = core.check()
    assert (found.vault_reachable, found.token_valid, found.kv_readable) == (True, False, False)
    assert len(relay.requests) - before <= found.good_for


def test_a_token_that_ended_is_replaced_where_that_is_configured(
    start_core: Callable[..., Core], openbao: OpenBao, confidential: Confidential
) -> None:
    auth = approle(openbao, "watched", allow(openbao, "watched", f"secret/data/{PATH_ROOT}/*"))
    confidential.add(auth["secret_id"])
    core = start_core(vault_token=None, vault_auth=auth)
    assert health(core) == (True, True, True)
    revoke_all(openbao, auth)
    assert health(core) == (True, True, True)


def test_a_policy_that_refuses_is_told_apart_from_a_token_that_ended(
    start_core: Callable[..., Core], openbao: OpenBao, confidential: Confidential, relay: Relay
) -> None:
    policy = allow(openbao, "elsewhere", "secret/data/elsewhere/*")
    granted = openbao.api("POST", "auth/token/create", {"policies": [policy]})
    core = start_core(vault_token=confidential.add(granted["auth"]["client_token"]))
    before = len(relay.requests)
    found = core.check()
    assert (found.vault_reachable, found.token_valid, found.kv_readable) == (True, True, False)
    assert len(relay.requests) - before <= found.good_for + 1


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (Reply(503, {"errors": ["Vault is sealed"]}), (True, None, False)),
        (Reply(200, b"<html>"), (True, None, False)),
        (Reply(404, {"errors": ["no handler for route"]}), (True, None, False)),
    ],
    ids=["sealed", "no Vault", "no mount"],
)
def test_what_is_wrong_with_vault_is_told_as_far_as_it_is_known(
    start_core: Callable[..., Core],
    relay: Relay,
    answer: Reply,
    expected: tuple[bool, bool | None, bool],
) -> None:
    core = start_core()
    assert health(core) == (True, True, True)

    def only_entries(request: Request) -> Reply | None:
        return answer if "/data/" in request.path else None

    relay.meddle = only_entries
    assert health(core) == expected
    relay.meddle = None
    assert health(core) == (True, True, True)


def test_a_wrong_version_of_the_engine_is_found(
    start_core: Callable[..., Core], openbao: OpenBao, confidential: Confidential
) -> None:
    kv = Engine(openbao, confidential, "kv-health-wrong", 1)
    core = start_core(**kv.config, vault_kv_version=2)
    found = core.check()
    assert not found.kv_readable
    assert "vault_kv_version" in (found.reason or "")


def test_a_vault_that_is_silent_is_waited_for_as_long_as_by_a_login(
    start_core: Callable[..., Core], broken_vault: BrokenVault
) -> None:
    core = start_core(vault_url=broken_vault.url, request_timeout="1m", login_timeout="500ms")
    assert health(core) == (False, None, False)


def test_a_service_that_does_not_run_says_so(start_core: Callable[..., Core]) -> None:
    core = start_core()
    core.__exit__()
    assert health(core) == (False, None, False)


def test_the_answer_holds_no_more_than_it_should(watched: Deployment) -> None:
    answer: dict[str, Any] = ask(watched).json()
    assert set(answer) == set(GOOD)
    assert all(value in (True, False, None) for value in answer.values())
