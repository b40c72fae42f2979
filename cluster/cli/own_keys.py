"""leasectl keys init and keys cluster: a key of one's own, and the keys of the nodes."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import click

from cluster.cli.app import Command
from cluster.cli.ending import EXIT_BAD_ARGUMENTS, CommandError, bad_arguments
from cluster.cli.output import complain, emit
from cluster.cli.settings import CliSettings

KEY_DIRECTORY: Final = Path("~/.config/leasehold")
KEY_FILE: Final = "client.key"


@click.command(cls=Command)
@click.argument("words", nargs=-1, metavar="")
@click.option("--dir", "directory", default="", metavar="DIR", help=f"Where  [{KEY_DIRECTORY}]")
@click.pass_obj
def init(settings: CliSettings, words: tuple[str, ...], directory: str) -> None:
    """Make a key of your own, unless there is one, and print its public half."""
    from cluster.curve import HeldKeys, new_pair  # noqa: PLC0415 - other commands need no keys
    from cluster.key_files import CLIENT, KeyFileError, read, write  # noqa: PLC0415

    if words:
        bad_arguments("keys init command accepts no arguments")
    path = (Path(directory) if directory else KEY_DIRECTORY.expanduser()) / KEY_FILE
    try:
        if not path.exists():
            write(path, CLIENT, HeldKeys(new_pair()))
        held = read(path, CLIENT)
    except (KeyFileError, OSError) as error:
        raise CommandError(str(error), EXIT_BAD_ARGUMENTS) from None
    complain(f"the secret half is in {path}: export LEASECTL_KEY_FILE={path}")
    emit(held.pair.public.encode())


@click.command(cls=Command)
@click.argument("words", nargs=-1, metavar="")
@click.pass_obj
def cluster(settings: CliSettings, words: tuple[str, ...]) -> None:
    """Print the endpoints of all members with their keys, for $LEASECTL_CLUSTER_FILE."""
    if words:
        bad_arguments("keys cluster command accepts no arguments")
    with settings.connect() as client:
        listed = client.member_list()
    lines = [
        f"{url.partition('://')[2]}#{member.keys[-1]}"
        for member in listed.members
        for url in member.client_urls
        if member.keys
    ]
    if not lines:
        raise CommandError("the members of this cluster have no keys, or none has started")
    emit(*(line.encode() for line in lines))
