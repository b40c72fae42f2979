"""The bare client runs against a real cluster, from each of its nodes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from cluster.launcher.local import LocalCluster
from tests.limits import HANG_SECONDS

SCRIPT = Path(__file__).with_name("bare_client.py")

OUTPUT = """\
b'greeting' b'hello' True
[b'greeting']
0 etcdserver: key is not provided
"""


def test_ten_lines_from_the_protocol_page_are_a_client(tmp_path: Path) -> None:
    with LocalCluster(size=3, data_dir=tmp_path) as cluster:
        for endpoint in cluster.endpoints:
            printed = subprocess.run(
                [sys.executable, str(SCRIPT), f"tcp://{endpoint}"],
                check=True,
                capture_output=True,
                text=True,
                timeout=HANG_SECONDS,
            )
            assert printed.stdout == OUTPUT
