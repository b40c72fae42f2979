"""Probe nodes: small stand-ins that speak PROTOCOL.md over real sockets, for tests of the client.

They share one store, so that any of them serves any request as nodes of a cluster do; each can be
silenced, killed and started again on its port, and `script` answers as a test wants.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any, Self

import msgpack
import zmq

from cluster.wire import frames_in
from tests.limits import HANG_SECONDS

Answer = dict[str, Any] | None
Script = Callable[[dict[str, Any]], Answer | bool]
"""What to answer a request: a reply map, None for silence, True for the usual answer."""

LOST_AFTER_WORK = "lost after work"
"""An `error` of a scripted reply that says: do the work, but lose the answer."""


def until(condition: Callable[[], Any], seconds: float = HANG_SECONDS) -> None:
    """Wait for a condition to hold."""
    limit = threading.Event()
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "the condition did not come to hold"
        limit.wait(0.002)


class Store:
    """What all probe nodes of a cluster share: keys, leases, sessions and the history of events."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.revision = 1
        self.compacted = -1
        self.keys: dict[bytes, dict[str, Any]] = {}
        self.leases: dict[int, float] = {}
        self.history: list[dict[str, Any]] = []
        self.sessions: dict[int, dict[int, dict[str, Any]]] = {}
        self.applied: list[str] = []
        self.members = [dict(member) for member in MEMBERS]

    def apply(self, request: dict[str, Any]) -> dict[str, Any]:
        """Answer a request; one that was seen in its session gets the first answer again."""
        with self.lock:
            session = request.get("session")
            if session is None:
                return self._apply(request)
            if session not in self.sessions:
                return error(5, "leasehold: session not found or expired")
            results = self.sessions[session]
            if request["seq"] not in results:
                results[request["seq"]] = self._apply(request)
            return results[request["seq"]]

    def _apply(self, request: dict[str, Any]) -> dict[str, Any]:
        op = request["op"]
        self.applied.append(op)
        match op:
            case "session_open":
                self.sessions[len(self.sessions) + 100] = {}
                return {"session": len(self.sessions) + 99}
            case "put":
                return self._put(request)
            case "range":
                kvs = [dict(kv) for kv in self._select(request)]
                limit = request.get("limit") or len(kvs)
                return {"kvs": kvs[:limit], "more": len(kvs) > limit, "count": len(kvs)}
            case "delete_range":
                gone = self._select(request)
                if gone:
                    self.revision += 1
                for kv in gone:
                    del self.keys[kv["key"]]
                    tombstone = {"key": kv["key"], "mod_revision": self.revision}
                    self.history.append({"type": "DELETE", "kv": tombstone, "reason": "deleted"})
                return {"deleted": len(gone), "prev_kvs": gone if request.get("prev_kv") else []}
            case "lease_grant":
                lease = request.get("ID") or 0x694D77AA9E380000 + len(self.leases)
                self.leases[lease] = request["TTL"]
                return {"ID": lease, "TTL": request["TTL"]}
            case "lease_revoke":
                if self.leases.pop(request["ID"], None) is None:
                    return error(5, "etcdserver: requested lease not found")
                return {}
            case "lease_time_to_live":
                ttl = self.leases.get(request["ID"])
                if ttl is None:
                    absent = {"TTL": -1, "grantedTTL": 0, "remaining_ms": -1}
                    return {"ID": request["ID"], **absent}
                keys = [kv["key"] for kv in self.keys.values() if kv["lease"] == request["ID"]]
                left = {"TTL": ttl - 1, "grantedTTL": ttl, "remaining_ms": (ttl - 1) * 1000}
                life = {"ID": request["ID"], **left}
                return {**life, "keys": keys} if request.get("keys") else life
            case "lease_leases":
                return {"leases": [{"ID": lease} for lease in self.leases]}
            case "compact":
                revision = request.get("revision", 0)
                if revision > self.revision:
                    return error(11, "etcdserver: mvcc: required revision is a future revision")
                if revision <= self.compacted:
                    return error(11, "etcdserver: mvcc: required revision has been compacted")
                self.compacted = revision
                return {}
            case "member_list":
                return {"members": self.members}
            case "member_add" | "member_remove" | "member_replace" | "member_update":
                return self._change_members(op, request)
            case "member_promote":
                member = self._member(request)
                if member is None or not member["isLearner"]:
                    name = (
                        "member not found"
                        if member is None
                        else "can only promote a learner member"
                    )
                    return error(5 if member is None else 9, f"etcdserver: {name}")
                member["isLearner"] = False
                return {"members": self.members}
            case "move_leader":
                return {}
            case "lease_keep_alive":
                return {"ID": request["ID"], "TTL": self.leases.get(request["ID"], 0)}
            case _:
                return error(3, f'leasehold: unknown operation "{op}"')

    def _member(self, request: dict[str, Any]) -> dict[str, Any] | None:
        return next((one for one in self.members if one["ID"] == request["ID"]), None)

    def _change_members(self, op: str, request: dict[str, Any]) -> dict[str, Any]:
        old = None if op == "member_add" else self._member(request)
        if old is None and op != "member_add":
            return error(5, "etcdserver: member not found")
        if op == "member_update" and old is not None:
            old["peerURLs"] = request["peerURLs"]
            return {"members": self.members}
        if old is not None:
            self.members.remove(old)
        if op == "member_remove":
            return {"members": self.members}
        if any(one["peerURLs"] == request["peerURLs"] for one in self.members):
            return error(9, "etcdserver: Peer URLs already exists")
        new = {"ID": 0xC0FFEE00C0FFEE00 + len(self.members), "name": "", "clientURLs": []}
        new |= {"peerURLs": request["peerURLs"], "isLearner": request.get("isLearner", False)}
        self.members.append(new)
        return {"member": new, "members": self.members}

    def _put(self, request: dict[str, Any]) -> dict[str, Any]:
        key, value = _bytes(request["key"]), _bytes(request.get("value", b""))
        old = self.keys.get(key)
        self.revision += 1
        kv = {
            "key": key,
            "create_revision": old["create_revision"] if old else self.revision,
            "mod_revision": self.revision,
            "version": old["version"] + 1 if old else 1,
            "value": value,
            "lease": request.get("lease", 0),
        }
        self.keys[key] = kv
        self.history.append({"type": "PUT", "kv": kv})
        return {"prev_kv": old} if old and request.get("prev_kv") else {}

    def _select(self, request: dict[str, Any]) -> list[dict[str, Any]]:
        if not request.get("range_end"):
            kv = self.keys.get(_bytes(request["key"]))
            return [] if kv is None else [kv]
        return [self.keys[key] for key in sorted(self.keys) if covers(request, key)]


