"""What MAS asks of the homeserver.

Synapse's side of it is `synapse.rest.synapse.mas`.
"""

from __future__ import annotations

import time
from typing import Any

import requests

from .http_types import RefusedError, error

TIMEOUT = 60.0
"""How long the homeserver may take, in seconds."""

_NOT_AVAILABLE = {"M_INVALID_USERNAME", "M_USER_IN_USE", "M_EXCLUSIVE"}


class Homeserver:
    """Synapse's endpoints for MAS, with the secret that both know."""

    def __init__(self, secret: str) -> None:
        self.secret = secret
        self.url = ""
        """Where Synapse listens; it is known only once there is a Synapse."""
        self.delay = 0.0
        """How long each of its answers is held up, in seconds."""
        self.is_reachable = True

    def is_localpart_available(self, localpart: str) -> bool:
        response = self._send("GET", "is_localpart_available", params={"localpart": localpart})
        if response.status_code == 200:
            return True
        if _errcode(response) in _NOT_AVAILABLE:
            return False
        raise _failed("is_localpart_available")

    def provision_user(
        self,
        localpart: str,
        *,
        displayname: str | None = None,
        avatar_url: str | None = None,
        is_locked: bool = False,
    ) -> None:
        body: dict[str, Any] = {"localpart": localpart, "locked": is_locked}
        if displayname is not None:
            body["set_displayname"] = displayname
        if avatar_url is not None:
            body["set_avatar_url"] = avatar_url
        self._post("provision_user", body, " while provisioning user in Synapse")

    def upsert_device(self, localpart: str, device_id: str, name: str | None = None) -> None:
        body = {"localpart": localpart, "device_id": device_id}
        if name is not None:
            body["display_name"] = name
        self._post("upsert_device", body)

    def sync_devices(self, localpart: str, devices: set[str]) -> None:
        self._post("sync_devices", {"localpart": localpart, "devices": sorted(devices)})

    def delete_device(self, localpart: str, device_id: str) -> None:
        self._post("delete_device", {"localpart": localpart, "device_id": device_id})

    def delete_user(self, localpart: str, *, erase: bool) -> None:
        self._post("delete_user", {"localpart": localpart, "erase": erase})

    def reactivate_user(self, localpart: str) -> None:
        self._post("reactivate_user", {"localpart": localpart})

    def allow_cross_signing_reset(self, localpart: str) -> None:
        self._post("allow_cross_signing_reset", {"localpart": localpart})

    def query_user(self, localpart: str) -> dict[str, Any]:
        response = self._send("GET", "query_user", params={"localpart": localpart})
        if response.status_code != 200:
            raise _failed("query_user")
        answer: dict[str, Any] = response.json()
        return answer

    def _post(self, path: str, body: dict[str, Any], doing: str | None = None) -> None:
        if not self._send("POST", path, json=body).ok:
            raise _failed(path) if doing is None else _unexpected(doing)

    def _send(self, method: str, path: str, **how: Any) -> requests.Response:
        time.sleep(self.delay)
        if not self.is_reachable:
            raise _failed(path)
        try:
            return requests.request(
                method,
                f"{self.url}/_synapse/mas/{path}",
                headers={"Authorization": f"Bearer {self.secret}"},
                timeout=TIMEOUT,
                **how,
            )
        except requests.RequestException:
            raise _failed(path) from None


def _errcode(response: requests.Response) -> str | None:
    try:
        errcode: str | None = response.json().get("errcode")
    except (ValueError, AttributeError):
        return None
    return errcode


def _failed(path: str) -> RefusedError:
    return _unexpected(f" from Synapse: {path}")


def _unexpected(where: str) -> RefusedError:
    return RefusedError(error(500, f"Unexpected HTTP response{where}"))
