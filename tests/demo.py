"""The whole of it once, on real servers: a secret in Vault, a login, an access token.

Run by ``make demo``.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from synapse_vault_auth_provider import token_hash

from .servers import OpenBao, Synapse
from .servers.openbao import bao_command

if TYPE_CHECKING:
    from collections.abc import Callable

    from requests import Response

    from .servers import Mas

POLICY = 'path "secret/data/matrix/users/*" { capabilities = ["read"] }'


def main(show: Callable[..., None], what: str | None, command: str = "make demo") -> int:
    """Run a demo and return the exit code.

    Args:
        show: Goes through the demo step by step. It takes where to leave what has to be undone at
            the end, a directory for all files, and `keep`: whether to leave the servers running.
        what: What the demo shows.
        command: What runs it.
    """
    parser = argparse.ArgumentParser(prog=command, description=what)
    parser.add_argument("--keep", action="store_true", help="leave the servers running")
    keep = parser.parse_args().keep
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        with contextlib.ExitStack() as cleanup:
            cleanup.callback(say, "Stopped the servers and removed their files.")
            directory = Path(tempfile.mkdtemp(prefix="synapse-vault-demo-"))
            cleanup.callback(shutil.rmtree, directory, ignore_errors=True)
            show(cleanup, directory, keep=keep)
    except KeyboardInterrupt:
        return 130
    return 0


def demo(cleanup: contextlib.ExitStack, directory: Path, *, keep: bool) -> None:
    """Show a login, and a login that is refused."""
    bao = OpenBao(directory / "openbao")
    start(cleanup, bao)
    say(f"1. OpenBao runs at {bao.url}, with a KV version 2 engine at secret/.")

    module_token = bao.create_token("synapse", POLICY)
    say(f"2. The module gets a token that may read the secrets and nothing else:\n   {POLICY}")

    module_config = {
        "vault_url": bao.url,
        "vault_token": module_token,
        "vault_path_root": "matrix/users",
    }
    synapse = Synapse(directory / "synapse", module_config, log_level="INFO")
    start(cleanup, synapse)
    say(f"3. Synapse runs at {synapse.url} as example.org, with the module configured.")

    policy = synapse_vault(synapse, bao, "policy", "--for", "provisioning")
    provisioning_token = bao.create_token("provisioning", policy)
    say("4. Whoever creates accounts gets a token that may write the secrets, by this policy:")
    say("   synapse-vault -c homeserver.yaml policy --for provisioning")

    say("5. One command makes an account, puts its secret into Vault and logs in with it:")
    say("   synapse-vault -c homeserver.yaml provision alice --display-name Alice")
    provision = ("--json", "provision", "alice", "--display-name", "Alice")
    user = json.loads(synapse_vault(synapse, bao, *provision, VAULT_TOKEN=provisioning_token))
    user_id, access_token = user["matrix_user_id"], user["access_token"]
    say(f"   {user_id} has this access token: {access_token}")
    path = f"matrix/users/{user_id}"
    login_secret = bao.cli("kv", "get", "-mount=secret", "-field=login_secret", path)

    say(f"6. Synapse offers these login types: {', '.join(synapse.login_flows())}")

    right_hash = token_hash(login_secret, user_id)
    say("7. This is what a login is: a client that knows the secret sends its hash.")
    answer = report(synapse, user_id, right_hash)
    say(f"   The access token: {answer['access_token']}")

    say("8. One that does not know it is refused:")
    report(synapse, user_id, token_hash("a guess", user_id))

    say_log(synapse)
    if keep:
        print_commands(bao, synapse, user_id, directory)
        cleanup.pop_all()


def start(cleanup: contextlib.ExitStack, server: OpenBao | Synapse | Mas) -> None:
    """Start a server, which is stopped at the end."""
    cleanup.callback(server.stop)
    server.start()


def synapse_vault(synapse: Synapse, bao: OpenBao, *arguments: str, **variables: str) -> str:
    """Run the command line with Synapse's configuration and return what it prints."""
    command = [str(Path(sys.executable).with_name("synapse-vault")), "-c", str(synapse.config_path)]
    environment = {"PATH": os.environ["PATH"], "VAULT_ADDR": bao.url, **variables}
    return subprocess.run(
        [*command, *arguments], env=environment, stdout=subprocess.PIPE, text=True, check=True
    ).stdout


def report(synapse: Synapse, user_id: str, presented: str) -> dict[str, str]:
    """Log in, print both sides of it, and return the answer."""
    return say_login("/_matrix/client/v3/login", presented, synapse.login(user_id, presented))


def say_login(path: str, presented: str, response: Response) -> dict[str, str]:
    """Print both sides of a login, and return the answer."""
    request = {"type": "io.t2bot.vault", "token_hash": f"{presented[:8]}..."}
    say(f"   POST {path} {json.dumps(request)}")
    say(f"   {response.status_code} {response.text}")
    answer: dict[str, str] = response.json()
    return answer


def say_log(synapse: Synapse) -> None:
    """Print what the module has logged."""
    say("What Synapse's log says of it:")
    for line in synapse.log().splitlines():
        if " synapse_vault_auth_provider " in line:
            say(f"   {line}")


def print_commands(bao: OpenBao, synapse: Synapse, user_id: str, directory: Path) -> None:
    """Print what to try by hand while both servers run."""
    python = shlex.quote(sys.executable)
    say(f"""
Try it by hand, in a shell:

   export BAO_ADDR={bao.url} BAO_TOKEN={bao.root_token} USER_ID={user_id}
   alias bao={shlex.quote(str(bao_command()))}

   # Read the secret, as the bot's own token would let it, and hash it.
   SECRET=$(bao kv get -mount=secret -field=login_secret "matrix/users/$USER_ID")
   HASH=$(printf %s "$SECRET" | {python} -c 'import sys; from synapse_vault_auth_provider import \
token_hash; print(token_hash(sys.stdin.read(), sys.argv[1]))' "$USER_ID")

   # Log in.
   curl -sS {synapse.url}/_matrix/client/v3/login -d "{{\\"type\\": \\"io.t2bot.vault\\", \
\\"identifier\\": {{\\"type\\": \\"m.id.user\\", \\"user\\": \\"$USER_ID\\"}}, \
\\"token_hash\\": \\"$HASH\\"}}"

   # Give her another secret: the old hash is refused from now on.
   SECRET=$(openssl rand -hex 32)
   printf %s "$SECRET" | bao kv put -mount=secret "matrix/users/$USER_ID" login_secret=-

   # Watch what the module says.
   tail -f {synapse.log_path}""")
    say_how_to_stop(bao, synapse, directory)


def say_how_to_stop(bao: OpenBao, synapse: Synapse, directory: Path) -> None:
    """Print what ends servers that are left running."""
    processes = [str(server.process.pid) for server in (synapse, bao) if server.process]
    say(f"""
Stop both servers and remove their files:

   kill {" ".join(processes)}; rm -r {directory}""")


def say(text: str) -> None:
    """Print for the person who watches."""
    print(text, flush=True)  # noqa: T201


if __name__ == "__main__":
    sys.exit(main(demo, __doc__))
