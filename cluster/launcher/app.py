"""The command `run_cluster.py`: arguments, exit statuses, and the order of starting and stopping.

It starts a cluster, hands it to a Supervisor, and stops all processes however that ends.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Sequence
from typing import Final, NamedTuple

from cluster import __version__
from cluster.config import NodeFlags, resolve
from cluster.flag_values import ConfigError
from cluster.flags import EXIT_USAGE, FlagParser, fail
from cluster.launcher.layout import LauncherError
from cluster.launcher.local import LocalCluster
from cluster.launcher.ports import BASE_PORT, SIZE_MAX
from cluster.launcher.screens.plain import PlainScreen, write
from cluster.launcher.screens.view import Screen, banner, node_lines, view_of
from cluster.launcher.signals import Interrupted, Signals
from cluster.launcher.supervisor import Supervisor
from cluster.launcher.task import Task, TaskError

PROGRAM: Final = "run_cluster.py"
DATA_DIR: Final = "cluster-data"
EXIT_FAILURE: Final = 1

DESCRIPTION: Final = f"""\
Starts a Leasehold cluster on this machine and shows what happens to it.

Kill a node from another terminal: you see at once who leads next and how long
writes were unavailable. The data is kept in ./{DATA_DIR} for the next start.
Ctrl-C stops the cluster; twice: at once."""

EPILOG: Final = f"""\
{PROGRAM} [flags] -- CMD ARGS starts a cluster on free ports, with its
data in a temporary directory, runs CMD with LEASECTL_ENDPOINTS set, stops the
cluster and exits with CMD's status."""


class LaunchOptions(NamedTuple):
    """The command line. None: not given, so the value recorded in the data directory holds."""

    size: int | None
    base_port: int | None
    data_dir: str | None
    restart: bool
    node_flags: tuple[str, ...]
    command: tuple[str, ...]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command with these arguments (the command line's by default); the exit status."""
    options = parse(sys.argv[1:] if arguments is None else arguments)
    with Signals() as signals:
        signals.interrupting = True
        try:
            return _run(options, signals)
        except TaskError as error:
            sys.stderr.write(f"{PROGRAM}: {error}\n")
            return error.status
        except LauncherError as error:
            sys.stderr.write(f"{PROGRAM}: {error}\n")
            return EXIT_FAILURE
        except Interrupted as interruption:
            return 128 + interruption.number


def parse(arguments: Sequence[str]) -> LaunchOptions:
    """Read the command line; ends the program with one line on stderr if it is wrong."""
    own, command = list(arguments), None
    if "--" in own:
        at = own.index("--")
        own, command = own[:at], own[at + 1 :]
    parser = FlagParser(PROGRAM, DESCRIPTION, EPILOG)
    parser.add_argument("-n", type=int, metavar="N", dest="size", help="nodes, 1 to 7 (default 3)")
    parser.add_argument(
        "--base-port",
        type=int,
        metavar="PORT",
        help=f"n1's client port (default {BASE_PORT}; the others are 20000, 30000... above)",
    )
    parser.add_argument("--data-dir", metavar="DIR", help=f"default {DATA_DIR}")
    parser.add_argument("--ephemeral", action="store_true", help="delete the data at the end")
    parser.add_argument("--restart", action="store_true", help="start nodes again that die")
    for flag in ("heartbeat-interval", "election-timeout"):
        parser.add_argument(f"--{flag}", metavar="MS", help="as the node's flag")
    parsed = parser.parse_args(own)
    if command == []:
        parser.error("a command is expected after --")
    if parsed.size is not None and not 1 <= parsed.size <= SIZE_MAX:
        parser.error(f"-n {parsed.size}: a local cluster has 1 to {SIZE_MAX} nodes")
    if parsed.ephemeral and parsed.data_dir is not None:
        parser.error("--ephemeral and --data-dir exclude each other")
    temporary = parsed.ephemeral or (command is not None and parsed.data_dir is None)
    return LaunchOptions(
        size=parsed.size,
        base_port=parsed.base_port,
        data_dir=None if temporary else parsed.data_dir or DATA_DIR,
        restart=parsed.restart,
        node_flags=_node_flags(parsed.heartbeat_interval, parsed.election_timeout),
        command=tuple(command or ()),
    )


def _node_flags(heartbeat_interval: str | None, election_timeout: str | None) -> tuple[str, ...]:
    """The flags to pass on. They are checked here, so an error is not hidden in the nodes' logs."""
    given = {"heartbeat_interval": heartbeat_interval, "election_timeout": election_timeout}
    chosen = {name: value for name, value in given.items() if value is not None}
    try:
        resolve(NodeFlags(**chosen))
    except ConfigError as error:
        fail(PROGRAM, str(error), EXIT_USAGE)
    return tuple(f"--{name.replace('_', '-')}={value}" for name, value in chosen.items())


def _run(options: LaunchOptions, signals: Signals) -> int:
    began = time.monotonic()
    cluster = LocalCluster(
        options.size,
        options.data_dir,
        base_port=options.base_port,
        fixed_ports=not options.command,
        front=True,
        node_flags=options.node_flags,
    )
    try:
        cluster.launch()
        leader = cluster.wait_until_ready()
        if options.command:
            return _run_task(cluster, leader, options, signals)
        _watch(cluster, leader, options, signals, time.monotonic() - began)
        return 0
    finally:
        # From here on the next Ctrl-C ends the waiting: stop() then kills the remaining nodes.
        signals.interrupting = True
        killed = cluster.stop()
        signals.interrupting = False
        if killed:
            sys.stderr.write(f"{PROGRAM}: killed, for they did not stop: {', '.join(killed)}\n")


def _watch(
    cluster: LocalCluster,
    leader: str,
    options: LaunchOptions,
    signals: Signals,
    took_seconds: float,
) -> None:
    kept = options.data_dir is not None
    signals.interrupting = False
    lines = [banner(cluster, __version__, took_seconds, kept), "", ""]
    cluster_view = view_of(cluster, leader, time.monotonic())
    screen = _screen()
    if isinstance(screen, PlainScreen):
        lines[-1:] = [*node_lines(cluster_view), "", ""]
    write(sys.stdout, "\n".join(lines))
    screen.open()
    try:
        Supervisor(cluster, screen, signals, restart=options.restart).run(leader)
        screen.say("stopping; data is kept" if kept else "stopping")
    finally:
        screen.close()


def _run_task(cluster: LocalCluster, leader: str, options: LaunchOptions, signals: Signals) -> int:
    screen = PlainScreen(sys.stderr, f"{PROGRAM}: ", statuses=False)
    signals.interrupting = False
    task = Task(options.command, cluster.endpoints)
    try:
        Supervisor(cluster, screen, signals, restart=options.restart, task=task).run(leader)
        return task.status
    finally:
        task.end()


def _screen() -> Screen:
    """The live screen in a terminal's foreground; plain lines everywhere else."""
    if not sys.stdout.isatty() or os.environ.get("TERM", "dumb") == "dumb":
        return PlainScreen(sys.stdout)
    if os.tcgetpgrp(sys.stdout.fileno()) != os.getpgrp():
        return PlainScreen(sys.stdout)  # started in the background
    from cluster.launcher.screens.live import LiveScreen  # noqa: PLC0415 - tables only where seen

    return LiveScreen()
