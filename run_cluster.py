#!/usr/bin/env python3
"""Start a Leasehold cluster on this machine: see `run_cluster.py --help`."""

import sys

from cluster.launcher.__main__ import main

if __name__ == "__main__":
    try:
        sys.exit(main())
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("cluster"):
            raise
        # The system's Python, perhaps: what the project needs is in its virtual environment.
        missing = f"run_cluster.py: {sys.executable} has no module {error.name}"
        sys.exit(f"{missing}: run .venv/bin/python run_cluster.py (see README.md)")
