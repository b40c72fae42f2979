"""`python -m tests.differential`: programs on a real etcd and on a real node, and all they answer.

Every reply must be equal field by field, every error in code and text, every stream of watch events
event by event; ids and times may differ. What differs is shrunk and printed as a program, with the
command that runs it again. With `--grpc` both are asked by gRPC, ours through its front.
`python -m tests.differential cli` compares the command lines instead.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from pathlib import Path

from tests.differential.campaign import Campaign, Worker, end_in_order
from tests.differential.etcd import MISSING, binaries
from tests.differential.language import NAMES, Program
from tests.differential.report import report
from tests.differential.runner import Difference
from tests.differential.servers import Start, start_pair, start_pair_over_grpc
from tests.guard import end_all_with_this_process


def main(arguments: list[str]) -> int:
    """Run what is asked for; 1 if anything differs, 2 if there is no etcd."""
    if arguments[:1] == ["cli"]:
        from tests.differential import cli  # another program

        return cli.main(arguments[1:])
    parser = argparse.ArgumentParser(prog="python -m tests.differential", description=__doc__)
    parser.add_argument("--programs", type=int, default=300)
    parser.add_argument("--seed", type=int, default=1, help="of the first program; then counted up")
    parser.add_argument("--workers", type=int, default=2, help="pairs of servers at a time")
    parser.add_argument("--grpc", action="store_true", help="ask both servers by gRPC")
    parser.add_argument("--run", type=Path, help="a file that holds one program as it was printed")
    options = parser.parse_args(arguments)
    end_in_order()
    if binaries() is None:
        say(MISSING)
        return 2
    start = start_pair_over_grpc if options.grpc else start_pair
    if options.run:
        return run_one(eval(options.run.read_text(), dict(NAMES)), start)
    return run_many(range(options.seed, options.seed + options.programs), options.workers, start)


def run_many(seeds: range, workers: int, start_servers: Start) -> int:
    """Run the programs of these seeds and print what differs, and one line of figures."""
    start = time.monotonic()
    operations: Counter[str] = Counter()
    findings = programs = 0
    for done in Campaign(seeds, workers, start_servers):
        programs += 1
        operations += done.operations
        if done.finding:
            findings += 1
            say(done.finding)
    seconds = time.monotonic() - start
    kinds = ", ".join(f"{count:,} {name}" for name, count in operations.most_common())
    say(kinds)
    say(
        f"{programs:,} programs, {operations.total():,} operations on etcd and on leasehold, "
        f"seeds {seeds.start} to {seeds.stop - 1}: "
        f"{findings or 'no'} difference{'s' * (findings != 1)} ({seconds:.0f} s)"
    )
    return 1 if findings else 0


def run_one(program: Program, start_servers: Start) -> int:
    """Run one program and print where it differs."""
    with Worker(start_servers) as worker:
        found = worker.difference(program)
    if found is None:
        say("no difference")
        return 0
    say(report(program, found) if isinstance(found, Difference) else found)
    return 1


def say(*lines: str) -> None:
    """Print, at once."""
    sys.stdout.writelines(f"{line}\n" for line in lines)
    sys.stdout.flush()


if __name__ == "__main__":
    end_all_with_this_process()
    sys.exit(main(sys.argv[1:]))
