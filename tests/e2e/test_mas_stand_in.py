"""The stand-in for MAS and real Synapse: each does what the other asks of it."""

from __future__ import annotations

import itertools
import threading
from typing import Any

import pytest
import requests

from tests.harness.mas_deployment import MasDeployment
from tests.harness.stack import Stack
from tests.harness.waiting import wait_until
from tests.servers import Mas
from tests.servers.mas.records import API_SCOPE, DEVICE_SCOPE
from tests.servers.synapse import SERVER_NAME

_numbers = itertools.count(1)


class Api:
    """A client of the admin API, written for these tests alone."""

    def __init__(self, mas: Mas) -> None:
        self.mas = mas
        self.token = ""

    def send(self, method: str, path: str, **how: Any) -> requests.Response:
        if not self.token:
            response = requests.post(
                f"{self.mas.url}/oauth2/token",
                auth=(self.mas.client.id, self.mas.client.secret),
                data={"grant_type": "client_credentials", "scope": "urn:mas:admin"},
                timeout=60,
            )
            assert response.json()["expires_in"] == 300
            self.token = response.json()["access_token"]
        return requests.request(
            method,
            f"{self.mas.url}/api/admin/v1/{path}",
            headers={"Authorization": f"Bearer {self.token}"},
            timeout=60,
            **how,
        )

    def create_user(self, **more: Any) -> tuple[str, str]:
        """Return the id at MAS and the one in Matrix."""
        name = f"stood-in-{next(_numbers)}"
        response = self.send("POST", "users", json={"username": name, **more})
        assert response.status_code == 201, response.text
        return response.json()["data"]["id"], f"@{name}:{SERVER_NAME}"

    def open_session(self, user: str, device: str, **more: Any) -> tuple[str, str]:
        """Return the session's id and its token."""
        body = {
            "actor_user_id": user,
            "human_name": "a test",
            "scope": f"{API_SCOPE} {DEVICE_SCOPE}{device}",
            **more,
        }
        response = self.send("POST", "personal-sessions", json=body)
        assert response.status_code == 201, response.text
        data = response.json()["data"]
        return data["id"], data["attributes"]["access_token"]


@pytest.fixture(scope="module")
def mas(file_stack: Stack) -> Mas:
    return file_stack.start_mas()


@pytest.fixture(scope="module")
def homeserver(file_stack: Stack, mas: Mas) -> MasDeployment:
    return file_stack.start_homeserver_under_mas("stood-in", mas, has_module=False)


@pytest.fixture(scope="module")
def api(homeserver: MasDeployment) -> Api:
    return Api(homeserver.mas)


def test_a_user_made_at_mas_is_in_synapse(homeserver: MasDeployment, api: Api) -> None:
    _, user_id = api.create_user(displayname="A bot")
    found = homeserver.mas.homeserver.query_user(user_id[1:].partition(":")[0])
    assert (found["user_id"], found["display_name"]) == (user_id, "A bot")


def test_a_personal_session_works_at_synapse_until_it_is_revoked(
    homeserver: MasDeployment, api: Api
) -> None:
    user, user_id = api.create_user()
    session, token = api.open_session(user, "ABCDEFGHIJ")
    answer = homeserver.whoami(token)
    assert answer.status_code == 200, answer.text
    assert answer.json() == {"user_id": user_id, "device_id": "ABCDEFGHIJ", "is_guest": False}
    assert homeserver.devices(user_id) == {"ABCDEFGHIJ"}

    assert api.send("POST", f"personal-sessions/{session}/revoke").status_code == 200
    assert api.send("POST", f"personal-sessions/{session}/revoke").status_code == 409
    homeserver.mas.jobs.wait()
    answer = homeserver.whoami(token)
    assert (answer.status_code, answer.json()["errcode"]) == (401, "M_UNKNOWN_TOKEN")
    assert homeserver.devices(user_id) == set()


