"""leasectl help: about a command, as its own --help prints it."""

from __future__ import annotations

import click

from cluster.cli.app import Command
from cluster.cli.output import complain


@click.command("help", cls=Command)
@click.argument("words", nargs=-1, metavar="[COMMAND ...]")
@click.pass_context
def help_about(context: click.Context, words: tuple[str, ...]) -> None:
    """Help about any command.

    As in etcdctl, words that are no command are told, or passed over behind a group, and the status
    is 0.
    """
    about = root = context.find_root()
    for word in words:
        group = about.command
        command = group.get_command(about, word) if isinstance(group, click.Group) else None
        if command is None:
            break
        about = click.Context(command, info_name=command.name, parent=about)
    if words and about is root:
        complain(f"Unknown help topic [{' '.join(f'`{word}`' for word in words)}]")
    click.echo(about.get_help())
