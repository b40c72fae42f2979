"""The command `run_cluster.py`: exit statuses, and the order of starting and stopping.

It starts a cluster, hands it to a Supervisor, and stops all processes however that ends.
"""

from __future__ import annotations

import logging
import shlex
import sys
import time
from collections.abc import Sequence
from functools import partial
from typing import Final

from cluster import __version__
from cluster.config import NodeFlags
from cluster.launcher.arguments import LaunchOptions, parse
from cluster.launcher.commands import ctl
from cluster.launcher.commands.completion import complete
from cluster.launcher.commands.first import FirstCommand
from cluster.launcher.local import LocalCluster
from cluster.launcher.nodes.layout import LauncherError
from cluster.launcher.probing.prober import Prober
from cluster.launcher.program import PROGRAM
from cluster.launcher.screens.choice import screen_for
from cluster.launcher.screens.json_lines import JsonScreen
from cluster.launcher.screens.plain import PlainScreen, write
from cluster.launcher.screens.view import Screen, banner, node_lines, view_of
from cluster.launcher.screens.vitals import Vitals
from cluster.launcher.secure.pasting import variables
from cluster.launcher.signals import Interrupted, Signals
from cluster.launcher.supervisor import Supervisor
from cluster.launcher.task import Task, TaskError

HISTORY: Final = "history"
"""The file in the data directory that has the lines typed at the prompt."""

EXIT_FAILURE: Final = 1


def main(arguments: Sequence[str]) -> int:
    """Run the command with these arguments; the exit status."""
    options = parse(arguments)
    # Its clients' warnings of nodes that are away would stand in the screen, which tells it itself.
    logging.getLogger("leasehold.client").addHandler(logging.NullHandler())
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


def _run(options: LaunchOptions, signals: Signals) -> int:
    began = time.monotonic()
    cluster = LocalCluster(
        options.size,
        options.data_dir,
        base_port=options.base_port,
        fixed_ports=not (options.command or options.show),
        front=True,
        secure=options.secure,
        node_flags=options.node_flags,
    )
    try:
        cluster.launch()
        leader = cluster.wait_until_ready()
        if options.command:
            return _run_task(cluster, leader, options, signals)
        return _watch(cluster, leader, options, signals, time.monotonic() - began)
    finally:
        # From here on the next Ctrl-C ends the waiting: close() then kills the remaining nodes.
        signals.interrupting = True
        killed = cluster.close()
        signals.interrupting = False
        if killed:
            sys.stderr.write(f"{PROGRAM}: killed, for they did not stop: {', '.join(killed)}\n")


def _watch(
    cluster: LocalCluster,
    leader: str,
    options: LaunchOptions,
    signals: Signals,
    took_seconds: float,
) -> int:
    kept = options.data_dir is not None
    signals.interrupting = False
    history = cluster.data_dir / HISTORY if kept else None
    screen = screen_for(options.form, history, partial(complete, cluster))
    if isinstance(screen, JsonScreen):
        for happening in cluster.journal.since(0):
            screen.tell(happening)
    else:
        lines = [banner(cluster, __version__, took_seconds, kept), "", ""]
        if isinstance(screen, PlainScreen):
            view = view_of(cluster, leader, time.monotonic(), Vitals())
            lines[-1:] = [*node_lines(view), "", ""]
        write(sys.stdout, "\n".join(lines))
    screen.open()
    try:
        status = _supervise(cluster, screen, signals, options, leader)
        screen.say("stopping; data is kept" if kept else "stopping")
        return status
    finally:
        screen.close()


def _run_task(cluster: LocalCluster, leader: str, options: LaunchOptions, signals: Signals) -> int:
    screen = PlainScreen(sys.stderr, f"{PROGRAM}: ", statuses=False)
    signals.interrupting = False
    task = Task(options.command, variables(cluster.endpoints, cluster.secure))
    try:
        _supervise(cluster, screen, signals, options, leader, task)
        return task.status
    finally:
        task.end()
        screen.close()


def _supervise(
    cluster: LocalCluster,
    screen: Screen,
    signals: Signals,
    options: LaunchOptions,
    leader: str,
    task: Task | None = None,
) -> int:
    """Run the main loop to its end; the exit status that a show's verdict means."""
    supervisor = Supervisor(cluster, screen, signals, restart=options.restart, task=task)
    supervisor.parts.append(ctl.CtlServer(cluster.data_dir, cluster.journal, supervisor.obey))
    if task is None:
        # A command that was given has the cluster for itself, without the probe's keys.
        prober = Prober(
            cluster.journal,
            cluster.data_dir,
            lambda: cluster.direct_addresses,
            leader,
            _election_timeout_ms(options.node_flags),
            cluster.own_key_file,
        )
        supervisor.parts.append(prober)
        supervisor.desk.prober = prober
    first = FirstCommand(shlex.join(options.show), supervisor.obey, supervisor.finish)
    if options.show:
        supervisor.parts.append(first)
    if options.web:
        from cluster.launcher.web.opening import open_page  # noqa: PLC0415 - where it is wanted

        supervisor.parts.append(open_page(supervisor, screen, options.web_port))
    supervisor.run(leader)
    return EXIT_FAILURE if options.show and not first.has_succeeded else 0


def _election_timeout_ms(node_flags: Sequence[str]) -> int:
    """What these flags, or the defaults, say."""
    given = dict(flag.removeprefix("--").split("=", 1) for flag in node_flags)
    return int(given.get("election-timeout", NodeFlags().election_timeout))