def covers(request: dict[str, Any], key: bytes) -> bool:
    """Whether a key is in the interval of a request."""
    start, end = _bytes(request["key"]), _bytes(request.get("range_end", b""))
    if not end:
        return key == start
    return key >= start and (end == b"\0" or key < end)


def error(code: int, message: str, **more: Any) -> dict[str, Any]:
    """An error reply."""
    return {"error": {"code": code, "message": message, **more}}


def _bytes(text: bytes | str) -> bytes:
    return text.encode() if isinstance(text, str) else text


class ProbeNode:
    """One stand-in node with a thread and a ROUTER of its own."""

    def __init__(self, store: Store, member_id: int, port: int = 0) -> None:
        self.store = store
        self.member_id = member_id
        self.script: Script | None = None
        self.requests: list[dict[str, Any]] = []
        self.port = port
        self._ready = threading.Event()
        self._stopping = False
        self._posted: list[Callable[[], None]] = []
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        assert self._ready.wait(HANG_SECONDS)

    @property
    def endpoint(self) -> str:
        """Where clients reach it."""
        return f"127.0.0.1:{self.port}"

    def kill(self) -> None:
        """Close the socket at once; whatever was under way is lost."""
        self._stopping = True
        self._thread.join(10)

    def restart(self) -> ProbeNode:
        """A new node on the same port and store."""
        return ProbeNode(self.store, self.member_id, self.port)

    def do(self, action: Callable[[], None]) -> None:
        """Have something done in the node's thread."""
        self._posted.append(action)

    def cancel_watches(self, reason: str, compact_revision: int = 0) -> None:
        """Cancel every watch, as a node without a leader does."""

        def cancel() -> None:
            for route, watch_id in list(self._watches):
                fields = {"watch_id": watch_id, "canceled": True, "cancel_reason": reason}
                if compact_revision:
                    fields["compact_revision"] = compact_revision
                self._send(route, {**fields, "header": self.header()})
            self._watches.clear()

        self.do(cancel)

    def header(self) -> dict[str, int]:
        """The header of a reply that is made now."""
        return {
            "cluster_id": 77,
            "member_id": self.member_id,
            "revision": self.store.revision,
            "raft_term": 2,
        }

    @property
    def watch_count(self) -> int:
        """How many watches are open here."""
        return len(self._watches)

    def _run(self) -> None:
        context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        socket = context.socket(zmq.ROUTER)
        socket.linger = 0
        self._socket = socket
        self._watches: dict[tuple[bytes, int], dict[str, Any]] = {}
        if self.port:
            socket.bind(f"tcp://127.0.0.1:{self.port}")
        else:
            self.port = socket.bind_to_random_port("tcp://127.0.0.1")
        self._ready.set()
        try:
            while not self._stopping:
                if socket.poll(5):
                    self._drain()
                while self._posted:
                    self._posted.pop(0)()
                self._feed()
        finally:
            socket.close()
            context.term()

    def _drain(self) -> None:
        try:
            for _ in range(256):
                *route, payload = self._socket.recv_multipart(zmq.NOBLOCK)
                for request in frames_in(payload):
                    self._serve(route[0], msgpack.unpackb(request))
        except zmq.Again:
            pass
        self._feed()

    def _serve(self, route: bytes, request: dict[str, Any]) -> None:
        self.requests.append(request)
        scripted = self.script(request) if self.script else True
        if scripted is None:
            return
        if isinstance(scripted, dict):
            if scripted.get("error") == LOST_AFTER_WORK:
                self.store.apply(request)
                return
            self._send(route, {"id": request.get("id"), "header": self.header(), **scripted})
            return
        match request["op"]:
            case "watch_create":
                start = request.get("start_revision") or self.store.revision + 1
                self._watches[route, request["watch_id"]] = {**request, "next": start}
                created = {"watch_id": request["watch_id"], "created": True}
                self._send(route, {"id": request["id"], "header": self.header(), **created})
            case "watch_cancel":
                self._watches.pop((route, request["watch_id"]), None)
            case "status":
                self._send(route, {"id": request["id"], "header": self.header(), **STATUS})
            case _:
                reply = self.store.apply(request)
                self._send(route, {"id": request.get("id"), "header": self.header(), **reply})

    def _feed(self) -> None:
        """Send each watch the whole revisions it has not had, one reply for each."""
        for (route, watch_id), watch in self._watches.items():
            if watch["next"] > self.store.revision:
                continue
            with self.store.lock:
                events = [event for event in self.store.history if _is_new(event, watch)]
                header = self.header()
            for revision in sorted({event["kv"]["mod_revision"] for event in events}):
                group = [event for event in events if event["kv"]["mod_revision"] == revision]
                self._send(route, {"watch_id": watch_id, "header": header, "events": group})
            watch["next"] = header["revision"] + 1

    def _send(self, route: bytes, reply: dict[str, Any]) -> None:
        self._socket.send_multipart([route, msgpack.packb(reply)])


