"""`python -m tests.chaos failover|import|crash`: kills real nodes and checks what clients saw."""

from __future__ import annotations

import argparse
import sys

from tests.chaos import crash, failover, stdlib_import


def main() -> int:
    """Run one of the proofs; a finding is an AssertionError, and so a status that is not 0."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    killing = commands.add_parser("failover", help="kill -9 the leader, measure unavailability")
    killing.add_argument("--kills", type=int, default=20)
    importing = commands.add_parser("import", help="the standard library, with kills on the way")
    importing.add_argument("--files", type=int, default=None, help="only so many (default: all)")
    crashing = commands.add_parser(
        "crash", help="kill -9 all nodes at once under load, start again"
    )
    crashing.add_argument("--rounds", type=int, default=10)
    options = parser.parse_args()
    if options.command == "failover":
        failover.run(options.kills)
    elif options.command == "import":
        sys.stdout.write(stdlib_import.run(stdlib_import.library(options.files)).text() + "\n")
    else:
        sys.stdout.write(crash.run(options.rounds).text() + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
