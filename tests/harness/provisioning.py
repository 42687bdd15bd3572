"""A homeserver and a Vault where accounts are provisioned, and what became of them there."""

from __future__ import annotations

import base64
import enum
import hashlib
import hmac
import itertools
import re
import secrets
import time
import traceback
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import quote

import pytest
import requests
from synapse_vault_auth_provider.provisioning import Provisioner, ProvisioningError

from tests.servers.synapse import SERVER_NAME

from .accounts import PATH_ROOT, token_hash

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.servers import OpenBao, Synapse

    from .confidential import Confidential
    from .deployment import Deployment

POLICY = f"""
path "secret/data/{PATH_ROOT}/*" {{ capabilities = ["create", "read", "update"] }}
path "secret/destroy/{PATH_ROOT}/*" {{ capabilities = ["update"] }}
path "secret/metadata/{PATH_ROOT}/*" {{ capabilities = ["list", "delete"] }}
"""
"""All that provisioning must be allowed."""

SECRET = re.compile(r"[A-Za-z0-9_-]{43}")
"""32 bytes in URL-safe Base64."""

PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJg"
    "gg=="
)
"""A picture of one pixel."""

Result = TypeVar("Result")
Error = TypeVar("Error", bound=ProvisioningError)

_numbers = itertools.count(1)


class Means(enum.Enum):
    """What lets a provisioner create accounts."""

    SHARED_SECRET = "shared_secret"
    ADMIN_API = "admin_api"

    @property
    def other(self) -> Means:
        """The one that this is not."""
        return Means.ADMIN_API if self is Means.SHARED_SECRET else Means.SHARED_SECRET


by_both_means = pytest.mark.parametrize("means", Means, ids=lambda means: means.value)


