"""``synapse-vault doctor``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from .._core import Settings, SettingsError
from ..config import environment, to_json
from ..delegation import mismatch
from ..provisioning import ProvisioningError
from .colour import painted
from .failure import CommandError, in_our_words
from .output import printable, show_json
from .verb import json_option, pass_connection

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .connection import Connection

CHECK = "configuration"
"""What is looked at first, before anything is asked for over the network."""


SKIPPED = [
    {
        "check": check,
        "status": "skipped",
        "detail": "the configuration has to be right first",
        "advice": None,
    }
    for check in (
        *("Vault", "token", "KV engine", "may read", "may not write"),
        *("homeserver", "login type", "secret", "login"),
    )
]
"""What is looked at over the network, in the order of a login, where nothing can be."""

COLOURS = {"ok": "green", "warning": "yellow", "failed": "red", "skipped": "bright_black"}


@click.command(short_help="Say what is wrong and how to fix it.")
@click.argument("user", metavar="[USER]", required=False)
@json_option
@pass_connection
def doctor(connection: Connection, user: str | None) -> int:
    """Check everything that a login needs, and say what is wrong and how to fix it.

    With -c, Vault is asked with the module's own access: Synapse's configuration comes first, and
    the environment is used for what is missing there. With a user, the user's secret is checked
    too, and the user is logged in and out again.
    """
    findings = list(_findings(connection, user))
    failed = any(finding["status"] == "failed" for finding in findings)
    if connection.as_json:
        show_json({"ok": not failed, "findings": findings})
    else:
        for finding in findings:
            click.echo(_line(finding))
    return 1 if failed else 0


def _findings(connection: Connection, user: str | None) -> Iterator[dict[str, Any]]:
    configured = _configured(connection) if connection.config_paths else None
    if configured:
        yield configured
    try:
        with connection.open_as_module() as provisioner:
            findings = provisioner.diagnose(user)
    except (CommandError, ProvisioningError) as error:
        if not configured or configured["status"] != "failed":
            yield _reworded(_failed(error.message, error.advice))
        yield from SKIPPED
    else:
        yield from (_reworded(finding.as_dict()) for finding in findings)


def _configured(connection: Connection) -> dict[str, Any]:
    """Check the whole configuration of the module, with what only its logins know."""
    files = ", ".join(map(str, connection.config_paths))
    try:
        connection.synapse.refuse_duplicates()
        module = connection.module
        if module is None:
            more = connection.synapse.missing_directory
            raise CommandError(
                f"{files} does not name the module",
                f"Add -c {more}, or synapse_vault_auth_provider.VaultAuthProvider to modules."
                if more
                else "Add synapse_vault_auth_provider.VaultAuthProvider to modules.",
            )
        wrong = mismatch(
            delegates=connection.synapse.delegates,
            has_mas=module.get("mas") is not None,
            is_legacy=connection.synapse.is_legacy,
            is_experimental=connection.synapse.delegates_by_experiment,
        )
        if wrong:
            advice = f"In {files}: {wrong.advice}."
            raise CommandError(f"{wrong.key}: {wrong.what}. Synapse does not start.", advice)
        settings = Settings.parse(to_json(module), environment())
    except CommandError as error:
        return _failed(error.message, error.advice)
    except SettingsError as error:
        key, message = error.args
        return _failed(f"{key}: {message}", f"Correct {key} in {files}.")
    if settings.warnings:
        detail = "; ".join(settings.warnings)
        advice = f"Correct it in {files}."
        return {"check": CHECK, "status": "warning", "detail": detail, "advice": advice}
    detail = f"Synapse accepts what {files} says of the module"
    return {"check": CHECK, "status": "ok", "detail": detail, "advice": None}


def _failed(detail: str, advice: str | None) -> dict[str, Any]:
    return {"check": CHECK, "status": "failed", "detail": detail, "advice": advice}


def _reworded(finding: dict[str, Any]) -> dict[str, Any]:
    advice = finding["advice"]
    return {
        **finding,
        "detail": in_our_words(finding["detail"]),
        "advice": in_our_words(advice) if advice else None,
    }


def _line(finding: dict[str, Any]) -> str:
    status = finding["status"]
    mark = status.upper() if status == "failed" else status
    line = f"{finding['check']}: {finding['detail']}"
    advised = f"{line} -> {finding['advice']}" if finding["advice"] else line
    return f"{painted(f'{mark:<7}', COLOURS[status])}  {printable(advised)}"
