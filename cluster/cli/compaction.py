"""leasectl compaction."""

from __future__ import annotations

import click

from cluster.cli.app import Command
from cluster.cli.ending import CommandError, bad_arguments
from cluster.cli.output import emit
from cluster.cli.settings import CliSettings
from cluster.values import parse_int


@click.command(cls=Command)
@click.argument("words", nargs=-1, metavar="REVISION")
@click.option("--physical", is_flag=True, help="Wait until nothing old is left on the disk")
@click.pass_obj
def compaction(settings: CliSettings, words: tuple[str, ...], physical: bool) -> None:
    """Delete the history before a revision; the revision itself can still be read."""
    if len(words) != 1:
        bad_arguments("compaction command needs 1 argument")
    try:
        revision = parse_int(words[0])
    except ValueError as error:
        raise CommandError(str(error)) from None
    settings.require_known_format()
    with settings.connect() as client:
        client.compact(revision, physical)
    # etcdctl prints this text whatever --write-out says.
    emit(b"compacted revision %d" % revision)
