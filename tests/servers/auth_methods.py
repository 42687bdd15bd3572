"""OpenBao's auth methods, set up as an administrator does it.

Each function enables a method at `mount` with a role `homeserver` that grants a policy, and returns
what the module's `vault_auth` wants.
"""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .openbao import OpenBao
    from .pki import Authority

ROLE = "homeserver"


def allow(openbao: OpenBao, policy: str, *paths: str, namespace: str | None = None) -> str:
    """Write a policy that allows to read these paths; return its name."""
    rules = "\n".join(f'path "{path}" {{ capabilities = ["read"] }}' for path in paths)
    openbao.api(
        "POST", f"sys/policies/acl/{policy}", {"policy": rules or "# nothing"}, namespace=namespace
    )
    return policy


def enable(openbao: OpenBao, method: str, mount: str, namespace: str | None = None) -> None:
    """Enable a method without any role."""
    openbao.api("POST", f"sys/auth/{mount}", {"type": method}, namespace=namespace)


def approle(
    openbao: OpenBao, mount: str, policy: str, *, namespace: str | None = None, **role: Any
) -> dict[str, Any]:
    """API: https://openbao.org/api-docs/auth/approle/."""
    enable(openbao, "approle", mount, namespace)
    path = f"auth/{mount}/role/{ROLE}"
    openbao.api("POST", path, {"token_policies": [policy], **role}, namespace=namespace)
    role_id = openbao.api("GET", f"{path}/role-id", namespace=namespace)["data"]["role_id"]
    secret = openbao.api("POST", f"{path}/secret-id", namespace=namespace)["data"]
    return {
        "method": "approle",
        "mount": mount,
        "role_id": role_id,
        "secret_id": secret["secret_id"],
    }


def wrapped_secret_id(openbao: OpenBao, mount: str) -> str:
    """Make another secret id of the role; return a token that it can be fetched with once."""
    path = f"auth/{mount}/role/{ROLE}/secret-id"
    wrapping_token: str = openbao.api("POST", path, wrap_ttl="10m")["wrap_info"]["token"]
    return wrapping_token


def userpass(openbao: OpenBao, mount: str, policy: str) -> dict[str, Any]:
    """API: https://openbao.org/api-docs/auth/userpass/."""
    enable(openbao, "userpass", mount)
    password = secrets.token_urlsafe()
    set_password(openbao, mount, password)
    openbao.api("POST", f"auth/{mount}/users/{ROLE}/policies", {"token_policies": [policy]})
    return {"method": "userpass", "mount": mount, "username": ROLE, "password": password}


def set_password(openbao: OpenBao, mount: str, password: str) -> None:
    """Change the user's password."""
    openbao.api("POST", f"auth/{mount}/users/{ROLE}", {"password": password})


def jwt(
    openbao: OpenBao, mount: str, policy: str, public_key: str, audience: str, role: str = ROLE
) -> dict[str, Any]:
    """API: https://openbao.org/api-docs/auth/jwt/."""
    enable(openbao, "jwt", mount)
    openbao.api("POST", f"auth/{mount}/config", {"jwt_validation_pubkeys": [public_key]})
    openbao.api(
        "POST",
        f"auth/{mount}/role/{role}",
        {
            "role_type": "jwt",
            "user_claim": "sub",
            "bound_audiences": [audience],
            "token_policies": [policy],
        },
    )
    return {"method": "jwt", "mount": mount, "role": role}


def kubernetes(
    openbao: OpenBao, mount: str, policy: str, api_server: str, authority: Authority
) -> dict[str, Any]:
    """API: https://openbao.org/api-docs/auth/kubernetes/."""
    enable(openbao, "kubernetes", mount)
    openbao.api(
        "POST",
        f"auth/{mount}/config",
        {
            "kubernetes_host": api_server,
            "kubernetes_ca_cert": authority.certificate,
            "disable_local_ca_jwt": True,
        },
    )
    openbao.api(
        "POST",
        f"auth/{mount}/role/{ROLE}",
        {
            "bound_service_account_names": [ROLE],
            "bound_service_account_namespaces": ["matrix"],
            "token_policies": [policy],
        },
    )
    return {"method": "kubernetes", "mount": mount, "role": ROLE}


def cert(openbao: OpenBao, mount: str, policy: str, authority: Authority) -> dict[str, Any]:
    """API: https://openbao.org/api-docs/auth/cert/."""
    enable(openbao, "cert", mount)
    openbao.api(
        "POST",
        f"auth/{mount}/certs/{ROLE}",
        {"certificate": authority.certificate, "token_policies": [policy]},
    )
    return {"method": "cert", "mount": mount, "role": ROLE}


def logins(openbao: OpenBao, auth: dict[str, Any], since: int = 0) -> int:
    """Return how often somebody logged in by a method, or was refused."""
    path = f"auth/{auth['mount']}/login"
    if auth["method"] == "userpass":
        path += f"/{auth['username']}"
    return len(openbao.audited(path, since))


def revoke_all(openbao: OpenBao, auth: dict[str, Any]) -> None:
    """Revoke all tokens that a method has granted, and return when they are dead.

    API: https://openbao.org/api-docs/system/leases/#revoke-prefix
    """
    openbao.api("POST", f"sys/leases/revoke-prefix/auth/{auth['mount']}/login", {"sync": True})
