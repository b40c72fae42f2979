"""What one long thing costs everybody else: the longest wait of others, and whether a leader fell.

Three nodes hold very many small keys. While something long is asked of them, one client puts a key
of its own, one reads a key serializably at each node, and the nodes' logs name every message that
took more than a turn may. The verdict is that nobody stood for election. It is one for a machine
with nothing else to do: where other programs keep the nodes waiting for longer than an election
timeout, heartbeats are late whatever the nodes do. The waits are figures, and no part of it.
"""

from __future__ import annotations

import re
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any, Final, NamedTuple

from cluster import wire
from cluster.bench import load, workload
from cluster.bench.wires import Wires
from cluster.errors import LeaseholdError
from cluster.launcher.local import LocalCluster
from tests.bench import aside
from tests.bench.filling import txns_of_puts

KEYS: Final = 1_000_000
PUTS_PER_TXN: Final = 128
CONNECTIONS: Final = 48
LEASE: Final = 77
LEASE_SECONDS: Final = 10
POLL_SECONDS: Final = 0.2
PREFIX: Final = b"many/"
PREFIX_END: Final = b"many0"
OTHER: Final = b"other"
ANSWER_KEYS: Final = 500_000
"""An answer of nearly 64 MiB, as the store counts it."""

PUTS_MEANWHILE: Final = 60_000
RESTART_SECONDS: Final = 300.0

PAUSE_SECONDS: Final = 0.002
"""The pause of a client between two requests."""

JOIN_SECONDS: Final = 30.0
OVERRUN: Final = re.compile(r"(\w+Actor: \w+) took (\d+) ms")


THINGS: Final = (
    "ranges",
    "refused",
    "writing",
    "answer",
    "watch",
    "past",
    "delete",
    "txn",
    "compact",
    "revoke",
    "expiry",
    "snapshot",
)
"""A transaction of 128 ranges of everything; the same with a put, which is refused; one with a put
that reads 320,000 keys; a large answer; a deletion of everything that is watched, one that a watch
reads from history later, one that is not watched, and one in a transaction; a compaction; the end
of a lease that holds everything, for a client and in its time; a node that gets the whole store."""


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


def term(cluster: LocalCluster) -> int:
    """The leader's term."""
    address = f"tcp://{cluster.node(cluster.leader()).endpoint}"
    with Wires([address], 1, dial_seconds=60) as wires:
        return int(wires.ask(op="status")["raftTerm"])


