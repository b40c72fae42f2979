"""`python -m tests.spec check [WORLD] [--minutes M]`: explore small worlds; see tests/README.md.

Without a name all worlds are explored but the large ones. Exits with 0 if each was exhausted, broke
nothing and met all that it should; with 1 if something was broken, or never happened; with 2 for an
unknown world; with 3 if the time or the memory was over before a world was exhausted.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Final

from tests.spec.explore import Explorer, Result
from tests.spec.script import MACHINES, play, write
from tests.spec.worlds import LARGE, WORLDS

MINUTES: Final = 10.0
MEMORY_MB: Final = 3_000


def main(arguments: list[str] | None = None) -> int:
    """The status with which the command exits."""
    options = _parser().parse_args(arguments)
    if options.command == "play":
        broken = play(Path(options.name).read_text())
        sys.stdout.write(f"{broken or 'nothing is broken'}\n")
        return 1 if broken else 0
    names = [options.name] if options.name else [each for each in WORLDS if each not in LARGE]
    if options.name and options.name not in WORLDS:
        sys.stderr.write(f"no world {options.name!r}; there are {', '.join(WORLDS)}\n")
        return 2
    return max(_check(options, name) for name in names)


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
    parser.add_argument("command", choices=("check", "play"))
    parser.add_argument("name", nargs="?", help="the world, or the script to play")
    parser.add_argument("--minutes", type=float, default=MINUTES, help="of CPU, for each world")
    parser.add_argument("--memory-mb", type=int, default=MEMORY_MB, help="(%(default)s)")
    parser.add_argument("--spec", action="store_true", help="the spec's members, not the cores")
    return parser


if __name__ == "__main__":
    sys.exit(main())
