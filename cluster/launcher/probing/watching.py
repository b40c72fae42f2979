"""The probe client's watch over its own keys: at one node at a time, and without a gap.

It says where and from which revision to watch, and reads what a node tells. When the node is gone,
or keeps silent about writes that are acknowledged, the watch goes on at another. Pure.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from math import inf
from typing import Any, Final, NamedTuple

from cluster.launcher.probing.records import PREFIX, PREFIX_END

SILENT_SECONDS: Final = 0.4
"""A write that was acknowledged this long ago, and of which the watch has not told: it moves."""

AGAIN_SECONDS: Final = 0.02
"""How soon it is tried again, when it could not be opened."""

OWED_MAX: Final = 10_000

EVERY_WATCH: Final = -1
"""The id in a bookmark for all watches of a connection."""


class WatchedChange(NamedTuple):
    """One event: a key's new value, or None with the reason of its deletion."""

    key: bytes
    value: bytes | None
    revision: int
    reason: str


class Watching:
    """The place of the watch, and what it owes."""

    def __init__(self) -> None:
        self.node: str | None = None
        self.due = 0.0
        self._revision = 0
        self._id = EVERY_WATCH
        self._is_open = False
        # The acknowledged writes of which it has not told: when, and their revisions.
        self._owed: deque[tuple[float, int]] = deque(maxlen=OWED_MAX)

    def choose(self, up: Sequence[str], now: float) -> str | None:
        """Where to open it now, if it is due; another node than before, if there is one."""
        if self.due > now or not up:
            return None
        others = [name for name in up if name != self.node]
        self.node = (others or list(up))[0]
        self.due = now + SILENT_SECONDS
        self._is_open = False
        return self.node

    def request(self) -> dict[str, Any]:
        """The request that opens it."""
        request: dict[str, Any] = {"op": "watch_create", "key": PREFIX, "range_end": PREFIX_END}
        return {**request, "start_revision": self._revision + 1} if self._revision else request

    def answered(self, node: str, reply: dict[str, Any], now: float) -> None:
        """The node's answer to the request."""
        if node != self.node:
            return
        if "error" in reply or reply.get("canceled"):
            self._canceled(reply, now)
            return
        self._is_open = True
        self._id = reply["watch_id"]
        self.due = inf
        self._revision = self._revision or reply["header"]["revision"]
        # What was acknowledged before is told soon, if at all: it has its time from now on.
        self._owed = deque(((now, revision) for _, revision in self._owed), maxlen=OWED_MAX)

    def told(self, node: str, news: dict[str, Any] | None, now: float) -> Iterator[WatchedChange]:
        """The changes in what a node tells without being asked; None: its connection broke."""
        if node != self.node:
            return
        if news is None:
            self.due, self._is_open = now, False
            return
        if news["watch_id"] not in (self._id, EVERY_WATCH):
            return  # of an earlier watch on this connection
        if news.get("canceled"):
            self._canceled(news, now)
            return
        for event in news.get("events", ()):
            kv = event["kv"]
            self._revision = max(self._revision, kv["mod_revision"])
            value = kv.get("value") if event["type"] == "PUT" else None
            yield WatchedChange(kv["key"], value, kv["mod_revision"], event.get("reason", ""))
        if not news.get("events"):  # a bookmark: all until then were told
            self._revision = max(self._revision, news["header"]["revision"])
        while self._owed and self._owed[0][1] <= self._revision:
            self._owed.popleft()

    def acknowledged(self, revision: int, now: float) -> None:
        """A write that leaves a trace was acknowledged: the watch must tell of it."""
        if revision > self._revision:
            self._owed.append((now, revision))

    def maybe_move(self, now: float) -> dict[str, Any] | None:
        """Leave a node that keeps silent: the request that ends the watch there, if it does."""
        if not self._is_open or not self._owed or now - self._owed[0][0] < SILENT_SECONDS:
            return None
        self.due, self._is_open = now, False
        return {"op": "watch_cancel", "watch_id": self._id}

    def _canceled(self, news: dict[str, Any], now: float) -> None:
        # What is compacted away cannot be told any more: it goes on behind that.
        self._revision = max(self._revision, news.get("compact_revision", 0) - 1)
        self.due, self._is_open = now + AGAIN_SECONDS, False
