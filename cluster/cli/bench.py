"""leasectl bench: puts a load on the cluster, and prints the results.

The options have the names of those of etcd's benchmark. The load is made by `cluster.bench`. If any
request failed, the exit status is 1.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from random import Random
from typing import TYPE_CHECKING, Any, Final

import click

from cluster.cli.app import Command
from cluster.cli.ending import CommandError
from cluster.cli.output import emit
from cluster.cli.settings import CliSettings, GoInt

if TYPE_CHECKING:
    from cluster.bench.figures import Figures
    from cluster.bench.watchers import WatchFigures
    from cluster.bench.wires import Wires
    from cluster.bench.workload import Workload

REQUESTS_MAX: Final = 1_000_000_000
CLIENTS_MAX: Final = 100_000
CONNECTIONS_MAX: Final = 1_000
KEY_SPACE_MAX: Final = 10_000_000
VALUE_BYTES_MAX: Final = 16 * 1024 * 1024
WATCHERS_MAX: Final = 100_000
LEASES_MAX: Final = 1_000_000
FORMATS: Final = ("simple", "json")
FILL_CLIENTS: Final = 256
LEASE_TTL_SECONDS: Final = 600

TOTAL: Final = click.option(
    "--total", type=GoInt(), default=20_000, show_default=True, help="Requests in all"
)
CLIENTS: Final = click.option(
    "--clients", type=GoInt(), default=1, show_default=True, help="Requests under way at a time"
)
CONNS: Final = click.option(
    "--conns", type=GoInt(), help="Connections  [default: one to each endpoint]"
)
VALUE_SIZE: Final = click.option(
    "--val-size", type=GoInt(), default=256, show_default=True, help="Bytes in a value"
)
KEY_SPACE: Final = click.option(
    "--key-space-size", type=GoInt(), default=10_000, show_default=True, help="Different keys"
)
LEADER: Final = click.option(
    "--target-leader", is_flag=True, help="Connect to the node that leads, and only to that"
)


def _options(*options: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """One decorator for several options, which also passes the settings."""

    def decorate(function: Any) -> Any:
        for option in reversed(options):
            function = option(function)
        return click.pass_obj(function)

    return decorate


def _on_keys(name: str, help_text: str, *, reads: bool) -> click.Command:
    """Make a command whose requests are for random keys; what it reads is put first."""

    @click.command(name, cls=Command, help=help_text)
    @_options(TOTAL, CLIENTS, CONNS, VALUE_SIZE, KEY_SPACE, LEADER)
    def command(
        settings: CliSettings,
        total: int,
        clients: int,
        conns: int | None,
        val_size: int,
        key_space_size: int,
        target_leader: bool,
    ) -> None:
        from cluster.bench import load  # noqa: PLC0415 - no sockets before they are used

        _check(total, clients, key_space_size)
        _within("--val-size", val_size, 0, VALUE_BYTES_MAX)
        requests = _requests(name, val_size, key_space_size)
        with _wires(settings, conns, target_leader) as wires:
            if reads:
                load.fill(wires, val_size, key_space_size, FILL_CLIENTS)
            _show_all(settings, load.run(name, wires, requests, total, clients))

    return command


def _requests(name: str, value_bytes: int, key_space: int) -> Workload:
    from cluster.bench import workload  # noqa: PLC0415

    match name:
        case "put":
            return workload.puts(value_bytes, key_space, Random())
        case "txn":
            return workload.txns(value_bytes, key_space, Random())
        case "mixed":
            return workload.mixed(value_bytes, key_space, Random())
    return workload.gets(name == "sget", key_space, Random())


put = _on_keys("put", "Put random keys.", reads=False)
txn = _on_keys("txn", "Compare and put random keys, each in a transaction.", reads=False)
mixed = _on_keys("mixed", "Get keys (80 %) or put them (20 %), a few most often.", reads=True)
get = _on_keys("get", "Get random keys (linearizable).", reads=True)
sget = _on_keys("sget", "Get random keys (serializable: from the node that is asked).", reads=True)


@click.command("lease-grant", cls=Command)
@_options(TOTAL, CLIENTS, CONNS, LEADER)
def lease_grant(
    settings: CliSettings, total: int, clients: int, conns: int | None, target_leader: bool
) -> None:
    """Grant leases; they end by themselves after ten minutes."""
    from cluster.bench import load, workload  # noqa: PLC0415

    _check(total, clients)
    with _wires(settings, conns, target_leader) as wires:
        grants = workload.lease_grants(LEASE_TTL_SECONDS)
        _show_all(settings, load.run("lease-grant", wires, grants, total, clients))


@click.command("lease-keep-alive", cls=Command)
@_options(TOTAL, CLIENTS, CONNS, LEADER)
@click.option("--leases", type=GoInt(), default=100, show_default=True, help="Leases to renew")
def lease_keep_alive(
    settings: CliSettings,
    total: int,
    clients: int,
    conns: int | None,
    target_leader: bool,
    leases: int,
) -> None:
    """Renew leases, each again and again; they are revoked afterwards."""
    from cluster.bench import load, workload  # noqa: PLC0415

    _check(total, clients)
    _within("--leases", leases, 1, LEASES_MAX)
    with _wires(settings, conns, target_leader) as wires:
        ids = [wires.ask(op="lease_grant", TTL=LEASE_TTL_SECONDS)["ID"] for _ in range(leases)]
        try:
            renewals = workload.lease_keep_alives(ids, Random())
            _show_all(settings, load.run("lease-keep-alive", wires, renewals, total, clients))
        finally:
            for lease_id in ids:
                wires.ask(op="lease_revoke", ID=lease_id)


@click.command(cls=Command)
@_options(TOTAL, CLIENTS, CONNS, VALUE_SIZE, LEADER)
@click.option(
    "--watchers", type=GoInt(), default=100, show_default=True, help="Watches of a prefix"
)
def watch(
    settings: CliSettings,
    total: int,
    clients: int,
    conns: int | None,
    val_size: int,
    target_leader: bool,
    watchers: int,
) -> None:
    """Put keys under a prefix that many watches follow; every event goes to each of them."""
    from cluster.bench import watchers as watch_load  # noqa: PLC0415

    _check(total, clients)
    _within("--watchers", watchers, 1, WATCHERS_MAX)
    _within("--val-size", val_size, 0, VALUE_BYTES_MAX)
    with (
        _wires(settings, conns, target_leader) as watching,
        _wires(settings, conns, target_leader) as putting,
    ):
        _show(settings, watch_load.run(watching, putting, watchers, total, clients, val_size))


def _wires(settings: CliSettings, conns: int | None, target_leader: bool) -> Wires:
    from cluster.bench.wires import Wires  # noqa: PLC0415

    if settings.write_out not in FORMATS:
        raise CommandError(f'bench prints {" or ".join(FORMATS)}, not "{settings.write_out}"')
    addresses = list(settings.addresses().values())
    connections = len(addresses) if conns is None else conns
    _within("--conns", connections, 1, CONNECTIONS_MAX)
    return Wires(
        addresses,
        connections,
        leader_only=target_leader,
        dial_seconds=settings.dial_timeout_seconds,
        credentials=settings.credentials(),
        identity=settings.identity(),
    )


def _check(total: int, clients: int, key_space: int = 1) -> None:
    _within("--total", total, 1, REQUESTS_MAX)
    _within("--clients", clients, 1, CLIENTS_MAX)
    _within("--key-space-size", key_space, 1, KEY_SPACE_MAX)


def _within(flag: str, value: int, least: int, most: int) -> None:
    if not least <= value <= most:
        raise CommandError(f'invalid argument "{value}" for "{flag}" flag: not {least} to {most}')


def _show_all(settings: CliSettings, figures: Figures) -> None:
    """Show the figures; CommandError when any request failed, with the error of most of them."""
    _show(settings, figures)
    failed = sum(figures.errors.values())
    if failed:
        reason = max(figures.errors, key=figures.errors.__getitem__)
        raise CommandError(f"{failed:,} of {figures.answered + failed:,} requests failed: {reason}")


def _show(settings: CliSettings, figures: Figures | WatchFigures) -> None:
    lines: Sequence[str]
    if settings.write_out == "json":
        lines = [json.dumps(figures.as_map())]
    else:
        lines = figures.line().splitlines()
    emit(*(line.encode() for line in lines))
