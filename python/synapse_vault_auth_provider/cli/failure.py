"""Failures that whoever runs the command can do something about, and how they are said."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING

import click

from ..provisioning import ProvisioningError
from .colour import painted
from .output import printable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

IN_OUR_WORDS = {
    "call again with adopt": "run this again with --adopt",
    "give it as ca_cert": "give it with --ca-cert",
    "certificate as ca_cert": "certificate with --ca-cert",
}
"""What errors say to who writes Python, and what it is here."""

IN_WORDS_WITHOUT_FILE = {
    "put a new one into vault_token (or VAULT_TOKEN) and restart Synapse": (
        "give another one with --vault-token-file or VAULT_TOKEN"
    ),
    "give another token (VAULT_TOKEN), a token file, or vault_auth": (
        "give another token with --vault-token-file or VAULT_TOKEN"
    ),
    "check vault_token, its file, or vault_auth": "give another one",
    "vault_tls.ca_cert": "VAULT_CACERT",
    "vault_tls": "VAULT_CACERT and the other variables for TLS",
    "vault_url": "VAULT_ADDR",
    "vault_token": "VAULT_TOKEN",
    "vault_namespace": "VAULT_NAMESPACE",
    "vault_kv_mount_point": "--mount",
    "vault_kv_version": "SYNAPSE_VAULT_KV_VERSION",
    "vault_path_root": "--path-root",
}
"""What errors call keys of the module's configuration, and what gives them where there is none."""


class CommandError(Exception):
    """An expected failure of the command itself. Its text holds no secret."""

    def __init__(self, what: str, advice: str | None = None) -> None:
        """Say what is wrong.

        Args:
            what: In one line, without a full stop.
            advice: How to fix it, in a sentence.
        """
        super().__init__(what)
        self.message = what
        self.advice = advice


def report(error: CommandError | ProvisioningError, subject: str | None = None) -> None:
    """Write a failure to standard error.

    Args:
        error: What went wrong.
        subject: Whom it happened to, if the command goes on with others.
    """
    about = f"{printable(subject)}: " if subject else ""
    mark = painted("error:", "red", err=True)
    message = in_our_words(error.message) if _is_of_core(error) else error.message
    click.echo(f"{mark} {about}{_lines(message)}", err=True)
    for advice in _advice(error):
        click.echo(_lines(advice), err=True)


def _advice(error: CommandError | ProvisioningError) -> Iterator[str]:
    """Return what to do about a failure, in the words of the command line."""
    if error.advice:
        yield in_our_words(error.advice) if _is_of_core(error) else error.advice
    if isinstance(error, ProvisioningError) and error.retry_after:
        seconds = math.ceil(error.retry_after)
        yield f"Try again in {seconds} second{'' if seconds == 1 else 's'}."


def _is_of_core(error: CommandError | ProvisioningError) -> bool:
    return isinstance(error, ProvisioningError)


class Wording:
    """How the command calls what gives a setting: by the key in a file, if it was given one."""

    has_file: Callable[[], bool] = staticmethod(lambda: False)
    """Whether there is a file. Options behind the verb are only known later."""


def in_our_words(text: str) -> str:
    """Say what the core says in the words of the command line."""
    words = IN_OUR_WORDS if Wording.has_file() else {**IN_OUR_WORDS, **IN_WORDS_WITHOUT_FILE}
    for written, said in words.items():
        # A key with a colon behind it is what the core calls the setting that is wrong.
        text = re.sub(rf"(?<![\w.]){re.escape(written)}(?![\w:])", said, text)
    return text


def _lines(text: str) -> str:
    return "\n".join(printable(line) for line in text.splitlines())
