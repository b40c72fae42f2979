"""`python -m tests.etcd`: campaigns that look at us through etcd's own clients.

`suites DIR`: the tests of other projects' clients, on etcd and on ours; DIR has etcd and etcdctl.
`load DIR`: puts and gets through etcd's Go client; DIR has etcd and etcd_load as well.
`failover DIR`: kills of the leader, as etcd's Go client sees them; DIR has etcd_failover as well.
`go DIR`: a program over etcd's Go client, on etcd and on ours; it is built in DIR.
`front`: what a front adds to one request, its memory, and how soon it is back when killed.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from tests.etcd import failover, front, load, programs, suites
from tests.guard import end_all_with_this_process


def main() -> int:
    """Run what is asked for; 1 if something is not as it should be."""
    parser = argparse.ArgumentParser(prog="python -m tests.etcd", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    running = commands.add_parser("suites", help="run the suites of other projects")
    running.add_argument("directory", type=Path, help="where etcd is; suites are kept there, too")
    running.add_argument("names", nargs="*", help="of suites (default: all)")
    loading = commands.add_parser("load", help="compare puts and gets")
    loading.add_argument("directory", type=Path, help="where etcd and etcd_load are")
    loading.add_argument("--rounds", type=int, default=3)
    loading.add_argument("--scale", type=float, default=1.0, help="multiplies the requests")
    killing = commands.add_parser("failover", help="kill leaders under writes")
    killing.add_argument("directory", type=Path, help="where etcd and etcd_failover are")
    killing.add_argument("--kills", type=int, default=20)
    going = commands.add_parser("go", help="compare what a Go program sees")
    going.add_argument("directory", type=Path, help="where etcd is, and the program goes")
    fronting = commands.add_parser("front", help="measure a front by itself")
    fronting.add_argument("--rounds", type=int, default=30)
    options = parser.parse_args()
    end_all_with_this_process()
    if options.command == "suites":
        is_well = suites.run(options.directory, options.names, _say)
    elif options.command == "failover":
        is_well = failover.run(options.directory, options.kills, _say)
    elif options.command == "go":
        is_well = programs.run(options.directory, _say)
    elif options.command == "front":
        is_well = front.run(options.rounds, _say)
    else:
        is_well = load.run(options.directory, options.rounds, options.scale, _say)
    return 0 if is_well else 1


def _say(line: str) -> None:
    print(line, flush=True)


if __name__ == "__main__":
    sys.exit(main())
