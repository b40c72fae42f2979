"""`python -m tests.chaos`: does harm to real nodes and checks what clients saw.

Without a command: a campaign of all kinds of faults, several at a time, from a seed. A finding ends
it with a status that is not 0, with the logs and the history kept and the command that repeats it.
Ctrl-C, or SIGTERM, ends a long run early: what it has shown until then is checked and told.
"""

from __future__ import annotations

import argparse
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

from cluster import LeaseholdError
from cluster.launcher.nodes.layout import LauncherError
from tests.chaos import campaign, connections, crash, failover, leader_kills, leaks, stdlib_import
from tests.chaos.hostile import campaign as hostile
from tests.chaos.hostile.keyed import Keyed
from tests.chaos.hostile.process import GUARDED_KINDS, KEYED_KINDS
from tests.chaos.hostile.process import KINDS as HOSTILE_KINDS
from tests.guard import end_all_with_this_process


def main() -> int:
    """Run one of the proofs; the exit status."""
    options = _parser().parse_args()
    stopping = threading.Event()
    if options.command not in ("failover", "import", "check", "leaks"):
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: stopping.set())
    try:
        _run(options, stopping.is_set)
    except (AssertionError, LauncherError, LeaseholdError) as error:
        notes = "\n".join(getattr(error, "__notes__", ()))
        sys.stdout.write(f"FOUND: {error}\n{notes}\n")
        return 1
    return 0


def _run(options: argparse.Namespace, stopped: Callable[[], bool]) -> None:
    match options.command:
        case "failover":
            failover.run(options.kills)
        case "import":
            _say(stdlib_import.run(stdlib_import.library(options.files)).text())
        case "check":
            _say(campaign.check_again(options.directory))
        case "connections":
            if not connections.run(options.kinds, _say):
                raise AssertionError("not all held")
        case "crash":
            _say(crash.run(options.rounds, stopped).text())
        case "hostile":
            _hostile(options, stopped)
        case "leaks":
            if not leaks.run(options.opens, options.kills, options.secure, _say):
                raise AssertionError("clients leave something behind")
        case "leader-kills":
            _say(leader_kills.run(options.kills, options.seed, stopped).text())
        case _:
            seconds = 60 * options.minutes
            _say(f"seed {options.seed}")
            figures = campaign.run(seconds, options.seed, options.kills, options.nodes, stopped)
            _say(figures.text())
            missing = figures.without_effect()
            if missing and not stopped():
                raise AssertionError(f"no fault of this kind took effect: {', '.join(missing)}")


def _hostile(options: argparse.Namespace, stopped: Callable[[], bool]) -> None:
    """All kinds at once, or each in a cluster of its own."""
    every = HOSTILE_KINDS
    if options.guarded or options.keys:
        every = KEYED_KINDS if options.keys else GUARDED_KINDS
    kinds = options.only or list(every)
    failed = []
    for group in [[kind] for kind in kinds] if options.each else [kinds]:
        if stopped():
            break
        seconds, clients = 60 * options.minutes, options.clients
        with tempfile.TemporaryDirectory(prefix="leasehold-keys-") as directory:
            defence = hostile.GUARDED if options.guarded else hostile.OPEN
            if options.keys:
                defence = hostile.GUARDED._replace(keyed=Keyed(Path(directory)))
            defence = defence._replace(equal=options.equal)
            report = hostile.run(seconds, options.seed, group, clients, stopped, defence=defence)
        _say(report.text())
        failed += report.failed
    if failed:
        raise AssertionError("; ".join(failed))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--minutes", type=float, default=2.0, help="how long (default 2)")
    parser.add_argument("--seed", type=int, default=time.time_ns() % 1_000_000_000)
    parser.add_argument("--kills", type=int, default=None, help="end after so many kill -9")
    parser.add_argument("--nodes", type=int, default=None, help="default 3 and 5 in turn")
    commands = parser.add_subparsers(dest="command")
    killing = commands.add_parser("failover", help="kill -9 the leader, measure unavailability")
    killing.add_argument("--kills", type=int, default=20)
    importing = commands.add_parser("import", help="the standard library, with kills on the way")
    importing.add_argument("--files", type=int, default=None, help="only so many (default: all)")
    crashing = commands.add_parser(
        "crash", help="kill -9 all nodes at once under load, start again"
    )
    crashing.add_argument("--rounds", type=int, default=10)
    crowding = commands.add_parser("connections", help="as many as a front may have, and more")
    crowding.add_argument("kinds", nargs="*", choices=[[], *connections.KINDS], default=[])
    leaking = commands.add_parser("leaks", help="open, close and kill clients; see what is left")
    leaking.add_argument("--opens", type=int, default=1_000, help="of each shell of the client")
    leaking.add_argument("--kills", type=int, default=200, help="of nodes, and of clients")
    leaking.add_argument("--secure", action="store_true", help="with TLS and users")
    checking = commands.add_parser("check", help="judge the history that a finding left once more")
    checking.add_argument("directory", type=Path)
    leaders = commands.add_parser(
        "leader-kills", help="kill -9 the leader, again as soon as the cluster has recovered"
    )
    leaders.add_argument("--kills", type=int, default=100)
    leaders.add_argument("--seed", type=int, default=1)
    hostiles = commands.add_parser("hostile", help="hostile clients and strangers, all at once")
    hostiles.add_argument("--minutes", type=float, default=2.0, help="of harm, after some of peace")
    hostiles.add_argument("--seed", type=int, default=1)
    hostiles.add_argument("--clients", type=int, default=hostile.HOSTILE_CLIENTS)
    hostiles.add_argument(
        "--only", action="append", choices=KEYED_KINDS, help="this kind (may be repeated)"
    )
    hostiles.add_argument(
        "--guarded", action="store_true", help="the cluster has users, and those have no rights"
    )
    hostiles.add_argument(
        "--keys",
        action="store_true",
        help="and they ask everybody for a key, or a certificate",
    )
    hostiles.add_argument(
        "--equal",
        action="store_true",
        help="give the hostile clients as much of the processors as each node",
    )
    hostiles.add_argument("--each", action="store_true", help="one kind after the other")
    return parser


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    end_all_with_this_process()
    sys.exit(main())
