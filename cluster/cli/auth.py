"""leasectl auth enable, disable and status."""

from __future__ import annotations

import click

from cluster.cli.app import Command
from cluster.cli.ending import bad_arguments
from cluster.cli.output import emit
from cluster.cli.settings import CliSettings
from cluster.errors import LeaseholdError
from cluster.faults import name_of

ROOT = "root"
"""The user that must exist, and its role."""


@click.command(cls=Command)
@click.argument("words", nargs=-1, metavar="")
@click.pass_obj
def enable(settings: CliSettings, words: tuple[str, ...]) -> None:
    """Have requests checked from now on.

    The user root must exist; it gets the role root if it lacks it. From then on requests need a
    user: `--user root`.
    """
    if words:
        bad_arguments("auth enable command does not accept any arguments")
    settings.require_known_format()
    with settings.connect() as client:
        try:
            client.auth_enable()
        except LeaseholdError as error:
            if name_of(error.message) != "RootRoleNotExist":
                raise
            client.role_add(ROOT)
            client.user_grant_role(ROOT, ROOT)
            client.auth_enable()
    emit(b"Authentication Enabled")


@click.command(cls=Command)
@click.argument("words", nargs=-1, metavar="")
@click.pass_obj
def disable(settings: CliSettings, words: tuple[str, ...]) -> None:
    """Have requests checked no longer; users and roles stay."""
    if words:
        bad_arguments("auth disable command does not accept any arguments")
    settings.require_known_format()
    with settings.connect() as client:
        client.auth_disable()
    emit(b"Authentication Disabled")


@click.command(cls=Command)
@click.argument("words", nargs=-1, metavar="")
@click.pass_obj
def status(settings: CliSettings, words: tuple[str, ...]) -> None:
    """Show whether requests are checked."""
    if words:
        bad_arguments("auth status command does not accept any arguments")
    printer = settings.printer("auth status")
    with settings.connect() as client:
        result = client.auth_status()
    printer.auth_status(result)
