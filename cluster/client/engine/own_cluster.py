"""The one cluster that a client talks to, where its endpoints belong to several.

It is that of the first reply. Requests for no particular endpoint go to no other cluster, also
while the own one is down: what is written at one is not read at another. etcd's clients spread them
over all. If the endpoints themselves come back as another cluster, as after a restore of its
members, the client goes on with that one.

Pure; it refuses to know who leads, and when endpoints are asked.
"""

from __future__ import annotations

from typing import Any

from cluster.client.engine.endpoints import Endpoints
from cluster.client.engine.news import News, Oddity


class OwnCluster:
    """What a client knows of the clusters of its endpoints; `news` is told of those refused."""

    def __init__(self, endpoints: Endpoints, news: list[News]) -> None:
        self._endpoints = endpoints
        self._news = news
        # 0: no reply has come yet.
        self._id = 0
        self._cluster_at: dict[str, int] = {}
        self._refused: dict[str, str] = {}

    @property
    def is_alone(self) -> bool:
        """Whether no endpoint is known to be of another cluster."""
        return not self._refused

    def owns(self, endpoint: str, cluster_id: Any) -> bool:
        """Whether a reply from the endpoint, with this id in its header, is of the own cluster."""
        if cluster_id == self._id:
            return True
        if self._id or not isinstance(cluster_id, int):
            return False
        self._id = self._cluster_at[endpoint] = cluster_id
        return True

    def has_met(self, cluster_id: Any) -> bool:
        """Whether an endpoint is known to be of that cluster; so it is of what is no id."""
        return cluster_id in self._cluster_at.values() or not isinstance(cluster_id, int)

    def is_at(self, endpoint: str, cluster_id: int) -> bool:
        """The endpoint has said that it is of that cluster; whether this is the own one."""
        self._cluster_at[endpoint] = cluster_id
        return cluster_id == self._id

    def lost(self, endpoint: str) -> None:
        """Its connection is gone: it may be of another cluster when it comes back."""
        if endpoint not in self._refused:
            self._cluster_at.pop(endpoint, None)

    def maybe_change(self) -> bool:
        """All endpoints were asked: refuse those of others; whether the own cluster is another."""
        known = self._cluster_at
        open_ids = [known[each] for each in known if each not in self._refused]
        has_changed = bool(open_ids) and self._id not in open_ids
        if has_changed:
            self._id = open_ids[0]
        own = next((each for each, its in known.items() if its == self._id), "")
        self._refused = {
            endpoint: f"is of another cluster ({its:x}) than {own} ({self._id:x})"
            for endpoint, its in known.items()
            if its != self._id
        }
        for endpoint, reason in self._endpoints.refuse(self._refused).items():
            self._news.append(Oddity(endpoint, f"{reason}: no request goes there"))
        return has_changed
