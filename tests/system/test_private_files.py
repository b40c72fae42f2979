"""Whatever the umask, nobody but the owner may read what a cluster or a client writes."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from cluster import Client
from cluster.launcher.local import LocalCluster
from tests.limits import HANG_SECONDS


@pytest.fixture
def no_umask() -> Iterator[None]:
    """Let processes make files that everybody may read, if they do not see to it."""
    before = os.umask(0)
    yield
    os.umask(before)


def readable_by_others(folder: Path) -> list[str]:
    """What is in a folder, and the folder itself, that others than its owner may read or write."""
    found = [folder, *folder.rglob("*")]
    return [f"{path} {path.stat().st_mode:o}" for path in found if _is_open_to_others(path)]


def _is_open_to_others(path: Path) -> bool:
    return bool(stat.S_IMODE(path.stat().st_mode) & (stat.S_IRWXG | stat.S_IRWXO))


def test_nobody_else_may_read_what_a_cluster_writes(no_umask: None, tmp_path: Path) -> None:
    data, saved = tmp_path / "data", tmp_path / "saved.snapshot"
    with LocalCluster(size=3, data_dir=data) as cluster, Client(cluster.endpoints) as client:
        client.put("secret", "value")
        client.snapshot_save(saved)
        names = {path.name for path in data.rglob("*")}
        assert {"lock", "cluster.json", "n1.log", "store", "wal", "spool", "snapshots"} <= names
        assert readable_by_others(data) == []
    assert not _is_open_to_others(saved)
    restored = tmp_path / "restored"
    command = [sys.executable, "-m", "actors", "snapshot", "restore", str(saved)]
    subprocess.run(
        [*command, "--data-dir", str(restored)],
        check=True,
        timeout=HANG_SECONDS,
        capture_output=True,
    )
    assert readable_by_others(restored) == []
