"""The command as an administrator runs it at a shell, on servers that run."""

from __future__ import annotations

import json
import os
import pty
import select
import subprocess
import sysconfig
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .provisioning import Site

COMMAND = Path(sysconfig.get_path("scripts")) / "synapse-vault"


@dataclass(frozen=True)
class Ended:
    """How the command ended and what it wrote."""

    code: int
    out: str
    err: str

    @property
    def lines(self) -> list[list[str]]:
        """Standard output, each line cut at its tabs."""
        return [line.split("\t") for line in self.out.splitlines()]

    @property
    def json(self) -> Any:
        """The JSON on standard output, which is one line."""
        (line,) = self.out.splitlines()
        return json.loads(line)

    @property
    def json_lines(self) -> list[Any]:
        """The JSON in each line of standard output."""
        return [json.loads(line) for line in self.out.splitlines()]

    def check_success(self) -> Ended:
        """Fail unless all of it worked and there was nothing to complain of."""
        assert (self.code, self.err) == (0, ""), self
        return self

    def check_failure(self, *texts: str, code: int = 1) -> Ended:
        """Fail unless there is nothing but an error, with these texts."""
        assert (self.code, self.out) == (code, ""), self
        assert self.err.startswith("error: "), self
        assert "Traceback" not in self.err
        for text in texts:
            assert text in self.err
        return self

    def check_failure_of_command(self, code: int) -> str:
        """Fail unless a command that was run ended so; return what was said about it."""
        assert (self.code, self.out) == (code, ""), self
        assert "Traceback" not in self.err
        return self.err


class CommandLine:
    """Runs the command with Synapse's configuration and a token that may write."""

    def __init__(self, site: Site, directory: Path) -> None:
        """Get a token that may do what the command itself says that it needs.

        Args:
            site: The homeserver and its Vault.
            directory: Where the command runs.
        """
        self.site = site
        self.directory = directory
        self.config = ("-c", str(site.synapse.config_path))
        self.environment = {"PATH": os.environ["PATH"], "HOME": str(directory)}
        self.policies = self.run("policy", "--json").check_success().json
        self.environment["VAULT_TOKEN"] = self.vault_token("provisioning")

    def vault_token(self, whose: str) -> str:
        """Return a token that may do what the command says that the module or it needs."""
        token = self.site.openbao.create_token(f"cli-{whose}", self.policies[whose])
        return self.site.confidential.add(token)

    def run(
        self,
        *arguments: str | Path,
        config: tuple[str, ...] | None = None,
        stdin: str = "",
        **environment: str | None,
    ) -> Ended:
        """Run the command to its end.

        Args:
            arguments: What comes behind the options for Synapse's configuration.
            config: Other such options.
            stdin: What is on standard input.
            environment: More environment variables; `None` takes one away.
        """
        process = self.start(*arguments, config=config, **environment)
        out, err = process.communicate(stdin, timeout=300)
        return self.ended(process, out, err)

    def start(
        self,
        *arguments: str | Path,
        config: tuple[str, ...] | None = None,
        **environment: str | None,
    ) -> subprocess.Popen[str]:
        """Do the same without waiting for the end."""
        merged: Mapping[str, str | None] = {**self.environment, **environment}
        return subprocess.Popen(
            [COMMAND, *(self.config if config is None else config), *arguments],
            cwd=self.directory,
            env={name: value for name, value in merged.items() if value is not None},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run_on_terminal(self, *arguments: str, answer: str | None = None) -> tuple[int, str]:
        """Run the command on a terminal, and answer its question if it has one.

        Returns:
            The exit code, and what the terminal showed.
        """
        ours, theirs = pty.openpty()

        def take_terminal() -> None:
            os.setsid()
            os.close(os.open(os.ttyname(theirs), os.O_RDWR))

        process = subprocess.Popen(
            [COMMAND, *self.config, *arguments],
            cwd=self.directory,
            env=self.environment,
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            preexec_fn=take_terminal,
        )
        os.close(theirs)
        shown = b""
        # Linux tells with an error that nobody has the terminal any more.
        with suppress(OSError):
            while answer is None or b"[y/N]" not in shown:
                shown += os.read(ours, 4096)
            while True:
                # Python forgets a Ctrl-C that comes just before it waits for the answer.
                os.write(ours, answer.encode())
                while select.select([ours], [], [], 1)[0]:
                    shown += os.read(ours, 4096)
        os.close(ours)
        return process.wait(), shown.decode()

    def ended(self, process: subprocess.Popen[str], out: str, err: str) -> Ended:
        """Return how a process ended; fail if it complained with what is confidential in it."""
        for secret in ("access_token", "token_hash"):
            for line in out.splitlines():
                if secret in line and line.startswith("{"):
                    self.site.confidential.add(json.loads(line)[secret] or "")
        self.site.confidential.check_text(err)
        return Ended(process.returncode, out, err)
