"""leasectl version."""

from __future__ import annotations

import click

from cluster import __version__
from cluster.cli.app import PROGRAM, Command
from cluster.cli.output import emit


@click.command(cls=Command)
@click.argument("words", nargs=-1, metavar="")
def version(words: tuple[str, ...]) -> None:
    """Print the version of leasectl."""
    api = ".".join(__version__.split(".")[:2])
    emit(f"{PROGRAM} version: {__version__}".encode(), f"API version: {api}".encode())
