"""leasectl wait: until the cluster has a leader, for scripts that start one."""

from __future__ import annotations

import time
from contextlib import suppress
from typing import Final

import click

from cluster.cli.app import Command
from cluster.cli.ending import CommandError, bad_arguments
from cluster.cli.output import emit
from cluster.cli.settings import CliSettings, GoDuration
from cluster.errors import DeadlineExceededError, PermissionDeniedError, UnavailableError

LIMIT_SECONDS: Final = 60.0
AGAIN_SECONDS: Final = 0.1

PROBE_KEY: Final = "health"
"""A linearizable read of it is answered only under a leader; whether it exists does not matter."""


@click.command(cls=Command)
@click.argument("words", nargs=-1, metavar="")
@click.option("--leader", is_flag=True, help="Wait until a member leads")
@click.option(
    "--timeout",
    type=GoDuration(),
    default=LIMIT_SECONDS,
    help="How long to wait  [default: 1m]",
)
@click.pass_obj
def wait(settings: CliSettings, words: tuple[str, ...], leader: bool, timeout: float) -> None:
    """Wait until a leader carries requests out, and print its id (not in etcd).

    When the time is over, the exit status is 1. Nodes that are not there yet are waited for, too.
    """
    if words or not leader:
        bad_arguments("wait needs `--leader`, and no argument")
    deadline = time.monotonic() + timeout
    while True:
        settings.dial_timeout_seconds = settings.command_timeout_seconds = max(
            AGAIN_SECONDS, deadline - time.monotonic()
        )
        try:
            with settings.connect() as client:
                with suppress(PermissionDeniedError):  # said when the read could have been done
                    client.get(PROBE_KEY)
                found = client.status().leader
        except (UnavailableError, DeadlineExceededError) as error:
            raise CommandError(f"no leader within {timeout:g} s: {error.message}") from None
        if found:
            emit(f"{found:x}".encode())
            return
        if time.monotonic() >= deadline:
            raise CommandError(f"no leader within {timeout:g} s")
        time.sleep(AGAIN_SECONDS)
