"""A Matrix client that we did not write logs in."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import nio

from tests.harness.deployment import LOGIN_TYPE

if TYPE_CHECKING:
    from tests.harness.accounts import Account
    from tests.harness.deployment import Deployment


def login_body(account: Account, token_hash: str) -> dict[str, Any]:
    return {
        "type": LOGIN_TYPE,
        "identifier": {"type": "m.id.user", "user": account.user_id},
        "token_hash": token_hash,
    }


def test_nio_logs_in_and_uses_its_account(deployment: Deployment) -> None:
    account = deployment.new_account()

    async def use() -> None:
        client = nio.AsyncClient(deployment.synapse.url)
        try:
            login = await client.login_raw(login_body(account, account.token_hash))
            assert isinstance(login, nio.LoginResponse), login
            assert login.user_id == account.user_id
            whoami = await client.whoami()
            assert isinstance(whoami, nio.WhoamiResponse), whoami
            assert (whoami.user_id, whoami.device_id) == (account.user_id, login.device_id)
            sync = await client.sync(timeout=0)
            assert isinstance(sync, nio.SyncResponse), sync
            room = await client.room_create(name="A room of one's own")
            assert isinstance(room, nio.RoomCreateResponse), room
            sent = await client.room_send(
                room.room_id, "m.room.message", {"msgtype": "m.text", "body": "Here I am"}
            )
            assert isinstance(sent, nio.RoomSendResponse), sent
            assert isinstance(await client.logout(), nio.LogoutResponse)
        finally:
            await client.close()

    asyncio.run(use())


def test_nio_is_turned_away_with_a_wrong_hash(deployment: Deployment) -> None:
    account = deployment.new_account()

    async def use() -> None:
        client = nio.AsyncClient(deployment.synapse.url)
        try:
            login = await client.login_raw(login_body(account, "0" * 64))
            assert isinstance(login, nio.LoginError), login
            assert login.status_code == "M_FORBIDDEN"
            assert not client.logged_in
        finally:
            await client.close()

    asyncio.run(use())
