"""A stand-in for a node, for tests of the launcher: takes a node's flags and answers two questions.

The first member of --initial-cluster whose peer port is open leads; the term is one more than the
members before it. It keeps nothing, adds and removes members by saying so, and never hands over;
one that is removed itself ends as a node does. It confirms what is planned for its links, and has
none. With STANDIN=deaf it ignores SIGTERM, with STANDIN=fail it gives up at once, with
STANDIN=mute it answers nothing.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
import threading
from typing import Any

import zmq

from cluster.config import NodeFlags, resolve
from cluster.identity import member_id_of
from cluster.wire import pack, unpack

STATUS = {
    "version": "0",
    "dbSize": 0,
    "dbSizeInUse": 0,
    "raftIndex": 1,
    "errors": [],
    "isLearner": False,
}


def main() -> None:
    """Serve until SIGTERM, or until the channel to the launcher ends."""
    behaviour = os.environ.get("STANDIN", "")
    *flags, channel = sys.argv[1:]
    typed = [flag[2:].partition("=") for flag in flags]
    config = resolve(NodeFlags(**{name.replace("-", "_"): value for name, _, value in typed}))
    if behaviour == "fail":
        sys.stderr.write("the stand-in was told to fail\n")
        raise SystemExit(3)
    if behaviour == "deaf":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    launcher = socket.socket(fileno=int(channel.removeprefix("--launcher-fd=")))
    threading.Thread(target=_end_with, args=(launcher,), daemon=True).start()
    config.data_dir.mkdir(exist_ok=True)
    peers = socket.create_server(("127.0.0.1", _port(config.listen_peer_urls[0])))
    threading.Thread(target=_accept, args=(peers,), daemon=True).start()
    door = zmq.Context().socket(zmq.ROUTER)
    door.bind(config.listen_client_urls[0])
    by_name = sorted(config.members, key=lambda member: member.name)
    ids = {member.name: member_id_of(member.peer_urls, config.token) for member in by_name}
    own_id = ids[config.name]
    while True:
        *route, payload = door.recv_multipart()
        if behaviour == "mute":
            continue
        request = unpack(payload)
        up = [_is_open(_port(member.peer_urls[0])) for member in by_name]
        first = up.index(True)
        header = {"cluster_id": 7, "member_id": own_id, "revision": 1, "raft_term": first + 1}
        reply: dict[str, Any] = {"id": request["id"], "header": header}
        if sum(up) <= len(up) // 2:
            reply = {"id": request["id"], "error": {"code": 14, "message": "no leader"}}
        elif request["op"] == "status":
            leader = ids[by_name[first].name]
            reply |= {"leader": leader, "raftTerm": first + 1, "raftAppliedIndex": 1, **STATUS}
        elif request["op"] == "member_add":
            urls = request["peerURLs"]
            new = {"ID": member_id_of(tuple(urls), config.token), "name": "", "peerURLs": urls}
            reply |= {"member": {**new, "clientURLs": []}, "members": []}
        elif request["op"] in {"move_leader", "member_promote"}:
            reply = {"id": request["id"], "error": {"code": 9, "message": "not in a stand-in"}}
        elif request["op"] == "member_remove":
            reply |= {"members": []}
        elif request["op"] == "delete_range":
            reply |= {"deleted": 0}
        door.send_multipart([*route, pack(reply)])
        if request["op"] == "member_remove" and request["ID"] == own_id:
            sys.stderr.write("the stand-in was removed\n")
            os._exit(3)


def _port(url: str) -> int:
    return int(url.rpartition(":")[2])


def _is_open(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _accept(listener: socket.socket) -> None:
    while True:
        listener.accept()[0].close()


def _end_with(launcher: socket.socket) -> None:
    while packet := launcher.recv(64 * 1024):
        launcher.send(json.dumps({"applied": json.loads(packet)["number"]}).encode())
    os._exit(0)


if __name__ == "__main__":
    main()
