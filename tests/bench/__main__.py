"""`python -m tests.bench etcd DIR`: the same loads on etcd and on this project, side by side.

DIR holds etcd and its load programs (see tests/bench/etcd.py).
`python -m tests.bench million DIR`: what a million keys take, on both.
`python -m tests.bench expiry`: what the end of very many leases at once costs everybody else.
`python -m tests.bench disk`: what a million overwrites take on disk; fails if it grows.
`python -m tests.bench calls`: how many calls a put, a get and a transaction cost, on the leader and
a follower; fails above the bars in its table.
`python -m tests.bench turns`: what one long thing costs everybody else, with a million keys; fails
if the leader changes meanwhile.
`python -m tests.bench keys`: what keys (CURVE), users and TLS cost puts and gets.
`python -m tests.bench tails`: what periodic work costs the slowest of 64 puts under way; fails if
it doubles their p99.
`python -m tests.bench sizes`: puts among a million keys, beside puts among a thousand.
`python -m tests.bench slow-disk`: what a slow disk costs serializable gets; fails if the leader
changes meanwhile.
`python -m tests.bench failover DIR`: for how long faults of nodes make writes impossible, on both.
`python -m tests.bench page`: the launcher's page under many events; needs a Chromium, and the
extra `browser`.
`python -m tests.bench shells DIR`: calls of each shell of the client beside raw sockets and aetcd.
`python -m tests.bench timeline`: the way of one put, and where the processor's time goes.
"""

from __future__ import annotations

import argparse
import sys
from functools import partial
from pathlib import Path

from tests.bench import (
    calls,
    comparison,
    disk,
    expiry,
    failover,
    failover_plot,
    keys,
    million,
    page,
    shells,
    sizes,
    slow_disk,
    tails,
    timeline,
    turns,
)
from tests.guard import end_all_with_this_process


