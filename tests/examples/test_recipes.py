"""The example of transactions, locks and elections runs against a real node."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from cluster.launcher.local import LocalCluster
from tests.limits import HANG_SECONDS

SCRIPT = Path(__file__).with_name("recipes.py")
ROOT = Path(__file__).resolve().parents[2]

OUTPUT = """\
True
70 [b'70', b'30']
True True
b'node-1:8080'
"""


def test_the_example_of_recipes_does_what_it_says(tmp_path: Path) -> None:
    with LocalCluster(size=1, data_dir=tmp_path) as cluster:
        printed = subprocess.run(
            [sys.executable, str(SCRIPT), cluster.endpoints[0]],
            check=True,
            capture_output=True,
            text=True,
            timeout=HANG_SECONDS,
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )
    assert printed.stdout == OUTPUT
