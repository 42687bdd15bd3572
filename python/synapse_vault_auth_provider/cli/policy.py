"""``synapse-vault policy``."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING

import click

from .failure import CommandError
from .output import show_json, warn
from .user_id import whole_user_id
from .verb import json_option, pass_connection

if TYPE_CHECKING:
    from .connection import Connection

MODULE = "module"
PROVISIONING = "provisioning"

KEEPING = {"data/": ["create", "read", "update"], "destroy/": ["update"]}
"""What keeping a token in an entry needs."""

READS = {1: {"": ["read"]}, 2: {"data/": ["read"]}}

CAPABILITIES: Mapping[str, Mapping[int, Mapping[str, list[str]]]] = {
    MODULE: READS,
    PROVISIONING: {
        2: {
            "data/": ["create", "read", "update"],
            "destroy/": ["update"],
            "metadata/": ["delete", "list"],
        },
    },
}
"""What each needs for each version of the KV engine: the part of the API's path behind the mount,
and the capabilities there. Provisioning needs version 2.

https://developer.hashicorp.com/vault/docs/secrets/kv/kv-v2/setup#acl-rules
"""

ENGINE_READS = {"login/": ["read", "sudo"]}

ENGINE_CAPABILITIES: Mapping[str, Mapping[str, list[str]]] = {
    MODULE: ENGINE_READS,
    PROVISIONING: {
        "config/user/": ["create", "delete", "list", "read", "update"],
        "rotate/": ["create", "update"],
        "user/": ["read"],
    },
}
"""What each needs of the secrets engine. A path like `login/` opens to `sudo` alone."""

LEASES = {"sys/leases/renew": ["update"], "sys/leases/revoke": ["update"]}
"""What takes care of leases, for whoever reads one."""


@click.command(short_help="Print the policies that tokens for Vault need.")
@click.option(
    "--for",
    "whose",
    type=click.Choice([MODULE, PROVISIONING]),
    help="Whose policy to print; without it, both.",
)
@click.option(
    "--for-user",
    "user",
    metavar="USER",
    help="Print the policy of a bot that logs in as this user: it reads this user's secret alone.",
)
@click.option(
    "--keep-in",
    metavar="MOUNT/PATH",
    help="With --for-user, the policy of `token USER --keep-in PATH`, which writes there too.",
)
@json_option
@pass_connection
def policy(
    connection: Connection, whose: str | None, user: str | None, keep_in: str | None
) -> None:
    """Print the least policy that the tokens for Vault need.

    The module in Synapse reads all secrets. Provisioning, with this command or the Python API,
    writes them too. --for-user prints the policy of a bot, which reads its own secret. With
    --keep-in as well, it prints that of the job that keeps a token for the bot in another entry.
    To put a policy into Vault:

    \b
    synapse-vault policy --for module | vault policy write synapse-login -
    """  # noqa: D301 (click's mark for lines that are not to be filled)
    if keep_in is not None and user is None:
        raise click.UsageError("--keep-in goes with --for-user.")
    if connection.engine is not None:
        if keep_in is not None:
            raise click.UsageError("--keep-in is not possible with --engine: leases are renewed.")
        _show(connection, _of_engine(connection, whose, user))
        return
    mount, version, root = connection.kv_location()
    _refuse_wildcards(f"{mount}/{root}", "the path of the entries")
    if user is not None:
        if whose:
            raise click.UsageError("Give either --for or --for-user.")
        user_id = _user_id(connection, user)
        text = _policy(f"for {user_id} alone", mount, version, f"{root}/{user_id}", READS)
        if keep_in is not None:
            text += _kept(keep_in, mount)
        texts = {user_id: text}
    else:
        wanted = [whose] if whose else [MODULE, PROVISIONING]
        if version == 1 and PROVISIONING in wanted:
            without = "provisioning needs a KV engine of version 2"
            if whose:
                raise CommandError(
                    without, "`vault kv enable-versioning` makes one of version 1 one."
                )
            warn(without)
            wanted = [MODULE]
        texts = {
            one: _policy(f"for the {one}", mount, version, f"{root}/*", CAPABILITIES[one])
            for one in wanted
        }
    _show(connection, texts)


def _show(connection: Connection, texts: Mapping[str, str]) -> None:
    if connection.as_json:
        show_json(texts)
    else:
        click.echo("\n".join(texts.values()), nl=False)


def _kept(keep_in: str, mount: str) -> str:
    """Return the policy to keep a token in an entry, whose mount may be another than the users'."""
    path = "/".join(filter(None, keep_in.split("/")))
    _refuse_wildcards(path, "the path of the kept token")
    of = mount if path.startswith(f"{mount}/") else path.partition("/")[0]
    below = path.removeprefix(of).lstrip("/")
    if not below:
        raise CommandError(f"{path} names no entry", "Give the mount and a path below it.")
    whom = f"to keep a token in {path}" + ("" if of == mount else f", where {of} is the mount")
    return _policy(whom, of, 2, below, {2: KEEPING})