def _is_new(event: dict[str, Any], watch: dict[str, Any]) -> bool:
    return event["kv"]["mod_revision"] >= watch["next"] and covers(watch, event["kv"]["key"])


STATUS = {
    "version": "0.1.0",
    "dbSize": 20_480,
    "dbSizeInUse": 16_384,
    "leader": 1,
    "raftIndex": 8,
    "raftTerm": 2,
    "raftAppliedIndex": 8,
    "isLearner": False,
    "errors": [],
}

MEMBERS = [
    {
        "ID": 0x628170C800DBCEE,
        "name": "n1",
        "peerURLs": ["tcp://h1:2380"],
        "clientURLs": ["tcp://h1:2379"],
        "isLearner": False,
    },
    {
        "ID": 0x9E737FEBB6B99EEE,
        "name": "",
        "peerURLs": ["tcp://h2:2380"],
        "clientURLs": [],
        "isLearner": True,
    },
]


class ProbeCluster:
    """Probe nodes with one store; a context manager that leaves no thread behind."""

    def __init__(self, size: int = 3) -> None:
        self.store = Store()
        self.nodes = [ProbeNode(self.store, index + 1) for index in range(size)]

    @property
    def endpoints(self) -> list[str]:
        """Where clients reach the nodes."""
        return [node.endpoint for node in self.nodes]

    def busy(self, op: str) -> ProbeNode:
        """The node that had the latest request of this op."""
        return next(
            node for node in self.nodes if any(request["op"] == op for request in node.requests)
        )

    def kill(self, node: ProbeNode) -> None:
        """Kill a node."""
        node.kill()

    def restart(self, node: ProbeNode) -> None:
        """Start a killed node again."""
        self.nodes[self.nodes.index(node)] = node.restart()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for node in self.nodes:
            node.kill()
