"""`python -m tests.spec check [WORLD] [--minutes M]`: explore small worlds; see tests/README.md.

`check WORLD --bug NAME` does so with a bug planted in the core, `bugs [NAME]` prints the table of
such bugs, and `play FILE` plays a script that was printed. `cost --seeds N` measures what it costs
the simulator to hold its cores against the spec.

Without a name all worlds are explored but the large ones. Exits with 0 if each was exhausted, broke
nothing and met all that it should; with 1 if something was broken, or never happened; with 2 for an
unknown world; with 3 if the time or the memory was over before a world was exhausted.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable
from contextlib import nullcontext
from pathlib import Path
from typing import Final

from tests.simulation.mutants.planting import PLANTED
from tests.spec.bugs import NOT_SHOWN, SHOWN, table
from tests.spec.cost import cost
from tests.spec.explore import Explorer, Result
from tests.spec.script import MACHINES, play, write
from tests.spec.worlds import LARGE, WORLDS

MINUTES: Final = 10.0
MEMORY_MB: Final = 3_000
SEEDS: Final = 40


def main(arguments: list[str] | None = None) -> int:
    """The status with which the command exits."""
    options = _parser().parse_args(arguments)
    if options.command == "play":
        broken = play(Path(options.name).read_text())
        sys.stdout.write(f"{broken or 'nothing is broken'}\n")
        return 1 if broken else 0
    if options.command == "cost":
        return cost(options.seeds)
    if options.command == "bugs":
        return _bugs([options.name] if options.name else [*SHOWN, *NOT_SHOWN])
    if options.bug is not None and options.bug not in PLANTED:
        return _unknown("bug", options.bug, PLANTED)
    names = [options.name] if options.name else [each for each in WORLDS if each not in LARGE]
    if options.name and options.name not in WORLDS:
        return _unknown("world", options.name, WORLDS)
    with PLANTED[options.bug]() if options.bug else nullcontext():
        return max(_check(options, name) for name in names)


def _unknown(kind: str, name: str, known: Iterable[str]) -> int:
    sys.stderr.write(f"no {kind} {name!r}; there are {', '.join(known)}\n")
    return 2


def _bugs(names: list[str]) -> int:
    for name in names:
        if name not in SHOWN and name not in NOT_SHOWN:
            return _unknown("bug of the core", name, [*SHOWN, *NOT_SHOWN])
    status = 0
    for line, is_as_written in table(names):
        sys.stdout.write(f"{line}\n")
        sys.stdout.flush()
        status |= not is_as_written
    return status


def _check(options: argparse.Namespace, name: str) -> int:
    kind = "spec" if options.spec else "cores"
    machine = MACHINES[kind](WORLDS[name])
    result = Explorer(machine).run(60 * options.minutes, options.memory_mb)
    sys.stdout.write(f"{_line(result)}\n")
    if result.broken:
        sys.stdout.write(f"BROKEN: {result.broken}\n")
        text = write(kind, MACHINES[kind](WORLDS[name]), result.trace, result.broken)
        sys.stdout.write(f"{text}play it again: python -m tests.simulation play FILE\n")
        return 1
    if not result.exhausted:
        sys.stdout.write("NOT EXHAUSTED: what lies deeper was not looked at\n")
        if unseen := [each for each in result.world.sometimes if each not in result.facts]:
            sys.stdout.write(f"not yet happened: {', '.join(unseen)}\n")
        return 3
    if result.missing:
        sys.stdout.write(f"NEVER HAPPENED: {', '.join(result.missing)}\n")
    return 1 if result.missing else 0


def _line(result: Result) -> str:
    rate = result.states / max(result.seconds, 0.001)
    how = "exhausted" if result.exhausted else "not exhausted"
    return (
        f"{result.world.name}: {result.states} states, {result.steps} steps, {rate:.0f} states/s, "
        f"depth {result.depth}, {result.seconds:.1f} s of CPU, {how}"
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.spec", description=__doc__)
    parser.add_argument("command", choices=("check", "bugs", "cost", "play"))
    parser.add_argument("name", nargs="?", help="the world, bug, or script to play")
    parser.add_argument("--minutes", type=float, default=MINUTES, help="of CPU, for each world")
    parser.add_argument("--memory-mb", type=int, default=MEMORY_MB, help="(%(default)s)")
    parser.add_argument("--bug", help="one that is planted in the core")
    parser.add_argument("--seeds", type=int, default=SEEDS, help="of `cost` (%(default)s)")
    parser.add_argument("--spec", action="store_true", help="the spec's members, not the cores")
    return parser


if __name__ == "__main__":
    sys.exit(main())