def test_a_device_stays_for_as_long_as_a_session_has_it(
    homeserver: MasDeployment, api: Api
) -> None:
    user, user_id = api.create_user()
    first, _ = api.open_session(user, "SHAREDDEVICE")
    _, token = api.open_session(user, "SHAREDDEVICE")
    api.send("POST", f"personal-sessions/{first}/revoke")
    homeserver.mas.jobs.wait()
    assert homeserver.devices(user_id) == {"SHAREDDEVICE"}
    assert homeserver.whoami(token).status_code == 200


def test_names_that_are_taken_kept_back_or_not_valid(homeserver: MasDeployment, api: Api) -> None:
    _, user_id = api.create_user()
    name = user_id[1:].partition(":")[0]
    at_synapse = homeserver.synapse.insert_user(f"@only-synapse:{SERVER_NAME}")
    for username, status, title in (
        (name, 409, "User already exists"),
        (name.upper(), 409, "User already exists"),
        ("12345", 409, "Username is reserved by the homeserver"),
        (at_synapse[1:].partition(":")[0], 409, "Username is reserved by the homeserver"),
        ("Upper", 400, "Username is not valid"),
        ("_leading", 400, "Username is not valid"),
        ("two words", 400, "Username is not valid"),
        ("a" * 256, 400, "Username is not valid"),
    ):
        response = api.send("POST", "users", json={"username": username})
        assert response.status_code == status, (username, response.text)
        assert response.json() == {"errors": [{"title": title}]}
    found = api.send("GET", f"users/by-username/{name.upper()}").json()["data"]
    assert found["attributes"]["username"] == name


def test_a_locked_user_s_new_token_is_dead_and_a_deactivated_one_gets_none(
    homeserver: MasDeployment, api: Api
) -> None:
    user, user_id = api.create_user()
    assert api.send("POST", f"users/{user}/lock").status_code == 200
    _, token = api.open_session(user, "ABCDEFGHIJ")
    assert homeserver.whoami(token).status_code == 401
    assert api.send("POST", f"users/{user}/unlock").status_code == 200
    # Another token, as Synapse remembers for two minutes that the first one was none.
    _, token = api.open_session(user, "ABCDEFGHIJ")
    assert homeserver.whoami(token).status_code == 200
    assert api.send("POST", f"users/{user}/deactivate").status_code == 200
    homeserver.mas.jobs.wait()
    assert homeserver.mas.homeserver.query_user(user_id[1:].partition(":")[0])["is_deactivated"]
    body = {"actor_user_id": user, "human_name": "", "scope": API_SCOPE}
    assert api.send("POST", "personal-sessions", json=body).status_code == 410


def test_a_scope_can_make_an_administrator(homeserver: MasDeployment, api: Api) -> None:
    # What MAS does not look at, the module must: this is how the danger looks.
    user, _ = api.create_user()
    _, token = api.open_session(user, "ABCDEFGHIJ urn:synapse:admin:*")
    response = requests.get(
        f"{homeserver.synapse.url}/_synapse/admin/v2/users?guests=false",
        headers={"Authorization": f"Bearer {token}"},
        timeout=60,
    )
    assert response.status_code == 200, response.text


def test_errors_that_are_no_json(api: Api) -> None:
    user, _ = api.create_user()
    body = {"actor_user_id": user, "human_name": "", "scope": API_SCOPE, "expires_in": -1}
    response = api.send("POST", "personal-sessions", json=body)
    assert response.status_code == 422
    assert response.headers["Content-Type"].startswith("text/plain")
    response = api.send("GET", "no-such-thing")
    assert response.status_code == 404
    assert response.headers["Content-Type"].startswith("text/html")


def test_lists_come_in_pages(api: Api) -> None:
    user, _ = api.create_user()
    made = [api.open_session(user, f"PAGEDDEVICE{number}")[0] for number in range(12)]
    found: list[str] = []
    path = f"personal-sessions?filter[actor_user]={user}&page[first]=5"
    while True:
        page = api.send("GET", path).json()
        found += [one["id"] for one in page["data"]]
        if "next" not in page["links"]:
            break
        path = f"personal-sessions?filter[actor_user]={user}&page[first]=5&page[after]={found[-1]}"
    assert found == made
    path = f"personal-sessions?filter[scope]={DEVICE_SCOPE}PAGEDDEVICE7&filter[actor_user]={user}"
    assert [one["id"] for one in api.send("GET", path).json()["data"]] == [made[7]]


