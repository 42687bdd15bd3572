"""What Synapse itself knows of users and their devices."""

from __future__ import annotations

from typing import TYPE_CHECKING

from synapse.module_api import UserID

from ..log import logger

if TYPE_CHECKING:
    from synapse.module_api import ModuleApi
    from synapse.storage.database import LoggingTransaction

    from .._core import Outcome

LONGEST_DEVICE_ID = 255
"""In characters. The database is not asked about longer ones."""

_DEVICE = """
SELECT 1 FROM devices WHERE user_id = ? AND device_id = ? AND NOT COALESCE(hidden, FALSE)
"""


class Accounts:
    """Asks Synapse."""

    def __init__(self, api: ModuleApi) -> None:
        """Take Synapse's module API."""
        self._api = api

    async def is_registered(self, user_id: str) -> bool:
        """Tell whether there is a user of just this id."""
        return await self._api.check_user_exists(user_id) == user_id

    async def refusal(self, user_id: str, outcome: Outcome) -> Outcome | None:
        """Return what becomes of a login of a user who may not log in.

        MAS has a state of its own, and either may lag behind the other.

        Args:
            user_id: The canonical id.
            outcome: How the login was decided.
        """
        user = await self._api.get_userinfo_by_id(user_id)
        if user is None:
            return outcome.becoming("unknown_user", "the account has gone meanwhile")
        if user.is_deactivated:
            return outcome.becoming("user_deactivated", "the homeserver has the user deactivated")
        if user.locked:
            return outcome.becoming("user_locked", "the homeserver has the user locked")
        return None

    async def has_device(self, user_id: str, device_id: str | None) -> bool:
        """Tell whether a user has a device, of what may be no device id at all."""
        if not device_id or len(device_id) > LONGEST_DEVICE_ID:
            return False
        if not (device_id.isascii() and device_id.isprintable()):
            # The database fails on some of those.
            return False

        def select(transaction: LoggingTransaction) -> bool:
            transaction.execute(_DEVICE, (user_id, device_id))
            return transaction.fetchone() is not None

        return await self._api.run_db_interaction("vault_auth_device", select)

    async def name_user(self, user_id: str, name: str) -> None:
        """Say what a new user is called, of which MAS before 1.18 does not tell Synapse."""
        try:
            user = UserID.from_string(user_id)
            profile = await self._api.get_profile_for_user(user.localpart)
            if profile.display_name != name:
                await self._api.set_displayname(user, name)
        except Exception:  # noqa: BLE001 (whatever Synapse raises)
            # The account is there, and works without.
            logger.warning("A new user could not be given its name", exc_info=True)

    async def name_device(self, user_id: str, device_id: str, name: str) -> None:
        """Say what a new device is called, of which MAS does not tell Synapse."""
        try:
            devices = self._api._hs.get_device_handler()
            await devices.update_device(user_id, device_id, {"display_name": name})
        except Exception:  # noqa: BLE001 (whatever Synapse raises)
            # The session is open, and works without.
            logger.warning("A device could not be given its name", exc_info=True)
