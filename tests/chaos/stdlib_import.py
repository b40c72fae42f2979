"""Imports the Python standard library into a cluster while its nodes are being killed.

Every file is one key, its text the value. On the way the leader is killed twice and a follower
once, and started again. Then: every acknowledged key is on every node as it was written, no write
was applied twice, and watchers on different nodes saw each revision exactly once and in order.
"""

from __future__ import annotations

import sysconfig
import threading
import time
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Final, NamedTuple

from cluster import Client, Event, PutResult
from cluster.launcher.local import LocalCluster
from tests.limits import HANG_SECONDS, PATIENT

PREFIX: Final = "stdlib/"
REQUEST_BYTES_MAX: Final = 1_500_000
"""Files over the nodes' request limit (1.5 MiB with the rest of the request) are left out."""

OUTSTANDING_MAX: Final = 32
KILLS_AT: Final = (0.2, 0.45, 0.7)
"""After which part of the files a node is killed: the leader, a follower, the leader."""

DIALS_MAX: Final = 200


class Report(NamedTuple):
    """What was imported and survived."""

    files: int
    megabytes: float
    largest_bytes: int
    import_seconds: float
    killed: tuple[str, ...]
    events_per_watcher: int
    watchers: int

    def text(self) -> str:
        """All of it in two lines."""
        return (
            f"imported {self.files:,} files ({self.megabytes:.1f} MB, the largest"
            f" {self.largest_bytes:,} bytes) in {self.import_seconds:.1f} s; killed on the way:"
            f" {', '.join(self.killed)}\nevery file reads back identical from each node, each was"
            f" written once; {self.watchers} watchers saw all {self.events_per_watcher:,} revisions"
            " once, in order"
        )


class Follower(threading.Thread):
    """A watcher of everything under a prefix, in a thread; `served_by` is the first node's id."""

    def __init__(self, endpoints: Sequence[str], prefix: str) -> None:
        super().__init__(daemon=True)
        self.events: list[Event] = []
        self.error: BaseException | None = None
        self._client = Client(endpoints, **PATIENT)
        self._watch = self._client.watch(prefix, prefix=True)
        self.served_by = self._watch.header.member_id
        self._changed = threading.Condition()

    def run(self) -> None:
        try:
            for event in self._watch:
                with self._changed:
                    self.events.append(event)
                    self._changed.notify_all()
        except BaseException as error:
            self.error = error
            raise

    def wait_for(self, revision: int, seconds: float) -> list[Event]:
        """Every event seen, once that of this revision has come."""
        with self._changed:
            arrived = self._changed.wait_for(
                lambda: bool(self.events) and self.events[-1].revision >= revision, seconds
            )
        assert arrived, f"a watcher stopped at {len(self.events)} events ({self.error!r})"
        return self.events

    def close(self) -> None:
        """End the watch and its thread."""
        self._watch.cancel()
        self._client.close()
        if self.ident is not None:
            self.join(HANG_SECONDS)


def followers_on_each_node(cluster: LocalCluster, prefix: str) -> list[Follower]:
    """A watcher for each node of the cluster, served by that node at first; not yet started."""
    found: dict[int, Follower] = {}
    # A client takes the node that answers first; so ask until each was taken once.
    for _ in range(DIALS_MAX):
        follower = Follower(cluster.endpoints, prefix)
        if follower.served_by in found:
            follower.close()
        found.setdefault(follower.served_by, follower)
        if len(found) == len(cluster.nodes):
            return list(found.values())
    raise AssertionError(f"clients chose only {len(found)} of {len(cluster.nodes)} nodes")


def library(files_max: int | None = None) -> dict[str, bytes]:
    """Path to content of the standard library's files, or of so many spread over all of it.

    The largest is always among them: it is the one that is near the request limit.
    """
    root = Path(sysconfig.get_paths()["stdlib"])
    paths = [
        path
        for path in sorted(root.rglob("*"))
        if path.is_file()
        and not {"site-packages", "dist-packages", "__pycache__"} & set(path.parts)
        and path.suffix in {".py", ".txt", ".cfg", ".toml", ".pem", ".c", ".h", ".bat"}
        and 0 < path.stat().st_size <= REQUEST_BYTES_MAX
    ]
    if files_max is not None and files_max < len(paths):
        step = len(paths) // files_max
        largest = max(paths, key=lambda path: path.stat().st_size)
        paths = sorted({*paths[::step][: files_max - 1], largest})
    return {str(path.relative_to(root)): path.read_bytes() for path in paths}


