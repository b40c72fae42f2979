"""leasectl lease grant, revoke, timetolive, list and keep-alive."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

import click

from cluster.cli import completing
from cluster.cli.app import Command
from cluster.cli.ending import EXIT_BAD_CONNECTION, bad_arguments, failure
from cluster.cli.settings import CliSettings
from cluster.errors import LeaseholdError, LeaseNotFoundError
from cluster.values import parse_int, parse_seconds

if TYPE_CHECKING:
    from cluster.cli.printers import Printer
    from cluster.client.api import Client

SHORTEST_SECONDS: Final = 0.001
"""A TTL in seconds that is below the shortest of any cluster."""


@click.command(cls=Command)
@click.argument("words", nargs=-1, metavar="TTL")
@click.pass_obj
def grant(settings: CliSettings, words: tuple[str, ...]) -> None:
    """Create a lease with a TTL in seconds."""
    if len(words) != 1:
        bad_arguments("lease grant command needs TTL argument")
    try:
        ttl = parse_seconds(words[0])
    except ValueError as error:
        bad_arguments(f"bad TTL ({error})")
    printer = settings.printer("lease grant")
    with settings.connect() as client:
        try:
            # As in etcd, a TTL that is too short becomes the cluster's shortest.
            result = client.lease.grant(ttl if ttl > 0 else SHORTEST_SECONDS).granted
        except LeaseholdError as error:
            failure(error, text="failed to grant lease ({})")
    printer.lease_grant(result)


@click.command(cls=Command)
@click.argument("words", nargs=-1, metavar="LEASE_ID", shell_complete=completing.leases)
@click.pass_obj
def revoke(settings: CliSettings, words: tuple[str, ...]) -> None:
    """Revoke a lease and delete its keys."""
    if len(words) != 1:
        bad_arguments("lease revoke command needs 1 argument")
    lease_id = _lease_id(words)
    printer = settings.printer("lease revoke")
    with settings.connect() as client:
        try:
            result = client.lease.revoke(lease_id)
        except LeaseholdError as error:
            failure(error, text="failed to revoke lease ({})")
    printer.lease_revoke(lease_id, result)


@click.command(cls=Command)
@click.argument("words", nargs=-1, metavar="LEASE_ID", shell_complete=completing.leases)
@click.option("--keys", is_flag=True, help="Get keys attached to this lease")
@click.pass_obj
def timetolive(settings: CliSettings, words: tuple[str, ...], keys: bool) -> None:
    """Get lease information."""
    if len(words) != 1:
        bad_arguments("lease timetolive command needs lease ID as argument")
    lease_id = _lease_id(words)
    printer = settings.printer("lease timetolive")
    with settings.connect() as client:
        try:
            result = client.lease.time_to_live(lease_id, keys)
        except LeaseholdError as error:
            failure(error, EXIT_BAD_CONNECTION)
    printer.lease_time_to_live(result, keys)


@click.command("list", cls=Command)
@click.argument("words", nargs=-1, metavar="")
@click.pass_obj
def list_leases(settings: CliSettings, words: tuple[str, ...]) -> None:
    """List all active leases."""
    printer = settings.printer("lease list")
    with settings.connect() as client:
        try:
            result = client.lease.list()
        except LeaseholdError as error:
            failure(error, EXIT_BAD_CONNECTION)
    printer.lease_list(result)


@click.command("keep-alive", cls=Command)
@click.argument("words", nargs=-1, metavar="LEASE_ID", shell_complete=completing.leases)
@click.option("--once", is_flag=True, help="Renew once, and exit")
@click.pass_obj
def keep_alive(settings: CliSettings, words: tuple[str, ...], once: bool) -> None:
    """Renew a lease every third of its TTL, until Ctrl-C or its end."""
    if len(words) != 1:
        bad_arguments("lease keep-alive command needs lease ID as argument")
    lease_id = _lease_id(words)
    printer = settings.printer("lease keep-alive")
    with settings.connect() as client:
        try:
            if once:
                printer.lease_keep_alive(client.lease.keep_alive_once(lease_id))
            else:
                _renew(client, lease_id, printer)
        except LeaseNotFoundError as error:
            if once:
                failure(error, EXIT_BAD_CONNECTION)
            printer.lease_gone(lease_id)
        except LeaseholdError as error:
            failure(error, EXIT_BAD_CONNECTION)


def _renew(client: Client, lease_id: int, printer: Printer) -> None:
    """Renew until the lease is gone, or until its TTL has passed without an answer."""
    from cluster.client.threads.shell import sleep  # noqa: PLC0415 - as connect() does

    good_until = 0.0
    while True:
        sent_at = time.monotonic()
        try:
            result = client.lease.keep_alive_once(lease_id)
        except LeaseNotFoundError:
            raise
        except LeaseholdError as error:
            if not good_until:
                raise
            if time.monotonic() >= good_until:
                raise LeaseNotFoundError(error.message) from None
            continue
        printer.lease_keep_alive(result)
        good_until = sent_at + result.ttl
        sleep(sent_at + result.ttl / 3 - time.monotonic())


def _lease_id(words: tuple[str, ...]) -> int:
    try:
        return parse_int(words[0], 16)
    except ValueError as error:
        bad_arguments(f"bad lease ID arg ({error}), expecting ID in Hex")
