"""Entries that nobody can read in the log of a real node: it starts, says so, and serves."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from actors.language.entries import Entry
from actors.raft.disk.wal import Wal
from actors.raft.log import LogStart
from cluster.launcher.local import LocalCluster
from tests.system.conditions import client_of, wait_until

NAME = "n1"


@pytest.fixture
def cluster() -> Iterator[LocalCluster]:
    with LocalCluster(1) as cluster:
        yield cluster


def spoil(directory: Path) -> int:
    """Put committed entries that no version reads at the end of a log; the first one's index."""
    wal, contents = Wal.open(directory / "wal")
    log, state = contents.log, contents.hard_state
    first = log.last_index + 1
    bad = [
        Entry(first + number, log.last_term, 0, 0, 0, command)
        for number, command in enumerate((b"\xc1garbage", b'{"peers":'))
    ]
    start = LogStart(log.last_index, log.last_term, contents.membership)
    wal.save(state._replace(commit=bad[-1].index), bad, start)
    wal.close()
    return first


def test_a_log_with_entries_that_nobody_can_read_is_served_and_alarmed(
    cluster: LocalCluster,
) -> None:
    with client_of(cluster) as client:
        client.put("before", "1")
        member_id = client.status().header.member_id
    cluster.stop(NAME)
    index = spoil(cluster.directory.node_directory(NAME))
    for _ in range(2):
        cluster.launch_node(NAME)
        cluster.wait_until_ready()
        with client_of(cluster) as client:
            client.put("after", "2")
            before = client.get("before")
            assert before is not None and before.value == b"1"

            def is_alarmed() -> bool:
                alarms = client.alarm_list().alarms
                return (member_id, "UNREADABLE") in alarms

            wait_until(cluster, "the alarm stands", is_alarmed)
        cluster.stop(NAME)
    log = cluster.directory.log_of(NAME).read_text()
    assert f"entry {index} of term" in log
    assert "cannot be read, and is skipped" in log