def run(files: dict[str, bytes]) -> Report:
    """Import the files, kill on the way, check everything; AssertionError for any finding."""
    with LocalCluster() as cluster:
        followers = followers_on_each_node(cluster, PREFIX)
        try:
            for follower in followers:
                follower.start()
            began = time.monotonic()
            with Client(cluster.endpoints, **PATIENT) as client:
                first_revision = client.range(PREFIX, prefix=True).header.revision + 1
                revisions, killed = _import(cluster, client, files)
            seconds = time.monotonic() - began
            check_revisions(revisions, files, first_revision)
            for follower in followers:
                events = follower.wait_for(max(revisions.values()), HANG_SECONDS)
                check_events(events, revisions, first_revision)
        finally:
            for follower in followers:
                follower.close()
        _check_every_node(cluster, files, revisions)
    sizes = [len(content) for content in files.values()]
    megabytes = sum(sizes) / 1e6
    return Report(
        len(files), megabytes, max(sizes), seconds, tuple(killed), len(events), len(followers)
    )


def _import(
    cluster: LocalCluster, client: Client, files: dict[str, bytes]
) -> tuple[dict[str, int], list[str]]:
    """Put every file, so many at a time; each file's revision, and which nodes were killed."""
    kill_at = {int(len(files) * part): number != 1 for number, part in enumerate(KILLS_AT)}
    kills: list[Future[str]] = []
    under_way: dict[str, Future[PutResult]] = {}
    revisions: dict[str, int] = {}
    # The cluster belongs to this one thread until the import is done.
    with ThreadPoolExecutor(1) as killer:
        for number, (name, content) in enumerate(files.items()):
            if len(under_way) >= OUTSTANDING_MAX:
                _take_oldest(under_way, revisions)
            under_way[name] = client.put_async(PREFIX + name, content)
            if number in kill_at:
                if kills:
                    kills[-1].result(HANG_SECONDS)
                kills.append(killer.submit(_kill_and_restart, cluster, leader=kill_at[number]))
        while under_way:
            _take_oldest(under_way, revisions)
        return revisions, [kill.result(HANG_SECONDS) for kill in kills]


def _take_oldest(under_way: dict[str, Future[PutResult]], revisions: dict[str, int]) -> None:
    name = next(iter(under_way))
    revisions[name] = under_way.pop(name).result(HANG_SECONDS).header.revision


def _kill_and_restart(cluster: LocalCluster, *, leader: bool) -> str:
    leading = cluster.leader()
    name = leading if leader else next(name for name in cluster.nodes if name != leading)
    cluster.kill(name)
    cluster.wait_for_leader()
    cluster.restart(name)
    cluster.wait_until_ready()
    return f"{name} ({'leader' if leader else 'follower'})"


def check_revisions(
    revisions: dict[str, int], files: dict[str, bytes], first_revision: int
) -> None:
    """Every file was acknowledged, and there are as many revisions as files."""
    assert revisions.keys() == files.keys(), "a file was not acknowledged"
    expected = list(range(first_revision, first_revision + len(files)))
    # No write twice: as many revisions as writes, each acknowledged to one of them.
    assert sorted(revisions.values()) == expected, "revisions and writes do not correspond"


def check_events(events: Sequence[Event], revisions: dict[str, int], first_revision: int) -> None:
    """A watcher saw each revision once and in order, with the key that was written in it."""
    seen = [event.revision for event in events]
    assert seen == list(range(first_revision, first_revision + len(revisions))), (
        "a watcher missed a revision, or saw one twice or out of order"
    )
    for event in events:
        name = event.kv.key.decode().removeprefix(PREFIX)
        assert revisions[name] == event.revision, f"{name} at {event.revision}"


def _check_every_node(
    cluster: LocalCluster, files: dict[str, bytes], revisions: dict[str, int]
) -> None:
    last = max(revisions.values())
    for name, node in cluster.nodes.items():
        wait_for_revision(cluster, name, last)
        with Client(node.endpoint, **PATIENT) as client:
            count = client.range(PREFIX, prefix=True, count_only=True, serializable=True).count
            assert count == len(files), f"{name} holds {count} of {len(files)} files"
            for path, content in files.items():
                found = client.get(PREFIX + path, serializable=True)
                assert found is not None, f"{name} has no {path}"
                assert found.value == content, f"{name} has another {path}"
                assert found.version == 1, f"{name} has version {found.version} of {path}"
                assert found.mod_revision == revisions[path], f"{name}: {path} has moved"


def wait_for_revision(cluster: LocalCluster, name: str, revision: int) -> None:
    """Wait until a node has applied everything up to a revision."""
    deadline = time.monotonic() + HANG_SECONDS
    while time.monotonic() < deadline:
        status = cluster.status().get(name)
        if status is not None and status.revision >= revision:
            return
        cluster.poll(10)
    raise AssertionError(f"{name} did not reach revision {revision}")
