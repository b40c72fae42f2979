"""Vitals: what nodes say of themselves, asked at a slow pace and read from their replies.

It owns what to ask when, and what the replies mean. Pure: times are arguments, in seconds of one
clock, and it refuses to know sockets. A value that no reply tells is None.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Mapping, Sequence
from math import inf
from typing import Any, Final, NamedTuple

METRICS_SECONDS: Final = 1.0
"""How often each node is asked for its metrics."""

WINDOW_REPLIES: Final = 10
"""Durations are those between the newest reply to `metrics` and the one this many before it."""

STALE_SECONDS: Final = 3.5
"""What a node said longer ago is not shown as its present state."""

HASH_SECONDS: Final = 5.0
HASH_PACE: Final = 100
"""Hashes are asked for every HASH_SECONDS, or, where they take long, after HASH_PACE times the
time of the first answer: a node spends about a hundredth of its time with them."""

HASH_ANSWER_SECONDS: Final = 60.0
"""A node that has not told its hash after this time is left out of the comparison."""

CATCHING_UP_ENTRIES: Final = 500
"""A node that lags by more entries is catching up, until it lags by a tenth of them."""

QUANTILE: Final = 0.99

NEEDED: Final = frozenset(
    {
        "proposals_committed",
        "proposals_applied",
        "db_size",
        "keys",
        "vote",
        "is_leader",
        "peers",
        "wal_syncs",
    }
)
"""A reply to `metrics` without one of these is that of another version, and counts as none."""

Question = tuple[str, dict[str, Any]]
"""A node's name, and the request to send to it."""


class NodeVitals(NamedTuple):
    """One node's values; None: nobody can tell.

    `lag` is the number of entries that the leader has committed and this node has not applied.
    `hash` is of the data up to a revision that all nodes had; `agrees` says whether it is that of
    most nodes. `round_trip_ms` is that to the leader, on average; a leader's own is that to the
    nearest members that make a majority with it. `sync_p99_ms` is the bound of the
    node's histogram that 99 of 100 syncs did not exceed. `vote` is a member id, 0 for nobody.
    `connected` counts the other members that answer, of `others`. `caught_up` is a share from 0 to
    1, None if the node does not lag.
    """

    commit: int | None = None
    applied: int | None = None
    lag: int | None = None
    caught_up: float | None = None
    db_size: int | None = None
    keys: int | None = None
    hash: int | None = None
    agrees: bool = True
    round_trip_ms: float | None = None
    sync_p99_ms: float | None = None
    vote: int | None = None
    connected: int | None = None
    others: int | None = None


UNKNOWN: Final = NodeVitals()


class _Node:
    """The newest replies of one process of a node."""

    def __init__(self) -> None:
        self.replies: deque[tuple[float, Mapping[str, Any]]] = deque(maxlen=WINDOW_REPLIES)
        self.lagged_from: int | None = None

    def newest(self, now: float) -> Mapping[str, Any] | None:
        """Its metrics, if they are of now."""
        if not self.replies or now - self.replies[-1][0] > STALE_SECONDS:
            return None
        return self.replies[-1][1]


class _Hashes:
    """One comparison: the hashes of all nodes up to one revision."""

    def __init__(self, revision: int, asked: Collection[str], now: float) -> None:
        self.revision = revision
        self.asked = frozenset(asked)
        self.began_at = now
        self.told: dict[str, tuple[int, int] | None] = {}
        self.is_refused = False

    def is_over(self, now: float) -> bool:
        return self.told.keys() >= self.asked or now - self.began_at > HASH_ANSWER_SECONDS


