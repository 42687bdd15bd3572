"""Accounts that are made at their first login."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ._core import parse_user_id

if TYPE_CHECKING:
    from synapse.module_api import ModuleApi
    from synapse.module_api.errors import SynapseError

    from ._core import Outcome

LONGEST_REASON = 200
"""Longest text of the homeserver's that is passed on, in characters."""


async def register(api: ModuleApi, user_id: str, outcome: Outcome) -> Outcome:
    """Register the user of a login whose hash is right.

    Args:
        api: Synapse's module API.
        user_id: An id of this homeserver that had no account when the login began.
        outcome: An outcome that wants registration.

    Returns:
        The same outcome if the user is registered now; ``ok`` if another login did it just
        before; ``registration_refused`` if the homeserver does not want the user.
    """
    from synapse.module_api.errors import SynapseError

    _, localpart = parse_user_id(user_id, api.server_name)
    try:
        await api.check_username(localpart)
        await api.register_user(localpart, outcome.display_name)
    except SynapseError as error:
        # Of several first logins at once one comes first, on whichever worker.
        if error.errcode == "M_USER_IN_USE" and await api.check_user_exists(user_id) == user_id:
            return outcome.registered_before()
        return outcome.refused_registration(_reason(error))
    return outcome


def _reason(error: SynapseError) -> str:
    # Most codes are members of an enumeration, which `str` would name after it.
    code = getattr(error.errcode, "value", error.errcode)
    text = " ".join(f"{code}: {error.msg}".split())[:LONGEST_REASON]
    return "".join(character for character in text if character.isprintable())
