"""Who signs users in, Synapse itself or Matrix Authentication Service, and what that asks of us."""

from __future__ import annotations

from dataclasses import dataclass

MAS = "Matrix Authentication Service (MAS)"

DELEGATES = f"{MAS} signs this homeserver's users in, and Synapse loads no password providers then"


@dataclass(frozen=True)
class Mismatch:
    """What the module's configuration says, and Synapse's does not, or the other way round."""

    key: str
    """The key that is to be changed, in Synapse's configuration or the module's."""

    what: str
    """What is wrong."""

    advice: str
    """What to write instead, without a full stop."""


def mismatch(*, delegates: bool, has_mas: bool, is_legacy: bool = False) -> Mismatch | None:
    """Return what keeps Synapse from starting with the module; `None` if nothing does.

    Args:
        delegates: Whether ``matrix_authentication_service`` is enabled in ``homeserver.yaml``.
        has_mas: Whether the module's configuration has ``mas``.
        is_legacy: Whether Synapse is told of the module by ``password_providers``.
    """
    if delegates and is_legacy:
        return Mismatch(
            "password_providers",
            DELEGATES,
            "write the module under modules instead, with mas in its configuration",
        )
    if delegates and not has_mas:
        return Mismatch(
            "mas",
            f"required: {DELEGATES}",
            "set mas, with the client that may use MAS' admin API, and the module serves logins at "
            "an address of its own: see docs/mas.md",
        )
    if has_mas and not delegates:
        return Mismatch(
            "mas",
            f"{MAS} is not enabled in homeserver.yaml, so nothing would use this",
            "take mas away, or enable matrix_authentication_service there",
        )
    return None
