"""Synapse's admin API, as an administrator of the homeserver uses it."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Any

import requests

if TYPE_CHECKING:
    from .deployment import Deployment


def admin_token(deployment: Deployment) -> str:
    """Return an access token of an administrator of the homeserver."""
    account = deployment.new_account()
    with closing(sqlite3.connect(deployment.synapse.directory / "synapse.db", timeout=30)) as db:
        db.execute("UPDATE users SET admin = 1 WHERE name = ?", (account.user_id,))
        db.commit()
    login = deployment.log_in(account.user_id, account.token_hash)
    login.check_accepted(account.user_id)
    token: str = login.response.json()["access_token"]
    return token


def as_admin(deployment: Deployment, method: str, path: str, body: Any) -> None:
    """Send a request of the admin API.

    API: https://element-hq.github.io/synapse/latest/usage/administration/admin_api/
    """
    response = requests.request(
        method,
        f"{deployment.synapse.url}/_synapse/admin/{path}",
        json=body,
        headers={"Authorization": f"Bearer {admin_token(deployment)}"},
        timeout=60,
    )
    response.raise_for_status()