def test_introspection_tells_our_client_whose_a_session_is(api: Api) -> None:
    mas = api.mas
    user, _ = api.create_user()
    session, token = api.open_session(user, "ABCDEFGHIJ")

    def introspect() -> Any:
        return requests.post(
            f"{mas.url}/oauth2/introspect",
            auth=(mas.client.id, mas.client.secret),
            data={"token": token},
            timeout=60,
        ).json()

    found = introspect()
    assert found["active"] is True
    assert (found["client_id"], found["sub"]) == (mas.client.id, user)
    assert f"{DEVICE_SCOPE}ABCDEFGHIJ" in found["scope"].split()
    api.send("POST", f"personal-sessions/{session}/revoke")
    assert introspect() == {"active": False}


def test_a_client_that_hangs_up_leaves_a_device_and_no_session(
    homeserver: MasDeployment, api: Api
) -> None:
    user, user_id = api.create_user()
    api.mas.homeserver.delay = 0.5
    try:
        body = {
            "actor_user_id": user,
            "human_name": "",
            "scope": f"{API_SCOPE} {DEVICE_SCOPE}GIVENUPDEVICE",
        }
        with pytest.raises(requests.Timeout):
            requests.post(
                f"{api.mas.url}/api/admin/v1/personal-sessions",
                headers={"Authorization": f"Bearer {api.token}"},
                json=body,
                timeout=0.1,
            )
        wait_until("the device", lambda: homeserver.devices(user_id) == {"GIVENUPDEVICE"})
    finally:
        api.mas.homeserver.delay = 0
    assert homeserver.sessions(user_id) == []


def test_faults(api: Api) -> None:
    user, _ = api.create_user()
    mas = api.mas
    body = {"actor_user_id": user, "human_name": "lost", "scope": API_SCOPE}
    try:
        mas.faults.lose_answer("POST", "/personal-sessions$")
        with pytest.raises(requests.ConnectionError):
            api.send("POST", "personal-sessions", json=body)
        path = f"personal-sessions?filter[actor_user]={user}"
        assert [
            one["attributes"]["human_name"] for one in api.send("GET", path).json()["data"]
        ] == ["lost"]
        released = threading.Event()
        fault = mas.faults.hold("GET", "/version$", released)
        threading.Timer(0.2, released.set).start()
        assert api.send("GET", "version").status_code == 200
        assert fault.met == 1
    finally:
        mas.faults.clear()
    mas.forget_tokens()
    response = api.send("GET", "version")
    assert response.status_code == 401
    assert response.json() == {"errors": [{"title": "Unknown access token"}]}
    api.token = ""
    assert api.send("GET", "version").status_code == 200


def test_passwords_at_the_compatibility_layer(homeserver: MasDeployment, api: Api) -> None:
    user, user_id = api.create_user()
    body = {"password": "a long password of a person"}
    assert api.send("POST", f"users/{user}/set-password", json=body).status_code == 204
    login = {"type": "m.login.password", "identifier": {"type": "m.id.user", "user": user_id}}
    url = f"{api.mas.url}/_matrix/client/v3"
    answer = requests.post(f"{url}/login", json={**login, **body}, timeout=60).json()
    assert homeserver.whoami(answer["access_token"]).json()["user_id"] == user_id
    headers = {"Authorization": f"Bearer {answer['access_token']}"}
    assert requests.post(f"{url}/logout", headers=headers, timeout=60).json() == {}
    api.mas.jobs.wait()
    assert homeserver.whoami(answer["access_token"]).status_code == 401
    unknown = requests.post(f"{url}/login", json={"type": "io.t2bot.vault"}, timeout=60)
    assert unknown.status_code == 400
    assert unknown.json() == {"errcode": "M_UNKNOWN", "error": "Invalid login type"}
