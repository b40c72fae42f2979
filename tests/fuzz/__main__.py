"""`python -m tests.fuzz`: cases from a seed, until the time is over or something is found."""

from __future__ import annotations

import argparse
import itertools
import sys
import time

from cluster.launcher.local import LocalCluster
from tests.fuzz.campaign import FoundError, run, target_of

FOUND = 1


def main() -> int:
    """0 when everything held; 1, and the case, when something did not."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--minutes", type=float, default=5.0)
    parser.add_argument("--seed", default=str(time.time_ns() % 1_000_000_000))
    parser.add_argument("--case", type=int, default=None, help="only this case of the seed")
    chosen = parser.parse_args()
    print(f"seed {chosen.seed}", flush=True)
    numbers = itertools.count() if chosen.case is None else iter((chosen.case,))
    with LocalCluster(size=3) as cluster:
        target = target_of(cluster)
        before_mib = target.memory_mib()
        try:
            done = run(target, chosen.seed, numbers, time.monotonic() + 60 * chosen.minutes)
        except FoundError as found:
            print(f"FOUND: {found}")
            return FOUND
        kinds = ", ".join(f"{count} {kind}" for kind, count in sorted(done.items()))
        memory = f"memory {before_mib} to {target.memory_mib()} MiB"
        print(f"{sum(done.values())} cases held: {kinds}; {memory}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
