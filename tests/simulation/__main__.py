"""`python -m tests.simulation`: run seeds, or one of the other commands; see tests/README.md.

It stops at the first finding, prints it, how to see it again and a shrunk script, and exits with 1.
The last line has the figures. `mutants` shows that planted bugs are found, `liveness` that a leader
is found in networks that are broken for good, `lives` that clients outlive clusters,
`rights` that nothing is decided by rights of another moment, `play FILE`
runs a script again.
"""

from __future__ import annotations

import argparse
import logging
import sys
from pathlib import Path

from tests.guard import end_all_with_this_process
from tests.simulation import campaign, liveness, lives, planted, rights, shrinking
from tests.simulation.runner import play
from tests.simulation.script import read
from tests.spec import script

SEEDS = 50


def main(arguments: list[str] | None = None) -> int:
    """0 if nothing was found."""
    options = _parser().parse_args(arguments)
    match options.command:
        case "mutants":
            return planted.table(options.seeds or planted.SEEDS_MAX, options.names, options.jobs)
        case "liveness":
            return liveness.table(options.seeds or liveness.SEEDS)
        case "lives":
            return lives.table(options.seed or 0, options.seeds or lives.SEEDS)
        case "rights":
            return rights.table(options.seed or 0, options.seeds or rights.SEEDS)
        case "play":
            text = Path(options.names[0]).read_text()
            if script.is_script(text):  # a trace of the checker
                broken = script.play(text)
                sys.stdout.write(f"{broken or 'no finding'}\n")
                return 1 if broken else 0
            report = play(read(text))
            sys.stdout.write(f"digest {report.digest}: {report.finding or 'no finding'}\n")
            return 1 if report.finding else 0
        case _:
            return _run_seeds(options)


def _run_seeds(options: argparse.Namespace) -> int:
    one = options.seed is not None and options.seeds is None and options.minutes is None
    count = options.seeds or (1 if one else SEEDS)
    if options.minutes is not None:
        count = 1 << 40
    seconds = 60 * options.minutes if options.minutes is not None else None
    result = campaign.run_seeds(options.seed or 0, count, seconds, 1 if one else options.jobs)
    if one:
        sys.stdout.write(f"seed {options.seed}: digest {result.digests[options.seed]}\n")
    if result.failed is not None:
        sys.stdout.write(campaign.tell(result.failed))
        if not options.as_it_is:
            sys.stdout.write(shrinking.tell(result.failed))
    sys.stdout.write(result.line + "\n")
    complaint = "" if one or result.failed else campaign.missing(result.counts, result.seeds)
    if complaint:
        sys.stdout.write(complaint + "\n")
    return 1 if result.failed or complaint else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument(
        "command", nargs="?", choices=("mutants", "liveness", "lives", "rights", "play")
    )
    parser.add_argument("names", nargs="*", help="mutants to plant, or the script to play")
    parser.add_argument("--seeds", type=int, help="how many seeds to run")
    parser.add_argument("--seed", type=int, help="run this one; with --seeds: begin here")
    parser.add_argument("--minutes", type=float, help="run seeds for so long instead")
    parser.add_argument("--jobs", type=int, default=campaign.JOBS, help="processes (%(default)s)")
    parser.add_argument("--as-it-is", action="store_true", help="do not shrink what is found")
    return parser


if __name__ == "__main__":
    end_all_with_this_process()
    logging.disable(logging.CRITICAL)
    sys.exit(main())
