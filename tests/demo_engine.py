"""The secrets engine once, on real servers: a bot that never sees its secret, and a lease.

Run by ``make demo-engine``.
"""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from typing import TYPE_CHECKING

from .demo import main, say, say_how_to_stop, start
from .servers import OpenBao, Synapse
from .servers.openbao import bao_command
from .servers.plugin import PLUGIN, plugin_directory
from .servers.synapse import SERVER_NAME

if TYPE_CHECKING:
    import contextlib
    from pathlib import Path

MODULE_POLICY = 'path "matrix/login/*" { capabilities = ["read", "sudo"] }'

BOT_POLICY = f"""\
path "matrix/user/alice/{SERVER_NAME}" {{ capabilities = ["read"] }}
path "sys/leases/renew"  {{ capabilities = ["update"] }}
path "sys/leases/revoke" {{ capabilities = ["update"] }}"""


def demo(cleanup: contextlib.ExitStack, directory: Path, *, keep: bool) -> None:
    """Show a token that ends with its lease."""
    plugins = plugin_directory(directory / "plugins")
    bao = OpenBao(directory / "openbao", plugins=plugins)
    start(cleanup, bao)
    shell = Shell(bao, directory)
    say(f"1. OpenBao runs at {bao.url}, with plugin_directory = {plugins}")

    say("2. Register the engine with its SHA-256, and mount it:")
    digest = shell.run(f"sha256sum {plugins / PLUGIN} | cut -d ' ' -f 1").strip()
    shell.run(f"bao plugin register -sha256={digest} secret {PLUGIN}")
    shell.run(f"bao secrets enable -path=matrix {PLUGIN}")

    say("3. The module gets a token that may read the secrets of logins, and nothing else:")
    shell.run("bao policy write synapse-login -", MODULE_POLICY)
    create = "bao token create -field=token -no-default-policy -policy="
    module_token = shell.run(f"{create}synapse-login").strip()
    module_config = {
        "vault_url": bao.url,
        "vault_token": module_token,
        "vault_kv_mount_point": "matrix",
        "vault_kv_version": 1,
        "vault_path_root": "login",
    }
    synapse = Synapse(directory / "synapse", module_config, log_level="INFO")
    start(cleanup, synapse)
    say(f"   Synapse runs at {synapse.url} as {SERVER_NAME}, with the module configured.\n")

    say("4. Tell the engine of the homeserver, and of a user: it makes up the secret.")
    synapse.register("alice")
    shell.run(f"bao write matrix/config/homeserver/{SERVER_NAME} cs_url={synapse.url}")
    shell.run(f"bao write matrix/config/user/alice/{SERVER_NAME} ttl=1h max_ttl=24h")

    say("5. The bot gets a token whose policy has its own path only:")
    shell.run("bao policy write bot-alice -", BOT_POLICY)
    bot_token = shell.run(f"{create}bot-alice").strip()
    shell.token = bot_token
    shell.say(f"export BAO_TOKEN={bot_token}")
    shell.run(f"bao read matrix/login/@alice:{SERVER_NAME}", fails=True)

    say("6. One read logs in, and the token has a lease:")
    lease = json.loads(shell.run(f"bao read -format=json matrix/user/alice/{SERVER_NAME}"))
    access_token, lease_id = lease["data"]["access_token"], lease["lease_id"]
    whoami = (
        f"curl -sS -H 'Authorization: Bearer {access_token}' "
        f"{synapse.url}/_matrix/client/v3/account/whoami"
    )
    shell.run(whoami)

    say("7. Renew the lease, as an agent does by itself:")
    shell.run(f"bao lease renew {lease_id}")

    say("8. Revoke it, and the token is dead:")
    shell.run(f"bao write sys/leases/revoke lease_id={lease_id} sync=true")
    shell.run(whoami)
    if keep:
        print_commands(bao, synapse, bot_token, directory)
        cleanup.pop_all()


class Shell:
    """Runs commands as somebody would type them, and prints both."""

    def __init__(self, bao: OpenBao, directory: Path) -> None:
        """Take a server that runs, with its root token."""
        self.token = bao.root_token
        self._bao = bao
        self._directory = directory
        programs = directory / "bin"
        programs.mkdir()
        (programs / "bao").symlink_to(bao_command())
        self._path = f"{programs}:{os.environ['PATH']}"
        self.say(f"export BAO_ADDR={bao.url} BAO_TOKEN={bao.root_token}")
        self.say(f"alias bao={shlex.quote(str(bao_command()))}")

    def say(self, command: str) -> None:
        """Print a command that is not run here."""
        say(f"   $ {command}")

    def run(self, command: str, stdin: str = "", *, fails: bool = False) -> str:
        """Run a command, which must work unless it `fails`; print and return its output."""
        fed = f" <<'EOF'\n{stdin}\nEOF" if stdin else ""
        self.say(command + fed.replace("\n", "\n   "))
        ended = subprocess.run(
            ["sh", "-c", command],
            input=stdin,
            env={
                "PATH": self._path,
                "HOME": str(self._directory),
                "BAO_ADDR": self._bao.url,
                "BAO_TOKEN": self.token,
            },
            capture_output=True,
            text=True,
            check=False,
        )
        shown = (ended.stdout + ended.stderr).strip()
        say("   " + shown.replace("\n", "\n   ") + "\n")
        if (ended.returncode != 0) is not fails:
            raise RuntimeError(f"{command} ended with {ended.returncode}")
        return ended.stdout


def print_commands(bao: OpenBao, synapse: Synapse, bot_token: str, directory: Path) -> None:
    """Print what to try by hand while both servers run."""
    say(f"""
Try it by hand, in a shell:

   alias bao={shlex.quote(str(bao_command()))}
   export BAO_ADDR={bao.url} BAO_TOKEN={bot_token}

   # Another session, as the bot.
   bao read matrix/user/alice/{SERVER_NAME}

   # As an administrator: who is there, and what ends all sessions of the bot.
   export BAO_TOKEN={bao.root_token}
   bao list matrix/config/user
   bao lease revoke -prefix matrix/user/alice/{SERVER_NAME}
   bao path-help matrix""")
    say_how_to_stop(bao, synapse, directory)


if __name__ == "__main__":
    sys.exit(main(demo, __doc__, "make demo-engine"))