class _Bench:
    def __init__(self, cluster: LocalCluster, keys: int) -> None:
        self._cluster = cluster
        self._keys = keys
        self._addresses = [f"tcp://{endpoint}" for endpoint in cluster.endpoints]
        self._is_filled = -1
        self._keeping = threading.Event()
        self._deleted_at = 0
        # The node that is away.
        self._away = ""

    def rows(self, words: Sequence[str]) -> Iterator[Row]:
        """A row for each long thing that is wanted; all of them if no word is given."""
        acts = dict(zip(THINGS, self._acts(), strict=True))
        for name in words or THINGS:
            self._fill(LEASE if name in ("revoke", "expiry") else 0)
            if name == "snapshot":
                self._leave_behind()
            elif name == "past":
                self._delete()
            yield self._look(name, acts[name])

    def _acts(self) -> list[Callable[[], Any]]:
        """What is done for each of THINGS, in that order."""
        every = {"op": "range", "key": PREFIX, "range_end": PREFIX_END, "limit": ANSWER_KEYS}
        return [
            lambda: self._ask(op="txn", success=128 * [_range(limit=0)]),
            lambda: self._ask(op="txn", success=[_put(), *(127 * [_range(limit=0)])]),
            lambda: self._ask(op="txn", success=[_put(), *(32 * [_range(limit=10_000)])]),
            lambda: self._ask(**every),
            self._watch,
            self._read_past,
            self._delete,
            self._delete_in_txn,
            self._compact,
            self._revoke,
            self._expire,
            self._snapshot,
        ]

    # --- the long things ---

    def _delete(self) -> None:
        found = self._ask(op="delete_range", key=PREFIX, range_end=PREFIX_END)
        assert found["deleted"] == self._keys, found
        self._is_filled = -1
        self._deleted_at = found["header"]["revision"]

    def _delete_in_txn(self) -> None:
        deletion = {"request_delete_range": {"key": PREFIX, "range_end": PREFIX_END}}
        found = self._ask(op="txn", success=[_put(), deletion])
        assert found["responses"][1]["response_delete_range"]["deleted"] == self._keys, found
        self._is_filled = -1

    def _watch(self) -> None:
        """Delete everything before the eyes of a watcher, and wait until it has seen that."""
        with Wires(self._addresses, 1, dial_seconds=60) as wires:
            wires.ask(op="watch_create", key=PREFIX, range_end=PREFIX_END)
            self._delete()
            self._see(wires)

    def _read_past(self) -> None:
        """Watch from before the deletion of everything, and wait until that is seen."""
        with Wires(self._addresses, 1, dial_seconds=60) as wires:
            span = {"key": PREFIX, "range_end": PREFIX_END}
            wires.ask(op="watch_create", start_revision=self._deleted_at, **span)
            self._see(wires)

    def _see(self, wires: Wires) -> None:
        """Wait for the events of the deletion of everything."""
        seen = 0
        while seen < self._keys:
            seen += len(wire.unpack(wires.sockets[0].recv()).get("events", ()))

    def _compact(self) -> None:
        revision = self._ask(op="range", key=OTHER)["header"]["revision"]
        self._ask(op="compact", revision=revision, physical=True)

    def _revoke(self) -> None:
        self._ask(op="lease_revoke", ID=LEASE)
        self._keeping.set()
        self._is_filled = -1

    def _expire(self) -> None:
        """Let the lease of all keys end, by keeping it alive no more."""
        self._keeping.set()
        with Wires(self._addresses, 1, dial_seconds=60) as wires:
            while wires.ask(op="range", key=PREFIX, range_end=PREFIX_END, count_only=True)["count"]:
                threading.Event().wait(POLL_SECONDS)
        self._is_filled = -1

    def _keep_alive(self) -> None:
        with Wires(self._addresses, 1, dial_seconds=60) as wires:
            while not self._keeping.wait(LEASE_SECONDS / 10):
                with suppress(LeaseholdError):  # it may have waited for too long
                    wires.ask(op="lease_keep_alive", ID=LEASE)

    def _leave_behind(self) -> None:
        """Stop a node until the log is cut.

        Nobody looks yet: where a disk takes longer than an election timeout, these writes cost the
        leader its place, and the snapshot has no part in that.
        """
        leader = self._cluster.leader()
        self._away = next(each for each in self._cluster.nodes if each != leader)
        self._cluster.stop(self._away)
        puts = workload.Workload({"op": "put", "key": OTHER}, "value", [wire.pack(b"x" * 4_096)])
        address = f"tcp://{self._cluster.node(leader).endpoint}"
        with Wires([address], 8) as wires:
            load.run("put", wires, puts, PUTS_MEANWHILE, 256)

    def _snapshot(self) -> None:
        """The node that was away gets the whole store."""
        self._cluster.start(self._away, timeout_seconds=RESTART_SECONDS)
        self._installed(self._away)

    def _installed(self, name: str) -> None:
        """Wait until a node that was away has everything."""
        address = f"tcp://{self._cluster.node(name).endpoint}"
        leading = f"tcp://{self._cluster.node(self._cluster.leader()).endpoint}"
        with Wires([leading], 1, dial_seconds=60) as wires:
            revision = wires.ask(op="range", key=OTHER)["header"]["revision"]
        with Wires([address], 1, dial_seconds=60) as wires:
            while (
                wires.ask(op="range", key=OTHER, serializable=True)["header"]["revision"] < revision
            ):
                threading.Event().wait(POLL_SECONDS)

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
            self._keeping.clear()
            self._ask(op="lease_grant", ID=lease, TTL=LEASE_SECONDS)
            threading.Thread(target=self._keep_alive).start()
        puts = (
            {"key": b"%s%08d" % (PREFIX, number), "value": b"x", "lease": lease}
            for number in range(self._keys)
        )
        filling = txns_of_puts(puts, PUTS_PER_TXN)
        with Wires(self._addresses, CONNECTIONS, dial_seconds=60) as wires:
            while load.run("fill", wires, filling, len(filling.bodies), CONNECTIONS).errors:
                pass  # once more: on a slow machine some take too long
        self._is_filled = lease

    def _look(self, name: str, act: Callable[[], Any]) -> Row:
        terms = [term(self._cluster)]
        places = [path.stat().st_size for path in self._logs()]
        with _onlookers(self._addresses) as waits:
            began = time.perf_counter()
            act()
            took_ms = (time.perf_counter() - began) * 1_000
            threading.Event().wait(1)
        terms.append(term(self._cluster))
        overruns: dict[str, int] = {}
        for path, place in zip(self._logs(), places, strict=True):
            for found in OVERRUN.findall(path.read_bytes()[place:].decode()):
                overruns[found[0]] = max(int(found[1]), overruns.get(found[0], 0))
        put_ms, *gets_ms = [1_000 * each for each in waits]
        return Row(name, took_ms, put_ms, max(gets_ms), (terms[0], terms[1]), overruns)

    def _logs(self) -> list[Any]:
        return sorted(self._cluster.data_dir.rglob("*.log"))


def _range(limit: int) -> dict[str, Any]:
    return {"request_range": {"key": PREFIX, "range_end": PREFIX_END, "limit": limit}}


def _put() -> dict[str, Any]:
    return {"request_put": {"key": OTHER, "value": b"x"}}


@contextmanager
def _onlookers(addresses: Sequence[str]) -> Iterator[list[float]]:
    """Look from a process of its own: the longest waits, in seconds, when the block has ended."""
    waits: list[float] = []
    looking = aside.start("tests.bench.turns", *addresses)
    aside.wait_until_ready(looking)
    yield waits
    waits += [float(each) for each in looking.communicate("")[0].split()]


def look(addresses: Sequence[str]) -> None:
    """One client that puts, and one at each node that reads, until the standard input ends."""
    waits = [0.0] * (1 + len(addresses))
    stopping = threading.Event()

    def ask(number: int, address: str, request: dict[str, Any]) -> None:
        with Wires([address], 1, dial_seconds=60) as wires:
            while not stopping.wait(PAUSE_SECONDS):
                began = time.perf_counter()
                with suppress(LeaseholdError):  # a node that is away
                    wires.ask(**request)
                    waits[number] = max(waits[number], time.perf_counter() - began)

    put = {"op": "put", "key": b"onlooker", "value": b"x"}
    get = {"op": "range", "key": OTHER, "serializable": True}
    jobs = [(addresses[0], put), *((address, get) for address in addresses)]
    threads = [
        threading.Thread(target=ask, args=(at, *job), daemon=True) for at, job in enumerate(jobs)
    ]
    for thread in threads:
        thread.start()
    aside.say_ready()
    sys.stdin.read()
    stopping.set()
    for thread in threads:
        thread.join(JOIN_SECONDS)
    sys.stdout.write(" ".join(str(each) for each in waits))


if __name__ == "__main__":
    look(sys.argv[1:])
