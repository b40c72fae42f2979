"""leasectl defrag."""

from __future__ import annotations

import click

from cluster.cli.app import Command
from cluster.cli.ending import EXIT_ERROR
from cluster.cli.endpoint import endpoints_of
from cluster.cli.output import complain, emit
from cluster.cli.settings import CliSettings
from cluster.errors import LeaseholdError


@click.command(cls=Command)
@click.argument("words", nargs=-1, metavar="")
@click.option("--cluster", is_flag=True, help="All members, not just the endpoints given")
@click.pass_obj
def defrag(settings: CliSettings, words: tuple[str, ...], cluster: bool) -> None:
    """Have each endpoint's node give unused disk space back.

    Requests are served meanwhile. It is seldom needed: later writes use the space again.
    """
    settings.require_known_format()
    failed = False
    for endpoint in endpoints_of(settings, cluster):
        try:
            with settings.connect([endpoint]) as client:
                client.defragment(endpoint)
        except LeaseholdError as error:
            complain(f"Failed to defragment etcd member[{endpoint}] ({error.message})")
            failed = True
        else:
            emit(f"Finished defragmenting etcd member[{endpoint}]".encode())
    if failed:
        raise SystemExit(EXIT_ERROR)
