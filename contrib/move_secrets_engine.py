"""Moves homeservers and users from the secrets engine of 2018 to the one of today.

    python3 move_secrets_engine.py [--dry-run] OLD_MOUNT NEW_MOUNT

Vault's address and token come from VAULT_ADDR and VAULT_TOKEN, or from BAO_ADDR and BAO_TOKEN. The
token must be allowed to list and read `OLD_MOUNT/config/*` and to write `NEW_MOUNT/config/*`. No
secret is printed. A user whom the new engine has already is left as they are.
"""

from __future__ import annotations

import argparse
import json
import os
import ssl
import sys
import urllib.error
import urllib.request
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

NOT_FOUND = 404


class RefusedError(Exception):
    """Vault refuses a request. The text holds no secret."""


@dataclass(frozen=True)
class Vault:
    """A server and a token for it."""

    address: str
    token: str
    ca_cert: str | None = None

    def ask(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        """Return the data of an answer; `None` if there is nothing at the path."""
        request = urllib.request.Request(  # noqa: S310 (the address is the administrator's)
            f"{self.address.rstrip('/')}/v1/{quote(path, safe='/:@')}",
            data=None if body is None else json.dumps(body).encode(),
            headers={"X-Vault-Token": self.token},
            method=method,
        )
        context = ssl.create_default_context(cafile=self.ca_cert)
        try:
            with urllib.request.urlopen(request, timeout=60, context=context) as answer:  # noqa: S310
                content = answer.read()
        except urllib.error.HTTPError as error:
            if error.code == NOT_FOUND:
                return None
            raise RefusedError(f"{method} {path}: {error.code} {_said(error.read())}") from None
        except urllib.error.URLError as error:
            raise RefusedError(f"{self.address}: {error.reason}") from None
        return json.loads(content).get("data") if content else None

    def names(self, path: str) -> list[str]:
        """Return the names below a path."""
        listed = self.ask("LIST", path)
        return [str(name) for name in listed["keys"]] if listed else []


def _said(body: bytes) -> str:
    try:
        return "; ".join(map(str, json.loads(body)["errors"]))[:300]
    except (ValueError, KeyError, TypeError):
        return ""


def move(old: Vault, old_mount: str, new: Vault, new_mount: str, *, dry_run: bool) -> int:
    """Move everything and return how many users could not be moved."""
    for name in old.names(f"{old_mount}/config/homeserver"):
        found = old.ask("GET", f"{old_mount}/config/homeserver/{name}") or {}
        _say(f"homeserver {name}: {found.get('cs_url')}")
        if not dry_run and new.ask("GET", f"{new_mount}/config/homeserver/{name}") is None:
            fields = {"cs_url": found.get("cs_url")}
            new.ask("POST", f"{new_mount}/config/homeserver/{name}", fields)
    users = old.names(f"{old_mount}/config/user")
    moved = [_move_user(old, old_mount, new, new_mount, user_id, dry_run) for user_id in users]
    return moved.count(False)


def _move_user(
    old: Vault, old_mount: str, new: Vault, new_mount: str, user_id: str, dry_run: bool
) -> bool:
    """Move a user, say how that went, and return whether it worked."""
    try:
        done = _try_to_move(old, old_mount, new, new_mount, user_id, dry_run)
    except RefusedError as error:
        _say(f"user {user_id}: failed: {error}")
        return False
    _say(f"user {user_id}: {done}")
    return True


def _try_to_move(
    old: Vault, old_mount: str, new: Vault, new_mount: str, user_id: str, dry_run: bool
) -> str:
    localpart, _, server_name = user_id.removeprefix("@").partition(":")
    place = f"{localpart}/{server_name}"
    found = old.ask("GET", f"{old_mount}/config/user/{place}")
    secret = (found or {}).get("login_secret")
    if not isinstance(secret, str) or not secret:
        raise RefusedError("the old engine shows no login_secret")
    if new.ask("GET", f"{new_mount}/config/user/{place}") is not None:
        return "already there"
    if dry_run:
        return "would be moved"
    # Whoever else writes this user meanwhile is not overwritten.
    fields = {"login_secret": secret, "create_only": True}
    new.ask("POST", f"{new_mount}/config/user/{place}", fields)
    return "moved"


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")


def _variable(name: str) -> str | None:
    return os.environ.get(f"VAULT_{name}") or os.environ.get(f"BAO_{name}")


def main() -> int:
    """Run the command and return the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("old", metavar="OLD_MOUNT", help="mount of the engine of 2018")
    parser.add_argument("new", metavar="NEW_MOUNT", help="mount of the engine of today")
    parser.add_argument("--dry-run", action="store_true", help="only say what would be done")
    parser.add_argument(
        "--from-address",
        metavar="URL",
        help="address of the server with the old engine, whose token is in OLD_VAULT_TOKEN",
    )
    arguments = parser.parse_args()
    address, token = _variable("ADDR"), _variable("TOKEN")
    if not address or not token:
        parser.error("set VAULT_ADDR and VAULT_TOKEN")
    new = Vault(address, token, _variable("CACERT"))
    old = new
    if arguments.from_address:
        old_token = os.environ.get("OLD_VAULT_TOKEN")
        if not old_token:
            parser.error("set OLD_VAULT_TOKEN")
        old = Vault(arguments.from_address, old_token, _variable("CACERT"))
    try:
        failed = move(
            old,
            arguments.old.strip("/"),
            new,
            arguments.new.strip("/"),
            dry_run=arguments.dry_run,
        )
    except RefusedError as error:
        sys.stderr.write(f"error: {error}\n")
        return 1
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