class Vitals:
    """The vitals of the nodes of one cluster, by the nodes' names."""

    def __init__(self) -> None:
        self._nodes: dict[str, _Node] = {}
        self._began_at = inf
        self._metrics_due = 0.0
        self._hash_due = 0.0
        self._asking: _Hashes | None = None
        self._compared: _Hashes | None = None

    @property
    def due(self) -> float:
        """When there will be questions again."""
        return self._metrics_due

    def questions(self, names: Collection[str], now: float) -> list[Question]:
        """What to ask now of the nodes that run; `heard` takes the replies."""
        if now < self._metrics_due:
            return []
        self._metrics_due = now + METRICS_SECONDS
        self._began_at = min(self._began_at, now)
        asked: list[Question] = [(name, {"op": "metrics"}) for name in names]
        if self._asking is not None and self._asking.is_over(now):
            self._compared, self._asking = self._asking, None  # somebody has not answered
        if self._asking is None and now >= self._hash_due:
            asked += self._ask_hashes(names, now)
        return asked

    def heard(self, name: str, op: str, reply: Mapping[str, Any], now: float) -> None:
        """A node's reply to the question `op`; an error counts as no answer."""
        asking = self._asking
        if op == "metrics" and reply.keys() >= NEEDED:
            node = self._nodes.setdefault(name, _Node())
            if node.replies and _syncs(reply) < _syncs(node.replies[-1][1]):
                node.replies.clear()  # another process answers there, and counts from 0
            node.replies.append((now, reply))
        elif op == "hash_kv" and asking is not None and name in asking.asked:
            if not asking.told:
                took = now - self._answered_at(name, asking.began_at)
                self._hash_due = max(self._hash_due, asking.began_at + HASH_PACE * took)
            asking.is_refused |= "error" in reply  # for want of a token, perhaps
            is_it = reply.get("hash_revision") == asking.revision
            asking.told[name] = (reply["hash"], reply["compact_revision"]) if is_it else None
            if asking.is_over(now):
                self._compared, self._asking = asking, None

    def forget(self, name: str) -> None:
        """The node's process has ended: the next one counts from 0."""
        self._nodes.pop(name, None)
        for hashes in (self._asking, self._compared):
            if hashes is not None:
                hashes.told.pop(name, None)

    def of(self, name: str, leader: str | None, now: float) -> NodeVitals:
        """What is known of a node under this leader."""
        node = self._nodes.get(name)
        metrics = node.newest(now) if node is not None else None
        if node is None or metrics is None:
            return UNKNOWN
        commit, applied = metrics["proposals_committed"], metrics["proposals_applied"]
        lag = self._lag(leader, applied, now)
        hashed, agrees = self._hash(name)
        peers = metrics["peers"]
        return NodeVitals(
            commit=commit,
            applied=applied,
            lag=lag,
            caught_up=_caught_up(node, applied, lag),
            db_size=metrics["db_size"],
            keys=metrics["keys"],
            hash=hashed,
            agrees=agrees,
            round_trip_ms=_round_trip_ms(node.replies, self._member_id(leader)),
            sync_p99_ms=_sync_p99_ms(node.replies),
            vote=metrics["vote"],
            connected=sum(1 for peer in peers if peer["is_active"]),
            others=len(peers),
        )

    # --- what others have said ---

    def _lag(self, leader: str | None, applied: int, now: float) -> int | None:
        leading = self._nodes.get(leader) if leader is not None else None
        metrics = leading.newest(now) if leading is not None else None
        if metrics is None:
            return None
        # The replies are of two moments: what was applied in between is no lag.
        return max(0, int(metrics["proposals_committed"]) - applied)

    def _member_id(self, name: str | None) -> int:
        node = self._nodes.get(name) if name is not None else None
        return node.replies[-1][1]["header"]["member_id"] if node and node.replies else 0

    # --- hashes ---

    def _answered_at(self, name: str, asked_at: float) -> float:
        """When a node answered the metrics that it was asked for with its hash.

        It answers these at once: until then it had other things to do, or its host had.
        """
        node = self._nodes.get(name)
        replies = node.replies if node is not None else ()
        return next((at for at, _ in replies if at >= asked_at), asked_at)

    def _ask_hashes(self, names: Collection[str], now: float) -> list[Question]:
        revisions = {
            name: metrics["header"]["revision"]
            for name in names
            if (node := self._nodes.get(name)) and (metrics := node.newest(now)) is not None
        }
        revision = min(revisions.values(), default=0)
        first_words_are_due = len(revisions) < len(names) and now - self._began_at < HASH_SECONDS
        if revision < 1 or first_words_are_due:
            return []
        self._hash_due = now + HASH_SECONDS
        before = self._compared
        is_known = before and before.revision == revision and before.asked == revisions.keys()
        if before and is_known and not before.is_refused:
            return []  # nothing was written since
        self._asking = _Hashes(revision, revisions, now)
        return [(name, {"op": "hash_kv", "revision": revision}) for name in revisions]

    def _hash(self, name: str) -> tuple[int | None, bool]:
        told = self._compared.told if self._compared is not None else {}
        mine = told.get(name)
        if mine is None:
            return None, True
        # Members that have compacted at different revisions may hash differently.
        alike = [each[0] for each in told.values() if each is not None and each[1] == mine[1]]
        return mine[0], alike.count(mine[0]) * 2 > len(alike)


def _syncs(metrics: Mapping[str, Any]) -> int:
    return int(metrics["wal_syncs"]["counts"][-1])


def _caught_up(node: _Node, applied: int, lag: int | None) -> float | None:
    if lag is None:
        return None
    if lag > CATCHING_UP_ENTRIES and node.lagged_from is None:
        node.lagged_from = applied
    elif lag * 10 <= CATCHING_UP_ENTRIES:
        node.lagged_from = None
    if node.lagged_from is None:
        return None
    done = applied - node.lagged_from
    return done / (done + lag)


def _sync_p99_ms(replies: Sequence[tuple[float, Mapping[str, Any]]]) -> float | None:
    """The bound below which 99 of 100 syncs of the window ended."""
    first, last = replies[0][1]["wal_syncs"], replies[-1][1]["wal_syncs"]
    if len(replies) < 2:
        return None
    counts = [after - before for before, after in zip(first["counts"], last["counts"], strict=True)]
    if counts[-1] <= 0:
        return None
    for bound, count in zip(last["bounds"], counts, strict=False):
        if count >= counts[-1] * QUANTILE:
            return float(bound) * 1000
    return None


def _round_trip_ms(
    replies: Sequence[tuple[float, Mapping[str, Any]]], leader_id: int
) -> float | None:
    newest = replies[-1][1]
    before = {peer["ID"]: peer["round_trips"] for peer in replies[0][1]["peers"]}
    trips: dict[int, float] = {}
    for peer in newest["peers"]:
        first, last = before.get(peer["ID"]), peer["round_trips"]
        if first is None or not peer["is_active"]:
            continue
        count = last["counts"][-1] - first["counts"][-1]
        if count > 0:
            trips[peer["ID"]] = (last["sum"] - first["sum"]) / count * 1000
    if newest["is_leader"]:
        needed = (len(newest["peers"]) + 1) // 2
        return sorted(trips.values())[needed - 1] if 0 < needed <= len(trips) else None
    return trips.get(leader_id)
