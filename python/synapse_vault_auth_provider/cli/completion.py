"""``synapse-vault completion``."""

import click
from click.shell_completion import get_completion_class

from .connection import Connection
from .output import show
from .verb import json_option, pass_connection

SHELLS = ("bash", "zsh", "fish")


@click.command(short_help="Print a script that completes words in a shell.")
@click.argument("shell", type=click.Choice(SHELLS))
@json_option
@click.pass_context
@pass_connection
def completion(connection: Connection, context: click.Context, shell: str) -> None:
    """Print a script that completes this command's words in a shell.

    \b
    bash: eval "$(synapse-vault completion bash)"          in ~/.bashrc
    zsh:  eval "$(synapse-vault completion zsh)"           in ~/.zshrc
    fish: synapse-vault completion fish | source           in ~/.config/fish/config.fish
    """  # noqa: D301 (click's mark for lines that are not to be filled)
    root = context.find_root()
    name = root.info_name or ""
    completing = get_completion_class(shell)
    if completing is None:
        raise click.BadParameter(f"{shell} is not supported", param_hint="SHELL")
    script = completing(root.command, {}, name, f"_{name}_COMPLETE".replace("-", "_").upper())
    if connection.as_json:
        show({"shell": shell, "script": script.source()}, as_json=True)
    else:
        click.echo(script.source())
