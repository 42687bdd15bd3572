"""The whole user id of what somebody writes for a user."""

from __future__ import annotations

from .._core import parse_user_id
from .failure import CommandError


def whole_user_id(user: str, server_name: str | None, *, why: str, of_any: bool = False) -> str:
    """Return the whole id of a user.

    Args:
        user: The whole id, or the localpart alone.
        server_name: The homeserver's name, if it is known.
        why: What the whole id is needed for, as the second half of a sentence.
        of_any: Whether a whole id may be of any homeserver.

    Raises:
        CommandError: It is no user id, or only a localpart of an unknown homeserver.
    """
    is_whole = user.startswith("@")
    if server_name is None and not is_whole:
        raise CommandError(
            f"the server name is not known, and {why}",
            "Give the user as @name:server, or add --server-name.",
        )
    try:
        user_id, _ = parse_user_id(user, None if of_any and is_whole else server_name)
    except UnicodeEncodeError:
        raise CommandError("the user id is no valid Unicode") from None
    except ValueError as error:
        raise CommandError(str(error)) from None
    return user_id
