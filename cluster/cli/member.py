"""leasectl member list."""

from __future__ import annotations

import click

from cluster.cli.app import Command
from cluster.cli.settings import Settings


@click.command("list", cls=Command)
@click.argument("words", nargs=-1, metavar="")
@click.pass_obj
def list_members(settings: Settings, words: tuple[str, ...]) -> None:
    """List all members in the cluster."""
    printer = settings.printer("member list")
    with settings.connect() as client:
        result = client.member_list()
    printer.member_list(result)
