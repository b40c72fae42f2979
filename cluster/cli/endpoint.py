"""leasectl endpoint status, health and hashkv."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Final

import click

from cluster.cli.app import Command
from cluster.cli.ending import EXIT_ERROR, CommandError
from cluster.cli.output import complain, emit
from cluster.cli.printers import EndpointHash, EndpointHealth, EndpointStatus, health_line
from cluster.cli.settings import CliSettings, GoInt
from cluster.errors import LeaseholdError, PermissionDeniedError
from cluster.schemes import OF_FRONTS

if TYPE_CHECKING:
    from cluster.client.api import Client

PROBE_KEY: Final = "health"
"""The key that a health check reads; whether it exists does not matter."""

ENDPOINTS_AT_ONCE_MAX: Final = 16


@click.command(cls=Command)
@click.argument("words", nargs=-1, metavar="")
@click.option("--cluster", is_flag=True, help="Ask all members, not just the endpoints given")
@click.pass_context
def status(context: click.Context, words: tuple[str, ...], cluster: bool) -> None:
    """Print the status of each endpoint."""
    settings: CliSettings = context.obj
    printer = settings.printer("endpoint status")
    endpoints = endpoints_of(settings, cluster)
    rows: list[EndpointStatus] = []
    for endpoint in endpoints:
        try:
            with settings.connect([endpoint]) as client:
                rows.append(EndpointStatus(endpoint, client.status(endpoint)))
        except LeaseholdError as error:
            complain(f"Failed to get the status of endpoint {endpoint} ({error.message})")
    printer.endpoint_status(rows)
    if len(rows) < len(endpoints):
        raise SystemExit(EXIT_ERROR)


@click.command(cls=Command)
@click.argument("words", nargs=-1, metavar="")
@click.option("--cluster", is_flag=True, help="Ask all members, not just the endpoints given")
@click.pass_obj
def health(settings: CliSettings, words: tuple[str, ...], cluster: bool) -> None:
    """Check the health of each endpoint: whether it answers a linearizable read."""
    printer = settings.printer("endpoint health")
    endpoints = endpoints_of(settings, cluster)
    clients = [settings.client([endpoint]) for endpoint in endpoints]
    with ThreadPoolExecutor(ENDPOINTS_AT_ONCE_MAX) as pool:
        rows = list(pool.map(_check, clients))
    if settings.write_out == "simple":
        for row in rows:
            if row.error:
                complain(health_line(row))
            else:
                emit(health_line(row).encode())
    else:
        printer.endpoint_health(rows)
    if any(row.error for row in rows):
        raise CommandError("unhealthy cluster")


@click.command(cls=Command)
@click.argument("words", nargs=-1, metavar="")
@click.option("--cluster", is_flag=True, help="Ask all members, not just the endpoints given")
@click.option("--rev", type=GoInt(), default=0, help="Hash up to this revision  [default: latest]")
@click.pass_obj
def hashkv(settings: CliSettings, words: tuple[str, ...], cluster: bool, rev: int) -> None:
    """Print a hash of the data of each endpoint's node: equal on all, at the same revision."""
    printer = settings.printer("endpoint hashkv")
    rows: list[EndpointHash] = []
    failure = ""
    for endpoint in endpoints_of(settings, cluster):
        try:
            with settings.connect([endpoint]) as client:
                rows.append(EndpointHash(endpoint, client.hash_kv(endpoint, max(0, rev))))
        except LeaseholdError as error:
            complain(f"Failed to get the hash of endpoint {endpoint} ({error.message})")
            failure = error.message
    printer.endpoint_hash(rows)
    if failure:
        raise CommandError(failure)


def _check(client: Client) -> EndpointHealth:
    begun = time.monotonic()
    error_text = ""
    try:
        with client:
            client.get(PROBE_KEY)
    except PermissionDeniedError:
        pass  # it says so after it could have read
    except LeaseholdError as error:
        error_text = error.message
    return EndpointHealth(client.endpoints[0], time.monotonic() - begun, error_text)


def endpoints_of(settings: CliSettings, cluster: bool) -> list[str]:
    """The endpoints given, or with `--cluster` every URL that a member advertises to clients.

    A member with a front is listed by the front's URLs, and not once more by its direct ones.
    """
    if not cluster:
        return settings.endpoint_list()
    with settings.connect() as client:
        members = client.member_list().members
    return [url for member in members for url in _listed_urls(member.client_urls)]


def _listed_urls(urls: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(url for url in urls if url.startswith(OF_FRONTS)) or urls
