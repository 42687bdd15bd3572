"""The same under Matrix Authentication Service (MAS), of which a stand-in runs here.

Run by ``make demo MAS=1``.
"""

from __future__ import annotations

import contextlib
import json
import sys
from typing import TYPE_CHECKING

import requests
from synapse_vault_auth_provider import token_hash

from .demo import POLICY, main, say, say_log, say_login, start, synapse_vault
from .harness.mas_deployment import LOGIN, LOGOUT
from .servers import Mas, OpenBao, Synapse
from .servers.synapse import SERVER_NAME

if TYPE_CHECKING:
    from pathlib import Path


def demo(cleanup: contextlib.ExitStack, directory: Path, *, keep: bool) -> None:
    """Show logging in and out. With `keep`, wait at the end: the stand-in runs in this process."""
    bao = OpenBao(directory / "openbao")
    start(cleanup, bao)
    say(f"1. OpenBao runs at {bao.url}, with a KV version 2 engine at secret/.")

    mas = Mas(SERVER_NAME)
    start(cleanup, mas)
    say(f"2. A stand-in for Matrix Authentication Service (MAS) runs at {mas.url}.")
    say("   It is not MAS, of which there is no package, but it answers like MAS, and a real")
    say("   Synapse accepts its tokens. The module gets a client of its admin API.")

    secret_file = directory / "mas-client-secret"
    secret_file.touch(0o600)
    secret_file.write_text(mas.client.secret)
    module_config = {
        "vault_url": bao.url,
        "vault_token": bao.create_token("synapse", POLICY),
        "vault_path_root": "matrix/users",
        "mas": {
            "admin_api": mas.url,
            "client_id": mas.client.id,
            "client_secret_file": str(secret_file),
        },
    }
    synapse = Synapse(
        directory / "synapse", module_config, settings=mas.homeserver_yaml, log_level="INFO"
    )
    mas.homeserver.url = synapse.url
    start(cleanup, synapse)
    say(f"3. Synapse runs at {synapse.url} as {SERVER_NAME}. It leaves its users to MAS, and")
    say("   has the module with the key `mas`.")

    policy = synapse_vault(synapse, bao, "policy", "--for", "provisioning")
    provisioning_token = bao.create_token("provisioning", policy)
    say("4. One command makes an account at MAS, puts its secret into Vault and logs in with it:")
    say("   synapse-vault -c homeserver.yaml provision alice --display-name Alice")
    provision = ("--json", "provision", "alice", "--display-name", "Alice")
    user = json.loads(synapse_vault(synapse, bao, *provision, VAULT_TOKEN=provisioning_token))
    user_id = user["matrix_user_id"]
    say(f"   {user_id} has this access token: {user['access_token']}")

    login_secret = bao.cli(
        "kv", "get", "-mount=secret", "-field=login_secret", f"matrix/users/{user_id}"
    )
    say("5. This is what a login is: a client that knows the secret sends its hash.")
    answer = report(synapse, user_id, token_hash(login_secret, user_id))
    headers = {"Authorization": f"Bearer {answer['access_token']}"}
    show_request("GET", synapse, "/_matrix/client/v3/account/whoami", headers)

    say("6. One that does not know it is refused:")
    report(synapse, user_id, token_hash("a guess", user_id))

    say("7. Logging out ends the session at MAS, and its device in Synapse:")
    show_request("POST", synapse, LOGOUT, headers)
    mas.jobs.wait()
    show_request("GET", synapse, "/_matrix/client/v3/account/whoami", headers)

    say_log(synapse)
    if keep:
        say(f"All of it runs until you press Enter. USER_ID={user_id} BAO_TOKEN={bao.root_token}")
        with contextlib.suppress(EOFError):
            input()


def report(synapse: Synapse, user_id: str, presented: str) -> dict[str, str]:
    """Log in, print both sides of it, and return the answer."""
    body = {
        "type": "io.t2bot.vault",
        "identifier": {"type": "m.id.user", "user": user_id},
        "token_hash": presented,
    }
    response = requests.post(synapse.url + LOGIN, json=body, timeout=60)
    return say_login(LOGIN, presented, response)


def show_request(method: str, synapse: Synapse, path: str, headers: dict[str, str]) -> None:
    """Send a request with a token, and print it and the answer."""
    response = requests.request(method, synapse.url + path, headers=headers, timeout=60)
    say(f"   {method} {path}")
    say(f"   {response.status_code} {response.text}")


if __name__ == "__main__":
    sys.exit(main(demo, __doc__))
