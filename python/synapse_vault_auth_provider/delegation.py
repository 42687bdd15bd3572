"""Who decides who users are, Synapse or Matrix Authentication Service, and what that asks of us."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Mismatch:
    """What the module's configuration says, and Synapse's does not, or the other way round."""

    key: str
    """The key that is to be changed, in Synapse's configuration or the module's."""

    what: str
    """What is wrong."""

    advice: str
    """What to write instead, without a full stop."""


def mismatch(
    *, delegates: bool, has_mas: bool, is_legacy: bool = False, is_experimental: bool = False
) -> Mismatch | None:
    """Return what keeps Synapse from starting with the module; `None` if nothing does.

    Args:
        delegates: Whether ``matrix_authentication_service`` is enabled in ``homeserver.yaml``.
        has_mas: Whether the module's configuration has ``mas``.
        is_legacy: Whether Synapse is told of the module by ``password_providers``.
        is_experimental: Whether ``experimental_features.msc3861`` is enabled, which Synapse had
            before 1.157.
    """
    if is_experimental and not delegates:
        return Mismatch(
            "experimental_features.msc3861",
            "is the older way to delegate logins to Matrix Authentication Service (MAS), and "
            "Synapse loads no password providers beside it",
            "use matrix_authentication_service, which Synapse has since 1.136, and the key mas of "
            "this module",
        )
    if delegates and is_legacy:
        return Mismatch(
            "password_providers",
            "is refused by Synapse where homeserver.yaml delegates logins to Matrix Authentication "
            "Service (MAS)",
            "write the module under modules instead, with the key mas in its config",
        )
    if delegates and not has_mas:
        return Mismatch(
            "mas",
            "is missing: homeserver.yaml delegates logins to Matrix Authentication Service (MAS), "
            "the server that then decides who users are, and Synapse loads no password providers "
            "beside it",
            "with the key mas, {admin_api, client_id, client_secret_file}, this module serves its "
            "login itself",
        )
    if has_mas and not delegates:
        return Mismatch(
            "mas",
            "is of use only where homeserver.yaml has matrix_authentication_service with "
            "enabled: true; here Synapse itself decides who users are",
            "remove the key mas",
        )
    return None