class Site:
    """Makes provisioners, and looks at their work with nothing of ours."""

    def __init__(self, synapse: Synapse, openbao: OpenBao, confidential: Confidential) -> None:
        """Take servers that run."""
        self.synapse = synapse
        self.openbao = openbao
        self.root = PATH_ROOT
        self.confidential = confidential
        self.vault_token = confidential.add(openbao.create_token("provisioning", POLICY))
        self.shared_secret = confidential.add(synapse.shared_secret)
        self.admin_id = f"@{new_name('admin')}:{SERVER_NAME}"
        self.admin_token: str = self.register(self.admin_id, admin=True)["access_token"]

    @classmethod
    def of(cls, deployment: Deployment) -> Site:
        """Take the servers of a deployment."""
        return cls(deployment.synapse, deployment.openbao, deployment.confidential)

    def settings(self, means: Means | None = None, **changes: object) -> dict[str, Any]:
        """Return the arguments of a provisioner with a few changes; `None` takes one away."""
        settings: dict[str, object] = {
            "homeserver": self.synapse.url,
            "server_name": SERVER_NAME,
            "vault_url": self.openbao.url,
            "vault_token": self.vault_token,
            "vault_path_root": self.root,
        }
        if means is Means.SHARED_SECRET:
            settings["registration_shared_secret"] = self.shared_secret
        elif means is Means.ADMIN_API:
            settings["admin_access_token"] = self.admin_token
        settings.update(changes)
        return {key: value for key, value in settings.items() if value is not None}

    def provisioner(self, means: Means | None = None, **changes: object) -> Provisioner:
        """Return a provisioner with a few changes to its settings."""
        return Provisioner(**self.settings(means, **changes))

    def seen(self, result: Result) -> Result:
        """Remember a result's token; fail if its `repr` shows one."""
        self.confidential.add(getattr(result, "access_token", None) or "")
        self.confidential.check_text(repr(result) + str(result))
        return result

    def error(
        self, kind: type[Error], call: Callable[..., object], *arguments: object, **more: object
    ) -> Error:
        """Return the error, of exactly this kind, that a call ends with."""
        with pytest.raises(kind) as caught:
            call(*arguments, **more)
        assert type(caught.value) is kind, caught.value
        self.check_shown(caught.value)
        return caught.value

    def check_shown(self, error: BaseException) -> None:
        """Fail if an exception shows what is confidential."""
        shown = "".join(traceback.format_exception(error)) + repr(error) + repr(vars(error))
        self.confidential.check_text(shown)

    # Vault

    def newest(self, user_id: str) -> dict[str, Any] | None:
        """Return the newest version of an entry; `None` if there is none that can be read."""
        answer = self._vault("GET", f"data/{self.root}/{user_id}")
        if answer is None:
            return None
        fields: dict[str, Any] = answer["data"]["data"]
        for secret in (fields, fields.get("provisioning")):
            for key in ("login_secret", "password"):
                if isinstance(secret, dict) and isinstance(secret.get(key), str):
                    self.confidential.add(secret[key])
        return fields

    def entry(self, user_id: str) -> dict[str, Any]:
        """Return the newest version of an entry that must be there."""
        fields = self.newest(user_id)
        assert fields is not None
        return fields

    def secret(self, user_id: str) -> str:
        """Return the secret in an entry."""
        secret: str = self.entry(user_id)["login_secret"]
        return secret

    def put(self, user_id: str, fields: dict[str, Any]) -> None:
        """Write an entry as a human might."""
        self.openbao.write(f"{self.root}/{user_id}", fields)

    def versions(self, user_id: str) -> dict[int, str]:
        """Return the versions of an entry, each with whether it is live, deleted or destroyed."""
        answer = self._vault("GET", f"metadata/{self.root}/{user_id}")
        return (
            {}
            if answer is None
            else {
                int(number): "destroyed"
                if version["destroyed"]
                else "deleted"
                if version["deletion_time"]
                else "live"
                for number, version in answer["data"]["versions"].items()
            }
        )

    def _vault(self, method: str, path: str) -> dict[str, Any] | None:
        """Return Vault's answer; `None` if there is nothing."""
        try:
            return self.openbao.api(method, f"secret/{path}")
        except RuntimeError as error:
            if " 404 " not in str(error):
                raise
            return None

    # The homeserver

    def client(
        self, method: str, path: str, token: str | None = None, body: object = None
    ) -> requests.Response:
        """Send a request to the homeserver; `path` comes after the address."""
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        url = f"{self.synapse.url}/{path}"
        return requests.request(method, url, headers=headers, json=body, timeout=60)

    def register(
        self,
        user_id: str,
        password: str | None = None,
        *,
        admin: bool = False,
        login: bool = True,
        display_name: str | None = None,
    ) -> dict[str, Any]:
        """Create an account as anybody with the shared secret may; return the answer.

        API: https://element-hq.github.io/synapse/latest/admin_api/register_api.html
        """
        path = "_synapse/admin/v1/register"
        nonce = self.client("GET", path).json()["nonce"]
        localpart = localpart_of(user_id)
        password = self.confidential.add(password or secrets.token_urlsafe())
        role = "admin" if admin else "notadmin"
        message = "\0".join([nonce, localpart, password, role])
        mac = hmac.new(self.shared_secret.encode(), message.encode(), hashlib.sha1).hexdigest()
        body = {
            "nonce": nonce,
            "username": localpart,
            "password": password,
            "admin": admin,
            "mac": mac,
            "inhibit_login": not login,
            **({"displayname": display_name} if display_name else {}),
        }
        response = self.client("POST", path, body=body)
        assert response.status_code == 200, response.text
        answer: dict[str, Any] = response.json()
        self.confidential.add(answer.get("access_token", ""))
        return answer

    def user_of(self, access_token: str) -> str | None:
        """Return whose token this is; `None` if it is dead."""
        answer = self.client("GET", "_matrix/client/v3/account/whoami", access_token)
        return answer.json()["user_id"] if answer.ok else None

    def device_of(self, access_token: str) -> str | None:
        """Return the device that a token belongs to; `None` if to none."""
        answer = self.client("GET", "_matrix/client/v3/account/whoami", access_token)
        device: str | None = answer.json().get("device_id")
        return device

    def profile(self, user_id: str) -> dict[str, str]:
        """Return what others see of an account."""
        answer = self.client("GET", f"_matrix/client/v3/profile/{quote(user_id, safe='')}")
        assert answer.ok, answer.text
        profile: dict[str, str] = answer.json()
        return profile

    def account(self, user_id: str) -> dict[str, Any] | None:
        """Return what an administrator sees of an account; `None` if there is none."""
        answer = self.admin("GET", f"v2/users/{quote(user_id, safe='')}")
        return answer.json() if answer.ok else None

    def admin(self, method: str, path: str, body: object = None) -> requests.Response:
        """Send a request of the admin API."""
        return self.client(method, f"_synapse/admin/{path}", self.admin_token, body)

    def devices(self, user_id: str) -> list[dict[str, Any]]:
        """Return the devices of an account."""
        answer = self.admin("GET", f"v2/users/{quote(user_id, safe='')}/devices")
        devices: list[dict[str, Any]] = answer.json()["devices"]
        return devices

    def opens(self, user_id: str, login_secret: str) -> bool:
        """Tell whether a secret logs in through the module."""
        proof = self.confidential.add(token_hash(login_secret, user_id))
        return self._logs_in({"type": "io.t2bot.vault", "token_hash": proof}, user_id)

    def password_opens(self, user_id: str, password: str) -> bool:
        """Tell whether a password logs in."""
        return self._logs_in({"type": "m.login.password", "password": password}, user_id)

    def _logs_in(self, proof: dict[str, str], user_id: str) -> bool:
        body = {"identifier": {"type": "m.id.user", "user": user_id}, **proof}
        while (answer := self.synapse.post_login(body)).status_code == 429:
            time.sleep(answer.json()["retry_after_ms"] / 1000)
        if answer.ok:
            token = self.confidential.add(answer.json()["access_token"])
            self.client("POST", "_matrix/client/v3/logout", token, {})
        else:
            assert answer.status_code == 403, answer.text
        return answer.ok

    def check_finished(self, user_id: str) -> None:
        """Fail unless nothing about an account that was created by us is left half-made."""
        assert self.account(user_id) is not None
        entry = self.entry(user_id)
        assert SECRET.fullmatch(entry["login_secret"])
        assert self.opens(user_id, entry["login_secret"])
        assert "password" not in str(entry)
        assert entry.get("provisioning", {"state": "done"})["state"] in ("done", "adopted")
        *former, newest = (state for _, state in sorted(self.versions(user_id).items()))
        assert newest == "live"
        assert set(former) <= {"destroyed"}, former


def new_name(kind: str = "user") -> str:
    """Make up a localpart that no account has yet."""
    return f"provisioned-{kind}-{next(_numbers)}"


def new_id(kind: str = "user") -> str:
    """Make up an id that no account has yet."""
    return f"@{new_name(kind)}:{SERVER_NAME}"


def localpart_of(user_id: str) -> str:
    """Return an id without sigil and server name."""
    return user_id[1:].removesuffix(f":{SERVER_NAME}")
