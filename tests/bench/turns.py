"""What one long thing costs everybody else: the longest wait of others, and whether a leader fell.

Three nodes hold very many small keys. While something long is asked of them, one client puts a key
of its own, one reads a key serializably at each node, and the nodes' logs name every message that
took more than a turn may. The verdict is that nobody stood for election: all heartbeats were in
time, however slow the machine is. The waits are figures, and no part of it.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final, NamedTuple

from cluster import wire
from cluster.bench import load, workload
from cluster.bench.wires import Wires
from cluster.errors import LeaseholdError
from cluster.launcher.local import LocalCluster

KEYS: Final = 1_000_000
PUTS_PER_TXN: Final = 128
CONNECTIONS: Final = 48
LEASE: Final = 77
LEASE_SECONDS: Final = 100_000
EXPIRY_SECONDS: Final = 2
PREFIX: Final = b"many/"
PREFIX_END: Final = b"many0"
OTHER: Final = b"other"
ANSWER_BYTES: Final = 60 << 20
PAUSE_SECONDS: Final = 0.002
"""The pause of a client between two requests."""

OVERRUN: Final = re.compile(r"(\w+Actor: \w+) took (\d+) ms")


class Row(NamedTuple):
    """One long thing: milliseconds, terms, and the longest messages by name."""

    name: str
    took_ms: float
    put_ms: float
    get_ms: float
    terms: tuple[int, int]
    overruns: dict[str, int]

    def line(self) -> str:
        """As in the table."""
        worst = sorted(self.overruns.items(), key=lambda pair: -pair[1])[:3]
        told = ", ".join(f"{name} {took_ms}" for name, took_ms in worst)
        before, after = self.terms
        verdict = "" if before == after else f"  TERM {before} -> {after}"
        return (
            f"{self.name:32}{self.took_ms:10,.0f}{self.put_ms:10,.0f}{self.get_ms:10,.0f}"
            f"{verdict}  {told}"
        )


TITLES: Final = f"{'':32}{'took ms':>10}{'put ms':>10}{'get ms':>10}  longest messages, ms"


def run(keys: int, words: Sequence[str], say: Callable[[str], None]) -> bool:
    """Do each long thing, and print a line; whether no leader fell in any of them."""
    with LocalCluster(3, node_flags=("--log-level=debug",)) as cluster:
        say(TITLES)
        rows: list[Row] = []
        for row in _Bench(cluster, keys).rows(words):
            say(row.line())
            rows.append(row)
    return all(before == after for before, after in (row.terms for row in rows))


class _Bench:
    def __init__(self, cluster: LocalCluster, keys: int) -> None:
        self._cluster = cluster
        self._keys = keys
        self._addresses = [f"tcp://{endpoint}" for endpoint in cluster.endpoints]
        self._is_filled = -1

    def rows(self, words: Sequence[str]) -> Iterator[Row]:
        """A row for each long thing that is wanted; all of them if no word is given."""
        acts: dict[str, Callable[[], Any]] = {
            "range": lambda: self._ask(op="txn", success=128 * [_range(limit=0)]),
            "writing": lambda: self._ask(op="txn", success=[_put(), *(127 * [_range(limit=0)])]),
            "sums": lambda: self._ask(op="txn", success=[_put(), *(32 * [_range(limit=10_000)])]),
            "answer": lambda: self._ask(op="range", key=PREFIX, range_end=PREFIX_END, limit=ANSWER),
            "watch": self._watch,
            "delete": self._delete,
            "compact": self._compact,
            "revoke": self._revoke,
            "expiry": self._expire,
            "snapshot": self._snapshot,
        }
        for name, act in acts.items():
            if words and name not in words:
                continue
            self._fill(LEASE if name in ("revoke", "expiry") else 0)
            yield self._look(name, act)

    # --- the long things ---

    def _delete(self) -> None:
        found = self._ask(op="delete_range", key=PREFIX, range_end=PREFIX_END)
        assert found["deleted"] == self._keys, found
        self._is_filled = -1

    def _watch(self) -> None:
        """Delete everything before the eyes of a watcher, and wait until it has seen that."""
        with Wires(self._addresses, 1, dial_seconds=60) as wires:
            wires.ask(op="watch_create", key=PREFIX, range_end=PREFIX_END)
            self._delete()
            seen = 0
            while seen < self._keys:
                seen += len(wire.unpack(wires.sockets[0].recv()).get("events", ()))

    def _compact(self) -> None:
        revision = self._ask(op="range", key=OTHER)["header"]["revision"]
        self._ask(op="compact", revision=revision, physical=True)

    def _revoke(self) -> None:
        self._ask(op="lease_revoke", ID=LEASE)
        self._is_filled = -1

    def _expire(self) -> None:
        """Let the lease of all keys end: its TTL is that of a lease that is granted anew."""
        with Wires(self._addresses, 1, dial_seconds=60) as wires:
            while wires.ask(op="range", key=PREFIX, range_end=PREFIX_END, count_only=True)["count"]:
                threading.Event().wait(PAUSE_SECONDS)
        self._is_filled = -1

    def _snapshot(self) -> None:
        """A node is away while the log is cut, and gets the whole store when it is back."""
        name = next(each for each in self._cluster.nodes if each != self._cluster.leader())
        self._cluster.stop_node(name)
        for _ in range(2):
            puts = workload.Workload({"op": "put", "key": OTHER}, "value", [wire.pack(b"x" * 1024)])
            with Wires([each for each in self._addresses if name not in each][:1], 8) as wires:
                load.run("put", wires, puts, 80_000, 512)
        self._cluster.restart(name, 120)

    # --- around them ---

    def _ask(self, **request: Any) -> dict[str, Any]:
        """The reply to one request, which may take its time; an error is an answer, too."""
        with Wires(self._addresses, 1, dial_seconds=300) as wires:
            try:
                return wires.ask(**request)
            except LeaseholdError as error:
                return {"error": str(error)}

    def _fill(self, lease: int) -> None:
        if self._is_filled == lease:
            return
        if lease:
            self._ask(op="lease_grant", ID=lease, TTL=LEASE_SECONDS)
        starts = range(0, self._keys, PUTS_PER_TXN)
        bodies = [_puts(start, min(start + PUTS_PER_TXN, self._keys), lease) for start in starts]
        filling = workload.Workload({"op": "txn"}, "success", bodies)
        with Wires(self._addresses, CONNECTIONS) as wires:
            figures = load.run("fill", wires, filling, len(bodies), CONNECTIONS)
        assert not figures.errors, f"requests failed: {figures.errors}"
        self._is_filled = lease

    def _look(self, name: str, act: Callable[[], Any]) -> Row:
        terms = [self._term()]
        places = [path.stat().st_size for path in self._logs()]
        with _onlookers(self._addresses) as waits:
            began = time.perf_counter()
            act()
            took_ms = (time.perf_counter() - began) * 1_000
            threading.Event().wait(1)
        terms.append(self._term())
        overruns: dict[str, int] = {}
        for path, place in zip(self._logs(), places, strict=True):
            for found in OVERRUN.findall(path.read_bytes()[place:].decode()):
                overruns[found[0]] = max(int(found[1]), overruns.get(found[0], 0))
        put_ms, *gets_ms = [1_000 * each for each in waits]
        return Row(name, took_ms, put_ms, max(gets_ms), (terms[0], terms[1]), overruns)

    def _term(self) -> int:
        return int(self._ask(op="status")["raftTerm"])

    def _logs(self) -> list[Any]:
        return sorted(self._cluster.data_dir.rglob("*.log"))


ANSWER: Final = 500_000


def _range(limit: int) -> dict[str, Any]:
    return {"request_range": {"key": PREFIX, "range_end": PREFIX_END, "limit": limit}}


def _put() -> dict[str, Any]:
    return {"request_put": {"key": OTHER, "value": b"x"}}


def _puts(start: int, stop: int, lease: int) -> bytes:
    return wire.pack(
        [
            {"request_put": {"key": b"%s%08d" % (PREFIX, number), "value": b"x", "lease": lease}}
            for number in range(start, stop)
        ]
    )


@contextmanager
def _onlookers(addresses: Sequence[str]) -> Iterator[list[float]]:
    """One client that puts, and one at each node that reads; the longest wait of each."""
    waits = [0.0] * (1 + len(addresses))
    stopping = threading.Event()

    def look(number: int, address: str, request: dict[str, Any]) -> None:
        with Wires([address], 1, dial_seconds=60) as wires:
            while not stopping.wait(PAUSE_SECONDS):
                began = time.perf_counter()
                wires.ask(**request)
                waits[number] = max(waits[number], time.perf_counter() - began)

    put = {"op": "put", "key": b"onlooker", "value": b"x"}
    get = {"op": "range", "key": OTHER, "serializable": True}
    jobs = [(addresses[0], put), *((address, get) for address in addresses)]
    threads = [threading.Thread(target=look, args=(at, *job)) for at, job in enumerate(jobs)]
    for thread in threads:
        thread.start()
    try:
        yield waits
    finally:
        stopping.set()
        for thread in threads:
            thread.join()
