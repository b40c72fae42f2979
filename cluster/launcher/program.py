"""What the program is called, and where its data usually is."""

from __future__ import annotations

from typing import Final

PROGRAM: Final = "run_cluster.py"
DATA_DIR: Final = "cluster-data"

CTL: Final = "ctl"
"""The first word of a command line that is for a launcher that runs already."""
