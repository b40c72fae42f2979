"""leasectl check perf: whether the cluster keeps up with a load, as etcdctl judges it.

The load is made by `cluster.bench`; what counts as enough is etcdctl's. `datascale` is the other
check.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import ceil, fsum, sqrt
from random import Random
from typing import TYPE_CHECKING, Final, NamedTuple

import click

from cluster.cli.app import PROGRAM, Command
from cluster.cli.ending import EXIT_BAD_FEATURE, EXIT_ERROR, EXIT_INVALID_INPUT, CommandError
from cluster.cli.output import emit
from cluster.cli.progress_line import ProgressLine
from cluster.cli.settings import CliSettings, GoSeconds

if TYPE_CHECKING:
    from cluster.bench.figures import Figures
    from cluster.bench.wires import Wires
    from cluster.bench.workload import Workload
    from cluster.client.api import Client


class Load(NamedTuple):
    """How many writes a second are wanted of the cluster, and how many clients write."""

    per_second: int
    clients: int


SMALL: Final = Load(150, 50)
MEDIUM: Final = Load(1_000, 200)
LARGE: Final = Load(8_000, 500)
EXTRA_LARGE: Final = Load(15_000, 1_000)
LOADS: Final = {
    **dict.fromkeys(("s", "small"), SMALL),
    **dict.fromkeys(("m", "medium"), MEDIUM),
    **dict.fromkeys(("l", "large"), LARGE),
    **dict.fromkeys(("xl", "xLarge"), EXTRA_LARGE),
}

DURATION_SECONDS: Final = 60
CONNECTIONS_MAX: Final = 100
"""Clients share connections above this number."""

KEY_BYTES: Final = 256
VALUE_BYTES: Final = 1_024
DELETE_SECONDS: Final = 600.0
"""To delete millions of keys takes longer than other requests."""

THROUGHPUT_LEAST: Final = 0.9
"""Of the writes that are wanted; with less the check fails."""

SLOWEST_SECONDS_MAX: Final = 0.5
STDDEV_SECONDS_MAX: Final = 0.1


@click.command(cls=Command)
@click.argument("words", nargs=-1, metavar="")
@click.option("--load", default="s", show_default=True, help="s(mall), m(edium), l(arge), xl(arge)")
@click.option(
    "--prefix",
    default="/etcdctl-check-perf/",
    show_default=True,
    help="The prefix for writing the keys; they are deleted afterwards",
)
@click.option("--auto-compact", is_flag=True, help="Compact with the last revision afterwards")
@click.option("--auto-defrag", is_flag=True, help="Defragment every endpoint afterwards")
# Hidden: etcdctl always takes a minute.
@click.option("--duration", type=GoSeconds(), default=DURATION_SECONDS, hidden=True)
@click.pass_obj
def perf(
    settings: CliSettings,
    words: tuple[str, ...],
    load: str,
    prefix: str,
    auto_compact: bool,
    auto_defrag: bool,
    duration: float,
) -> None:
    """Write for a minute, and say whether the cluster keeps up."""
    from cluster.bench import paced  # noqa: PLC0415 - no sockets before they are used

    settings.require_known_format()
    if load not in LOADS:
        raise CommandError(f"unknown load option {load}", EXIT_BAD_FEATURE)
    wanted = LOADS[load]
    with settings.connect() as client:
        require_unused(client, prefix)
        with wires_of(settings, wanted.clients) as wires:
            progress = ProgressLine("s", ceil(duration))
            figures = paced.run(
                "check perf", wires, _puts(prefix), *wanted, duration, progress.show
            )
            progress.end(ceil(duration))
        clean_up(settings, client, prefix, compacts=auto_compact, defragments=auto_defrag)
    lines, is_enough = verdict(figures, wanted.per_second)
    emit(*(line.encode() for line in lines))
    if not is_enough:
        raise SystemExit(EXIT_ERROR)


def verdict(figures: Figures, per_second: int) -> tuple[list[str], bool]:
    """What etcdctl says of such figures, line by line, and whether they are enough."""
    slowest, stddev = figures.percentile(100) / 1_000, _stddev_seconds(figures)
    writes = int(figures.rate) + 1  # etcdctl counts the second that has begun
    lines = failures(figures.errors)
    is_fast = figures.rate > THROUGHPUT_LEAST * per_second
    is_prompt = slowest <= SLOWEST_SECONDS_MAX
    is_even = stddev <= STDDEV_SECONDS_MAX
    lines += [
        f"PASS: Throughput is {writes} writes/s"
        if is_fast
        else f"FAIL: Throughput too low: {writes} writes/s",
        f"PASS: Slowest request took {slowest:f}s"
        if is_prompt
        else f"Slowest request took too long: {slowest:f}s",
        f"PASS: Stddev is {stddev:f}s" if is_even else f"Stddev too high: {stddev:f}s",
    ]
    is_enough = is_fast and is_prompt and is_even and not figures.errors
    return [*lines, "PASS" if is_enough else "FAIL"], is_enough


def failures(errors: Mapping[str, int]) -> list[str]:
    """What etcdctl says of the errors of a check, if there are any."""
    told = [f"FAIL: ERROR({text}) -> {count}" for text, count in errors.items()]
    return ["FAIL: too many errors", *told] if told else []


def _stddev_seconds(figures: Figures) -> float:
    if not figures.answered:
        return 0.0
    mean = fsum(figures.latencies_ms) / figures.answered
    squares = fsum((latency - mean) ** 2 for latency in figures.latencies_ms)
    return sqrt(squares / figures.answered) / 1_000


def wires_of(settings: CliSettings, clients: int) -> Wires:
    """The connections of so many clients, which share them above CONNECTIONS_MAX."""
    from cluster.bench.wires import Wires  # noqa: PLC0415

    return Wires(
        list(settings.addresses().values()),
        min(clients, CONNECTIONS_MAX),
        dial_seconds=settings.dial_timeout_seconds,
        credentials=settings.credentials(),
        identity=settings.identity(),
    )


def require_unused(client: Client, prefix: str) -> None:
    """End the command if there are keys with the prefix: the check would delete them."""
    if client.range(prefix, prefix=True, limit=1).kvs:
        raise CommandError(
            f"prefix \"{prefix}\" has keys. Delete with '{PROGRAM} del --prefix {prefix}' first",
            EXIT_INVALID_INPUT,
        )


def _puts(prefix: str) -> Workload:
    """Puts of random keys under the prefix."""
    from cluster import wire  # noqa: PLC0415
    from cluster.bench import workload  # noqa: PLC0415

    random = Random()
    keys = (prefix.encode() + random.randbytes(KEY_BYTES) for _ in range(workload.BODIES_MAX))
    fields = {"op": "put", "value": bytes(VALUE_BYTES)}
    return workload.Workload(fields, "key", [wire.pack(key) for key in keys])


def clean_up(
    settings: CliSettings, client: Client, prefix: str, *, compacts: bool, defragments: bool
) -> None:
    """Delete the keys of a check, and compact and defragment if that is wanted."""
    from cluster.client.replies import of  # noqa: PLC0415 - as connect() does
    from cluster.client.requests import prefix_end, request  # noqa: PLC0415
    from cluster.client.results import DeleteResult  # noqa: PLC0415

    key = prefix.encode()
    fields = request("delete_range", key=key, range_end=prefix_end(key))
    deleted = client.request(fields, of(DeleteResult), timeout=DELETE_SECONDS)
    revision = deleted.header.revision
    if compacts:
        emit(f"Compacting with revision {revision}".encode())
        client.compact(revision, physical=True)
        emit(f"Compacted with revision {revision}".encode())
    for endpoint in settings.endpoint_list() if defragments else ():
        emit(f'Defragmenting "{endpoint}"'.encode())
        with settings.connect([endpoint]) as direct:
            direct.defragment(endpoint)
        emit(f'Defragmented "{endpoint}"'.encode())
