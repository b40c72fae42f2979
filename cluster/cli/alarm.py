"""leasectl alarm list and disarm."""

from __future__ import annotations

import click

from cluster.cli.app import Command
from cluster.cli.ending import bad_arguments
from cluster.cli.settings import CliSettings


@click.command("list", cls=Command)
@click.argument("words", nargs=-1, metavar="")
@click.pass_obj
def list_alarms(settings: CliSettings, words: tuple[str, ...]) -> None:
    """List all alarms that members have raised."""
    if words:
        bad_arguments("alarm list command accepts no arguments")
    printer = settings.printer("alarm list")
    with settings.connect() as client:
        result = client.alarm_list()
    printer.alarm(result, is_list=True)


@click.command(cls=Command)
@click.argument("words", nargs=-1, metavar="")
@click.pass_obj
def disarm(settings: CliSettings, words: tuple[str, ...]) -> None:
    """Clear all alarms, and print the ones cleared.

    A NOSPACE alarm ends by itself when there is enough space again.
    """
    if words:
        bad_arguments("alarm disarm command accepts no arguments")
    printer = settings.printer("alarm disarm")
    with settings.connect() as client:
        result = client.alarm_disarm()
    printer.alarm(result, is_list=False)
