"""leasectl as a user types it, for the tests of what measures a cluster."""

from __future__ import annotations

import os
import subprocess
import sys

from cluster.launcher.local import IMPORT_ROOT, LocalCluster
from tests.limits import HANG_SECONDS


def leasectl(cluster: LocalCluster, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a command against this cluster, to its end."""
    return subprocess.run(
        [sys.executable, "-m", "cluster.cli", *arguments],
        env={
            **os.environ,
            "PYTHONPATH": str(IMPORT_ROOT),
            "LEASECTL_ENDPOINTS": ",".join(cluster.endpoints),
        },
        capture_output=True,
        text=True,
        timeout=HANG_SECONDS,
        check=False,
    )
