"""What programs that speak JSON to etcd say to it, as they say it: Patroni, tooz and APISIX.

A replay is a list of calls in the order of such a program, written down here from what each is
known to send. `replayed` makes them at one server and keeps status, type and body of each answer;
ids and terms are masked, and all else must be equal on etcd and on a front.
"""

from __future__ import annotations

import http.client
import json
import re
from base64 import b64encode
from collections.abc import Callable, Iterator
from typing import Any, Final

from tests.differential.deliberate import is_nearly_all
from tests.limits import HANG_SECONDS

Body = dict[str, Any]

_MASKS: Final = (
    (re.compile(rb'("(cluster_id|member_id|leader|ID|lease)":)"[1-9]\d{4,}"'), rb'\1"<id>"'),
    (re.compile(rb'("(raft_term|raftTerm|raftIndex|raftAppliedIndex)":)"\d+"'), rb'\1"<n>"'),
    (re.compile(rb'("(dbSize|dbSizeInUse)":)"\d+"'), rb'\1"<n>"'),
    (re.compile(rb'"name":"(etcd|n1)"'), b'"name":"<name>"'),
    (re.compile(rb"(http|tcp)://127\.0\.0\.1:\d+"), b"<url>"),
)
_ID: Final = re.compile(rb'"ID":"(\d+)"')
_TIME_LEFT: Final = re.compile(rb'"TTL":"(\d+)","grantedTTL":"(\d+)"')


def b64(text: str) -> str:
    """Bytes as they are in JSON."""
    return b64encode(text.encode()).decode()


def prefix_end(text: str) -> str:
    """The end of the range of all keys that begin so, in base64."""
    return b64(text[:-1] + chr(ord(text[-1]) + 1))


def _without_time(found: re.Match[bytes]) -> bytes:
    left, granted = int(found[1]), int(found[2])
    if is_nearly_all(left, granted):
        return b'"TTL":"<nearly all>","grantedTTL":"%d"' % granted
    return found[0]


def masked(said: bytes) -> bytes:
    """An answer without what differs from server to server and from time to time."""
    for pattern, stands in _MASKS:
        said = pattern.sub(stands, said)
    return _TIME_LEFT.sub(_without_time, said)


