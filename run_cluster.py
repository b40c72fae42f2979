#!/usr/bin/env python3
"""Start a Leasehold cluster on this machine: see `run_cluster.py --help`."""

import sys

from cluster.launcher.__main__ import main

if __name__ == "__main__":
    sys.exit(main())
