"""The command line as a whole: options before the verb, the verbs, and how it ends."""

from __future__ import annotations

import io
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .. import __version__
from ..provisioning import ProvisioningError
from .colour import choose
from .completion import completion
from .config import config
from .connection import Connection
from .doctor import doctor
from .exec import exec_
from .failure import CommandError, Wording, report
from .hash import hash_
from .list import list_
from .login import login
from .policy import policy
from .profile import profile
from .provision import provision
from .revoke import revoke
from .rotate import rotate
from .token import token
from .verb import accept_behind

if TYPE_CHECKING:
    from collections.abc import Sequence

NAME = "synapse-vault"
INTERRUPTED = 130
"""The exit code of shells for what ended with Ctrl-C."""

FILE = click.Path(path_type=Path)


@click.group(
    context_settings={
        "auto_envvar_prefix": "SYNAPSE_VAULT",
        "help_option_names": ["-h", "--help"],
        "max_content_width": 100,
    }
)
@click.option(
    "-c",
    "--config",
    "config_paths",
    multiple=True,
    type=FILE,
    envvar="SYNAPSE_VAULT_CONFIG",
    show_envvar=True,
    metavar="FILE",
    help="Synapse's configuration, a file or a directory; may be given several times.",
)
@click.option(
    "--homeserver",
    show_envvar=True,
    metavar="URL",
    help="Address of the homeserver, such as https://matrix.example.org.",
)
@click.option(
    "--ca-cert",
    type=FILE,
    envvar="SYNAPSE_VAULT_CA_CERT",
    show_envvar=True,
    metavar="FILE",
    help="File with the authorities to trust as the homeserver, if not those of the system.",
)
@click.option(
    "--server-name",
    "server_name_option",
    envvar="SYNAPSE_VAULT_SERVER_NAME",
    show_envvar=True,
    metavar="NAME",
    help="Name of the homeserver, as in the user ids.",
)
@click.option(
    "--admin-token-file",
    type=FILE,
    envvar="SYNAPSE_VAULT_ADMIN_ACCESS_TOKEN_FILE",
    show_envvar=True,
    metavar="FILE",
    help="File with the access token of an administrator of the homeserver.",
)
@click.option(
    "--registration-shared-secret-file",
    type=FILE,
    show_envvar=True,
    metavar="FILE",
    help="File with Synapse's registration_shared_secret.",
)
@click.option(
    "--mas-admin-api",
    show_envvar=True,
    metavar="URL",
    help="Address of the admin API of Matrix Authentication Service (MAS), where that signs the "
    "homeserver's users in.",
)
@click.option(
    "--mas-client-id",
    show_envvar=True,
    metavar="ID",
    help="Id of the client that may use MAS' admin API.",
)
@click.option(
    "--mas-client-secret-file",
    type=FILE,
    show_envvar=True,
    metavar="FILE",
    help="File with the secret of that client.",
)
@click.option(
    "--mas-token-endpoint",
    show_envvar=True,
    metavar="URL",
    help="Where that client gets its tokens, if not where MAS says.",
)
@click.option(
    "--mas-ca-cert",
    type=FILE,
    show_envvar=True,
    metavar="FILE",
    help="File with the authorities to trust as MAS, if not those of the system.",
)
@click.option(
    "--vault-token-file",
    type=FILE,
    envvar="SYNAPSE_VAULT_TOKEN_FILE",
    show_envvar=True,
    metavar="FILE",
    help="File with the token for Vault.",
)
@click.option(
    "--mount",
    envvar="SYNAPSE_VAULT_KV_MOUNT_POINT",
    show_envvar=True,
    metavar="MOUNT",
    help="Mount of the KV engine that has the secrets; chooses one of several modules too.",
)
@click.option(
    "--path-root",
    show_envvar=True,
    metavar="PATH",
    help="Path below the mount that has an entry for each user; chooses one of several too.",
)
@click.option(
    "--engine",
    envvar="SYNAPSE_VAULT_ENGINE",
    show_envvar=True,
    metavar="MOUNT",
    help="Mount of the secrets engine for Matrix, if that has the secrets and no KV engine.",
)
@click.option(
    "--timeout",
    show_envvar=True,
    metavar="DURATION",
    help="Longest time for one user, retries included, such as 30s; one minute if not given.",
)
@click.option(
    "--json",
    "as_json",
    is_flag=True,
    envvar="SYNAPSE_VAULT_JSON",
    show_envvar=True,
    help="Print results as JSON; also possible after the command.",
)
@click.option(
    "--no-color",
    is_flag=True,
    expose_value=False,
    is_eager=True,
    allow_from_autoenv=False,
    callback=lambda _context, _option, value: choose(off=value),
    help="Show no colours; they are shown on terminals, unless NO_COLOR is set.",
)
@click.version_option(__version__, prog_name=NAME)
@click.pass_context
def synapse_vault(context: click.Context, /, **options: Any) -> None:
    """Create Matrix accounts whose secrets are in Vault or OpenBao, and log in to them.

    Vault's address and token come from VAULT_ADDR and VAULT_TOKEN, as for Vault's own command, or
    from the module's configuration in the file given with -c. The path of the secrets comes from
    that file or from SYNAPSE_VAULT_PATH_ROOT. Options come before the environment, and the
    environment comes before the file.

    Options of a command can be set in the environment too: SYNAPSE_VAULT_PROVISION_WORKERS is
    --workers of provision. Results go to standard output, everything else to standard error.
    """
    if sys.stdout is None and context.invoked_subcommand != "exec":
        # Nothing is opened or changed whose result would go nowhere.
        raise CommandError("there is no standard output to write the result to")
    connection = context.obj = Connection(**options)
    Wording.has_file = lambda: bool(connection.config_paths)


for verb in (
    provision,
    login,
    exec_,
    token,
    rotate,
    revoke,
    profile,
    list_,
    hash_,
    doctor,
    policy,
    config,
    completion,
):
    accept_behind(verb, synapse_vault.params)
    synapse_vault.add_command(verb)


def run(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code.

    Args:
        arguments: What comes after the command's name; those of the process if not given.
    """
    if isinstance(sys.stdout, io.TextIOWrapper):
        # A terminal that cannot show a name gets its code point, not an error.
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        code = synapse_vault.main(arguments, prog_name=NAME, standalone_mode=False)
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (CommandError, ProvisioningError) as error:
        report(error)
        return 1
    except click.Abort:
        return INTERRUPTED
    except OSError as error:
        # A full disk, mostly. What is left in the buffer must not be tried again at the exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        report(CommandError(": ".join(filter(None, (error.filename, error.strerror)))))
        return 1
    return code if isinstance(code, int) else 0
