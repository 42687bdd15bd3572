"""``synapse-vault policy``."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

from .failure import CommandError
from .output import show_json, warn
from .verb import json_option, pass_connection

if TYPE_CHECKING:
    from .connection import Connection

MODULE = "module"
PROVISIONING = "provisioning"

CAPABILITIES = {
    1: {
        MODULE: {"": ["read"]},
    },
    2: {
        MODULE: {"data/": ["read"]},
        PROVISIONING: {
            "data/": ["create", "read", "update"],
            "destroy/": ["update"],
            "metadata/": ["delete", "list"],
        },
    },
}
"""For each version of the KV engine who needs what: the part of the API's path behind the mount,
and the capabilities there. Provisioning needs version 2.

https://developer.hashicorp.com/vault/docs/secrets/kv/kv-v2/setup#acl-rules
"""


@click.command(short_help="Print the policies that tokens for Vault need.")
@click.option(
    "--for",
    "whose",
    type=click.Choice([MODULE, PROVISIONING]),
    help="Whose policy to print; both if not given.",
)
@json_option
@pass_connection
def policy(connection: Connection, whose: str | None) -> None:
    """Print the least policy that the tokens for Vault need.

    One policy is for the module in Synapse, which only reads. The other is for this command and
    other uses of provisioning, which write. To put one into Vault:

    \b
    synapse-vault policy --for module | vault policy write synapse-login -
    """  # noqa: D301 (click's mark for lines that are not to be filled)
    mount, version, root = connection.settings().kv_location()
    wanted = [whose] if whose else [MODULE, PROVISIONING]
    if version == 1 and PROVISIONING in wanted:
        without = "provisioning needs a KV engine of version 2"
        if whose:
            raise CommandError(without, "`vault kv enable-versioning` makes one of version 1 one.")
        warn(without)
        wanted = [MODULE]
    texts = {one: _policy(one, mount, version, root) for one in wanted}
    if connection.as_json:
        show_json(texts)
    else:
        click.echo("\n".join(texts.values()), nl=False)


def _policy(whose: str, mount: str, version: int | None, root: str) -> str:
    known = f"version {version}"
    if not version:
        known = "version 2. For version 1, set SYNAPSE_VAULT_KV_VERSION=1"
    comment = f"# For the {whose}, with a KV engine of {known}.\n"
    return comment + "".join(
        f"path {_quoted(f'{mount}/{part}{root}/*')} "
        f"{{ capabilities = {json.dumps(capabilities)} }}\n"
        for part, capabilities in CAPABILITIES[version or 2][whose].items()
    )


def _quoted(text: str) -> str:
    """Write a string of HCL, whose escapes are those of JSON."""
    return json.dumps(text, ensure_ascii=False)