def _of_engine(connection: Connection, whose: str | None, user: str | None) -> dict[str, str]:
    """Return the policies where the secrets engine has the secrets."""
    mount, _, _ = connection.kv_location()
    _refuse_wildcards(mount, "the mount")
    if user is not None:
        if whose:
            raise click.UsageError("Give either --for or --for-user.")
        user_id = _user_id(connection, user)
        localpart, _, server_name = user_id[1:].partition(":")
        # Whole, as a pattern would cover users with a slash in their localpart too.
        paths = {f"{mount}/user/{localpart}/{server_name}": ["read"], **LEASES}
        return {user_id: _rules(f"For {user_id} alone, with the secrets engine.", paths)}
    texts = {}
    for one in [whose] if whose else [MODULE, PROVISIONING]:
        paths = {f"{mount}/{path}*": able for path, able in ENGINE_CAPABILITIES[one].items()}
        if one == PROVISIONING:
            paths.update(LEASES)
        texts[one] = _rules(f"For the {one}, with the secrets engine.", paths)
    return texts


def _rules(comment: str, paths: Mapping[str, list[str]]) -> str:
    return f"# {comment}\n" + "".join(
        f"path {_quoted(path)} {{ capabilities = {json.dumps(able)} }}\n"
        for path, able in paths.items()
    )


def _user_id(connection: Connection, user: str) -> str:
    why = "the whole user id is in the path"
    user_id = whole_user_id(user, connection.server_name, why=why)
    _refuse_wildcards(user_id, "the user id")
    return user_id


def _refuse_wildcards(path: str, what: str) -> None:
    """Refuse a path that a policy would take for a pattern, and so open more than it says.

    https://developer.hashicorp.com/vault/docs/concepts/policies#policy-syntax
    """
    if "*" in path or "{{" in path or "+" in path.split("/"):
        raise CommandError(
            f'{what} has a "*", a "{{{{" or a part that is "+", which mean more in a policy',
            "Such a policy would open other users' secrets too, so none is printed.",
        )


def _policy(
    whom: str,
    mount: str,
    version: int | None,
    below: str,
    capabilities: Mapping[int, Mapping[str, list[str]]],
) -> str:
    known = f"version {version}"
    if not version:
        known = "version 2. For version 1, set SYNAPSE_VAULT_KV_VERSION=1"
    comment = f"# {whom[0].upper()}{whom[1:]}, with a KV engine of {known}.\n"
    return comment + "".join(
        f"path {_quoted(f'{mount}/{part}{below}')} {{ capabilities = {json.dumps(able)} }}\n"
        for part, able in capabilities[version or 2].items()
    )


def _quoted(text: str) -> str:
    """Write a string of HCL, whose escapes are those of JSON."""
    return json.dumps(text, ensure_ascii=False)
