"""leasectl make-mirror: copy keys to another cluster, and then each change, until Ctrl-C."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import click

from cluster.cli.app import Command
from cluster.cli.ending import EXIT_ERROR, bad_arguments
from cluster.cli.output import emit
from cluster.cli.settings import CliSettings, GoInt
from cluster.cli.transfer import TXN_OPS, Pair, batches, put_all

if TYPE_CHECKING:
    from cluster.client.api import Client
    from cluster.client.results import WatchBatch

REPORT_SECONDS: Final = 30.0
"""The number of changes that were carried out is printed this often, as by etcdctl."""


class Copying(NamedTuple):
    """What is copied from where, how the keys are called there, and how many at a time."""

    source: Client
    destination: Client
    prefix: bytes
    dest_prefix: bytes
    ops_max: int

    def name(self, key: bytes) -> bytes:
        """The key's name at the destination."""
        return self.dest_prefix + key.removeprefix(self.prefix)


class Total:
    """The number of keys put and deleted, which another thread prints."""

    def __init__(self) -> None:
        self.count = 0

    @contextmanager
    def reported(self) -> Iterator[None]:
        """Print it every REPORT_SECONDS meanwhile."""
        ended = threading.Event()

        def report() -> None:
            try:
                while not ended.wait(REPORT_SECONDS):
                    emit(b"%d" % self.count)
            except SystemExit:
                os._exit(EXIT_ERROR)  # nobody reads: the main thread may wait for a change for long

        thread = threading.Thread(target=report, daemon=True)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()


@click.command("make-mirror", cls=Command)
@click.argument("words", nargs=-1, metavar="DESTINATION")
@click.option("--prefix", default="", help="Mirror keys with this prefix")
@click.option("--dest-prefix", default="", help="What stands for it at the destination")
@click.option("--no-dest-prefix", is_flag=True, help="Mirror to keys without the prefix")
@click.option("--rev", type=GoInt(), default=0, help="Only mirror changes from this revision on")
@click.option("--max-txn-ops", type=GoInt(), default=TXN_OPS, help="Keys in a transaction")
@click.option("--dest-cacert", default="", metavar="FILE", help="As --cacert, of the destination")
@click.option("--dest-cert", default="", metavar="FILE", help="As --cert, for the destination")
@click.option("--dest-key", default="", metavar="FILE", help="As --key, for the destination")
@click.option(
    "--dest-insecure-transport/--no-dest-insecure-transport",
    default=True,
    help="As --insecure-transport, of the destination  [default: true]",
)
@click.option("--dest-user", default="", metavar="NAME[:PASSWORD]", help="Who asks there")
@click.option("--dest-password", default="", metavar="PASSWORD", help="The password of that user")
@click.pass_obj
def make_mirror(
    settings: CliSettings,
    /,
    words: tuple[str, ...],
    prefix: str,
    dest_prefix: str,
    no_dest_prefix: bool,
    rev: int,
    max_txn_ops: int,
    **there: Any,
) -> None:
    """Copy all keys to the cluster at DESTINATION, then every change, until Ctrl-C.

    Prints the number of keys put and deleted every 30 s. A revision is one transaction there, or
    several of --max-txn-ops keys. Leases are not copied, and keys that are only there stay.
    """
    if len(words) != 1:
        bad_arguments("make-mirror takes one destination argument")
    if dest_prefix and no_dest_prefix:
        both = "`--dest-prefix` and `--no-dest-prefix`"
        bad_arguments(f"{both} cannot be set at the same time, choose one")
    if max_txn_ops < 1:
        bad_arguments("`--max-txn-ops` is at least 1")
    renamed = "" if no_dest_prefix else dest_prefix or prefix
    with (
        settings.connect() as source,
        _destination(settings, words[0], **there).connect() as destination,
    ):
        ends = (os.fsencode(prefix), os.fsencode(renamed))
        _mirror(Copying(source, destination, *ends, max_txn_ops), max(0, rev))


def _destination(
    settings: CliSettings,
    endpoint: str,
    dest_cacert: str,
    dest_cert: str,
    dest_key: str,
    dest_insecure_transport: bool,
    dest_user: str,
    dest_password: str,
) -> CliSettings:
    return CliSettings(
        endpoints=[endpoint],
        debug=settings.debug,
        dial_timeout_seconds=settings.dial_timeout_seconds,
        command_timeout_seconds=settings.command_timeout_seconds,
        cacert=dest_cacert,
        cert=dest_cert,
        key=dest_key,
        insecure_skip_tls_verify=settings.insecure_skip_tls_verify,
        insecure_transport=dest_insecure_transport,
        user=dest_user,
        password=dest_password,
    )


def _mirror(copying: Copying, revision: int) -> None:
    """Copy what is there, unless a revision is given to begin with; then follow the changes."""
    total = Total()
    with total.reported():
        if not revision:
            revision = _copy(copying, total) + 1
        with copying.source.watch(copying.prefix, prefix=True, start_revision=revision) as watch:
            for changes in watch.revisions():
                _repeat(copying, changes, total)


def _copy(copying: Copying, total: Total) -> int:
    """Copy all keys, as they were at one revision, which is returned."""
    with copying.source.scan(copying.prefix, prefix=True) as keys:
        pairs = (Pair(copying.name(kv.key), kv.value) for kv in keys)
        for batch in batches(pairs, copying.ops_max):
            put_all(copying.destination, batch)
            total.count += len(batch)
        return keys.revision


def _repeat(copying: Copying, changes: WatchBatch, total: Total) -> None:
    """Do the changes of one revision at the destination."""
    from cluster.client import ops  # noqa: PLC0415 - as connect() does

    operations = [
        ops.put(copying.name(event.kv.key), event.kv.value)
        if event.type == "PUT"
        else ops.delete(copying.name(event.kv.key))
        for event in changes.events
    ]
    for begin in range(0, len(operations), copying.ops_max):
        some = operations[begin : begin + copying.ops_max]
        copying.destination.txn().then(*some).commit()
        total.count += len(some)