class Talk:
    """One program at one server: its connections, and what was answered."""

    def __init__(self, address: str) -> None:
        self._address = address
        self._connection = self._connect()
        self.heard: list[str] = []

    def get(self, path: str) -> None:
        """A GET on the connection that stays."""
        self._ask("GET", path, None, {})

    def post(self, path: str, body: Body | str, **headers: str) -> bytes:
        """A POST on the connection that stays; headers have `_` for `-`."""
        return self._ask("POST", path, body, {k.replace("_", "-"): v for k, v in headers.items()})

    def lease(self, path: str, body: Body) -> str:
        """Grant a lease; its id as JSON has it."""
        found = _ID.search(self.post(path, body))
        assert found is not None, "a lease has an id"
        return found[1].decode()

    def stream(self, path: str, body: Body, lines: int, meanwhile: Callable[[], None]) -> None:
        """A stream on a connection of its own: its first line, what is done then, the others.

        Ended by the client, as these programs end their watches.
        """
        watching = self._connect()
        try:
            watching.request("POST", path, json.dumps(body))
            answer = watching.getresponse()
            said = [answer.readline()]
            meanwhile()
            said += [answer.readline() for _ in range(lines - 1)]
            self._note(path, answer, b"".join(said))
        finally:
            watching.close()

    def close(self) -> None:
        """End its connections."""
        self._connection.close()

    def _connect(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection(self._address, timeout=HANG_SECONDS)

    def _ask(self, method: str, path: str, body: Any, headers: dict[str, str]) -> bytes:
        sent = body if body is None or isinstance(body, str) else json.dumps(body)
        self._connection.request(method, path, sent, headers)
        answer = self._connection.getresponse()
        said = answer.read()
        self._note(path, answer, said)
        return said

    def _note(self, path: str, answer: http.client.HTTPResponse, said: bytes) -> None:
        kind = answer.getheader("Content-Type")
        self.heard.append(f"{path}: {answer.status} {kind} {masked(said).decode()}")


def patroni(talk: Talk) -> None:
    """A node of Patroni takes the lead, keeps it, is seen by another, and gives it up."""
    talk.get("/version")
    talk.post("/v3/cluster/member/list", {})
    talk.post("/v3/auth/authenticate", {"name": "patroni", "password": "secret"})
    scope = "/service/batman/"
    whole = {"key": b64(scope), "range_end": prefix_end(scope)}
    talk.post("/v3/kv/range", whole)
    lease = talk.lease("/v3/lease/grant", {"TTL": 30})
    leader = {"key": b64(scope + "leader")}
    take = {
        "compare": [{**leader, "target": "CREATE", "create_revision": "0"}],
        "success": [{"request_put": {**leader, "value": b64("node1"), "lease": lease}}],
    }
    talk.post("/v3/kv/txn", take)
    talk.post("/v3/kv/txn", take)
    member = {"key": b64(scope + "members/node1"), "value": b64('{"state":"running"}')}
    talk.post("/v3/kv/put", {**member, "lease": lease})
    talk.post("/v3/lease/keepalive", {"ID": lease})
    talk.post("/v3/kv/range", {**leader, "serializable": True})

    def change() -> None:
        initialize = {"key": b64(scope + "initialize")}
        compare = {**initialize, "target": "CREATE", "create_revision": "0"}
        put = {"request_put": {**initialize, "value": b64("7000")}}
        talk.post("/v3/kv/txn", {"compare": [compare], "success": [put]})
        config = {"key": b64(scope + "config")}
        for mod_revision in ("0", "4", "5"):
            compare = {**config, "target": "MOD", "mod_revision": mod_revision}
            put = {"request_put": {**config, "value": b64('{"ttl":30}')}}
            talk.post("/v3/kv/txn", {"compare": [compare], "success": [put]})
        talk.post("/v3/lease/revoke", {"ID": lease})

    watch = {**whole, "start_revision": "4", "progress_notify": True, "filters": []}
    talk.stream("/v3/watch", {"create_request": watch}, 4, change)
    talk.post("/v3/kv/put", {**member, "lease": lease})
    talk.post("/v3/lease/keepalive", {"ID": lease})
    held = {**leader, "target": "VALUE", "value": b64("node1")}
    talk.post("/v3/kv/txn", {"compare": [held], "success": [{"request_delete_range": leader}]})
    talk.post("/v3/kv/deleterange", whole)


def tooz(talk: Talk) -> None:
    """A process of tooz, over etcd3gw: a group, a heartbeat, a lock."""
    everything = {"key": b64("\0"), "range_end": b64("\0")}
    talk.post("/v3/maintenance/status", {})
    talk.post("/v3/kv/range", {**everything, "sort_order": "NONE", "sort_target": "KEY"})
    lease = talk.lease("/v3/lease/grant", {"TTL": 15, "ID": 0})
    group = {"key": b64("/tooz/groups/compute"), "value": b64("{}")}
    compare = {"key": group["key"], "result": "EQUAL", "target": "VERSION", "version": 0}
    make = {"compare": [compare], "success": [{"request_put": group}], "failure": []}
    talk.post("/v3/kv/txn", make)
    talk.post("/v3/kv/txn", make)
    member = {"key": b64("/tooz/groups/compute/one"), "value": b64(""), "lease": lease}
    talk.post("/v3/kv/put", member)
    members = {
        "key": b64("/tooz/groups/compute/"),
        "range_end": prefix_end("/tooz/groups/compute/"),
    }
    talk.post("/v3/kv/range", {**members, "sort_order": "ASCEND", "sort_target": "CREATE"})
    talk.post("/v3/lease/keepalive", {"ID": lease})
    talk.post("/v3/kv/lease/timetolive", {"ID": lease, "keys": True})
    lock = {"key": b64("/tooz/locks/job")}
    acquire = {
        "compare": [{**lock, "result": "EQUAL", "target": "CREATE", "create_revision": 0}],
        "success": [{"request_put": {**lock, "value": b64("uuid-1"), "lease": lease}}],
        "failure": [{"request_range": lock}],
    }
    talk.post("/v3/kv/txn", acquire)
    talk.post("/v3/kv/txn", acquire)

    def release() -> None:
        held = {**lock, "result": "EQUAL", "target": "VALUE", "value": b64("uuid-1")}
        delete = {"request_delete_range": lock}
        talk.post("/v3/kv/txn", {"compare": [held], "success": [delete], "failure": []})

    talk.stream("/v3/watch", {"create_request": {**lock, "filters": ["NOPUT"]}}, 2, release)
    talk.post("/v3/kv/lease/revoke", {"ID": lease})
    talk.post("/v3/kv/lease/timetolive", {"ID": lease, "keys": True})
    talk.post("/v3/kv/lease/leases", {})
    talk.post("/v3/kv/deleterange", {**everything, "prev_kv": True})


def apisix(talk: Talk) -> None:
    """A gateway of APISIX, over lua-resty-etcd: it reads its routes and follows them."""
    form = "application/x-www-form-urlencoded"
    talk.get("/version")
    talk.get("/health")
    talk.post("/v3/auth/authenticate", {"name": "root", "password": "secret"})
    # What a prefix has at first are entries that name directories.
    for name in ("routes", "upstreams", "services"):
        entry = {"key": b64(f"/apisix/{name}/"), "value": b64("init_dir")}
        talk.post("/v3/kv/put", entry, Content_Type=form)
    for number in range(3):
        route = json.dumps({"id": str(number), "uri": f"/{number}/*", "upstream_id": "1"})
        entry = {"key": b64(f"/apisix/routes/{number}"), "value": b64(route)}
        talk.post("/v3/kv/put", {**entry, "prev_kv": True}, Content_Type="application/json")
    routes = {"key": b64("/apisix/routes/"), "range_end": b64("/apisix/routes0")}
    talk.post("/v3/kv/range", routes)
    talk.post("/v3/kv/range", {**routes, "limit": 2, "revision": 0, "count_only": False})
    talk.post("/v3/kv/range", {"key": b64("/apisix/none"), "serializable": False})

    def change() -> None:
        first = {"key": b64("/apisix/routes/0")}
        talk.post("/v3/kv/put", {**first, "value": b64("{}")})
        talk.post("/v3/kv/deleterange", {**first, "prev_kv": True})
        talk.post("/v3/kv/put", {"key": b64("/elsewhere"), "value": b64("")})

    whole = {"key": b64("/apisix/"), "range_end": b64("/apisix0")}
    follow = {**whole, "start_revision": "8", "prev_kv": True, "progress_notify": True}
    talk.stream("/v3/watch", {"create_request": follow}, 3, change)
    # The next watch begins with what happened while there was none, then the history is gone.
    talk.stream("/v3/watch", {"create_request": {**follow, "start_revision": 9}}, 2, _nothing)
    talk.post("/v3/kv/compaction", {"revision": "10", "physical": True})
    talk.stream("/v3/watch", {"create_request": {**follow, "start_revision": 2}}, 2, _nothing)
    talk.post("/v3/kv/range", {**routes, "revision": 3})
    talk.post("/v3/kv/range", "{")
    talk.post("/v3/kv/range", {"key": "?"})


def _nothing() -> None:
    """Nothing is done meanwhile."""


REPLAYS: Final[dict[str, Callable[[Talk], None]]] = {
    "Patroni": patroni,
    "tooz": tooz,
    "APISIX": apisix,
}


def replayed(replay: Callable[[Talk], None], address: str) -> list[str]:
    """What a server at this address answers to a program's calls, masked."""
    talk = Talk(address)
    try:
        replay(talk)
    finally:
        talk.close()
    return talk.heard


def differences(theirs: list[str], ours: list[str]) -> Iterator[str]:
    """The answers that differ, each with etcd's above ours."""
    for of_etcd, of_ours in zip(theirs, ours, strict=True):
        if of_etcd != of_ours:
            yield f"etcd: {of_etcd}\nours: {of_ours}"