def main() -> int:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    comparing = commands.add_parser("etcd", help="compare with a real etcd")
    comparing.add_argument("directory", type=Path, help="where the binaries are")
    comparing.add_argument("--rounds", type=int, default=5)
    comparing.add_argument("--rows", default="", help="such as put,get-64,watch,keys (default all)")
    comparing.add_argument("--scale", type=float, default=1.0, help="multiplies the requests")
    comparing.add_argument("--plot", type=Path, help="an SVG file, of puts and gets")
    filling = commands.add_parser("disk", help="overwrite a few keys, and see that space is flat")
    filling.add_argument("--writes", type=int, default=1_000_000)
    filling.add_argument("--every", type=int, default=100_000, help="writes between two rows")
    many = commands.add_parser("million", help="load a million keys on both, and look")
    many.add_argument("directory", type=Path, help="where the binaries are")
    many.add_argument("--keys", type=int, default=million.KEYS)
    ending = commands.add_parser("expiry", help="have very many leases end at once, and look")
    ending.add_argument("--leases", type=int, default=expiry.LEASES)
    counting = commands.add_parser("calls", help="count the calls of puts and gets")
    counting.add_argument("--top", type=int, default=0, help="functions to show for each row")
    waiting = commands.add_parser("turns", help="do long things, and see whether others wait")
    waiting.add_argument("--keys", type=int, default=turns.KEYS)
    waiting.add_argument("things", nargs="*", help=f"{', '.join(turns.THINGS)} (default all)")
    slowest = commands.add_parser("tails", help="do periodic things, and look at the slowest puts")
    slowest.add_argument("--rounds", type=int, default=tails.ROUNDS)
    slowest.add_argument("--seconds", type=float, default=tails.PHASE_SECONDS, help="of a phase")
    slowest.add_argument("things", nargs="*", help=f"{', '.join(tails.THINGS)} (default all)")
    growing = commands.add_parser("sizes", help="put among a thousand keys and among a million")
    growing.add_argument("--keys", type=int, default=sizes.KEYS)
    growing.add_argument("--rounds", type=int, default=sizes.ROUNDS)
    growing.add_argument("--scale", type=float, default=1.0, help="multiplies the requests")
    slowing = commands.add_parser("slow-disk", help="make syncs slow, and see reads go on")
    slowing.add_argument("--sync-ms", type=int, default=slow_disk.SYNC_MS)
    slowing.add_argument("--rounds", type=int, default=slow_disk.ROUNDS)
    slowing.add_argument("--scale", type=float, default=1.0, help="multiplies the requests")
    looking = commands.add_parser("page", help="show many events to a browser, and see it stutter")
    looking.add_argument("--rounds", type=int, default=page.ROUNDS)
    looking.add_argument("--hours", type=int, default=2, help="of events, for its memory")
    sealing = commands.add_parser("keys", help="put and get with users, keys, TLS, and without")
    sealing.add_argument("--rounds", type=int, default=keys.ROUNDS)
    sealing.add_argument("--scale", type=float, default=1.0, help="multiplies the requests")
    names = ", ".join(side.name for side in keys.SIDES)
    sealing.add_argument("sides", nargs="*", type=keys.side_named, help=f"{names} (default all)")
    shelling = commands.add_parser(
        "shells", help="compare clients by calls and their processor time"
    )
    shelling.add_argument("directory", type=Path, nargs="?", help="where etcd is, for aetcd")
    shelling.add_argument("--rounds", type=int, default=shells.ROUNDS)
    shelling.add_argument("--scale", type=float, default=1.0, help="multiplies the requests")
    following = commands.add_parser("timeline", help="follow a put through three nodes")
    following.add_argument("--puts", type=int, default=timeline.PUTS)
    harming = commands.add_parser("failover", help="harm nodes of both, and see writes wait")
    harming.add_argument("directory", type=Path, help="where etcd is")
    harming.add_argument("--kills", type=int, default=30, help="times of each fault")
    harming.add_argument("--save", type=Path, help="a file for all figures, as JSON")
    harming.add_argument("--plot", type=Path, help="an SVG file")
    options = parser.parse_args()
    if options.command == "calls":
        return 0 if calls.run(_say, options.top) else 1
    if options.command == "disk":
        return 0 if disk.run(options.writes, options.every, _say) else 1
    if options.command == "million":
        million.run(options.directory, options.keys, _say)
        return 0
    if options.command == "expiry":
        expiry.run(options.leases, _say)
        return 0
    if options.command == "failover":
        keep = partial(_keep_outages, options.save, options.plot)
        failover.run(options.directory, options.kills, _say, keep)
        return 0
    if options.command == "turns":
        return 0 if turns.run(options.keys, options.things, _say) else 1
    if options.command == "tails":
        return 0 if tails.run(options.rounds, options.seconds, options.things, _say) else 1
    if options.command == "sizes":
        sizes.run(options.keys, options.rounds, options.scale, _say)
        return 0
    if options.command == "slow-disk":
        held = slow_disk.run(options.sync_ms, options.rounds, options.scale, _say)
        return 0 if held else 1
    if options.command == "keys":
        keys.run(options.rounds, options.scale, options.sides or keys.SIDES, _say)
        return 0
    if options.command == "page":
        page.run(options.rounds, options.hours, _say)
        return 0
    if options.command == "shells":
        shells.run(options.directory, options.rounds, options.scale, _say)
        return 0
    if options.command == "timeline":
        timeline.run(options.puts, _say)
        return 0
    words = [word for word in options.rows.split(",") if word]
    try:
        todo = comparison.plan(options.directory, options.rounds, words, options.scale)
    except ValueError as error:
        comparing.error(str(error))
    comparison.run(todo, _say, options.plot)
    return 0


def _keep_outages(save: Path | None, plot: Path | None, outages: failover.Outages) -> None:
    if save is not None:
        failover.save(save, outages)
    if plot is not None:
        plot.write_text(failover_plot.svg(outages))


def _say(*lines: str) -> None:
    sys.stdout.writelines(f"{line}\n" for line in lines)
    sys.stdout.flush()


if __name__ == "__main__":
    end_all_with_this_process()
    sys.exit(main())
