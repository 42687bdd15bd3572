"""The login type as a stage of user-interactive authentication.

Specification: https://spec.matrix.org/v1.16/client-server-api/#user-interactive-authentication-api
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
import requests

from tests.harness.deployment import LOGIN_TYPE, Attempt

if TYPE_CHECKING:
    from tests.harness.accounts import Account
    from tests.harness.deployment import Deployment

DOOMED = "DOOMED"


@dataclass
class Session:
    """A user who is logged in and wants to delete the device `DOOMED`."""

    deployment: Deployment
    account: Account
    access_token: str

    def call(self, method: str, path: str, body: Any = None) -> requests.Response:
        return requests.request(
            method,
            f"{self.deployment.synapse.url}/_matrix/client/v3/{path}",
            json=body,
            headers={"Authorization": f"Bearer {self.access_token}"},
            timeout=60,
        )

    def delete(self, auth: dict[str, Any] | None) -> Attempt:
        since = self.deployment.synapse.log_size()
        body = {"devices": [DOOMED], **({"auth": auth} if auth is not None else {})}
        response = self.call("POST", "delete_devices", body)
        return Attempt(response, self.deployment.synapse.log_records(since))

    def auth(self, token_hash: object, user: str | None = None) -> dict[str, Any]:
        """Begin again, and return what finishes it."""
        asked = self.delete(None).response
        assert asked.status_code == 401
        assert {"stages": [LOGIN_TYPE]} in asked.json()["flows"]
        return {
            "type": LOGIN_TYPE,
            "session": asked.json()["session"],
            "identifier": {"type": "m.id.user", "user": user or self.account.user_id},
            "token_hash": token_hash,
        }

    def has_doomed_device(self) -> bool:
        devices = self.call("GET", "devices").json()["devices"]
        return DOOMED in [device["device_id"] for device in devices]


@pytest.fixture
def session(deployment: Deployment) -> Session:
    account = deployment.new_account()
    doomed = deployment.log_in(account.user_id, account.token_hash, device_id=DOOMED)
    doomed.check_accepted(account.user_id)
    response = deployment.log_in(account.user_id, account.token_hash).response
    return Session(deployment, account, response.json()["access_token"])


def test_the_right_hash_proves_who_one_is(session: Session) -> None:
    attempt = session.delete(session.auth(session.account.token_hash))
    assert attempt.response.status_code == 200, attempt.response.text
    assert attempt.outcome == "ok"
    assert not session.has_doomed_device()


@pytest.mark.parametrize(
    ("token_hash", "outcome"), [("0" * 64, "bad_hash"), (None, "malformed_hash")]
)
def test_a_wrong_hash_proves_nothing(session: Session, token_hash: object, outcome: str) -> None:
    attempt = session.delete(session.auth(token_hash))
    assert attempt.response.status_code == 401
    assert attempt.response.json()["errcode"] == "M_FORBIDDEN"
    assert attempt.response.json()["completed"] == []
    assert attempt.outcome == outcome
    assert session.has_doomed_device()


def test_after_a_wrong_hash_the_right_one_still_proves_it(session: Session) -> None:
    auth = session.auth("0" * 64)
    assert session.delete(auth).response.status_code == 401
    auth["token_hash"] = session.account.token_hash
    assert session.delete(auth).response.status_code == 200
    assert not session.has_doomed_device()


def test_the_hash_of_a_rotated_secret_proves_nothing(session: Session) -> None:
    session.deployment.put_secret(session.account.user_id, "the secret after its rotation")
    attempt = session.delete(session.auth(session.account.token_hash))
    assert (attempt.response.status_code, attempt.outcome) == (401, "bad_hash")
    assert session.has_doomed_device()


def test_another_users_right_hash_proves_nothing(session: Session) -> None:
    other = session.deployment.new_account()
    attempt = session.delete(session.auth(other.token_hash, other.user_id))
    assert attempt.response.status_code == 403
    attempt = session.delete(session.auth(other.token_hash))
    assert (attempt.response.status_code, attempt.outcome) == (401, "bad_hash")
    assert session.has_doomed_device()
