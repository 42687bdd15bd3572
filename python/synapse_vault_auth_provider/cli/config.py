"""``synapse-vault config``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click
import yaml

from .._core import Settings, SettingsError
from ..config import environment, to_json
from .failure import CommandError
from .homeserver_yaml import MODULES
from .output import show_json, warn
from .verb import json_option, pass_connection

if TYPE_CHECKING:
    from .connection import Connection

METHODS = {
    "approle": ("role_id_file", "secret_id_file"),
    "kubernetes": ("role",),
}
"""The ways to log in to Vault that need no more than a few options, and what they need."""


def _check_path(option: str, path: str) -> None:
    """Refuse what is no whole path: it may be the secret itself, and is printed."""
    if not path.startswith("/"):
        raise click.UsageError(f"{option} must be a whole path, from / on.")


def _whole_path(_: click.Context, option: click.Parameter, path: str | None) -> str | None:
    if path is not None:
        _check_path(option.opts[0], path)
    return path


@click.command(short_help="Print the module's part of homeserver.yaml.")
@click.option("--vault-url", metavar="URL", help="Address of Vault, as Synapse reaches it.")
@click.option("--vault-namespace", metavar="NAMESPACE", help="Namespace in Vault.")
@click.option(
    "--vault-ca-cert",
    callback=_whole_path,
    metavar="FILE",
    help="File with the authorities that signed Vault's certificate.",
)
@click.option("--auth", type=click.Choice(list(METHODS)), help="How to log in to Vault.")
@click.option("--auth-mount", metavar="MOUNT", help="Where that method is mounted.")
@click.option("--kubernetes-role", "role", metavar="ROLE", help="The role in Vault.")
@click.option(
    "--approle-role-id-file",
    "role_id_file",
    callback=_whole_path,
    metavar="FILE",
    help="File with the role id.",
)
@click.option(
    "--approle-secret-id-file",
    "secret_id_file",
    callback=_whole_path,
    metavar="FILE",
    help="File with the secret id.",
)
@json_option
@pass_connection
def config(
    connection: Connection,
    /,
    vault_url: str | None,
    vault_namespace: str | None,
    vault_ca_cert: str | None,
    auth: str | None,
    auth_mount: str | None,
    **proof: str | None,
) -> None:
    """Check the part of homeserver.yaml that loads the module, and print it.

    The address of Vault may come from VAULT_ADDR. --path-root and --mount say where the secrets
    are. Synapse reads the token from --vault-token-file, or logs in to Vault with --auth. No option
    takes a secret: Synapse reads secrets from files. The command uses no network.

    \b
    synapse-vault --path-root matrix/users --vault-token-file /etc/matrix-synapse/vault-token \\
      config --vault-url https://vault.example.org:8200 > /etc/matrix-synapse/conf.d/vault.yaml
    """  # noqa: D301 (click's mark for lines that are not to be filled)
    variables = environment()
    tls = _present({"ca_cert": vault_ca_cert})
    settings = _present(
        {
            "vault_url": vault_url or variables.get("VAULT_ADDR") or variables.get("BAO_ADDR"),
            "vault_namespace": vault_namespace,
            "vault_tls": tls or None,
            "vault_token_file": connection.vault_token_file and str(connection.vault_token_file),
            "vault_auth": _auth(auth, auth_mount, proof),
            "vault_kv_mount_point": connection.mount,
            "vault_path_root": connection.path_root,
        }
    )
    if connection.vault_token_file is not None:
        _check_path("--vault-token-file", str(connection.vault_token_file))
    _check(settings)
    modules = {"modules": [{"module": MODULES[0], "config": settings}]}
    if connection.as_json:
        show_json(modules)
    else:
        click.echo(yaml.safe_dump(modules, sort_keys=False, allow_unicode=True), nl=False)


def _auth(
    method: str | None, mount: str | None, proof: dict[str, str | None]
) -> dict[str, str] | None:
    """Return how to log in, after a look whether the options fit the method."""
    needed = METHODS[method] if method else ()
    for name, value in proof.items():
        owner = next(method for method, names in METHODS.items() if name in names)
        option = f"--{owner}-{name.replace('_', '-')}"
        if value is None and name in needed:
            raise click.UsageError(f"--auth {method} needs {option}.")
        if value is not None and name not in needed:
            raise click.UsageError(f"{option} needs --auth {owner}.")
    if method is None:
        if mount is not None:
            raise click.UsageError("--auth-mount is not possible without --auth.")
        return None
    return {"method": method, **_present({"mount": mount}), **_present(proof)}


def _check(settings: dict[str, Any]) -> None:
    """Check settings as Synapse will, but for files that may be elsewhere or not ours to read."""
    try:
        # What Synapse's own environment will say is not known here.
        warnings = Settings.parse(to_json(settings), {}).warnings
    except SettingsError as error:
        key, message = error.args
        if message.startswith("cannot read "):
            warn(f"{key}: {message}; Synapse must be able to")
            return
        raise CommandError(f"{key}: {message}", WHERE_TO_GIVE.get(key)) from None
    for warning in warnings:
        warn(warning)


WHERE_TO_GIVE = {
    "vault_url": "Give --vault-url.",
    "vault_path_root": "Give --path-root.",
    "vault_token": "Give --vault-token-file or --auth.",
}


def _present(values: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in values.items() if value is not None}
