"""The command among others: pipes that break, disks that are full, Ctrl-C."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sysconfig
from pathlib import Path

import pytest

COMMAND = Path(sysconfig.get_path("scripts")) / "synapse-vault"
ALICE = "@alice:example.org"


def run(*arguments: str, stdout: int, **environment: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [COMMAND, *arguments],
        input=b"s3cret",
        stdout=stdout,
        stderr=subprocess.PIPE,
        env={"PATH": os.environ["PATH"], **environment},
        check=False,
        timeout=60,
    )


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no full disk")
def test_a_full_disk_is_told() -> None:
    with Path("/dev/full").open("wb") as full:
        ended = run("hash", ALICE, stdout=full.fileno())
    assert (ended.returncode, ended.stderr) == (1, b"error: No space left on device\n")


def test_a_reader_that_has_left_is_no_reason_for_words() -> None:
    read, write = os.pipe()
    os.close(read)
    ended = run("hash", ALICE, stdout=write)
    os.close(write)
    assert (ended.returncode, ended.stderr) == (1, b"")


@pytest.mark.parametrize("arguments", [("hash", ALICE), ("provision", "--from", "-")], ids=" ".join)
def test_there_may_be_no_standard_input(arguments: tuple[str, ...]) -> None:
    ended = subprocess.run(
        ["sh", "-c", 'exec "$0" "$@" <&-', COMMAND, *arguments],
        capture_output=True,
        text=True,
        env={
            "PATH": os.environ["PATH"],
            "VAULT_ADDR": "http://127.0.0.1:9",
            "VAULT_TOKEN": "token",
            "SYNAPSE_VAULT_HOMESERVER": "http://127.0.0.1:9",
            "SYNAPSE_VAULT_SERVER_NAME": "example.org",
            "SYNAPSE_VAULT_PATH_ROOT": "matrix/users",
        },
        check=False,
    )
    assert ended.returncode == 1
    assert ended.stderr.startswith("error: there is no standard input to read the ")


def test_names_that_the_terminal_cannot_show_are_no_failure() -> None:
    module = '{"module": "synapse_vault_auth_provider.VaultAuthProvider", "config": {%s}}'
    config = '{"modules": [%s]}' % (module % '"vault_path_root": "us\\u0141rs"')
    read, write = os.pipe()
    os.write(write, config.encode())
    os.close(write)
    shown = subprocess.run(
        [COMMAND, "-c", f"/dev/fd/{read}", "policy", "--for", "module"],
        pass_fds=[read],
        capture_output=True,
        text=True,
        env={"PATH": os.environ["PATH"], "PYTHONIOENCODING": "latin-1"},
        check=True,
    )
    os.close(read)
    assert "us\\u0141rs" in shown.stdout


@pytest.mark.parametrize("verb", ["login", "rotate", "doctor", "list"])
def test_ctrl_c_ends_a_command_that_waits(verb: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        process = subprocess.Popen(
            [COMMAND, verb, *([] if verb == "list" else ["alice"])],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={
                "PATH": os.environ["PATH"],
                "SYNAPSE_VAULT_HOMESERVER": url,
                "SYNAPSE_VAULT_SERVER_NAME": "example.org",
                "SYNAPSE_VAULT_PATH_ROOT": "matrix/users",
                "SYNAPSE_VAULT_TIMEOUT": "10m",
                "VAULT_ADDR": url,
                "VAULT_TOKEN": "hvs.s3cret",
            },
        )
        connection, _ = silent.accept()
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
        connection.close()
    assert (process.returncode, out) == (130, "")
    assert "Traceback" not in err
