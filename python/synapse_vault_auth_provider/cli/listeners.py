"""Where Synapse listens for clients, and which of these addresses can be used from its own host."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

EVERYWHERE = ("", "*")
"""Addresses that mean all of the host's, beside ``0.0.0.0`` and ``::``."""

IPV4 = 4


@dataclass(frozen=True)
class Listener:
    """A listener that serves clients."""

    name: str
    """What errors call it."""

    url: str | None = None
    """Where it is reached."""

    why_not: str | None = None
    """Why it is not used, if it is not."""

    rank: int = 0
    """Which of several is used: the one with the smallest number."""


def client_listeners(values: object, tls_name: str | None) -> list[Listener]:
    """Return the listeners that serve clients, the best first.

    Args:
        values: ``listeners`` of Synapse's configuration.
        tls_name: The name that is in the certificate.

    Reference:
        https://element-hq.github.io/synapse/latest/usage/configuration/config_documentation.html#listeners
    """
    found = [_listener(entry, tls_name) for entry in _mappings(values) if _serves_clients(entry)]
    return sorted(found, key=lambda listener: (listener.url is None, listener.rank))


def _listener(entry: Mapping[str, Any], tls_name: str | None) -> Listener:
    path, port = entry.get("path"), entry.get("port")
    if isinstance(path, str):
        return Listener(f"the listener at {path}", f"unix://{path}", rank=3)
    name = f"the listener at port {port}"
    if not isinstance(port, int):
        return Listener(name, why_not="its port is no number")
    if entry.get("tls"):
        if tls_name is None:
            return Listener(
                name, why_not="it has TLS, and neither public_baseurl nor server_name says its name"
            )
        # The name in the certificate is checked, so it is asked for by that name.
        return Listener(name, f"https://{tls_name}:{port}", rank=2)
    hosts = sorted(_loopback_hosts(entry))
    if not hosts:
        why_not = "without TLS it is used at a loopback address alone, and it listens at others"
        return Listener(name, why_not=why_not)
    return Listener(name, f"http://{hosts[0][1]}:{port}")


def _loopback_hosts(entry: Mapping[str, Any]) -> Iterator[tuple[int, str]]:
    """Return the loopback addresses that a listener is reached at, each with its rank."""
    bound = entry.get("bind_addresses")
    several = bound if isinstance(bound, list) else [bound]
    addresses = [text for text in (*several, entry.get("bind_address")) if isinstance(text, str)]
    # Without any, Synapse listens everywhere.
    for text in addresses or [""]:
        if text in EVERYWHERE:
            yield 1, "127.0.0.1"
        elif text in ("localhost", "ip6-localhost"):
            yield 0, "[::1]" if text == "ip6-localhost" else "127.0.0.1"
        else:
            try:
                address = ipaddress.ip_address(text)
            except ValueError:
                continue
            if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped:
                address = address.ipv4_mapped
            is_old = address.version == IPV4
            if address.is_loopback:
                yield (0, str(address)) if is_old else (2, f"[{address}]")
            elif address.is_unspecified:
                yield (1, "127.0.0.1") if is_old else (3, "[::1]")


def _serves_clients(entry: Mapping[str, Any]) -> bool:
    return entry.get("type") == "http" and any(
        "client" in (resource.get("names") or ()) for resource in _mappings(entry.get("resources"))
    )


def _mappings(values: object) -> list[Mapping[str, Any]]:
    entries = values if isinstance(values, list) else []
    return [entry for entry in entries if isinstance(entry, Mapping)]
