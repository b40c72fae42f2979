"""leasectl check datascale: how much memory a node takes for many keys, as etcdctl asks it."""

from __future__ import annotations

from collections import Counter
from random import Random
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import click

from cluster.cli.app import Command
from cluster.cli.check import clean_up, failures, require_unused, wires_of
from cluster.cli.ending import EXIT_BAD_FEATURE, EXIT_ERROR, CommandError
from cluster.cli.output import emit
from cluster.cli.progress_line import ProgressLine
from cluster.cli.settings import CliSettings

if TYPE_CHECKING:
    from cluster.bench.wires import Wires
    from cluster.bench.workload import Workload
    from cluster.client.api import Client


class Scale(NamedTuple):
    """How many keys there will be, and how many clients put them."""

    keys: int
    clients: int


SMALL: Final = Scale(10_000, 50)
MEDIUM: Final = Scale(100_000, 200)
LARGE: Final = Scale(1_000_000, 500)
EXTRA_LARGE: Final = Scale(3_000_000, 1_000)
SCALES: Final = {
    **dict.fromkeys(("s", "small"), SMALL),
    **dict.fromkeys(("m", "medium"), MEDIUM),
    **dict.fromkeys(("l", "large"), LARGE),
    **dict.fromkeys(("xl", "xLarge"), EXTRA_LARGE),
}

KEY_BYTES: Final = 512
VALUE_BYTES: Final = 512

ROUNDS_OF_CLIENTS: Final = 20
"""This number of puts for each client is made at a time: millions of keys would take gigabytes."""

MEGABYTE: Final = 1024 * 1024


@click.command(cls=Command)
@click.argument("words", nargs=-1, metavar="")
@click.option("--load", default="s", show_default=True, help="s(mall), m(edium), l(arge), xl(arge)")
@click.option(
    "--prefix",
    default="/etcdctl-check-datascale/",
    show_default=True,
    help="The prefix for writing the keys; they are deleted afterwards",
)
@click.option("--auto-compact", is_flag=True, help="Compact with the last revision afterwards")
@click.option("--auto-defrag", is_flag=True, help="Defragment every endpoint afterwards")
# Hidden: etcdctl has its four loads alone.
@click.option("--keys", type=int, default=0, hidden=True)
@click.pass_obj
def datascale(
    settings: CliSettings,
    words: tuple[str, ...],
    load: str,
    prefix: str,
    auto_compact: bool,
    auto_defrag: bool,
    keys: int,
) -> None:
    """Put many keys of a kilobyte, and say how much more memory the first endpoint's node takes."""
    settings.require_known_format()
    if load not in SCALES:
        raise CommandError(f"unknown load option {load}", EXIT_BAD_FEATURE)
    scale = SCALES[load]._replace(**({"keys": keys} if keys else {}))
    with settings.connect() as client:
        require_unused(client, prefix)
        before = _memory_bytes(client)
        emit(
            f"Start data scale check for work load [{scale.keys} key-value pairs,"
            f" {KEY_BYTES + VALUE_BYTES} bytes per key-value,"
            f" {scale.clients} concurrent clients].".encode()
        )
        with wires_of(settings, scale.clients) as wires:
            errors = _put_all(wires, prefix, scale)
        after = _memory_bytes(client)
        clean_up(settings, client, prefix, compacts=auto_compact, defragments=auto_defrag)
    if errors:
        emit(*(line.encode() for line in failures(errors)))
        raise SystemExit(EXIT_ERROR)
    used = (after - before) / MEGABYTE
    emit(f"PASS: Approximate system memory used : {used:.2f} MB.".encode())


def _memory_bytes(client: Client) -> int:
    """The memory that the process of the first endpoint's node takes."""
    from cluster.client.requests import request  # noqa: PLC0415 - as connect() does

    first = client.endpoints[0]
    reply: dict[str, Any] = client.request(request("metrics"), dict, pinned=first)
    return int(reply["resident_bytes"])


def _put_all(wires: Wires, prefix: str, scale: Scale) -> Counter[str]:
    """Put the keys, and show a person how many there are; the errors by their texts."""
    from cluster.bench import load  # noqa: PLC0415 - no sockets before they are used

    progress, errors, random = ProgressLine("keys", scale.keys), Counter[str](), Random()
    for done in range(0, scale.keys, ROUNDS_OF_CLIENTS * scale.clients):
        progress.show(done)
        count = min(ROUNDS_OF_CLIENTS * scale.clients, scale.keys - done)
        puts = _puts(prefix, count, random)
        errors.update(load.run("check datascale", wires, puts, count, scale.clients).errors)
    progress.end(scale.keys)
    return errors


def _puts(prefix: str, count: int, random: Random) -> Workload:
    """Puts of this number of new keys under the prefix."""
    from cluster import wire  # noqa: PLC0415
    from cluster.bench.workload import Workload  # noqa: PLC0415

    keys = (prefix.encode() + random.randbytes(KEY_BYTES) for _ in range(count))
    fields = {"op": "put", "value": bytes(VALUE_BYTES)}
    return Workload(fields, "key", [wire.pack(key) for key in keys])
